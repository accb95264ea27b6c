//! NetBIOS name service (RFC 1002 4.2): DNS's header, names of its own.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::netbios::{NameKind, NameUse, NetbiosName};
use crate::model::protocol::Protocol;

/// NetBIOS name service (RFC 1002 4.2).
pub const PROTOCOL: Protocol = Protocol::new(&["netbios-name", "NetBIOS Name Resolution"]);

/// NetBIOS names over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[137],
    begins: FirstBytes::ANY,
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(NameService::default())),
    says: &[],
    examples: &[Example {
        port: 137,
        client: b"\0\x01\x01\x10\0\x01\0\0\0\0\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0 \0\x01",
        server: b"\0\x01\x85\0\0\0\0\x01\0\0\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0 \0\x01\0\
        \0\0\0\0\x06\0\0\n\0\0\x01",
    }],
};

/// Operations (RFC 1002 4.2.1.1; multi-homed registration is Microsoft's).
mod opcode {
    pub const QUERY: u16 = 0;
    pub const REGISTRATION: u16 = 5;
    pub const RELEASE: u16 = 6;
    /// "Wait": the name server will answer later.
    pub const WAIT: u16 = 7;
    pub const REFRESH: u16 = 8;
    /// The RFC gives refresh this number as well.
    pub const REFRESH_TOO: u16 = 9;
    pub const MULTI_HOMED: u16 = 15;
}

/// Flags of the header (RFC 1002 4.2.1.1).
mod flag {
    pub const ANSWER: u16 = 0x8000;
    pub const RECURSION_DESIRED: u16 = 0x0100;
    pub const BROADCAST: u16 = 0x0010;
    /// The result of an answer; 0 is success.
    pub const RESULT: u16 = 0x000f;
}

/// Record types (RFC 1002 4.2.1.3).
mod kind {
    pub const A: u16 = 0x01;
    pub const NULL: u16 = 0x0a;
    pub const NAME: u16 = 0x20;
    pub const STATUS: u16 = 0x21;
}

/// The bit of a name's flags that makes it a group's (RFC 1002 4.2.2, 4.2.18).
const GROUP: u16 = 0x8000;

/// How many uses of names are kept of a flow: a host holds some ten names, a domain's browser asks
/// for a few dozen. More say nothing new of the flow.
pub const MAX_USES: usize = 64;

/// How many registrations may wait for their answers: a host sends all its names at once.
const MAX_WAITING: usize = 32;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match Message::read(&mut Reader::big(bytes))? {
        Some(message) if message.is(flag::ANSWER) => Look::By(Role::Server),
        Some(_) => Look::By(Role::Client),
        None => Look::Other,
    })
}

/// A message up to its first name, which is that of its question or of its answer.
struct Message {
    id: u16,
    flags: u16,
    name: NetbiosName,
    kind: u16,
}

impl Message {
    /// `None` if it is not of this protocol.
    fn read(r: &mut Reader) -> Result<Option<Message>, Short> {
        let (id, flags) = (r.u16()?, r.u16()?);
        let (questions, answers, _, _) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        let opcode_exists = matches!(
            opcode_of(flags),
            opcode::QUERY | opcode::REGISTRATION..=opcode::REFRESH_TOO | opcode::MULTI_HOMED
        );
        if !opcode_exists || questions > 1 || answers > 1 || questions + answers == 0 {
            return Ok(None);
        }
        let Some(name) = encoded(r)? else {
            return Ok(None);
        };
        let (kind, class) = (r.u16()?, r.u16()?);
        let kind_exists = matches!(kind, kind::A | kind::NULL | kind::NAME | kind::STATUS);
        Ok((kind_exists && class == 1).then_some(Message {
            id,
            flags,
            name,
            kind,
        }))
    }

    fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn opcode(&self) -> u16 {
        opcode_of(self.flags)
    }

    fn has_succeeded(&self) -> bool {
        !self.is(flag::RESULT)
    }

    /// Whether it registers a name, or answers a registration.
    fn registers(&self) -> bool {
        matches!(
            self.opcode(),
            opcode::REGISTRATION | opcode::REFRESH | opcode::REFRESH_TOO | opcode::MULTI_HOMED
        )
    }

    /// Whether a registration goes to a name server: not to all, and, since hosts also tell each
    /// other of conflicts by registrations, with recursion desired (RFC 1002 4.2.2, 4.2.3). A
    /// refresh goes to nobody else (4.2.4).
    fn is_for_name_server(&self) -> bool {
        let is_refresh = matches!(self.opcode(), opcode::REFRESH | opcode::REFRESH_TOO);
        !self.is(flag::BROADCAST) && (is_refresh || self.is(flag::RECURSION_DESIRED))
    }
}

fn opcode_of(flags: u16) -> u16 {
    flags >> 11 & 0xf
}

/// A registration that waits for its answer.
struct Registration {
    id: u16,
    name: NetbiosName,
    kind: Option<NameKind>,
    from: Direction,
}

/// Follows what is asked and said about names.
#[derive(Default)]
struct NameService {
    uses: Uses,
    /// Registrations for a name server that were not answered yet. Bounded by [`MAX_WAITING`].
    waiting: Vec<Registration>,
}

impl Dissector for NameService {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        // A datagram that ends early has said what it could.
        let _ = self.see(from, Reader::big(bytes), found);
        match self.uses.is_full() {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl NameService {
    fn see(&mut self, from: Direction, mut r: Reader, found: &mut Vec<Claim>) -> Result<(), Short> {
        let Some(message) = Message::read(&mut r)? else {
            return Ok(());
        };
        match message.is(flag::ANSWER) {
            true => self.see_answer(from, &message, r, found),
            false => {
                self.see_request(from, &message, r, found);
                Ok(())
            }
        }
    }

    fn see_request(
        &mut self,
        from: Direction,
        message: &Message,
        r: Reader,
        found: &mut Vec<Claim>,
    ) {
        let name = message.name;
        let used = match message.opcode() {
            opcode::QUERY => return self.uses.note(name, None, NameUse::AskedFor, from, found),
            opcode::RELEASE => NameUse::Released,
            _ if message.registers() => NameUse::Registered,
            _ => return,
        };
        let kind = owner_kind(r).ok();
        self.uses.note(name, kind, used, from, found);
        if used == NameUse::Registered && message.is_for_name_server() {
            if self.waiting.len() >= MAX_WAITING {
                self.waiting.remove(0);
            }
            let id = message.id;
            self.waiting.push(Registration {
                id,
                name,
                kind,
                from,
            });
        }
    }

    fn see_answer(
        &mut self,
        from: Direction,
        message: &Message,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let name = message.name;
        if message.registers() || message.opcode() == opcode::WAIT {
            let is_answered = |one: &Registration| {
                (one.id, one.name, one.from) == (message.id, name, from.reversed())
            };
            if let Some(at) = self.waiting.iter().position(is_answered) {
                let kind = self.waiting.swap_remove(at).kind;
                self.uses.note(name, kind, NameUse::Decided, from, found);
            }
            return Ok(());
        }
        if message.opcode() != opcode::QUERY || !message.has_succeeded() {
            return Ok(());
        }
        let (_time_to_live, _len) = (r.u32()?, r.u16()?);
        match message.kind {
            kind::NAME => {
                let kind = kind_of(r.u16()?);
                self.uses
                    .note(name, Some(kind), NameUse::Resolved, from, found);
            }
            kind::STATUS => {
                for _ in 0..r.u8()? {
                    let (name, kind) = (NetbiosName(r.array()?), kind_of(r.u16()?));
                    self.uses
                        .note(name, Some(kind), NameUse::Listed, from, found);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whose a name is, by the record that follows the question of a registration or a release.
fn owner_kind(mut r: Reader) -> Result<NameKind, Short> {
    // The record's name is a pointer to the question's (RFC 1002 4.2.2).
    r.skip(2 + 2 + 2 + 4 + 2)?; // and type, class, time to live, length
    r.u16().map(kind_of)
}

fn kind_of(flags: u16) -> NameKind {
    match flags & GROUP {
        0 => NameKind::Unique,
        _ => NameKind::Group,
    }
}

/// What was done with names in a flow, each once. Bounded by [`MAX_USES`].
#[derive(Default)]
pub struct Uses(Vec<(NetbiosName, NameUse, Direction)>);

impl Uses {
    /// Claims the use of a name, unless it was claimed before or there are too many.
    pub fn note(
        &mut self,
        name: NetbiosName,
        kind: Option<NameKind>,
        used: NameUse,
        by: Direction,
        found: &mut Vec<Claim>,
    ) {
        if self.is_full() || self.0.contains(&(name, used, by)) {
            return;
        }
        self.0.push((name, used, by));
        found.push(Claim::NetbiosName {
            name,
            kind,
            used,
            by,
        });
    }

    /// Whether no more is kept.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_USES
    }
}

/// Bytes of a name in first-level encoding, as its one label (RFC 1001 14.1).
pub const ENCODED_LEN: u8 = 32;

/// Reads a name in first-level encoding with its scope (RFC 1001 14.1): sixteen bytes, each sent as
/// two letters. `None` if it is no such name.
///
/// # Errors
/// `Short` if the bytes end before it does, and so far it could be one.
pub fn encoded(r: &mut Reader) -> Result<Option<NetbiosName>, Short> {
    if r.u8()? != ENCODED_LEN {
        return Ok(None);
    }
    let mut name = [0; 16];
    for byte in &mut name {
        let [high, low] = r.array()?;
        if !(b'A'..=b'P').contains(&high) || !(b'A'..=b'P').contains(&low) {
            return Ok(None);
        }
        *byte = (high - b'A') << 4 | (low - b'A');
    }
    loop {
        match r.u8()? {
            0 => return Ok(Some(NetbiosName(name))),
            label @ 1..=63 => r.skip(label.into())?,
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
pub mod samples {
    //! NetBIOS names and messages about them, for tests.

    use super::*;

    /// `PC2` with this suffix.
    pub fn name(suffix: u8) -> NetbiosName {
        let mut name = *b"PC2             ";
        name[15] = suffix;
        NetbiosName(name)
    }

    /// The name in first-level encoding, without a scope.
    pub fn on_the_wire(name: NetbiosName) -> Vec<u8> {
        let letters =
            (name.0.into_iter()).flat_map(|byte| [byte >> 4, byte & 0xf].map(|n| b'A' + n));
        [&[32][..], &letters.collect::<Vec<_>>(), &[0]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{name, on_the_wire};
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const TO_ALL: u16 = flag::BROADCAST | flag::RECURSION_DESIRED;
    const TO_ONE: u16 = flag::RECURSION_DESIRED;
    const UNIQUE: u16 = 0x6000;

    fn message(id: u16, opcode: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
        let words = [[id, opcode << 11 | flags].as_slice(), &counts].concat();
        words.into_iter().flat_map(u16::to_be_bytes).collect()
    }

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let head = [kind.to_be_bytes(), 1u16.to_be_bytes()].concat();
        let len = u16::try_from(data.len()).expect("short data");
        [&head[..], &[0, 0, 1, 0], &len.to_be_bytes(), data].concat()
    }

    fn address(flags: u16) -> Vec<u8> {
        [&flags.to_be_bytes()[..], &[10, 0, 0, 1]].concat()
    }

    fn query(flags: u16, suffix: u8) -> Vec<u8> {
        let head = message(1, opcode::QUERY, flags, [1, 0, 0, 0]);
        [&head[..], &on_the_wire(name(suffix)), &[0, 0x20, 0, 1]].concat()
    }

    fn registration(id: u16, opcode: u16, flags: u16, suffix: u8, owner: u16) -> Vec<u8> {
        let head = message(id, opcode, flags, [1, 0, 0, 1]);
        let question = [&on_the_wire(name(suffix))[..], &[0, 0x20, 0, 1, 0xc0, 0x0c]].concat();
        [head, question, record(kind::NAME, &address(owner))].concat()
    }

    fn answer(id: u16, opcode: u16, suffix: u8, kind: u16, data: &[u8]) -> Vec<u8> {
        let head = message(id, opcode, flag::ANSWER, [0, 1, 0, 0]);
        [head, on_the_wire(name(suffix)), record(kind, data)].concat()
    }

    fn status(names: &[(u8, u16)]) -> Vec<u8> {
        let count = u8::try_from(names.len()).expect("few names");
        let mut data = vec![count];
        for (suffix, flags) in names {
            data.extend(name(*suffix).0);
            data.extend(flags.to_be_bytes());
        }
        data.extend([0; 46]);
        answer(1, opcode::QUERY, 0, kind::STATUS, &data)
    }

    fn claims(talk: &[(Direction, Vec<u8>)]) -> Vec<Claim> {
        let (mut service, mut found) = (NameService::default(), Vec::new());
        for (from, bytes) in talk {
            service.feed(*from, bytes, &mut found);
        }
        service.finish(&mut found);
        found
    }

    fn said(suffix: u8, kind: Option<NameKind>, used: NameUse, by: Direction) -> Claim {
        Claim::NetbiosName {
            name: name(suffix),
            kind,
            used,
            by,
        }
    }

    #[test]
    fn a_query_and_its_answer_name_what_is_looked_for() {
        let talk = [
            (Forward, query(TO_ONE, 0x20)),
            (
                Reverse,
                answer(1, opcode::QUERY, 0x20, kind::NAME, &address(UNIQUE)),
            ),
        ];
        let unique = Some(NameKind::Unique);
        let expected = [
            said(0x20, None, NameUse::AskedFor, Forward),
            said(0x20, unique, NameUse::Resolved, Reverse),
        ];
        assert_eq!(claims(&talk), expected);
    }

    #[test]
    fn a_registration_to_all_says_what_its_sender_holds() {
        let talk = [
            (
                Forward,
                registration(1, opcode::REGISTRATION, TO_ALL, 0x03, UNIQUE),
            ),
            (
                Forward,
                registration(2, opcode::REGISTRATION, TO_ALL, 0x1e, GROUP),
            ),
            (
                Forward,
                registration(3, opcode::RELEASE, TO_ALL, 0x03, UNIQUE),
            ),
        ];
        let (unique, group) = (Some(NameKind::Unique), Some(NameKind::Group));
        let expected = [
            said(0x03, unique, NameUse::Registered, Forward),
            said(0x1e, group, NameUse::Registered, Forward),
            said(0x03, unique, NameUse::Released, Forward),
        ];
        assert_eq!(claims(&talk), expected);
    }

    #[test]
    fn who_answers_a_registration_that_was_sent_to_it_alone_is_a_name_server() {
        for (opcode, flags, answered) in [
            (opcode::REGISTRATION, TO_ONE, opcode::REGISTRATION),
            (opcode::MULTI_HOMED, TO_ONE, opcode::REGISTRATION),
            (opcode::REGISTRATION, TO_ONE, opcode::WAIT),
            (opcode::REFRESH, 0, opcode::REFRESH),
        ] {
            let talk = [
                (Forward, registration(7, opcode, flags, 0x20, UNIQUE)),
                (
                    Reverse,
                    answer(7, answered, 0x20, kind::NAME, &address(UNIQUE)),
                ),
            ];
            let decided = said(0x20, Some(NameKind::Unique), NameUse::Decided, Reverse);
            assert!(claims(&talk).contains(&decided), "{opcode} {answered}");
        }
    }

    #[test]
    fn who_answers_anything_else_is_not_taken_for_a_name_server() {
        let asked = |flags| registration(7, opcode::REGISTRATION, flags, 0x20, UNIQUE);
        let answered = |id, suffix| answer(id, opcode::REGISTRATION, suffix, kind::NAME, &[0; 6]);
        let release = registration(7, opcode::RELEASE, 0, 0x20, UNIQUE);
        for talk in [
            [(Forward, asked(TO_ALL)), (Reverse, answered(7, 0x20))],
            [(Forward, asked(0)), (Reverse, answered(7, 0x20))],
            [(Forward, asked(TO_ONE)), (Reverse, answered(8, 0x20))],
            [(Forward, asked(TO_ONE)), (Reverse, answered(7, 0x1b))],
            [(Forward, asked(TO_ONE)), (Forward, answered(7, 0x20))],
            [(Forward, query(TO_ONE, 0x20)), (Reverse, answered(1, 0x20))],
            [
                (Forward, release),
                (Reverse, answer(7, 6, 0x20, kind::NAME, &[0; 6])),
            ],
        ] {
            let decided = |claim: &Claim| {
                matches!(
                    claim,
                    Claim::NetbiosName {
                        used: NameUse::Decided,
                        ..
                    }
                )
            };
            assert!(!claims(&talk).iter().any(decided));
        }
    }

    #[test]
    fn a_status_answer_lists_every_name_of_the_host() {
        let found = claims(&[(
            Reverse,
            status(&[(0x00, 0x0400), (0x20, 0x0400), (0x1c, GROUP)]),
        )]);
        let (unique, group) = (Some(NameKind::Unique), Some(NameKind::Group));
        let expected = [
            said(0x00, unique, NameUse::Listed, Reverse),
            said(0x20, unique, NameUse::Listed, Reverse),
            said(0x1c, group, NameUse::Listed, Reverse),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_that_nobody_holds_was_not_resolved() {
        let mut refused = answer(1, opcode::QUERY, 0x20, kind::NULL, &[]);
        refused[3] |= 3;
        assert_eq!(claims(&[(Reverse, refused)]), []);
    }

    #[test]
    fn what_is_said_again_is_claimed_once() {
        let talk = vec![(Forward, query(TO_ALL, 0x1b)); 3];
        assert_eq!(claims(&talk).len(), 1);
    }

    #[test]
    fn a_message_cut_anywhere_claims_nothing_that_the_whole_does_not() {
        let whole = [
            query(TO_ALL, 0x20),
            registration(1, opcode::REGISTRATION, TO_ALL, 0x20, UNIQUE),
            status(&[(0, 0), (0x20, 0)]),
        ];
        for message in whole {
            let all = claims(&[(Forward, message.clone())]);
            for len in 0..message.len() {
                for claim in claims(&[(Forward, message[..len].to_vec())]) {
                    let is_its = all.iter().any(|one| names_of(one) == names_of(&claim));
                    assert!(is_its, "{claim:?}");
                }
            }
        }
    }

    fn names_of(claim: &Claim) -> Option<(NetbiosName, NameUse)> {
        match claim {
            Claim::NetbiosName { name, used, .. } => Some((*name, *used)),
            _ => None,
        }
    }

    #[test]
    fn dns_is_not_taken_for_it() {
        let dns = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
        assert_eq!(claims(&[(Forward, dns.to_vec())]), []);
        assert_eq!(look(dns), Ok(Look::Other));
    }

    #[test]
    fn names_are_kept_within_a_bound() {
        let (mut service, mut found) = (NameService::default(), Vec::new());
        for suffix in 0..=255 {
            let asked = registration(suffix.into(), opcode::REGISTRATION, TO_ONE, suffix, 0);
            service.feed(Forward, &asked, &mut found);
        }
        assert_eq!(found.len(), MAX_USES);
        assert!(service.waiting.len() <= MAX_WAITING);
        let progress = service.feed(Forward, &query(TO_ALL, 1), &mut found);
        assert_eq!(progress, Progress::Done);
    }
}
