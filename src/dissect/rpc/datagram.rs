//! Connectionless RPC (C706 12.5): every datagram names its interface.

use std::collections::{BTreeMap, BTreeSet};

use crate::dissect::read::{Order, Reader, Short};
use crate::dissect::rpc::bind;
use crate::dissect::rpc::epm::{self, Expected, Operation, Origin};
use crate::dissect::{Dissector, Opening, Probe, Progress, Role, is_long_enough};
use crate::model::evidence::{Claim, Direction, Endpoint};
use crate::model::uuid::{Interface, Uuid};

/// Bytes in the header (C706 12.5.1).
const HEADER_LEN: usize = 80;

/// The client's own interface, which servers call back to know who it is (C706 appendix P).
const CONVERSATION_MANAGER: Uuid = Uuid::from_u128(0x333a2276_0000_0000_0d00_00809c000000);

/// Says whether the first datagram of either side is one of RPC.
pub fn probe(opening: &Opening) -> Probe {
    for (from, bytes) in opening.sides() {
        if let Some((header, _)) = Header::recognise(bytes) {
            return Probe::Yes(header.client(from));
        }
    }
    Probe::No
}

/// The kind of a datagram (C706 12.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind(u8);

impl Kind {
    const REQUEST: Kind = Kind(0);
    const PING: Kind = Kind(1);
    const RESPONSE: Kind = Kind(2);
    const FAULT: Kind = Kind(3);
    const WORKING: Kind = Kind(4);
    const NOCALL: Kind = Kind(5);
    const REJECT: Kind = Kind(6);
    const ACK: Kind = Kind(7);
    const CL_CANCEL: Kind = Kind(8);
    const CANCEL_ACK: Kind = Kind(10);

    fn sender(self) -> Option<Role> {
        match self {
            Kind::REQUEST | Kind::PING | Kind::ACK | Kind::CL_CANCEL => Some(Role::Client),
            Kind::RESPONSE
            | Kind::FAULT
            | Kind::WORKING
            | Kind::NOCALL
            | Kind::REJECT
            | Kind::CANCEL_ACK => Some(Role::Server),
            _ => None,
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: Kind,
    flags: u8,
    order: Order,
    interface: Interface,
    activity: Uuid,
    sequence: u32,
    opnum: u16,
    fragment: u16,
    sealed: bool,
    /// The datagram was longer: this is what came before IP cut it.
    is_beginning: bool,
}

impl Header {
    /// This is the last fragment of a stub.
    const LAST: u8 = 0x02;
    /// There are several fragments.
    const FRAGMENT: u8 = 0x04;

    /// Reads a header and the part of the stub behind it; `None` if a datagram is no RPC.
    fn recognise(bytes: &[u8]) -> Option<(Header, &[u8])> {
        Header::parse(bytes).ok().flatten()
    }

    fn parse(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, Short> {
        let mut r = Reader::little(bytes);
        let [version, kind, flags, flags2] = r.array()?;
        let [integers, floats, characters, _serial] = r.array()?;
        let order = match integers & 0xf0 {
            0x00 => Order::Big,
            _ => Order::Little,
        };
        let mut r = Reader::new(r.take(HEADER_LEN - 8)?, order);
        let _object = bind::uuid(&mut r)?;
        let interface = bind::uuid(&mut r)?;
        let activity = bind::uuid(&mut r)?;
        let _boot_time = r.u32()?;
        let version_of_interface = r.u32()?;
        let sequence = r.u32()?;
        let opnum = r.u16()?;
        let (_interface_hint, _activity_hint) = (r.u16()?, r.u16()?);
        let len = usize::from(r.u16()?);
        let fragment = r.u16()?;
        let [authentication, _serial] = r.array()?;
        let mut body = Reader::new(bytes, order);
        body.skip(HEADER_LEN)?;
        // An authentication verifier may follow the stub; a pad may follow either.
        let is_longer = authentication == 0 && body.left() > len.saturating_add(7);
        let fits = !is_longer && is_long_enough(bytes, HEADER_LEN + len);
        let is_rpc = version == 4
            && kind <= 10
            && flags2 & 0xf8 == 0
            && integers & 0xee == 0
            && floats <= 3
            && characters == 0
            && fits
            && interface != Uuid::NIL;
        let header = Header {
            kind: Kind(kind),
            flags,
            order,
            interface: Interface::new(
                interface,
                version_of_interface as u16,
                (version_of_interface >> 16) as u16,
            ),
            activity,
            sequence,
            opnum,
            fragment,
            sealed: authentication != 0,
            is_beginning: body.left() < len,
        };
        Ok(is_rpc.then(|| (header, body.up_to(len))))
    }

    /// Which call it is of (C706 12.5.2).
    fn call(&self) -> (Uuid, u32) {
        (self.activity, self.sequence)
    }

    fn client(&self, from: Direction) -> Option<Direction> {
        // A callback asks the other way round: it says who the client is, but not by its kind.
        if self.interface.uuid == CONVERSATION_MANAGER {
            return None;
        }
        self.kind.sender().map(|role| role.client(from))
    }
}

/// Interfaces kept of a flow: a client calls a few.
const MAX_INTERFACES: usize = 256;

/// Calls that wait for their answer: a client has few in flight. The lowest is given up.
const MAX_CALLS: usize = 64;

/// Bytes of an answer of the endpoint mapper that is put together, kept until the next one begins.
const MAX_STUB: usize = 256 * 1024;

/// Fragments of one: as many as its bytes fill with the shortest that are sent.
const MAX_FRAGMENTS: usize = 1024;

/// Calls whose answers are remembered, to be compared with whatever else answers them. Answers to
/// more are not believed: they could not be taken back.
const MAX_HEARD: usize = 1024;

/// Endpoints that are remembered of all of them, and believed: a domain controller lists some
/// hundred.
const MAX_TOLD: usize = 4096;

/// Follows the calls of one flow.
#[derive(Default)]
pub struct Calls {
    client: Option<Direction>,
    /// Calls by activity and sequence number (C706 12.5.2).
    calls: BTreeMap<(Uuid, u32), Called>,
    /// The side that listens has sent back a call that it was sent: so it would an answer, and
    /// nothing that it says proves anything.
    is_echo: bool,
    interfaces: BTreeMap<Interface, Standing>,
    carried: BTreeMap<Interface, u64>,
    answer: Option<Answer>,
    /// What the endpoint mapper was heard to answer to each call.
    heard: BTreeMap<(Uuid, u32), Heard>,
    /// How many endpoints are in what was heard.
    told: usize,
}

/// What was called.
struct Called {
    interface: Interface,
    opnum: u16,
}

impl Called {
    fn fits(&self, header: &Header) -> bool {
        (self.interface, self.opnum) == (header.interface, header.opnum)
    }
}

/// What is known of an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Offered,
    Bound,
}

/// What came as the answer to a call. Anyone on the way can send a datagram in the server's name:
/// where two of them differ, nobody can say whose is the server's.
enum Heard {
    /// These endpoints; `is_beginning` if there may be more of them.
    Told {
        claims: Vec<Claim>,
        is_beginning: bool,
    },
    /// Answers that differ.
    Contested,
}

/// An answer of the endpoint mapper in fragments, as far as it came.
struct Answer {
    call: (Uuid, u32),
    /// Where each fragment ends in the stub.
    ends: Vec<usize>,
    stub: Vec<u8>,
}

/// What a fragment does to an answer.
enum Joined {
    /// It is not the next, or came before.
    Nothing,
    /// More must come.
    Part,
    /// It is the last.
    Whole,
    /// Other bytes came in its place before.
    Contradicts,
}

impl Answer {
    fn begin(call: (Uuid, u32)) -> Answer {
        Answer {
            call,
            ends: Vec::new(),
            stub: Vec::new(),
        }
    }

    fn join(&mut self, header: &Header, fragment: &[u8]) -> Joined {
        let number = usize::from(header.fragment);
        if let Some(known) = self.fragment(number) {
            return match known == fragment {
                true => Joined::Nothing,
                false => Joined::Contradicts,
            };
        }
        let is_too_much = self.stub.len() + fragment.len() > MAX_STUB;
        if number != self.ends.len() || number >= MAX_FRAGMENTS || is_too_much {
            return Joined::Nothing;
        }
        self.stub.extend_from_slice(fragment);
        self.ends.push(self.stub.len());
        match header.flags & Header::LAST {
            0 => Joined::Part,
            _ => Joined::Whole,
        }
    }

    fn kept(&self) -> usize {
        self.stub.len() + size_of_val(&self.ends[..])
    }

    /// The bytes of a fragment that came.
    fn fragment(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let before = number.checked_sub(1).and_then(|last| self.ends.get(last));
        self.stub.get(before.copied().unwrap_or(0)..end)
    }
}

impl Dissector for Calls {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Some((header, stub)) = Header::recognise(bytes) else {
            return Progress::More;
        };
        if let (None, Some(client)) = (self.client, header.client(from)) {
            self.client = Some(client);
            found.push(Claim::ClientIs(client));
        }
        if header.kind == Kind::REQUEST {
            match self.client == Some(from) {
                true => self.ask(&header),
                false if self.called(&header).is_some() && !self.is_echo => {
                    self.is_echo = true;
                    self.take_all_back(found);
                }
                false => {}
            }
        }
        self.stand(from, &header, found);
        // All of it is counted when all of it comes.
        if !header.is_beginning && self.interfaces.contains_key(&header.interface) {
            let carried = self.carried.entry(header.interface).or_default();
            *carried = carried.saturating_add(bytes.len() as u64);
        }
        if header.interface.uuid == epm::INTERFACE && self.is_answer(from, &header) {
            self.hear(&header, stub, found);
        }
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {
        self.answer = None;
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        let carried = std::mem::take(&mut self.carried);
        found.extend(
            carried
                .into_iter()
                .map(|(interface, bytes)| Claim::Carried { interface, bytes }),
        );
    }

    fn kept(&self) -> usize {
        /// What an entry of a map takes with its share of the map.
        const ENTRY: usize = 64;
        /// A claim, and the endpoint that lies apart.
        const TOLD: usize = size_of::<Claim>() + size_of::<Endpoint>();
        let answer = self.answer.as_ref().map_or(0, Answer::kept);
        answer + self.heard.len() * ENTRY + self.told * TOLD
    }
}

impl Calls {
    fn ask(&mut self, header: &Header) {
        // Who waits too long asks again: that is the same call, answered or not.
        if self.called(header).is_some() {
            return;
        }
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_first();
        }
        let called = Called {
            interface: header.interface,
            opnum: header.opnum,
        };
        self.calls.insert(header.call(), called);
    }

    /// The call that a datagram is of, if the client was seen to make it.
    fn called(&self, header: &Header) -> Option<&Called> {
        let called = self.calls.get(&header.call())?;
        called.fits(header).then_some(called)
    }

    /// Whether a datagram of the server answers a call that the client was seen to make.
    fn is_answer(&self, from: Direction, header: &Header) -> bool {
        let is_of_server = self.client == Some(from.reversed()) && !self.is_echo;
        is_of_server && (self.called(header).is_some() || self.heard.contains_key(&header.call()))
    }

    fn stand(&mut self, from: Direction, header: &Header, found: &mut Vec<Claim>) {
        let interface = header.interface;
        let known = self.interfaces.get(&interface).copied();
        if known.is_none() && self.interfaces.len() >= MAX_INTERFACES {
            return;
        }
        // A server answers, or works on, only what it has; a reject says that it has it not.
        let answered = matches!(header.kind, Kind::RESPONSE | Kind::WORKING | Kind::FAULT)
            && self.is_answer(from, header);
        match known {
            Some(Standing::Bound) => {}
            _ if answered => {
                self.interfaces.insert(interface, Standing::Bound);
                found.push(Claim::Bound(interface));
            }
            Some(Standing::Offered) => {}
            None => {
                self.interfaces.insert(interface, Standing::Offered);
                found.push(Claim::Offered(interface));
            }
        }
    }

    /// Hears how the endpoint mapper ends a call.
    fn hear(&mut self, header: &Header, bytes: &[u8], found: &mut Vec<Claim>) {
        match (header.kind, Operation::of(header.opnum)) {
            (Kind::RESPONSE, Some(operation)) if !header.sealed => {
                self.collect(header, operation, bytes, found);
            }
            // Nothing that could be read.
            (Kind::RESPONSE, Some(_)) | (Kind::FAULT | Kind::REJECT, _) => {
                self.tell(header, Vec::new(), found);
            }
            _ => {}
        }
    }

    /// Puts the fragments of an answer together, in order; reads it when it is whole.
    fn collect(
        &mut self,
        header: &Header,
        operation: Operation,
        fragment: &[u8],
        found: &mut Vec<Claim>,
    ) {
        let expected = Expected {
            operation,
            syntax: None,
            order: header.order,
            origin: Origin::Mapper,
        };
        let mut claims = Vec::new();
        if header.flags & Header::FRAGMENT == 0 {
            epm::claim(fragment, &expected, &mut claims);
            return self.tell(header, claims, found);
        }
        if header.is_beginning {
            return;
        }
        let call = header.call();
        if header.fragment == 0 && self.answer.as_ref().is_none_or(|known| known.call != call) {
            self.answer = Some(Answer::begin(call));
        }
        let Some(answer) = self.answer.as_mut().filter(|known| known.call == call) else {
            return;
        };
        match answer.join(header, fragment) {
            Joined::Nothing | Joined::Part => {}
            Joined::Whole => {
                epm::claim(&answer.stub, &expected, &mut claims);
                self.tell(header, claims, found);
            }
            Joined::Contradicts => self.take_back(call, found),
        }
    }

    /// Tells what an answer says, if it is the first to its call. Of one that differs from the first,
    /// neither is believed.
    fn tell(&mut self, header: &Header, mut claims: Vec<Claim>, found: &mut Vec<Claim>) {
        let call = header.call();
        match self.heard.get(&call) {
            None if self.heard.len() >= MAX_HEARD => {}
            None => {
                let room = MAX_TOLD - self.told;
                let is_beginning = header.is_beginning || claims.len() > room;
                claims.truncate(room);
                self.told += claims.len();
                found.extend_from_slice(&claims);
                let told = Heard::Told {
                    claims,
                    is_beginning,
                };
                self.heard.insert(call, told);
            }
            Some(Heard::Contested) => {}
            Some(Heard::Told {
                claims: first,
                is_beginning,
            }) => {
                let is_cut = *is_beginning || header.is_beginning;
                if !agree(first, &claims, is_cut) {
                    found.extend(claims.into_iter().map(Claim::contested));
                    self.take_back(call, found);
                }
            }
        }
    }

    /// Takes back what the first answer to a call told; no other is believed.
    fn take_back(&mut self, call: (Uuid, u32), found: &mut Vec<Claim>) {
        if self.heard.len() >= MAX_HEARD && !self.heard.contains_key(&call) {
            return;
        }
        if let Some(Heard::Told { claims, .. }) = self.heard.insert(call, Heard::Contested) {
            self.told -= claims.len();
            found.extend(claims.into_iter().map(Claim::contested));
        }
    }

    /// Takes back everything.
    fn take_all_back(&mut self, found: &mut Vec<Claim>) {
        let calls: Vec<_> = self.heard.keys().copied().collect();
        (calls.into_iter()).for_each(|call| self.take_back(call, found));
    }
}

/// Whether two answers say that the same is at the same places, in whatever order; of answers that
/// were cut, as far as both go.
fn agree(first: &[Claim], second: &[Claim], is_cut: bool) -> bool {
    match is_cut {
        true => mapped(first)
            .zip(mapped(second))
            .all(|(one, other)| one == other),
        false => mapped(first).collect::<BTreeSet<_>>() == mapped(second).collect(),
    }
}

/// What is where, as answers say.
fn mapped(claims: &[Claim]) -> impl Iterator<Item = (Interface, &Endpoint)> {
    claims.iter().filter_map(|claim| match claim {
        Claim::Mapped { interface, at } => Some((*interface, &**at)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::bind::Syntax;
    use crate::dissect::rpc::samples::{
        EPM, EPT_MAP, SAMR, lookup_answer, map_answer, mapped_tcp, tcp_tower, wire,
    };
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ALONE: (u8, u16) = (0, 0);

    /// A datagram: its kind, interface, flags with fragment number, and stub.
    fn datagram(kind: Kind, interface: Interface, part: (u8, u16), stub: &[u8]) -> Vec<u8> {
        let (flags, fragment) = part;
        let mut bytes = vec![4, kind.0, flags, 0, 0x10, 0, 0, 0];
        bytes.extend([0; 16]);
        bytes.extend(wire(interface.uuid, Order::Little));
        bytes.extend([0xac; 16]);
        bytes.extend([0; 4]);
        bytes.extend(interface.major.to_le_bytes());
        bytes.extend(interface.minor.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(EPT_MAP.to_le_bytes());
        bytes.extend([0xff; 4]);
        bytes.extend((stub.len() as u16).to_le_bytes());
        bytes.extend(fragment.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(stub);
        bytes
    }

    fn claims(talk: &[(Direction, Vec<u8>)]) -> Vec<Claim> {
        let (mut calls, mut found) = (Calls::default(), Vec::new());
        for (from, bytes) in talk {
            calls.feed(*from, bytes, &mut found);
        }
        found
    }

    #[test]
    fn a_request_offers_and_its_answer_binds() {
        let request = (Forward, datagram(Kind::REQUEST, SAMR, ALONE, b"in"));
        let response = (Reverse, datagram(Kind::RESPONSE, SAMR, ALONE, b"out"));
        let client = Claim::ClientIs(Forward);
        assert_eq!(
            claims(&[request, response.clone()]),
            [client.clone(), Claim::Offered(SAMR), Claim::Bound(SAMR)]
        );
        let unasked = claims(&[response]);
        assert_eq!(unasked, [client, Claim::Offered(SAMR)]);
    }

    #[test]
    fn what_a_client_says_in_its_servers_name_is_not_heard() {
        let stub = map_answer(&[tcp_tower(SAMR, 49154, [10, 0, 0, 1])], Syntax::Ndr);
        let request = (Forward, datagram(Kind::REQUEST, EPM, ALONE, b"in"));
        let forged = (Forward, datagram(Kind::RESPONSE, EPM, ALONE, &stub));
        assert_eq!(
            claims(&[request, forged]),
            [Claim::ClientIs(Forward), Claim::Offered(EPM)]
        );
    }

    #[test]
    fn the_answer_to_another_call_is_not_read() {
        let stub = map_answer(&[tcp_tower(SAMR, 49154, [10, 0, 0, 1])], Syntax::Ndr);
        let mut request = datagram(Kind::REQUEST, EPM, ALONE, b"in");
        request[64] = 9; // the sequence number
        let response = datagram(Kind::RESPONSE, EPM, ALONE, &stub);
        assert_eq!(
            claims(&[(Forward, request), (Reverse, response)]),
            [Claim::ClientIs(Forward), Claim::Offered(EPM)]
        );
    }

    #[test]
    fn a_rejected_request_binds_nothing() {
        let request = (Forward, datagram(Kind::REQUEST, SAMR, ALONE, b"in"));
        let reject = (Reverse, datagram(Kind::REJECT, SAMR, ALONE, &[0; 4]));
        assert_eq!(
            claims(&[request, reject]),
            [Claim::ClientIs(Forward), Claim::Offered(SAMR)]
        );
    }

    /// A datagram of a call to `ept_lookup`.
    fn lookup(kind: Kind, stub: &[u8]) -> Vec<u8> {
        let mut bytes = datagram(kind, EPM, ALONE, stub);
        bytes[68] = 2; // C706 appendix O
        bytes
    }

    /// A datagram of another call.
    fn of_call(sequence: u32, mut datagram: Vec<u8>) -> Vec<u8> {
        datagram[64..68].copy_from_slice(&sequence.to_le_bytes());
        datagram
    }

    #[test]
    fn of_answers_that_differ_the_first_is_taken_back() {
        let answer = |port| {
            let stub = map_answer(&[tcp_tower(SAMR, port, [10, 0, 0, 1])], Syntax::Ndr);
            (Reverse, datagram(Kind::RESPONSE, EPM, ALONE, &stub))
        };
        let mapped = |port| mapped_tcp(SAMR, port, [10, 0, 0, 1]);
        let asked = (Forward, datagram(Kind::REQUEST, EPM, ALONE, b"in"));
        let same = claims(&[asked.clone(), answer(1), answer(1)]);
        assert_eq!(same.last(), Some(&mapped(1)));
        let found = claims(&[asked, answer(1), answer(2), answer(3)]);
        let expected = [mapped(1), mapped(2).contested(), mapped(1).contested()];
        assert!(found.ends_with(&expected), "{found:?}");
    }

    #[test]
    fn an_answer_cut_by_the_capture_agrees_with_the_whole_one() {
        let towers = [1, 2].map(|port| (tcp_tower(SAMR, port, [10, 0, 0, 1]), ""));
        let whole = lookup(Kind::RESPONSE, &lookup_answer(&towers, Syntax::Ndr));
        for len in HEADER_LEN..whole.len() {
            let cut = whole[..len].to_vec();
            for answers in [[&cut, &whole], [&whole, &cut]] {
                let mut talk = vec![(Forward, lookup(Kind::REQUEST, b"in"))];
                talk.extend(answers.map(|answer| (Reverse, answer.clone())));
                let is_contested = |claim: &Claim| matches!(claim, Claim::Contested(_));
                assert!(!claims(&talk).iter().any(is_contested), "{len}");
            }
        }
    }

    #[test]
    fn what_is_remembered_of_answers_is_bounded_and_no_more_is_believed() {
        let towers: Vec<_> = (1..101)
            .map(|port| (tcp_tower(SAMR, port, [10, 0, 0, 1]), ""))
            .collect();
        for towers in [&towers[..1], &towers[..]] {
            let stub = lookup_answer(towers, Syntax::Ndr);
            let (mut calls, mut found) = (Calls::default(), Vec::new());
            for call in 0..2 * MAX_HEARD as u32 {
                let asked = of_call(call, lookup(Kind::REQUEST, b"in"));
                calls.feed(Forward, &asked, &mut found);
                let answer = of_call(call, lookup(Kind::RESPONSE, &stub));
                calls.feed(Reverse, &answer, &mut found);
            }
            let mapped = found.iter().filter(|c| matches!(c, Claim::Mapped { .. }));
            let expected = MAX_TOLD.min(MAX_HEARD * towers.len());
            assert_eq!((mapped.count(), calls.told), (expected, expected));
            assert!(calls.heard.len() <= MAX_HEARD && calls.kept() > 0);
        }
    }

    #[test]
    fn fragments_that_wait_are_bounded() {
        let put_together = |fragment: &[u8]| {
            let (mut calls, mut found) = (Calls::default(), Vec::new());
            calls.feed(
                Forward,
                &datagram(Kind::REQUEST, EPM, ALONE, b"in"),
                &mut found,
            );
            for number in 0..2 * MAX_FRAGMENTS as u16 {
                let part = datagram(Kind::RESPONSE, EPM, (Header::FRAGMENT, number), fragment);
                calls.feed(Reverse, &part, &mut found);
            }
            calls.answer.expect("it is put together")
        };
        let answer = put_together(&[7; 1000]);
        assert!(answer.stub.len() <= MAX_STUB && answer.ends.len() <= MAX_FRAGMENTS);
        assert_eq!(put_together(b"").ends.len(), MAX_FRAGMENTS);
    }

    #[test]
    fn an_answer_in_fragments_maps_an_interface() {
        let stub = map_answer(&[tcp_tower(SAMR, 49154, [10, 0, 0, 1])], Syntax::Ndr);
        let (first, last) = stub.split_at(50);
        let first = datagram(Kind::RESPONSE, EPM, (Header::FRAGMENT, 0), first);
        let flags = Header::FRAGMENT | Header::LAST;
        let last = datagram(Kind::RESPONSE, EPM, (flags, 1), last);
        let mapped = mapped_tcp(SAMR, 49154, [10, 0, 0, 1]);
        let asked = (Forward, datagram(Kind::REQUEST, EPM, ALONE, b"in"));
        let in_order = claims(&[asked.clone(), (Reverse, first), (Reverse, last.clone())]);
        assert_eq!(in_order.last(), Some(&mapped));
        let without_first = claims(&[asked, (Reverse, last)]);
        assert!(!without_first.contains(&mapped));
    }

    #[test]
    fn only_a_whole_datagram_is_recognised() {
        let bytes = datagram(Kind::REQUEST, SAMR, ALONE, b"stub");
        assert!(Header::recognise(&bytes).is_some());
        for len in 0..bytes.len() {
            assert!(Header::recognise(&bytes[..len]).is_none(), "{len}");
        }
        for (place, value) in [(0, 5), (1, 11), (3, 0x10), (4, 0x22), (6, 1)] {
            let mut other = bytes.clone();
            other[place] = value;
            assert!(Header::recognise(&other).is_none(), "{place}");
        }
    }

    #[test]
    fn the_first_part_of_a_fragmented_datagram_is_recognised() {
        let bytes = datagram(Kind::REQUEST, SAMR, ALONE, &[0; 1400]);
        assert!(Header::recognise(&bytes[..1000]).is_some());
    }

    #[test]
    fn what_was_given_in_part_and_then_whole_is_taken_once() {
        let ports = 49152..49172;
        let entries: Vec<_> = (ports.clone())
            .map(|port| (tcp_tower(SAMR, port, [10, 0, 0, 1]), ""))
            .collect();
        let stub = lookup_answer(&entries, Syntax::Ndr);
        let (beginning, rest) = stub.split_at(200);
        let (middle, end) = rest.split_at(800);
        let of = |flags, number, stub: &[u8]| {
            let part = (Header::FRAGMENT | flags, number);
            let mut bytes = datagram(Kind::RESPONSE, EPM, part, stub);
            bytes[68] = 2; // ept_lookup, C706 appendix O
            bytes
        };
        let datagrams = [
            of(0, 0, beginning),
            of(0, 1, middle),
            of(Header::LAST, 2, end),
        ];
        let part = datagrams[1][..600].to_vec();
        let [first, second, last] = datagrams.clone();
        let (mut calls, mut found) = (Calls::default(), Vec::new());
        let mut asked = datagram(Kind::REQUEST, EPM, ALONE, b"in");
        asked[68] = 2;
        calls.feed(Forward, &asked, &mut found);
        for bytes in [first, part, second, last] {
            calls.feed(Reverse, &bytes, &mut found);
        }
        calls.finish(&mut found);
        let carried = Claim::Carried {
            interface: EPM,
            bytes: (asked.len() + datagrams.concat().len()) as u64,
        };
        let mapped = ports.map(|port| mapped_tcp(SAMR, port, [10, 0, 0, 1]));
        let expected: Vec<_> = mapped.chain([carried]).collect();
        assert!(found.ends_with(&expected), "{found:?}");
    }

    #[test]
    fn a_callback_does_not_turn_the_sides() {
        let manager = Interface::new(CONVERSATION_MANAGER, 3, 0);
        let callback = (Reverse, datagram(Kind::REQUEST, manager, ALONE, b""));
        assert_eq!(claims(&[callback]), [Claim::Offered(manager)]);
    }
}
