//! Protocols of whole messages: each is shown to a listener that remembers what was said in the
//! flow before. A stream is cut into its messages by the lengths with which they begin; the
//! beginning of each is kept up to a bound, and the rest passed over. A datagram is a message.

use crate::dissect::cutter::{Cutter, Damage};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{Dissector, Progress};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// How many different things are told of one flow: a client that asks for ever more is told of as
/// one that asks.
pub const MAX_SAYINGS: usize = 24;

/// What was said in a flow, each once.
#[derive(Default)]
pub struct Sayings {
    said: Vec<(Field, String)>,
}

impl Sayings {
    /// Claims that the sender in direction `by` said `text` there, unless it is empty or was said
    /// before by either side.
    pub fn say(&mut self, field: Field, text: String, by: Direction, found: &mut Vec<Claim>) {
        let is_known = |(place, before): &(Field, String)| *place == field && *before == text;
        if text.is_empty() || self.is_full() || self.said.iter().any(is_known) {
            return;
        }
        self.said.push((field, text.clone()));
        found.push(Claim::Said { field, text, by });
    }

    /// Whether more would be told, were it said.
    pub fn progress(&self) -> Progress {
        match self.is_full() {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn is_full(&self) -> bool {
        self.said.len() >= MAX_SAYINGS
    }
}

/// Reads the messages of one flow.
pub trait Listener: Send {
    /// Takes a message, of which the end may be cut off; tells what it learns of it. Messages come
    /// in the order of each side.
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress;
}

/// How the messages of a stream are told apart.
pub struct Framing {
    /// The length of a message with its head, by its first bytes: `Short` if more of them are
    /// needed, `None` if no message begins so. Needs no more bytes than `most`.
    pub len: fn(Reader) -> Result<Option<usize>, Short>,
    /// How much of a message is kept.
    pub most: usize,
    /// Whether a message begins here, where the boundary was lost.
    pub begins: fn(&[u8]) -> bool,
}

/// Cuts a stream into the messages that a listener hears.
pub struct Stream<L> {
    framing: &'static Framing,
    sides: [Cutter; 2],
    /// The length of the message that is pending, once it is known.
    lens: [Option<usize>; 2],
    listener: L,
}

impl<L: Listener> Stream<L> {
    /// Nothing heard yet.
    pub fn new(framing: &'static Framing, listener: L) -> Stream<L> {
        Stream {
            framing,
            sides: Default::default(),
            lens: [None; 2],
            listener,
        }
    }

    /// The next message, as much of it as is kept. `Short` where it has yet to come, `None` where
    /// the bytes are no message.
    fn next(&mut self, from: Direction, r: &mut Reader) -> Result<Option<Vec<u8>>, Short> {
        let (side, known) = (&mut self.sides[from.index()], &mut self.lens[from.index()]);
        side.pass_over(r);
        while known.is_none() {
            match (self.framing.len)(Reader::big(&side.pending)) {
                Ok(Some(len)) => *known = Some(len.max(side.pending.len())),
                Ok(None) => return Ok(None),
                Err(Short) if side.pending.len() >= self.framing.most => return Ok(None),
                Err(Short) => side.fill(side.pending.len() + 1, r).ok_or(Short)?,
            }
        }
        let len = known.ok_or(Short)?;
        side.fill(len.min(self.framing.most), r).ok_or(Short)?;
        *known = None;
        side.skip_rest(len);
        Ok(Some(std::mem::take(&mut side.pending)))
    }
}

impl<L: Listener> Dissector for Stream<L> {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        if self.sides[from.index()].lost() > 0 {
            // A sender begins a message with a segment sooner or later.
            let begins = |r: Reader| r.left() == bytes.len() && (self.framing.begins)(bytes);
            if (self.sides[from.index()].find_boundary(&mut r, 1, begins)).is_none() {
                return Progress::More;
            }
        }
        loop {
            let message = match self.next(from, &mut r) {
                Ok(Some(message)) => message,
                // Encrypted from here on, or lost.
                Ok(None) => return Progress::Done,
                Err(Short) => return Progress::More,
            };
            match self.listener.hear(from, &message, found) {
                Progress::More => {}
                progress => return progress,
            }
        }
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        if self.sides[from.index()].gap(missing) == Damage::Messages {
            self.lens[from.index()] = None;
        }
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Gives each datagram to a listener.
pub struct Datagrams<L>(pub L);

impl<L: Listener> Dissector for Datagrams<L> {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.0.hear(from, bytes, found)
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// What a flow said, for the tests of dissectors.
#[cfg(test)]
pub mod samples {
    use super::*;

    /// What is said by a dissector that is fed these, as `field: text`.
    pub fn said(dissector: &mut dyn Dissector, talk: &[(Direction, &[u8])]) -> Vec<String> {
        let mut found = Vec::new();
        for (from, bytes) in talk {
            if dissector.feed(*from, bytes, &mut found) != Progress::More {
                break;
            }
        }
        dissector.finish(&mut found);
        texts(&found)
    }

    /// What the claims say, as `field: text`.
    pub fn texts(found: &[Claim]) -> Vec<String> {
        let text = |claim: &Claim| match claim {
            Claim::Said { field, text, .. } => Some(format!("{}: {text}", field.name())),
            _ => None,
        };
        found.iter().filter_map(text).collect()
    }

    /// What is said where the talk comes byte by byte, and where each piece is cut off at every
    /// place: it says no more, and does not fail.
    pub fn torn(make: &dyn Fn() -> Box<dyn Dissector>, talk: &[(Direction, &[u8])]) {
        let all = said(make().as_mut(), talk);
        let bytes: Vec<_> = talk
            .iter()
            .flat_map(|(from, bytes)| bytes.chunks(1).map(|byte| (*from, byte)))
            .collect();
        assert_eq!(said(make().as_mut(), &bytes), all);
        for len in 0..bytes.len() {
            let less = said(make().as_mut(), &bytes[..len]);
            assert!(
                all.starts_with(&less),
                "{less:?} is no beginning of {all:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::said;
    use super::*;
    use crate::model::evidence::Direction::Forward;

    const LETTER: Field = Field::new(&["letter", "letter"]);

    /// Messages of a length and as many bytes; `!` is none.
    const FRAMING: Framing = Framing {
        len: |mut r| {
            let len = r.u8()?;
            Ok((len != b'!').then_some(usize::from(len) + 1))
        },
        most: 8,
        begins: |bytes| bytes.first() == Some(&2),
    };

    #[derive(Default)]
    struct Reads(Sayings);

    impl Listener for Reads {
        fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
            let text = String::from_utf8_lossy(message).replace(char::is_control, "");
            self.0.say(LETTER, text, from, found);
            Progress::More
        }
    }

    fn stream() -> Stream<Reads> {
        Stream::new(&FRAMING, Reads::default())
    }

    #[test]
    fn messages_are_cut_by_their_length_wherever_they_are_torn() {
        let bytes = b"\x02ab\x01c\x00\x03def";
        let all = ["letter: ab", "letter: c", "letter: def"];
        assert_eq!(said(&mut stream(), &[(Forward, bytes)]), all);
        samples::torn(&|| Box::new(stream()), &[(Forward, bytes)]);
    }

    #[test]
    fn of_a_long_message_the_beginning_is_kept() {
        let bytes = [&[31][..], &[b'x'; 31], b"\x02ab"].concat();
        let all = ["letter: xxxxxxx", "letter: ab"];
        assert_eq!(said(&mut stream(), &[(Forward, &bytes)]), all);
    }

    #[test]
    fn what_is_no_message_ends_it() {
        let mut found = Vec::new();
        let mut stream = stream();
        assert_eq!(
            stream.feed(Forward, b"\x01a!!\x01b", &mut found),
            Progress::Done
        );
        assert_eq!(samples::texts(&found), ["letter: a"]);
    }

    #[test]
    fn after_a_gap_the_next_segment_that_begins_a_message_leads_on() {
        let mut found = Vec::new();
        let mut stream = stream();
        stream.feed(Forward, b"\x09abc", &mut found);
        stream.gap(Forward, Some(100));
        stream.feed(Forward, b"\x01z\x02yy", &mut found);
        stream.feed(Forward, b"\x02cd\x01e", &mut found);
        assert_eq!(samples::texts(&found), ["letter: cd", "letter: e"]);
        // One in what is passed over anyway loses nothing.
        stream.feed(Forward, &[&[31][..], &[b'f'; 20]].concat(), &mut found);
        stream.gap(Forward, Some(11));
        stream.feed(Forward, b"\x01g", &mut found);
        assert_eq!(
            samples::texts(&found)[2..],
            ["letter: fffffff", "letter: g"]
        );
    }

    #[test]
    fn a_flow_is_told_of_up_to_a_bound() {
        let bytes: Vec<u8> = (b'A'..b'A' + 50).flat_map(|letter| [1, letter]).collect();
        assert_eq!(said(&mut stream(), &[(Forward, &bytes)]).len(), MAX_SAYINGS);
        let again = b"\x01a\x01a\x01a";
        assert_eq!(said(&mut stream(), &[(Forward, again)]).len(), 1);
    }
}
