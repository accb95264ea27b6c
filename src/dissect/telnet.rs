//! Telnet (RFC 854), by the negotiation that it begins with.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, probe_stream};
use crate::model::protocol::Protocol;

/// Telnet (RFC 854).
pub const PROTOCOL: Protocol = Protocol::new("telnet", "Telnet");

/// Telnet over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[23],
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 23,
        client: b"",
        server: b"\xff\xfd\x18\xff\xfb\x01",
    }],
};

/// "Interpret as command".
const IAC: u8 = 255;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    // WILL, WON'T, DO, DON'T and an option: those below 50 are assigned, and 255 (RFC 861).
    let is_negotiation =
        r.u8()? == IAC && (251..=254).contains(&r.u8()?) && matches!(r.u8()?, 0..50 | 255);
    let goes_on = matches!(r.u8(), Err(Short) | Ok(IAC | b'\r' | b'\n' | 0x20..0x7f));
    Ok(match is_negotiation && goes_on {
        true => Look::ByEither,
        false => Look::Other,
    })
}
