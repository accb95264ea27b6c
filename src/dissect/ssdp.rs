//! Simple Service Discovery Protocol (UPnP Device Architecture 1.3): HTTP's heads over UDP. Who
//! announces, searches and answers, and what.

use crate::dissect::head::Head;
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Simple Service Discovery Protocol (UPnP Device Architecture).
pub const PROTOCOL: Protocol = Protocol::new(&["ssdp", "SSDP"]);

/// The system and product of who announces or answers.
const SERVER: Field = Field::new(&["ssdp-server", "SSDP server"]);

/// The system and product of who searches.
const USER_AGENT: Field = Field::new(&["ssdp-user-agent", "SSDP user agent"]);

/// What is searched for, announced or found.
const TARGET: Field = Field::new(&["ssdp-target", "SSDP target"]);

/// Where a device's description is.
const LOCATION: Field = Field::new(&["ssdp-location", "UPnP description at"]);

/// The fields of a head, and what they are claimed as.
const TOLD: &[(&str, Field)] = &[
    ("SERVER", SERVER),
    ("USER-AGENT", USER_AGENT),
    ("ST", TARGET),
    ("NT", TARGET),
    ("LOCATION", LOCATION),
];

/// SSDP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[1900],
    begins: FirstBytes::WORD,
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Heads::default())),
    says: &[SERVER, USER_AGENT, TARGET, LOCATION],
    examples: &[Example {
        port: 1900,
        client: b"M-SEARCH * HTTP/1.1\r\n",
        server: b"HTTP/1.1 200 OK\r\n",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, "HTTP/")? {
        StartLine::Request(b"M-SEARCH" | b"NOTIFY") => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Different things that are told of a flow. A device announces itself, its kind and its services,
/// again and again.
const MAX_TOLD: usize = 16;

/// Reads one head a datagram, and tells each thing once.
#[derive(Default)]
struct Heads {
    told: Vec<(Field, String, Direction)>,
}

impl Dissector for Heads {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        if !matches!(look(bytes), Ok(Look::By(_))) {
            return Progress::More;
        }
        let mut head = Head::default();
        head.take(&mut Reader::big(bytes));
        for (name, field) in TOLD {
            let known = head.field(name).map(|text| (*field, text, from));
            let Some(fresh) = known.filter(|known| !self.told.contains(known)) else {
                continue;
            };
            let (field, text, by) = fresh.clone();
            self.told.push(fresh);
            found.push(Claim::Said { field, text, by });
            if self.told.len() >= MAX_TOLD {
                return Progress::Done;
            }
        }
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ANNOUNCED: &[u8] = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\
        Location: http://192.0.2.1:2869/upnphost/udhisapi.dll?content=1\r\nNT: upnp:rootdevice\r\n\
        NTS: ssdp:alive\r\nSERVER: Microsoft-Windows-NT/5.1 UPnP/1.0 UPnP-Device-Host/1.0\r\n\r\n";

    fn fields(found: &[Claim]) -> Vec<&str> {
        let name = |claim: &Claim| match claim {
            Claim::Said { field, .. } => field.name(),
            other => panic!("{other:?}"),
        };
        found.iter().map(name).collect()
    }

    #[test]
    fn each_thing_is_told_once() {
        let (mut heads, mut found) = (Heads::default(), Vec::new());
        heads.feed(Forward, ANNOUNCED, &mut found);
        heads.feed(Forward, ANNOUNCED, &mut found);
        assert_eq!(
            fields(&found),
            ["ssdp-server", "ssdp-target", "ssdp-location"]
        );
        let search = b"M-SEARCH * HTTP/1.1\r\nST: upnp:rootdevice\r\nUSER-AGENT: me\r\n\r\n";
        heads.feed(Reverse, search, &mut found);
        assert_eq!(fields(&found[3..]), ["ssdp-user-agent", "ssdp-target"]);
    }

    #[test]
    fn what_is_no_head_of_its_tells_nothing() {
        let (mut heads, mut found) = (Heads::default(), Vec::new());
        for bytes in [&b"GET / HTTP/1.1\r\nSERVER: x\r\n\r\n"[..], b"noise", b""] {
            assert_eq!(heads.feed(Forward, bytes, &mut found), Progress::More);
        }
        assert_eq!(found, []);
    }

    #[test]
    fn a_datagram_cut_anywhere_tells_its_whole_lines() {
        for len in 0..ANNOUNCED.len() {
            let (mut heads, mut found) = (Heads::default(), Vec::new());
            heads.feed(Forward, Reader::big(ANNOUNCED).up_to(len), &mut found);
            let whole = |text: &str| text == "upnp:rootdevice" || text.len() > 40;
            assert!(
                found
                    .iter()
                    .all(|claim| matches!(claim, Claim::Said { text, .. } if whole(text)))
            );
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let (mut heads, mut found) = (Heads::default(), Vec::new());
        for number in 0..1000 {
            let one = format!("NOTIFY * HTTP/1.1\r\nNT: uuid:{number}\r\n\r\n");
            if heads.feed(Forward, one.as_bytes(), &mut found) == Progress::Done {
                break;
            }
        }
        assert_eq!(found.len(), MAX_TOLD);
    }
}
