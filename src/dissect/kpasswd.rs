//! Kerberos password change and set (RFC 3244).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, Input, Look, Role, is_long_enough, probe_datagram, probe_stream,
};
use crate::model::protocol::Protocol;

/// Kerberos password change (RFC 3244).
pub const PROTOCOL: Protocol = Protocol::new("kpasswd", "Kerberos Password Change");

/// Password change over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[464],
    probe: |opening| probe_datagram(opening, datagram),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 464,
        client: b"\0\x1e\0\x01\0\x10n\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e........\
        \xa2\0",
        server: b"",
    }],
};

/// Password change over TCP: each message after its length.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[464],
    probe: |opening| probe_stream(opening, framed),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 464,
        client: b"\0\0\0\x1e\0\x1e\0\x01\0\x10n\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\
        \x0e........\xa2\0",
        server: b"",
    }],
};

fn datagram(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = usize::from(r.u16()?);
    match len >= bytes.len() && is_long_enough(bytes, len) {
        true => message(r, len),
        false => Ok(Look::Other),
    }
}

fn framed(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let outer = r.u32()?;
    let len = r.u16()?;
    match outer == u32::from(len) {
        true => message(r, len.into()),
        false => Ok(Look::Other),
    }
}

fn message(mut r: Reader, len: usize) -> Result<Look, Short> {
    // Change (1) and set (0xff80).
    if !matches!(r.u16()?, 1 | 0xff80) {
        return Ok(Look::Other);
    }
    let ticket = usize::from(r.u16()?);
    if ticket + 6 > len {
        return Ok(Look::Other);
    }
    Ok(match (ticket, r.u8()?) {
        (0, 0x7e) => Look::By(Role::Server),   // KRB-ERROR
        (1.., 0x6e) => Look::By(Role::Client), // AP-REQ
        (1.., 0x6f) => Look::By(Role::Server), // AP-REP
        _ => Look::Other,
    })
}
