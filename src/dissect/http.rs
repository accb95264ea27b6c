//! Hypertext Transfer Protocol (RFC 9112); a server's own name for itself is announced.

use crate::dissect::read::{Reader, Short};
use crate::dissect::text::{StartLine, begins, start_line};
use crate::dissect::{
    Definition, Dissector, Example, Input, Look, Progress, Role, names, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Hypertext Transfer Protocol (RFC 9112).
pub const PROTOCOL: Protocol = Protocol::new("http", "HTTP");

/// What a server calls itself (RFC 9110 10.2.4).
const SERVER: Field = Field::new("http-server", "Server header");

/// HTTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[80, 8080, 5985, 593],
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Headers::default())),
    says: &[SERVER],
    examples: &[
        Example {
            port: 80,
            client: b"GET / HTTP/1.1\r\n",
            server: b"HTTP/1.1 200 OK\r\n",
        },
        Example {
            port: 5985,
            client: b"POST /wsman HTTP/1.1\r\n",
            server: b"",
        },
        Example {
            port: 80,
            client: b"",
            server: b"HTTP/1.0 404 No\r\n",
        },
    ],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, "HTTP/")? {
        // RPC's tunnel has methods of its own: it is another protocol's payload.
        StartLine::Request(b"RPC_IN_DATA" | b"RPC_OUT_DATA") => Look::Other,
        StartLine::Request(_) => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        StartLine::Other => Look::Other,
    })
}

/// The longest head of an answer that is waited for, in bytes: servers send less.
const MAX_HEAD: usize = 8 * 1024;

/// Waits for the first answer's header and announces its `Server` line.
#[derive(Default)]
struct Headers {
    heads: [Vec<u8>; 2],
}

impl Dissector for Headers {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let head = &mut self.heads[from.index()];
        // Of a request only its first bytes are kept: they tell that it is none of the answers.
        let is_answer = begins(head, b"HTTP/") != Ok(false);
        if is_answer {
            let room = MAX_HEAD.saturating_sub(head.len());
            head.extend_from_slice(Reader::big(bytes).up_to(room));
        }
        if begins(head, b"HTTP/") != Ok(true) {
            head.truncate(5);
            return Progress::More;
        }
        match server_line(head) {
            Ok(Some(text)) => {
                found.push(Claim::Said {
                    field: SERVER,
                    text,
                    by: from,
                });
                Progress::Done
            }
            Ok(None) => Progress::Done,
            Err(Short) if head.len() >= MAX_HEAD => Progress::Done,
            Err(Short) => Progress::More,
        }
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        // What comes next may begin within a header: it is compared with what an answer begins with.
        self.heads[from.index()].clear();
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// The `Server` line of a head; `None` if it has none.
fn server_line(head: &[u8]) -> Result<Option<String>, Short> {
    let mut r = Reader::big(head);
    loop {
        let line = r.until(b'\n')?;
        let mut value = Reader::big(line);
        if let Ok(name) = value.take("server:".len())
            && name.eq_ignore_ascii_case(b"server:")
        {
            return Ok(Some(names::text(value.rest().trim_ascii())));
        }
        if line.is_empty() || line == b"\r" {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nDate: today\r\nserver: Microsoft-IIS/10.0\r\n\r\nServer: not me";

    fn announced(pieces: &[&[u8]]) -> Vec<Claim> {
        let (mut headers, mut found) = (Headers::default(), Vec::new());
        headers.feed(Forward, b"GET / HTTP/1.1\r\n\r\n", &mut found);
        for piece in pieces {
            if headers.feed(Reverse, piece, &mut found) == Progress::Done {
                break;
            }
        }
        found
    }

    #[test]
    fn the_server_line_is_announced_wherever_the_answer_is_torn() {
        let line = [Claim::Said {
            field: SERVER,
            text: "Microsoft-IIS/10.0".into(),
            by: Reverse,
        }];
        for cut in 0..ANSWER.len() {
            let (left, right) = ANSWER.split_at(cut);
            assert_eq!(announced(&[left, right]), line, "{cut}");
        }
    }

    #[test]
    fn an_answer_that_names_no_server_announces_nothing() {
        assert_eq!(
            announced(&[b"HTTP/1.1 204 No\r\n\r\nServer: body\r\n\r\n"]),
            []
        );
        let endless = [b"HTTP/1.1 200 OK\r\n", &[b'x'; MAX_HEAD][..]].concat();
        assert_eq!(announced(&[&endless, b"\r\nServer: late\r\n"]), []);
    }
}
