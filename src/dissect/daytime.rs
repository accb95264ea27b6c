//! Daytime (RFC 867), on its port: one line with a time of day.

use crate::dissect::read::Short;
use crate::dissect::text::line;
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Role};
use crate::dissect::{probe_datagram, probe_server_on, probe_stream};
use crate::model::protocol::Protocol;

/// Daytime (RFC 867).
pub const PROTOCOL: Protocol = Protocol::new(&["daytime", "Daytime"]);

/// Daytime over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::ANY,
    probe: |opening| probe_server_on(PORT, opening, look, probe_stream),
    follow: None,
    says: &[],
    examples: &[Example {
        port: PORT,
        client: b"",
        server: b"12:34:56 PM 1/2/2003\n",
    }],
};

/// Daytime over UDP: the question is any datagram, the answer tells.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    probe: |opening| probe_server_on(PORT, opening, look, probe_datagram),
    ..STREAM
};

const PORT: u16 = 13;

/// The longest line that is taken for a time.
const MAX_LINE: usize = 64;

/// One line of words and numbers, among them hours, minutes and seconds.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | 0);
    if bytes.len() > MAX_LINE || !bytes.iter().all(is_text) {
        return Ok(Look::Other);
    }
    let has_time = line(bytes)?.split(|byte| *byte == b' ').any(|word| {
        let mut parts = word.split(|byte| *byte == b':');
        let is_number =
            |part: &[u8]| (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        let numbers = parts.by_ref().take_while(|part| is_number(part)).count();
        numbers == 3 && parts.next().is_none()
    });
    Ok(match has_time {
        true => Look::By(Role::Server),
        false => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_time_of_day_is_known() {
        for text in [
            &b"12:34:56 PM 1/2/2003\n"[..],
            b"Tue Nov 24 09:05:07 2026\r\n",
            b"24 NOV 2026 9:05:07 UTC\r\n",
        ] {
            assert_eq!(look(text), Ok(Look::By(Role::Server)));
        }
    }

    #[test]
    fn other_lines_and_binary_are_not_the_time() {
        for text in [
            &b"login: \n"[..],
            b"SSH-2.0-OpenSSH\r\n",
            b"1:2:3:4\n",
            b"100:20:30\n",
            b"\x0112:34:56\n",
        ] {
            assert_eq!(look(text), Ok(Look::Other), "{text:?}");
        }
        let long = [&[b'x'; MAX_LINE][..], b" 12:34:56\n"].concat();
        assert_eq!(look(&long), Ok(Look::Other));
    }

    #[test]
    fn it_is_undecided_until_the_end_of_the_line() {
        let text = b"12:34:56 PM 1/2/2003\n";
        for len in 0..text.len() {
            assert_eq!(look(&text[..len]), Err(Short), "{len}");
        }
    }
}
