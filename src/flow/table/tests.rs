//! The table by its behaviour: what becomes one flow, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::evidence::Direction;
use crate::model::five_tuple::{Peer, Tunnel, TunnelKind};
use crate::model::packet::{CaptureId, Frame, Part, Span};

const SYN: u8 = TcpHeader::SYN;
const ACK: u8 = TcpHeader::ACK;
const FIN: u8 = TcpHeader::FIN;
const RST: u8 = TcpHeader::RST;

/// A wire with a table at its end; packets are numbered as they are sent.
struct Wire {
    table: FlowTable,
    ended: Vec<EndedFlow>,
    findings: Vec<Finding>,
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

impl Wire {
    fn new(flows: usize) -> Wire {
        let bounds = Bounds {
            flows,
            talks: flows,
            waiting: 1 << 20,
        };
        Wire {
            table: FlowTable::new(bounds),
            ended: Vec::new(),
            findings: Vec::new(),
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
        self.number += 1;
        let packet = Packet {
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
            wire_bytes: 40 + payload.len() as u32,
            tcp,
            payload: Span {
                len: payload.len() as u32,
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
        };
        let Wire {
            table,
            ended,
            findings,
            ..
        } = self;
        table.packet(&packet, payload, ended, findings);
    }

    fn udp(&mut self, at: u64, ports: (u16, u16)) {
        self.send(at, IpProtocol::UDP, ports, None, b"?");
    }

    fn tcp(&mut self, at: u64, ports: (u16, u16), flags: u8, sequence: u32) {
        let header = TcpHeader {
            sequence,
            acknowledgement: 0,
            flags,
        };
        self.send(at, IpProtocol::TCP, ports, Some(header), b"");
    }

    fn sweep(&mut self, at: u64) {
        let Wire {
            table,
            ended,
            findings,
            ..
        } = self;
        table.sweep(seconds(at), ended, findings);
    }

    fn finish(mut self) -> (Vec<EndedFlow>, GivenUp) {
        let Wire {
            table,
            ended,
            findings,
            ..
        } = &mut self;
        table.finish(ended, findings);
        (self.ended, self.table.given_up())
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
    assert_eq!(flows[0].response[0], Some(Duration::from_secs(1)));
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
fn a_sweep_ends_the_silent_and_leaves_the_others() {
    let mut wire = Wire::new(10);
    wire.udp(0, (5000, 53));
    wire.udp(0, (5001, 53));
    wire.udp(50, (5001, 53));
    wire.sweep(61);
    assert_eq!(wire.ended.len(), 1);
    assert_eq!(wire.ended[0].tuple.source.port, 5000);
    wire.sweep(111);
    assert_eq!(wire.ended.len(), 2);
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
    assert_eq!(wire.ended.len(), 1);
    assert_eq!(wire.ended[0].packets, [3, 2]);
    assert_eq!(wire.ended[0].state, State::Closed);
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
    assert_eq!(wire.ended.len(), 1);
    assert_eq!(wire.ended[0].tuple.source.port, 5001);
    assert_eq!(wire.ended[0].state, State::Evicted);
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
    let Wire {
        table,
        ended,
        findings,
        ..
    } = &mut wire;
    table.packet(&packet, b"", ended, findings);
    assert_eq!(wire.finish().0.len(), 2);
}
