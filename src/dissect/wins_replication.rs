//! Replication between WINS servers (MS-WINSRA): associations, and the names that they exchange.

use crate::dissect::messages::{Framing, Listener, Stream};
use crate::dissect::netbios_name::Uses;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Progress, Role, probe_stream};
use crate::model::evidence::{Claim, Direction};
use crate::model::netbios::{NameKind, NameUse, NetbiosName};
use crate::model::protocol::{Field, Protocol};

/// WINS Replication (MS-WINSRA).
pub const PROTOCOL: Protocol = Protocol::new(&["wins-replication", "WINS Replication"]);

/// The version with which a server accepts an association (MS-WINSRA 2.2.4): `2.5`.
const VERSION: Field = Field::new(&["wins-replication-version", "WINS replication"]);

/// WINS replication over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[42],
    begins: FirstBytes::range(0, 1),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Replication::default()))),
    says: &[VERSION],
    examples: &[
        Example {
            port: 42,
            client: b"\0\0\0\x29\0\0\x78\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x02\0\x05\0\0\0\0\0\0\0\0\0\
                \0\0\0\0\0\0\0\0\0\0\0\0",
            server: b"\0\0\0\x29\0\0\x78\0\0\0\0\x10\0\0\0\x01\0\0\0\x20\0\x02\0\x05\0\0\0\0\0\0\0\
                \0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        },
        Example {
            port: 42,
            client: b"\0\0\0\x10\0\0\x78\0\0\0\0\x20\0\0\0\x03\0\0\0\0",
            server: b"",
        },
    ],
};

/// The word after the length, which tells the messages from those of NetBIOS's name service. It is
/// reserved; Windows and Samba send just this (samba winsrepl.idl).
const NOT_NETBIOS: u32 = 0x7800;

/// The length of both messages that begin an association, without its own bytes (MS-WINSRA 2.2.3,
/// 2.2.4).
const START_LEN: u32 = 41;

/// The only major version (MS-WINSRA 2.2.3).
const MAJOR: u16 = 2;

/// Message types (MS-WINSRA 2.2.2).
mod kind {
    pub const START: u32 = 0;
    pub const STARTED: u32 = 1;
    pub const STOP: u32 = 2;
    pub const REPLICATION: u32 = 3;
}

/// The longest answer that is believed: as much as any replica's names take.
const MAX_LEN: u32 = 1 << 24;

/// How much of a message is kept: some hundred names, of which the first are told.
const MAX_KEPT: usize = 4096;

const FRAMING: Framing = Framing {
    len: |r| {
        let mut head = r.clone();
        head.skip(4)?;
        let is_message = head.u32()? == NOT_NETBIOS;
        let len = r.clone().u32()?;
        let len = Some(len).filter(|len| is_message && (16..=MAX_LEN).contains(len));
        Ok(len.and_then(|len| usize::try_from(len).ok()?.checked_add(4)))
    },
    most: MAX_KEPT,
    begins: |bytes| look(bytes).is_ok_and(|look| look != Look::Other),
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = r.u32()?;
    if !(16..=MAX_LEN).contains(&len) {
        return Ok(Look::Other);
    }
    if r.u32()? != NOT_NETBIOS {
        return Ok(Look::Other);
    }
    let (association, kind) = (r.u32()?, r.u32()?);
    if kind > kind::REPLICATION || kind == kind::START && association != 0 {
        return Ok(Look::Other);
    }
    let first = r.u32()?;
    Ok(match kind {
        kind::START if len == START_LEN && r.u16()? == MAJOR => Look::By(Role::Client),
        kind::STARTED if len == START_LEN && r.u16()? == MAJOR => Look::By(Role::Server),
        // The reason is one of five (MS-WINSRA 2.2.5).
        kind::STOP if first <= 4 => Look::ByEither,
        // Requests for owners and names, and notifications; and the answers to the former
        // (MS-WINSRA 2.2.6 to 2.2.10).
        kind::REPLICATION if matches!(first, 0 | 2 | 4 | 5 | 8 | 9) => Look::By(Role::Client),
        kind::REPLICATION if matches!(first, 1 | 3) => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Hears that a server accepts a partner, and the names that it passes on.
#[derive(Default)]
struct Replication {
    is_accepted: bool,
    uses: Uses,
}

impl Listener for Replication {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        // A message that ends early, or whose end is not kept, has said what it could.
        let _ = self.read(from, Reader::big(message), found);
        match self.uses.is_full() {
            true => Progress::Done,
            false => Progress::More,
        }
    }
}

impl Replication {
    /// A message, by its kind.
    fn read(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        r.skip(12)?; // length, reserved, association
        match r.u32()? {
            kind::STARTED if !self.is_accepted => self.accepts(from, r, found),
            kind::REPLICATION => self.names(from, r, found),
            _ => Ok(()),
        }
    }

    /// The version in the answer to the request that begins an association.
    fn accepts(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        r.skip(4)?; // the association's number at the server
        let (major, minor) = (r.u16()?, r.u16()?);
        self.is_accepted = true;
        found.push(Claim::Said {
            field: VERSION,
            text: format!("{major}.{minor}"),
            by: from,
        });
        Ok(())
    }

    /// The records of an answer to a request for names (MS-WINSRA 2.2.10).
    fn names(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        if r.u32()? != operation::NAMES {
            return Ok(());
        }
        for _ in 0..r.u32()? {
            let (name, kind) = record(&mut r)?;
            (self.uses).note(name, Some(kind), NameUse::Replicated, from, found);
        }
        Ok(())
    }
}

/// What a message of replication asks or answers (MS-WINSRA 2.2.6).
mod operation {
    pub const NAMES: u32 = 3;
}

/// The suffix of a name of which the first and the last byte have changed places on the wire
/// (MS-WINSRA 2.2.10.1): the domain's master browser.
const SWAPPED: u8 = 0x1b;

/// A name, and whose it is (MS-WINSRA 2.2.10.1).
fn record(r: &mut Reader) -> Result<(NetbiosName, NameKind), Short> {
    /// The lowest two bits of the flags: one host's, a group's, a group of up to 25 hosts, one host's
    /// with several addresses.
    const KINDS: [NameKind; 4] = [
        NameKind::Unique,
        NameKind::Group,
        NameKind::Group,
        NameKind::Unique,
    ];
    let len = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    // Sixteen bytes, and with a scope up to 255.
    if !(16..=255).contains(&len) {
        return Err(Short);
    }
    let mut bytes: [u8; 16] = r.array()?;
    // Filled to a multiple of four, by four bytes where it is one already.
    r.skip(len - 16 + 4 - len % 4)?;
    if bytes[0] == SWAPPED {
        bytes.swap(0, 15);
    }
    let flags = r.u32()?;
    r.skip(4 + 8)?; // whether it is a group, the version
    let kind = KINDS[(flags & 3) as usize];
    if matches!(flags & 3, 0 | 1) {
        r.skip(4)?; // the address
    } else {
        // Owners and addresses, in the order of bytes that Windows has.
        let count = r.array::<4>().map(u32::from_le_bytes)?;
        r.skip(
            usize::try_from(count)
                .unwrap_or(usize::MAX)
                .saturating_mul(8),
        )?;
    }
    r.skip(4)?; // reserved
    Ok((NetbiosName(bytes), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::dissect::netbios_name::samples::name;
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// A record of a name without a scope, with the byte that ends it.
    fn name_record(name: NetbiosName, flags: u32, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = name.0;
        if bytes[15] == SWAPPED {
            bytes.swap(0, 15);
        }
        let mut record = [&[0, 0, 0, 17][..], &bytes, &[0; 4]].concat();
        record.extend(flags.to_be_bytes());
        record.extend([0; 12]);
        record.extend(addresses);
        record.extend([0xff; 4]);
        record
    }

    fn names(records: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(records.len()).expect("few").to_be_bytes();
        let body = [
            &operation::NAMES.to_be_bytes()[..],
            &count,
            &records.concat(),
        ]
        .concat();
        let len = u32::try_from(body.len() + 12).expect("a small sample");
        message(len, NOT_NETBIOS, 1, kind::REPLICATION, &body)
    }

    fn claims(pieces: &[&[u8]]) -> Vec<Claim> {
        let mut stream = Stream::new(&FRAMING, Replication::default());
        let mut found = Vec::new();
        for piece in pieces {
            stream.feed(Reverse, piece, &mut found);
        }
        found
    }

    fn told(suffix: u8, kind: NameKind) -> Claim {
        Claim::NetbiosName {
            name: name(suffix),
            kind: Some(kind),
            used: NameUse::Replicated,
            by: Reverse,
        }
    }

    #[test]
    fn the_names_of_an_answer_are_told_wherever_it_is_torn() {
        let two = [&2u32.to_le_bytes()[..], &[1; 16]].concat();
        let answer = names(&[
            name_record(name(0x20), 0, &[10, 0, 0, 1]),
            name_record(name(0x1e), 1, &[10, 0, 0, 1]),
            name_record(name(0x1c), 2, &two),
            name_record(name(SWAPPED), 3, &two),
        ]);
        let expected = [
            told(0x20, NameKind::Unique),
            told(0x1e, NameKind::Group),
            told(0x1c, NameKind::Group),
            told(SWAPPED, NameKind::Unique),
        ];
        for cut in 0..answer.len() {
            let (left, right) = answer.split_at(cut);
            assert_eq!(claims(&[left, right, &answer]), expected, "{cut}");
        }
    }

    #[test]
    fn a_name_that_is_none_ends_an_answer() {
        let mut broken = name_record(name(0x20), 0, &[10, 0, 0, 1]);
        broken[3] = 15;
        let good = name_record(name(0), 0, &[10, 0, 0, 1]);
        let answer = names(&[good.clone(), broken, good]);
        assert_eq!(claims(&[&answer]), [told(0, NameKind::Unique)]);
    }

    #[test]
    fn a_request_for_names_tells_none() {
        let body = [&2u32.to_be_bytes()[..], &[0; 24]].concat();
        let request = message(40, NOT_NETBIOS, 1, kind::REPLICATION, &body);
        let mut stream = Stream::new(&FRAMING, Replication::default());
        let mut found = Vec::new();
        stream.feed(Forward, &request, &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn a_server_that_accepts_a_partner_tells_its_version_once() {
        let versions = [&[0, 0, 0, 9, 0, 2, 0, 5][..], &[0; 21]].concat();
        let accepted = message(START_LEN, NOT_NETBIOS, 1, kind::STARTED, &versions);
        let told = [Claim::Said {
            field: VERSION,
            text: "2.5".into(),
            by: Reverse,
        }];
        assert_eq!(claims(&[&accepted, &accepted]), told);
        for cut in 0..accepted.len() {
            let (left, right) = accepted.split_at(cut);
            assert_eq!(claims(&[left]), []);
            assert_eq!(claims(&[left, right]), told);
        }
        let asked = message(START_LEN, NOT_NETBIOS, 0, kind::START, &versions);
        assert_eq!(claims(&[&asked]), []);
    }

    #[test]
    fn of_many_names_some_are_told() {
        let records: Vec<_> = (0..200)
            .map(|suffix| name_record(name(suffix), 0, &[10, 0, 0, 1]))
            .collect();
        let told = claims(&[&names(&records), &names(&records)]).len();
        assert!((32..=64).contains(&told), "{told}");
    }

    fn message(len: u32, reserved: u32, association: u32, kind: u32, body: &[u8]) -> Vec<u8> {
        let words = [len, reserved, association, kind].map(u32::to_be_bytes);
        [words.concat().as_slice(), body].concat()
    }

    #[test]
    fn each_message_tells_its_sender_where_only_one_side_sends_it() {
        let version = [0, 0, 0, 9, 0, 2, 0, 5];
        for (kind, body, role) in [
            (0, version.as_slice(), Look::By(Role::Client)),
            (1, &version, Look::By(Role::Server)),
            (2, &[0, 0, 0, 4], Look::ByEither),
            (3, &[0, 0, 0, 0], Look::By(Role::Client)),
            (3, &[0, 0, 0, 3], Look::By(Role::Server)),
        ] {
            let whole = message(41, NOT_NETBIOS, 0, kind, body);
            assert_eq!(look(&whole), Ok(role), "{kind}");
            for len in 0..whole.len() {
                let cut = look(&whole[..len]);
                assert!(cut == Err(Short) || cut == Ok(role), "{kind} at {len}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_is_refused() {
        let version = [0, 0, 0, 9, 0, 2, 0, 5];
        for other in [
            message(40, NOT_NETBIOS, 0, 0, &version),
            message(41, 0, 0, 0, &version),
            message(41, NOT_NETBIOS, 7, 0, &version),
            message(41, NOT_NETBIOS, 0, 4, &version),
            message(41, NOT_NETBIOS, 0, 0, &[0, 0, 0, 9, 0, 3, 0, 5]),
            message(MAX_LEN + 1, NOT_NETBIOS, 0, 3, &[0; 4]),
            message(20, NOT_NETBIOS, 0, 3, &[0, 0, 0, 7]),
            message(20, NOT_NETBIOS, 0, 2, &[0, 0, 0, 5]),
        ] {
            assert_eq!(look(&other), Ok(Look::Other), "{other:x?}");
        }
    }
}
