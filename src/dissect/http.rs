//! Hypertext Transfer Protocol (RFC 9112): the first request and the first answer, for what they
//! say of the server, of the client and of what is asked for; and, where the client must prove who
//! it is, what NTLM says in the heads that follow.

use crate::dissect::head::Head;
use crate::dissect::messages::Sayings;
use crate::dissect::names;
use crate::dissect::ntlm;
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::{StartLine, line, start_line};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Hypertext Transfer Protocol (RFC 9112).
pub const PROTOCOL: Protocol = Protocol::new(&["http", "HTTP"]);

/// What a request asked for.
pub const REQUEST: Field = Field::new(&["http-request", "HTTP request"]);

/// What a request asked for that the server has: it answered with it, or asks Windows' way who
/// wants it. With the server's name for itself, for others have the same paths:
/// `POST /wsman by Microsoft-HTTPAPI/2.0`.
pub const PATH: Field = Field::new(&["http-path", "HTTP answered"]);

/// What a server calls itself (RFC 9110 10.2.4).
pub const SERVER: Field = Field::new(&["http-server", "Server header"]);

/// A field of a head, and what it is claimed as.
struct Told {
    field: Field,
    header: &'static str,
}

/// What requests tell.
const BY_CLIENT: &[Told] = &[
    told(&["http-host", "Host header"], "Host"),
    told(&["http-user-agent", "User-Agent header"], "User-Agent"),
    told(&["http-notification", "notification of"], "NT"),
    told(&["http-soap-action", "SOAPAction header"], "SOAPAction"),
];

/// What answers tell.
const BY_SERVER: &[Told] = &[
    Told {
        field: SERVER,
        header: "Server",
    },
    told(&["http-powered-by", "X-Powered-By header"], "X-Powered-By"),
    told(
        &["http-aspnet", "X-AspNet-Version header"],
        "X-AspNet-Version",
    ),
    told(
        &["http-sharepoint", "MicrosoftSharePointTeamServices header"],
        "MicrosoftSharePointTeamServices",
    ),
    told(&["http-owa", "X-OWA-Version header"], "X-OWA-Version"),
    told(&["http-exchange", "X-FEServer header"], "X-FEServer"),
    told(&["http-dav", "DAV header"], "DAV"),
    told(&["http-lock-cookie", "LockCookie header"], "LockCookie"),
];

const fn told(words: &'static [&'static str; 2], header: &'static str) -> Told {
    Told {
        field: Field::new(words),
        header,
    }
}

/// The schemes by which a server lets itself be told who asks (RFC 9110 11.6.1), without their
/// parameters.
const AUTHENTICATE: Field = Field::new(&["http-authenticate", "WWW-Authenticate header"]);

/// HTTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[80, 8080, 5985, 593],
    begins: FirstBytes::WORD,
    probe: |opening| match probe_stream(opening, look) {
        Probe::No => simple(opening),
        answer => answer,
    },
    follow: Some(|_| Box::new(Exchange::default())),
    says: &SAYS,
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
        Example {
            port: 80,
            client: b"GET /index.html\r\n",
            server: b"<html>",
        },
    ],
};

const SAYS: [Field; BY_CLIENT.len() + BY_SERVER.len() + 4] = {
    let mut says = [PATH; BY_CLIENT.len() + BY_SERVER.len() + 4];
    let mut at = 0;
    while at < BY_CLIENT.len() {
        says[at] = BY_CLIENT[at].field;
        at += 1;
    }
    while at < BY_CLIENT.len() + BY_SERVER.len() {
        says[at] = BY_SERVER[at - BY_CLIENT.len()].field;
        at += 1;
    }
    says[at] = REQUEST;
    says[at + 1] = AUTHENTICATE;
    says[at + 2] = ntlm::VERSION;
    says
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, VERSION)? {
        // RPC's tunnel has methods of its own: it is another protocol's payload.
        StartLine::Request(b"RPC_IN_DATA" | b"RPC_OUT_DATA") => Look::Other,
        StartLine::Request(_) => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        StartLine::Other => Look::Other,
    })
}

const VERSION: &str = "HTTP/";

/// Version 0.9: one line without a version, and a page as the answer, which is all there is
/// (RFC 1945 4.1, 5).
fn simple(opening: &Opening) -> Probe {
    let Ok(asked) = line(opening.forward) else {
        return Probe::No;
    };
    let mut words = asked.split(|byte| *byte == b' ');
    let is_line = words.next() == Some(b"GET")
        && words.next().is_some_and(|target| target.starts_with(b"/"))
        && words.next().is_none()
        && opening.forward.trim_ascii_end().len() == asked.len();
    let page = opening.reverse.trim_ascii_start();
    match (is_line, page.first()) {
        (true, None) => Probe::NeedMore,
        (true, Some(b'<')) => Probe::Yes(Some(Direction::Forward)),
        _ => Probe::No,
    }
}

/// How many times a server is heard to refuse: twice for one proof by NTLM (MS-NTHT 1.3).
const MAX_REFUSALS: usize = 4;

/// Reads the first head of each direction, and those in which the client proves who it is.
#[derive(Default)]
struct Exchange {
    heads: [Head; 2],
    /// Which directions have nothing more to tell.
    over: [bool; 2],
    /// What was asked for, until it is known what became of it.
    asked: Option<String>,
    /// Messages were missed: the answer may be to another request.
    is_lost: bool,
    /// How many times the server has asked for a proof by NTLM or Negotiate.
    refusals: usize,
    /// The versions of NTLM that were stated.
    stated: Sayings,
}

impl Dissector for Exchange {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        while !self.over[from.index()] && r.left() > 0 {
            let head = &mut self.heads[from.index()];
            let is_whole = head.take(&mut r);
            let role = match head.start(VERSION) {
                Ok(StartLine::Request(_)) => Role::Client,
                Ok(StartLine::Status) => Role::Server,
                Err(Short) if !is_whole => break,
                // After a gap, or before the beginning was captured: part of some body.
                Err(Short) | Ok(StartLine::Other) => {
                    *head = Head::default();
                    break;
                }
            };
            if is_whole && self.read(from, role, found) == Progress::Done {
                return Progress::Done;
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        // What comes next may begin within a head or a body: it is read if it begins one.
        self.over[from.index()] |= !self.heads[from.index()].is_empty();
        self.is_lost = true;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Exchange {
    fn read(&mut self, from: Direction, role: Role, found: &mut Vec<Claim>) -> Progress {
        let head = std::mem::take(&mut self.heads[from.index()]);
        self.prove(&head, from, found);
        if self.refusals > 0 {
            return self.go_on(&head, role);
        }
        if role == Role::Client {
            self.over[from.index()] = true;
            self.asked = head.request();
            found.extend(self.asked.clone().map(|text| said(REQUEST, text, from)));
            tell(&head, BY_CLIENT, from, found);
            return Progress::More;
        }
        let status = head.status().unwrap_or_default();
        if (100..=199).contains(&status) && status != SWITCHING_PROTOCOLS {
            return Progress::More; // the answer proper is still to come (RFC 9110 15.2)
        }
        tell(&head, BY_SERVER, from, found);
        let schemes = schemes(&head);
        if !self.is_lost
            && is_there(status, &schemes)
            && let Some(path) = self.asked.take()
        {
            found.push(said(PATH, by_server(path, &head), from));
        }
        if !schemes.is_empty() {
            found.push(said(AUTHENTICATE, names::text(schemes.as_bytes()), from));
        }
        self.go_on(&head, role)
    }

    /// Whether the client has yet to prove who it is.
    fn go_on(&mut self, head: &Head, role: Role) -> Progress {
        if role == Role::Client {
            return Progress::More;
        }
        let refuses = matches!(head.status(), Some(401 | 407));
        let by_ntlm = || proofs(head).any(|(scheme, _)| is_windows_way(scheme));
        if refuses && self.refusals < MAX_REFUSALS && by_ntlm() {
            self.refusals += 1;
            self.over = [false; 2];
            return Progress::More;
        }
        Progress::Done
    }

    /// What NTLM in a head states of its sender; what a proxy passes on is another's.
    fn prove(&mut self, head: &Head, from: Direction, found: &mut Vec<Claim>) {
        let is_own = head.fields("Via").next().is_none();
        let message = proofs(head).find(|(scheme, _)| is_windows_way(scheme));
        if let Some((_, message)) = message.filter(|_| is_own) {
            let version = ntlm::version_in_base64(message).unwrap_or_default();
            (self.stated).say(ntlm::VERSION, version, from, found);
        }
    }
}

/// A path with the name of the server that has it, if it has one.
fn by_server(path: String, head: &Head) -> String {
    match head.field("Server") {
        Some(server) => format!("{path} by {server}"),
        None => path,
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;

/// The schemes by which a head proves something or asks for a proof, each with what comes after it
/// (RFC 9110 11.6, 11.7).
fn proofs(head: &Head) -> impl Iterator<Item = (&[u8], &[u8])> {
    let fields = [
        "Authorization",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "Proxy-Authenticate",
    ];
    let values = fields.into_iter().flat_map(|name| head.fields(name));
    values.map(|value| {
        let mut r = Reader::big(value);
        match r.until(b' ') {
            Ok(scheme) => (scheme, r.rest().trim_ascii()),
            Err(Short) => (value, &[][..]),
        }
    })
}

/// Whether a scheme is one that carries NTLM.
fn is_windows_way(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"Negotiate") || scheme.eq_ignore_ascii_case(b"NTLM")
}

/// Whether an answer shows that what was asked for is there. A server that asks for a password by
/// Basic or Digest may ask so for anything; one that asks by Negotiate or NTLM has a place there.
fn is_there(status: u16, schemes: &str) -> bool {
    match status {
        200..=299 | SWITCHING_PROTOCOLS => true,
        401 => schemes
            .split(", ")
            .any(|one| is_windows_way(one.as_bytes())),
        _ => false,
    }
}

/// The schemes of all challenges, each field's first: servers of Windows send a field for each.
fn schemes(head: &Head) -> String {
    let first = |value: &[u8]| {
        let end = |byte: &u8| matches!(byte, b' ' | b',');
        names::text(value.split(end).next().unwrap_or_default())
    };
    let mut schemes: Vec<String> = head.fields("WWW-Authenticate").map(first).collect();
    schemes.retain(|scheme| !scheme.is_empty());
    schemes.dedup();
    schemes.join(", ")
}

fn tell(head: &Head, list: &[Told], by: Direction, found: &mut Vec<Claim>) {
    let said = (list.iter()).filter_map(|told| {
        head.field(told.header)
            .map(|text| said(told.field, text, by))
    });
    found.extend(said);
}

fn said(field: Field, text: String, by: Direction) -> Claim {
    Claim::Said { field, text, by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::head::MAX_HEAD;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ASKED: &[u8] = b"POST /wsman?id=1 HTTP/1.1\r\nHost: fs1:5985\r\n\
        User-Agent: Microsoft WinRM Client\r\nContent-Length: 5\r\n\r\nHost:";
    const ANSWERED: &[u8] = b"HTTP/1.1 200 OK\r\nDate: today\r\nserver: Microsoft-IIS/10.0\r\n\
        X-Powered-By: ASP.NET\r\n\r\nServer: not me";

    /// What is claimed, as `field=text`, in order.
    fn told(talk: &[(Direction, &[u8])]) -> Vec<String> {
        let (mut exchange, mut found) = (Exchange::default(), Vec::new());
        for (from, bytes) in talk {
            if exchange.feed(*from, bytes, &mut found) == Progress::Done {
                break;
            }
        }
        exchange.finish(&mut found);
        let text = |claim| match claim {
            Claim::Said { field, text, .. } => format!("{}={text}", field.name()),
            other => panic!("{other:?}"),
        };
        found.into_iter().map(text).collect()
    }

    const ALL: [&str; 6] = [
        "http-request=POST /wsman",
        "http-host=fs1:5985",
        "http-user-agent=Microsoft WinRM Client",
        "http-server=Microsoft-IIS/10.0",
        "http-powered-by=ASP.NET",
        "http-path=POST /wsman by Microsoft-IIS/10.0",
    ];

    #[test]
    fn a_request_and_its_answer_are_told_wherever_they_are_torn() {
        for cut in 0..ASKED.len() {
            let (left, right) = ASKED.split_at(cut);
            let talk = [(Forward, left), (Forward, right), (Reverse, ANSWERED)];
            assert_eq!(told(&talk), ALL, "{cut}");
        }
        for cut in 0..ANSWERED.len() {
            let (left, right) = ANSWERED.split_at(cut);
            let talk = [(Forward, ASKED), (Reverse, left), (Reverse, right)];
            assert_eq!(told(&talk), ALL, "{cut}");
        }
    }

    #[test]
    fn version_0_9_is_a_request_of_one_line_and_a_page() {
        let answer = |asked: &[u8], answered: &[u8]| {
            (STREAM.probe)(&Opening {
                forward: asked,
                reverse: answered,
                ports: (50_123, 80),
                from_start: true,
            })
        };
        let asked = b"GET /a.html\r\n";
        assert_eq!(answer(asked, b""), Probe::NeedMore);
        assert_eq!(answer(asked, b"\n<HTML>"), Probe::Yes(Some(Forward)));
        for (asked, answered) in [
            (&asked[..], &b"1 two"[..]),
            (b"GET key\r\n", b"<a>"),
            (b"GET /a b\r\n", b"<a>"),
            (b"GET /a\r\nHost: b\r\n", b"<a>"),
            (b"get /a\r\n", b"<a>"),
        ] {
            assert_eq!(answer(asked, answered), Probe::No, "{asked:?}");
        }
    }

    #[test]
    fn a_path_counts_as_the_servers_only_where_the_answer_shows_it() {
        for (answer, is_there) in [
            ("200 OK\r\n", true),
            ("401 No\r\nWWW-Authenticate: Negotiate\r\n", true),
            ("401 No\r\nWWW-Authenticate: Basic realm=a\r\n", false),
            ("301 Moved\r\n", false),
            ("404 Not Found\r\n", false),
            ("500 Broken\r\n", false),
        ] {
            let answer = format!("HTTP/1.1 {answer}\r\n");
            let talk = [
                (Forward, &b"GET /owa/ HTTP/1.1\r\n\r\n"[..]),
                (Reverse, answer.as_bytes()),
            ];
            let path = "http-path=GET /owa/".to_owned();
            assert_eq!(told(&talk).contains(&path), is_there, "{answer}");
        }
    }

    #[test]
    fn a_request_without_an_answer_was_only_asked() {
        assert_eq!(
            told(&[(Forward, b"GET / HTTP/1.1\r\n\r\n")]),
            ["http-request=GET /"]
        );
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let talk = [
            (Forward, ASKED),
            (
                Reverse,
                &b"HTTP/1.1 100 Continue\r\nServer: early\r\n\r\n"[..],
            ),
            (Reverse, ANSWERED),
        ];
        assert_eq!(told(&talk), ALL);
    }

    #[test]
    fn the_schemes_of_a_challenge_are_told_without_their_parameters() {
        let talk = [(
            Reverse,
            &b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n\
            WWW-Authenticate: Basic realm=\"x\"\r\n\r\n"[..],
        )];
        assert_eq!(told(&talk), ["http-authenticate=Negotiate, NTLM, Basic"]);
    }

    #[test]
    fn what_ntlm_states_while_the_client_proves_itself_is_told() {
        let [challenge, proof] = [17763, 19041].map(|build| {
            use base64::Engine as _;
            let message = ntlm::samples::challenge([10, 0], build);
            base64::engine::general_purpose::STANDARD.encode(message)
        });
        let asked = b"GET / HTTP/1.1\r\n\r\n";
        let refused =
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 5\r\n\r\nno no";
        let challenged = format!("HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM {challenge}\r\n\r\n");
        let proved = format!("GET / HTTP/1.1\r\nAuthorization: NTLM {proof}\r\n\r\n");
        let talk = [
            (Forward, &asked[..]),
            (Reverse, refused),
            (Forward, asked),
            (Reverse, challenged.as_bytes()),
            (Forward, proved.as_bytes()),
            (Reverse, ANSWERED),
        ];
        let all = [
            "http-request=GET /",
            "http-path=GET /",
            "http-authenticate=NTLM",
            "ntlm-version=10.0.17763",
            "ntlm-version=10.0.19041",
        ];
        assert_eq!(told(&talk), all);
        let passed_on = challenged.replace("\r\n\r\n", "\r\nVia: 1.1 proxy\r\n\r\n");
        let talk = [talk[0], talk[1], talk[2], (Reverse, passed_on.as_bytes())];
        assert_eq!(told(&talk), all[..3]);
    }

    #[test]
    fn a_server_that_refuses_for_ever_is_heard_up_to_a_bound() {
        let refused = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\n\r\n";
        let (mut exchange, mut found) = (Exchange::default(), Vec::new());
        let heard =
            (0..100).take_while(|_| exchange.feed(Reverse, refused, &mut found) == Progress::More);
        assert_eq!(heard.count(), MAX_REFUSALS);
    }

    #[test]
    fn an_answer_that_names_no_server_tells_nothing() {
        let silent = &b"HTTP/1.1 204 No\r\n\r\nServer: body\r\n\r\n"[..];
        assert_eq!(told(&[(Reverse, silent)]), [""; 0]);
        let endless = [b"HTTP/1.1 200 OK\r\n", &[b'x'; MAX_HEAD][..]].concat();
        let talk = [(Reverse, &endless[..]), (Reverse, b"\r\nServer: late\r\n")];
        assert_eq!(told(&talk), [""; 0]);
    }

    #[test]
    fn after_a_gap_only_a_message_that_begins_is_read() {
        let (mut exchange, mut found) = (Exchange::default(), Vec::new());
        exchange.feed(Forward, b"GET / HTTP/1.1\r\nHost: a\r\n", &mut found);
        exchange.gap(Forward, Some(20));
        exchange.feed(Forward, b"Host: b\r\n\r\n", &mut found);
        exchange.gap(Reverse, Some(200));
        exchange.feed(Reverse, b"Server: body\r\n\r\n", &mut found);
        assert_eq!(found, []);
        let progress = exchange.feed(Reverse, ANSWERED, &mut found);
        assert_eq!(progress, Progress::Done);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn after_a_gap_nobody_knows_which_request_was_answered() {
        let (mut exchange, mut found) = (Exchange::default(), Vec::new());
        exchange.feed(Forward, ASKED, &mut found);
        exchange.gap(Reverse, Some(200));
        exchange.feed(Reverse, ANSWERED, &mut found);
        let is_path = |claim: &Claim| matches!(claim, Claim::Said { field, .. } if *field == PATH);
        assert!(!found.iter().any(is_path));
    }
}
