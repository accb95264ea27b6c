//! GRE headers: from IP protocol 47 to what is inside.

use super::layer::Layer;
use super::link::Shape;
use super::tunnel::{Content, Inner};
use crate::model::five_tuple::TunnelKind;

/// A GRE header, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gre<'a> {
    /// The key (RFC 2890); of version 1 the call id (RFC 2637 4.1).
    pub(super) key: Option<u32>,
    /// Whether it is enhanced GRE, version 1, as PPTP uses it.
    pub(super) is_pptp: bool,
    /// What is inside, if it is known and there is anything.
    pub(super) inner: Option<(Shape, Layer<'a>)>,
}

impl<'a> Gre<'a> {
    /// What the tunnel carries. PPTP's call ids differ by direction and name no tunnel.
    pub(super) fn carried(self) -> Option<Inner<'a>> {
        let (shape, layer) = self.inner?;
        let (kind, key) = if self.is_pptp {
            (TunnelKind::Pptp, None)
        } else {
            (TunnelKind::Gre, self.key)
        };
        Some(Inner {
            kind,
            key,
            content: Content::Frame(shape, layer),
        })
    }
}

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Version 1 alone has it.
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

/// Reads a GRE header of version 0 (RFC 2784, RFC 2890, RFC 1701's routing) or 1 (RFC 2637).
pub(super) fn read(layer: Layer) -> Option<Gre> {
    let flags = layer.u16(0)?;
    let kind = layer.u16(2)?;
    match flags & VERSION {
        0 => read_plain(flags, kind, layer),
        1 if kind == PPP => read_enhanced(flags, layer),
        _ => None,
    }
}

fn read_plain(flags: u16, kind: u16, layer: Layer) -> Option<Gre> {
    let mut rest = layer.after(4);
    if flags & (CHECKSUM | ROUTING) != 0 {
        rest = rest.after(4);
    }
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(rest.u32(0)?);
        rest = rest.after(4);
    }
    if flags & SEQUENCE != 0 {
        rest = rest.after(4);
    }
    let inner = (flags & ROUTING == 0)
        .then_some(rest)
        .or_else(|| skip_routes(rest))
        .and_then(|rest| inside(kind, flags, rest));
    Some(Gre {
        key,
        is_pptp: false,
        inner,
    })
}

/// Enhanced GRE always has a key; without a sequence number it only acknowledges (RFC 2637 4.1).
fn read_enhanced(flags: u16, layer: Layer) -> Option<Gre> {
    let length = layer.u16(4)?;
    let call = layer.u16(6)?;
    let header = 8
        + if flags & SEQUENCE != 0 { 4 } else { 0 }
        + if flags & ACKNOWLEDGEMENT != 0 { 4 } else { 0 };
    let carries = flags & SEQUENCE != 0 && length > 0;
    Some(Gre {
        key: Some(call.into()),
        is_pptp: true,
        inner: carries.then(|| (Shape::Ppp, layer.after(header).at_most(length.into()))),
    })
}

/// More source routes than RFC 1701's authors ever saw; nobody sends any today.
const MAX_ROUTES: usize = 16;

/// Skips the source route entries; the last has length 0 (RFC 1701).
fn skip_routes(mut layer: Layer) -> Option<Layer> {
    for _ in 0..MAX_ROUTES {
        let length = layer.u8(3)?;
        layer = layer.after(4 + usize::from(length));
        if length == 0 {
            return Some(layer);
        }
    }
    None
}

/// The EtherType of PPP.
const PPP: u16 = 0x880b;
/// ERSPAN of the first two types.
const ERSPAN: u16 = 0x88be;
/// ERSPAN type III.
const ERSPAN_III: u16 = 0x22eb;

/// What a protocol type announces. Mirrored frames have an ERSPAN header first.
fn inside(kind: u16, flags: u16, layer: Layer) -> Option<(Shape, Layer)> {
    match kind {
        // Type I has neither a sequence number nor a header of its own.
        ERSPAN if flags & SEQUENCE == 0 => Some((Shape::Ethernet, layer)),
        ERSPAN => Some((Shape::Ethernet, layer.after(8))),
        ERSPAN_III => {
            let last = layer.u16(10)?;
            let has_subheader = last & 1 == 1;
            let inner = layer.after(if has_subheader { 20 } else { 12 });
            // The frame type: 0 is Ethernet, 2 is IP.
            match last >> 10 & 0x1f {
                0 => Some((Shape::Ethernet, inner)),
                2 => Some((Shape::Ip, inner)),
                _ => None,
            }
        }
        kind => Some((Shape::EtherType(kind), layer)),
    }
}
