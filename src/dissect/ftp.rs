//! File Transfer Protocol, control connection (RFC 959, RFC 2428): where data connections will go.

use std::net::{IpAddr, Ipv4Addr};

use crate::dissect::lines::{GreetingLines, Lines};
use crate::dissect::names;
use crate::dissect::read::Reader;
use crate::dissect::text::{BANNER, Manners, has_word};
use crate::dissect::{Definition, Dissector, Example, Input, Progress, Role};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::Protocol;

/// File Transfer Protocol, control connection (RFC 959).
pub const PROTOCOL: Protocol = Protocol::new(&["ftp", "FTP control"]);

/// PORT, PASV, EPRT, EPSV, or a transfer without any: a data connection (RFC 959, RFC 2428).
const DATA: Assignment = Assignment {
    name: "ftp-data",
    application: "FTP data",
    lead: "FTP assigned the port",
    protocol: PROTOCOL,
};

/// FTP control over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[21],
    begins: MANNERS.first_bytes(),
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| Box::new(Control::new(opening.ports, opening.from_start))),
    says: &[BANNER],
    examples: &[
        Example {
            port: 21,
            client: b"USER me\r\n",
            server: b"220 ready\r\n",
        },
        Example {
            port: 4131,
            client: b"",
            server: b"220 Microsoft FTP Service\r\n",
        },
    ],
};

const MANNERS: Manners = Manners {
    greetings: &["220 ", "220-", "120 "],
    names_itself: |line| {
        let is_mail = has_word(line, "SMTP") || has_word(line, "ESMTP");
        // FTP, FTPD, vsFTPd, ProFTPD; but not the host name ftp.example.com.
        let names_ftp = line
            .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.')
            .filter(|word| !word.contains(&b'.'))
            .any(|word| {
                word.to_ascii_uppercase()
                    .windows(3)
                    .any(|part| part == b"FTP")
            });
        names_ftp && !is_mail
    },
    commands: &[
        "USER", "AUTH", "FEAT", "SYST", "HOST", "OPTS", "PASV", "EPSV", "PORT", "EPRT", "QUIT",
        "ACCT", "ADAT", "PBSZ", "CLNT", "TYPE",
    ],
    own_commands: &["PASV", "EPSV", "EPRT", "SYST", "FEAT"],
};

/// Reads both directions line by line.
struct Control {
    /// The ports of the connection: of who sends forward, and of the other.
    ports: (u16, u16),
    lines: [Lines; 2],
    greeting: GreetingLines,
    greeter: Option<Direction>,
    /// Whether the connection was seen from its start: only what comes first is a greeting.
    from_start: bool,
    way: Way,
}

/// Where the next data connection will go.
enum Way {
    /// To the port from which the client controls, since nothing else was said (RFC 959 3.2).
    Default,
    /// Where the client named a port, which is claimed and not used yet.
    Named(Endpoint),
    /// There again, until something else is said (RFC 959 5.3.1, PORT).
    NamedBefore(Endpoint),
    /// Where the server listens for one connection; or it was not captured where.
    Other,
}

impl Dissector for Control {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        while let Some(line) = self.lines[from.index()].next(&mut r) {
            if line.starts_with(b"234") {
                return Progress::Done; // what follows is encrypted (RFC 4217 4)
            }
            self.greet(from, &line, found);
            if let Some(at) = assigned(&line) {
                self.agree(from, at, found);
            } else if line.starts_with(b"125 ") || line.starts_with(b"150 ") {
                self.transfer(from, found);
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        self.lines[from.index()].gap();
        self.way = Way::Other;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Control {
    fn new(ports: (u16, u16), from_start: bool) -> Control {
        Control {
            ports,
            lines: Default::default(),
            greeting: GreetingLines::default(),
            greeter: None,
            from_start,
            way: match from_start {
                true => Way::Default,
                false => Way::Other,
            },
        }
    }

    fn greet(&mut self, from: Direction, line: &[u8], found: &mut Vec<Claim>) {
        if self.from_start && self.greeter.is_none() && line.starts_with(b"220") {
            self.greeter = Some(from);
        }
        if self.greeter == Some(from) && self.greeting.takes(line) {
            found.push(Claim::Said {
                field: BANNER,
                text: names::text(line),
                by: from,
            });
        }
    }

    /// A port was named.
    fn agree(&mut self, from: Direction, at: Named, found: &mut Vec<Claim>) {
        self.way = match at.by {
            Role::Client => Way::Named(at.endpoint.clone()),
            Role::Server => Way::Other,
        };
        found.push(data(at.endpoint, from));
    }

    /// A data connection is about to be opened, says the server.
    fn transfer(&mut self, server: Direction, found: &mut Vec<Claim>) {
        let client = server.reversed();
        let port = match client {
            Direction::Forward => self.ports.0,
            Direction::Reverse => self.ports.1,
        };
        match std::mem::replace(&mut self.way, Way::Other) {
            Way::Default => {
                found.extend(endpoint(None, port).map(|at| data(at, client)));
                self.way = Way::Default;
            }
            Way::Named(at) => self.way = Way::NamedBefore(at),
            Way::NamedBefore(at) => {
                found.push(data(at.clone(), client));
                self.way = Way::NamedBefore(at);
            }
            Way::Other => {}
        }
    }
}

fn data(at: Endpoint, listener: Direction) -> Claim {
    let by = &DATA;
    Claim::Assigned { by, at, listener }
}

/// A port that a line named, and whose line that was.
struct Named {
    endpoint: Endpoint,
    by: Role,
}

/// The endpoint that a line names: its sender listens there.
fn assigned(line: &[u8]) -> Option<Named> {
    let mut r = Reader::big(line);
    let word = r.up_to(4).to_ascii_uppercase();
    let rest = String::from_utf8_lossy(r.rest()).into_owned();
    let (by, endpoint) = match word.as_slice() {
        b"PORT" => (Role::Client, host_and_port(&rest)),
        b"EPRT" => (Role::Client, extended(rest.trim_start())),
        // The numbers stand in brackets, but not with every server (RFC 1123 4.1.2.6).
        b"227 " => (Role::Server, host_and_port(&rest)),
        b"229 " => (Role::Server, extended(rest.split_once('(')?.1)),
        _ => return None,
    };
    let endpoint = endpoint?;
    Some(Named { endpoint, by })
}

/// `h1,h2,h3,h4,p1,p2`, wherever the digits begin.
fn host_and_port(text: &str) -> Option<Endpoint> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (_, text) = text.split_at(start);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',');
    let (numbers, _) = text.split_at(end.unwrap_or(text.len()));
    let numbers: Vec<u8> = numbers
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [a, b, c, d, high, low]: [u8; 6] = numbers.try_into().ok()?;
    let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    endpoint(Some(address), u16::from_be_bytes([high, low]))
}

/// `|protocol|address|port|` with any delimiter; protocol and address may be empty.
fn extended(text: &str) -> Option<Endpoint> {
    let delimiter = text.chars().next()?;
    let mut fields = text.split(delimiter).skip(1);
    let (_protocol, address, port) = (fields.next()?, fields.next()?, fields.next()?);
    let address = match address {
        "" => None,
        address => Some(address.parse().ok()?),
    };
    endpoint(address, port.parse().ok()?)
}

fn endpoint(address: Option<IpAddr>, port: u16) -> Option<Endpoint> {
    (port != 0).then_some(Endpoint::Port {
        address,
        protocol: IpProtocol::TCP,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn control() -> Control {
        Control::new((50_123, 21), true)
    }

    fn claims(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let (mut control, mut found) = (control(), Vec::new());
        for (from, bytes) in talk {
            control.feed(*from, bytes, &mut found);
        }
        found
    }

    fn to(address: Option<&str>, port: u16, listener: Direction) -> Claim {
        Claim::Assigned {
            by: &DATA,
            at: Endpoint::Port {
                address: address.map(|text| text.parse().expect("an address")),
                protocol: IpProtocol::TCP,
                port,
            },
            listener,
        }
    }

    #[test]
    fn every_way_to_open_a_data_connection_is_claimed() {
        let v4 = Some("192.168.1.2");
        for (from, line, address, port) in [
            (Forward, &b"PORT 192,168,1,2,7,138\r\n"[..], v4, 1930),
            (Forward, b"port 192,168,1,2,7,138\r\n", v4, 1930),
            (
                Reverse,
                b"227 Entering Passive Mode (192,168,1,2,7,138).\r\n",
                v4,
                1930,
            ),
            (Reverse, b"227 =192,168,1,2,7,138\r\n", v4, 1930),
            (Forward, b"EPRT |1|192.168.1.2|1930|\r\n", v4, 1930),
            (Forward, b"EPRT |2|fe80::1|1930|\r\n", Some("fe80::1"), 1930),
            (
                Reverse,
                b"229 Entering Extended Passive Mode (|||1930|)\r\n",
                None,
                1930,
            ),
        ] {
            assert_eq!(claims(&[(from, line)]), [to(address, port, from)]);
        }
    }

    #[test]
    fn a_line_that_names_no_port_claims_nothing() {
        for line in [
            &b"PORT 192,168,1,2,7\r\n"[..],
            b"PORT 192,168,1,2,0,0\r\n",
            b"PORT 192,168,1,256,7,1\r\n",
            b"227 Entering Passive Mode\r\n",
            b"229 Extended (|||x|)\r\n",
            b"229 Extended ()\r\n",
            b"EPRT |1|nowhere|7|\r\n",
            b"STOR PORT 1,2,3,4,5,6\r\n",
            b"PORT 1,2,3,4,5,6",
        ] {
            assert_eq!(claims(&[(Forward, line)]), [], "{line:?}");
        }
    }

    #[test]
    fn torn_at_every_byte_the_claims_are_the_same() {
        let talk = b"220 Microsoft FTP Service\r\nx\r\n227 Passive (10,0,0,1,4,1)\r\n";
        let whole = claims(&[(Reverse, talk)]);
        assert_eq!(whole.len(), 2);
        for cut in 0..talk.len() {
            let (left, right) = talk.split_at(cut);
            assert_eq!(claims(&[(Reverse, left), (Reverse, right)]), whole);
        }
    }

    #[test]
    fn a_transfer_without_a_port_goes_to_the_port_that_controls() {
        let opens = (Reverse, &b"150 here it comes\r\n"[..]);
        assert_eq!(claims(&[opens]), [to(None, 50_123, Forward)]);
        assert_eq!(claims(&[(Reverse, b"125 already open\r\n")]).len(), 1);
        assert_eq!(claims(&[(Reverse, b"226 done\r\n")]), []);
        let passive = (Reverse, &b"229 Extended (|||1930|)\r\n"[..]);
        let once = [to(None, 1930, Reverse)];
        assert_eq!(claims(&[passive, opens, opens]), once);
    }

    #[test]
    fn a_port_that_the_client_named_is_used_until_it_names_another() {
        let opens = (Reverse, &b"150 here it comes\r\n"[..]);
        let (one, two) = (b"PORT 10,0,0,1,4,1\r\n", b"EPRT |1|10.0.0.1|1026|\r\n");
        let talk = [(Forward, &one[..]), opens, opens, (Forward, two), opens];
        let expected = [1025, 1025, 1026].map(|port| to(Some("10.0.0.1"), port, Forward));
        assert_eq!(claims(&talk), expected);
    }

    #[test]
    fn where_something_was_missed_nothing_is_said_of_the_default_port() {
        let opens = b"150 here it comes\r\n";
        let (mut late, mut found) = (Control::new((50_123, 21), false), Vec::new());
        late.feed(Reverse, opens, &mut found);
        let mut holed = control();
        holed.gap(Forward, Some(20));
        holed.feed(Reverse, opens, &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn a_line_with_a_gap_claims_nothing() {
        let (mut control, mut found) = (control(), Vec::new());
        control.feed(Forward, b"PORT 10,0,0,1,", &mut found);
        control.gap(Forward, Some(1));
        control.feed(Forward, b",1\r\nPORT 10,0,0,1,4,1\r\n", &mut found);
        assert_eq!(found, [to(Some("10.0.0.1"), 1025, Forward)]);
    }

    #[test]
    fn after_the_switch_to_encryption_it_is_done() {
        let (mut control, mut found) = (control(), Vec::new());
        control.feed(Forward, b"AUTH TLS\r\n", &mut found);
        let progress = control.feed(Reverse, b"234 go ahead\r\n", &mut found);
        assert_eq!(progress, Progress::Done);
    }
}
