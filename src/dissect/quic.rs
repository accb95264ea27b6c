//! QUIC (RFC 9000, RFC 9369), its drafts, and what Google ran before them.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, filled, probe_datagram};
use crate::model::protocol::Protocol;

/// QUIC (RFC 9000).
pub const PROTOCOL: Protocol = Protocol::new(&["quic", "QUIC"]);

/// QUIC over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[443, 80],
    begins: FirstBytes::range(0xc0, 0xff).and(FirstBytes::of(EARLY)),
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 443,
        client: &filled::<1200>(b"\xc3\0\0\0\x01\x01\x07\0", 66),
        server: b"",
    }],
};

/// What Google's early form may begin with: its flags for a version and a long connection id, and
/// any of four others.
const EARLY: &[u8] = b"\x09\x0b\x0d\x0f\x19\x1b\x1d\x1f\x29\x2b\x2d\x2f\x39\x3b\x3d\x3f";

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let first = r.u8()?;
    // Google's early form: flags for a version and an eight-byte connection id, then both.
    if first & 0xc9 == 0x09 {
        r.skip(8)?;
        return Ok(when(matches!(
            r.array()?,
            [b'Q', b'0', b'0'..=b'9', b'0'..=b'9']
        )));
    }
    if first & 0xc0 != 0xc0 {
        return Ok(Look::Other);
    }
    let version = r.array()?;
    let is_known = match version {
        [0, 0, 0, 1] | [0x6b, 0x33, 0x43, 0xcf] => true,
        [0xff, 0, 0, draft] => (17..=34).contains(&draft),
        [b'Q' | b'T', b'0', tens, ones] => tens.is_ascii_digit() && ones.is_ascii_digit(),
        [0xfa, 0xce, 0xb0, _] => true, // Facebook's
        _ => false,
    };
    // Google's last forms have both lengths of connection ids in one byte.
    if let [b'Q', ..] = version {
        return Ok(when(is_known && r.left() > 9));
    }
    for _id in 0..2 {
        let len = r.u8()?;
        if len > 20 {
            return Ok(Look::Other);
        }
        r.skip(len.into())?;
    }
    Ok(when(is_known && r.left() > 16))
}

fn when(is_quic: bool) -> Look {
    match is_quic {
        true => Look::ByEither,
        false => Look::Other,
    }
}
