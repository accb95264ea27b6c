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
    /// Later parts that became no packets, for want of their first part.
    pub(super) orphans: u64,
    /// The same in tunnels.
    pub(super) inner_orphans: u64,
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
        self.make_room();
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
                None => self.give_up(&packet),
            }
        } else if self.waiting < Self::MAX_WAITING {
            self.make_room();
            self.waiting += 1;
            self.order.push_back((packet.time, key.clone()));
            let unknown = Datagram {
                since: packet.time,
                first: None,
                waiting: vec![packet],
            };
            self.datagrams.insert(key, unknown);
        } else {
            self.give_up(&packet);
        }
    }

    /// Forgets the datagrams whose time is over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((since, _)) = self.order.front()
            && now.since(*since) > EXPIRY
        {
            self.forget_oldest();
        }
    }

    /// Forgets everything.
    pub(super) fn finish(&mut self) {
        while !self.order.is_empty() {
            self.forget_oldest();
        }
    }

    fn make_room(&mut self) {
        while self.order.len() >= Self::MAX_DATAGRAMS {
            if self.forget_oldest() {
                self.given_up += 1;
            }
        }
    }

    /// Whether there was one: a place in the order may be left over from before.
    fn forget_oldest(&mut self) -> bool {
        let Some((since, key)) = self.order.pop_front() else {
            return false;
        };
        if (self.datagrams.get(&key)).is_none_or(|datagram| datagram.since != since) {
            return false;
        }
        if let Some(datagram) = self.datagrams.remove(&key) {
            self.waiting -= datagram.waiting.len();
            for packet in &datagram.waiting {
                self.give_up(packet);
            }
        }
        true
    }

    fn give_up(&mut self, orphan: &Packet) {
        match orphan.tunnel {
            None => self.orphans += 1,
            Some(_) => self.inner_orphans += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoder;
    use crate::decode::samples::{
        ETHERNET, IPV4, IPV6, ethernet, first_fragment, ipv4, ipv6, last_fragment, record, text,
        udp,
    };
    use crate::model::packet::Part;

    /// What a decoder makes of these frames, a second apart, and at the end.
    fn decode_all(frames: &[Vec<u8>]) -> (Vec<(u64, String)>, Decoder) {
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for (frame, number) in frames.iter().zip(1_u64..) {
            let mut record = record(ETHERNET, frame);
            record.frame.number = number;
            record.time = second(number);
            decoder.decode(&record, frame, &mut out).expect("it is IP");
        }
        decoder.finish();
        let packets = out.iter().map(|packet| (packet.frame.number, text(packet)));
        (packets.collect(), decoder)
    }

    fn second(number: u64) -> Timestamp {
        Timestamp::default().after(Duration::from_secs(number))
    }

    fn first(id: u16) -> Vec<u8> {
        ethernet(IPV4, &first_fragment(17, id, &udp(1000, 53, &[0; 56])))
    }

    fn last(id: u16) -> Vec<u8> {
        ethernet(IPV4, &last_fragment(17, id, &[0xff; 16]))
    }

    const WHOLE: &str = "udp 10.0.0.1:1000 > 10.0.0.2:53";

    fn told(packets: &[(u64, &str)]) -> Vec<(u64, String)> {
        packets
            .iter()
            .map(|(frame, text)| (*frame, text.to_string()))
            .collect()
    }

    #[test]
    fn a_later_fragment_reaches_the_ports_of_the_first() {
        assert_eq!(
            decode_all(&[first(1), last(1)]).0,
            told(&[(1, WHOLE), (2, WHOLE)])
        );
    }

    #[test]
    fn a_later_fragment_that_comes_first_waits_for_the_ports() {
        let (packets, decoder) = decode_all(&[last(1), first(1)]);
        assert_eq!(packets, told(&[(1, WHOLE), (2, WHOLE)]));
        assert_eq!(decoder.losses().orphan_fragments, 0);
    }

    #[test]
    fn a_fragment_of_another_datagram_is_no_packet() {
        let (packets, decoder) = decode_all(&[first(1), last(2)]);
        assert_eq!(packets, told(&[(1, WHOLE)]));
        assert_eq!(decoder.losses().orphan_fragments, 1);
    }

    #[test]
    fn a_fragment_that_comes_too_late_is_no_packet() {
        let whole = ethernet(IPV4, &ipv4(17, &udp(1000, 53, b"")));
        let mut frames = vec![whole; 40];
        frames[0] = first(1);
        frames[39] = last(1);
        let (packets, decoder) = decode_all(&frames);
        assert_eq!(packets.last(), Some(&(39, WHOLE.to_string())));
        assert_eq!(decoder.losses().orphan_fragments, 1);
    }

    #[test]
    fn a_waiting_fragment_is_given_up_when_its_time_is_over() {
        let whole = ethernet(IPV4, &ipv4(17, &udp(1000, 53, b"")));
        let mut frames = vec![whole; 40];
        frames[0] = last(1);
        frames[39] = first(1);
        let (packets, decoder) = decode_all(&frames);
        assert!(packets.iter().all(|(frame, _)| *frame != 1));
        assert_eq!(decoder.losses().orphan_fragments, 1);
    }

    #[test]
    fn an_identification_used_again_means_the_newer_datagram() {
        let other = ethernet(IPV4, &first_fragment(17, 1, &udp(7, 8, &[0; 56])));
        let (packets, _) = decode_all(&[first(1), other, last(1)]);
        assert_eq!(packets[2].1, "udp 10.0.0.1:7 > 10.0.0.2:8");
    }

    #[test]
    fn fragments_without_ports_of_their_own_do_not_wait() {
        let part = ethernet(IPV4, &last_fragment(1, 1, &[0; 16]));
        let mut out = Vec::new();
        let decoded = Decoder::new().decode(&record(ETHERNET, &part), &part, &mut out);
        assert_eq!((decoded, out.len()), (Ok(()), 1));
    }

    #[test]
    fn the_fragments_of_ipv6_are_told_apart_below_their_extension_headers() {
        let fragment = |offset_and_more, rest: &[u8]| {
            let header = [60, 0, 0, offset_and_more, 0, 0, 0, 9];
            ethernet(IPV6, &ipv6(44, &[&header, rest].concat()))
        };
        let options = [17, 0, 1, 4, 0, 0, 0, 0];
        let beginning = fragment(1, &[&options[..], &udp(1000, 53, &[0; 40])].concat());
        let (packets, _) = decode_all(&[fragment(56, &[0xff; 8]), beginning]);
        let text = "udp [2001:db8::1]:1000 > [2001:db8::2]:53";
        assert_eq!(packets, told(&[(1, text), (2, text)]));
    }

    #[test]
    fn a_first_fragment_goes_on_and_a_later_one_has_no_payload() {
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for frame in [first(1), last(1)] {
            let _ = decoder.decode(&record(ETHERNET, &frame), &frame, &mut out);
        }
        let seen = out.iter().map(|p| (p.part, p.payload.len, p.wire_bytes));
        let both = [(Part::First, 56, 84), (Part::Later, 0, 36)];
        assert_eq!(seen.collect::<Vec<_>>(), both);
    }

    #[test]
    fn more_datagrams_than_the_bound_push_out_the_oldest() {
        let count = Fragments::MAX_DATAGRAMS as u16;
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for frame in (0..=count).map(first).chain([last(0), last(count)]) {
            let _ = decoder.decode(&record(ETHERNET, &frame), &frame, &mut out);
        }
        // Making room for the fragment that waits costs another.
        assert_eq!(decoder.losses().datagrams_given_up, 2);
        decoder.finish();
        assert_eq!(decoder.losses().orphan_fragments, 1);
        assert_eq!(out.len(), usize::from(count) + 2);
    }

    #[test]
    fn more_waiting_fragments_than_the_bound_do_not_wait() {
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        let frame = last(1);
        for _ in 0..=Fragments::MAX_WAITING {
            let _ = decoder.decode(&record(ETHERNET, &frame), &frame, &mut out);
        }
        assert_eq!((out.len(), decoder.losses().orphan_fragments), (0, 1));
    }
}
