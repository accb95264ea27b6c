//! The table by its behaviour: what becomes one flow, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::evidence::Direction;
use crate::model::five_tuple::{IpProtocol, Peer, Tunnel, TunnelKind};
use crate::model::packet::{CaptureId, Frame, Part, Span, TcpHeader};
use crate::model::time::Elapsed;

const SYN: u8 = TcpHeader::SYN;
const ACK: u8 = TcpHeader::ACK;
const FIN: u8 = TcpHeader::FIN;
const RST: u8 = TcpHeader::RST;

/// A wire with a table at its end; packets are numbered as they are sent.
struct Wire {
    table: FlowTable,
    places: Places,
    out: Outcome,
    number: u64,
}

fn peer(port: u16) -> Peer {
    let address = if port < 1024 {
        [192, 0, 2, 9]
    } else {
        [192, 0, 2, 1]
    };
    Peer {
        address: address.into(),
        port,
    }
}

fn seconds(count: u64) -> Timestamp {
    Timestamp::from_nanos(i128::from(count) * 1_000_000_000)
}

/// Some packet.
pub(in crate::flow) fn packet() -> Packet {
    Wire::new(1).packet(0, IpProtocol::UDP, (5000, 53), None, 1)
}

impl Wire {
    fn new(flows: usize) -> Wire {
        let bounds = Bounds {
            flows,
            talks: flows,
            kept: 1 << 20,
            claims: 10_000,
        };
        let places = Places::default();
        Wire {
            table: FlowTable::new(places.clone(), bounds),
            places,
            out: Outcome::default(),
            number: 0,
        }
    }

    fn send(
        &mut self,
        at: u64,
        protocol: IpProtocol,
        ports: (u16, u16),
        tcp: Option<TcpHeader>,
        payload: &[u8],
    ) {
        let packet = self.packet(at, protocol, ports, tcp, payload.len() as u32);
        self.put(&packet, payload);
    }

    fn packet(
        &mut self,
        at: u64,
        protocol: IpProtocol,
        ports: (u16, u16),
        tcp: Option<TcpHeader>,
        len: u32,
    ) -> Packet {
        self.number += 1;
        Packet {
            time: seconds(at),
            frame: Frame {
                capture: CaptureId(0),
                number: self.number,
            },
            tuple: FiveTuple {
                source: peer(ports.0),
                destination: peer(ports.1),
                protocol,
            },
            wire_bytes: 40 + len,
            tcp,
            payload: Span {
                len,
                ..Span::default()
            },
            payload_missing: 0,
            reassembled: None,
            part: Part::Whole,
            ttl: 128,
            vlan: None,
            spi: None,
            gre_key: None,
            tunnel: None,
        }
    }

    fn expect(&self, packet: &Packet) -> Expected {
        Expected::new(self.places.of(&packet.tuple).tag)
    }

    fn put(&mut self, packet: &Packet, payload: &[u8]) {
        let expected = self.expect(packet);
        self.table.packet(packet, payload, &expected, &mut self.out);
    }

    fn udp(&mut self, at: u64, ports: (u16, u16)) {
        self.send(at, IpProtocol::UDP, ports, None, b"?");
    }

    fn tcp(&mut self, at: u64, ports: (u16, u16), flags: u8, sequence: u32) {
        let header = TcpHeader {
            sequence,
            acknowledgement: 0,
            flags,
            answer: None,
        };
        self.send(at, IpProtocol::TCP, ports, Some(header), b"");
    }

    fn sweep(&mut self, at: u64) {
        self.table.sweep(seconds(at), &mut self.out);
    }

    fn finish(mut self) -> (Vec<EndedFlow>, GivenUp) {
        let mut left = self.table.finish(&mut self.out);
        left.sort_unstable();
        let left = left.into_iter().map(|(_, slot)| self.table.take(slot));
        self.out.ended.extend(left);
        (self.out.ended, self.table.given_up())
    }
}

#[test]
fn both_directions_are_one_flow_and_are_counted_apart() {
    let mut wire = Wire::new(10);
    wire.udp(0, (5000, 53));
    wire.udp(1, (53, 5000));
    wire.udp(2, (53, 5000));
    let (flows, _) = wire.finish();
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].packets, [1, 2]);
    assert_eq!(flows[0].bytes, [41, 82]);
    assert_eq!(
        flows[0].response[0],
        Some(Elapsed::new(Duration::from_secs(1)))
    );
}

#[test]
fn connections_that_have_ended_do_not_stand_in_line_for_as_long_as_one_may_be_silent() {
    let mut wire = Wire::new(10);
    for at in 0..20_000 {
        wire.tcp(at / 20, (5000, 135), SYN, 10);
        wire.tcp(at / 20, (135, 5000), SYN | ACK, 90);
        wire.tcp(at / 20, (5000, 135), ACK, 11);
        wire.tcp(at / 20, (135, 5000), RST, 91);
        wire.sweep(at / 20);
    }
    let most = 2 * QUEUE + 100;
    let lengths = wire.table.queues.each_ref().map(VecDeque::len);
    assert!(lengths.iter().all(|len| *len <= most), "{lengths:?}");
    assert!(wire.table.held().bytes < 200_000);
    assert_eq!(wire.out.ended.len(), 19_999);
}

#[test]
fn a_datagram_after_the_silence_begins_another_flow() {
    let mut wire = Wire::new(10);
    wire.udp(0, (5000, 53));
    wire.udp(60, (5000, 53));
    wire.udp(121, (5000, 53));
    let (flows, _) = wire.finish();
    let packets: Vec<u64> = flows.iter().map(|flow| flow.packets[0]).collect();
    assert_eq!(packets, [2, 1]);
    assert_eq!(flows[0].state, State::Idle);
}

#[test]
fn a_datagram_is_told_by_its_answer_which_is_that_of_the_last_question() {
    let heard = |said: &[(u16, u16, &[u8])]| {
        let mut wire = Wire::new(10);
        for &(from, to, payload) in said {
            wire.send(0, IpProtocol::UDP, (from, to), None, payload);
        }
        let (flows, _) = wire.finish();
        let mut claims = flows[0].evidence.iter().map(|evidence| &evidence.claim);
        claims.any(|claim| matches!(claim, Claim::Speaks(protocol) if protocol.name() == "echo"))
    };
    let (asks, other) = (
        (5000, 7, &b"some words"[..]),
        (5000, 7, &b"other words"[..]),
    );
    let (answers, also) = ((7, 5000, asks.2), (7, 5000, other.2));
    assert!(heard(&[asks, answers]));
    assert!(heard(&[asks, asks, answers]));
    assert!(heard(&[asks, other, also]));
    assert!(heard(&[asks, other, answers, asks, answers]));
    for no_echo in [&[asks, also][..], &[answers, asks], &[asks, asks], &[asks]] {
        assert!(!heard(no_echo));
    }
}

#[test]
fn a_sweep_ends_the_silent_and_leaves_the_others() {
    let mut wire = Wire::new(10);
    wire.udp(0, (5000, 53));
    wire.udp(0, (5001, 53));
    wire.udp(50, (5001, 53));
    wire.sweep(61);
    assert_eq!(wire.out.ended.len(), 1);
    assert_eq!(wire.out.ended[0].tuple.source.port, 5000);
    wire.sweep(111);
    assert_eq!(wire.out.ended.len(), 2);
}

#[test]
fn a_new_syn_begins_another_flow() {
    let mut wire = Wire::new(10);
    wire.tcp(0, (5000, 135), SYN, 10);
    wire.tcp(0, (135, 5000), SYN | ACK, 90);
    wire.tcp(1, (5000, 135), ACK, 11);
    wire.tcp(2, (5000, 135), SYN, 777);
    let (flows, _) = wire.finish();
    assert_eq!(flows.len(), 2);
    assert_eq!(flows[0].packets, [2, 1]);
    assert_eq!(flows[1].state, State::Unanswered);
}

#[test]
fn a_closed_connection_keeps_its_stragglers_and_then_ends() {
    let mut wire = Wire::new(10);
    wire.tcp(0, (5000, 135), SYN, 10);
    wire.tcp(0, (135, 5000), SYN | ACK, 90);
    wire.tcp(40, (5000, 135), FIN | ACK, 11);
    wire.tcp(40, (135, 5000), FIN | ACK, 91);
    wire.tcp(41, (5000, 135), ACK, 12);
    wire.sweep(52);
    assert_eq!(wire.out.ended.len(), 1);
    assert_eq!(wire.out.ended[0].packets, [3, 2]);
    assert_eq!(wire.out.ended[0].state, State::Closed);
}

#[test]
fn the_one_who_answers_a_syn_is_the_server_whatever_came_first() {
    let mut wire = Wire::new(10);
    wire.tcp(0, (135, 5000), SYN | ACK, 90);
    wire.tcp(0, (135, 5000), RST, 91);
    let (flows, _) = wire.finish();
    assert_eq!(flows[0].client, Some(Direction::Reverse));
    assert_eq!(flows[0].state, State::Reset);
}

#[test]
fn at_the_bound_the_least_recently_heard_is_given_up_and_counted() {
    let mut wire = Wire::new(2);
    wire.udp(0, (5000, 53));
    wire.udp(1, (5001, 53));
    wire.udp(2, (5000, 53));
    wire.udp(3, (5002, 53));
    assert_eq!(wire.out.ended.len(), 1);
    assert_eq!(wire.out.ended[0].tuple.source.port, 5001);
    assert_eq!(wire.out.ended[0].state, State::Evicted);
    let (flows, given_up) = wire.finish();
    assert_eq!((flows.len(), given_up.flows), (3, 1));
}

#[test]
fn a_flow_in_a_tunnel_is_not_the_same_flow_outside() {
    let mut wire = Wire::new(10);
    wire.udp(0, (5000, 53));
    let tunnel = Tunnel {
        kind: TunnelKind::Gre,
        ends: (peer(1).address, peer(2000).address),
        key: None,
        within: None,
    };
    let packet = Packet {
        time: seconds(0),
        frame: Frame {
            capture: CaptureId(0),
            number: 9,
        },
        tuple: FiveTuple {
            source: peer(5000),
            destination: peer(53),
            protocol: IpProtocol::UDP,
        },
        wire_bytes: 28,
        tcp: None,
        payload: Span::default(),
        payload_missing: 0,
        reassembled: None,
        part: Part::Whole,
        ttl: 64,
        vlan: None,
        spi: None,
        gre_key: None,
        tunnel: Some(Arc::new(tunnel)),
    };
    wire.put(&packet, b"");
    assert_eq!(wire.finish().0.len(), 2);
}

#[test]
fn packets_expected_together_find_the_flows_that_begin_and_end_meanwhile() {
    let mut wire = Wire::new(1);
    let first_of_all = wire.packet(0, IpProtocol::UDP, (5000, 53), None, 1);
    let first = wire.packet(0, IpProtocol::UDP, (5000, 53), None, 1);
    let second = wire.packet(0, IpProtocol::UDP, (5000, 53), None, 1);
    let other = wire.packet(1, IpProtocol::UDP, (5001, 53), None, 1);
    let third = wire.packet(2, IpProtocol::UDP, (5000, 53), None, 1);
    let packets = [first, second, other, third];
    wire.put(&first_of_all, b"?");
    let mut expected: Vec<Expected> = (packets.iter()).map(|packet| wire.expect(packet)).collect();
    for expected in &mut expected {
        wire.table.touch_place(expected);
        wire.table.look_up(expected);
    }
    for (packet, expected) in packets.iter().zip(&expected) {
        wire.table.packet(packet, b"?", expected, &mut wire.out);
    }
    let counts = |flow: &EndedFlow| (flow.tuple.source.port, flow.packets[0]);
    let flows: Vec<_> = wire.finish().0.iter().map(counts).collect();
    assert_eq!(flows, [(5000, 3), (5001, 1), (5000, 1)]);
}

#[test]
fn a_connection_closed_by_both_sides_frees_its_place_among_those_that_are_followed() {
    let mut wire = Wire::new(10);
    wire.table.allowance.talks = 1;
    let header = |flags, sequence| TcpHeader {
        sequence,
        acknowledgement: 0,
        flags,
        answer: None,
    };
    for client in [5000, 5001] {
        wire.tcp(0, (client, 445), SYN, 10);
        let (data, end) = (header(ACK, 11), header(FIN | ACK, 12));
        wire.send(1, IpProtocol::TCP, (client, 445), Some(data), b"?");
        wire.send(1, IpProtocol::TCP, (445, client), Some(end), b"");
        assert_eq!(wire.table.allowance.talks, 0);
        wire.send(2, IpProtocol::TCP, (client, 445), Some(end), b"");
        assert_eq!(wire.table.allowance.talks, 1);
    }
    assert_eq!(wire.finish().1, GivenUp::default());
}

#[test]
fn a_connection_with_a_hole_is_followed_beyond_its_close() {
    let mut wire = Wire::new(10);
    let header = |flags, sequence| TcpHeader {
        sequence,
        acknowledgement: 0,
        flags,
        answer: None,
    };
    wire.tcp(0, (5000, 445), SYN, 10);
    let (late, end) = (header(ACK, 13), header(FIN | ACK, 14));
    wire.send(1, IpProtocol::TCP, (5000, 445), Some(late), b"?");
    wire.send(1, IpProtocol::TCP, (445, 5000), Some(end), b"");
    wire.send(2, IpProtocol::TCP, (5000, 445), Some(end), b"");
    assert!(wire.table.allowance.kept > 0, "it is still followed");
}

#[test]
fn what_flows_take_is_counted_while_they_go_on() {
    let mut wire = Wire::new(1000);
    for client in 0..200 {
        wire.udp(0, (5000 + client, 53));
    }
    let held = wire.table.held();
    assert_eq!(held.flows, 200);
    let each = held.bytes / held.flows;
    assert!((300..2000).contains(&each), "{each}");
    wire.sweep(1000);
    assert_eq!(wire.table.held().flows, 0);
}
