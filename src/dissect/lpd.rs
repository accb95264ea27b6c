//! Line Printer Daemon (RFC 1179).

use crate::dissect::read::{Reader, Short};
use crate::dissect::text::line;
use crate::dissect::{Definition, Example, FirstBytes, Input, Opening, Probe};
use crate::model::evidence::Direction;
use crate::model::protocol::Protocol;

/// Line Printer Daemon (RFC 1179).
pub const PROTOCOL: Protocol = Protocol::new(&["lpd", "LPD"]);

/// LPD over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::range(0, 5),
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

/// How many words may stand after each command, the queue's name the first of them: of a list of jobs,
/// both ways, and of a removal the user before them (RFC 1179 5).
const WORDS: [std::ops::RangeInclusive<usize>; 5] =
    [1..=1, 1..=1, 1..=MAX_WORDS, 1..=MAX_WORDS, 2..=MAX_WORDS];

/// Jobs and users that one line names at most, with room to spare.
const MAX_WORDS: usize = 64;

fn is_command(bytes: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::big(bytes);
    let Some(words) = WORDS.get(usize::from(r.u8()?).wrapping_sub(1)) else {
        return Ok(false);
    };
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
        false => {
            let line = line(rest)?;
            let count = line
                .split(|byte| *byte == b' ')
                .filter(|word| !word.is_empty());
            let begins_with_name = line.first() != Some(&b' ');
            Ok(line.len() == named && begins_with_name && words.contains(&count.count()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_the_words_that_it_takes() {
        for (bytes, is_one) in [
            (&b"\x01lp\n"[..], true),
            (b"\x02lp\n", true),
            (b"\x02lp extra\n", false),
            (b"\x03lp\n", true),
            (b"\x04lp me 12\r\n", true),
            (b"\x05lp me 12\n", true),
            (b"\x05lp\n", false),
            (b"\x02 lp\n", false),
            (b"\x06lp\n", false),
            (b"\0lp\n", false),
            (b"\x02l\tp\n", false),
        ] {
            assert_eq!(is_command(bytes), Ok(is_one), "{bytes:?}");
        }
    }

    #[test]
    fn a_command_is_undecided_until_its_end_and_refused_beyond_the_bound() {
        let command = b"\x04lp me 12\n";
        for len in 0..command.len() {
            assert_eq!(is_command(&command[..len]), Err(Short), "{len}");
        }
        let long = [b"\x03", &[b'x'; 300][..]].concat();
        assert_eq!(is_command(&long), Ok(false));
        let words = [b"\x03", &b"a ".repeat(MAX_WORDS + 1)[..], b"\n"].concat();
        assert_eq!(is_command(&words), Ok(false));
    }
}
