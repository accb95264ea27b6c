//! Floods, made up: what strangers send, and honest talk that has to keep its labels beside it.

use std::io::Write;
use std::net::Ipv4Addr;

use serde_json::Value as Json;

use super::wire::*;

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Where strangers go: ports that nobody lists.
pub const TARGET: Peer = (Ipv4Addr::new(10, 0, 0, 3), 49_999);

/// A DNS query for `example.com`, and that there is none.
pub const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
pub const ANSWER: &[u8] =
    b"\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";

/// Honest talk around a flood and in its middle: a session bound before that goes on after it, an
/// endpoint mapper's answer whose port is used later, and questions over UDP.
pub fn beside<W: Write>(tape: &mut Tape<W>, flood: impl Fn(&mut Tape<W>, u32), count: u32) {
    let mut session = Connection::open(tape, (CLIENT, 40_001), (SERVER, 49_153));
    session.ask(tape, &bind(1, SAMR));
    session.answer(tape, &bind_ack(1));
    let at = [(SERVER, 49_154)];
    ask_mapper(tape, (CLIENT, 40_002), SERVER, DNSSERVER, &at);
    for number in 0..count {
        flood(tape, number);
        if number == count / 2 {
            session.ask(tape, &request(2, 5, &[0; 64]));
            session.answer(tape, &response(2, &[0; 64]));
            tape.udp((CLIENT, 40_003), (SERVER, 53), QUERY);
            tape.udp((SERVER, 53), (CLIENT, 40_003), ANSWER);
        }
    }
    silent_talk(tape, (CLIENT, 40_004), (SERVER, 49_154));
    session.ask(tape, &request(3, 5, &[0; 64]));
    session.answer(tape, &response(3, &[0; 64]));
    session.close(tape);
}

/// The rows of [`SERVER`] are called what they are.
pub fn keep_labels(honest: &[Json], what: &str) {
    for (port, service) in [(49_153, "LSASS"), (49_154, "DNS"), (53, "DNS")] {
        let of_port = |row: &&Json| row["server_port"] == port;
        let rows: Vec<_> = honest.iter().filter(of_port).collect();
        assert!(!rows.is_empty(), "{what}: no row for {port}");
        for row in rows {
            assert_eq!(row["service"], service, "{what}: {row:#}");
        }
    }
}

/// A stranger's address and port by number.
pub fn stranger(number: u32) -> Peer {
    let [a, b, c, _] = (number << 8).to_be_bytes();
    (ten(100 + a % 100, b, c), 1024 + (number % 60_000) as u16)
}

pub fn syn(tape: &mut Tape<impl Write>, number: u32) {
    tape.tcp(stranger(number), TARGET, SYN, (number, 0), &[]);
}

/// Later parts, first parts, of another datagram each.
pub fn fragment_of_nothing(tape: &mut Tape<impl Write>, number: u32) {
    let (from, id) = (stranger(number / 7).0, number as u16);
    let offset = match number % 2 {
        0 => 0x2000,
        _ => 0x2000 | 100,
    };
    let part = udp(1000, 2000, &[7; 56]);
    let packet = fragment(17, (from, TARGET.0), (id, offset), &part);
    tape.frame(&ethernet(&packet));
}

/// The beginning of a PDU that is said to be longer.
pub fn half_pdu(tape: &mut Tape<impl Write>, number: u32) {
    let mut half = bind(1, SAMR);
    half[8..10].copy_from_slice(&60_000_u16.to_le_bytes());
    half.resize(1400, 0);
    Connection::without_handshake(stranger(number), TARGET).ask(tape, &half);
}
