//! RPC over HTTP (MS-RPCH): a tunnel of RPC's PDUs, after a greeting or after an HTTP header.

use crate::dissect::head::Head;
use crate::dissect::read::{Reader, Short};
use crate::dissect::rpc::connection::Connection;
use crate::dissect::text::{StartLine, begins, start_line};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, http, ntlm,
    probe_stream, rpc,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// RPC over HTTP (MS-RPCH).
pub const PROTOCOL: Protocol = Protocol::new(&["rpc-http", "RPC over HTTP"]);

/// The RPC server that the proxy is to reach, with its port: `mail:6001` (MS-RPCH 2.2.2).
const TARGET: Field = Field::new(&["rpc-http-target", "RPC proxy to reach"]);

/// RPC over HTTP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[593, 80],
    begins: FirstBytes::WORD,
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Tunnel::default())),
    says: &[TARGET, http::SERVER, ntlm::VERSION, rpc::dcom::HOST],
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

/// Passes over what comes before the PDUs in each direction, then follows those.
#[derive(Default)]
struct Tunnel {
    sides: [Side; 2],
    /// A head of HTTP was seen: a proxy leads on to another server.
    is_through_proxy: bool,
    connection: Connection,
}

/// What was seen of a direction before its PDUs.
#[derive(Default)]
enum Side {
    /// Too little to tell how it begins.
    #[default]
    Start,
    /// The greeting, as far as it came.
    Greeting(Vec<u8>),
    /// A head of HTTP. The first requests are refused until the client has proved who it is, all
    /// on one connection.
    Head(Head),
    /// So many bytes of a body, if they are no PDUs.
    Body(u64),
    /// PDUs, to the end.
    Pdus,
}

impl Dissector for Tunnel {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        while r.left() > 0 {
            let side = &mut self.sides[from.index()];
            if matches!(side, Side::Pdus) {
                return self.follow(from, r.rest(), found);
            }
            match side.take(&mut r, from, found) {
                Ok(()) => self.is_through_proxy |= matches!(side, Side::Head(_)),
                Err(NotMine) => return Progress::NotMine,
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        // Whatever is missing, PDUs can only be found again by looking for them.
        self.sides[from.index()] = Side::Pdus;
        self.connection.gap(from, missing);
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        self.connection.finish(found);
    }

    fn kept(&self) -> usize {
        self.connection.kept()
    }
}

impl Tunnel {
    /// Follows PDUs. Through a proxy each connection carries one way (MS-RPCH 3.2.1.1), and what is
    /// behind it does not listen here: what says that it does is left out.
    fn follow(&mut self, from: Direction, pdus: &[u8], found: &mut Vec<Claim>) -> Progress {
        if !self.is_through_proxy {
            return self.connection.feed(from, pdus, found);
        }
        let mut claims = Vec::new();
        let progress = self.connection.feed(from, pdus, &mut claims);
        let is_of_server = |claim: &Claim| {
            matches!(
                claim,
                Claim::Bound(_) | Claim::Mapped { .. } | Claim::Exported { .. }
            )
        };
        found.extend(claims.into_iter().filter(|claim| !is_of_server(claim)));
        progress
    }
}

/// What was taken is no part of a tunnel.
struct NotMine;

impl Side {
    /// Takes what comes next before the PDUs.
    fn take(
        &mut self,
        r: &mut Reader,
        from: Direction,
        found: &mut Vec<Claim>,
    ) -> Result<(), NotMine> {
        // Every PDU begins with its version. A client of version 1 says nothing before the first.
        let is_pdu = r.clone().u8() == Ok(PDU_VERSION);
        match self {
            Side::Start | Side::Body(_) if is_pdu => *self = Side::Pdus,
            Side::Start => {
                let is_greeting = r.clone().u8().ok() == GREETING.first().copied();
                *self = match is_greeting {
                    true => Side::Greeting(Vec::new()),
                    false => Side::Head(Head::default()),
                };
            }
            Side::Greeting(seen) => {
                let wanted = GREETING.len().saturating_sub(seen.len());
                seen.extend_from_slice(r.up_to(wanted));
                match begins(seen, GREETING) {
                    Ok(true) => *self = Side::Pdus,
                    Ok(false) => return Err(NotMine),
                    Err(Short) => {}
                }
            }
            Side::Head(head) => {
                if head.take(r) {
                    *self = Side::Body(read(head, from, found)?);
                }
            }
            Side::Body(left) => {
                let skip = usize::try_from(*left).unwrap_or(usize::MAX);
                *left -= r.up_to(skip).len() as u64;
                if *left == 0 {
                    *self = Side::Head(Head::default());
                }
            }
            Side::Pdus => {}
        }
        Ok(())
    }
}

const PDU_VERSION: u8 = 5;

/// Reads a head; how long its body is.
fn read(head: &Head, by: Direction, found: &mut Vec<Claim>) -> Result<u64, NotMine> {
    let mut say = |field, text: Option<String>| {
        found.extend(text.map(|text| Claim::Said { field, text, by }));
    };
    match head.start("HTTP/") {
        Ok(StartLine::Request(_)) => say(TARGET, head.query().filter(|query| !query.is_empty())),
        Ok(StartLine::Status) => say(http::SERVER, head.field("Server")),
        _ => return Err(NotMine),
    }
    // Without a length, the next piece is taken for the next head.
    let len = head.field("Content-Length");
    Ok(len.and_then(|len| len.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::head::MAX_HEAD;
    use crate::dissect::rpc::samples::{ACCEPT, SAMR, bind, bind_ack, request};
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

    const ASKS: &[u8] = b"RPC_IN_DATA /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\nHost: mail\r\n\
        Content-Length: 0\r\n\r\n";
    const OPENS: &[u8] = b"RPC_IN_DATA /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\nHost: mail\r\n\
        Content-Length: 1073741824\r\n\r\n";
    const REFUSES: &[u8] = b"HTTP/1.1 401 No\r\nServer: Microsoft-IIS/6.0\r\nContent-Length: 7\
        \r\n\r\nrefused";

    fn said(field: Field, text: &str, by: Direction) -> Claim {
        let text = text.into();
        Claim::Said { field, text, by }
    }

    #[test]
    fn the_pdus_behind_an_http_header_are_followed() {
        let asked = bind(1, &[(0, SAMR)]);
        let found = claims(&[(Forward, OPENS), (Forward, &asked.bytes)]);
        assert_eq!(found.first(), Some(&said(TARGET, "mail:6001", Forward)));
        assert_eq!(found.last(), Some(&Claim::Offered(SAMR)));
    }

    #[test]
    fn the_requests_that_were_refused_first_are_passed_over() {
        let asked = bind(1, &[(0, SAMR)]);
        let talk = [
            (Forward, ASKS),
            (Reverse, REFUSES),
            (Forward, OPENS),
            (Reverse, REFUSES),
            (Forward, &asked.bytes),
        ];
        let found = claims(&talk);
        let server = said(http::SERVER, "Microsoft-IIS/6.0", Reverse);
        assert_eq!(found.iter().filter(|claim| **claim == server).count(), 2);
        assert_eq!(found.last(), Some(&Claim::Offered(SAMR)));
    }

    #[test]
    fn calls_without_the_answers_of_the_other_channel_prove_no_acceptance() {
        let talk = [
            (Forward, OPENS),
            (Forward, &bind(1, &[(0, SAMR)]).bytes),
            (Forward, &request(2, 0, 5, &[]).bytes),
            (Forward, &request(3, 0, 6, &[]).bytes),
        ];
        let found = claims(&talk);
        assert!(found.contains(&Claim::Offered(SAMR)));
        assert!(!found.contains(&Claim::Bound(SAMR)));
    }

    #[test]
    fn what_accepts_through_a_proxy_does_not_listen_there() {
        let answered = bind_ack(1, &[ACCEPT]);
        let talk = [
            (Forward, OPENS),
            (Forward, &bind(1, &[(0, SAMR)]).bytes),
            (Reverse, &answered.bytes),
        ];
        let found = claims(&talk);
        assert!(found.contains(&Claim::Offered(SAMR)));
        assert!(!found.contains(&Claim::Bound(SAMR)));
    }

    #[test]
    fn a_head_without_end_is_no_tunnel() {
        let mut tunnel = Tunnel::default();
        let progress = tunnel.feed(Forward, &[b'x'; MAX_HEAD + 1], &mut Vec::new());
        assert_eq!(progress, Progress::NotMine);
        let progress = Tunnel::default().feed(Reverse, b"ncacn_ip_tcp:", &mut Vec::new());
        assert_eq!(progress, Progress::NotMine);
    }
}
