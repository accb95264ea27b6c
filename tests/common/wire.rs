//! Captures made up: frames of IPv4 on Ethernet, connections, and RPC's PDUs (C706 12.6, appendix L).

use std::io::Write;
use std::net::Ipv4Addr;

/// An address with a port.
pub type Peer = (Ipv4Addr, u16);

/// The address 10.A.B.C.
pub fn ten(a: u8, b: u8, c: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, a, b, c)
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;

/// Writes frames as a pcap file with times in nanoseconds.
pub struct Tape<W: Write> {
    out: W,
    /// Of the next frame.
    pub nanos: u64,
    /// Between frames.
    pub step: u64,
}

/// When tapes begin, in seconds.
const BEGIN: u64 = 1_600_000_000;

impl<W: Write> Tape<W> {
    pub fn new(mut out: W) -> Tape<W> {
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            // Whoever reads may have seen enough: that is for the test to judge.
            let _ = out.write_all(&word.to_le_bytes());
        }
        Tape {
            out,
            nanos: BEGIN * 1_000_000_000,
            step: 1000,
        }
    }

    pub fn frame(&mut self, frame: &[u8]) {
        self.nanos += self.step;
        let (second, nano) = (self.nanos / 1_000_000_000, self.nanos % 1_000_000_000);
        let len = frame.len() as u32;
        let mut head = [0; 16];
        for (place, word) in head
            .chunks_mut(4)
            .zip([second as u32, nano as u32, len, len])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let _ = self.out.write_all(&head);
        let _ = self.out.write_all(frame);
    }

    pub fn udp(&mut self, from: Peer, to: Peer, payload: &[u8]) {
        self.frame(&ethernet(&ipv4(
            17,
            from.0,
            to.0,
            &udp(from.1, to.1, payload),
        )));
    }

    pub fn tcp(&mut self, from: Peer, to: Peer, flags: u8, numbers: (u32, u32), payload: &[u8]) {
        let segment = tcp(from.1, to.1, flags, numbers, payload);
        self.frame(&ethernet(&ipv4(6, from.0, to.0, &segment)));
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    pub fn flush(&mut self) {
        let _ = self.out.flush();
    }
}

/// Bytes before the first record of a pcap file, and before the frame of each.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// The frames of a pcap file that a test made.
pub fn frames(capture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = FILE_HEADER;
    std::iter::from_fn(move || {
        let len = capture
            .get(at + 8..at + 12)?
            .try_into()
            .expect("four bytes");
        let start = at + RECORD_HEADER;
        at = start + u32::from_le_bytes(len) as usize;
        Some(&capture[start..at])
    })
}

pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend(packet);
    frame
}

pub fn ipv4(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    fragment(protocol, (from, to), (0, 0), payload)
}

/// A fragment: its identification, and its offset in units of eight bytes with the flags.
pub fn fragment(
    protocol: u8,
    (from, to): (Ipv4Addr, Ipv4Addr),
    (id, offset): (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(offset.to_be_bytes());
    packet.extend([128, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for word in [from, to, 8 + payload.len() as u16, 0] {
        datagram.extend(word.to_be_bytes());
    }
    datagram.extend(payload);
    datagram
}

pub fn tcp(from: u16, to: u16, flags: u8, numbers: (u32, u32), payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.to_be_bytes());
    segment.extend(to.to_be_bytes());
    segment.extend(numbers.0.to_be_bytes());
    segment.extend(numbers.1.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

/// A TCP connection that was seen from its handshake on.
#[derive(Clone, Copy)]
pub struct Connection {
    pub client: Peer,
    pub server: Peer,
    sent: [u32; 2],
}

/// The longest segment of a connection.
const SEGMENT: usize = 1400;

impl Connection {
    /// One whose handshake was not captured.
    pub fn without_handshake(client: Peer, server: Peer) -> Connection {
        Connection {
            client,
            server,
            sent: [1001, 5001],
        }
    }

    pub fn open(tape: &mut Tape<impl Write>, client: Peer, server: Peer) -> Connection {
        tape.tcp(client, server, SYN, (1000, 0), &[]);
        tape.tcp(server, client, SYN | ACK, (5000, 1001), &[]);
        tape.tcp(client, server, ACK, (1001, 5001), &[]);
        Connection::without_handshake(client, server)
    }

    pub fn ask(&mut self, tape: &mut Tape<impl Write>, bytes: &[u8]) {
        self.say(tape, 0, bytes);
    }

    pub fn answer(&mut self, tape: &mut Tape<impl Write>, bytes: &[u8]) {
        self.say(tape, 1, bytes);
    }

    /// Goes on with what the server would say after so many bytes more, as if they were lost.
    pub fn skip_answer(&mut self, bytes: u32) {
        self.sent[1] = self.sent[1].wrapping_add(bytes);
    }

    fn say(&mut self, tape: &mut Tape<impl Write>, side: usize, bytes: &[u8]) {
        let (from, to) = match side {
            0 => (self.client, self.server),
            _ => (self.server, self.client),
        };
        for part in bytes.chunks(SEGMENT) {
            let numbers = (self.sent[side], self.sent[1 - side]);
            tape.tcp(from, to, ACK, numbers, part);
            self.sent[side] = self.sent[side].wrapping_add(part.len() as u32);
        }
    }

    pub fn close(self, tape: &mut Tape<impl Write>) {
        let [client, server] = self.sent;
        tape.tcp(self.client, self.server, FIN | ACK, (client, server), &[]);
        tape.tcp(
            self.server,
            self.client,
            FIN | ACK,
            (server, client + 1),
            &[],
        );
    }
}

/// An RPC interface: its UUID as a number, and its version.
pub type Interface = (u128, u16);

pub const EPM: Interface = (0xe1af8308_5d1f_11c9_91a4_08002b14a0fa, 3);
pub const SAMR: Interface = (0x12345778_1234_abcd_ef00_0123456789ac, 1);
pub const DNSSERVER: Interface = (0x50abc2a4_574d_40b3_9d66_ee4fd5fba076, 5);
const NDR: Interface = (0x8a885d04_1ceb_11c9_9fe8_08002b104860, 2);

/// A UUID as the wire has it: its first three fields with the lower byte first.
pub fn uuid(number: u128) -> [u8; 16] {
    let mut bytes = number.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

fn syntax((number, version): Interface) -> Vec<u8> {
    [&uuid(number)[..], &u32::from(version).to_le_bytes()].concat()
}

/// A PDU of this kind, with flags for the first and the last fragment.
pub fn pdu(kind: u8, flags: u8, call: u32, body: &[u8]) -> Vec<u8> {
    let mut pdu = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    pdu.extend((16 + body.len() as u16).to_le_bytes());
    pdu.extend([0, 0]);
    pdu.extend(call.to_le_bytes());
    pdu.extend(body);
    pdu
}

const WHOLE: u8 = 3;

pub fn bind(call: u32, interface: Interface) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(syntax(interface));
    body.extend(syntax(NDR));
    pdu(11, WHOLE, call, &body)
}

pub fn bind_ack(call: u32) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0];
    // No secondary address, then one result: accepted.
    body.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(syntax(NDR));
    pdu(12, WHOLE, call, &body)
}

pub fn request(call: u32, operation: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(operation.to_le_bytes());
    body.extend(stub);
    pdu(0, WHOLE, call, &body)
}

pub fn response(call: u32, stub: &[u8]) -> Vec<u8> {
    response_part(WHOLE, call, stub)
}

pub fn response_part(flags: u8, call: u32, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend([0; 4]);
    body.extend(stub);
    pdu(2, flags, call, &body)
}

/// The operation of the endpoint mapper that says where an interface listens.
pub const EPT_MAP: u16 = 3;

/// A tower: this interface over TCP at this address and port.
pub fn tower(interface: Interface, at: Peer) -> Vec<u8> {
    let identifier = |(number, version): Interface| {
        let mut left = vec![0x0d];
        left.extend(uuid(number));
        left.extend(version.to_le_bytes());
        (left, vec![0, 0])
    };
    let floors = [
        identifier(interface),
        identifier(NDR),
        (vec![0x0b], vec![0, 0]),
        (vec![0x07], at.1.to_be_bytes().to_vec()),
        (vec![0x09], at.0.octets().to_vec()),
    ];
    let mut tower = vec![floors.len() as u8, 0];
    for (left, right) in floors {
        for part in [left, right] {
            tower.extend((part.len() as u16).to_le_bytes());
            tower.extend(part);
        }
    }
    tower
}

/// The stub of an answer to `ept_map` with these towers.
pub fn mapped(towers: &[Vec<u8>]) -> Vec<u8> {
    let count = (towers.len() as u32).to_le_bytes();
    let mut stub = vec![0; 20];
    stub.extend(count);
    stub.extend(count);
    stub.extend([0; 4]);
    stub.extend(count);
    (1..=towers.len() as u32).for_each(|referent| stub.extend(referent.to_le_bytes()));
    for tower in towers {
        while !stub.len().is_multiple_of(4) {
            stub.push(0);
        }
        let len = (tower.len() as u32).to_le_bytes();
        stub.extend(len);
        stub.extend(len);
        stub.extend(tower);
    }
    while !stub.len().is_multiple_of(4) {
        stub.push(0);
    }
    stub.extend([0; 4]);
    stub
}

/// A whole conversation with the endpoint mapper of `server`, which says that `interface` is at `at`.
pub fn ask_mapper(
    tape: &mut Tape<impl Write>,
    client: Peer,
    server: Ipv4Addr,
    interface: Interface,
    at: &[Peer],
) {
    let mut talk = Connection::open(tape, client, (server, 135));
    talk.ask(tape, &bind(1, EPM));
    talk.answer(tape, &bind_ack(1));
    talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
    let towers: Vec<_> = at.iter().map(|at| tower(interface, *at)).collect();
    talk.answer(tape, &response(2, &mapped(&towers)));
    talk.close(tape);
}

/// A connection that says nothing that could be read: only what was learned elsewhere names it.
pub fn silent_talk(tape: &mut Tape<impl Write>, client: Peer, server: Peer) {
    let mut talk = Connection::open(tape, client, server);
    talk.ask(tape, &[0x9e; 64]);
    talk.answer(tape, &[0x9f; 64]);
    talk.close(tape);
}

/// A datagram of connectionless RPC (C706 12.5): its kind, the interface, the number of the call,
/// the operation, and what it carries, in one piece.
pub fn rpc_datagram(
    kind: u8,
    (number, version): Interface,
    sequence: u32,
    operation: u16,
    stub: &[u8],
) -> Vec<u8> {
    let mut datagram = vec![4, kind, 0x20, 0, 0x10, 0, 0, 0];
    datagram.extend([0; 16]);
    datagram.extend(uuid(number));
    datagram.extend([0x77; 16]);
    for word in [0, u32::from(version), sequence] {
        datagram.extend(word.to_le_bytes());
    }
    for half in [operation, 0xffff, 0xffff, stub.len() as u16, 0, 0] {
        datagram.extend(half.to_le_bytes());
    }
    datagram.extend(stub);
    datagram
}
