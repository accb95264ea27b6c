//! Tunnels in UDP. A port says where to look, and the tunnel's own header whether it is one.

use super::gre;
use super::layer::Layer;
use super::link::Shape;
use super::tunnel::{Content, Inner};
use crate::model::five_tuple::TunnelKind;

/// Reads a datagram's payload as one kind of tunnel, or finds that it is none.
type Read = for<'a> fn(Layer<'a>) -> Option<Inner<'a>>;

/// The tunnels that UDP carries, by their ports.
const TUNNELS: &[(u16, Read)] = &[
    // RFC 7348 5.
    (4789, vxlan),
    // draft-ietf-nvo3-vxlan-gpe 3.1.
    (4790, vxlan_any),
    // RFC 8926 3.3.
    (6081, geneve),
    // RFC 8086 3.
    (4754, in_gre),
    // RFC 4380 2.7.
    (3544, teredo),
    // RFC 2661 8.1.
    (1701, l2tp),
    // 3GPP TS 29.281 4.4.2.
    (2152, gtp),
];

/// Whether the port may be a tunnel's.
pub(super) fn has(port: u16) -> bool {
    TUNNELS.iter().any(|(tunnel, _)| *tunnel == port)
}

/// What a datagram between these ports carries, if its first bytes are a tunnel's. Some tunnels
/// answer from their port, others only listen there: so either port may be the tunnel's.
pub(super) fn inner(ports: (u16, u16), payload: Layer) -> Option<Inner> {
    let (_, read) = (TUNNELS.iter()).find(|(port, _)| *port == ports.1 || *port == ports.0)?;
    read(payload)
}

/// The flag of a valid network identifier must be set (RFC 7348 5). The reserved fields are not
/// looked at: there are senders that use them.
fn vxlan(layer: Layer) -> Option<Inner> {
    vxlan_of(Shape::Ethernet, layer)
}

fn vxlan_of(shape: Shape, layer: Layer) -> Option<Inner> {
    let identifier = layer.u32(4)? >> 8;
    (layer.u8(0)? & 0x08 != 0).then(|| Inner {
        kind: TunnelKind::Vxlan,
        key: Some(identifier),
        content: Content::Frame(shape, layer.after(8)),
    })
}

/// VXLAN whose header names what is inside.
fn vxlan_any(layer: Layer) -> Option<Inner> {
    match layer.u8(3)? {
        1 | 2 => vxlan_of(Shape::Ip, layer),
        3 => vxlan_of(Shape::Ethernet, layer),
        _ => None,
    }
}

/// RFC 8926 3.4: version 0, and options counted in words.
fn geneve(layer: Layer) -> Option<Inner> {
    let first = layer.u8(0)?;
    let kind = layer.u16(2)?;
    let identifier = layer.u32(4)? >> 8;
    let options = usize::from(first & 0x3f) * 4;
    (first >> 6 == 0).then(|| Inner {
        kind: TunnelKind::Geneve,
        key: Some(identifier),
        content: Content::Frame(Shape::EtherType(kind), layer.after(8 + options)),
    })
}

fn in_gre(layer: Layer) -> Option<Inner> {
    gre::read(layer)?.carried()
}

/// RFC 4380 5.1.1: an authentication and an origin indication may come before IPv6, whose length
/// must fit: other things run on this port too.
fn teredo(mut layer: Layer) -> Option<Inner> {
    if layer.u16(0)? == 1 {
        let (identifier, value) = (layer.u8(2)?, layer.u8(3)?);
        layer = layer.after(13 + usize::from(identifier) + usize::from(value));
    }
    if layer.u16(0)? == 0 {
        layer = layer.after(8);
    }
    let fits = layer.u8(0)? >> 4 == 6 && 40 + usize::from(layer.u16(4)?) <= layer.wire();
    fits.then_some(Inner {
        kind: TunnelKind::Teredo,
        key: None,
        content: Content::Frame(Shape::Ip, layer),
    })
}

/// RFC 2661 3.1: data messages of version 2. Control messages carry no packets.
fn l2tp(layer: Layer) -> Option<Inner> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;
    let flags = layer.u16(0)?;
    if flags & VERSION != 2 || flags & CONTROL != 0 {
        return None;
    }
    let has = |flag| flags & flag != 0;
    let mut header = 6;
    if has(LENGTH) {
        header += 2;
    }
    if has(SEQUENCE) {
        header += 4;
    }
    if has(OFFSET) {
        header += 2 + usize::from(layer.u16(header)?);
    }
    Some(Inner {
        kind: TunnelKind::L2tp,
        key: None,
        content: Content::Frame(Shape::Ppp, layer.after(header)),
    })
}

/// More extension headers than GTP-U defines (3GPP TS 29.281 5.2.1).
const MAX_GTP_EXTENSIONS: usize = 8;

/// 3GPP TS 29.281 5.1: version 1, user data, and a length that fits.
fn gtp(layer: Layer) -> Option<Inner> {
    const USER_DATA: u8 = 255;
    let flags = layer.u8(0)?;
    let length = usize::from(layer.u16(2)?);
    if flags & 0xf8 != 0x30 || layer.u8(1)? != USER_DATA || 8 + length > layer.wire() {
        return None;
    }
    let mut rest = layer.after(8).at_most(length);
    if flags & 0x07 != 0 {
        let mut next = if flags & 0x04 != 0 { rest.u8(3)? } else { 0 };
        rest = rest.after(4);
        for _ in 0..MAX_GTP_EXTENSIONS {
            if next == 0 {
                break;
            }
            let extension = usize::from(rest.u8(0)?) * 4;
            next = rest.u8(extension.checked_sub(1)?)?;
            rest = rest.after(extension);
        }
    }
    matches!(rest.u8(0)? >> 4, 4 | 6).then_some(Inner {
        kind: TunnelKind::Gtp,
        key: None,
        content: Content::Frame(Shape::Ip, rest),
    })
}

#[cfg(test)]
mod tests {
    use crate::decode::samples::{ETHERNET, IPV4, decode, ethernet, ipv4, ipv6, text, udp, vxlan};

    fn datagram() -> Vec<u8> {
        ipv4(17, &udp(1000, 53, b"query"))
    }

    /// The packets of a datagram to `port`.
    fn carried(port: u16, payload: &[u8]) -> Vec<String> {
        let frame = ethernet(IPV4, &ipv4(17, &udp(50000, port, payload)));
        let packets = decode(ETHERNET, &frame).expect("it is IP");
        packets.iter().map(text).collect()
    }

    fn enters(port: u16, payload: &[u8], tunnel: &str) {
        let inner = format!("udp 10.0.0.1:1000 > 10.0.0.2:53 in {tunnel}");
        assert_eq!(carried(port, payload)[1..], [inner], "{port}");
    }

    fn stays_outside(port: u16, payload: &[u8]) {
        assert_eq!(carried(port, payload).len(), 1, "{port} {payload:x?}");
    }

    #[test]
    fn each_tunnel_in_udp_is_entered() {
        let frame = ethernet(IPV4, &datagram());
        enters(4789, &vxlan(7, &frame), "vxlan 10.0.0.1-10.0.0.2 key 7");
        let named = [&[0x0c, 0, 0, 1, 0, 0, 7, 0], &*datagram()].concat();
        enters(4790, &named, "vxlan 10.0.0.1-10.0.0.2 key 7");
        let geneve = [&[0x01, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 1, 1, 1], &*frame].concat();
        enters(6081, &geneve, "geneve 10.0.0.1-10.0.0.2 key 7");
        let gre = [&[0, 0, 8, 0], &*datagram()].concat();
        enters(4754, &gre, "gre 10.0.0.1-10.0.0.2");
        let l2tp = [&[0x40, 2, 0, 0, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &*datagram()].concat();
        enters(1701, &l2tp, "l2tp 10.0.0.1-10.0.0.2");
        let length = 4 + datagram().len() as u8;
        let gtp = [
            &[0x32, 255, 0, length, 0, 0, 0, 1, 0, 5, 0, 0],
            &*datagram(),
        ]
        .concat();
        enters(2152, &gtp, "gtp 10.0.0.1-10.0.0.2");
    }

    #[test]
    fn teredo_is_entered_through_its_indications() {
        let inner = ipv6(17, &udp(1, 2, b"x"));
        let authentication = [0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        for before in [&[][..], &origin, &[&authentication[..], &origin].concat()] {
            let texts = carried(3544, &[before, &inner].concat());
            let tunnel = "teredo 10.0.0.1-10.0.0.2";
            assert_eq!(
                texts[1],
                format!("udp [2001:db8::1]:1 > [2001:db8::2]:2 in {tunnel}")
            );
        }
    }

    #[test]
    fn a_tunnels_port_alone_makes_no_tunnel() {
        let text = b"GET / HTTP/1.1 and more text than any header needs";
        for port in [4789, 4790, 6081, 4754, 3544, 1701, 2152] {
            stays_outside(port, text);
            stays_outside(port, b"");
        }
        let control = [0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
        stays_outside(1701, &control);
        let arp = ethernet(0x0806, &[0; 28]);
        stays_outside(4789, &vxlan(7, &arp));
    }

    #[test]
    fn reserved_fields_that_are_not_zero_do_not_hide_vxlan() {
        let frame = ethernet(IPV4, &datagram());
        let odd = [&[0xff, 1, 0xd1, 0xf2, 0, 0, 7, 0], &*frame].concat();
        enters(4789, &odd, "vxlan 10.0.0.1-10.0.0.2 key 7");
    }
}
