//! Network Time Protocol (RFC 5905) and its simple form, as Windows Time speaks it.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// Network Time Protocol (RFC 5905) and SNTP.
pub const PROTOCOL: Protocol = Protocol::new("ntp", "NTP");

/// NTP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[123],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 123,
        client: b"\x1b\x02\x06\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\xd0\x01\x02\x03\x04\x05\x06\x07",
        server: b"\x1c\x02\x06\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\xd0\x01\x02\x03\x04\x05\x06\x07",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let first = r.u8()?;
    let (version, mode) = (first >> 3 & 7, first & 7);
    if !(1..=4).contains(&version) {
        return Ok(Look::Other);
    }
    if mode == CONTROL {
        return control(r, version);
    }
    let (stratum, poll, precision) = (r.u8()?, r.u8()?, r.u8()?);
    let (delay, dispersion) = (r.u32()?, r.u32()?);
    r.skip(28)?; // reference and the first three timestamps
    let transmitted = r.u64()?;
    // Clocks are not coarser than a second nor finer than 2^-32; polls not longer than 2^17 s;
    // way and error are within 256 s (a delay may come out negative).
    let is_clock = stratum <= 16
        && poll <= 17
        && matches!(precision, 0 | 0xe0..)
        && matches!(delay >> 24, 0 | 0xff)
        && dispersion >> 24 == 0;
    if !is_clock || !is_trailer(r)? {
        return Ok(Look::Other);
    }
    Ok(match mode {
        1 | 3 => Look::By(Role::Client),
        2 | 4 if transmitted != 0 => Look::By(Role::Server),
        5 if transmitted != 0 => Look::ByEither, // broadcast
        _ => Look::Other,
    })
}

/// Whether what is left are extension fields (RFC 7822) and a message authentication code: none, a
/// key number alone, with a digest of 16, 20 or 32 bytes, or Windows' own (MS-SNTP 2.2.3).
fn is_trailer(mut r: Reader) -> Result<bool, Short> {
    while !matches!(r.left(), 0 | 4 | 20 | 24 | 36 | 72) {
        let (_kind, len) = (r.u16()?, usize::from(r.u16()?));
        if len < 16 || len % 4 != 0 {
            return Ok(false);
        }
        r.skip(len - 4)?;
    }
    Ok(true)
}

const CONTROL: u8 = 6;

/// A control message (RFC 9327 2): its data have the length it says, padded to words.
fn control(mut r: Reader, version: u8) -> Result<Look, Short> {
    let operation = r.u8()?;
    r.skip(6)?; // sequence, status, association
    let (offset, count) = (r.u16()?, usize::from(r.u16()?));
    let fits = version >= 2
        && offset == 0
        && count <= 468
        && r.left() >= count
        && r.left() < count + 32
        && matches!(operation & 0x1f, 1..=12 | 31);
    Ok(match (fits, operation & 0x80) {
        (true, 0) => Look::By(Role::Client),
        (true, _) => Look::By(Role::Server),
        (false, _) => Look::Other,
    })
}
