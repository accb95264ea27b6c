//! Capture filters in tcpdump's language (pcap-filter(7)), compiled by libpcap, for records of files.
//!
//! Devices filter in the kernel; files are filtered here, with the same compiler.

use std::collections::BTreeMap;
use std::fmt;

use pcap::{BpfProgram, Capture, Linktype};

use crate::model::packet::LinkType;
use crate::source::error::Fault;
use crate::source::link;

/// The link type that most captures have: a filter is first tried for it.
const ETHERNET: LinkType = LinkType(1);

/// Compiled for raw IP where a filter means nothing on Ethernet.
const RAW: LinkType = LinkType(101);

/// A capture filter, compiled for each link type when its first record comes.
///
/// It sees the captured bytes alone: `len`, `less` and `greater` count these, not those on the wire.
pub struct Filter {
    text: String,
    programs: BTreeMap<LinkType, Option<BpfProgram>>,
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    ///
    /// The text is no filter for Ethernet and none for raw IP either.
    pub fn new(text: &str) -> Result<Filter, FilterError> {
        compile(text, ETHERNET).or_else(|message| {
            compile(text, RAW).map_err(|_| FilterError {
                filter: text.to_owned(),
                message,
            })
        })?;
        Ok(Filter {
            text: text.to_owned(),
            programs: BTreeMap::new(),
        })
    }

    /// Whether the filter keeps a record with these captured bytes.
    ///
    /// # Errors
    ///
    /// The filter does not compile for this link type. Said once for each; after that, its records
    /// are not kept.
    pub fn keeps(&mut self, link: LinkType, bytes: &[u8]) -> Result<bool, Fault> {
        if let Some(program) = self.programs.get(&link) {
            return Ok(program
                .as_ref()
                .is_some_and(|program| program.filter(bytes)));
        }
        match compile(&self.text, link) {
            Ok(program) => {
                let keeps = program.filter(bytes);
                self.programs.insert(link, Some(program));
                Ok(keeps)
            }
            Err(message) => {
                self.programs.insert(link, None);
                Err(Fault::Filter {
                    filter: self.text.clone(),
                    link,
                    message,
                })
            }
        }
    }
}

fn compile(text: &str, link: LinkType) -> Result<BpfProgram, String> {
    let compiler = Capture::dead(Linktype(link::to_dlt(link))).map_err(message_of)?;
    compiler.compile(text, true).map_err(message_of)
}

/// libpcap's own words.
pub(super) fn message_of(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(message) => message,
        other => other.to_string(),
    }
}

/// A text that is no capture filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// As the user wrote it.
    pub filter: String,
    /// What libpcap says.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no capture filter: {}. One looks like \"host 192.0.2.1 and tcp port 135\"; \
             see man pcap-filter.",
            self.filter.escape_debug(),
            self.message
        )
    }
}

impl std::error::Error for FilterError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of an Ethernet frame with this type, and nothing after.
    fn frame(ether_type: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend(ether_type.to_be_bytes());
        frame
    }

    #[test]
    fn a_filter_keeps_what_it_names() {
        let mut filter = Filter::new("ip6").expect("a filter");
        assert_eq!(filter.keeps(ETHERNET, &frame(0x86dd)), Ok(true));
        assert_eq!(filter.keeps(ETHERNET, &frame(0x0800)), Ok(false));
    }

    #[test]
    fn a_filter_is_compiled_for_each_link_type() {
        let mut filter = Filter::new("ip6").expect("a filter");
        assert_eq!(filter.keeps(ETHERNET, &frame(0x86dd)), Ok(true));
        assert_eq!(filter.keeps(RAW, &[0x60; 40]), Ok(true));
        assert_eq!(filter.keeps(RAW, &[0x45; 40]), Ok(false));
    }

    #[test]
    fn a_record_cut_to_nothing_is_not_kept() {
        let mut filter = Filter::new("tcp port 135").expect("a filter");
        assert_eq!(filter.keeps(ETHERNET, &[]), Ok(false));
    }

    #[test]
    fn a_text_that_is_no_filter_is_refused_with_its_own_words() {
        let error = Filter::new("tcp prot 135").err().expect("refused");
        assert!(error.to_string().contains("\"tcp prot 135\""), "{error}");
        assert!(error.to_string().contains("syntax error"), "{error}");
    }

    #[test]
    fn a_link_type_that_a_filter_does_not_suit_is_said_once() {
        let mut filter = Filter::new("ether src 00:00:5e:00:53:01").expect("a filter");
        assert!(matches!(
            filter.keeps(RAW, &[0x45; 40]),
            Err(Fault::Filter { link: RAW, .. })
        ));
        assert_eq!(filter.keeps(RAW, &[0x45; 40]), Ok(false));
    }
}
