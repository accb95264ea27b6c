//! Kerberos password change and set (RFC 3244).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Input, Look, Role, is_long_enough, probe_datagram, probe_stream};
use crate::model::protocol::Protocol;

/// Password change over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::Kpasswd,
    input: Input::Datagram,
    usual_ports: &[464],
    probe: |opening| probe_datagram(opening, datagram),
    follow: None,
};

/// Password change over TCP: each message after its length.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Kpasswd,
    input: Input::Stream,
    usual_ports: &[464],
    probe: |opening| probe_stream(opening, framed),
    follow: None,
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
