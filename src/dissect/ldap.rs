//! Lightweight Directory Access Protocol (RFC 4511), also without connection (MS-ADTS 6.3.3).
//!
//! Message by message: how the client binds, what it asks for, and what the directory says of
//! itself. What is sealed after a bind, or encrypted after StartTLS, is left alone.

use crate::dissect::messages::{Datagrams, Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, ber, names, netlogon, ntlm,
    probe_datagram, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Lightweight Directory Access Protocol (RFC 4511).
pub const PROTOCOL: Protocol = Protocol::new(&["ldap", "LDAP"]);

/// How the client proves who it is: `simple`, or the name of a SASL mechanism.
const BIND: Field = Field::new(&["ldap-bind", "bind by"]);

/// Where in the directory the client searches.
const BASE: Field = Field::new(&["ldap-base", "search below"]);

/// What the client wants to know of the directory itself.
const ATTRIBUTE: Field = Field::new(&["ldap-attribute", "asks the directory for"]);

/// The object identifier of an extended operation.
const EXTENDED: Field = Field::new(&["ldap-extended", "extended operation"]);

/// What the directory says of itself: an attribute of its root and a value, as `name: value`.
const ROOT: Field = Field::new(&["ldap-root", "directory says"]);

/// The filter by which a domain controller is looked for without a connection.
const PING: Field = Field::new(&["netlogon-ping", "looks for a domain controller by"]);

const SAYS: &[Field] = &[
    BIND,
    BASE,
    ATTRIBUTE,
    EXTENDED,
    ROOT,
    PING,
    netlogon::CONTROLLER,
    netlogon::DOMAIN,
    netlogon::SITE,
    ntlm::VERSION,
];

/// LDAP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[389, 3268],
    begins: FirstBytes::of(b"0"),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Directory::default()))),
    says: SAYS,
    examples: &[
        Example {
            port: 389,
            client: b"0\x84\0\0\0\x1d\x02\x01\x07c\x84\0\0\0\x14\x04\0\n\x01\0\n\x01\0\x02\x01\0\
        \x02\x01\0\x01\x01\0\x87\0",
            server: b"0\x0c\x02\x01\x07d\x07\x04\x01x0\0\0\0",
        },
        Example {
            port: 389,
            client: b"0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\0\x80\0",
            server: b"",
        },
    ],
};

/// LDAP over UDP, as domain controllers are found.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[389],
    begins: FirstBytes::of(b"0"),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| {
        Box::new(Datagrams(Directory {
            is_connectionless: true,
            ..Directory::default()
        }))
    }),
    says: SAYS,
    examples: &[Example {
        port: 389,
        client: b"0\x84\0\0\0\x1d\x02\x01\x07c\x84\0\0\0\x14\x04\0\n\x01\0\n\x01\0\x02\x01\0\
        \x02\x01\0\x01\x01\0\x87\0",
        server: b"0\x0c\x02\x01\x07d\x07\x04\x01x0\0\0\0",
    }],
};

/// A message is a SEQUENCE. The root of a directory, with all that it supports, fits into what is
/// kept several times; of a long entry or a picture the beginning is enough.
const FRAMING: Framing = Framing {
    len: |r| match r.clone().u8()? {
        SEQUENCE => ber::element_len(r),
        _ => Ok(None),
    },
    most: 16 * 1024,
    begins: |bytes| matches!(look(bytes), Ok(Look::By(_))),
};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;

/// Tags of operations (RFC 4511 4.2 on).
mod operation {
    pub const BIND: u8 = 0x60;
    pub const BIND_ANSWER: u8 = 0x61;
    pub const SEARCH: u8 = 0x63;
    pub const ENTRY: u8 = 0x64;
    pub const EXTENDED: u8 = 0x77;
}

/// What a root tells that says whose directory it is (RFC 4512 5.1, RFC 3045, MS-ADTS 3.1.1.3.2).
const OF_ROOT: &[&str] = &[
    "dnsHostName",
    "ldapServiceName",
    "defaultNamingContext",
    "supportedCapabilities",
    "isGlobalCatalogReady",
    "vendorName",
    "vendorVersion",
    "objectClass",
    "structuralObjectClass",
];

/// How many attributes of a request or an answer are looked at: a root has some thirty.
const MAX_ATTRIBUTES: usize = 64;

/// Reads the messages of both sides.
#[derive(Default)]
struct Directory {
    said: Sayings,
    is_connectionless: bool,
}

impl Listener for Directory {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        // What is cut off or of another form says less, and nothing wrong.
        let _ = self.message(from, message, found);
        self.said.progress()
    }
}

impl Directory {
    fn message(
        &mut self,
        from: Direction,
        message: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut r = ber::expect(&mut Reader::big(message), SEQUENCE)?;
        ber::integer(&mut r)?;
        let (operation, body) = ber::element(&mut r)?;
        match operation {
            operation::BIND => {
                self.prove(from, body.clone(), found);
                self.bind(from, body, found)
            }
            operation::BIND_ANSWER => {
                self.prove(from, body, found);
                Ok(())
            }
            operation::SEARCH => self.search(from, body, found),
            operation::ENTRY => self.entry(from, body, found),
            operation::EXTENDED => {
                let name = text(&mut { body }, 0x80)?;
                self.said.say(EXTENDED, name, from, found);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a leg of a bind states of its sender: by SASL in the credentials, by Sicily in place of
    /// the name that was found (MS-ADTS 5.1.1.1.3).
    fn prove(&mut self, from: Direction, mut leg: Reader, found: &mut Vec<Claim>) {
        let version = ntlm::version(leg.rest()).unwrap_or_default();
        self.said.say(ntlm::VERSION, version, from, found);
    }

    fn bind(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        ber::integer(&mut r)?;
        let name = ber::expect(&mut r, OCTETS)?;
        let (kind, mut credentials) = ber::element(&mut r)?;
        let mechanism = match kind {
            0x80 if name.left() == 0 && credentials.left() == 0 => "anonymous".to_owned(),
            0x80 => "simple".to_owned(),
            0xa3 => text(&mut credentials, OCTETS)?,
            // MS-ADTS 5.1.1.1.3: Sicily, with which NTLM is spoken without SASL.
            0x89..=0x8b => "Sicily".to_owned(),
            _ => return Ok(()),
        };
        self.said.say(BIND, mechanism, from, found);
        Ok(())
    }

    /// RFC 4511 4.5.1.
    fn search(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let base = text(&mut r, OCTETS)?;
        if !base.is_empty() {
            self.said.say(BASE, base, from, found);
            return Ok(());
        }
        // Scope, aliases, the limits of size and time, types only.
        for _ in 0..5 {
            ber::element(&mut r)?;
        }
        let (kind, filter) = ber::element(&mut r)?;
        let mut wanted = ber::expect(&mut r, SEQUENCE)?;
        for _ in 0..MAX_ATTRIBUTES {
            let Ok(attribute) = text(&mut wanted, OCTETS) else {
                break;
            };
            if self.is_connectionless && attribute.eq_ignore_ascii_case(NETLOGON) {
                self.said
                    .say(PING, asked_by(kind, filter.clone()), from, found);
            }
            self.said.say(ATTRIBUTE, attribute, from, found);
        }
        Ok(())
    }

    /// RFC 4511 4.5.2: what has no name is the root.
    fn entry(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        if ber::expect(&mut r, OCTETS)?.left() > 0 {
            return Ok(());
        }
        let mut attributes = ber::expect(&mut r, SEQUENCE)?;
        for _ in 0..MAX_ATTRIBUTES {
            let mut attribute = ber::expect(&mut attributes, SEQUENCE)?;
            let name = text(&mut attribute, OCTETS)?;
            let mut values = ber::expect(&mut attribute, SET)?;
            if name.eq_ignore_ascii_case(NETLOGON) {
                let answer = ber::whole(&mut values, OCTETS)?;
                netlogon::say_answer(answer, from, &mut self.said, found);
            }
            let Some(name) = OF_ROOT
                .iter()
                .find(|known| known.eq_ignore_ascii_case(&name))
            else {
                continue;
            };
            while let Ok(value) = text(&mut values, OCTETS) {
                self.said.say(ROOT, format!("{name}: {value}"), from, found);
            }
        }
        Ok(())
    }
}

/// The attribute by which a domain controller is asked whether it is one (MS-ADTS 6.3.3.2).
const NETLOGON: &str = "Netlogon";

/// The equalities of a filter that consists of nothing else, as `DnsDomain=lab.example`: those
/// whose values are text. Filters of another form are told of without.
fn asked_by(kind: u8, mut filter: Reader) -> String {
    const AND: u8 = 0xa0;
    const EQUALITY: u8 = 0xa3;
    /// A locator's has six at most (MS-ADTS 6.3.3.1).
    const MAX_TERMS: usize = 8;
    // NtVer and the GUID and SID of a domain are numbers.
    let is_text = |name: &str| {
        let known = ["DnsDomain", "Host", "User"];
        known.iter().any(|one| one.eq_ignore_ascii_case(name))
    };
    let mut told = Vec::new();
    for _ in 0..MAX_TERMS {
        let Ok(mut term) = ber::expect(&mut filter, EQUALITY) else {
            break;
        };
        match (text(&mut term, OCTETS), text(&mut term, OCTETS)) {
            (Ok(name), Ok(value)) if is_text(&name) => told.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if kind != AND {
        told.clear();
    }
    match told.is_empty() {
        true => NETLOGON.to_owned(),
        false => told.join(" "),
    }
}

/// The text of the next element, if it has this tag and is there whole.
fn text(r: &mut Reader, tag: u8) -> Result<String, Short> {
    ber::whole(r, tag).map(names::text)
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (tag, len) = ber::head(&mut r)?;
    let Some(len) = len.filter(|len| tag == 0x30 && *len >= 5) else {
        return Ok(Look::Other);
    };
    let body = r.position();
    // MessageID is an INTEGER of at most 31 bits.
    if !matches!(ber::integer(&mut r)?, Some(0..=0x7fff_ffff)) {
        return Ok(Look::Other);
    }
    let (operation, inner) = ber::head(&mut r)?;
    let fits = inner
        .and_then(|inner| inner.checked_add(r.position() - body))
        .is_some_and(|inner| inner <= len);
    if !fits {
        return Ok(Look::Other);
    }
    // What each operation begins with: a version, a name, an enumerated result.
    let (role, first) = match operation {
        0x60 => (Role::Client, 0x02),                      // bind
        0x63 | 0x66 | 0x68 | 0x6c => (Role::Client, 0x04), // search, modify, add, rename
        0x6e => (Role::Client, 0x04),                      // compare
        0x77 => (Role::Client, 0x80),                      // extended
        0x61 | 0x65 | 0x67 | 0x69 => (Role::Server, 0x0a), // results
        0x6b | 0x6d | 0x6f | 0x78 => (Role::Server, 0x0a), // results
        0x64 | 0x73 => (Role::Server, 0x04),               // entry, referral
        0x42 | 0x4a | 0x50 if inner == Some(0) || operation != 0x42 => {
            return Ok(Look::By(Role::Client)); // unbind, delete, abandon
        }
        _ => return Ok(Look::Other),
    };
    Ok(match r.u8()? == first {
        true => Look::By(role),
        false => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::dissect::{Dissector, Opening};
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// An element whose length takes one byte, or three.
    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let len = u16::try_from(contents.len()).expect("a short element");
        match len {
            0..128 => [&[tag, len as u8], &contents[..]].concat(),
            _ => [&[tag, 0x82], &len.to_be_bytes()[..], &contents].concat(),
        }
    }

    fn octets(text: &[u8]) -> Vec<u8> {
        element(OCTETS, &[text])
    }

    fn message(operation: u8, body: &[&[u8]]) -> Vec<u8> {
        element(SEQUENCE, &[b"\x02\x01\x05", &element(operation, body)])
    }

    fn search(base: &str, filter: &[u8], attributes: &[&str]) -> Vec<u8> {
        let wanted: Vec<_> = attributes.iter().map(|a| octets(a.as_bytes())).collect();
        let between = b"\n\x01\0\n\x01\0\x02\x01\0\x02\x01\0\x01\x01\0";
        let wanted = element(SEQUENCE, &[&wanted.concat()]);
        message(
            operation::SEARCH,
            &[&octets(base.as_bytes()), between, filter, &wanted],
        )
    }

    fn entry(name: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let attribute = |(name, values): &(&str, &[&[u8]])| {
            let values: Vec<_> = values.iter().map(|value| octets(value)).collect();
            element(
                SEQUENCE,
                &[&octets(name.as_bytes()), &element(SET, &[&values.concat()])],
            )
        };
        let attributes: Vec<_> = attributes.iter().map(attribute).collect();
        let attributes = element(SEQUENCE, &[&attributes.concat()]);
        message(operation::ENTRY, &[&octets(name.as_bytes()), &attributes])
    }

    fn opening() -> Opening<'static> {
        Opening {
            forward: b"",
            reverse: b"",
            ports: (50_000, 389),
            from_start: true,
        }
    }

    fn stream() -> Box<dyn Dissector> {
        STREAM.follow.expect("it is followed")(&opening())
    }

    fn datagram() -> Box<dyn Dissector> {
        DATAGRAM.follow.expect("it is followed")(&opening())
    }

    const PRESENT: &[u8] = b"\x87\x0bobjectClass";

    fn root_talk() -> [Vec<u8>; 2] {
        let capabilities: &[&[u8]] = &[b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1670"];
        [
            search("", PRESENT, &["supportedCapabilities"]),
            entry(
                "",
                &[
                    ("currentTime", &[b"20200101000000.0Z"]),
                    ("supportedcapabilities", capabilities),
                    ("dnsHostName", &[b"dc1.lab.example"]),
                ],
            ),
        ]
    }

    #[test]
    fn a_root_says_whose_directory_it_is() {
        let [asked, answer] = root_talk();
        let all = [
            "ldap-attribute: supportedCapabilities",
            "ldap-root: supportedCapabilities: 1.2.840.113556.1.4.800",
            "ldap-root: supportedCapabilities: 1.2.840.113556.1.4.1670",
            "ldap-root: dnsHostName: dc1.lab.example",
        ];
        let talk: [(_, &[u8]); 2] = [(Forward, &asked), (Reverse, &answer)];
        assert_eq!(said(stream().as_mut(), &talk), all);
        torn(&stream, &talk);
    }

    #[test]
    fn entries_below_the_root_say_nothing_of_the_server() {
        let answer = entry("CN=me", &[("vendorName", &[b"me"])]);
        assert!(said(stream().as_mut(), &[(Reverse, &answer)]).is_empty());
    }

    #[test]
    fn a_client_says_where_it_searches_and_how_it_binds() {
        let sasl = element(0xa3, &[&octets(b"GSS-SPNEGO"), &octets(&[0; 300])]);
        let talk = [
            message(operation::BIND, &[b"\x02\x01\x03", &octets(b""), &sasl]),
            search("DC=lab,DC=example", PRESENT, &["cn"]),
            message(operation::EXTENDED, &[b"\x80\x161.3.6.1.4.1.1466.20037"]),
            b"\x16\x03\x01\0\x05hello".to_vec(),
            search("DC=encrypted", PRESENT, &["cn"]),
        ];
        let all = [
            "ldap-bind: GSS-SPNEGO",
            "ldap-base: DC=lab,DC=example",
            "ldap-extended: 1.3.6.1.4.1.1466.20037",
        ];
        let talk: Vec<(_, &[u8])> = talk.iter().map(|bytes| (Forward, &bytes[..])).collect();
        assert_eq!(said(stream().as_mut(), &talk), all);
        torn(&stream, &talk);
        let binds: [(&[u8], _); 3] = [
            (b"\x80\0", "ldap-bind: anonymous"),
            (b"\x80\x06secret", "ldap-bind: simple"),
            (b"\x8a\x02hi", "ldap-bind: Sicily"),
        ];
        for (credentials, told) in binds {
            let bind = message(
                operation::BIND,
                &[b"\x02\x01\x03", &octets(b""), credentials],
            );
            assert_eq!(said(stream().as_mut(), &[(Forward, &bind)]), [told]);
        }
    }

    #[test]
    fn legs_of_a_bind_state_versions_of_ntlm() {
        let [challenge, answer] =
            [17763, 19041].map(|build| ntlm::samples::challenge([10, 0], build));
        let sasl = element(0xa3, &[&octets(b"GSS-SPNEGO"), &octets(&answer)]);
        let bind = message(operation::BIND, &[b"\x02\x01\x03", &octets(b""), &sasl]);
        for challenge in [
            [
                &b"\x0a\x01\x0e\x04\0\x04\0"[..],
                &element(0x87, &[&challenge]),
            ]
            .concat(),
            [b"\x0a\x01\0", &octets(&challenge)[..], b"\x04\0"].concat(),
        ] {
            let challenge = message(operation::BIND_ANSWER, &[&challenge]);
            let talk: [(_, &[u8]); 2] = [(Reverse, &challenge), (Forward, &bind)];
            let all = [
                "ntlm-version: 10.0.17763",
                "ntlm-version: 10.0.19041",
                "ldap-bind: GSS-SPNEGO",
            ];
            assert_eq!(said(stream().as_mut(), &talk), all);
            torn(&stream, &talk);
        }
    }

    fn ping() -> Vec<u8> {
        let equal = |name: &[u8], value: &[u8]| element(0xa3, &[&octets(name), &octets(value)]);
        let terms = [
            equal(b"DnsDomain", b"lab.example"),
            equal(b"NtVer", b"\x16\0\0\0"),
        ];
        search("", &element(0xa0, &[&terms.concat()]), &["Netlogon"])
    }

    #[test]
    fn a_locators_ping_is_told_from_other_questions() {
        let answer = entry("", &[("Netlogon", &[&netlogon::samples::answer()])]);
        let all = [
            "netlogon-ping: DnsDomain=lab.example",
            "ldap-attribute: Netlogon",
            "domain-controller: dc1.lab.example",
            "ad-domain: lab.example",
            "ad-site: Main",
        ];
        let talk: [(_, &[u8]); 2] = [(Forward, &ping()), (Reverse, &answer)];
        assert_eq!(said(datagram().as_mut(), &talk), all);
        assert_eq!(
            said(stream().as_mut(), &talk),
            all[1..],
            "over TCP it is one of many"
        );
        let other = search("", PRESENT, &["dnsHostName"]);
        assert_eq!(
            said(datagram().as_mut(), &[(Forward, &other)]),
            ["ldap-attribute: dnsHostName"]
        );
    }

    #[test]
    fn a_datagram_cut_anywhere_says_no_more_than_the_whole() {
        let ping = ping();
        let all = said(datagram().as_mut(), &[(Forward, &ping)]);
        for len in 0..ping.len() {
            let cut = Reader::big(&ping).up_to(len);
            assert!(all.starts_with(&said(datagram().as_mut(), &[(Forward, cut)])));
        }
    }

    #[test]
    fn a_client_that_asks_for_ever_is_told_of_up_to_a_bound() {
        let asked: Vec<_> = (0..500)
            .map(|n| search(&format!("DC={n}"), PRESENT, &[]))
            .collect();
        let told = said(stream().as_mut(), &[(Forward, &asked.concat())]);
        assert_eq!(told.len(), crate::dissect::messages::MAX_SAYINGS);
        let many = vec!["a"; 5000];
        said(stream().as_mut(), &[(Forward, &search("", PRESENT, &many))]);
    }
}
