//! Line Printer Daemon (RFC 1179): commands, and how servers head the list of a queue's jobs.

use crate::dissect::lines::Lines;
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::line;
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Opening, Probe, Progress, names,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Line Printer Daemon (RFC 1179).
pub const PROTOCOL: Protocol = Protocol::new(&["lpd", "LPD"]);

/// The first line that is not blank of what a server says of a queue. How that looks is left to the
/// server (RFC 1179 5.3, 5.4), and Windows' begins with its name.
const STATE: Field = Field::new(&["lpd-queue-state", "queue state"]);

/// LPD over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::range(0, 5),
    probe,
    follow: Some(|_| Box::new(QueueState::default())),
    says: &[STATE],
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

/// Tells how the answer begins to a question for the state of a queue.
#[derive(Default)]
struct QueueState {
    /// The client's command.
    command: Option<u8>,
    lines: Lines,
    /// Lines so far that said nothing.
    blank: usize,
    told: bool,
}

/// "Send queue state", short and long.
const ASKS_STATE: [u8; 2] = [3, 4];

/// Lines that may say nothing before one that does.
const MAX_BLANK: usize = 4;

impl Dissector for QueueState {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        // The probe has found the client where it is.
        if from == Direction::Forward {
            self.command = self.command.or(r.u8().ok());
            return match self.command {
                Some(command) if !ASKS_STATE.contains(&command) => Progress::Done,
                _ => Progress::More,
            };
        }
        while let Some(line) = self.lines.next(&mut r) {
            self.tell(&line, found);
            self.blank += 1;
            if self.told || self.blank >= MAX_BLANK {
                self.told = true;
                return Progress::Done;
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        // What comes after may be the name of a job.
        self.told |= from == Direction::Reverse;
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        // Of a queue that it has not, Windows says so in a text that a zero ends, and no line's end.
        let lines = std::mem::take(&mut self.lines);
        if let Ok(text) = Reader::big(lines.pending()).until(0) {
            self.tell(text, found);
        }
    }
}

impl QueueState {
    fn tell(&mut self, line: &[u8], found: &mut Vec<Claim>) {
        let text = names::text(line.trim_ascii());
        let is_asked = (self.command).is_some_and(|command| ASKS_STATE.contains(&command));
        if self.told || !is_asked || text.is_empty() {
            return;
        }
        self.told = true;
        found.push(Claim::Said {
            field: STATE,
            text,
            by: Direction::Reverse,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// What Windows 2000 answers (Microsoft KB Q245033).
    const LISTED: &[u8] = b"\r\n                         Windows 2000 LPD Server\r\n\
        Printer \\\\192.0.2.1\\lp\r\n\r\nOwner       Status\r\n";

    /// What a server of Windows answers for a queue that it has not, without an end.
    const UNKNOWN: &[u8] =
        b"\r\n        Windows LPD ServerError: specified printer does not exist\0n\0a";

    fn state() -> Box<dyn Dissector> {
        Box::new(QueueState::default())
    }

    #[test]
    fn the_answer_to_a_question_for_the_state_of_a_queue_is_told_by_its_first_line() {
        for command in [&b"\x03lp\n"[..], b"\x04lp me\n"] {
            let told = said(state().as_mut(), &[(Forward, command), (Reverse, LISTED)]);
            assert_eq!(told, ["lpd-queue-state: Windows 2000 LPD Server"]);
        }
        let told = said(
            state().as_mut(),
            &[(Forward, b"\x03lp\n"), (Reverse, UNKNOWN)],
        );
        let error = "Windows LPD ServerError: specified printer does not exist";
        assert_eq!(told, [format!("lpd-queue-state: {error}")]);
    }

    #[test]
    fn the_state_is_the_same_wherever_it_is_torn() {
        for answer in [LISTED, UNKNOWN] {
            torn(&state, &[(Forward, b"\x03lp\n"), (Reverse, answer)]);
        }
    }

    #[test]
    fn answers_to_other_commands_and_after_gaps_or_blank_lines_are_not_told() {
        let none: [&[(Direction, &[u8])]; 3] = [
            &[(Forward, b"\x02lp\n"), (Reverse, LISTED)],
            &[(Reverse, LISTED)],
            &[
                (Forward, b"\x03lp\n"),
                (Reverse, b"\n\n\n\n\n"),
                (Reverse, LISTED),
            ],
        ];
        for talk in none {
            assert!(said(state().as_mut(), talk).is_empty(), "{talk:?}");
        }
        let mut lost = state();
        let mut found = Vec::new();
        lost.feed(Forward, b"\x03lp\n", &mut found);
        lost.gap(Reverse, Some(9));
        lost.feed(Reverse, LISTED, &mut found);
        lost.finish(&mut found);
        assert_eq!(found, []);
    }

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
