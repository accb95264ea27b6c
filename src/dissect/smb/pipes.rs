//! The pipes of one session, and the RPC that runs in each.

use std::collections::{BTreeMap, BTreeSet};

use crate::dissect::Dissector;
use crate::dissect::read::Reader;
use crate::dissect::rpc::connection::Connection;
use crate::dissect::rpc::pdu::{HEADER_LEN, Header};
use crate::model::evidence::{Claim, Direction};
use crate::model::uuid::Interface;

/// A pipe by the number that the server gave it: 16 bytes in SMB 2, two in SMB 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct File(pub u128);

/// A request by the number that its answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange(pub u64);

/// A tree by the number that the server gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tree(pub u32);

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
    Open(String, Option<Share>),
    /// For what can be read from this file.
    Read(File),
}

/// Pipes open at a time. Administrators' tools hold a dozen; the lowest numbers are given up.
const MAX_PIPES: usize = 128;

/// Requests without their answer: a client has credits for a few hundred (MS-SMB2 3.3.1.1).
const MAX_ASKED: usize = 512;

/// Trees of one session: a client connects each share once.
const MAX_TREES: usize = 1024;

/// Files that may be pipes: the tree that they were opened in was connected before the capture.
const MAX_CANDIDATES: usize = 256;

/// Names and interfaces that are remembered as claimed already.
const MAX_SAID: usize = 4096;

/// What is known of a session.
#[derive(Default)]
pub struct Pipes {
    open: BTreeMap<File, Connection>,
    candidates: BTreeMap<File, String>,
    asked: BTreeMap<Exchange, Asked>,
    trees: BTreeMap<Tree, Share>,
    said: BTreeSet<Said>,
    carried: BTreeMap<Interface, u64>,
}

/// What need not be claimed again by another pipe of the same session.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Opened(String),
    Offered(Interface),
    Bound(Interface),
}

impl Pipes {
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

    /// What an answer is about, which it is then no longer waited for.
    pub fn answered(&mut self, exchange: Exchange) -> Option<Asked> {
        self.asked.remove(&exchange)
    }

    /// Whether an answer is waited for.
    pub fn is_asked(&self, exchange: Exchange) -> bool {
        self.asked.contains_key(&exchange)
    }

    /// A pipe was opened by this name.
    pub fn open(&mut self, file: File, name: String, found: &mut Vec<Claim>) {
        if self.open.len() >= MAX_PIPES {
            self.give_up_one();
        }
        self.close(file);
        self.open.insert(file, Connection::default());
        if self.say(Said::Opened(name.clone())) {
            found.push(Claim::OpenedPipe(name));
        }
    }

    /// Something was opened by this name that is a pipe if RPC runs in it.
    pub fn open_candidate(&mut self, file: File, name: String) {
        if self.candidates.len() >= MAX_CANDIDATES {
            self.candidates.pop_first();
        }
        self.candidates.insert(file, name);
    }

    /// Whether data of this file would be followed: it is a known pipe, or the data begin like RPC,
    /// so that it is one whose opening was not seen.
    pub fn follows(&self, file: File, data: &[u8]) -> bool {
        self.open.contains_key(&file) || begins_like_rpc(data)
    }

    /// Data were written to a file, or read from it.
    pub fn data(&mut self, file: File, from: Direction, data: &[u8], found: &mut Vec<Claim>) {
        if !self.follows(file, data) {
            return;
        }
        if let Some(name) = self.candidates.remove(&file) {
            self.open(file, name, found);
        }
        if self.open.len() >= MAX_PIPES && !self.open.contains_key(&file) {
            self.give_up_one();
        }
        let mut claims = Vec::new();
        let pipe = self.open.entry(file).or_default();
        pipe.feed(from, data, &mut claims);
        self.pass_on(claims, found);
    }

    /// A file was closed.
    pub fn close(&mut self, file: File) {
        self.candidates.remove(&file);
        let Some(mut pipe) = self.open.remove(&file) else {
            return;
        };
        let mut claims = Vec::new();
        pipe.finish(&mut claims);
        for claim in claims {
            if let Claim::Carried { interface, bytes } = claim
                && (self.carried.len() < MAX_SAID || self.carried.contains_key(&interface))
            {
                let carried = self.carried.entry(interface).or_default();
                *carried = carried.saturating_add(bytes);
            }
        }
    }

    /// Messages of one direction were not captured.
    pub fn gap(&mut self, from: Direction) {
        for pipe in self.open.values_mut() {
            pipe.gap(from, None);
        }
    }

    /// The session has ended.
    pub fn finish(&mut self, found: &mut Vec<Claim>) {
        while let Some(file) = self.open.keys().next().copied() {
            self.close(file);
        }
        let carried = std::mem::take(&mut self.carried);
        found.extend(
            carried
                .into_iter()
                .map(|(interface, bytes)| Claim::Carried { interface, bytes }),
        );
    }

    fn give_up_one(&mut self) {
        if let Some(file) = self.open.keys().next().copied() {
            self.close(file);
        }
    }

    fn pass_on(&mut self, claims: Vec<Claim>, found: &mut Vec<Claim>) {
        for claim in claims {
            let is_new = match &claim {
                Claim::Offered(interface) => self.say(Said::Offered(*interface)),
                Claim::Bound(interface) => self.say(Said::Bound(*interface)),
                // The client of a session is the client of its pipes.
                Claim::ClientIs(_) => false,
                _ => true,
            };
            if is_new {
                found.push(claim);
            }
        }
    }

    fn say(&mut self, said: Said) -> bool {
        self.said.len() < MAX_SAID && self.said.insert(said)
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
            let file = File(number.into());
            pipes.connect(Tree(number), Share::Pipes);
            pipes.ask(Exchange(number.into()), Asked::Read(file));
            pipes.open_candidate(file, String::new());
            pipes.open(file, number.to_string(), &mut found);
        }
        assert_eq!(pipes.open.len(), MAX_PIPES);
        assert_eq!(pipes.asked.len(), MAX_ASKED);
        assert_eq!(pipes.trees.len(), MAX_TREES);
        assert!(pipes.candidates.len() <= MAX_CANDIDATES);
        assert_eq!((pipes.said.len(), found.len()), (MAX_SAID, MAX_SAID));
    }
}
