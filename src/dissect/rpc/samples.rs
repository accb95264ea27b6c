//! PDUs, towers and answers for tests, built from words.

use crate::dissect::read::Order;
use crate::dissect::rpc::bind::Syntax;
use crate::model::evidence::{Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::uuid::{Interface, Uuid};

pub const EPM: Interface = Interface::new(
    Uuid::from_u128(0xe1af8308_5d1f_11c9_91a4_08002b14a0fa),
    3,
    0,
);
pub const SAMR: Interface = Interface::new(
    Uuid::from_u128(0x12345778_1234_abcd_ef00_0123456789ac),
    1,
    0,
);
pub const DRSUAPI: Interface = Interface::new(
    Uuid::from_u128(0xe3514235_4b06_11d1_ab04_00c04fc2dcd2),
    4,
    0,
);
const NDR: u128 = 0x8a885d04_1ceb_11c9_9fe8_08002b104860;
const NDR64: u128 = 0x71710533_beba_4937_8319_b5dbef9ccc36;
const FEATURES: u128 = 0x6cb71c2c_9812_4540_0300_000000000000;

pub const EPT_MAP: u16 = 3;

/// A line of a server's answer: the result, and the syntax that goes with it.
pub type Verdict = (u16, u128);
pub const ACCEPT: Verdict = (0, NDR);
pub const ACCEPT_NDR64: Verdict = (0, NDR64);
pub const REJECT: Verdict = (2, 0);
pub const NEGOTIATED: Verdict = (3, FEATURES);

/// Bytes that one side sent.
#[derive(Clone, Debug)]
pub struct Said {
    pub from: Direction,
    pub bytes: Vec<u8>,
}

pub fn said_by(from: Direction, bytes: &[u8]) -> Said {
    Said {
        from,
        bytes: bytes.to_vec(),
    }
}

/// Where a fragment stands in its PDU.
#[derive(Clone, Copy)]
pub enum Place {
    First = 1,
    Last = 2,
    Only = 3,
}

fn pdu(from: Direction, kind: u8, place: Place, call_id: u32, body: &[u8]) -> Said {
    let mut bytes = vec![5, 0, kind, place as u8, 0x10, 0, 0, 0];
    bytes.extend((16 + body.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(call_id.to_le_bytes());
    bytes.extend(body);
    Said { from, bytes }
}

/// A UUID as it is sent in this order.
pub fn wire(uuid: Uuid, order: Order) -> [u8; 16] {
    let printed: u128 = uuid.to_string().replace('-', "").parse_hex();
    match order {
        Order::Big => printed.to_be_bytes(),
        // Swapping is its own inverse.
        Order::Little => {
            let swapped = Uuid::from_wire_le(printed.to_be_bytes());
            let swapped: u128 = swapped.to_string().replace('-', "").parse_hex();
            swapped.to_be_bytes()
        }
    }
}

trait ParseHex {
    fn parse_hex(&self) -> u128;
}

impl ParseHex for String {
    fn parse_hex(&self) -> u128 {
        u128::from_str_radix(self, 16).expect("hex digits of a UUID")
    }
}

fn offer_body(contexts: &[(u16, Interface)]) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0];
    body.extend([contexts.len() as u8, 0, 0, 0]);
    for (id, interface) in contexts {
        body.extend(id.to_le_bytes());
        body.extend([1, 0]);
        body.extend(wire(interface.uuid, Order::Little));
        body.extend(interface.major.to_le_bytes());
        body.extend(interface.minor.to_le_bytes());
        body.extend(wire(Uuid::from_u128(NDR), Order::Little));
        body.extend([2, 0, 0, 0]);
    }
    body
}

fn answer_body(address: &[u8], results: &[Verdict]) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 2, 3, 4];
    body.extend((address.len() as u16).to_le_bytes());
    body.extend(address);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([results.len() as u8, 0, 0, 0]);
    for (result, syntax) in results {
        body.extend(result.to_le_bytes());
        body.extend([0, 0]);
        body.extend(wire(Uuid::from_u128(*syntax), Order::Little));
        body.extend([2, 0, 0, 0]);
    }
    body
}

pub fn bind(call_id: u32, contexts: &[(u16, Interface)]) -> Said {
    let body = offer_body(contexts);
    pdu(Direction::Forward, 11, Place::Only, call_id, &body)
}

pub fn alter_context(call_id: u32, contexts: &[(u16, Interface)]) -> Said {
    let body = offer_body(contexts);
    pdu(Direction::Forward, 14, Place::Only, call_id, &body)
}

pub fn bind_ack(call_id: u32, results: &[Verdict]) -> Said {
    bind_ack_from(call_id, b"49154\0", results)
}

pub fn bind_ack_from(call_id: u32, address: &[u8], results: &[Verdict]) -> Said {
    let body = answer_body(address, results);
    pdu(Direction::Reverse, 12, Place::Only, call_id, &body)
}

pub fn alter_context_resp(call_id: u32, results: &[Verdict]) -> Said {
    let body = answer_body(b"", results);
    pdu(Direction::Reverse, 15, Place::Only, call_id, &body)
}

pub fn bind_nak(call_id: u32) -> Said {
    pdu(Direction::Reverse, 13, Place::Only, call_id, &[0; 8])
}

fn call_body(context: u16, last_word: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend(context.to_le_bytes());
    body.extend(last_word.to_le_bytes());
    body.extend(stub);
    body
}

pub fn request(call_id: u32, context: u16, opnum: u16, stub: &[u8]) -> Said {
    let body = call_body(context, opnum, stub);
    pdu(Direction::Forward, 0, Place::Only, call_id, &body)
}

pub fn response(call_id: u32, context: u16, stub: &[u8]) -> Said {
    fragment(call_id, context, stub, Place::Only)
}

pub fn fragment(call_id: u32, context: u16, stub: &[u8], place: Place) -> Said {
    let body = call_body(context, 0, stub);
    pdu(Direction::Reverse, 2, place, call_id, &body)
}

/// A tower of these floors: left and right side.
pub fn tower(floors: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut octets = (floors.len() as u16).to_le_bytes().to_vec();
    for (left, right) in floors {
        for side in [left, right] {
            octets.extend((side.len() as u16).to_le_bytes());
            octets.extend(side);
        }
    }
    octets
}

fn identifier(uuid: Uuid, major: u16, minor: u16) -> (Vec<u8>, Vec<u8>) {
    let mut left = vec![0x0d];
    left.extend(wire(uuid, Order::Little));
    left.extend(major.to_le_bytes());
    (left, minor.to_le_bytes().to_vec())
}

/// A tower for `interface` with these floors below the RPC protocol.
pub fn tower_of(interface: Interface, lower: &[(u8, &[u8])]) -> Vec<u8> {
    let mut floors = vec![
        identifier(interface.uuid, interface.major, interface.minor),
        identifier(Uuid::from_u128(NDR), 2, 0),
        (vec![0x0b], vec![0, 0]),
    ];
    floors.extend(lower.iter().map(|(id, value)| (vec![*id], value.to_vec())));
    tower(&floors)
}

pub fn tcp_tower(interface: Interface, port: u16, address: [u8; 4]) -> Vec<u8> {
    tower_of(interface, &[(0x07, &port.to_be_bytes()), (0x09, &address)])
}

pub fn mapped(interface: Interface, at: Endpoint) -> Claim {
    Claim::Mapped {
        interface,
        at,
        annotation: String::new(),
    }
}

pub fn mapped_tcp(interface: Interface, port: u16, address: [u8; 4]) -> Claim {
    mapped(interface, port_at(IpProtocol::TCP, port, address))
}

pub fn port_at(protocol: IpProtocol, port: u16, address: [u8; 4]) -> Endpoint {
    Endpoint::Port {
        address: Some(address.into()),
        protocol,
        port,
    }
}

/// A stub written in one syntax and one byte order.
pub struct Stub {
    pub bytes: Vec<u8>,
    syntax: Syntax,
    order: Order,
}

impl Stub {
    pub fn new(syntax: Syntax, order: Order) -> Stub {
        Stub {
            bytes: Vec::new(),
            syntax,
            order,
        }
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend(match self.order {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        });
    }

    pub fn word(&mut self, value: u32) {
        if self.syntax == Syntax::Ndr {
            return self.u32(value);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.extend(match self.order {
            Order::Big => u64::from(value).to_be_bytes(),
            Order::Little => u64::from(value).to_le_bytes(),
        });
    }

    fn opening(&mut self, most: u32, count: u32) {
        self.u32(0);
        self.bytes.extend([0xab; 16]);
        self.u32(count);
        self.word(most);
        self.word(0);
        self.word(count);
    }

    fn towers(&mut self, towers: &[Vec<u8>]) {
        for tower in towers {
            self.word(tower.len() as u32);
            self.u32(tower.len() as u32);
            self.bytes.extend(tower);
        }
    }
}

/// The stub of an `ept_map` answer.
pub fn map_answer(towers: &[Vec<u8>], syntax: Syntax) -> Vec<u8> {
    map_answer_in(Order::Little, towers, syntax)
}

pub fn map_answer_in(order: Order, towers: &[Vec<u8>], syntax: Syntax) -> Vec<u8> {
    let mut stub = Stub::new(syntax, order);
    stub.opening(4, towers.len() as u32);
    for place in 0..towers.len() as u32 {
        stub.word(place + 3);
    }
    stub.towers(towers);
    stub.u32(if towers.is_empty() { 0x16c9a0d6 } else { 0 });
    stub.bytes
}

/// The stub of an `ept_lookup` answer: towers with their annotations.
pub fn lookup_answer(entries: &[(Vec<u8>, &str)], syntax: Syntax) -> Vec<u8> {
    let mut stub = Stub::new(syntax, Order::Little);
    stub.opening(500, entries.len() as u32);
    for (place, (_, annotation)) in entries.iter().enumerate() {
        let size = if syntax == Syntax::Ndr { 4 } else { 8 };
        stub.bytes
            .resize(stub.bytes.len().next_multiple_of(size), 0);
        stub.bytes.extend([0; 16]);
        stub.word(place as u32 + 3);
        stub.word(0);
        stub.word(annotation.len() as u32 + 1);
        stub.bytes.extend(annotation.bytes());
        stub.bytes.push(0);
    }
    let towers: Vec<_> = entries.iter().map(|(tower, _)| tower.clone()).collect();
    stub.towers(&towers);
    stub.u32(0);
    stub.bytes
}
