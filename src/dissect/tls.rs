//! Transport Layer Security (RFC 8446, RFC 5246) and what came before it. What its handshake says
//! is in `handshake.rs`.

use crate::dissect::handshake::{self, Handshake};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, Role, filled, probe_stream,
};
use crate::model::protocol::Protocol;

/// Transport Layer Security (RFC 8446, RFC 5246).
pub const PROTOCOL: Protocol = Protocol::new(&["tls", "TLS"]);

/// TLS over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[443, 636, 3269, 993, 995, 465, 5986],
    begins: FirstBytes::range(20, 23).and(FirstBytes::range(0x80, 0xff)),
    probe,
    follow: Some(|_| Box::new(Handshake::default())),
    says: handshake::SAYS,
    examples: &[Example {
        port: 443,
        client: &filled::<89>(b"\x16\x03\x01\0T\x01\0\0P\x03\x03", 171),
        server: b"",
    }],
};

fn probe(opening: &Opening) -> Probe {
    match probe_stream(opening, hello) {
        Probe::No if opening.from_start => probe_stream(opening, hello_of_ssl2),
        Probe::No => probe_stream(opening, record),
        answer => answer,
    }
}

/// The longest record: 2^14 bytes and what encryption may add (RFC 5246 6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

/// A record that begins a handshake.
fn hello(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u8()? != HANDSHAKE || r.u8()? != 3 || r.u8()? > 4 {
        return Ok(Look::Other);
    }
    if !(4..=MAX_RECORD).contains(&r.u16()?) {
        return Ok(Look::Other);
    }
    let kind = r.u8()?;
    let [high, middle, low] = r.array()?;
    let len = u32::from_be_bytes([0, high, middle, low]);
    // A version and 32 random bytes at least; a hello of 2^17 bytes nobody sends.
    if !(34..1 << 17).contains(&len) || r.u8()? != 3 || r.u8()? > 4 {
        return Ok(Look::Other);
    }
    Ok(match kind {
        1 => Look::By(Role::Client),
        2 => Look::By(Role::Server),
        _ => Look::Other,
    })
}

const HANDSHAKE: u8 = 22;

/// A hello as SSL 2 wrote it, which clients of SSL 3 and TLS 1.0 still sent (RFC 5246 E.2).
fn hello_of_ssl2(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let first = r.u8()?;
    let len = u16::from_be_bytes([first & 0x7f, r.u8()?]);
    if first & 0x80 == 0 || r.u8()? != 1 || !matches!(r.array()?, [0, 2] | [3, 0..=3]) {
        return Ok(Look::Other);
    }
    let (ciphers, session, challenge) = (r.u16()?, r.u16()?, r.u16()?);
    let sum = 9 + u32::from(ciphers) + u32::from(session) + u32::from(challenge);
    let fits = ciphers > 0
        && ciphers % 3 == 0
        && matches!(session, 0 | 16)
        && (16..=32).contains(&challenge)
        && sum == u32::from(len);
    Ok(match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    })
}

/// Any record, of a stream that was not seen from its start: it must lead to another one, or
/// beyond the bytes at hand.
fn record(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    while r.left() > 0 {
        let kind = r.u8()?;
        let version = r.array()?;
        let len = r.u16()?;
        let exists = matches!((kind, version), (20..=23, [3, 1..=4]));
        if !exists || !(1..=MAX_RECORD).contains(&len) {
            return Ok(Look::Other);
        }
        r.up_to(len.into());
    }
    Ok(Look::ByEither)
}
