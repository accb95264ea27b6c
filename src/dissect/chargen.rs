//! Character Generator (RFC 864): the lines of its pattern.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Role, probe_datagram, probe_stream,
};
use crate::model::protocol::Protocol;

/// Character Generator (RFC 864).
pub const PROTOCOL: Protocol = Protocol::new(&["chargen", "Chargen"]);

/// Character Generator over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[19],
    begins: FirstBytes::PRINTABLE,
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 19,
        client: b"",
        server: b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n",
    }],
};

/// Character Generator over UDP.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    probe: |opening| probe_datagram(opening, look),
    ..STREAM
};

/// How long a line of the pattern is.
const LINE: usize = 72;

/// A line in which each character is the next of the 95 that print, from whichever it begins.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let line = r.up_to(LINE);
    let after = |one: u8| if one == b'~' { b' ' } else { one + 1 };
    let fits = line.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && (line.iter().zip(line.iter().skip(1))).all(|(one, next)| after(*one) == *next);
    if !fits {
        return Ok(Look::Other);
    }
    if line.len() < LINE {
        return Err(Short);
    }
    Ok(match (r.u8()?, r.u8()?) {
        (b'\r', b'\n') => Look::By(Role::Server),
        _ => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: u8) -> Vec<u8> {
        let pattern = (b' '..=b'~').cycle().skip((from - b' ').into());
        pattern.take(LINE).chain(*b"\r\n").collect()
    }

    #[test]
    fn every_line_of_the_pattern_is_known() {
        for from in b' '..=b'~' {
            assert_eq!(look(&line(from)), Ok(Look::By(Role::Server)));
        }
        assert_eq!(look(&line(b'#').repeat(1000)), Ok(Look::By(Role::Server)));
    }

    #[test]
    fn a_line_torn_at_every_byte_is_undecided() {
        for len in 0..LINE + 2 {
            assert_eq!(look(&line(b'A')[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn other_text_is_not_the_pattern() {
        for place in [0, 1, 40, 71, 72, 73] {
            let mut other = line(b'A');
            other[place] = b'!';
            assert_eq!(look(&other), Ok(Look::Other), "{place}");
        }
        assert_eq!(look(b"USER me\r\n"), Ok(Look::Other));
    }
}
