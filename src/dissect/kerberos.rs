//! Kerberos version 5 (RFC 4120): which realm is asked for a ticket to which service.

use crate::dissect::messages::{Datagrams, Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, ber, filled, is_long_enough,
    names, probe_datagram, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Kerberos version 5 (RFC 4120).
pub const PROTOCOL: Protocol = Protocol::new(&["kerberos", "Kerberos"]);

/// The realm that is asked, or answers.
pub const REALM: Field = Field::new(&["kerberos-realm", "realm"]);

/// The service for which a ticket is asked, granted or refused: its class and its host, as
/// `cifs/fs1.lab.example`. The client talks to that service next.
pub const PRINCIPAL: Field = Field::new(&["kerberos-principal", "ticket for"]);

/// Windows' own status in a refusal (MS-KILE 2.2.1): `0xc00000bb`.
const NT_STATUS: Field = Field::new(&["kerberos-nt-status", "refused with status"]);

/// Kerberos over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[88],
    begins: FirstBytes::of(b"\x6a\x6b\x6c\x6d\x7e"),
    probe: |opening| probe_datagram(opening, datagram),
    follow: Some(|_| Box::new(Datagrams(Tickets::default()))),
    says: &[REALM, PRINCIPAL, NT_STATUS],
    examples: &[Example {
        port: 88,
        client: &filled::<131>(
            b"j\x81\x800~\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\n\xa3r0p",
            0,
        ),
        server: b"~\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa4\0",
    }],
};

/// Kerberos over TCP: each message after its length (RFC 4120 7.2.2).
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[88],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_stream(opening, framed),
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Tickets::default()))),
    says: &[REALM, PRINCIPAL, NT_STATUS],
    examples: &[Example {
        port: 88,
        client: &filled::<135>(
            b"\0\0\0\x83j\x81\x800~\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\n\xa3r0p",
            0,
        ),
        server: b"",
    }],
};

fn datagram(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = message_len(&mut r.clone())?;
    match len.is_some_and(|len| len >= bytes.len() && is_long_enough(bytes, len)) {
        true => message(&mut r),
        false => Ok(Look::Other),
    }
}

fn framed(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let announced = r.u32()?;
    let len = message_len(&mut r.clone())?;
    match len.is_some_and(|len| u32::try_from(len) == Ok(announced)) {
        true => message(&mut r),
        false => Ok(Look::Other),
    }
}

/// Length of a message with its outermost head; `None` if it can be none.
fn message_len(r: &mut Reader) -> Result<Option<usize>, Short> {
    let before = r.position();
    let (tag, len) = ber::head(r)?;
    if role(tag).is_none() {
        return Ok(None);
    }
    Ok(len.and_then(|len| len.checked_add(r.position() - before)))
}

/// Who sends the message of this application tag (RFC 4120 5.10).
fn role(tag: u8) -> Option<Role> {
    match tag {
        0x6a | 0x6c => Some(Role::Client),        // AS-REQ, TGS-REQ
        0x6b | 0x6d | 0x7e => Some(Role::Server), // AS-REP, TGS-REP, KRB-ERROR
        _ => None,
    }
}

fn message(r: &mut Reader) -> Result<Look, Short> {
    let (tag, _) = ber::head(r)?;
    let Some(role) = role(tag) else {
        return Ok(Look::Other);
    };
    let (sequence, _) = ber::head(r)?;
    if sequence != 0x30 {
        return Ok(Look::Other);
    }
    // The version and the kind: from [1] on in requests, from [0] on in answers.
    let first = match role {
        Role::Client => 0xa1,
        Role::Server => 0xa0,
    };
    for (tag_of_field, value) in [(first, 5), (first + 1, u64::from(tag & 0x1f))] {
        let (tag, _) = ber::head(r)?;
        if tag != tag_of_field || ber::integer(r)? != Some(value) {
            return Ok(Look::Other);
        }
    }
    Ok(Look::By(role))
}

/// Each message after its length. A ticket grows with the groups of its user to 65,535 bytes in
/// Windows (MaxTokenSize), and stands before what is asked; another goes with an answer.
const FRAMING: Framing = Framing {
    len: |mut r| {
        let len = r.u32()?;
        // The high bit is reserved (RFC 4120 7.2.2), and no message is longer than its tickets.
        Ok((len < MAX_MESSAGE as u32).then(|| len as usize + LENGTH_LEN))
    },
    most: MAX_MESSAGE,
    begins: |bytes| matches!(framed(bytes), Ok(Look::By(_))),
};

const MAX_MESSAGE: usize = 128 * 1024;

const LENGTH_LEN: usize = 4;

/// Reads the messages of both sides.
#[derive(Default)]
struct Tickets {
    said: Sayings,
}

impl Listener for Tickets {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(message);
        if role(r.clone().u8().unwrap_or_default()).is_none() {
            // In a stream the length stands before it.
            r = Reader::big(r.sub(LENGTH_LEN).map(|_| r.rest()).unwrap_or_default());
        }
        if let Ok((realm, principal)) = asked(&mut r.clone()) {
            self.said.say(REALM, realm, from, found);
            self.said.say(PRINCIPAL, principal, from, found);
        }
        if let Ok(status) = nt_status(&mut r) {
            self.said.say(NT_STATUS, status, from, found);
        }
        self.said.progress()
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const GENERAL_STRING: u8 = 0x1b;

/// The field of this number in a SEQUENCE, those before it passed over.
fn field<'a>(r: &mut Reader<'a>, number: u8) -> Result<Reader<'a>, Short> {
    let tag = 0xa0 | number;
    loop {
        let mut ahead = r.clone();
        let (found, contents) = ber::element(&mut ahead)?;
        if found > tag {
            return Err(Short);
        }
        *r = ahead;
        if found == tag {
            return Ok(contents);
        }
    }
}

/// The realm and the service that a message is about (RFC 4120 5.4.1, 5.4.2, 5.9.1).
fn asked(r: &mut Reader) -> Result<(String, String), Short> {
    let (tag, mut r) = ber::element(r)?;
    let mut r = ber::expect(&mut r, SEQUENCE)?;
    match tag {
        0x6a | 0x6c => {
            let mut body = ber::expect(&mut field(&mut r, 4)?, SEQUENCE)?;
            Ok((
                realm(field(&mut body, 2)?)?,
                principal(field(&mut body, 3)?)?,
            ))
        }
        0x6b | 0x6d => ticket(&mut field(&mut r, 5)?),
        0x7e => Ok((realm(field(&mut r, 9)?)?, principal(field(&mut r, 10)?)?)),
        _ => Err(Short),
    }
}

/// The status that a refusal has beside Kerberos' own, in its `e-data` (MS-KILE 2.2.1, 2.2.2).
fn nt_status(r: &mut Reader) -> Result<String, Short> {
    const KRB_ERROR: u8 = 0x7e;
    const OCTET_STRING: u8 = 0x04;
    /// `KERB_ERR_TYPE_EXTENDED`.
    const EXTENDED: u64 = 3;
    let mut r = ber::expect(r, KRB_ERROR)?;
    let mut r = ber::expect(&mut r, SEQUENCE)?;
    let mut typed = ber::expect(&mut field(&mut r, 12)?, OCTET_STRING)?;
    let mut typed = ber::expect(&mut typed, SEQUENCE)?;
    if ber::integer(&mut field(&mut typed, 1)?)? != Some(EXTENDED) {
        return Err(Short);
    }
    let mut error = Reader::little(ber::whole(&mut field(&mut typed, 2)?, OCTET_STRING)?);
    let (status, reserved) = (error.u32()?, error.u32()?);
    // An error of Windows, with nothing in what is reserved (MS-ERREF 2.3).
    let is_error = status >> 28 == 0xc && reserved == 0;
    is_error.then(|| format!("{status:#010x}")).ok_or(Short)
}

/// The realm and the service of a ticket (RFC 4120 5.3).
fn ticket(r: &mut Reader) -> Result<(String, String), Short> {
    const TICKET: u8 = 0x61;
    let mut r = ber::expect(r, TICKET)?;
    let mut r = ber::expect(&mut r, SEQUENCE)?;
    Ok((realm(field(&mut r, 1)?)?, principal(field(&mut r, 2)?)?))
}

/// The realm and the service of the ticket that an AP-REQ shows (RFC 4120 5.5.1).
///
/// # Errors
/// `Short` if it is none, or ends before they do.
pub fn shown(r: &mut Reader) -> Result<(String, String), Short> {
    const AP_REQ: u8 = 0x6e;
    let mut r = ber::expect(r, AP_REQ)?;
    let mut r = ber::expect(&mut r, SEQUENCE)?;
    ticket(&mut field(&mut r, 3)?)
}

fn realm(mut r: Reader) -> Result<String, Short> {
    ber::whole(&mut r, GENERAL_STRING).map(names::text)
}

/// Its parts, with a stroke between them, as principals are written (RFC 1964 2.1.1).
fn principal(mut r: Reader) -> Result<String, Short> {
    /// A class, a host and a domain; more are not in use.
    const MAX_PARTS: usize = 4;
    let mut r = ber::expect(&mut r, SEQUENCE)?;
    ber::whole(&mut field(&mut r, 0)?, INTEGER)?;
    let mut parts = ber::expect(&mut field(&mut r, 1)?, SEQUENCE)?;
    let mut name = Vec::new();
    while parts.left() > 0 && name.len() < MAX_PARTS {
        name.push(ber::whole(&mut parts, GENERAL_STRING).map(names::text)?);
    }
    Ok(name.join("/"))
}

/// Messages for the tests.
#[cfg(test)]
pub mod samples {
    /// An element with a length of three bytes.
    pub fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let len = u16::try_from(contents.len()).expect("a short element");
        [&[tag, 0x82], &len.to_be_bytes()[..], &contents].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        element(0x1b, &[text.as_bytes()])
    }

    pub fn principal(name: &str) -> Vec<u8> {
        let parts: Vec<_> = name.split('/').map(text).collect();
        let parts = element(0x30, &[&parts.concat()]);
        element(0x30, &[b"\xa0\x03\x02\x01\x02", &element(0xa1, &[&parts])])
    }

    pub fn request(tag: u8, padata: &[u8], name: &str) -> Vec<u8> {
        let body = element(
            0x30,
            &[
                &element(0xa0, &[b"\x03\x05\0@\x81\0\x10"]),
                &element(0xa1, &[&principal("me")]),
                &element(0xa2, &[&text("LAB.EXAMPLE")]),
                &element(0xa3, &[&principal(name)]),
                &element(0xa7, &[b"\x02\x01\x07"]),
            ],
        );
        let kind = [0xa2, 3, 2, 1, tag & 0x1f];
        let fields = element(
            0x30,
            &[
                b"\xa1\x03\x02\x01\x05",
                &kind,
                &element(0xa3, &[padata]),
                &element(0xa4, &[&body]),
            ],
        );
        element(tag, &[&fields])
    }

    pub fn ticket(name: &str) -> Vec<u8> {
        let fields = element(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x05",
                &element(0xa1, &[&text("LAB.EXAMPLE")]),
                &element(0xa2, &[&principal(name)]),
                &element(0xa3, &[&[b'x'; 300]]),
            ],
        );
        element(0x61, &[&fields])
    }

    pub fn ap_request(name: &str) -> Vec<u8> {
        let fields = element(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0",
                &element(0xa3, &[&ticket(name)]),
            ],
        );
        element(0x6e, &[&fields])
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{element, principal, request, ticket};
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::dissect::samples::follow;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes(), message].concat()
    }

    const ASKED: [&str; 2] = [
        "kerberos-realm: LAB.EXAMPLE",
        "kerberos-principal: cifs/fs1.lab.example",
    ];

    #[test]
    fn a_request_names_realm_and_service_behind_however_long_a_ticket() {
        for ticket_len in [10, 60_000] {
            let message = request(0x6c, &vec![b'x'; ticket_len], "cifs/fs1.lab.example");
            assert_eq!(
                said(follow(&DATAGRAM).as_mut(), &[(Forward, &message)]),
                ASKED
            );
            let stream = framed(&message);
            assert_eq!(said(follow(&STREAM).as_mut(), &[(Forward, &stream)]), ASKED);
        }
    }

    #[test]
    fn an_answer_alone_names_them_too_and_repeats_nothing() {
        let fields = element(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0d",
                &element(0xa5, &[&ticket("cifs/fs1.lab.example")]),
            ],
        );
        let answer = element(0x6d, &[&fields]);
        assert_eq!(
            said(follow(&DATAGRAM).as_mut(), &[(Reverse, &answer)]),
            ASKED
        );
        let asked = request(0x6c, b"", "cifs/fs1.lab.example");
        let both: [(_, &[u8]); 2] = [(Forward, &asked), (Reverse, &answer)];
        assert_eq!(said(follow(&DATAGRAM).as_mut(), &both), ASKED);
        let fields = element(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa6\x03\x02\x01\x19",
                &element(0xa9, &[&element(0x1b, &[b"LAB.EXAMPLE"])]),
                &element(0xaa, &[&principal("krbtgt/LAB.EXAMPLE")]),
            ],
        );
        let refused = element(0x7e, &[&fields]);
        assert_eq!(
            said(follow(&DATAGRAM).as_mut(), &[(Reverse, &refused)])[1],
            "kerberos-principal: krbtgt/LAB.EXAMPLE"
        );
    }

    /// `KERB-ERROR-DATA` of type "extended": STATUS_NOT_SUPPORTED, nothing, flags.
    const NOT_SUPPORTED: &[u8] =
        b"\x30\x15\xa1\x03\x02\x01\x03\xa2\x0e\x04\x0c\xbb\0\0\xc0\0\0\0\0\x03\0\0\0";

    /// A refusal with these `e-data`.
    fn refusal(e_data: &[u8]) -> Vec<u8> {
        let fields = element(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa6\x03\x02\x01\x0d",
                &element(0xa9, &[&element(0x1b, &[b"LAB.EXAMPLE"])]),
                &element(0xaa, &[&principal("cifs/fs1.lab.example")]),
                &element(0xac, &[&element(0x04, &[e_data])]),
            ],
        );
        element(0x7e, &[&fields])
    }

    #[test]
    fn a_refusal_with_a_status_of_windows_tells_it() {
        let refused = refusal(NOT_SUPPORTED);
        let told = said(follow(&DATAGRAM).as_mut(), &[(Reverse, &refused)]);
        assert_eq!(told[..2], ASKED);
        assert_eq!(told[2..], ["kerberos-nt-status: 0xc00000bb"]);
        for (place, what) in [
            (6, "type"),
            (14, "status"),
            (15, "reserved"),
            (10, "length"),
        ] {
            let mut other = NOT_SUPPORTED.to_vec();
            other[place] ^= 1 << 4;
            let refused = refusal(&other);
            let told = said(follow(&DATAGRAM).as_mut(), &[(Reverse, &refused)]);
            assert_eq!(told, ASKED, "{what}");
        }
        // What other servers put there: methods to prove oneself (RFC 4120 5.9.1).
        let methods = refusal(b"\x30\x0b\x30\x09\xa1\x03\x02\x01\x13\xa2\x02\x04\0");
        let told = said(follow(&DATAGRAM).as_mut(), &[(Reverse, &methods)]);
        assert_eq!(told, ASKED);
    }

    #[test]
    fn a_stream_torn_anywhere_names_the_same() {
        let asked = framed(&request(0x6a, b"padata", "krbtgt/LAB.EXAMPLE"));
        torn(&|| follow(&STREAM), &[(Forward, &asked)]);
        let refused = framed(&refusal(NOT_SUPPORTED));
        torn(&|| follow(&STREAM), &[(Reverse, &refused)]);
        let message = request(0x6a, b"", "krbtgt/LAB.EXAMPLE");
        for len in 0..message.len() {
            let cut = Reader::big(&message).up_to(len);
            said(follow(&DATAGRAM).as_mut(), &[(Forward, cut)]);
        }
    }

    #[test]
    fn what_is_no_message_names_nothing_and_a_long_one_is_given_up() {
        let mut stream = follow(&STREAM);
        let mut found = Vec::new();
        assert_eq!(
            stream.feed(Forward, b"\0\0\0\x03abc", &mut found),
            Progress::More
        );
        assert_eq!(
            stream.feed(Forward, b"\x7f\0\0\0", &mut found),
            Progress::Done
        );
        assert!(found.is_empty());
    }

    #[test]
    fn a_principal_of_many_parts_is_cut_to_its_bound() {
        let message = request(0x6c, b"", &["a"; 500].join("/"));
        let told = said(follow(&DATAGRAM).as_mut(), &[(Forward, &message)]);
        assert_eq!(told[1], "kerberos-principal: a/a/a/a");
    }
}
