//! File Transfer Protocol, control connection (RFC 959, RFC 2428): where data connections will go.

use std::net::{IpAddr, Ipv4Addr};

use crate::dissect::names;
use crate::dissect::read::Reader;
use crate::dissect::text::{BANNER, Manners, has_word};
use crate::dissect::{Definition, Dissector, Example, Input, Progress};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::Protocol;

/// File Transfer Protocol, control connection (RFC 959).
pub const PROTOCOL: Protocol = Protocol::new("ftp", "FTP control");

/// PORT, PASV, EPRT and EPSV: a data connection (RFC 959, RFC 2428).
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
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| {
        Box::new(Control {
            // Only what comes first is a greeting.
            greeted: !opening.from_start,
            ..Control::default()
        })
    }),
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

/// The longest line that is kept, in bytes; of a longer one the rest is passed over.
const MAX_LINE: usize = 1024;

/// Reads both directions line by line.
#[derive(Default)]
struct Control {
    lines: [Line; 2],
    greeted: bool,
}

/// A line, as far as it came.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// Bytes are missing in it: it says nothing.
    broken: bool,
}

impl Dissector for Control {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        while let Ok(end) = r.until(b'\n') {
            let line = self.lines[from.index()].end(end);
            if line.starts_with(b"234") {
                return Progress::Done; // what follows is encrypted (RFC 4217 4)
            }
            if !self.greeted && line.starts_with(b"220") {
                self.greeted = true;
                found.push(Claim::Said {
                    field: BANNER,
                    text: names::text(&line),
                    by: from,
                });
            }
            if let Some((at, listener)) = assigned(&line, from) {
                let by = DATA;
                found.push(Claim::Assigned { by, at, listener });
            }
        }
        self.lines[from.index()].add(r.rest());
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        self.lines[from.index()].broken = true;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(Reader::big(bytes).up_to(room));
    }

    /// The whole line, to which `end` is the last part; empty if it was broken.
    fn end(&mut self, end: &[u8]) -> Vec<u8> {
        self.add(end);
        let line = std::mem::take(&mut self.bytes);
        match std::mem::take(&mut self.broken) {
            true => Vec::new(),
            false => line,
        }
    }
}

/// The endpoint that a line sent in this direction assigns, and who listens there: always its sender.
fn assigned(line: &[u8], from: Direction) -> Option<(Endpoint, Direction)> {
    let mut r = Reader::big(line);
    let word = r.up_to(4).to_ascii_uppercase();
    let rest = String::from_utf8_lossy(r.rest()).into_owned();
    let at = match word.as_slice() {
        b"PORT" => host_and_port(&rest),
        // The numbers stand in brackets, but not with every server (RFC 1123 4.1.2.6).
        b"227 " => host_and_port(&rest),
        b"EPRT" => extended(rest.trim_start()),
        b"229 " => extended(rest.split_once('(')?.1),
        _ => None,
    }?;
    Some((at, from))
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

    fn claims(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let (mut control, mut found) = (Control::default(), Vec::new());
        for (from, bytes) in talk {
            control.feed(*from, bytes, &mut found);
        }
        found
    }

    fn data(address: Option<&str>, port: u16, listener: Direction) -> Claim {
        Claim::Assigned {
            by: DATA,
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
            assert_eq!(claims(&[(from, line)]), [data(address, port, from)]);
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
    fn a_long_line_is_bounded_and_the_next_one_read() {
        let mut control = Control::default();
        let mut found = Vec::new();
        for _ in 0..100 {
            control.feed(Forward, &[b'x'; 1000], &mut found);
        }
        assert_eq!(control.lines[0].bytes.len(), MAX_LINE);
        control.feed(Forward, b"\nPORT 10,0,0,1,4,1\r\n", &mut found);
        assert_eq!(found, [data(Some("10.0.0.1"), 1025, Forward)]);
    }

    #[test]
    fn a_line_with_a_gap_claims_nothing() {
        let (mut control, mut found) = (Control::default(), Vec::new());
        control.feed(Forward, b"PORT 10,0,0,1,", &mut found);
        control.gap(Forward, Some(1));
        control.feed(Forward, b",1\r\nPORT 10,0,0,1,4,1\r\n", &mut found);
        assert_eq!(found, [data(Some("10.0.0.1"), 1025, Forward)]);
    }

    #[test]
    fn after_the_switch_to_encryption_it_is_done() {
        let (mut control, mut found) = (Control::default(), Vec::new());
        control.feed(Forward, b"AUTH TLS\r\n", &mut found);
        let progress = control.feed(Reverse, b"234 go ahead\r\n", &mut found);
        assert_eq!(progress, Progress::Done);
    }
}
