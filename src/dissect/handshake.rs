//! TLS's handshake, as far as it is readable (RFC 8446 4, RFC 5246 7): whom the client wants, what
//! it wants to speak, and, up to version 1.2, whose certificate the server has.
//!
//! Bytes of both directions come in, record by record and message by message, torn anywhere. Only
//! the beginning of a message is kept.

use crate::dissect::read::{Reader, Short};
use crate::dissect::x509::{self, Certificate};
use crate::dissect::{Dissector, Progress, names};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// The host that the client wants (RFC 6066 3).
pub const SERVER_NAME: Field = Field::new(&["tls-server-name", "TLS server name"]);

/// The protocols that the client would speak inside (RFC 7301).
pub const OFFERED: Field = Field::new(&["tls-alpn-offer", "ALPN offers"]);

/// The protocol that the server chose; version 1.3 hides it.
pub const CHOSEN: Field = Field::new(&["tls-alpn", "ALPN"]);

/// The version that the server chose.
pub const VERSION: Field = Field::new(&["tls-version", "TLS version"]);

/// Whose the server's certificate is, up to version 1.2.
pub const SUBJECT: Field = Field::new(&["tls-certificate", "certificate of"]);

/// The host names that the server's certificate is good for, where it has some.
pub const HOSTS: Field = Field::new(&["tls-certificate-names", "certificate for"]);

/// Who issued the server's certificate.
pub const ISSUER: Field = Field::new(&["tls-issuer", "certificate issued by"]);

/// All of them.
pub const SAYS: &[Field] = &[
    SERVER_NAME,
    OFFERED,
    CHOSEN,
    VERSION,
    SUBJECT,
    HOSTS,
    ISSUER,
];

/// How much of a message is kept, in bytes, its header included. Hellos are shorter, and of a
/// certificate the names come first.
const MAX_MESSAGE: usize = 8 * 1024;

/// The longest record (RFC 5246 6.2.1). Handshakes are not encrypted, so it may not be longer.
const MAX_RECORD: u16 = 1 << 14;

/// Protocols kept of an offer. Browsers offer two or three.
const MAX_OFFERS: usize = 8;

/// Follows both directions to the end of what is readable.
#[derive(Default)]
pub struct Handshake {
    sides: [Side; 2],
}

/// One direction.
#[derive(Default)]
struct Side {
    /// A record's header, as far as it came.
    header: Vec<u8>,
    /// How much of the record is still to come.
    left: usize,
    /// Whether that is of the handshake.
    is_handshake: bool,
    /// The beginning of a message.
    message: Vec<u8>,
    /// How much of that message is still to come and of no interest.
    skip: usize,
    /// Nothing more is readable, or of interest.
    over: bool,
}

impl Dissector for Handshake {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let side = &mut self.sides[from.index()];
        let mut r = Reader::big(bytes);
        while !side.over && r.left() > 0 {
            if side.left == 0 && !side.begin_record(&mut r) {
                continue;
            }
            let part = r.up_to(side.left);
            side.left -= part.len();
            if side.is_handshake && side.take(Reader::big(part), from, found) == Sender::Server {
                return Progress::Done;
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        self.sides[from.index()].over = true;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Who has said all that is readable.
#[derive(PartialEq)]
enum Sender {
    /// Nobody, or the client, or nobody knows who.
    Other,
    /// The server, which speaks second.
    Server,
}

impl Side {
    /// Takes bytes of a record's header; whether it is there now.
    fn begin_record(&mut self, r: &mut Reader) -> bool {
        const HEADER: usize = 5;
        let wanted = HEADER.saturating_sub(self.header.len());
        self.header.extend_from_slice(r.up_to(wanted));
        let header = std::mem::take(&mut self.header);
        match record(&header) {
            Ok(Some((kind, len))) => {
                self.is_handshake = kind == HANDSHAKE;
                self.left = len.into();
                true
            }
            Ok(None) => {
                self.over = true;
                false
            }
            Err(Short) => {
                self.header = header;
                false
            }
        }
    }

    /// Takes part of the handshake, message by message.
    fn take(&mut self, mut r: Reader, from: Direction, found: &mut Vec<Claim>) -> Sender {
        const HEADER: usize = 4;
        while r.left() > 0 {
            self.skip -= r.up_to(self.skip).len();
            let Some((kind, len)) = self.fill(HEADER, &mut r).then(|| self.head()).flatten() else {
                continue;
            };
            let whole = HEADER + len;
            let wanted = whole.min(MAX_MESSAGE);
            if !self.fill(wanted, &mut r) {
                continue;
            }
            let mut body = Reader::big(&self.message);
            body.up_to(HEADER);
            let next = read(kind, body, from, found);
            self.message.clear();
            self.skip = whole - wanted;
            self.over = next != Next::Wanted;
            match next {
                Next::Wanted => {}
                Next::ClientIsDone => return Sender::Other,
                Next::ServerIsDone => return Sender::Server,
            }
        }
        Sender::Other
    }

    fn fill(&mut self, len: usize, r: &mut Reader) -> bool {
        let wanted = len.saturating_sub(self.message.len());
        self.message.extend_from_slice(r.up_to(wanted));
        self.message.len() >= len
    }

    /// The kind of the message, and how long it is without its header.
    fn head(&self) -> Option<(u8, usize)> {
        let [kind, high, middle, low] = Reader::big(&self.message).array().ok()?;
        let len = u32::from_be_bytes([0, high, middle, low]);
        Some((kind, usize::try_from(len).ok()?))
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// The kind and length of a record; `None` if it is none, or begins what is encrypted.
fn record(header: &[u8]) -> Result<Option<(u8, u16)>, Short> {
    let mut r = Reader::big(header);
    let (kind, major, _minor, len) = (r.u8()?, r.u8()?, r.u8()?, r.u16()?);
    let is_readable = matches!(kind, ALERT | HANDSHAKE) && major == 3;
    Ok((is_readable && (1..=MAX_RECORD).contains(&len)).then_some((kind, len)))
}

/// What comes after a message.
#[derive(PartialEq)]
enum Next {
    /// More of its sender is of interest.
    Wanted,
    /// It was a client's, and that was all.
    ClientIsDone,
    /// It was a server's, and that was all.
    ServerIsDone,
}

/// Reads a message from after its header on.
fn read(kind: u8, body: Reader, from: Direction, found: &mut Vec<Claim>) -> Next {
    let mut say = |field: Field, text: String| {
        if !text.is_empty() {
            found.push(Claim::Said {
                field,
                text,
                by: from,
            });
        }
    };
    match kind {
        CLIENT_HELLO => {
            let hello = client_hello(body);
            say(SERVER_NAME, hello.server_name);
            say(OFFERED, hello.protocols);
            Next::ClientIsDone
        }
        SERVER_HELLO => {
            let hello = server_hello(body);
            say(VERSION, version_name(hello.version));
            say(CHOSEN, hello.protocols);
            match hello.version {
                ..TLS_1_3 => Next::Wanted,
                _ => Next::ServerIsDone, // its certificate is encrypted
            }
        }
        CERTIFICATE => {
            let known = certificate(body).unwrap_or_default();
            say(SUBJECT, known.subject);
            say(HOSTS, names::text(known.hosts.join(", ").as_bytes()));
            say(ISSUER, known.issuer);
            Next::ServerIsDone
        }
        SERVER_KEY_EXCHANGE | SERVER_HELLO_DONE => Next::ServerIsDone,
        _ => Next::Wanted,
    }
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const SERVER_HELLO_DONE: u8 = 14;

const TLS_1_3: u16 = 0x0304;

fn version_name(version: u16) -> String {
    let name = match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        TLS_1_3 => "TLS 1.3",
        other => return format!("{other:#06x}"), // drafts of 1.3
    };
    name.to_owned()
}

/// What a hello says.
#[derive(Default)]
struct Hello {
    version: u16,
    server_name: String,
    protocols: String,
}

fn client_hello(mut r: Reader) -> Hello {
    let mut hello = Hello::default();
    let extensions = || -> Result<Reader, Short> {
        r.skip(2 + 32)?; // version and random
        let session = r.u8()?;
        r.skip(session.into())?;
        let ciphers = r.u16()?;
        r.skip(ciphers.into())?;
        let compressions = r.u8()?;
        r.skip(compressions.into())?;
        r.skip(2)?;
        Ok(r)
    };
    // A hello without extensions ends here (RFC 5246 7.4.1.2).
    if let Ok(extensions) = extensions() {
        hello.read_extensions(extensions);
    }
    hello
}

fn server_hello(mut r: Reader) -> Hello {
    let mut hello = Hello {
        version: r.u16().unwrap_or_default(),
        ..Hello::default()
    };
    let extensions = || -> Result<Reader, Short> {
        r.skip(32)?;
        let session = r.u8()?;
        r.skip(session.into())?;
        r.skip(2 + 1 + 2)?; // cipher, compression, length of what follows
        Ok(r)
    };
    if let Ok(extensions) = extensions() {
        hello.read_extensions(extensions);
    }
    hello
}

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;

impl Hello {
    fn read_extensions(&mut self, mut r: Reader) {
        // A message is bounded, and each takes four bytes of it at least.
        while let (Ok(kind), Ok(len)) = (r.u16(), r.u16()) {
            let mut value = Reader::big(r.up_to(len.into()));
            match kind {
                EXTENSION_SERVER_NAME => {
                    self.server_name = server_name(&mut value).unwrap_or_default();
                }
                EXTENSION_ALPN => self.protocols = protocols(&mut value),
                // A server's has only the version that it chose (RFC 8446 4.2.1).
                EXTENSION_SUPPORTED_VERSIONS if value.left() == 2 => {
                    self.version = value.u16().unwrap_or(self.version);
                }
                _ => {}
            }
        }
    }
}

fn server_name(r: &mut Reader) -> Result<String, Short> {
    const HOST_NAME: u8 = 0;
    r.skip(2)?;
    if r.u8()? != HOST_NAME {
        return Ok(String::new());
    }
    let len = r.u16()?;
    Ok(names::text(r.take(len.into())?))
}

fn protocols(r: &mut Reader) -> String {
    r.up_to(2); // length of the list
    let next = || {
        let len = r.u8().ok()?;
        r.take(len.into()).ok().map(names::text)
    };
    let list: Vec<String> = std::iter::from_fn(next).take(MAX_OFFERS).collect();
    names::text(list.join(", ").as_bytes())
}

fn certificate(mut r: Reader) -> Option<Certificate> {
    r.skip(3).ok()?; // length of the list, of which the first is the server's own
    let [high, middle, low] = r.array().ok()?;
    let len = u32::from_be_bytes([0, high, middle, low]);
    x509::read(r.up_to(usize::try_from(len).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::x509::samples::certificate;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn counted(len: usize, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let count = u32::try_from(contents.len()).expect("a small sample");
        let count = count.to_be_bytes();
        [&count[4 - len..], &contents].concat()
    }

    fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        [&[kind][..], &counted(3, parts)].concat()
    }

    fn extension(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &counted(2, parts)].concat()
    }

    fn alpn(names: &[&str]) -> Vec<u8> {
        let names: Vec<u8> = (names.iter())
            .flat_map(|name| counted(1, &[name.as_bytes()]))
            .collect();
        extension(EXTENSION_ALPN, &[&counted(2, &[&names])])
    }

    /// Records of at most `len` bytes each.
    fn records(len: usize, handshake: &[u8]) -> Vec<u8> {
        let each = handshake.chunks(len);
        each.flat_map(|part| [&[HANDSHAKE, 3, 1][..], &counted(2, &[part])].concat())
            .collect()
    }

    fn asks() -> Vec<u8> {
        let name = counted(2, &[&[0], &counted(2, &[b"fs1.example"])]);
        let extensions = [
            extension(0x0a0a, &[]),
            extension(EXTENSION_SERVER_NAME, &[&name]),
            alpn(&["h2", "http/1.1"]),
        ]
        .concat();
        message(
            CLIENT_HELLO,
            &[
                &[3, 3],
                &[7; 32],
                &counted(1, &[&[9; 32]]),
                &counted(2, &[&[0x13, 1]]),
                &[1, 0],
                &counted(2, &[&extensions]),
            ],
        )
    }

    fn answers(extensions: &[u8]) -> Vec<u8> {
        let extensions = counted(2, &[extensions]);
        message(
            SERVER_HELLO,
            &[&[3, 3], &[8; 32], &[0], &[0x13, 1], &[0], &extensions],
        )
    }

    fn shows(der: &[u8]) -> Vec<u8> {
        message(CERTIFICATE, &[&counted(3, &[&counted(3, &[der])])])
    }

    /// What is claimed, as `field=text`, each piece of the talk cut at `cut`.
    fn told(talk: &[(Direction, &[u8])], cut: usize) -> (Vec<String>, Progress) {
        let (mut handshake, mut found) = (Handshake::default(), Vec::new());
        let mut last = Progress::More;
        for (from, bytes) in talk {
            for part in bytes.chunks(cut) {
                if last == Progress::More {
                    last = handshake.feed(*from, part, &mut found);
                }
            }
        }
        let text = |claim| match claim {
            Claim::Said { field, text, .. } => format!("{}={text}", field.name()),
            other => panic!("{other:?}"),
        };
        (found.into_iter().map(text).collect(), last)
    }

    #[test]
    fn a_handshake_of_version_1_2_is_told_however_it_is_cut() {
        let der = certificate("fs1", "Office CA", &["fs1.example", "files.example"]);
        let server = [answers(&alpn(&["h2"])), shows(&der)].concat();
        for record_len in [1, 100, 16_000] {
            let (client, server) = (records(record_len, &asks()), records(record_len, &server));
            let talk = [(Forward, &client[..]), (Reverse, &server)];
            for cut in [1, 2, 3, 7, 50, 9000] {
                let (told, last) = told(&talk, cut);
                let expected = [
                    "tls-server-name=fs1.example",
                    "tls-alpn-offer=h2, http/1.1",
                    "tls-version=TLS 1.2",
                    "tls-alpn=h2",
                    "tls-certificate=CN=fs1",
                    "tls-certificate-names=fs1.example, files.example",
                    "tls-issuer=CN=Office CA",
                ];
                assert_eq!(told, expected, "{record_len}, {cut}");
                assert_eq!(last, Progress::Done);
            }
        }
    }

    #[test]
    fn of_version_1_3_the_hellos_are_all() {
        let chosen = extension(EXTENSION_SUPPORTED_VERSIONS, &[&[3, 4]]);
        let server = records(9000, &answers(&chosen));
        let warned = [&[ALERT, 3, 3, 0, 2, 1, 112][..], &server].concat();
        let (told, last) = told(&[(Reverse, &warned)], 9000);
        assert_eq!(told, ["tls-version=TLS 1.3"]);
        assert_eq!(last, Progress::Done);
    }

    #[test]
    fn what_is_encrypted_or_no_record_is_left_alone() {
        for bytes in [
            &b"\x17\x03\x03\0\x05hello"[..],
            b"\x80\x2e\x01\0\x02",
            b"220 hello",
        ] {
            let (told, last) = told(&[(Forward, bytes)], 9000);
            assert_eq!((told, last), (Vec::new(), Progress::More));
        }
    }

    #[test]
    fn after_a_gap_a_direction_says_nothing_more() {
        let (mut handshake, mut found) = (Handshake::default(), Vec::new());
        let client = records(9000, &asks());
        let (left, right) = client.split_at(40);
        handshake.feed(Forward, left, &mut found);
        handshake.gap(Forward, Some(1));
        handshake.feed(Forward, right, &mut found);
        assert_eq!(found, []);
        handshake.feed(Reverse, &records(9000, &answers(&[])), &mut found);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn of_a_long_message_the_beginning_is_kept() {
        let long = [certificate("fs1", "CA", &[]), vec![0; 100_000]].concat();
        let server = records(16_000, &[answers(&[]), shows(&long)].concat());
        let (mut handshake, mut found) = (Handshake::default(), Vec::new());
        for part in server.chunks(1000) {
            handshake.feed(Reverse, part, &mut found);
            assert!(handshake.sides[1].message.len() <= MAX_MESSAGE);
        }
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
