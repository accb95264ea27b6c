//! A direction of a stream, cut into lines; and the lines of a greeting.

use crate::dissect::read::Reader;

/// The longest line that is kept, in bytes: twice what SMTP and FTP servers must take
/// (RFC 5321 4.5.3.1.5). Of a longer one the rest is passed over.
pub const MAX_LINE: usize = 1024;

/// Cuts bytes into lines, torn anywhere.
#[derive(Default)]
pub struct Lines {
    /// A line, as far as it came.
    bytes: Vec<u8>,
    /// Bytes are missing in it: it says nothing.
    broken: bool,
}

impl Lines {
    /// The next whole line, without its end; empty if some of it was missing. `None`, with the
    /// bytes used up, where no line ends.
    pub fn next(&mut self, r: &mut Reader) -> Option<Vec<u8>> {
        let Ok(end) = r.until(b'\n') else {
            self.add(r.rest());
            return None;
        };
        self.add(end);
        let mut line = std::mem::take(&mut self.bytes);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match std::mem::take(&mut self.broken) {
            true => Some(Vec::new()),
            false => Some(line),
        }
    }

    /// Says that bytes are missing here: there may be a line's end among them.
    pub fn gap(&mut self) {
        self.broken = true;
    }

    /// A line without its end, as far as it came.
    pub fn pending(&self) -> &[u8] {
        &self.bytes
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(Reader::big(bytes).up_to(room));
    }
}

/// The lines of a greeting, of which there may be several: `220-` goes before `220 `
/// (RFC 959 4.2, RFC 5321 4.2.1).
#[derive(Default)]
pub struct GreetingLines {
    code: Option<[u8; 3]>,
    seen: usize,
    over: bool,
}

/// Lines of a greeting that are told. The product stands in the first ones, if anywhere.
const MAX_GREETING: usize = 4;

impl GreetingLines {
    /// Whether the next line of the side that greets is to be told as part of its greeting.
    pub fn takes(&mut self, line: &[u8]) -> bool {
        if self.over {
            return false;
        }
        self.seen += 1;
        let mut r = Reader::big(line);
        let start: Option<[u8; 3]> = r.array().ok();
        let code = *self.code.get_or_insert(start.unwrap_or_default());
        let goes_on = code.iter().all(u8::is_ascii_digit)
            && (self.seen > 1 || r.clone().u8() == Ok(b'-'))
            && !(start == Some(code) && r.u8() != Ok(b'-'));
        self.over = !goes_on || self.seen >= MAX_GREETING;
        true
    }

    /// Whether its first line is still to come.
    pub fn is_first(&self) -> bool {
        self.seen == 0
    }

    /// Whether no line belongs to it any more.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in pieces {
            let mut r = Reader::big(piece);
            while let Some(line) = lines.next(&mut r) {
                all.push(line);
            }
        }
        all
    }

    #[test]
    fn lines_are_the_same_wherever_they_are_torn() {
        let text = b"220 ready\r\nold\n\r\nno end";
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            assert_eq!(lines(&[left, right]), [&b"220 ready"[..], b"old", b""]);
        }
    }

    #[test]
    fn a_line_with_a_gap_says_nothing() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(&mut Reader::big(b"PORT 1,")), None);
        lines.gap();
        let mut r = Reader::big(b"2\r\nnext\r\n");
        assert_eq!(lines.next(&mut r), Some(Vec::new()));
        assert_eq!(lines.next(&mut r), Some(b"next".to_vec()));
    }

    #[test]
    fn of_a_long_line_the_beginning_is_kept() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.next(&mut Reader::big(&[b'x'; 1000]));
        }
        assert_eq!(lines.pending().len(), MAX_LINE);
        let line = lines.next(&mut Reader::big(b"\n"));
        assert_eq!(line.map(|line| line.len()), Some(MAX_LINE));
    }

    fn told(greeting: &[&str]) -> usize {
        let mut lines = GreetingLines::default();
        greeting
            .iter()
            .filter(|line| lines.takes(line.as_bytes()))
            .count()
    }

    #[test]
    fn a_greeting_ends_where_its_code_stands_alone() {
        assert_eq!(told(&["220 ready", "230 in"]), 1);
        assert_eq!(told(&["220-a", "220-b", "220 c", "230 in"]), 3);
        assert_eq!(told(&["220-a", " welcome", "220 c", "230 in"]), 3);
        assert_eq!(told(&["220-a", "220", "230 in"]), 2);
        assert_eq!(told(&["+OK ready", "+OK"]), 1);
        assert_eq!(told(&["* OK ready", "* CAPABILITY"]), 1);
    }

    #[test]
    fn of_an_endless_greeting_the_first_lines_are_told() {
        assert_eq!(told(&["220-x"; 100]), MAX_GREETING);
    }
}
