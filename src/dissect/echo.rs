//! Echo (RFC 862), on its port: what comes back is what was sent.

use crate::dissect::read::Short;
use crate::dissect::text::begins;
use crate::dissect::{Definition, Example, FirstBytes, Input, Opening, Probe};
use crate::model::evidence::Direction;
use crate::model::protocol::Protocol;

/// Echo (RFC 862).
pub const PROTOCOL: Protocol = Protocol::new(&["echo", "Echo"]);

/// Echo over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    // What two peers begin with alike comes back, too: who knows it by its bytes is asked before.
    usual_ports: &[],
    begins: FirstBytes::ANY,
    probe: |opening| probe(opening, begins),
    follow: None,
    says: &[],
    examples: &[Example {
        port: PORT,
        client: b"some words\r\n",
        server: b"some words\r\n",
    }],
};

/// Echo over UDP: a datagram comes back whole.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    probe: |opening| probe(opening, is_returned),
    ..STREAM
};

const PORT: u16 = 7;

/// How many bytes must come back: fewer may be the same by chance.
const ENOUGH: usize = 4;

/// What compares the bytes sent with those that came back.
type Compare = fn(&[u8], &[u8]) -> Result<bool, Short>;

fn probe(opening: &Opening, compare: Compare) -> Probe {
    if opening.ports.1 != PORT || !opening.from_start || opening.forward.is_empty() {
        return Probe::No;
    }
    match compare(opening.forward, opening.reverse) {
        Ok(false) => Probe::No,
        Ok(true) if opening.reverse.len() >= ENOUGH => Probe::Yes(Some(Direction::Forward)),
        _ => Probe::NeedMore,
    }
}

/// Whether a datagram is the one that was sent; `Short` where none came yet.
fn is_returned(sent: &[u8], returned: &[u8]) -> Result<bool, Short> {
    match returned.is_empty() {
        true => Err(Short),
        false => Ok(sent == returned && returned.len() >= ENOUGH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between<'a>(forward: &'a [u8], reverse: &'a [u8], port: u16) -> Opening<'a> {
        Opening {
            forward,
            reverse,
            ports: (50_000, port),
            from_start: true,
        }
    }

    fn answer(forward: &[u8], reverse: &[u8], port: u16) -> Probe {
        (STREAM.probe)(&between(forward, reverse, port))
    }

    const YES: Probe = Probe::Yes(Some(Direction::Forward));

    #[test]
    fn the_same_bytes_back_are_an_echo_on_its_port_alone() {
        assert_eq!(answer(b"some words", b"some words", 7), YES);
        assert_eq!(answer(b"some words and more", b"some words", 7), YES);
        assert_eq!(answer(b"some words", b"some words", 8), Probe::No);
        assert_eq!(answer(b"some words", b"some other", 7), Probe::No);
        assert_eq!(answer(b"", b"some words", 7), Probe::No);
    }

    #[test]
    fn it_is_undecided_until_enough_came_back() {
        for len in 0..10 {
            let expected = if len < ENOUGH { Probe::NeedMore } else { YES };
            assert_eq!(
                answer(b"some words", &b"some words"[..len], 7),
                expected,
                "{len}"
            );
        }
    }

    #[test]
    fn a_datagram_is_an_echo_if_the_whole_of_it_comes_back() {
        let answer = |forward, reverse, port| (DATAGRAM.probe)(&between(forward, reverse, port));
        assert_eq!(answer(b"some words", b"", 7), Probe::NeedMore);
        assert_eq!(answer(b"some words", b"some words", 7), YES);
        for other in [&b"some word"[..], b"some words and more", b"some other"] {
            assert_eq!(answer(b"some words", other, 7), Probe::No);
        }
        assert_eq!(answer(b"some words", b"some words", 8), Probe::No);
        assert_eq!(answer(b"", b"some words", 7), Probe::No);
        assert_eq!(answer(b"one", b"one", 7), Probe::No, "too few to tell");
    }

    #[test]
    fn however_much_is_sent_its_beginning_decides() {
        assert_eq!(answer(&[0xa5; 100_000], &[0xa5; 1000], 7), YES);
        assert_eq!(answer(&[0xa5; 1000], &[0xa5; 100_000], 7), Probe::NeedMore);
    }
}
