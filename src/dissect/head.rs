//! The head of a message of the HTTP family (RFC 9112 2.1): a start line, then fields, up to an
//! empty line. Torn anywhere; bounded.

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::{StartLine, start_line};

/// The longest head that is kept, in bytes: what http.sys takes of a request by default. Of a
/// longer one the lines up to here are read.
pub const MAX_HEAD: usize = 16 * 1024;

/// The longest request that is told, in bytes: enough to know any service's by.
const MAX_REQUEST: usize = 128;

/// A head, as far as it came.
#[derive(Default)]
pub struct Head {
    bytes: Vec<u8>,
    whole: bool,
}

impl Head {
    /// Takes what is its of the bytes; whether it is whole now, or as long as it may be.
    pub fn take(&mut self, r: &mut Reader) -> bool {
        while !self.whole {
            let Ok(line) = r.until(b'\n') else {
                self.add(r.rest());
                self.whole = self.bytes.len() >= MAX_HEAD;
                return self.whole;
            };
            self.add(line);
            self.add(b"\n");
            let is_over = self.bytes.ends_with(b"\n\r\n") || self.bytes.ends_with(b"\n\n");
            self.whole = is_over || self.bytes.len() >= MAX_HEAD;
        }
        true
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(Reader::big(bytes).up_to(room));
    }

    /// What its first line is, in the protocol that `version` begins.
    ///
    /// # Errors
    /// `Short` if that line may still become one.
    pub fn start(&self, version: &str) -> Result<StartLine<'_>, Short> {
        start_line(&self.bytes, version)
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its lines that are complete, without their ends, the start line first.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut r = Reader::big(&self.bytes);
        std::iter::from_fn(move || r.until(b'\n').ok()).map(<[u8]>::trim_ascii)
    }

    /// The words of the first line.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        let first = self.lines().next().unwrap_or_default();
        first
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
    }

    /// The number in a status line: 200, 404.
    pub fn status(&self) -> Option<u16> {
        let code = self.words().nth(1)?;
        names::text(code).parse().ok()
    }

    /// The values of every field by this name, in either case and without what surrounds them.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.lines().skip(1).filter_map(move |line| {
            let mut r = Reader::big(line);
            let is_it = r.until(b':').ok()?.eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| r.rest().trim_ascii())
        })
    }

    /// The value of the first field by this name, as text that is not empty.
    pub fn field(&self, name: &str) -> Option<String> {
        let text = names::text(self.fields(name).next()?);
        (!text.is_empty()).then_some(text)
    }

    /// What a request asks for, with its method and without its query, cut to a bound:
    /// `GET /owa/`. A query may hold what is nobody's business.
    pub fn request(&self) -> Option<String> {
        let mut words = self.words();
        let (method, target) = (words.next()?, words.next()?);
        let path = target.split(|byte| *byte == b'?').next()?;
        let text = [method, path].join(&b' ');
        Some(names::text(Reader::big(&text).up_to(MAX_REQUEST)))
    }

    /// The query of what a request asks for.
    pub fn query(&self) -> Option<String> {
        let mut r = Reader::big(self.words().nth(1)?);
        r.until(b'?').ok()?;
        Some(names::text(r.rest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"GET /owa/?id=7 HTTP/1.1\r\nHost: mail\r\nhost: second\r\nEmpty:\r\n\r\nHost: body\r\n";

    fn head_of(pieces: &[&[u8]]) -> (Head, bool) {
        let mut head = Head::default();
        let whole = (pieces.iter()).any(|piece| head.take(&mut Reader::big(piece)));
        (head, whole)
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_torn() {
        for cut in 0..REQUEST.len() {
            let (left, right) = REQUEST.split_at(cut);
            let (head, whole) = head_of(&[left, right]);
            assert!(whole, "{cut}");
            assert_eq!(head.request().as_deref(), Some("GET /owa/"));
            assert_eq!(head.query().as_deref(), Some("id=7"));
            assert_eq!(head.fields("HOST").count(), 2);
            assert_eq!(head.field("host").as_deref(), Some("mail"));
            assert_eq!(head.field("empty"), None);
        }
    }

    #[test]
    fn what_comes_after_the_empty_line_is_left_to_others() {
        let mut r = Reader::big(REQUEST);
        assert!(Head::default().take(&mut r));
        assert_eq!(r.rest(), b"Host: body\r\n");
    }

    #[test]
    fn a_head_without_end_is_bounded_and_its_whole_lines_are_read() {
        let (head, whole) = head_of(&[b"HTTP/1.1 200 OK\nServer: x\n", &[b'y'; 2 * MAX_HEAD]]);
        assert!(whole);
        assert_eq!(head.bytes.len(), MAX_HEAD);
        assert_eq!(head.status(), Some(200));
        assert_eq!(head.field("server").as_deref(), Some("x"));
    }

    #[test]
    fn a_line_without_its_end_is_no_field() {
        let (head, whole) = head_of(&[b"HTTP/1.1 200 OK\r\nServer: Mic"]);
        assert!(!whole);
        assert_eq!(head.field("server"), None);
    }
}
