//! Answers of the endpoint mapper, each followed by a flow to the port that it named.

use std::io::{self, Write};

use super::Size;
use super::chance::Chance;
use super::frame::{ACK, FIN, PUSH, SYN, Side, tcp};
use super::pcap::Pcap;

/// The interfaces asked for: drsuapi, samr, netlogon, lsarpc, dnsserver, spoolss, svcctl, winreg,
/// atsvc and DCOM's own. UUID as on the wire in little endian, and major version.
const INTERFACES: &[([u8; 16], u16)] = &[
    (uuid(0xe351_4235, 0x4b06, 0x11d1, 0xab04_00c0_4fc2_dcd2), 4),
    (uuid(0x1234_5778, 0x1234, 0xabcd, 0xef00_0123_4567_89ac), 1),
    (uuid(0x1234_5678, 0x1234, 0xabcd, 0xef00_0123_4567_cffb), 1),
    (uuid(0x1234_5778, 0x1234, 0xabcd, 0xef00_0123_4567_89ab), 0),
    (uuid(0x50ab_c2a4, 0x574d, 0x40b3, 0x9d66_ee4f_d5fb_a076), 5),
    (uuid(0x1234_5678, 0x1234, 0xabcd, 0xef00_0123_4567_89ab), 1),
    (uuid(0x367a_bb81, 0x9844, 0x35f1, 0xad32_98f0_3800_1003), 2),
    (uuid(0x338c_d001, 0x2244, 0x31f1, 0xaaaa_9000_3800_1003), 1),
    (uuid(0x1ff7_0682, 0x0a51, 0x30e8, 0x076d_740b_e8ce_e98b), 1),
    (uuid(0x0000_0143, 0x0000, 0x0000, 0xc000_0000_0000_0046), 0),
];

/// The endpoint mapper's interface, version 3, and NDR, version 2 (C706 appendices O and I).
const MAPPER: [u8; 16] = uuid(0xe1af_8308, 0x5d1f, 0x11c9, 0x91a4_0800_2b14_a0fa);
const NDR: [u8; 16] = uuid(0x8a88_5d04, 0x1ceb, 0x11c9, 0x9fe8_0800_2b10_4860);

const fn uuid(low: u32, mid: u16, high: u16, rest: u64) -> [u8; 16] {
    let (low, mid, high) = (low.to_le_bytes(), mid.to_le_bytes(), high.to_le_bytes());
    let rest = rest.to_be_bytes();
    [
        low[0], low[1], low[2], low[3], mid[0], mid[1], high[0], high[1], rest[0], rest[1],
        rest[2], rest[3], rest[4], rest[5], rest[6], rest[7],
    ]
}

/// Servers, each of which has every interface at a port of its own.
const SERVERS: u32 = 2000;

/// Where the assigned ports begin.
const ASSIGNED: u16 = 49_664;

/// Exchanges that go on at a time, so that their packets are mixed.
const AT_A_TIME: usize = 64;

/// Microseconds between packets.
const STEP: u64 = 2;

/// Writes exchanges, half as many as there are to be flows.
pub fn write(out: &mut dyn Write, size: Size) -> io::Result<u64> {
    let mut pcap = Pcap::begin(out)?;
    let exchanges = size.flows / 2;
    let (mut begun, mut going) = (0, Vec::new());
    let mut frame = Vec::new();
    while begun < exchanges || !going.is_empty() {
        while begun < exchanges && going.len() < AT_A_TIME {
            going.push(Exchange::begin(begun));
            begun += 1;
        }
        going.retain_mut(|exchange: &mut Exchange| {
            exchange.next(&mut frame, |frame| {
                let at = pcap.packets() * STEP;
                pcap.record(at, frame, frame.len())
                    .map_err(|error| eprintln!("{error}"))
                    .is_ok()
            })
        });
    }
    Ok(pcap.packets())
}

/// A client that asks for an interface and goes where it is sent.
struct Exchange {
    connections: [Connection; 2],
    /// Every message: in which connection, by which side.
    steps: &'static [(usize, usize, Step)],
    interface: ([u8; 16], u16),
    assigned: Side,
}

struct Connection {
    sides: [Side; 2],
    sent: [u32; 2],
}

#[derive(Clone, Copy)]
enum Step {
    Flags(u8),
    Bind,
    Accept,
    Ask,
    Answer,
    BindTo,
    AcceptFor,
    Call,
}

/// The flow that follows is seen from its start and binds.
const WITH_BIND: &[(usize, usize, Step)] = &[
    (0, 0, Step::Flags(SYN)),
    (0, 1, Step::Flags(SYN | ACK)),
    (0, 0, Step::Flags(ACK)),
    (0, 0, Step::Bind),
    (0, 1, Step::Accept),
    (0, 0, Step::Ask),
    (0, 1, Step::Answer),
    (1, 0, Step::Flags(SYN)),
    (1, 1, Step::Flags(SYN | ACK)),
    (1, 0, Step::Flags(ACK)),
    (0, 0, Step::Flags(FIN | ACK)),
    (0, 1, Step::Flags(FIN | ACK)),
    (1, 0, Step::BindTo),
    (1, 1, Step::AcceptFor),
    (1, 0, Step::Call),
];

/// The flow that follows was open before: only a call of it is seen.
const MIDSTREAM: &[(usize, usize, Step)] = &[
    (0, 0, Step::Flags(SYN)),
    (0, 1, Step::Flags(SYN | ACK)),
    (0, 0, Step::Flags(ACK)),
    (0, 0, Step::Bind),
    (0, 1, Step::Accept),
    (0, 0, Step::Ask),
    (0, 1, Step::Answer),
    (0, 0, Step::Flags(FIN | ACK)),
    (0, 1, Step::Flags(FIN | ACK)),
    (1, 0, Step::Call),
    (1, 1, Step::Flags(ACK)),
    (1, 0, Step::Call),
    (1, 1, Step::Flags(ACK)),
    (1, 0, Step::Call),
    (1, 1, Step::Flags(ACK)),
];

impl Exchange {
    fn begin(which: u32) -> Exchange {
        let mut chance = Chance::new(u64::from(which) << 1);
        let number = chance.below(INTERFACES.len() as u32) as u16;
        let server = 0x0a00_0000 | chance.below(SERVERS);
        let client = 0xac10_0000 | (which % 0xf_ffff);
        let port = 49_152 + (which / 0xf_ffff * 2) as u16;
        let assigned = (server, ASSIGNED + number);
        let connection = |port, to| Connection {
            sides: [(client, port), to],
            sent: [100, 900],
        };
        Exchange {
            connections: [
                connection(port, (server, 135)),
                connection(port + 1, assigned),
            ],
            steps: [WITH_BIND, MIDSTREAM][which as usize % 2],
            interface: INTERFACES[number as usize],
            assigned,
        }
    }

    /// Writes its next packet; whether there are more.
    fn next(&mut self, frame: &mut Vec<u8>, write: impl FnOnce(&[u8]) -> bool) -> bool {
        let Some((&(which, from, step), rest)) = self.steps.split_first() else {
            return false;
        };
        self.steps = rest;
        let (interface, version) = self.interface;
        let (flags, payload) = match step {
            Step::Flags(flags) => (flags, Vec::new()),
            Step::Bind => (PUSH | ACK, bind(MAPPER, 3)),
            Step::BindTo => (PUSH | ACK, bind(interface, version)),
            Step::Accept | Step::AcceptFor => (PUSH | ACK, accept()),
            Step::Ask => (PUSH | ACK, pdu(0, &ask(interface, version))),
            Step::Answer => (
                PUSH | ACK,
                pdu(2, &answer(interface, version, self.assigned)),
            ),
            Step::Call => (PUSH | ACK, pdu(0, &call())),
        };
        let connection = &mut self.connections[which];
        let numbers = (connection.sent[from], connection.sent[1 - from]);
        connection.sent[from] += payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        let (one, other) = (connection.sides[from], connection.sides[1 - from]);
        tcp(frame, one, other, numbers, flags, &payload);
        write(frame) && !rest.is_empty()
    }
}

/// C706 12.6.3.1: the header that every PDU has, before its body.
fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (16 + body.len()) as u16;
    let mut pdu = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    pdu.extend_from_slice(&length.to_le_bytes());
    pdu.extend_from_slice(&[0, 0, 1, 0, 0, 0]);
    pdu.extend_from_slice(body);
    pdu
}

/// C706 12.6.4.3: one presentation context.
fn bind(interface: [u8; 16], version: u16) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend_from_slice(&interface);
    body.extend_from_slice(&u32::from(version).to_le_bytes());
    body.extend_from_slice(&NDR);
    body.extend_from_slice(&2_u32.to_le_bytes());
    pdu(11, &body)
}

/// C706 12.6.4.4: it is accepted.
fn accept() -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0, 4, 0];
    body.extend_from_slice(b"135\0\0\0");
    body.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    body.extend_from_slice(&NDR);
    body.extend_from_slice(&2_u32.to_le_bytes());
    pdu(12, &body)
}

/// `ept_map` (C706 appendix O): where is this interface over TCP?
fn ask(interface: [u8; 16], version: u16) -> Vec<u8> {
    let tower = tower(interface, version, (0, 0));
    let mut body = vec![0, 0, 0, 0, 0, 0, 3, 0];
    body.extend_from_slice(&[1, 0, 0, 0]);
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&[2, 0, 0, 0]);
    counted(&mut body, &tower);
    body.extend_from_slice(&[0; 20]);
    body.extend_from_slice(&1_u32.to_le_bytes());
    body
}

/// The answer: one tower.
fn answer(interface: [u8; 16], version: u16, at: Side) -> Vec<u8> {
    let tower = tower(interface, version, at);
    let mut body = vec![0; 8];
    body.extend_from_slice(&[0; 20]);
    // How many, how many there may be, from where, how many; a pointer.
    for number in [1_u32, 1, 0, 1, 3] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    counted(&mut body, &tower);
    body.extend_from_slice(&[0; 4]);
    body
}

/// A tower behind its lengths, padded to four bytes.
fn counted(body: &mut Vec<u8>, tower: &[u8]) {
    body.extend_from_slice(&(tower.len() as u32).to_le_bytes());
    body.extend_from_slice(&(tower.len() as u32).to_le_bytes());
    body.extend_from_slice(tower);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// C706 appendix L: interface, NDR, connection-oriented RPC, TCP, IP.
fn tower(interface: [u8; 16], version: u16, at: Side) -> Vec<u8> {
    let mut tower = vec![5, 0];
    for (uuid, version) in [(interface, version), (NDR, 2)] {
        tower.extend_from_slice(&[19, 0, 0x0d]);
        tower.extend_from_slice(&uuid);
        tower.extend_from_slice(&version.to_le_bytes());
        tower.extend_from_slice(&[2, 0, 0, 0]);
    }
    tower.extend_from_slice(&[1, 0, 0x0b, 2, 0, 0, 0]);
    tower.extend_from_slice(&[1, 0, 0x07, 2, 0]);
    tower.extend_from_slice(&at.1.to_be_bytes());
    tower.extend_from_slice(&[1, 0, 0x09, 4, 0]);
    tower.extend_from_slice(&at.0.to_be_bytes());
    tower
}

/// A call with arguments that nobody looks at.
fn call() -> Vec<u8> {
    let mut body = vec![32, 0, 0, 0, 0, 0, 5, 0];
    body.extend_from_slice(&[0x5a; 32]);
    body
}
