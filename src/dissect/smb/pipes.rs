//! The pipes of one connection: what is opened, the RPC that runs in each, and the bytes of both.

use std::collections::{BTreeMap, BTreeSet};

use crate::dissect::Dissector;
use crate::dissect::read::Reader;
use crate::dissect::rpc::connection::Connection;
use crate::dissect::rpc::pdu::{HEADER_LEN, Header};
use crate::model::evidence::{Claim, Direction, PipeUse};
use crate::model::protocol::Field;
use crate::model::uuid::Interface;

/// What a file or a tree is numbered within: in SMB 2 the session, in SMB 1 the connection, 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(pub u64);

/// A file, which may be a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// By the number that the server gave it: 16 bytes in SMB 2, two in SMB 1.
    Given(Scope, u128),
    /// By the request that creates it, where others are chained to that request.
    ToCome(Exchange),
}

/// A request by the number that its answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange(pub u64);

/// A tree by the number that the server gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tree(pub Scope, pub u32);

/// What kind of share a tree is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// `IPC$`: what is opened there is a pipe.
    Pipes,
    /// Disks and printers.
    Other,
}

/// What an answer will be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To open something by this name, lower case and without prefix, in a tree of this kind.
    Open {
        /// The name.
        name: String,
        /// The kind of tree, if that is known.
        share: Option<Share>,
        /// Bytes of the request.
        bytes: u64,
    },
    /// For what can be read from this file.
    Read(File),
    /// To close this file.
    Close(File),
    /// Anything else about this file.
    About(File),
    /// For something that is named.
    Named(Named),
    /// For one of these dialects, by place.
    Dialects(Vec<String>),
}

/// Something that is asked for by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is said if it is granted.
    pub field: Field,
    /// Where if it is not, if it is said then.
    pub otherwise: Option<Ungranted>,
    /// Its name.
    pub text: String,
    /// Who asks.
    pub by: Direction,
    /// Bytes of the request.
    pub bytes: u64,
}

/// Where something is said that was asked for and not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// If the server refused it.
    pub refused: Field,
    /// If no answer was seen.
    pub unanswered: Field,
}

/// What became of what was asked for and not granted.
#[derive(Clone, Copy)]
enum Fate {
    Refused,
    Unanswered,
}

impl Asked {
    /// The file that is meant, if it is open already.
    fn file(&self) -> Option<File> {
        match self {
            Asked::Open { .. } | Asked::Named(_) | Asked::Dialects(_) => None,
            Asked::Read(file) | Asked::Close(file) | Asked::About(file) => Some(*file),
        }
    }

    fn rename(&mut self, old: File, new: File) {
        if let Asked::Read(file) | Asked::Close(file) | Asked::About(file) = self
            && *file == old
        {
            *file = new;
        }
    }
}

/// Pipes open at a time. Administrators' tools hold a dozen; the lowest numbers are given up.
const MAX_PIPES: usize = 128;

/// Requests without their answer: a client has credits for a few hundred (MS-SMB2 3.3.1.1).
const MAX_ASKED: usize = 512;

/// Trees of one connection: a client connects each share once a session.
const MAX_TREES: usize = 1024;

/// Files that may be pipes: the tree that they were opened in was connected before the capture.
const MAX_CANDIDATES: usize = 256;

/// Names and interfaces that are remembered as claimed already.
const MAX_SAID: usize = 4096;

/// What is known of a connection.
#[derive(Default)]
pub struct Pipes {
    open: BTreeMap<File, Pipe>,
    candidates: BTreeMap<File, Candidate>,
    asked: BTreeMap<Exchange, Asked>,
    trees: BTreeMap<Tree, Share>,
    said: BTreeSet<Said>,
    /// Who sends what comes next without a header, and whose it is.
    raw: Option<(Direction, File)>,
    /// The cipher that was agreed on, if that was seen.
    pub cipher: Option<&'static str>,
    carried: BTreeMap<PipeUse, u64>,
    /// By what was asked for by its name.
    carried_for: BTreeMap<(Field, Box<str>), u64>,
}

/// One opening of a pipe.
#[derive(Default)]
struct Pipe {
    /// None where its opening was not captured.
    name: Option<Box<str>>,
    /// It is certain that it is a pipe: what looks like RPC may stand in a file, for anyone who can
    /// write to it.
    is_proved: bool,
    rpc: Connection,
    /// The interfaces bound in it, in order. Bounded as the connection's contexts are.
    bound: Vec<Interface>,
    /// Bytes of each interface's PDUs, once that is said.
    carried: Vec<(Interface, u64)>,
    /// Bytes of all messages about it.
    bytes: u64,
}

/// A file that is a pipe if RPC runs in it.
struct Candidate {
    name: String,
    bytes: u64,
}

/// What need not be claimed again by another pipe of the same connection.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    AskedFor(String),
    Refused(String),
    Opened(String),
    Offered(Interface),
    Bound(Interface, Option<Box<str>>),
    Text(Field, String, Direction),
}

impl Pipes {
    /// Bytes that are kept, about.
    pub fn kept(&self) -> usize {
        /// What an entry of a small map takes with its name and its share of the map.
        const ENTRY: usize = 128;
        let entries = self.candidates.len() + self.asked.len() + self.trees.len();
        let pipes: usize = self.open.values().map(|pipe| ENTRY + pipe.rpc.kept()).sum();
        (entries + self.said.len() + self.carried.len() + self.carried_for.len()) * ENTRY + pipes
    }

    /// A tree was connected.
    pub fn connect(&mut self, tree: Tree, share: Share) {
        if self.trees.len() < MAX_TREES || self.trees.contains_key(&tree) {
            self.trees.insert(tree, share);
        }
    }

    /// What a tree is connected to, if that was seen.
    pub fn share(&self, tree: Tree) -> Option<Share> {
        self.trees.get(&tree).copied()
    }

    /// Something was asked whose answer matters.
    pub fn ask(&mut self, exchange: Exchange, asked: Asked) {
        if self.asked.len() >= MAX_ASKED {
            self.asked.pop_first();
        }
        self.asked.insert(exchange, asked);
    }

    /// Something was asked about a file, in a message of so many bytes: they are the pipe's, if it
    /// is one, and so will be the answer's.
    pub fn ask_about(&mut self, exchange: Exchange, asked: Asked, bytes: u64) {
        let Some(file) = asked.file() else {
            return;
        };
        let is_known = self.count(file, bytes);
        if is_known || matches!(asked, Asked::Read(_)) {
            self.ask(exchange, asked);
        }
    }

    /// What an answer of so many bytes is about, which it is then no longer waited for.
    pub fn answered(&mut self, exchange: Exchange, bytes: u64) -> Option<Asked> {
        let asked = self.asked.remove(&exchange)?;
        if let Some(file) = asked.file() {
            self.count(file, bytes);
        }
        Some(asked)
    }

    /// So many bytes said that the answer is still to come.
    pub fn delayed(&mut self, exchange: Exchange, bytes: u64) {
        match self.asked.get_mut(&exchange) {
            Some(Asked::Open { bytes: all, .. }) => *all = all.saturating_add(bytes),
            Some(asked) => {
                if let Some(file) = asked.file() {
                    self.count(file, bytes);
                }
            }
            None => {}
        }
    }

    /// What an answer of so many bytes refuses.
    pub fn refused(&mut self, exchange: Exchange, bytes: u64, found: &mut Vec<Claim>) {
        if let Some(asked) = self.answered(exchange, bytes) {
            self.miss(asked, Fate::Refused, found);
        }
    }

    /// What is waited for by this number.
    pub fn asked(&self, exchange: Exchange) -> Option<&Asked> {
        self.asked.get(&exchange)
    }

    /// A pipe was opened by this name, with so many bytes, and has this number. What was chained to
    /// the request has had its data already.
    pub fn open(
        &mut self,
        exchange: Exchange,
        file: File,
        name: String,
        bytes: u64,
        found: &mut Vec<Claim>,
    ) {
        self.open_as(exchange, file, (name, true), bytes, found);
    }

    fn open_as(
        &mut self,
        exchange: Exchange,
        file: File,
        (name, is_proved): (String, bool),
        bytes: u64,
        found: &mut Vec<Claim>,
    ) {
        let chained = self.open.remove(&File::ToCome(exchange));
        if self.open.len() >= MAX_PIPES {
            self.give_up_one();
        }
        self.close(file);
        if say(&mut self.said, Said::Opened(name.clone())) {
            found.push(Claim::OpenedPipe(name.clone()));
        }
        let mut pipe = chained.unwrap_or_default();
        pipe.name = Some(name.into());
        pipe.is_proved |= is_proved;
        pipe.bytes = pipe.bytes.saturating_add(bytes);
        self.open.insert(file, pipe);
        for asked in self.asked.values_mut() {
            asked.rename(File::ToCome(exchange), file);
        }
    }

    /// Something was opened by this name, with so many bytes, that is a pipe if RPC runs in it.
    pub fn open_unknown(
        &mut self,
        exchange: Exchange,
        file: File,
        name: String,
        bytes: u64,
        found: &mut Vec<Claim>,
    ) {
        if self.open.contains_key(&File::ToCome(exchange)) {
            return self.open_as(exchange, file, (name, false), bytes, found);
        }
        if self.candidates.len() >= MAX_CANDIDATES {
            self.candidates.pop_first();
        }
        self.candidates.insert(file, Candidate { name, bytes });
    }

    /// Whether data of this file would be followed: it is a known pipe, or the data begin like RPC,
    /// so that it is one whose opening was not seen.
    pub fn follows(&self, file: File, data: &[u8]) -> bool {
        self.open.contains_key(&file) || begins_like_rpc(data)
    }

    /// Does something with a file that a server does with pipes alone.
    pub fn prove(&mut self, file: File) {
        if let Some(pipe) = self.open.get_mut(&file) {
            pipe.is_proved = true;
        }
    }

    /// Data were written to a file, or read from it.
    pub fn data(&mut self, file: File, from: Direction, data: &[u8], found: &mut Vec<Claim>) {
        if !self.follows(file, data) {
            return;
        }
        if self.open.len() >= MAX_PIPES && !self.open.contains_key(&file) {
            self.give_up_one();
        }
        let mut claims = Vec::new();
        let pipe = self.open.entry(file).or_default();
        if let Some(Candidate { name, bytes }) = self.candidates.remove(&file) {
            pipe.bytes = bytes;
            pipe.name = Some(name.as_str().into());
            if say(&mut self.said, Said::Opened(name.clone())) {
                found.push(Claim::OpenedPipe(name));
            }
        }
        pipe.rpc.feed(from, data, &mut claims);
        pipe.note(&claims);
        if !pipe.is_proved {
            claims.retain(|claim| !tells_of_others(claim));
        }
        let name = pipe.name.clone();
        self.pass_on(&name, claims, found);
    }

    /// Data of a file were cut: what follows them may begin anywhere.
    pub fn cut(&mut self, file: File, from: Direction) {
        if let Some(pipe) = self.open.get_mut(&file) {
            pipe.rpc.gap(from, None);
        }
    }

    /// A message of so many bytes asked about this file: what comes next without a header in this
    /// direction is the file's (MS-CIFS 2.2.4.22, 2.2.4.25).
    pub fn expect_raw(&mut self, file: File, from: Direction, bytes: u64) {
        self.count(file, bytes);
        self.raw = Some((from, file));
    }

    /// Something else was asked: between a request for raw bytes and these no other may come.
    pub fn expect_no_raw(&mut self) {
        self.raw = None;
    }

    /// Whether bytes without a header, sent in this direction, would be followed.
    pub fn follows_raw(&self, from: Direction, data: &[u8]) -> bool {
        let expected = self.raw.filter(|(sender, _)| *sender == from);
        expected.is_some_and(|(_, file)| self.follows(file, data))
    }

    /// Data came without a header, in a message of so many bytes.
    pub fn raw(&mut self, from: Direction, data: &[u8], bytes: u64, found: &mut Vec<Claim>) {
        if let Some((_, file)) = self.raw.take_if(|(sender, _)| *sender == from) {
            self.data(file, from, data, found);
            self.count(file, bytes);
        }
    }

    /// A file was closed.
    pub fn close(&mut self, file: File) {
        self.candidates.remove(&file);
        let Some(mut pipe) = self.open.remove(&file) else {
            return;
        };
        let shares = pipe.shares_of_bytes().into_iter();
        for (interface, bytes) in shares.filter(|(_, bytes)| *bytes > 0) {
            let key = PipeUse {
                pipe: pipe.name.clone(),
                interface,
            };
            if self.carried.len() < MAX_SAID || self.carried.contains_key(&key) {
                let carried = self.carried.entry(key).or_default();
                *carried = carried.saturating_add(bytes);
            }
        }
    }

    /// Messages of one direction were not captured.
    pub fn gap(&mut self, from: Direction) {
        for pipe in self.open.values_mut() {
            pipe.rpc.gap(from, None);
        }
    }

    /// The connection has ended.
    pub fn finish(&mut self, found: &mut Vec<Claim>) {
        while let Some(file) = self.open.keys().next().copied() {
            self.close(file);
        }
        for asked in std::mem::take(&mut self.asked).into_values() {
            self.miss(asked, Fate::Unanswered, found);
        }
        let carried = std::mem::take(&mut self.carried);
        found.extend(carried.into_iter().map(|(of, bytes)| Claim::CarriedInPipe {
            of: Box::new(of),
            bytes,
        }));
        let carried = std::mem::take(&mut self.carried_for).into_iter();
        found.extend(carried.map(|((field, text), bytes)| Claim::CarriedFor {
            field,
            text,
            bytes,
        }));
    }

    /// Something that was asked for will not come.
    fn miss(&mut self, asked: Asked, fate: Fate, found: &mut Vec<Claim>) {
        match asked {
            Asked::Open {
                name,
                share: Some(Share::Pipes),
                ..
            } => {
                let (said, claim) = match fate {
                    Fate::Refused => (Said::Refused(name.clone()), Claim::RefusedPipe(name)),
                    Fate::Unanswered => (Said::AskedFor(name.clone()), Claim::AskedForPipe(name)),
                };
                if say(&mut self.said, said) {
                    found.push(claim);
                }
            }
            Asked::Named(Named {
                otherwise: Some(otherwise),
                text,
                by,
                ..
            }) => {
                let field = match fate {
                    Fate::Refused => otherwise.refused,
                    Fate::Unanswered => otherwise.unanswered,
                };
                self.tell(field, text, by, found);
            }
            _ => {}
        }
    }

    /// What was asked for by its name was granted, in an answer of so many bytes.
    pub fn grant(&mut self, named: Named, bytes: u64, found: &mut Vec<Claim>) {
        let key = (named.field, named.text.as_str().into());
        if self.carried_for.len() < MAX_SAID || self.carried_for.contains_key(&key) {
            let carried = self.carried_for.entry(key).or_default();
            *carried = carried.saturating_add(named.bytes).saturating_add(bytes);
        }
        self.tell(named.field, named.text, named.by, found);
    }

    /// A peer says something of itself, or whom it wants. What was said before and what is empty is
    /// not claimed.
    pub fn tell(&mut self, field: Field, text: String, by: Direction, found: &mut Vec<Claim>) {
        if !text.is_empty() && say(&mut self.said, Said::Text(field, text.clone(), by)) {
            found.push(Claim::Said { field, text, by });
        }
    }

    /// Counts bytes to a file that is a pipe or may be one; whether it is.
    fn count(&mut self, file: File, bytes: u64) -> bool {
        let counted = match self.open.get_mut(&file) {
            Some(pipe) => Some(&mut pipe.bytes),
            None => (self.candidates.get_mut(&file)).map(|candidate| &mut candidate.bytes),
        };
        if let Some(counted) = counted {
            *counted = counted.saturating_add(bytes);
            return true;
        }
        false
    }

    fn give_up_one(&mut self) {
        if let Some(file) = self.open.keys().next().copied() {
            self.close(file);
        }
    }

    /// Passes on what the RPC in a pipe claims, as claims of that pipe.
    fn pass_on(&mut self, pipe: &Option<Box<str>>, claims: Vec<Claim>, found: &mut Vec<Claim>) {
        for claim in claims {
            match claim {
                Claim::Offered(interface) => {
                    if say(&mut self.said, Said::Offered(interface)) {
                        found.push(claim);
                    }
                }
                Claim::Bound(interface) => {
                    let pipe = pipe.clone();
                    if say(&mut self.said, Said::Bound(interface, pipe.clone())) {
                        found.push(Claim::BoundInPipe { interface, pipe });
                    }
                }
                // The client of a connection is the client of its pipes; bytes are said at the end.
                Claim::ClientIs(_) | Claim::Carried { .. } => {}
                Claim::Said { field, text, by } => self.tell(field, text, by, found),
                other => found.push(other),
            }
        }
    }
}

/// Whether a claim is believed of what listens elsewhere.
fn tells_of_others(claim: &Claim) -> bool {
    matches!(claim, Claim::Mapped { .. } | Claim::Exported { .. })
}

/// Whether that was not said yet.
fn say(all: &mut BTreeSet<Said>, said: Said) -> bool {
    all.len() < MAX_SAID && all.insert(said)
}

impl Pipe {
    /// Keeps what matters of the claims that its RPC makes.
    fn note(&mut self, claims: &[Claim]) {
        for claim in claims {
            match claim {
                Claim::Bound(interface) => self.bound.push(*interface),
                Claim::Carried { interface, bytes } => self.carried.push((*interface, *bytes)),
                _ => {}
            }
        }
    }

    /// Its bytes by the interfaces bound in it: each has those of its PDUs, the first one also what
    /// SMB puts around them all. They add up to `bytes`.
    fn shares_of_bytes(&mut self) -> Vec<(Option<Interface>, u64)> {
        let mut claims = Vec::new();
        self.rpc.finish(&mut claims);
        self.note(&claims);
        let Some((first, others)) = self.bound.split_first() else {
            return vec![(None, self.bytes)];
        };
        let mut left = self.bytes;
        let mut shares = Vec::new();
        for (interface, bytes) in &self.carried {
            if others.contains(interface) {
                // Of a message that is not all in the capture, more may be announced than came.
                let bytes = (*bytes).min(left);
                left -= bytes;
                shares.push((Some(*interface), bytes));
            }
        }
        shares.push((Some(*first), left));
        shares
    }
}

fn begins_like_rpc(data: &[u8]) -> bool {
    Header::recognise(Reader::little(data).up_to(HEADER_LEN)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_peer_can_make_it_keep_is_bounded() {
        let (mut pipes, mut found) = (Pipes::default(), Vec::new());
        for number in 0..10_000u32 {
            let scope = Scope::default();
            let file = File::Given(scope, number.into());
            let exchange = Exchange(number.into());
            pipes.connect(Tree(scope, number), Share::Pipes);
            pipes.ask(exchange, Asked::Read(file));
            pipes.open_unknown(exchange, file, String::new(), 1, &mut found);
            pipes.open(exchange, file, number.to_string(), 1, &mut found);
        }
        assert_eq!(pipes.open.len(), MAX_PIPES);
        assert_eq!(pipes.asked.len(), MAX_ASKED);
        assert_eq!(pipes.trees.len(), MAX_TREES);
        assert!(pipes.candidates.len() <= MAX_CANDIDATES);
        assert_eq!((pipes.said.len(), found.len()), (MAX_SAID, MAX_SAID));
        pipes.finish(&mut found);
        assert!(found.len() <= 2 * MAX_SAID);
    }
}
