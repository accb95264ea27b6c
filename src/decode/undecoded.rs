//! Why a record became no packet, and the names of link types.

use std::fmt;

use crate::model::packet::LinkType;

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
}

impl Undecoded {
    /// Its short name, lower case, as statistics show it. The link type's number is left out.
    pub fn name(self) -> &'static str {
        match self {
            Undecoded::LinkType(_) => "link-type",
            Undecoded::CutLink => "cut-link",
            Undecoded::Arp => "arp",
            Undecoded::LinkControl => "link-control",
            Undecoded::Ipx => "ipx",
            Undecoded::NotIp => "not-ip",
            Undecoded::TooManyHeaders => "too-many-headers",
            Undecoded::CutIp => "cut-ip",
            Undecoded::BadIp => "bad-ip",
            Undecoded::CutTransport => "cut-transport",
        }
    }
}

impl fmt::Display for Undecoded {
    /// For people: what the record was instead, or where it ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undecoded::LinkType(link) => {
                return write!(f, "link type {}", LinkTypeName(*link));
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
        })
    }
}

/// A link type as people know it: `195 (IEEE 802.15.4)`, or the number alone.
struct LinkTypeName(LinkType);

impl fmt::Display for LinkTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.0;
        match NAMES.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => write!(f, "{number} ({name})"),
            None => write!(f, "{number}"),
        }
    }
}

/// What else captures are made of, from the tcpdump group's registry of `LINKTYPE_*`.
const NAMES: &[(u16, &str)] = &[
    (3, "AX.25"),
    (6, "Token Ring"),
    (7, "ARCNET"),
    (8, "SLIP"),
    (105, "IEEE 802.11"),
    (107, "Frame Relay"),
    (117, "OpenBSD pflog"),
    (119, "IEEE 802.11 with Prism header"),
    (122, "IP over Fibre Channel"),
    (123, "SunATM"),
    (127, "IEEE 802.11 with radiotap header"),
    (129, "ARCNET, Linux"),
    (140, "SS7 MTP2"),
    (141, "SS7 MTP3"),
    (142, "SS7 SCCP"),
    (143, "DOCSIS"),
    (144, "IrDA, Linux"),
    (163, "IEEE 802.11 with AVS header"),
    (165, "BACnet MS/TP"),
    (177, "LAPD, Linux"),
    (187, "Bluetooth HCI"),
    (189, "USB, Linux"),
    (192, "PPI"),
    (195, "IEEE 802.15.4"),
    (197, "ERF"),
    (201, "Bluetooth HCI with direction"),
    (220, "USB, Linux, padded"),
    (227, "CAN, SocketCAN"),
    (230, "IEEE 802.15.4 without FCS"),
    (231, "D-Bus"),
    (239, "Netfilter log"),
    (240, "netANALYZER"),
    (242, "IP over InfiniBand"),
    (243, "MPEG-2 transport stream"),
    (247, "InfiniBand"),
    (248, "SCTP"),
    (249, "USB, USBPcap"),
    (251, "Bluetooth Low Energy"),
    (252, "Wireshark exported PDUs"),
    (253, "Netlink"),
    (258, "Apple pktap"),
    (266, "USB, Darwin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_link_type_is_named_where_it_has_a_name() {
        let text = |number| Undecoded::LinkType(LinkType(number)).to_string();
        assert_eq!(text(195), "link type 195 (IEEE 802.15.4)");
        assert_eq!(text(65535), "link type 65535");
    }
}
