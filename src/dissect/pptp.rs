//! Point-to-Point Tunneling Protocol, control connection (RFC 2637).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Role, filled, probe_stream};
use crate::model::protocol::Protocol;

/// Point-to-Point Tunneling Protocol, control connection (RFC 2637).
pub const PROTOCOL: Protocol = Protocol::new("pptp", "PPTP");

/// PPTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[1723],
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1723,
        client: &filled::<156>(b"\0\x9c\0\x01\x1a+<M\0\x01", 0),
        server: b"",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = r.u16()?;
    if !(12..=512).contains(&len) || r.u16()? != 1 || r.u32()? != MAGIC {
        return Ok(Look::Other);
    }
    Ok(match r.u16()? {
        1 | 7 => Look::By(Role::Client), // start-control-connection, outgoing-call request
        2 | 8 => Look::By(Role::Server),
        3..=15 => Look::ByEither,
        _ => Look::Other,
    })
}

/// RFC 2637 2: "magic cookie".
const MAGIC: u32 = 0x1a2b_3c4d;
