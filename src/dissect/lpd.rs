//! Line Printer Daemon (RFC 1179).

use crate::dissect::read::{Reader, Short};
use crate::dissect::text::line;
use crate::dissect::{Definition, Example, Input, Opening, Probe};
use crate::model::evidence::Direction;
use crate::model::protocol::Protocol;

/// Line Printer Daemon (RFC 1179).
pub const PROTOCOL: Protocol = Protocol::new("lpd", "LPD");

/// LPD over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    probe,
    follow: None,
    says: &[],
    examples: &[Example {
        port: 515,
        client: b"\x02queue\n",
        server: b"\0",
    }],
};

const PORT: u16 = 515;

/// A command is one byte and a queue's name: either the server's answer, a zero byte, or the port
/// must confirm it.
fn probe(opening: &Opening) -> Probe {
    let answer_fits = matches!(opening.reverse, [] | [0]);
    match is_command(opening.forward) {
        Ok(true) if opening.reverse == [0] || opening.has_port(PORT) => {
            Probe::Yes(Some(Direction::Forward))
        }
        Ok(true) | Err(Short) if answer_fits => Probe::NeedMore,
        _ => Probe::No,
    }
}

fn is_command(bytes: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::big(bytes);
    if !(1..=5).contains(&r.u8()?) {
        return Ok(false);
    }
    let rest = r.rest();
    let named = rest
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .count();
    // Queues have short names; those that also list jobs and users stay on one line.
    if named > 256 || named == 0 && !rest.is_empty() {
        return Ok(false);
    }
    match named == rest.len() {
        true => Err(Short),
        false => Ok(line(rest)?.len() == named),
    }
}
