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
#[derive(Default)]
pub struct Ndjson {
    line: Vec<u8>,
}

impl Ndjson {
    /// Writes one row and its line end.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn row<R>(
        &mut self,
        out: &mut impl Write,
        context: Context,
        columns: &[Column<R>],
        row: &R,
    ) -> io::Result<()> {
        self.line.clear();
        object(&mut self.line, context, columns, row);
        self.line.push(b'\n');
        out.write_all(&self.line)
    }
}

fn object<R>(line: &mut Vec<u8>, context: Context, columns: &[Column<R>], row: &R) {
    for (place, column) in columns.iter().enumerate() {
        line.push(if place == 0 { b'{' } else { b',' });
        line.push(b'"');
        line.extend_from_slice(column.name.as_bytes());
        line.extend_from_slice(b"\":");
        value(line, context, (column.of)(context, row));
    }
    line.push(b'}');
}

fn value(line: &mut Vec<u8>, context: Context, value: Value) {
    match value {
        Value::Null => line.extend_from_slice(b"null"),
        Value::Number(number) => plain::number(line, number),
        Value::Time(moment) => {
            line.push(b'"');
            plain::time(line, moment);
            line.push(b'"');
        }
        Value::Seconds(span) => plain::seconds(line, span),
        Value::Address(address) => {
            line.push(b'"');
            plain::address(line, address);
            line.push(b'"');
        }
        Value::Text(text) | Value::Wire(text) => string(line, text),
        Value::Made(text) => string(line, &text),
        Value::Wires(texts) => array(line, texts, |line, text| string(line, text)),
        Value::Interfaces(rows) => array(line, rows, |l, row| object(l, context, INTERFACE, row)),
        Value::Services(rows) => array(line, rows, |l, row| object(l, context, CANDIDATE, row)),
        Value::Reached(rows) => array(line, rows, |l, row| {
            object(l, context.through(&row.pipes), REACHED, row);
        }),
        Value::Evidence(rows) => array(line, rows, |l, row| object(l, context, EVIDENCE, row)),
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

/// Appends a JSON string (RFC 8259 7). What is unsafe on a terminal is written as `\uXXXX`: the
/// reader of the JSON gets the same text, and a terminal nothing to act on.
fn string(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    // Without an early end, so that many bytes are looked at in one step.
    let is_plain = |b: u8| matches!(b, b' '..=b'~') & (b != b'"') & (b != b'\\');
    match (text.bytes()).fold(true, |all, b| all & is_plain(b)) {
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
