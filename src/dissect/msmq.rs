//! Message Queuing's binary protocol (MS-MQQB): its packets, and the ping that goes before them.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, filled, probe_datagram,
    probe_stream,
};
use crate::model::protocol::Protocol;

/// Message Queuing Binary Protocol (MS-MQQB).
pub const PROTOCOL: Protocol = Protocol::new(&["msmq", "MSMQ"]);

/// Message Queuing over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[1801],
    begins: FirstBytes::of(b"\x10"),
    probe: |opening| probe_stream(opening, packet),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1801,
        client: &filled::<572>(
            b"\x10\xc0\x0b\0LIOR\x3c\x02\0\0\xff\xff\xff\xff\0\0\x02\0",
            0x5a,
        ),
        server: &filled::<572>(
            b"\x10\x5a\x0b\0LIOR\x3c\x02\0\0\xff\xff\xff\xff\0\0\x02\0",
            0x5a,
        ),
    }],
};

/// Message Queuing's ping over UDP.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    usual_ports: &PING,
    begins: FirstBytes::ANY,
    probe: |opening| match is_on_its_port(opening) {
        true => probe_datagram(opening, ping),
        false => Probe::No,
    },
    examples: &[Example {
        port: 3527,
        client: &filled::<24>(b"\0\0HU\x07\0\0\0", 0x5a),
        server: b"",
    }],
    ..STREAM
};

/// A ping has two bytes to be known by: only its ports make it one. Queue managers listen on the
/// first; the second is the number that TCP uses.
const PING: [u16; 2] = [3527, 1801];

fn is_on_its_port(opening: &Opening) -> bool {
    PING.iter().any(|port| opening.has_port(*port))
}

/// A packet by its BaseHeader (MS-MQQB 2.2.19.1).
fn packet(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    if r.u8()? != 0x10 {
        return Ok(Look::Other);
    }
    let (_reserved, _flags, signature) = (r.u8()?, r.u16()?, r.array()?);
    let fits = &signature == b"LIOR" && LEN.contains(&r.u32()?);
    Ok(when(fits))
}

/// The size of a packet: its header at least, and the 4 MB that a message may have with its own.
const LEN: std::ops::RangeInclusive<u32> = 16..=0x0050_0000;

/// A ping packet (MS-MQQB 2.2.7): flags, signature, cookie, and the queue manager's id.
fn ping(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let (_flags, signature) = (r.u16()?, r.u16()?);
    Ok(when(signature == 0x5548 && r.left() == 20))
}

fn when(fits: bool) -> Look {
    match fits {
        true => Look::ByEither,
        false => Look::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &[u8] = b"\x10\xc0\x0b\0LIOR\x3c\x02\0\0\xff\xff\xff\xff";

    #[test]
    fn a_packet_is_known_by_its_base_header_and_not_before_its_end() {
        assert_eq!(packet(PACKET), Ok(Look::ByEither));
        for len in 1..12 {
            assert_eq!(packet(&PACKET[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn another_version_signature_or_size_is_no_packet() {
        for (place, byte) in [(0, 0x11), (4, b'l'), (11, 0x7f)] {
            let mut other = PACKET.to_vec();
            other[place] = byte;
            assert_eq!(packet(&other), Ok(Look::Other), "{place}");
        }
        assert_eq!(packet(b"\x10\0\0\0LIOR\x0f\0\0\0"), Ok(Look::Other));
    }

    #[test]
    fn a_ping_has_one_size_and_its_own_ports() {
        let bytes = filled::<25>(b"\x01\0HU\x07\0\0\0", 0x5a);
        let answer = |len: usize, port| {
            (DATAGRAM.probe)(&Opening {
                forward: &bytes[..len],
                reverse: b"",
                ports: (50_000, port),
                from_start: true,
            })
        };
        assert_eq!(answer(24, 3527), Probe::Yes(None));
        assert_eq!(answer(24, 1801), Probe::Yes(None));
        assert_eq!(answer(24, 3528), Probe::No);
        for len in (0..24).chain([25]) {
            assert_eq!(answer(len, 3527), Probe::No, "{len}");
        }
    }
}
