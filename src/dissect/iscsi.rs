//! iSCSI (RFC 7143): which initiator logs in to which target.

use crate::dissect::cutter::Cutter;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Internet Small Computer Systems Interface (RFC 7143).
pub const PROTOCOL: Protocol = Protocol::new(&["iscsi", "iSCSI"]);

/// InitiatorName (RFC 7143 13.5).
const INITIATOR: Field = Field::new(&["iscsi-initiator", "iSCSI initiator"]);
/// TargetName (RFC 7143 13.4).
const TARGET: Field = Field::new(&["iscsi-target", "iSCSI target"]);

/// iSCSI over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[3260],
    begins: FirstBytes::of(b"\x43"),
    probe: |opening| probe_stream(opening, login),
    follow: Some(|_| Box::new(Logins::default())),
    says: &[INITIATOR, TARGET],
    examples: &[Example {
        port: 3260,
        client:
            b"\x43\x87\0\0\0\0\0\x1c\x40\0\x01\x37\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\x01\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0InitiatorName=iqn.1991-05.c\0",
        server: b"",
    }],
};

/// A login request (RFC 7143 11.12), immediate, of version 0, whose text begins with a key.
fn login(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u8()? != 0x43 {
        return Ok(Look::Other);
    }
    let (flags, newest, oldest, more) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
    let (high, low) = (r.u8()?, r.u16()?);
    // Between the stages is a reserved bit of each; 8,192 bytes are the most while logging in.
    let fits = flags & 0x30 == 0 && (newest, oldest, more, high) == (0, 0, 0, 0) && low <= 8192;
    if !fits || low == 0 {
        return Ok(Look::Other);
    }
    r.skip(HEADER - 8)?;
    Ok(
        match r.u8()?.is_ascii_uppercase() && r.u8()?.is_ascii_alphabetic() {
            true => Look::By(Role::Client),
            false => Look::Other,
        },
    )
}

/// The basic header segment (RFC 7143 11.2).
const HEADER: usize = 48;

/// The most text of one PDU that is read: what may be sent before both sides agree on more
/// (RFC 7143 13.12).
const MAX_TEXT: usize = 8192;

/// How many PDUs of a side are read: names come in the first of a login, and in an answer to the
/// question for targets.
const MAX_PDUS: u32 = 16;

/// How many names are said of a flow: a server may list hundreds of targets.
const MAX_NAMES: usize = 32;

/// Claims the names in logins and in lists of targets.
#[derive(Default)]
struct Logins {
    ways: [Cutter; 2],
    pdus: [u32; 2],
    said: Vec<(Field, String)>,
}

impl Dissector for Logins {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let way = from.index();
        let mut r = Reader::big(bytes);
        while self.pdus[way] < MAX_PDUS {
            let cutter = &mut self.ways[way];
            if cutter.lost() > 0 {
                self.pdus[way] = MAX_PDUS;
                break;
            }
            cutter.pass_over(&mut r);
            let Some((text, len)) = next(cutter, &mut r) else {
                return Progress::More;
            };
            cutter.skip_rest(len);
            cutter.pending.clear();
            self.pdus[way] += 1;
            self.say(&text, from, found);
        }
        match self.pdus == [MAX_PDUS; 2] {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.ways[from.index()].gap(missing);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Logins {
    fn say(&mut self, text: &[u8], by: Direction, found: &mut Vec<Claim>) {
        for pair in text.split(|byte| *byte == 0) {
            let value = |key: &[u8]| pair.strip_prefix(key).map(names::text);
            let name = (value(b"InitiatorName=").map(|name| (INITIATOR, name)))
                .or_else(|| value(b"TargetName=").map(|name| (TARGET, name)));
            let Some((field, text)) = name.filter(|name| !self.said.contains(name)) else {
                continue;
            };
            if self.said.len() < MAX_NAMES {
                self.said.push((field, text.clone()));
                found.push(Claim::Said { field, text, by });
            }
        }
    }
}

/// The text of the next PDU, empty where it has none, and the length of that PDU.
fn next(cutter: &mut Cutter, r: &mut Reader) -> Option<(Vec<u8>, usize)> {
    cutter.fill(HEADER, r)?;
    let mut header = Reader::big(&cutter.pending);
    let operation = header.u8().ok()? & 0x3f;
    header.skip(3).ok()?;
    let (more, high, low) = (header.u8().ok()?, header.u8().ok()?, header.u16().ok()?);
    let start = HEADER + usize::from(more) * 4;
    let len = usize::from(high) << 16 | usize::from(low);
    let end = start + len.next_multiple_of(4);
    // Login and text, request and response.
    if !matches!(operation, 0x03 | 0x04 | 0x23 | 0x24) || len > MAX_TEXT {
        return Some((Vec::new(), end));
    }
    cutter.fill(start + len, r)?;
    let mut pdu = Reader::big(&cutter.pending);
    pdu.skip(start).ok()?;
    Some((pdu.rest().to_vec(), end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::filled;
    use crate::dissect::samples::{assert_torn_is_whole, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn pdu(operation: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = filled::<HEADER>(&[operation, 0x87], 0).to_vec();
        let len = (text.len() as u32).to_be_bytes();
        bytes[5..8].copy_from_slice(&len[1..]);
        bytes.extend_from_slice(text);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn said(field: Field, text: &str, by: Direction) -> Claim {
        let text = text.to_owned();
        Claim::Said { field, text, by }
    }

    #[test]
    fn initiator_and_targets_are_said_once_each() {
        let host = "iqn.1991-05.com.microsoft:pc1";
        let asks = [
            pdu(
                0x43,
                format!("InitiatorName={host}\0SessionType=Discovery\0").as_bytes(),
            ),
            pdu(0x43, format!("InitiatorName={host}\0").as_bytes()),
            pdu(0x04, b"SendTargets=All\0"),
        ];
        let answers = [
            pdu(0x23, b"TargetPortalGroupTag=1\0"),
            pdu(
                0x24,
                b"TargetName=iqn.a:1\0TargetAddress=192.0.2.1:3260,1\0TargetName=iqn.a:2\0",
            ),
        ];
        let (asks, answers) = (asks.concat(), answers.concat());
        let talk = [(Forward, &asks[..]), (Reverse, &answers)];
        let expected = [
            said(INITIATOR, host, Forward),
            said(TARGET, "iqn.a:1", Reverse),
            said(TARGET, "iqn.a:2", Reverse),
        ];
        assert_eq!(claims(&STREAM, &talk), expected);
        assert_torn_is_whole(&STREAM, &talk);
    }

    #[test]
    fn what_begins_otherwise_is_no_login() {
        let whole = pdu(0x43, b"InitiatorName=iqn.a:1\0");
        assert_eq!(login(&whole), Ok(Look::By(Role::Client)));
        for (place, byte) in [
            (0, 0x03),
            (1, 0x90),
            (2, 1),
            (4, 1),
            (5, 1),
            (48, b'i'),
            (49, 0),
        ] {
            let mut other = whole.clone();
            other[place] = byte;
            assert_eq!(login(&other), Ok(Look::Other), "{place}");
        }
    }

    #[test]
    fn data_is_passed_over_and_names_are_bounded() {
        let (mut logins, mut found) = (Logins::default(), Vec::new());
        logins.feed(Forward, &pdu(0x01, &[0xa5; 60_000]), &mut found);
        assert!(logins.ways[0].pending.is_empty());
        let many: String = (0..500)
            .map(|n| format!("TargetName=iqn.a:{n}\0"))
            .collect();
        logins.feed(Reverse, &pdu(0x24, many.as_bytes())[..], &mut found);
        assert_eq!(
            found.len(),
            0,
            "{} bytes are more than are read",
            many.len()
        );
        let some: String = (0..300)
            .map(|n| format!("TargetName=iqn.a:{n}\0"))
            .collect();
        logins.feed(Reverse, &pdu(0x24, some.as_bytes()), &mut found);
        assert_eq!(found.len(), MAX_NAMES);
    }

    #[test]
    fn after_a_gap_nothing_more_is_read_of_that_side() {
        let (mut logins, mut found) = (Logins::default(), Vec::new());
        logins.gap(Forward, Some(10));
        logins.feed(Forward, &pdu(0x43, b"InitiatorName=iqn.a:1\0"), &mut found);
        assert_eq!(found, []);
    }
}
