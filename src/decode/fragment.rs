//! Fragments: a datagram that came in parts is put together, and all its parts reach the five-tuple
//! that the first of them tells.
//!
//! In come the parts as packets, with their bytes; out come the packets again, the one that made the
//! datagram whole with all its payload. The beginning of a datagram is not held back until then, of
//! UDP neither: often the rest never comes (capture filters on ports drop it), and a claim from the
//! beginning is true as well. So whoever listens to UDP may be given a beginning and then the whole.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::ip::Fragment;
use super::layer::{Layer, clamped};
use super::reassembly::{Gathered, Overlap};
use super::transport;
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

impl Key {
    fn overlap(&self) -> Overlap {
        match self.source {
            IpAddr::V4(_) => Overlap::FirstWins,
            IpAddr::V6(_) => Overlap::Spoils,
        }
    }
}

/// What the first part of a datagram tells of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) protocol: IpProtocol,
    pub(super) ports: (u16, u16),
    /// Bytes of extension headers before the transport header, counted from where parts are.
    pub(super) extensions: usize,
}

impl First {
    /// A later part as a packet of the same five-tuple.
    fn tell(self, packet: &mut Packet) {
        packet.tuple.protocol = self.protocol;
        packet.tuple.source.port = self.ports.0;
        packet.tuple.destination.port = self.ports.1;
    }

    /// The part that came last brings all that IP carried.
    fn complete(self, packet: &mut Packet, whole: &[u8]) {
        let segment = whole.get(self.extensions..).unwrap_or_default();
        let layer = Layer::new(segment, clamped(segment.len()));
        // That the whole is wrong where its beginning was right leaves the beginning.
        if let Ok(transport) = transport::read(self.protocol, layer) {
            packet.tcp = transport.tcp;
            packet.reassembled = Some(transport.payload.bytes().into());
        }
    }
}

/// How long the parts of one datagram are awaited: as long as Linux does. Identifications are used
/// again, so longer would mix up datagrams.
const EXPIRY: Duration = Duration::from_secs(30);

/// The datagrams that are in parts at the moment, bounded in number, in bytes and in time.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram, RandomState>,
    /// The keys in the order in which they came, each with its datagram's `since`. A datagram that
    /// began anew stands here twice; the first place no longer fits it.
    order: VecDeque<(Timestamp, Key)>,
    /// How many later parts wait, in all datagrams.
    waiting: usize,
    /// How many bytes are held, in all datagrams.
    held: usize,
    /// Later parts that became no packets, for want of their first part.
    pub(super) orphans: u64,
    /// The same in tunnels.
    pub(super) inner_orphans: u64,
    /// Datagrams forgotten before they were whole and before their time, for want of room.
    pub(super) given_up: u64,
}

#[derive(Debug)]
struct Datagram {
    since: Timestamp,
    first: Option<First>,
    /// Later parts that came before the first.
    waiting: Vec<Packet>,
    gathered: Gathered,
}

impl Fragments {
    /// Datagrams known at a time: some 150 a second until they expire. More are a flood.
    const MAX_DATAGRAMS: usize = 4096;
    /// Later parts that wait at a time: some 90 datagrams of 64 KiB whose first part comes last.
    const MAX_WAITING: usize = 4096;
    /// Bytes held at a time: 256 datagrams of 64 KiB of which a part is lost, or as many of usual
    /// length as are known at a time.
    const MAX_HELD: usize = 16 * 1024 * 1024;

    /// Takes the first part of a datagram: puts it out, and what waited for it.
    ///
    /// The same once more is the same datagram; with other bytes it is another one, with the
    /// identification used again.
    pub(super) fn first(
        &mut self,
        key: Key,
        part: &Fragment,
        first: First,
        mut packet: Packet,
        out: &mut Vec<Packet>,
    ) {
        let goes_on = |known: &Datagram| known.first.is_none() || known.gathered.begins_with(part);
        if !self.datagrams.get(&key).is_some_and(goes_on) {
            if let Some(before) = self.datagrams.remove(&key) {
                self.held -= before.gathered.held();
            }
            self.make_room();
        }
        let (datagram, whole) = self.gather(key, part, packet.time);
        datagram.first = Some(first);
        let waiting = std::mem::take(&mut datagram.waiting);
        self.waiting -= waiting.len();
        if let Some(whole) = whole {
            first.complete(&mut packet, &whole);
        }
        out.push(packet);
        out.extend(waiting.into_iter().map(|mut later| {
            first.tell(&mut later);
            later
        }));
        self.let_go();
    }

    /// Takes a later part: puts it out if its first part was seen, or keeps it until it is.
    pub(super) fn later(
        &mut self,
        key: Key,
        part: &Fragment,
        mut packet: Packet,
        out: &mut Vec<Packet>,
    ) {
        let known = self.datagrams.get(&key);
        let waits = known.is_none_or(|datagram| datagram.first.is_none());
        if waits && self.waiting >= Self::MAX_WAITING {
            self.give_up(&packet);
            return;
        }
        if known.is_none() {
            self.make_room();
        }
        let (datagram, whole) = self.gather(key, part, packet.time);
        match datagram.first {
            Some(first) => {
                first.tell(&mut packet);
                if let Some(whole) = whole {
                    first.complete(&mut packet, &whole);
                }
                out.push(packet);
            }
            None => {
                datagram.waiting.push(packet);
                self.waiting += 1;
            }
        }
        self.let_go();
    }

    /// Adds a part to its datagram. Gives the datagram, and all its bytes once none is missing.
    fn gather(
        &mut self,
        key: Key,
        part: &Fragment,
        now: Timestamp,
    ) -> (&mut Datagram, Option<Vec<u8>>) {
        let overlap = key.overlap();
        let datagram = match self.datagrams.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                self.order.push_back((now, unknown.key().clone()));
                unknown.insert(Datagram {
                    since: now,
                    first: None,
                    waiting: Vec::new(),
                    gathered: Gathered::new(),
                })
            }
        };
        self.held -= datagram.gathered.held();
        let whole = datagram.gathered.take(part, overlap);
        self.held += datagram.gathered.held();
        (datagram, whole)
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

    /// Makes room for another datagram.
    fn make_room(&mut self) {
        while self.order.len() >= Self::MAX_DATAGRAMS {
            self.give_up_oldest();
        }
    }

    /// Lets go of what is held beyond the bound.
    fn let_go(&mut self) {
        while self.held > Self::MAX_HELD {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let oldest = self.forget_oldest();
        let is_lost = oldest.is_some_and(|oldest| !matches!(oldest.gathered, Gathered::All));
        self.given_up += u64::from(is_lost);
    }

    /// The datagram that was forgotten: a place in the order may be left over from before.
    fn forget_oldest(&mut self) -> Option<Datagram> {
        let (since, key) = self.order.pop_front()?;
        if self.datagrams.get(&key)?.since != since {
            return None;
        }
        let datagram = self.datagrams.remove(&key)?;
        self.held -= datagram.gathered.held();
        self.waiting -= datagram.waiting.len();
        for packet in &datagram.waiting {
            self.give_up(packet);
        }
        Some(datagram)
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
        ETHERNET, IPV4, IPV6, SYN_ACK, ethernet, first_fragment, ipv4, ipv6, last_fragment,
        payload, record, tcp, text, udp,
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
        assert_eq!(packets, told(&[(2, WHOLE), (1, WHOLE)]));
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
        assert_eq!(packets, told(&[(2, text), (1, text)]));
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

    /// So many bytes, no two neighbours the same.
    fn content(len: u8) -> Vec<u8> {
        (0..len).collect()
    }

    /// A datagram of IPv4 in two parts.
    fn in_two(protocol: u8, id: u16, datagram: &[u8]) -> [Vec<u8>; 2] {
        let (beginning, rest) = datagram.split_at(64);
        [
            first_fragment(protocol, id, beginning),
            last_fragment(protocol, id, rest),
        ]
        .map(|packet| ethernet(IPV4, &packet))
    }

    /// A part of an IPv6 datagram: its bytes, where they begin, and whether more follow.
    fn part_v6(next: u8, bytes: &[u8], offset: u8, more: u8) -> Vec<u8> {
        let header = [next, 0, 0, offset | more, 0, 0, 0, 9];
        ethernet(IPV6, &ipv6(44, &[&header, bytes].concat()))
    }

    /// The payloads that those who listen are given for these frames, none left out but empty ones.
    fn payloads(frames: &[Vec<u8>]) -> Vec<(Part, Vec<u8>)> {
        let mut decoder = Decoder::new();
        let mut given = Vec::new();
        for frame in frames {
            let mut out = Vec::new();
            let _ = decoder.decode(&record(ETHERNET, frame), frame, &mut out);
            given.extend(out.iter().map(|packet| {
                let bytes = match &packet.reassembled {
                    Some(whole) => whole,
                    None => payload(frame, packet),
                };
                (packet.part, bytes.to_vec())
            }));
        }
        given.retain(|(_, bytes)| !bytes.is_empty());
        given
    }

    #[test]
    fn the_fragment_that_comes_last_brings_all_of_the_datagram() {
        let whole = content(100);
        let frames = in_two(17, 1, &udp(1000, 53, &whole));
        let beginning = whole[..56].to_vec();
        let both = [(Part::First, beginning), (Part::Later, whole)];
        assert_eq!(payloads(&frames), both);
    }

    #[test]
    fn a_first_fragment_that_comes_last_brings_all_of_the_datagram_at_once() {
        let whole = content(100);
        let [first, last] = in_two(17, 1, &udp(1000, 53, &whole));
        assert_eq!(payloads(&[last, first]), [(Part::First, whole)]);
    }

    #[test]
    fn a_segment_is_given_again_from_its_own_sequence_number_on() {
        let whole = content(100);
        let frames = in_two(6, 1, &tcp(1000, 445, SYN_ACK, &whole));
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for frame in &frames {
            let _ = decoder.decode(&record(ETHERNET, frame), frame, &mut out);
        }
        let [beginning, all] = &out[..] else {
            panic!("two packets: {out:?}");
        };
        assert!(beginning.tcp.is_some());
        assert_eq!(beginning.tcp, all.tcp);
        // Not missing: a stream that was told of a gap would not wait for the rest.
        assert_eq!((beginning.payload.len, beginning.payload_missing), (44, 0));
        assert_eq!(all.reassembled.as_deref(), Some(&whole[..]));
        assert_eq!((all.part, all.wire_bytes), (Part::Later, 20 + 56));
    }

    #[test]
    fn an_ipv6_datagram_is_whole_without_its_extension_headers() {
        let whole = content(90);
        let options = [17, 0, 1, 4, 0, 0, 0, 0];
        let datagram = [&options[..], &udp(1000, 53, &whole)].concat();
        let parts = [
            part_v6(60, &datagram[..48], 0, 1),
            part_v6(60, &datagram[48..96], 48, 1),
            part_v6(60, &datagram[96..], 96, 0),
        ];
        let [a, b, c] = parts;
        let beginning = (Part::First, whole[..32].to_vec());
        let all = (Part::Later, whole.clone());
        let in_order = [a.clone(), b.clone(), c.clone()];
        assert_eq!(payloads(&in_order), [beginning, all]);
        assert_eq!(payloads(&[c, b, a]), [(Part::First, whole)]);
    }

    #[test]
    fn fragments_in_a_tunnel_are_put_together_apart_from_those_outside() {
        let whole = content(100);
        let datagram = udp(1000, 53, &whole);
        let inner = first_fragment(17, 1, &datagram[..64]);
        let [_, outer_last] = in_two(17, 1, &datagram);
        let inner_last = last_fragment(17, 1, &datagram[64..]);
        let in_ip = |packet: &[u8]| ethernet(IPV4, &ipv4(4, packet));
        let apart = [in_ip(&inner), outer_last];
        let is_whole = |given: Vec<(Part, Vec<u8>)>| given.iter().any(|(_, all)| *all == whole);
        assert!(!is_whole(payloads(&apart)));
        assert!(is_whole(payloads(&[in_ip(&inner), in_ip(&inner_last)])));
    }

    #[test]
    fn overlapping_bytes_are_the_first_in_ipv4_and_spoil_an_ipv6_datagram() {
        let whole = content(100);
        let datagram = udp(1000, 53, &whole);
        let [first, last] = in_two(17, 1, &datagram);
        let mut forged = ethernet(IPV4, &first_fragment(17, 1, &[0xee; 48]));
        forged[21] = 7;
        let mixed = [&whole[..56], &[0xee; 40], &whole[96..]].concat();
        let given = payloads(&[first, forged, last]);
        assert_eq!(given.last(), Some(&(Part::Later, mixed)));

        let overlapping = [
            part_v6(17, &datagram[..64], 0, 1),
            part_v6(17, &[0xee; 48], 56, 1),
            part_v6(17, &datagram[64..], 64, 0),
        ];
        assert_eq!(payloads(&overlapping).len(), 1);
    }

    #[test]
    fn a_datagram_that_is_never_whole_shows_its_beginning() {
        let whole = content(100);
        let [first, _] = in_two(17, 1, &udp(1000, 53, &whole));
        let beginning = (Part::First, whole[..56].to_vec());
        assert_eq!(payloads(&[first]), [beginning]);
    }

    #[test]
    fn another_beginning_with_the_same_identification_is_another_datagram() {
        let (one, other) = (vec![1; 100], vec![2; 100]);
        let [first, _] = in_two(17, 1, &udp(1000, 53, &one));
        let [again, last] = in_two(17, 1, &udp(1000, 53, &other));
        assert_eq!(payloads(&[first, again, last])[2].1, other);
    }

    #[test]
    fn a_beginning_that_comes_twice_does_not_lose_what_came_between() {
        let whole = content(200);
        let datagram = udp(1000, 53, &whole);
        let [first, mut middle] = in_two(17, 1, &datagram[..128]);
        middle[20] |= 0x20;
        let mut last = ethernet(IPV4, &last_fragment(17, 1, &datagram[128..]));
        last[21] = 16;
        let frames = [first.clone(), middle, first, last];
        assert_eq!(payloads(&frames)[2], (Part::Later, whole));
    }

    #[test]
    fn torn_anywhere_a_fragment_makes_the_datagram_whole_or_stays_a_part() {
        let whole = content(100);
        let frames = in_two(17, 1, &udp(1000, 53, &whole));
        for torn in 0..2 {
            for captured in 0..=frames[torn].len() {
                let mut decoder = Decoder::new();
                let mut out = Vec::new();
                for (at, frame) in frames.iter().enumerate() {
                    let captured = if at == torn { captured } else { frame.len() };
                    let mut record = record(ETHERNET, &frame[..captured]);
                    record.wire_len = frame.len() as u32;
                    let _ = decoder.decode(&record, &frame[..captured], &mut out);
                }
                let given: Vec<_> = out.iter().filter_map(|p| p.reassembled.clone()).collect();
                match captured == frames[torn].len() {
                    true => assert_eq!(*given[0], whole),
                    false => assert!(given.is_empty(), "{torn} {captured}"),
                }
            }
        }
    }

    #[test]
    fn more_bytes_than_the_bound_push_out_the_oldest() {
        const LEN: u16 = 65_000;
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        let datagram = udp(1000, 53, &[7; LEN as usize - 8]);
        let mut ids = 0..;
        while decoder.losses().datagrams_given_up == 0 {
            let frame = first_fragment(17, ids.next().expect("endless"), &datagram);
            let frame = ethernet(IPV4, &frame);
            let _ = decoder.decode(&record(ETHERNET, &frame), &frame, &mut out);
            assert!(decoder.fragments.held <= Fragments::MAX_HELD);
        }
        for id in [0, 1] {
            let mut end = ethernet(IPV4, &last_fragment(17, id, b"end"));
            end[20..22].copy_from_slice(&(LEN / 8).to_be_bytes());
            let _ = decoder.decode(&record(ETHERNET, &end), &end, &mut out);
            let whole = out.iter().filter(|packet| packet.reassembled.is_some());
            assert_eq!(whole.count(), usize::from(id));
        }
        assert_eq!(decoder.losses().datagrams_given_up, 1);
    }

    #[test]
    fn a_datagram_that_was_whole_is_not_given_up_when_it_is_forgotten() {
        let count = Fragments::MAX_DATAGRAMS as u16;
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for id in 0..=count {
            for frame in in_two(17, id, &udp(1000, 53, &[0; 100])) {
                let _ = decoder.decode(&record(ETHERNET, &frame), &frame, &mut out);
            }
        }
        assert_eq!(decoder.fragments.held, 0);
        assert_eq!(decoder.losses().datagrams_given_up, 0);
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
