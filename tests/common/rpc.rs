//! DCE/RPC for tests, built from words: who binds what, and what the endpoint mapper and DCOM's
//! activation say of it (C706, MS-RPCE, MS-DCOM).

use wiretag::catalog::Catalog;
use wiretag::model::uuid::{Interface, Uuid};

use super::packets::{Said, client, server};

const NDR: &str = "8a885d04-1ceb-11c9-9fe8-08002b104860";
const EPMAPPER: &str = "e1af8308-5d1f-11c9-91a4-08002b14a0fa";
const REMOTE_ACTIVATION: &str = "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57";
const UNKNOWN: &str = "00000000-0000-0000-c000-000000000046";
/// `ept_map` (C706 appendix O).
const EPT_MAP: u16 = 3;

/// The interface of this name that the catalog ties to this service.
pub fn interface(service: &str, name: &str) -> Interface {
    let catalog = Catalog::built_in();
    let service = catalog.find(service).expect("a service of the catalog");
    let entry = (catalog.interfaces().iter())
        .find(|entry| entry.service == Some(service) && entry.name.as_deref() == Some(name));
    let entry = entry.unwrap_or_else(|| panic!("no interface {name}"));
    let (major, minor) = (entry.versions.first()).map_or((0, 0), |v| (v.major, v.minor));
    Interface::new(entry.uuid, major, minor)
}

/// A client binds `interface`, is accepted, and calls.
pub fn bound(interface: Interface) -> Vec<Said> {
    let mut talk = vec![client(bind(interface)), server(bind_ack())];
    talk.push(client(call(0, 0, &[0; 24])));
    talk.push(server(answer(&[0; 24])));
    talk
}

/// A client asks the endpoint mapper for `interface`, and is sent to `port`.
pub fn mapped(interface: Interface, port: u16) -> Vec<Said> {
    let tower = tower(interface, port);
    let epmapper = Interface::new(uuid(EPMAPPER), 3, 0);
    vec![
        client(bind(epmapper)),
        server(bind_ack()),
        client(call(0, EPT_MAP, &map_request(&tower))),
        server(answer(&map_answer(&tower))),
    ]
}

/// A client activates an object of this class, which lives at `port` (MS-DCOM 3.1.2.5.2.3.1).
pub fn activated(class: &str, port: u16) -> Vec<Said> {
    let request = activation_request(uuid(class));
    vec![
        client(bind(Interface::new(uuid(REMOTE_ACTIVATION), 0, 0))),
        server(bind_ack()),
        client(call(0, 0, &request)),
        server(answer(&activation_answer(port))),
    ]
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("a UUID")
}

/// A UUID as NDR has it, little-endian.
fn wire(uuid: Uuid) -> Vec<u8> {
    let text = uuid.to_string().replace('-', "");
    let mut bytes: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex digits"))
        .collect();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    bytes.extend((16 + body.len() as u16).to_le_bytes());
    bytes.extend([0, 0, 1, 0, 0, 0]);
    bytes.extend(body);
    bytes
}

/// A BIND of one presentation context, number 0.
pub fn bind(interface: Interface) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(wire(interface.uuid));
    body.extend(interface.major.to_le_bytes());
    body.extend(interface.minor.to_le_bytes());
    body.extend(wire(uuid(NDR)));
    body.extend([2, 0, 0, 0]);
    pdu(11, &body)
}

/// The server accepts it.
pub fn bind_ack() -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 2, 3, 4];
    body.extend([4, 0]);
    body.extend(b"135\0");
    body.extend([0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(wire(uuid(NDR)));
    body.extend([2, 0, 0, 0]);
    pdu(12, &body)
}

fn call(context: u16, operation: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend(context.to_le_bytes());
    body.extend(operation.to_le_bytes());
    body.extend(stub);
    pdu(0, &body)
}

fn answer(stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend([0; 4]);
    body.extend(stub);
    pdu(2, &body)
}

/// Five floors: the interface, NDR, connection-oriented RPC, TCP, IP (C706 appendix L).
fn tower(interface: Interface, port: u16) -> Vec<u8> {
    let named = |of: Uuid, major: u16| [&[0x0d][..], &wire(of), &major.to_le_bytes()].concat();
    let floors = [
        (
            named(interface.uuid, interface.major),
            interface.minor.to_le_bytes().to_vec(),
        ),
        (named(uuid(NDR), 2), vec![0, 0]),
        (vec![0x0b], vec![0, 0]),
        (vec![0x07], port.to_be_bytes().to_vec()),
        (vec![0x09], vec![0; 4]),
    ];
    let mut octets = vec![floors.len() as u8, 0];
    for (left, right) in floors {
        for side in [left, right] {
            octets.extend((side.len() as u16).to_le_bytes());
            octets.extend(side);
        }
    }
    octets
}

fn word(stub: &mut Vec<u8>, value: u32) {
    stub.resize(stub.len().next_multiple_of(4), 0);
    stub.extend(value.to_le_bytes());
}

/// No object, a tower, no handle yet, up to four answers.
fn map_request(tower: &[u8]) -> Vec<u8> {
    let mut stub = Vec::new();
    for value in [1, 0, 0, 0, 0, 2, tower.len() as u32, tower.len() as u32] {
        word(&mut stub, value);
    }
    stub.extend(tower);
    for value in [0, 0, 0, 0, 0, 4] {
        word(&mut stub, value);
    }
    stub
}

/// One tower of at most four, and success.
fn map_answer(tower: &[u8]) -> Vec<u8> {
    let mut stub = vec![0; 20];
    for value in [1, 4, 0, 1, 3, tower.len() as u32, tower.len() as u32] {
        word(&mut stub, value);
    }
    stub.extend(tower);
    word(&mut stub, 0);
    stub
}

/// `RemoteActivation` of one object, asked for by `IUnknown`, without a name.
fn activation_request(class: Uuid) -> Vec<u8> {
    let mut stub = vec![5, 0, 7, 0];
    stub.resize(32, 0);
    stub.extend(wire(class));
    for value in [0, 0, 2, 0, 1, 0x20000, 1] {
        word(&mut stub, value);
    }
    stub.extend(wire(uuid(UNKNOWN)));
    for value in [1, 1, 7] {
        word(&mut stub, value);
    }
    stub
}

/// The exporter's string binding over TCP, and success.
fn activation_answer(port: u16) -> Vec<u8> {
    let address = super::packets::SERVER
        .map(|byte| byte.to_string())
        .join(".");
    let mut units = vec![7];
    units.extend(format!("{address}[{port}]").encode_utf16());
    units.extend([0, 0]);
    let security = units.len() as u16;
    units.extend([10, 0xffff, 0, 0]);
    let mut stub = vec![0; 16];
    for value in [0x20000, units.len() as u32] {
        word(&mut stub, value);
    }
    for unit in [units.len() as u16, security].into_iter().chain(units) {
        stub.extend(unit.to_le_bytes());
    }
    stub.resize(stub.len().next_multiple_of(4) + 24, 0);
    for value in [0, 1, 0, 1, 0, 0] {
        word(&mut stub, value);
    }
    stub
}
