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

/// The same with an authentication value at its end (C706 13.2.6.1).
pub fn with_authentication(said: Said, value: &[u8]) -> Said {
    let mut bytes = [&said.bytes[..], &[10, 2, 0, 0, 0, 0, 0, 0], value].concat();
    let lens = [bytes.len() as u16, value.len() as u16];
    bytes[8..12].copy_from_slice(&lens.map(u16::to_le_bytes).concat());
    Said { bytes, ..said }
}

/// The third leg of an authentication (MS-RPCE 2.2.2.5).
pub fn auth3(call_id: u32) -> Said {
    pdu(Direction::Forward, 16, Place::Only, call_id, &[0; 4])
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

pub fn request_fragment(call_id: u32, context: u16, opnum: u16, stub: &[u8], place: Place) -> Said {
    let body = call_body(context, opnum, stub);
    pdu(Direction::Forward, 0, place, call_id, &body)
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
        at: Box::new(at),
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

    pub fn u16(&mut self, value: u16) {
        self.bytes.extend(match self.order {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        });
    }

    pub fn uuid(&mut self, uuid: Uuid) {
        self.bytes.extend(wire(uuid, self.order));
    }

    pub fn zeros(&mut self, len: usize) {
        self.bytes.extend(vec![0; len]);
    }

    pub fn align(&mut self, size: usize) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(size), 0);
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

/// A conformant DUALSTRINGARRAY of these string bindings and one security binding.
pub fn dual_strings(bindings: &[(u16, &str)]) -> Vec<u8> {
    dual_strings_in(Order::Little, bindings)
}

pub fn dual_strings_in(order: Order, bindings: &[(u16, &str)]) -> Vec<u8> {
    let mut units = Vec::new();
    for (tower, address) in bindings {
        units.push(*tower);
        units.extend(address.encode_utf16());
        units.push(0);
    }
    units.push(0);
    if bindings.is_empty() {
        units.push(0);
    }
    let security = units.len();
    units.extend([10, 0xffff, 0, 0]);
    let mut array = Stub::new(Syntax::Ndr, order);
    array.u32(units.len() as u32);
    array.u16(units.len() as u16);
    array.u16(security as u16);
    for unit in units {
        array.u16(unit);
    }
    array.bytes
}

/// A UUID of COM's own.
pub const fn com(number: u128) -> Uuid {
    Uuid::from_u128((number << 96) | 0xc000_000000000046)
}

/// Bytes behind the headers of type serialization version 1.
fn serialized(object: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc];
    let len = object.len().next_multiple_of(8);
    bytes.extend((len as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(object);
    bytes.resize(16 + len, 0);
    bytes
}

/// An MInterfacePointer with an OBJREF_CUSTOM, marshalled by this interface and class, of these
/// properties.
fn properties(interface: Uuid, class: Uuid, list: &[(Uuid, Vec<u8>)]) -> Vec<u8> {
    let list: Vec<_> = (list.iter())
        .map(|(id, object)| (*id, serialized(object)))
        .collect();
    let mut header = Stub::new(Syntax::Ndr, Order::Little);
    let header_len = 16 + (48 + 4 + 20 * list.len() + 4usize).next_multiple_of(8) as u32;
    let total = header_len as usize + list.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    for word in [total as u32, header_len, 0, 2, list.len() as u32] {
        header.u32(word);
    }
    header.zeros(16);
    for word in [0x20000, 0x20004, 0, list.len() as u32] {
        header.u32(word);
    }
    for (id, _) in &list {
        header.uuid(*id);
    }
    header.u32(list.len() as u32);
    for (_, bytes) in &list {
        header.u32(bytes.len() as u32);
    }
    let header = serialized(&header.bytes);
    assert_eq!(header.len() as u32, header_len);

    let mut objref = Stub::new(Syntax::Ndr, Order::Little);
    objref.bytes.extend(b"MEOW");
    objref.u32(4);
    objref.uuid(interface);
    objref.uuid(class);
    for word in [0, total as u32 + 8, total as u32, 0] {
        objref.u32(word);
    }
    objref.bytes.extend(header);
    objref
        .bytes
        .extend(list.into_iter().flat_map(|(_, bytes)| bytes));
    objref.bytes
}

/// Writes the pointer to an MInterfacePointer and what it points at.
fn interface_pointer(stub: &mut Stub, objref: &[u8]) {
    for word in [0x20000, objref.len() as u32, objref.len() as u32] {
        stub.u32(word);
    }
    stub.bytes.extend(objref);
    stub.align(4);
}

fn orpc_this(stub: &mut Stub) {
    stub.u16(5);
    stub.u16(7);
    stub.zeros(28);
}

/// The stub of a request to activate objects of `class`: `RemoteCreateInstance` with a place for
/// an outer object, `RemoteGetClassObject` without.
pub fn activation_request(order: Order, outer: bool, class: Uuid, interfaces: &[Uuid]) -> Vec<u8> {
    let mut asked = Stub::new(Syntax::Ndr, Order::Little);
    asked.uuid(class);
    let count = interfaces.len() as u32;
    for word in [0x14, 0, 0, count, 0, 0x20000, 88, 0x0007_0005, count] {
        asked.u32(word);
    }
    for interface in interfaces {
        asked.uuid(*interface);
    }
    let list = [(com(0x1b9), vec![0; 88]), (com(0x1ab), asked.bytes)];
    let mut stub = Stub::new(Syntax::Ndr, order);
    orpc_this(&mut stub);
    if outer {
        stub.u32(0);
    }
    interface_pointer(&mut stub, &properties(com(0x1a2), com(0x338), &list));
    stub.bytes
}

/// The stub of the answer to it.
pub fn activation_answer(order: Order, bindings: &[(u16, &str)], result: u32) -> Vec<u8> {
    let mut reply = Stub::new(Syntax::Ndr, Order::Little);
    reply.u32(0);
    reply.u32(0x20000);
    reply.zeros(8);
    reply.u32(0x20004);
    reply.zeros(24);
    reply.bytes.extend(dual_strings(bindings));
    let list = [(com(0x339), vec![0; 40]), (com(0x1b6), reply.bytes)];
    let mut stub = Stub::new(Syntax::Ndr, order);
    stub.zeros(8);
    interface_pointer(&mut stub, &properties(com(0x1a3), com(0x339), &list));
    stub.u32(result);
    stub.bytes
}

/// The stub of a `RemoteActivation` request, with a name for the object if that is not empty.
pub fn remote_activation_request(
    order: Order,
    class: Uuid,
    name: &str,
    interfaces: &[Uuid],
) -> Vec<u8> {
    let mut stub = Stub::new(Syntax::Ndr, order);
    orpc_this(&mut stub);
    stub.uuid(class);
    if name.is_empty() {
        stub.u32(0);
    } else {
        let len = name.len() as u32;
        for word in [0x20000, len, 0, len] {
            stub.u32(word);
        }
        for unit in name.encode_utf16() {
            stub.u16(unit);
        }
    }
    let count = interfaces.len() as u32;
    for word in [0, 2, 0, count, 0x20004, count] {
        stub.u32(word);
    }
    for interface in interfaces {
        stub.uuid(*interface);
    }
    stub.u32(1);
    stub.u32(1);
    stub.u16(7);
    stub.bytes
}

/// The stub of the answer to it, for one interface.
pub fn remote_activation_answer(order: Order, bindings: &[(u16, &str)], result: u32) -> Vec<u8> {
    let mut stub = Stub::new(Syntax::Ndr, order);
    stub.zeros(16);
    stub.u32(0x20000);
    stub.bytes.extend(dual_strings_in(order, bindings));
    stub.align(4);
    stub.zeros(24);
    for word in [result, 1, 0, 1, 0, 0] {
        stub.u32(word);
    }
    stub.bytes
}

/// The stub of an answer of the object exporter: what stands before the pointer to the bindings,
/// and how much between them and the result.
pub fn resolver_answer(
    before: usize,
    bindings: &[(u16, &str)],
    after: usize,
    result: u32,
) -> Vec<u8> {
    let mut stub = Stub::new(Syntax::Ndr, Order::Little);
    stub.zeros(before);
    stub.u32(0x20000);
    stub.bytes.extend(dual_strings(bindings));
    stub.align(4);
    stub.zeros(after);
    stub.u32(result);
    stub.bytes
}
