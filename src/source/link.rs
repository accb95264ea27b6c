//! Link types: what the first bytes of a record are, by number and name.
//!
//! Numbers are LINKTYPE numbers of the tcpdump group's registry
//! (<https://www.tcpdump.org/linktypes.html>). libpcap's handles count some of them otherwise, by
//! operating system: its DLT numbers are turned into LINKTYPE numbers here, and back.

use crate::model::packet::LinkType;

/// Raw IP: the record begins with an IPv4 or IPv6 header.
const RAW: LinkType = LinkType(101);

/// ATM with LLC, RFC 2684.
const ATM_RFC1483: LinkType = LinkType(100);

/// What most link types are captured with at most (libpcap's `MAXIMUM_SNAPLEN`).
pub(super) const MAX_CAPTURED: u32 = 262_144;

/// What link types without a frame size are captured with at most (libpcap's
/// `max_snaplen_for_dlt`, the largest of them).
const MAX_CAPTURED_MESSAGE: u32 = 128 * 1024 * 1024;

/// How many bytes a record of this link type can have.
pub(super) fn max_captured(link: LinkType) -> u32 {
    match link.0 {
        // USB (four ways to capture it), D-Bus, EBHSCR.
        189 | 220 | 249 | 266 | 231 | 279 => MAX_CAPTURED_MESSAGE,
        _ => MAX_CAPTURED,
    }
}

/// The LINKTYPE number for a number that a file or libpcap's handle carries.
///
/// Raw IP is 12 or, on OpenBSD, 14 there; files have been written with both.
pub(super) fn from_dlt(number: u16) -> LinkType {
    match number {
        12 | 14 => RAW,
        11 => ATM_RFC1483,
        other => LinkType(other),
    }
}

/// The number that libpcap knows the link type by on this operating system.
pub(super) fn to_dlt(link: LinkType) -> i32 {
    match link {
        RAW if cfg!(target_os = "openbsd") => 14,
        RAW => 12,
        ATM_RFC1483 => 11,
        LinkType(other) => other.into(),
    }
}

/// The names of the link types that captures are likely to have.
const NAMES: &[(u16, &str)] = &[
    (0, "BSD null"),
    (1, "Ethernet"),
    (3, "AX.25"),
    (6, "Token Ring"),
    (7, "ARCNET"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (50, "PPP in HDLC framing"),
    (51, "PPPoE"),
    (99, "Symantec Enterprise Firewall"),
    (100, "ATM RFC 2684"),
    (101, "raw IP"),
    (104, "Cisco HDLC"),
    (105, "IEEE 802.11"),
    (107, "Frame Relay"),
    (108, "OpenBSD loopback"),
    (109, "OpenBSD IPsec"),
    (113, "Linux cooked v1"),
    (114, "LocalTalk"),
    (117, "OpenBSD pflog"),
    (119, "IEEE 802.11 with Prism header"),
    (122, "IP over Fibre Channel"),
    (123, "SunATM"),
    (127, "IEEE 802.11 with radiotap"),
    (129, "Linux ARCNET"),
    (130, "Juniper MLPPP"),
    (131, "Juniper MLFR"),
    (132, "Juniper ES"),
    (133, "Juniper GGSN"),
    (137, "Juniper ATM1"),
    (138, "IP over IEEE 1394"),
    (140, "SS7 MTP2"),
    (141, "SS7 MTP3"),
    (142, "SS7 SCCP"),
    (143, "DOCSIS"),
    (147, "private use 0"),
    (148, "private use 1"),
    (149, "private use 2"),
    (150, "private use 3"),
    (163, "IEEE 802.11 with AVS header"),
    (165, "BACnet MS/TP"),
    (166, "PPP by pppd"),
    (177, "LAPD"),
    (178, "Juniper Ethernet"),
    (179, "Juniper PPP"),
    (187, "Bluetooth HCI H4"),
    (189, "USB with Linux header"),
    (192, "PPI"),
    (195, "IEEE 802.15.4 with FCS"),
    (201, "Bluetooth HCI H4 with direction"),
    (203, "LAPD with direction"),
    (204, "PPP with direction"),
    (205, "Cisco HDLC with direction"),
    (206, "Frame Relay with direction"),
    (209, "IPMB with Linux header"),
    (220, "USB with mapped Linux header"),
    (224, "Fibre Channel FC-2"),
    (226, "Solaris IPNET"),
    (227, "CAN"),
    (228, "IPv4"),
    (229, "IPv6"),
    (230, "IEEE 802.15.4"),
    (231, "D-Bus"),
    (239, "NFLOG"),
    (240, "Hilscher netANALYZER"),
    (241, "Hilscher netANALYZER transparent"),
    (242, "IP over InfiniBand"),
    (243, "MPEG-2 transport stream"),
    (247, "InfiniBand"),
    (248, "SCTP"),
    (249, "USBPcap"),
    (251, "Bluetooth Low Energy"),
    (252, "Wireshark upper PDU"),
    (253, "Linux netlink"),
    (254, "Bluetooth Linux monitor"),
    (256, "Bluetooth Low Energy with header"),
    (258, "Apple PKTAP"),
    (260, "HiPerLAN"),
    (266, "macOS USB"),
    (272, "nRF sniffer"),
    (274, "Ethernet with mPacket preamble"),
    (276, "Linux cooked v2"),
    (277, "Z-Wave"),
    (279, "EBHSCR"),
    (283, "IEEE 802.15.4 with TAP header"),
    (288, "USB 2.0"),
];

/// A link type's name for messages; by number, where it is not a common one.
pub fn link_name(link: LinkType) -> String {
    match NAMES.binary_search_by_key(&link.0, |(number, _)| *number) {
        Ok(at) => NAMES[at].1.to_owned(),
        Err(_) => format!("link type {}", link.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_the_order_of_their_numbers() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_link_type_without_a_name_is_told_by_its_number() {
        assert_eq!(link_name(LinkType(105)), "IEEE 802.11");
        assert_eq!(link_name(LinkType(65535)), "link type 65535");
    }

    #[test]
    fn every_way_to_count_raw_ip_is_the_same_link_type() {
        for number in [12, 14, 101] {
            assert_eq!(from_dlt(number), RAW);
        }
        assert_eq!(from_dlt(to_dlt(RAW) as u16), RAW);
        assert_eq!(to_dlt(LinkType(276)), 276);
    }
}
