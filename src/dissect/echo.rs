//! Echo (RFC 862), on its port: what comes back is what was sent.

use crate::dissect::text::begins;
use crate::dissect::{Definition, Example, FirstBytes, Input, Opening, Probe};
use crate::model::evidence::Direction;
use crate::model::protocol::Protocol;

/// Echo (RFC 862).
pub const PROTOCOL: Protocol = Protocol::new(&["echo", "Echo"]);

/// Echo over TCP. Over UDP each datagram is looked at alone, which tells nothing.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    // What two peers begin with alike comes back, too: who knows it by its bytes is asked before.
    usual_ports: &[],
    begins: FirstBytes::ANY,
    probe,
    follow: None,
    says: &[],
    examples: &[Example {
        port: PORT,
        client: b"some words\r\n",
        server: b"some words\r\n",
    }],
};

const PORT: u16 = 7;

/// How many bytes must come back: fewer may be the same by chance.
const ENOUGH: usize = 4;

fn probe(opening: &Opening) -> Probe {
    if opening.ports.1 != PORT || !opening.from_start || opening.forward.is_empty() {
        return Probe::No;
    }
    match begins(opening.forward, opening.reverse) {
        Ok(false) => Probe::No,
        Ok(true) if opening.reverse.len() >= ENOUGH => Probe::Yes(Some(Direction::Forward)),
        _ => Probe::NeedMore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(forward: &[u8], reverse: &[u8], port: u16) -> Probe {
        probe(&Opening {
            forward,
            reverse,
            ports: (50_000, port),
            from_start: true,
        })
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
    fn however_much_is_sent_its_beginning_decides() {
        assert_eq!(answer(&[0xa5; 100_000], &[0xa5; 1000], 7), YES);
        assert_eq!(answer(&[0xa5; 1000], &[0xa5; 100_000], 7), Probe::NeedMore);
    }
}
