//! IPsec through NAT (RFC 3948): IKE behind a marker, ESP, and keepalives.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Probe, filled, isakmp, probe_datagram};
use crate::model::protocol::Protocol;

/// IPsec through NAT over UDP (RFC 3948).
pub const PROTOCOL: Protocol = Protocol::new("nat-t", "NAT-T");

/// IKE over UDP behind NAT.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    probe: |opening| probe_datagram(opening, marked),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 4500,
        client: &filled::<44>(
            b"\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0\0\0! \"\x08\0\0\0\0\0\0\
        \0(",
            0,
        ),
        server: b"\xff",
    }],
};

/// ESP over UDP and keepalives, on the one port that they use. They have too little to be told by,
/// so this comes after all others and has no port on which it would be asked first.
pub const ENCAPSULATED: Definition = Definition {
    usual_ports: &[],
    probe: |opening| match opening.has_port(PORT) {
        true => probe_datagram(opening, encapsulated),
        false => Probe::No,
    },
    ..DATAGRAM
};

const PORT: u16 = 4500;

/// IKE behind four zero bytes, where ESP has its security parameters index.
fn marked(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    match r.u32()? {
        0 => isakmp::look(r.rest()),
        _ => Ok(Look::Other),
    }
}

fn encapsulated(bytes: &[u8]) -> Result<Look, Short> {
    if bytes == [0xff] {
        return Ok(Look::ByEither);
    }
    let mut r = Reader::big(bytes);
    let (index, sequence) = (r.u32()?, r.u32()?);
    // Indices up to 255 are reserved (RFC 4303 2.1); ESP ends on a word and holds a check value.
    let is_esp = index > 255 && sequence > 0 && r.left() >= 20 && r.left().is_multiple_of(4);
    Ok(match is_esp {
        true => Look::ByEither,
        false => Look::Other,
    })
}
