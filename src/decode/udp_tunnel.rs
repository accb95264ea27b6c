//! Tunnels in UDP. A port says where to look, and the tunnel's own header whether it is one.

use super::gre;
use super::layer::Layer;
use super::link::Shape;
use super::tunnel::{Content, Inner};
use crate::model::five_tuple::TunnelKind;

/// A tunnel that UDP carries.
struct Carrier {
    port: u16,
    /// Whether packets also come from that port, rather than from one that only spreads load.
    is_both_ways: bool,
    read: for<'a> fn(Layer<'a>) -> Option<Inner<'a>>,
}

const CARRIERS: &[Carrier] = &[
    // RFC 7348 5.
    to_port(4789, vxlan),
    // draft-ietf-nvo3-vxlan-gpe 3.1.
    to_port(4790, vxlan_any),
    // RFC 8926 3.3.
    to_port(6081, geneve),
    // RFC 8086 3.
    to_port(4754, in_gre),
    // RFC 4380 5.1.1.
    both_ways(3544, teredo),
    // RFC 2661 8.1.
    both_ways(1701, l2tp),
    // 3GPP TS 29.281 4.4.2.
    both_ways(2152, gtp),
];

const fn to_port(port: u16, read: for<'a> fn(Layer<'a>) -> Option<Inner<'a>>) -> Carrier {
    Carrier {
        port,
        is_both_ways: false,
        read,
    }
}

const fn both_ways(port: u16, read: for<'a> fn(Layer<'a>) -> Option<Inner<'a>>) -> Carrier {
    Carrier {
        is_both_ways: true,
        ..to_port(port, read)
    }
}

/// What a datagram between these ports carries, if its first bytes are a tunnel's.
pub(super) fn inner(ports: (u16, u16), payload: Layer) -> Option<Inner> {
    let fits = |carrier: &&Carrier| {
        carrier.port == ports.1 || carrier.is_both_ways && carrier.port == ports.0
    };
    CARRIERS
        .iter()
        .find(fits)
        .and_then(|carrier| (carrier.read)(payload))
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
