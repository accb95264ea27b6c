//! Why a record became no packet.

use std::fmt;

use crate::model::packet::LinkType;
use crate::source::link::link_name;

/// The reason why a record became no packet. Reasons are counted, never logged by the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undecoded {
    /// The link type is not known here.
    LinkType(LinkType),
    /// The record ends before the IP header begins.
    CutLink,
    /// Address resolution: ARP or RARP.
    Arp,
    /// The link's own talk: spanning tree, LLDP, 802.1X, LACP, PPP and PPPoE negotiation.
    LinkControl,
    /// IPX, over Ethernet II, 802.3 or PPP.
    Ipx,
    /// Another protocol that is not IP, or one that nothing tells.
    NotIp,
    /// More link headers on each other than the bound.
    TooManyHeaders,
    /// The record ends within the IP header.
    CutIp,
    /// The IP header contradicts itself.
    BadIp,
    /// The record ends before the ports.
    CutTransport,
    /// The TCP or UDP header contradicts itself or its packet: no host takes it.
    BadTransport,
    /// A later fragment whose first never came: nothing tells its ports.
    OrphanFragment,
}

impl fmt::Display for Undecoded {
    /// For people: what the record was instead, or where it ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undecoded::LinkType(link) => {
                return write!(f, "of link type {} ({})", link.0, link_name(*link));
            }
            Undecoded::CutLink => "cut before the IP header",
            Undecoded::Arp => "address resolution (ARP)",
            Undecoded::LinkControl => "link control (STP, LLDP, 802.1X, LCP, ...)",
            Undecoded::Ipx => "IPX",
            Undecoded::NotIp => "not IP",
            Undecoded::TooManyHeaders => "too many link headers",
            Undecoded::CutIp => "cut within the IP header",
            Undecoded::BadIp => "bad IP header",
            Undecoded::CutTransport => "cut before the ports",
            Undecoded::BadTransport => "bad TCP or UDP header",
            Undecoded::OrphanFragment => "fragment without its first",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_type_that_is_not_decoded_is_said_by_number_and_name() {
        let reason = Undecoded::LinkType(LinkType(105));
        assert_eq!(reason.to_string(), "of link type 105 (IEEE 802.11)");
    }
}
