//! Quote of the Day (RFC 865), on its port: a quotation between its marks, and whose it is, as the
//! simple services of Windows send it.

use crate::dissect::lines::MAX_LINE;
use crate::dissect::read::Short;
use crate::dissect::text::line;
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, probe_datagram,
    probe_server_on, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Quote of the Day (RFC 865).
pub const PROTOCOL: Protocol = Protocol::new(&["qotd", "Quotd"]);

/// The first line of what is quoted.
const QUOTE: Field = Field::new(&["quote", "quotes"]);

/// Quote of the Day over TCP: the server speaks, and closes.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::of(b"\""),
    probe: |opening| probe_server_on(PORT, opening, look, probe_stream),
    follow: Some(|_| Box::new(Quote::default())),
    says: &[QUOTE],
    examples: &[Example {
        port: PORT,
        client: b"",
        server: b"\"Here is a line.\"\r\n Somebody (1800-1870)\r\n",
    }],
};

/// Quote of the Day over UDP: the question is any datagram.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    probe: |opening| probe_server_on(PORT, opening, look, probe_datagram),
    ..STREAM
};

const PORT: u16 = 17;

/// The longest quote (RFC 865).
const MAX_QUOTE: usize = 512;

/// Text that begins with a quotation mark and has another at the end of a line.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0);
    let begins = bytes.first().is_none_or(|byte| *byte == b'"');
    if !begins || bytes.len() > MAX_QUOTE || !bytes.iter().all(is_text) {
        return Ok(Look::Other);
    }
    let ends = bytes.windows(2).skip(1);
    match ends
        .clone()
        .any(|pair| matches!(pair, [b'"', b'\r' | b'\n']))
    {
        true => Ok(Look::By(Role::Server)),
        false => Err(Short),
    }
}

/// Tells the first line.
#[derive(Default)]
struct Quote(Vec<u8>);

impl Dissector for Quote {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        if from == Direction::Forward {
            return Progress::More;
        }
        let room = MAX_LINE.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
        let Ok(line) = line(&self.0) else {
            return match self.0.len() < MAX_LINE {
                true => Progress::More,
                false => Progress::Done,
            };
        };
        found.push(Claim::Said {
            field: QUOTE,
            text: names::text(line),
            by: from,
        });
        Progress::Done
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {
        // A line with a hole says nothing.
        self.0.resize(MAX_LINE, 0);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::model::evidence::Direction::{Forward, Reverse};

    const SENT: &[u8] = b"\"We have no time, and\r\n no place.\"\r\n Somebody (1800-1870)\r\n";

    #[test]
    fn a_quotation_is_known_and_undecided_until_its_end() {
        assert_eq!(look(SENT), Ok(Look::By(Role::Server)));
        let end = SENT.windows(2).rposition(|pair| pair == b"\"\r");
        for len in 0..end.expect("it ends") + 2 {
            assert_eq!(look(&SENT[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn other_text_and_what_is_longer_are_no_quote() {
        let long = [b"\"", &[b'x'; MAX_QUOTE][..], b"\"\r\n"].concat();
        for bytes in [&b"220 \"mail\"\r\n"[..], b"\"\x01\"\r\n", &long] {
            assert_eq!(look(bytes), Ok(Look::Other));
        }
    }

    #[test]
    fn its_first_line_is_told_wherever_it_is_torn() {
        let quote = || -> Box<dyn Dissector> { Box::new(Quote::default()) };
        let talk = [(Forward, &b"\n"[..]), (Reverse, SENT)];
        assert_eq!(
            said(quote().as_mut(), &talk),
            ["quote: \"We have no time, and"]
        );
        torn(&quote, &talk);
    }

    #[test]
    fn a_line_with_a_gap_or_without_end_is_not_told() {
        let mut quote = Quote::default();
        quote.feed(Reverse, b"\"We", &mut Vec::new());
        quote.gap(Reverse, Some(3));
        let mut found = Vec::new();
        assert_eq!(quote.feed(Reverse, SENT, &mut found), Progress::Done);
        let mut endless = Quote::default();
        assert_eq!(
            endless.feed(Reverse, &[b'x'; 9000], &mut found),
            Progress::Done
        );
        assert_eq!((endless.0.len(), found), (MAX_LINE, Vec::new()));
    }
}
