//! Fragments: the later parts of a datagram reach the five-tuple that its first part tells.
//!
//! Nothing is put together: no byte of a fragment is kept, only that it was there.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::model::five_tuple::{IpProtocol, Tunnel};
use crate::model::packet::Packet;
use crate::model::time::Timestamp;

/// What all the parts of a datagram share (RFC 791 3.2, RFC 8200 4.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) id: u32,
    pub(super) protocol: IpProtocol,
    pub(super) tunnel: Option<Arc<Tunnel>>,
}

/// What the first part of a datagram tells of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) protocol: IpProtocol,
    pub(super) ports: (u16, u16),
}

impl First {
    /// A later part as a packet of the same five-tuple.
    fn complete(self, mut packet: Packet) -> Packet {
        packet.tuple.protocol = self.protocol;
        packet.tuple.source.port = self.ports.0;
        packet.tuple.destination.port = self.ports.1;
        packet
    }
}

/// How long the parts of one datagram are awaited: as long as Linux does. Identifications are used
/// again, so longer would mix up datagrams.
const EXPIRY: Duration = Duration::from_secs(30);

/// The datagrams that are in parts at the moment, bounded in number and in time.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram, RandomState>,
    /// The keys in the order in which they came, each with its datagram's `since`. A datagram that
    /// began anew stands here twice; the first place no longer fits it.
    order: VecDeque<(Timestamp, Key)>,
    /// How many later parts wait, in all datagrams.
    waiting: usize,
    /// Later parts that became packets without ports, for want of their first part.
    pub(super) orphans: u64,
    /// Datagrams forgotten before their time, for want of room.
    pub(super) given_up: u64,
}

#[derive(Debug)]
struct Datagram {
    since: Timestamp,
    first: Option<First>,
    /// Later parts that came before the first.
    waiting: Vec<Packet>,
}

impl Fragments {
    /// Datagrams known at a time: some 150 a second until they expire. More are a flood.
    const MAX_DATAGRAMS: usize = 4096;
    /// Later parts that wait at a time: some 90 datagrams of 64 KiB whose first part comes last.
    const MAX_WAITING: usize = 4096;

    /// Takes the first part of a datagram, and puts out what waited for it.
    pub(super) fn first(&mut self, key: Key, first: First, now: Timestamp, out: &mut Vec<Packet>) {
        self.make_room(out);
        self.order.push_back((now, key.clone()));
        let known = Datagram {
            since: now,
            first: Some(first),
            waiting: Vec::new(),
        };
        if let Some(before) = self.datagrams.insert(key, known) {
            self.waiting -= before.waiting.len();
            out.extend(before.waiting.into_iter().map(|part| first.complete(part)));
        }
    }

    /// Takes a later part: puts it out if its first part was seen, or keeps it until it is.
    pub(super) fn later(&mut self, key: Key, packet: Packet, out: &mut Vec<Packet>) {
        if let Some(datagram) = self.datagrams.get_mut(&key) {
            match datagram.first {
                Some(first) => out.push(first.complete(packet)),
                None if self.waiting < Self::MAX_WAITING => {
                    self.waiting += 1;
                    datagram.waiting.push(packet);
                }
                None => self.put_out_orphan(packet, out),
            }
        } else if self.waiting < Self::MAX_WAITING {
            self.make_room(out);
            self.waiting += 1;
            self.order.push_back((packet.time, key.clone()));
            let unknown = Datagram {
                since: packet.time,
                first: None,
                waiting: vec![packet],
            };
            self.datagrams.insert(key, unknown);
        } else {
            self.put_out_orphan(packet, out);
        }
    }

    /// Forgets the datagrams whose time is over, and puts out what waited for their first parts.
    pub(super) fn expire(&mut self, now: Timestamp, out: &mut Vec<Packet>) {
        while let Some((since, _)) = self.order.front()
            && now.since(*since) > EXPIRY
        {
            self.forget_oldest(out);
        }
    }

    /// Forgets everything, and puts out what still waits.
    pub(super) fn finish(&mut self, out: &mut Vec<Packet>) {
        while !self.order.is_empty() {
            self.forget_oldest(out);
        }
    }

    fn make_room(&mut self, out: &mut Vec<Packet>) {
        while self.order.len() >= Self::MAX_DATAGRAMS {
            if self.forget_oldest(out) {
                self.given_up += 1;
            }
        }
    }

    /// Whether there was one: a place in the order may be left over from before.
    fn forget_oldest(&mut self, out: &mut Vec<Packet>) -> bool {
        let Some((since, key)) = self.order.pop_front() else {
            return false;
        };
        if (self.datagrams.get(&key)).is_none_or(|datagram| datagram.since != since) {
            return false;
        }
        if let Some(datagram) = self.datagrams.remove(&key) {
            self.waiting -= datagram.waiting.len();
            for packet in datagram.waiting {
                self.put_out_orphan(packet, out);
            }
        }
        true
    }

    fn put_out_orphan(&mut self, packet: Packet, out: &mut Vec<Packet>) {
        self.orphans += 1;
        out.push(packet);
    }
}
