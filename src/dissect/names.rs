//! Text from the wire, bounded: names and greetings as claims carry them.

use crate::dissect::read::Reader;

/// The longest pipe name that is kept, in characters: Windows allows 256 with its prefix.
const MAX_PIPE: usize = 256;

/// The longest greeting or annotation that is kept, in bytes: enough for any product's name.
const MAX_TEXT: usize = 256;

/// The name of a pipe, lower case and without `\PIPE\`; `None` if nothing is left.
pub fn pipe(path: &str) -> Option<String> {
    let path = path.trim_end_matches('\0').to_lowercase();
    let path = path.trim_start_matches('\\');
    let name = path.strip_prefix("pipe\\").unwrap_or(path);
    (!name.is_empty()).then(|| name.chars().take(MAX_PIPE).collect())
}

/// Text as sent, up to the first NUL or line end, cut to a bound; what is no UTF-8 is replaced.
pub fn text(bytes: &[u8]) -> String {
    let line = bytes
        .split(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(Reader::big(line).up_to(MAX_TEXT)).into_owned()
}

/// UTF-16 text, little-endian as Windows sends it, up to its first NUL and cut to a bound; what is
/// no UTF-16 is replaced.
pub fn utf16(bytes: &[u8]) -> String {
    let mut r = Reader::little(bytes);
    let units = std::iter::from_fn(|| r.u16().ok())
        .take_while(|unit| *unit != 0)
        .take(MAX_PIPE * 2);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_loses_its_prefix_and_its_case() {
        assert_eq!(pipe("\\PIPE\\Lsass\0"), Some("lsass".into()));
        assert_eq!(pipe("\\svcctl"), Some("svcctl".into()));
        assert_eq!(pipe("winreg"), Some("winreg".into()));
        assert_eq!(pipe("\\PIPE\\"), None);
        assert_eq!(pipe("\\\\"), None);
    }

    #[test]
    fn text_is_cut_to_its_bound() {
        assert_eq!(text(b"220 ready\r\nmore"), "220 ready");
        assert_eq!(text(&[b'x'; 1000]).len(), MAX_TEXT);
        assert_eq!(
            pipe(&"x".repeat(1000)).map(|name| name.len()),
            Some(MAX_PIPE)
        );
    }
}
