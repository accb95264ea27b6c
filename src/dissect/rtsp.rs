//! Real-Time Streaming Protocol (RFC 2326): who serves, and to which ports the media will go.

use std::net::IpAddr;

use crate::dissect::lines::Lines;
use crate::dissect::names;
use crate::dissect::read::Reader;
use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, probe_stream,
};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::{Field, Protocol};

/// Real-Time Streaming Protocol (RFC 2326).
pub const PROTOCOL: Protocol = Protocol::new(&["rtsp", "RTSP"]);

/// What a server calls itself (RFC 2326 12.36).
const SERVER: Field = Field::new(&["rtsp-server", "Server header"]);

/// What a client calls itself (RFC 2326 12.41).
const USER_AGENT: Field = Field::new(&["rtsp-user-agent", "User-Agent header"]);

/// SETUP: where media go over UDP (RFC 2326 12.39).
const MEDIA: Assignment = Assignment {
    name: "rtsp-media",
    application: "RTSP media",
    lead: "RTSP set the port up",
    protocol: PROTOCOL,
};

/// RTSP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[554],
    begins: FirstBytes::WORD,
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(match start_line(bytes, VERSION)? {
                StartLine::Request(_) => Look::By(Role::Client),
                StartLine::Status => Look::By(Role::Server),
                StartLine::Other => Look::Other,
            })
        })
    },
    follow: Some(|_| Box::new(Session::default())),
    says: &[SERVER, USER_AGENT],
    examples: &[Example {
        port: 554,
        client: b"DESCRIBE rtsp://h/v RTSP/1.0\r\n",
        server: b"RTSP/1.0 200 OK\r\n",
    }],
};

const VERSION: &str = "RTSP/";

/// Reads both directions line by line: what bodies hold looks like none of the fields of a head.
#[derive(Default)]
struct Session {
    sides: [Side; 2],
}

/// One direction.
#[derive(Default)]
struct Side {
    lines: Lines,
    within: Within,
    /// It has said what it is.
    is_known: bool,
}

/// Where in its messages a direction is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Within {
    /// In the head of a request.
    Request,
    /// In the head of an answer that grants what was asked for.
    Granted,
    /// In the head of another answer.
    Refused,
    /// In a body, or nobody knows where.
    #[default]
    Other,
}

impl Dissector for Session {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let side = &mut self.sides[from.index()];
        let mut r = Reader::big(bytes);
        // Media between the messages (RFC 2326 10.12): none of them go over UDP.
        if side.lines.pending().is_empty() && bytes.first() == Some(&b'$') {
            return Progress::Done;
        }
        while let Some(line) = side.lines.next(&mut r) {
            side.read(&line, from, found);
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        let side = &mut self.sides[from.index()];
        side.lines.gap();
        side.within = Within::Other;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Side {
    fn read(&mut self, line: &[u8], from: Direction, found: &mut Vec<Claim>) {
        if line.is_empty() {
            self.within = Within::Other;
        } else if let Some(within) = begins(line) {
            self.within = within;
        } else if let Some((name, value)) = field(line) {
            match (self.within, name.as_str()) {
                (Within::Granted, "transport") => {
                    let ports = assigned(&value, from).into_iter();
                    found.extend(ports.map(|(at, listener)| {
                        let by = &MEDIA;
                        Claim::Assigned { by, at, listener }
                    }));
                }
                (Within::Granted | Within::Refused, "server") => {
                    self.tell(SERVER, value, from, found)
                }
                (Within::Request, "user-agent") => self.tell(USER_AGENT, value, from, found),
                _ => {}
            }
        }
    }

    fn tell(&mut self, field: Field, text: String, by: Direction, found: &mut Vec<Claim>) {
        if !std::mem::replace(&mut self.is_known, true) {
            found.push(Claim::Said { field, text, by });
        }
    }
}

/// What begins with this line, if it is the first of a message.
fn begins(line: &[u8]) -> Option<Within> {
    let whole = [line, b"\r\n"].concat();
    match start_line(&whole, VERSION) {
        Ok(StartLine::Request(_)) => Some(Within::Request),
        Ok(StartLine::Status) => {
            let mut words = line.split(|byte| *byte == b' ');
            let is_granted = words.nth(1).is_some_and(|code| code.starts_with(b"2"));
            Some(match is_granted {
                true => Within::Granted,
                false => Within::Refused,
            })
        }
        _ => None,
    }
}

/// A field's name in lower case, and its value.
fn field(line: &[u8]) -> Option<(String, String)> {
    let text = names::text(line);
    let (name, value) = text.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// Ports of one range that count: RTP and RTCP, and as many again for layers (RFC 2326 12.39).
const MAX_PORTS: u16 = 8;

/// The endpoints that an answer's `Transport` assigns, with who listens there.
fn assigned(transport: &str, server: Direction) -> Vec<(Endpoint, Direction)> {
    let mut list = Vec::new();
    // An answer has one; where it has several, each may be used.
    for spec in transport.split(',') {
        let mut parts = spec.split(';').map(str::trim);
        let over = parts.next().unwrap_or_default().to_ascii_uppercase();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let value = |name: &str| {
            let mut known = parameters.iter();
            known
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| *value)
        };
        if over.ends_with("/TCP") || value("interleaved").is_some() {
            continue;
        }
        let address = |name| value(name).and_then(|text| text.parse().ok());
        let (source, destination) = (address("source"), address("destination"));
        let mut add = |ports: Option<&str>, address, listener| {
            let ports = ports.into_iter().flat_map(range);
            list.extend(ports.map(|port| (endpoint(address, port), listener)));
        };
        add(value("client_port"), destination, server.reversed());
        add(value("port"), destination, server.reversed());
        add(value("server_port"), source, server);
    }
    list
}

/// `6970` or `6970-6971`; nothing where it is neither.
fn range(text: &str) -> impl Iterator<Item = u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first != 0 => (first, last),
        _ => (1, 0),
    };
    first..=last.min(first.saturating_add(MAX_PORTS - 1))
}

fn endpoint(address: Option<IpAddr>, port: u16) -> Endpoint {
    Endpoint::Port {
        address,
        protocol: IpProtocol::UDP,
        port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ASKS: &[u8] = b"SETUP rtsp://h/v RTSP/1.0\r\nUser-Agent: WMPlayer/10.0\r\n\
        Transport: RTP/AVP/UDP;unicast;client_port=1-2\r\n\r\n";
    const ANSWER: &[u8] = b"RTSP/1.0 200 OK\r\ntransport: RTP/AVP/UDP;unicast;source=192.0.2.9;\
        client_port=6970-6971;server_port=5004-5005\r\nServer: WMServer/9.1.1.5001\r\n\r\n";

    fn claims(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let (mut session, mut found) = (Session::default(), Vec::new());
        for (from, bytes) in talk {
            session.feed(*from, bytes, &mut found);
        }
        found
    }

    fn media(address: Option<[u8; 4]>, port: u16, listener: Direction) -> Claim {
        Claim::Assigned {
            by: &MEDIA,
            at: endpoint(address.map(IpAddr::from), port),
            listener,
        }
    }

    fn said(field: Field, text: &str, by: Direction) -> Claim {
        let text = text.into();
        Claim::Said { field, text, by }
    }

    #[test]
    fn an_answer_to_setup_assigns_ports_wherever_it_is_torn() {
        let source = Some([192, 0, 2, 9]);
        let expected = [
            said(USER_AGENT, "WMPlayer/10.0", Forward),
            media(None, 6970, Forward),
            media(None, 6971, Forward),
            media(source, 5004, Reverse),
            media(source, 5005, Reverse),
            said(SERVER, "WMServer/9.1.1.5001", Reverse),
        ];
        for cut in 0..ANSWER.len() {
            let (left, right) = ANSWER.split_at(cut);
            let talk = [(Forward, ASKS), (Reverse, left), (Reverse, right)];
            assert_eq!(claims(&talk), expected, "{cut}");
        }
    }

    fn transport(value: &str) -> Vec<Claim> {
        let answer = format!("RTSP/1.0 200 OK\r\nTransport: {value}\r\n\r\n");
        claims(&[(Reverse, answer.as_bytes())])
    }

    #[test]
    fn media_sent_to_a_group_go_to_its_address() {
        let value = "RTP/AVP;multicast;destination=224.2.0.1;port=3456;ttl=16";
        assert_eq!(
            transport(value),
            [media(Some([224, 2, 0, 1]), 3456, Forward)]
        );
    }

    #[test]
    fn what_goes_over_the_same_connection_needs_no_port() {
        for value in [
            "RTP/AVP/TCP;unicast;interleaved=0-1",
            "RTP/AVP/TCP;client_port=6970-6971",
            "RTP/AVP;unicast;interleaved=0-1;client_port=6970-6971",
            "RTP/AVP;unicast;client_port=none",
            "RTP/AVP;unicast;client_port=0-1",
            "RTP/AVP;unicast;client_port=7-6",
            "",
        ] {
            assert_eq!(transport(value), [], "{value}");
        }
        let mut session = Session::default();
        let progress = session.feed(Reverse, b"$\0\x01\0media", &mut Vec::new());
        assert_eq!(progress, Progress::Done);
    }

    #[test]
    fn a_range_is_bounded() {
        let claims = transport("RTP/AVP;client_port=1-65535");
        assert_eq!(claims.len(), usize::from(MAX_PORTS));
        assert_eq!(transport("RTP/AVP;client_port=65534-65535").len(), 2);
    }

    #[test]
    fn a_refusal_a_request_and_a_body_assign_nothing() {
        let line = "Transport: RTP/AVP;client_port=6970-6971\r\n";
        for text in [
            format!("RTSP/1.0 461 Unsupported\r\n{line}\r\n"),
            format!("SETUP rtsp://h/v RTSP/1.0\r\n{line}\r\n"),
            format!("RTSP/1.0 200 OK\r\n\r\n{line}\r\n"),
        ] {
            assert_eq!(claims(&[(Reverse, text.as_bytes())]), [], "{text}");
        }
    }

    #[test]
    fn after_a_gap_the_next_message_is_read() {
        let (mut session, mut found) = (Session::default(), Vec::new());
        session.feed(Reverse, b"RTSP/1.0 200 OK\r\n", &mut found);
        session.gap(Reverse, Some(9));
        session.feed(
            Reverse,
            b"rt: x\r\nTransport: RTP/AVP;client_port=7\r\n\r\n",
            &mut found,
        );
        assert_eq!(found, []);
        session.feed(Reverse, ANSWER, &mut found);
        assert_eq!(found.len(), 5);
    }
}
