//! Remote Desktop Protocol (MS-RDPBCGR 2.2.1.1, 2.2.1.2): an X.224 connection request in TPKT.

use crate::dissect::read::{Reader, Short};
use crate::dissect::text::begins;
use crate::dissect::{Definition, Example, Input, Look, Opening, Probe, Role, probe_stream};
use crate::model::protocol::Protocol;

/// Remote Desktop Protocol (MS-RDPBCGR).
pub const PROTOCOL: Protocol = Protocol::new("rdp", "RDP");

/// RDP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    probe,
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 3389,
            client: b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0",
            server: b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x02\x1f\x08\0\x02\0\0\0",
        },
        Example {
            port: 3390,
            client: b"\x03\0\0$\x1f\xe0\0\0\0\0\0Cookie: mstshash=me\r\n\r\n",
            server: b"",
        },
    ],
};

const PORT: u16 = 3389;

fn probe(opening: &Opening) -> Probe {
    probe_stream(opening, |bytes| look(bytes, opening.has_port(PORT)))
}

fn look(bytes: &[u8], on_usual_port: bool) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u8()? != 3 || r.u8()? != 0 {
        return Ok(Look::Other);
    }
    let len = usize::from(r.u16()?);
    // The X.224 length counts what comes after itself.
    if len < 11 || usize::from(r.u8()?) + 5 != len {
        return Ok(Look::Other);
    }
    let role = match r.u8()? {
        0xe0 => Role::Client,
        0xd0 => Role::Server,
        _ => return Ok(Look::Other),
    };
    let (destination, _source, class) = (r.u16()?, r.u16()?, r.u8()?);
    if class != 0 || (role == Role::Client && destination != 0) {
        return Ok(Look::Other);
    }
    // Other users of X.224 put their selectors here; old RDP puts nothing, which says nothing.
    if len == 11 {
        return Ok(match on_usual_port {
            true => Look::By(role),
            false => Look::Other,
        });
    }
    let rest = r.rest();
    let marks: &[&[u8]] = match role {
        Role::Client => &[b"Cookie: ", b"tsv:", &[1], &[6]],
        Role::Server => &[&[2], &[3]],
    };
    for mark in marks {
        if begins(rest, mark)? && (mark.len() > 1 || is_negotiation(rest)?) {
            return Ok(Look::By(role));
        }
    }
    Ok(Look::Other)
}

/// RDP_NEG_REQ and its answers: kind, flags, and the length eight, little-endian.
fn is_negotiation(bytes: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::little(bytes);
    let (kind, _flags, len) = (r.u8()?, r.u8()?, r.u16()?);
    Ok(len == if kind == 6 { 36 } else { 8 })
}
