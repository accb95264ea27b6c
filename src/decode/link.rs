//! Link headers: from a record's first byte, or a tunnel's, to the IP header.

use super::layer::Layer;
use super::undecoded::Undecoded;
use crate::model::packet::LinkType;

/// What the first bytes of a layer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// IPv4 or IPv6, as the first four bits tell.
    Ip,
    /// Ethernet II or 802.3.
    Ethernet,
    /// What this EtherType announces; up to 1500 it is an 802.3 length and LLC follows.
    EtherType(u16),
    /// IEEE 802.2 logical link control.
    Llc,
    /// A stack of MPLS labels (RFC 3032).
    Mpls,
    /// PPP, with or without address and control, and with its protocol in one byte or two (RFC 1661).
    Ppp,
    /// PPPoE, session or discovery (RFC 2516).
    PppOverEthernet,
    /// Cisco HDLC: address, control, EtherType.
    CiscoHdlc,
    /// FDDI: frame control, addresses, LLC.
    Fddi,
    /// A four-byte address family in either byte order.
    Loopback,
    /// Linux cooked capture, first version.
    Cooked,
    /// Linux cooked capture, second version.
    CookedV2,
}

/// The link types that are read, by their numbers in the tcpdump group's registry; the usual first.
const LINKS: &[(u16, Shape)] = &[
    (1, Shape::Ethernet),
    (113, Shape::Cooked),
    (276, Shape::CookedV2),
    (101, Shape::Ip),
    (228, Shape::Ip),
    (229, Shape::Ip),
    // Raw IP as the BSDs number it in their own captures.
    (12, Shape::Ip),
    (14, Shape::Ip),
    (0, Shape::Loopback),
    (108, Shape::Loopback),
    (9, Shape::Ppp),
    (50, Shape::Ppp),
    (51, Shape::PppOverEthernet),
    (104, Shape::CiscoHdlc),
    (100, Shape::Llc),
    (10, Shape::Fddi),
];

/// The link types that are read, the usual first.
pub fn link_types() -> impl Iterator<Item = LinkType> {
    LINKS.iter().map(|(number, _)| LinkType(*number))
}

/// What records of this link type begin with, if it is known.
pub(super) fn shape(link: LinkType) -> Option<Shape> {
    let (_, shape) = LINKS.iter().find(|(number, _)| *number == link.0)?;
    Some(*shape)
}

/// More link headers than any network stacks: two VLAN tags, PPPoE, PPP and a few labels are nine.
const MAX_HEADERS: usize = 32;

/// Walks the link headers from `at` on, up to the IP header; says the outermost VLAN identifier.
/// Goes on for at most [`MAX_HEADERS`] of them.
pub(super) fn find_ip(mut shape: Shape, at: &mut Layer) -> Result<Option<u16>, Undecoded> {
    let mut vlan = None;
    for _ in 0..MAX_HEADERS {
        let layer = *at;
        (shape, *at) = match shape {
            Shape::Ip => return Ok(vlan),
            Shape::EtherType(kind) if is_vlan_tag(kind) => {
                let tag = layer.u16(0).ok_or(Undecoded::CutLink)? & 0x0fff;
                // Identifier 0 is no VLAN: the tag only carries a priority (IEEE 802.1Q 9.6).
                vlan = vlan.or(Some(tag).filter(|tag| *tag != 0));
                (ether_type(layer, 2)?, layer.after(4))
            }
            Shape::EtherType(kind) => of_ether_type(kind, layer)?,
            Shape::Ethernet => (ether_type(layer, 12)?, layer.after(14)),
            Shape::Cooked => (ether_type(layer, 14)?, layer.after(16)),
            Shape::CookedV2 => (ether_type(layer, 0)?, layer.after(20)),
            Shape::CiscoHdlc => (ether_type(layer, 2)?, layer.after(4)),
            Shape::Fddi => (Shape::Llc, layer.after(13)),
            Shape::Llc => logical_link(layer)?,
            Shape::Mpls => label(layer)?,
            Shape::Ppp => point_to_point(layer)?,
            Shape::PppOverEthernet => session(layer)?,
            Shape::Loopback => (family(layer)?, layer.after(4)),
        };
    }
    Err(Undecoded::TooManyHeaders)
}

/// The EtherType at `at`.
fn ether_type(layer: Layer, at: usize) -> Result<Shape, Undecoded> {
    layer
        .u16(at)
        .map(Shape::EtherType)
        .ok_or(Undecoded::CutLink)
}

/// 802.1Q, 802.1ad, and the numbers that were used for stacked tags before 802.1ad.
fn is_vlan_tag(kind: u16) -> bool {
    matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

/// What follows an EtherType (IANA "IEEE 802 Numbers").
fn of_ether_type(kind: u16, layer: Layer) -> Result<(Shape, Layer), Undecoded> {
    match kind {
        // IPv4 and IPv6: their own first bits are believed more than the EtherType.
        0x0800 | 0x86dd => Ok((Shape::Ip, layer)),
        0x8847 | 0x8848 => Ok((Shape::Mpls, layer)),
        0x8863 | 0x8864 => Ok((Shape::PppOverEthernet, layer)),
        0x880b => Ok((Shape::Ppp, layer)),
        // Transparent Ethernet bridging, in GRE.
        0x6558 => Ok((Shape::Ethernet, layer)),
        // Provider backbone bridging: a service tag of four bytes, then the customer's frame.
        0x88e7 => Ok((Shape::Ethernet, layer.after(4))),
        // Linux cooked captures have these for raw 802.3 (Novell) and for 802.2.
        0x0001 => Err(Undecoded::Ipx),
        0x0004 => Ok((Shape::Llc, layer)),
        length @ 1..=1500 => Ok((Shape::Llc, layer.at_most(length.into()))),
        0x0806 | 0x8035 => Err(Undecoded::Arp),
        0x8137 | 0x8138 => Err(Undecoded::Ipx),
        // LACP, 802.1X, LLDP, 802.1ag.
        0x8809 | 0x888e | 0x88cc | 0x8902 => Err(Undecoded::LinkControl),
        _ => Err(Undecoded::NotIp),
    }
}

/// IEEE 802.2, with the subnetwork access protocol inside (RFC 1042).
fn logical_link(layer: Layer) -> Result<(Shape, Layer), Undecoded> {
    match layer.array(0).ok_or(Undecoded::CutLink)? {
        // The organisation code 0 says that an EtherType follows, and so does 802.1H's.
        [0xaa, 0xaa, 0x03] => match layer.array(3).ok_or(Undecoded::CutLink)? {
            [0, 0, 0] | [0, 0, 0xf8] => Ok((ether_type(layer, 6)?, layer.after(8))),
            // Cisco's discovery and spanning tree protocols.
            [0, 0, 0x0c] => Err(Undecoded::LinkControl),
            _ => Err(Undecoded::NotIp),
        },
        [0x06, 0x06, 0x03] => Ok((Shape::Ip, layer.after(3))),
        [0x42, 0x42, _] => Err(Undecoded::LinkControl),
        // 802.3 without 802.2 is IPX, which begins with a checksum of all ones.
        [0xe0, 0xe0, _] | [0xff, 0xff, _] => Err(Undecoded::Ipx),
        _ => Err(Undecoded::NotIp),
    }
}

/// One MPLS label; below the last, what the first four bits tell (RFC 4928 3).
fn label(layer: Layer) -> Result<(Shape, Layer), Undecoded> {
    let is_last = layer.u32(0).ok_or(Undecoded::CutLink)? & 0x100 != 0;
    let inner = layer.after(4);
    if !is_last {
        return Ok((Shape::Mpls, inner));
    }
    match inner.u8(0).ok_or(Undecoded::CutLink)? >> 4 {
        4 | 6 => Ok((Shape::Ip, inner)),
        0 if has_control_word(inner) => Ok((Shape::Ethernet, inner.after(4))),
        0 => Ok((Shape::Ethernet, inner)),
        1 => Err(Undecoded::LinkControl),
        _ => Err(Undecoded::NotIp),
    }
}

/// Whether an Ethernet pseudowire begins with a control word (RFC 4448 4.6): nothing tells, but it
/// has its first half zero and puts the EtherType four bytes further on.
fn has_control_word(layer: Layer) -> bool {
    let is_likely = |kind: u16| matches!(kind, 0x0800 | 0x86dd | 0x0806) || is_vlan_tag(kind);
    layer.u16(0) == Some(0)
        && (layer.u16(16).is_some_and(is_likely) || !layer.u16(12).is_some_and(is_likely))
}

/// PPP (RFC 1661), in HDLC framing (RFC 1662) or without, with its fields compressed or not.
fn point_to_point(layer: Layer) -> Result<(Shape, Layer), Undecoded> {
    let layer = match layer.array(0).ok_or(Undecoded::CutLink)? {
        [0xff, 0x03] => layer.after(2),
        // What Cisco HDLC begins with, unicast and broadcast; no PPP protocol does.
        [0x0f, 0x00] | [0x8f, 0x00] => return Ok((Shape::CiscoHdlc, layer)),
        _ => layer,
    };
    // A protocol's first byte is even and its last odd (RFC 1661 2): so one byte tells itself.
    let first = layer.u8(0).ok_or(Undecoded::CutLink)?;
    let (protocol, inner) = if first & 1 == 1 {
        (first.into(), layer.after(1))
    } else {
        (layer.u16(0).ok_or(Undecoded::CutLink)?, layer.after(2))
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Shape::Ip, inner)),
        0x0281 | 0x0283 => Ok((Shape::Mpls, inner)),
        0x002b => Err(Undecoded::Ipx),
        0x8000.. => Err(Undecoded::LinkControl),
        _ => Err(Undecoded::NotIp),
    }
}

/// PPPoE (RFC 2516 4): only code 0 carries PPP.
fn session(layer: Layer) -> Result<(Shape, Layer), Undecoded> {
    let code = layer.u8(1).ok_or(Undecoded::CutLink)?;
    let length = layer.u16(4).ok_or(Undecoded::CutLink)?;
    match code {
        0 => Ok((Shape::Ppp, layer.after(6).at_most(length.into()))),
        _ => Err(Undecoded::LinkControl),
    }
}

/// The address family of the BSD loopback, in the byte order of whoever captured.
fn family(layer: Layer) -> Result<Shape, Undecoded> {
    let family = layer.u32(0).ok_or(Undecoded::CutLink)?;
    let family = if family > 0xffff {
        family.swap_bytes()
    } else {
        family
    };
    match family {
        // IPv4 everywhere; IPv6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 23 | 24 | 28 | 30 => Ok(Shape::Ip),
        _ => Err(Undecoded::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::samples::{
        ETHERNET, IPV4, SNAP_IPV4, decode, ethernet, ipv4, ipv6, only, text, udp,
    };

    fn datagram() -> Vec<u8> {
        ipv4(17, &udp(1000, 53, b"query"))
    }

    /// Says that this link header, before a known packet, is walked to that packet.
    fn finds_the_packet(link: u16, header: &[u8]) {
        let packet = only(decode(LinkType(link), &[header, &datagram()].concat()));
        assert_eq!(
            text(&packet),
            "udp 10.0.0.1:1000 > 10.0.0.2:53",
            "{link} {header:x?}"
        );
    }

    fn refuses(link: u16, frame: &[u8], reason: Undecoded) {
        assert_eq!(
            decode(LinkType(link), frame).err(),
            Some(reason),
            "{frame:x?}"
        );
    }

    #[test]
    fn each_link_type_leads_to_its_packet() {
        let cooked = [&[0; 14][..], &[0x08, 0x00]].concat();
        let cooked_v2 = [&[0x08, 0x00][..], &[0; 18]].concat();
        let fddi = [&[0x50][..], &[0; 12], &SNAP_IPV4].concat();
        for (link, header) in [
            (1, &ethernet(IPV4, &[])[..]),
            (113, &cooked),
            (276, &cooked_v2),
            (101, &[]),
            (12, &[]),
            (14, &[]),
            (228, &[]),
            (9, &[0x00, 0x21]),
            (9, &[0xff, 0x03, 0x00, 0x21]),
            (9, &[0x21]),
            (50, &[0xff, 0x03, 0x00, 0x21]),
            (50, &[0x0f, 0x00, 0x08, 0x00]),
            (51, &[0x11, 0, 0, 1, 0, 35, 0x00, 0x21]),
            (100, &SNAP_IPV4),
            (104, &[0x0f, 0x00, 0x08, 0x00]),
            (10, &fddi),
        ] {
            finds_the_packet(link, header);
        }
    }

    #[test]
    fn the_loopback_family_is_read_in_either_byte_order() {
        for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
            finds_the_packet(0, &family);
            finds_the_packet(108, &family);
        }
    }

    #[test]
    fn every_systems_ipv6_family_is_known() {
        for family in [10, 23, 24, 28, 30] {
            let frame = [&[family, 0, 0, 0], &*ipv6(17, &udp(1, 2, b""))].concat();
            let packet = only(decode(LinkType(0), &frame));
            assert_eq!(text(&packet), "udp [2001:db8::1]:1 > [2001:db8::2]:2");
        }
    }

    #[test]
    fn the_outermost_vlan_is_kept() {
        for outer in [0x8100, 0x88a8, 0x9100, 0x9200] {
            let tags = [&[0x20, 5, 0x81, 0, 0, 6, 8, 0], &*datagram()].concat();
            let packet = only(decode(ETHERNET, &ethernet(outer, &tags)));
            assert_eq!(packet.vlan, Some(5), "{outer:x}");
        }
    }

    #[test]
    fn a_priority_tag_names_no_vlan() {
        let tagged = [&[0xe0, 0, 8, 0], &*datagram()].concat();
        assert_eq!(
            only(decode(ETHERNET, &ethernet(0x8100, &tagged))).vlan,
            None
        );
    }

    #[test]
    fn labels_are_walked_to_the_bottom_of_the_stack() {
        for kind in [0x8847, 0x8848] {
            finds_the_packet(1, &ethernet(kind, &[0, 1, 0x10, 64, 0, 1, 0x11, 64]));
        }
    }

    #[test]
    fn an_ethernet_pseudowire_is_entered_with_and_without_control_word() {
        let bottom = [0, 1, 0x11, 64];
        let inner = ethernet(IPV4, &[]);
        let control = [0, 0, 0, 9];
        finds_the_packet(1, &ethernet(0x8847, &[&bottom[..], &inner].concat()));
        finds_the_packet(
            1,
            &ethernet(0x8847, &[&bottom[..], &control, &inner].concat()),
        );
    }

    #[test]
    fn ip_in_802_3_is_found_through_llc() {
        finds_the_packet(1, &ethernet(41, &SNAP_IPV4));
        finds_the_packet(1, &ethernet(36, &[6, 6, 3]));
    }

    #[test]
    fn a_pppoe_session_is_entered_and_its_discovery_is_not() {
        let header = |code| [0x11, code, 0, 1, 0, 35, 0, 0x21];
        finds_the_packet(1, &ethernet(0x8864, &header(0)));
        refuses(1, &ethernet(0x8863, &header(9)), Undecoded::LinkControl);
    }

    #[test]
    fn what_is_not_ip_is_told_by_its_kind() {
        for (kind, payload, reason) in [
            (0x0806, &[][..], Undecoded::Arp),
            (0x88cc, &[], Undecoded::LinkControl),
            (38, &[0x42, 0x42, 3], Undecoded::LinkControl),
            (0x8137, &[], Undecoded::Ipx),
            (34, &[0xff, 0xff, 0], Undecoded::Ipx),
            (0x88b5, &[], Undecoded::NotIp),
            (0, &[], Undecoded::NotIp),
            (0x8847, &[0, 1, 0x10], Undecoded::CutLink),
        ] {
            refuses(1, &ethernet(kind, payload), reason);
        }
        refuses(9, &[0xc0, 0x21, 1], Undecoded::LinkControl);
        refuses(0, &[7, 0, 0, 0], Undecoded::NotIp);
        refuses(105, &[], Undecoded::LinkType(LinkType(105)));
    }

    #[test]
    fn more_headers_than_the_bound_are_given_up() {
        let tags = [0, 5, 0x81, 0].repeat(MAX_HEADERS);
        refuses(1, &ethernet(0x8100, &tags), Undecoded::TooManyHeaders);
    }
}
