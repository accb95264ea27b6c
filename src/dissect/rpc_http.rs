//! RPC over HTTP (MS-RPCH): a tunnel of RPC's PDUs, after a greeting or after an HTTP header.

use crate::dissect::read::{Reader, Short};
use crate::dissect::rpc::connection::Connection;
use crate::dissect::text::{StartLine, begins, start_line};
use crate::dissect::{Definition, Dissector, Example, Input, Look, Progress, Role, probe_stream};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// RPC over HTTP (MS-RPCH).
pub const PROTOCOL: Protocol = Protocol::new("rpc-http", "RPC over HTTP");

/// RPC over HTTP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[593, 80],
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Tunnel::default())),
    says: &[],
    examples: &[
        Example {
            port: 593,
            client: b"\x05\0\x0b\x03\x10\0\0\0H\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\0\0\0\0\x01\0\0\0\
        \0\0\x01\0xW4\x124\x12\xcd\xab\xef\0\x01#Eg\x89\xac\x01\0\0\0\x04]\x88\x8a\
        \xeb\x1c\xc9\x11\x9f\xe8\x08\0+\x10H`\x02\0\0\0",
            server: b"ncacn_http/1.0",
        },
        Example {
            port: 80,
            client: b"RPC_IN_DATA /rpc/rpcproxy.dll HTTP/1.1\r\n\r\n",
            server: b"",
        },
    ],
};

/// What a server of version 1 says first (MS-RPCH 2.1.1.2): fourteen bytes.
pub const GREETING: &[u8] = b"ncacn_http/1.0";

fn look(bytes: &[u8]) -> Result<Look, Short> {
    if begins(bytes, GREETING)? {
        return Ok(Look::By(Role::Server));
    }
    Ok(match start_line(bytes, "HTTP/")? {
        StartLine::Request(b"RPC_IN_DATA" | b"RPC_OUT_DATA") => Look::By(Role::Client),
        _ => Look::Other,
    })
}

/// The longest header in front of the PDUs; what is longer is no tunnel.
const MAX_HEAD: usize = 16 * 1024;

/// Passes over what comes before the PDUs in each direction, then follows those.
#[derive(Default)]
struct Tunnel {
    heads: [Head; 2],
    connection: Connection,
}

/// What was seen of a direction before its PDUs.
#[derive(Default)]
struct Head {
    passed: usize,
    /// The first bytes: they tell what kind of head it is.
    first: Vec<u8>,
    /// How much of the empty line at the end of an HTTP header was just seen.
    line_end: usize,
    over: bool,
}

impl Dissector for Tunnel {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let head = &mut self.heads[from.index()];
        let mut r = Reader::big(bytes);
        // A client of version 1 says nothing before its first PDU, which begins with its version.
        head.over |= head.passed == 0 && bytes.first() == Some(&5);
        while !head.over {
            let Ok(byte) = r.u8() else {
                return match head.passed > MAX_HEAD {
                    true => Progress::NotMine,
                    false => Progress::More,
                };
            };
            head.take(byte);
        }
        self.connection.feed(from, r.rest(), found)
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        // Whatever is missing, PDUs can only be found again by looking for them.
        self.heads[from.index()].over = true;
        self.connection.gap(from, missing);
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        self.connection.finish(found);
    }
}

impl Head {
    fn take(&mut self, byte: u8) {
        self.passed = self.passed.saturating_add(1);
        if self.first.len() < GREETING.len() {
            self.first.push(byte);
        }
        const END: &[u8] = b"\r\n\r\n";
        self.line_end = match END.get(self.line_end) {
            Some(next) if *next == byte => self.line_end + 1,
            _ => usize::from(byte == b'\r'),
        };
        self.over = self.line_end == END.len() || self.first == GREETING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::samples::{ACCEPT, SAMR, bind, bind_ack};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn claims(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let (mut tunnel, mut found) = (Tunnel::default(), Vec::new());
        for (from, bytes) in talk {
            for byte in *bytes {
                tunnel.feed(*from, &[*byte], &mut found);
            }
        }
        found
    }

    #[test]
    fn the_pdus_behind_a_greeting_are_followed() {
        let (asked, answered) = (bind(1, &[(0, SAMR)]), bind_ack(1, &[ACCEPT]));
        let talk = [
            (Reverse, GREETING),
            (Forward, &asked.bytes),
            (Reverse, &answered.bytes),
        ];
        assert_eq!(claims(&talk).last(), Some(&Claim::Bound(SAMR)));
    }

    #[test]
    fn the_pdus_behind_an_http_header_are_followed() {
        let asked = bind(1, &[(0, SAMR)]);
        let talk = [
            (
                Forward,
                &b"RPC_IN_DATA /rpc HTTP/1.1\r\nHost: mail\r\n\r\n"[..],
            ),
            (Forward, &asked.bytes),
        ];
        assert_eq!(claims(&talk).last(), Some(&Claim::Offered(SAMR)));
    }

    #[test]
    fn a_head_without_end_is_no_tunnel() {
        let mut tunnel = Tunnel::default();
        let progress = tunnel.feed(Forward, &[b'x'; MAX_HEAD + 1], &mut Vec::new());
        assert_eq!(progress, Progress::NotMine);
    }
}
