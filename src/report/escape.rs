//! What came from the wire, made safe to look at: the one place that says which characters may
//! reach a terminal as they are.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character can move the cursor, turn the text around, hide, or fake another line.
///
/// These are the control characters (C0, DEL and C1, escape among them), the bidirectional
/// controls of UAX #9, the line and paragraph separators, and what has no width of its own.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The text with each unsafe character written out, as in `\u{1b}`. Safe text is not copied.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("a string takes all"),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_in_any_script_stays_as_it_is() {
        for text in ["", "spoolss", "café", "プリンタ", r"\PIPE\a b", "🖨"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_terminal_escape_does_not_reach_the_terminal() {
        assert_eq!(escape("a\u{1b}[31mb\r\n"), r"a\u{1b}[31mb\u{d}\u{a}");
        assert_eq!(escape("\u{9b}2J\u{7f}\0"), r"\u{9b}2J\u{7f}\u{0}");
    }

    #[test]
    fn text_cannot_be_turned_around_or_hidden() {
        assert_eq!(escape("exe\u{202e}fdp"), r"exe\u{202e}fdp");
        for c in [
            '\u{200b}',
            '\u{200f}',
            '\u{2066}',
            '\u{2069}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(is_unsafe(c), "{c:?}");
        }
    }

    #[test]
    fn nothing_unsafe_is_left_in_what_is_shown() {
        for c in (0..=0x1_0ffff).filter_map(char::from_u32) {
            assert!(!escape(&c.to_string()).chars().any(is_unsafe), "{c:?}");
        }
    }
}
