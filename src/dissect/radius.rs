//! Remote Authentication Dial In User Service (RFC 2865, RFC 2866, RFC 5176).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Role, is_long_enough, probe_datagram};
use crate::model::protocol::Protocol;

/// Remote Authentication Dial In User Service (RFC 2865).
pub const PROTOCOL: Protocol = Protocol::new("radius", "RADIUS");

/// RADIUS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[1812, 1813, 1645, 1646],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1812,
        client: b"\x01\x07\0\x19ZZZZZZZZZZZZZZZZ\x01\x05bob",
        server: b"\x02\x07\0\x19ZZZZZZZZZZZZZZZZ\x01\x05bob",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (code, _id, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
    let role = match code {
        1 | 4 | 12 | 40 | 43 => Role::Client,
        2 | 3 | 5 | 11 | 41 | 42 | 44 | 45 => Role::Server,
        _ => return Ok(Look::Other),
    };
    if !(20..=4096).contains(&len) || bytes.len() > len || !is_long_enough(bytes, len) {
        return Ok(Look::Other);
    }
    r.skip(16)?; // the authenticator
    // Every request has attributes; answers need not.
    if r.left() == 0 && role == Role::Client {
        return Ok(Look::Other);
    }
    while r.left() > 0 {
        let (kind, size) = (r.u8()?, r.u8()?);
        if kind == 0 || size < 2 {
            return Ok(Look::Other);
        }
        let is_cut = bytes.len() < len && r.left() < usize::from(size) - 2;
        if is_cut {
            break;
        }
        r.skip(usize::from(size) - 2)?;
    }
    Ok(Look::By(role))
}
