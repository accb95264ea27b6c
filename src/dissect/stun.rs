//! Session Traversal Utilities for NAT (RFC 8489).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Role, probe_datagram, probe_stream,
};
use crate::model::protocol::Protocol;

/// Session Traversal Utilities for NAT (RFC 8489).
pub const PROTOCOL: Protocol = Protocol::new(&["stun", "STUN"]);

/// STUN over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[3478],
    begins: FirstBytes::range(0, 0x3f),
    probe: |opening| probe_datagram(opening, alone),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 3478,
        client: b"\0\x01\0\0!\x12\xa4Babcdefghijkl",
        server: b"\x01\x01\0\0!\x12\xa4Babcdefghijkl",
    }],
};

/// STUN over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[3478],
    begins: FirstBytes::range(0, 0x3f),
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 3478,
        client: b"\0\x01\0\0!\x12\xa4Babcdefghijkl",
        server: b"\x01\x01\0\0!\x12\xa4Babcdefghijkl",
    }],
};

/// A datagram holds one message and nothing else.
fn alone(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    r.skip(2)?;
    match usize::from(r.u16()?) + 20 == bytes.len() {
        true => look(bytes),
        false => Ok(Look::Other),
    }
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let kind = r.u16()?;
    if kind & 0xc000 != 0 || r.u16()? % 4 != 0 || r.u32()? != MAGIC {
        return Ok(Look::Other);
    }
    Ok(match kind & 0x0110 {
        0x0000 => Look::By(Role::Client),
        0x0010 => Look::ByEither, // an indication
        _ => Look::By(Role::Server),
    })
}

/// RFC 8489 5: "magic cookie".
const MAGIC: u32 = 0x2112_a442;
