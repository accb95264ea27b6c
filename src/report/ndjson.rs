//! Rows as NDJSON: one object a line, every key there, null where there is no value.
//!
//! This is the way that millions of rows take, so a line is built in one buffer that is used
//! again, without a tree of values in between.

use std::io::{self, Write};

use crate::report::column::{Column, Context, Value};
use crate::report::escape::is_unsafe;
use crate::report::plain;
use crate::report::record::{CANDIDATE, EVIDENCE, INTERFACE, REACHED};

/// Writes rows as lines of JSON.
pub struct Ndjson<R: 'static> {
    columns: &'static [Column<R>],
    heads: Heads,
    nested: Nested,
    line: Vec<u8>,
}

/// What stands before the value of each column of a list: `{"start":`, `,"end":`.
struct Heads(Vec<String>);

impl Heads {
    fn of<R>(columns: &[Column<R>]) -> Heads {
        let begins = ["{"].into_iter().chain(std::iter::repeat(","));
        let head = |(column, begin): (&Column<R>, &str)| format!("{begin}\"{}\":", column.name);
        Heads(columns.iter().zip(begins).map(head).collect())
    }
}

/// The heads of the rows within rows.
struct Nested {
    interface: Heads,
    candidate: Heads,
    reached: Heads,
    evidence: Heads,
}

impl<R> Ndjson<R> {
    /// For rows of these columns.
    pub fn new(columns: &'static [Column<R>]) -> Ndjson<R> {
        Ndjson {
            columns,
            heads: Heads::of(columns),
            nested: Nested {
                interface: Heads::of(INTERFACE),
                candidate: Heads::of(CANDIDATE),
                reached: Heads::of(REACHED),
                evidence: Heads::of(EVIDENCE),
            },
            line: Vec::new(),
        }
    }

    /// Writes one row and its line end.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn row(&mut self, out: &mut impl Write, context: Context, row: &R) -> io::Result<()> {
        self.line.clear();
        let cells = Cells {
            context,
            nested: &self.nested,
        };
        cells.object(&mut self.line, &self.heads, self.columns, row);
        self.line.push(b'\n');
        out.write_all(&self.line)
    }
}

/// What values are written by.
#[derive(Clone, Copy)]
struct Cells<'a> {
    context: Context<'a>,
    nested: &'a Nested,
}

impl Cells<'_> {
    fn object<R>(self, line: &mut Vec<u8>, heads: &Heads, columns: &[Column<R>], row: &R) {
        for (column, head) in columns.iter().zip(&heads.0) {
            line.extend_from_slice(head.as_bytes());
            self.value(line, (column.of)(self.context, row));
        }
        line.push(b'}');
    }

    fn value(self, line: &mut Vec<u8>, value: Value) {
        let nested = self.nested;
        match value {
            Value::Null => line.extend_from_slice(b"null"),
            Value::Number(number) => plain::number(line, number),
            Value::Time(moment) => quoted(line, |line| plain::time(line, moment)),
            Value::Seconds(span) => plain::seconds(line, span),
            Value::Address(address) => quoted(line, |line| plain::address(line, address)),
            Value::Uuid(uuid) => quoted(line, |line| plain::uuid(line, uuid)),
            Value::Version(major, minor) => {
                quoted(line, |line| plain::version(line, major, minor));
            }
            Value::CommunityId(id) => quoted(line, |line| plain::community_id(line, id)),
            Value::Text(text) | Value::Wire(text) => string(line, text),
            Value::Made(text) => string(line, &text),
            Value::Wires(texts) => array(line, texts, |line, text| string(line, text)),
            Value::Interfaces(rows) => self.objects(line, &nested.interface, INTERFACE, rows),
            Value::Services(rows) => self.objects(line, &nested.candidate, CANDIDATE, rows),
            Value::Reached(rows) => self.objects(line, &nested.reached, REACHED, rows),
            Value::Evidence(rows) => self.objects(line, &nested.evidence, EVIDENCE, rows),
        }
    }

    fn objects<R>(self, line: &mut Vec<u8>, heads: &Heads, columns: &[Column<R>], rows: &[R]) {
        array(line, rows, |line, row| {
            self.object(line, heads, columns, row)
        });
    }
}

fn array<T>(line: &mut Vec<u8>, items: &[T], item: impl Fn(&mut Vec<u8>, &T)) {
    line.push(b'[');
    for (place, one) in items.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        item(line, one);
    }
    line.push(b']');
}

/// Appends a JSON string of what needs no escape.
fn quoted(line: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>)) {
    line.push(b'"');
    text(line);
    line.push(b'"');
}

/// Whether every byte stands for itself in a JSON string, and is safe wherever it is shown.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().chain([last]).all(are_plain),
        None => (bytes.iter()).all(|byte| matches!(byte, b' '..=b'~') && !br#""\"#.contains(byte)),
    }
}

/// The same of eight bytes at once: each test leaves the high bit of a byte that fails it.
fn are_plain(bytes: &[u8; 8]) -> bool {
    let bytes = u64::from_ne_bytes(*bytes);
    const EACH: u64 = u64::MAX / 0xff;
    const HIGH: u64 = EACH * 0x80;
    // Of ASCII alone no sum of two bytes runs over into the next; what is not ASCII fails anyway.
    let is_above = |limit: u8| (bytes & !HIGH) + EACH * u64::from(0x7f - limit);
    let is_not = |byte: u8| ((bytes ^ (EACH * u64::from(byte))) & !HIGH) + EACH * 0x7f;
    let passes = is_above(b' ' - 1) & !is_above(b'~') & is_not(b'"') & is_not(b'\\') & !bytes;
    passes & HIGH == HIGH
}

/// Appends a JSON string (RFC 8259 7). What is unsafe on a terminal is written as `\uXXXX`: the
/// reader of the JSON gets the same text, and a terminal nothing to act on.
fn string(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    match is_plain(text) {
        true => line.extend_from_slice(text.as_bytes()),
        false => text.chars().for_each(|c| character(line, c)),
    }
    line.push(b'"');
}

fn character(line: &mut Vec<u8>, c: char) {
    match c {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        c if is_unsafe(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(line, "\\u{unit:04x}").expect("a vector takes all");
            }
        }
        c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(add: impl Fn(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        add(&mut line);
        String::from_utf8(line).expect("text")
    }

    #[test]
    fn a_string_reads_back_as_it_was() {
        for text in [
            "",
            "lsass",
            "a\"b\\c",
            "\u{0}\u{1f}\u{7f}\u{9b}",
            "é\u{202e}🖨",
            "Local Security Authority",
            "Local \"Security\" Authority",
            "Local Security \\Authority",
            "Local Sécurity Authority",
            "eight of\u{7f}",
            "\u{e0041}",
        ] {
            let json = written(|line| string(line, text));
            assert_eq!(serde_json::from_str::<String>(&json).expect(&json), text);
        }
    }

    #[test]
    fn nothing_unsafe_stands_in_a_string() {
        let json = written(|line| string(line, "\u{1b}[2J\u{202e}\u{9b}\u{e0041}"));
        assert_eq!(json, r#""\u001b[2J\u202e\u009b\udb40\udc41""#);
    }
}
