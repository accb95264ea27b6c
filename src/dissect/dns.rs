//! Domain Name System (RFC 1035): questions for services, and what domains and their controllers
//! register of themselves. Its format is multicast DNS's and LLMNR's, too, which have files of
//! their own.

use crate::dissect::messages::{Datagrams, Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role, domain_name,
    names, netbios_name, probe_datagram, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Domain Name System (RFC 1035).
pub const PROTOCOL: Protocol = Protocol::new(&["dns", "DNS"]);

/// A question: the type and the name of a service that is looked for, as
/// `SRV _ldap._tcp.lab.example`; of a host, where names are asked of all neighbours.
pub const QUESTION: Field = Field::new(&["dns-question", "asks for"]);

/// What a dynamic update adds or deletes (RFC 2136), as `add SRV _ldap._tcp.lab.example`.
const UPDATE: Field = Field::new(&["dns-update", "update"]);

/// The algorithm by which a message is signed, or a key agreed on (RFC 8945, RFC 2930).
const SIGNATURE: Field = Field::new(&["dns-signature", "signed by"]);

/// What the server says it is, to the question `version.bind` (RFC 4892).
const VERSION: Field = Field::new(&["dns-version", "DNS version"]);

const SAYS: &[Field] = &[QUESTION, UPDATE, SIGNATURE, VERSION];

/// DNS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[53],
    begins: FirstBytes::ANY,
    probe: |opening| probe(opening, Dialect::Dns),
    follow: Some(|_| Box::new(Datagrams(Questions::default()))),
    says: SAYS,
    examples: &[
        Example {
            port: 53,
            client: b"\x124\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01",
            server: b"\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\0\
        \x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
        },
        Example {
            port: 53,
            client: b"",
            server: b"\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\0\
        \x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
        },
    ],
};

/// DNS over TCP: each message after its length (RFC 1035 4.2.2).
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[53],
    begins: FirstBytes::ANY,
    probe: |opening| probe_framed(opening, Dialect::Dns),
    follow: Some(|_| {
        Box::new(Stream::new(
            &FRAMING,
            Questions {
                is_framed: true,
                ..Questions::default()
            },
        ))
    }),
    says: SAYS,
    examples: &[Example {
        port: 53,
        client: b"\0\x1d\x124\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01",
        server: b"\0-\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\
        \0\x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
    }],
};

/// Bytes in a header.
const HEADER_LEN: usize = 12;

/// Bytes of the length in front of each message of a stream.
const LENGTH_LEN: usize = 2;

/// Who speaks in this format: nothing but the port and the flags of a message tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A resolver and its server.
    Dns,
    /// Neighbours, RFC 6762, on port 5353.
    Multicast,
    /// Neighbours, RFC 4795, on port 5355.
    LinkLocal,
}

impl Dialect {
    /// Whose a message with these flags is, between these ports.
    fn of(opening: &Opening, flags: u16) -> Dialect {
        let is_answer = flags & flag::RESPONSE != 0;
        if opening.has_port(53) {
            return Dialect::Dns;
        }
        // RFC 6762 18: an answer is authoritative, and all else is zero but for a truncation.
        let multicast = if is_answer {
            flag::RESPONSE | flag::SECOND
        } else {
            0
        };
        if opening.has_port(5353) && flags & !flag::TRUNCATED == multicast {
            return Dialect::Multicast;
        }
        // RFC 4795 2.1.1: the bits beside are a conflict's, in answers a tentative name's, too.
        let free = flag::SECOND | flag::TRUNCATED | flag::RCODE;
        let free = free
            | if is_answer {
                flag::RESPONSE | flag::THIRD
            } else {
                0
            };
        if opening.has_port(5355) && flags & !free == 0 {
            return Dialect::LinkLocal;
        }
        Dialect::Dns
    }
}

/// Bits of a header (RFC 1035 4.1.1).
mod flag {
    pub const RESPONSE: u16 = 0x8000;
    /// Authoritative answer; in LLMNR a conflict.
    pub const SECOND: u16 = 0x0400;
    pub const TRUNCATED: u16 = 0x0200;
    /// Recursion desired; in LLMNR a tentative answer.
    pub const THIRD: u16 = 0x0100;
    pub const RCODE: u16 = 0x000f;
}

/// Looks at datagrams of this dialect.
pub fn probe(opening: &Opening, dialect: Dialect) -> Probe {
    probe_datagram(opening, |bytes| {
        message(Reader::big(bytes), opening, dialect)
    })
}

/// Looks at a stream of this dialect.
pub fn probe_framed(opening: &Opening, dialect: Dialect) -> Probe {
    probe_stream(opening, |bytes| framed(bytes, opening, dialect))
}

fn framed(bytes: &[u8], opening: &Opening, dialect: Dialect) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = usize::from(r.u16()?);
    if len < HEADER_LEN + 5 {
        return Ok(Look::Other);
    }
    match r.left() < len {
        true => message(Reader::big(r.rest()), opening, dialect),
        // A question that runs over its own message is none: nothing more would mend it.
        false => Ok(message(r.sub(len)?, opening, dialect).unwrap_or(Look::Other)),
    }
}

fn message(mut r: Reader, opening: &Opening, dialect: Dialect) -> Result<Look, Short> {
    let bytes = r.clone().rest();
    let (_id, flags) = (r.u16()?, r.u16()?);
    if Dialect::of(opening, flags) != dialect {
        return Ok(Look::Other);
    }
    let (questions, answers, authorities, more) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    let opcode = flags >> 11 & 0xf;
    // Bit 6 is reserved; an opcode of 3 was never assigned.
    if flags & 0x0040 != 0 || !matches!(opcode, 0 | 1 | 2 | 4 | 5) || questions > 64 {
        return Ok(Look::Other);
    }
    if questions == 0 && answers == 0 {
        return Ok(Look::Other);
    }
    let mut start = r.clone();
    if netbios_name::encoded(&mut start)?.is_some() && matches!(start.u16(), Ok(0x20 | 0x21)) {
        return Ok(Look::Other);
    }
    let is_encoded_long = r.clone().u8() == Ok(netbios_name::ENCODED_LEN);
    if domain_name::read(bytes, &mut r)?.is_none() {
        return Ok(Look::Other);
    }
    let (kind, class) = (r.u16()?, r.u16()?);
    // A NetBIOS name with a wrong byte in it is a good domain name.
    if is_encoded_long && (kind == kind::NETBIOS || opening.has_port(137)) {
        return Ok(Look::Other);
    }
    // The top bit is multicast DNS's (RFC 6762 10.2 and 5.4); an update may say NONE or ANY.
    if kind == 0 || !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) {
        return Ok(Look::Other);
    }
    let is_question_alone = questions == 1 && answers == 0 && authorities == 0 && more == 0;
    if is_question_alone && r.left() > 0 {
        return Ok(Look::Other);
    }
    Ok(Look::By(match flags & 0x8000 {
        0 => Role::Client,
        _ => Role::Server,
    }))
}

/// Types of records (RFC 1035 3.2.2 and those after it).
mod kind {
    pub const PTR: u16 = 12;
    pub const TXT: u16 = 16;
    /// RFC 1002 4.2.1.2; in DNS a type that nobody uses.
    pub const NETBIOS: u16 = 32;
    pub const SRV: u16 = 33;
    pub const TKEY: u16 = 249;
    pub const TSIG: u16 = 250;
}

/// Classes (RFC 1035 3.2.4, RFC 2136 1.3).
mod class {
    pub const INTERNET: u16 = 1;
    pub const CHAOS: u16 = 3;
    pub const NONE: u16 = 254;
    pub const ANY: u16 = 255;
}

/// Operation codes (RFC 1035 4.1.1, RFC 2136 1.3).
mod opcode {
    pub const QUERY: u16 = 0;
    pub const UPDATE: u16 = 5;
}

/// How a type is called; what has no name here is told of by its number (RFC 3597 5).
fn kind_name(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        kind::PTR => "PTR",
        15 => "MX",
        kind::TXT => "TXT",
        28 => "AAAA",
        kind::SRV => "SRV",
        kind::TKEY => "TKEY",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// How many questions and records of a message are looked at: an update that registers a domain
/// controller has some twenty.
const MAX_RECORDS: usize = 64;

/// A message is kept whole: 16 bits say how long it is.
const FRAMING: Framing = Framing {
    len: |mut r| {
        let len = usize::from(r.u16()?);
        Ok((len >= HEADER_LEN).then_some(len + LENGTH_LEN))
    },
    most: LENGTH_LEN + u16::MAX as usize,
    begins: |bytes| {
        let anywhere = Opening {
            forward: bytes,
            reverse: b"",
            ports: (0, 0),
            from_start: false,
        };
        matches!(framed(bytes, &anywhere, Dialect::Dns), Ok(Look::By(_)))
    },
};

/// Reads the messages of both sides.
#[derive(Default)]
struct Questions {
    said: Sayings,
    is_framed: bool,
}

impl Listener for Questions {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(message);
        if self.is_framed {
            r.up_to(LENGTH_LEN);
        }
        // What is cut off says less, and nothing wrong.
        let _ = self.message(from, r.rest(), found);
        self.said.progress()
    }
}

/// A question, or the beginning of a record.
pub struct Entry {
    /// Whom it is about.
    pub name: String,
    kind: u16,
    class: u16,
}

impl Entry {
    /// Reads a question.
    ///
    /// # Errors
    /// `Short` if it is cut off, or its name is none.
    pub fn read<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Result<Entry, Short> {
        Ok(Entry {
            name: domain_name::read(message, r)?.ok_or(Short)?,
            kind: r.u16()?,
            class: r.u16()?,
        })
    }

    /// Its type and its name: `SRV _ldap._tcp.lab.example`.
    pub fn told(&self) -> String {
        format!("{} {}", kind_name(self.kind), self.name)
    }

    /// Whether it leads from a kind of service to those that are there.
    pub fn is_pointer(&self) -> bool {
        self.kind == kind::PTR
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        self.kind == kind::TXT
    }
}

/// A message, its header read.
pub struct Message<'a> {
    bytes: &'a [u8],
    rest: Reader<'a>,
    /// Whether it answers.
    pub is_answer: bool,
    opcode: u16,
    /// How many questions, answers, authorities and additional records it says it has.
    counts: [u16; 4],
}

impl<'a> Message<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Short` if it is cut off.
    pub fn read(bytes: &'a [u8]) -> Result<Message<'a>, Short> {
        let mut r = Reader::big(bytes);
        let (_id, flags) = (r.u16()?, r.u16()?);
        Ok(Message {
            bytes,
            is_answer: flags & flag::RESPONSE != 0,
            opcode: flags >> 11 & 0xf,
            counts: [r.u16()?, r.u16()?, r.u16()?, r.u16()?],
            rest: r,
        })
    }

    /// Its questions, up to where it is cut off, and at most [`MAX_RECORDS`]. Comes first.
    pub fn questions(&mut self) -> Vec<Entry> {
        let count = usize::from(self.counts[0]).min(MAX_RECORDS);
        (0..count)
            .map_while(|_| Entry::read(self.bytes, &mut self.rest).ok())
            .collect()
    }

    /// The records of the section after the last that was read, with their data; bounded likewise.
    pub fn records(&mut self, section: usize) -> Vec<(Entry, Reader<'a>)> {
        let count = usize::from(self.counts[section]).min(MAX_RECORDS);
        (0..count).map_while(|_| self.record().ok()).collect()
    }

    fn record(&mut self) -> Result<(Entry, Reader<'a>), Short> {
        let entry = Entry::read(self.bytes, &mut self.rest)?;
        let _time_to_live = self.rest.u32()?;
        let len = self.rest.u16()?;
        Ok((entry, self.rest.sub(len.into())?))
    }
}

impl Questions {
    fn message(
        &mut self,
        from: Direction,
        bytes: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut message = Message::read(bytes)?;
        match (message.opcode, message.is_answer) {
            (opcode::QUERY, false) => {
                for question in message.questions() {
                    if matches!(question.kind, kind::SRV | kind::TKEY) {
                        self.said.say(QUESTION, question.told(), from, found);
                    }
                }
            }
            (opcode::QUERY, true) => self.version(from, &mut message, found),
            (opcode::UPDATE, false) => self.update(from, &mut message, found),
            _ => return Ok(()),
        }
        if !message.is_answer {
            // Keys and signatures stand last; an update's are read by then up to there.
            if message.opcode == opcode::QUERY {
                message.records(1);
                message.records(2);
            }
            self.signature(bytes, from, &mut message, found)?;
        }
        Ok(())
    }

    fn update(&mut self, from: Direction, message: &mut Message, found: &mut Vec<Claim>) {
        // RFC 2136 2: the zone, what must hold before, and what is to change.
        let zones = message.questions();
        message.records(1);
        for zone in zones {
            self.said
                .say(UPDATE, format!("zone {}", zone.name), from, found);
        }
        for (change, _) in message.records(2) {
            let what = match change.class {
                class::INTERNET => "add",
                class::NONE | class::ANY => "delete",
                _ => continue,
            };
            let text = format!("{what} {}", change.told());
            self.said.say(UPDATE, text, from, found);
        }
    }

    fn version(&mut self, from: Direction, message: &mut Message, found: &mut Vec<Claim>) {
        let asked = message.questions();
        let is_asked = |one: &Entry| {
            one.class == class::CHAOS && one.name.eq_ignore_ascii_case("version.bind")
        };
        if !asked.iter().any(is_asked) {
            return;
        }
        for (entry, mut text) in message.records(1) {
            let len = text.u8().unwrap_or_default();
            if let (true, Ok(text)) = (entry.is_text(), text.take(len.into())) {
                self.said.say(VERSION, names::text(text), from, found);
            }
        }
    }

    fn signature(
        &mut self,
        bytes: &[u8],
        from: Direction,
        message: &mut Message,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        for (entry, mut data) in message.records(3) {
            if matches!(entry.kind, kind::TSIG | kind::TKEY) {
                let algorithm = domain_name::read(bytes, &mut data)?.ok_or(Short)?;
                self.said.say(SIGNATURE, algorithm, from, found);
            }
        }
        Ok(())
    }
}

/// Messages for the tests.
#[cfg(test)]
pub mod samples {
    /// A name as it is sent.
    pub fn name(name: &str) -> Vec<u8> {
        let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
        let labels: Vec<_> = name.split('.').map(label).collect();
        [labels.concat(), vec![0]].concat()
    }

    pub fn question(of: &str, kind: u16, class: u16) -> Vec<u8> {
        [name(of), [kind, class].map(u16::to_be_bytes).concat()].concat()
    }

    pub fn record(of: &str, kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
        let len = (data.len() as u16).to_be_bytes();
        [&question(of, kind, class)[..], &[0; 4], &len, data].concat()
    }

    pub fn message(flags: u16, sections: [&[Vec<u8>]; 4]) -> Vec<u8> {
        let counts = sections.map(|section| section.len() as u16);
        let header = [&[7, flags][..], &counts].concat();
        let header: Vec<_> = header
            .iter()
            .flat_map(|word: &u16| word.to_be_bytes())
            .collect();
        [header, sections.map(|section| section.concat()).concat()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{message, name, question, record};
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::dissect::samples::follow;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn told(from: Direction, message: &[u8]) -> Vec<String> {
        said(follow(&DATAGRAM).as_mut(), &[(from, message)])
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes(), message].concat()
    }

    const LDAP: &str = "_ldap._tcp.dc._msdcs.lab.example";

    fn update() -> Vec<u8> {
        let signature = [name("gss-tsig"), vec![0; 16]].concat();
        message(
            5 << 11,
            [
                &[question("lab.example", 6, 1)],
                &[record(LDAP, 33, 254, b"")],
                &[
                    record(LDAP, 33, 255, b""),
                    record(LDAP, 33, 1, b"\0\0\0\x64\x01\x85\0"),
                    record("dc1.lab.example", 1, 1, &[10, 0, 0, 1]),
                ],
                &[record("key", 250, 255, &signature)],
            ],
        )
    }

    const UPDATED: [&str; 5] = [
        "dns-update: zone lab.example",
        "dns-update: delete SRV _ldap._tcp.dc._msdcs.lab.example",
        "dns-update: add SRV _ldap._tcp.dc._msdcs.lab.example",
        "dns-update: add A dc1.lab.example",
        "dns-signature: gss-tsig",
    ];

    #[test]
    fn questions_for_services_are_told_of_and_those_for_hosts_are_not() {
        let asked = [question(LDAP, 33, 1), question("www.example", 1, 1)];
        let query = message(0x0100, [&asked, &[], &[], &[]]);
        assert_eq!(
            told(Forward, &query),
            ["dns-question: SRV _ldap._tcp.dc._msdcs.lab.example"]
        );
        let answer = message(0x8180, [&asked, &[], &[], &[]]);
        assert!(told(Reverse, &answer).is_empty());
    }

    #[test]
    fn an_update_says_what_it_registers_and_how_it_is_signed() {
        assert_eq!(told(Forward, &update()), UPDATED);
    }

    #[test]
    fn a_stream_holds_several_messages_torn_anywhere() {
        let asked = message(
            0x0100,
            [&[question("_gc._tcp.lab.example", 33, 1)], &[], &[], &[]],
        );
        let both = [framed(&asked), framed(&update())].concat();
        let all = [&["dns-question: SRV _gc._tcp.lab.example"], &UPDATED[..]].concat();
        assert_eq!(said(follow(&STREAM).as_mut(), &[(Forward, &both)]), all);
        torn(&|| follow(&STREAM), &[(Forward, &both)]);
        let update = update();
        for len in 0..update.len() {
            let cut = told(Forward, Reader::big(&update).up_to(len));
            assert!(
                UPDATED
                    .iter()
                    .map(|one| one.to_string())
                    .collect::<Vec<_>>()
                    .starts_with(&cut)
            );
        }
    }

    #[test]
    fn a_server_says_its_version_to_who_asks_for_it_alone() {
        let asked = [question("version.bind", 16, 3)];
        let version = b"\x18Microsoft DNS 10.0.20348";
        let answer = message(
            0x8580,
            [&asked, &[record("version.bind", 16, 3, version)], &[], &[]],
        );
        assert_eq!(
            told(Reverse, &answer),
            ["dns-version: Microsoft DNS 10.0.20348"]
        );
        let asked = [question("lab.example", 16, 1)];
        let answer = message(
            0x8580,
            [&asked, &[record("lab.example", 16, 1, version)], &[], &[]],
        );
        assert!(told(Reverse, &answer).is_empty());
    }

    #[test]
    fn a_message_says_no_more_than_its_bound() {
        let many: Vec<_> = (0..500)
            .map(|n| question(&format!("_{n}._tcp.a"), 33, 1))
            .collect();
        let query = message(0, [&many, &[], &[], &[]]);
        assert_eq!(
            told(Forward, &query).len(),
            crate::dissect::messages::MAX_SAYINGS
        );
    }

    #[test]
    fn a_broken_netbios_name_is_no_domain_name() {
        let letters = [&"CA".repeat(15), "C~"].concat();
        let broken = message(
            0x0110,
            [&[question(&letters, kind::NETBIOS, 1)], &[], &[], &[]],
        );
        let mut opening = Opening {
            forward: &broken,
            reverse: b"",
            ports: (137, 137),
            from_start: true,
        };
        assert_eq!(probe(&opening, Dialect::Dns), Probe::No);
        opening.ports = (50_000, 9999);
        assert_eq!(probe(&opening, Dialect::Dns), Probe::No, "by its type");
        let host = message(0x0100, [&[question(&"a".repeat(32), 1, 1)], &[], &[], &[]]);
        opening.forward = &host;
        assert!(matches!(probe(&opening, Dialect::Dns), Probe::Yes(_)));
    }

    #[test]
    fn neighbours_are_told_from_servers_by_port_and_flags() {
        let on = |port: u16| Opening {
            forward: b"",
            reverse: b"",
            ports: (50_000, port),
            from_start: true,
        };
        for (port, flags, dialect) in [
            (5353, 0x0000, Dialect::Multicast),
            (5353, 0x8400, Dialect::Multicast),
            (5353, 0x0100, Dialect::Dns),
            (5353, 0x8180, Dialect::Dns),
            (5355, 0x0000, Dialect::LinkLocal),
            (5355, 0x8000, Dialect::LinkLocal),
            (5355, 0x0100, Dialect::Dns),
            (5355, 0x8180, Dialect::Dns),
            (53, 0x0000, Dialect::Dns),
            (9999, 0x0000, Dialect::Dns),
        ] {
            assert_eq!(Dialect::of(&on(port), flags), dialect, "{port} {flags:x}");
        }
        // A resolver may have any port.
        let resolver = Opening {
            ports: (5355, 53),
            ..on(53)
        };
        assert_eq!(Dialect::of(&resolver, 0), Dialect::Dns);
    }
}
