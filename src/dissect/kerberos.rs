//! Kerberos version 5 (RFC 4120).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, Input, Look, Role, ber, filled, is_long_enough, probe_datagram,
    probe_stream,
};
use crate::model::protocol::Protocol;

/// Kerberos version 5 (RFC 4120).
pub const PROTOCOL: Protocol = Protocol::new("kerberos", "Kerberos");

/// Kerberos over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[88],
    probe: |opening| probe_datagram(opening, datagram),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 88,
        client: &filled::<131>(
            b"j\x81\x800~\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\n\xa3r0p",
            0,
        ),
        server: b"~\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa4\0",
    }],
};

/// Kerberos over TCP: each message after its length (RFC 4120 7.2.2).
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[88],
    probe: |opening| probe_stream(opening, framed),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 88,
        client: &filled::<135>(
            b"\0\0\0\x83j\x81\x800~\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\n\xa3r0p",
            0,
        ),
        server: b"",
    }],
};

fn datagram(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = message_len(&mut r.clone())?;
    match len.is_some_and(|len| len >= bytes.len() && is_long_enough(bytes, len)) {
        true => message(&mut r),
        false => Ok(Look::Other),
    }
}

fn framed(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let announced = r.u32()?;
    let len = message_len(&mut r.clone())?;
    match len.is_some_and(|len| u32::try_from(len) == Ok(announced)) {
        true => message(&mut r),
        false => Ok(Look::Other),
    }
}

/// Length of a message with its outermost head; `None` if it can be none.
fn message_len(r: &mut Reader) -> Result<Option<usize>, Short> {
    let before = r.position();
    let (tag, len) = ber::head(r)?;
    if role(tag).is_none() {
        return Ok(None);
    }
    Ok(len.and_then(|len| len.checked_add(r.position() - before)))
}

/// Who sends the message of this application tag (RFC 4120 5.10).
fn role(tag: u8) -> Option<Role> {
    match tag {
        0x6a | 0x6c => Some(Role::Client),        // AS-REQ, TGS-REQ
        0x6b | 0x6d | 0x7e => Some(Role::Server), // AS-REP, TGS-REP, KRB-ERROR
        _ => None,
    }
}

fn message(r: &mut Reader) -> Result<Look, Short> {
    let (tag, _) = ber::head(r)?;
    let Some(role) = role(tag) else {
        return Ok(Look::Other);
    };
    let (sequence, _) = ber::head(r)?;
    if sequence != 0x30 {
        return Ok(Look::Other);
    }
    // The version and the kind: from [1] on in requests, from [0] on in answers.
    let first = match role {
        Role::Client => 0xa1,
        Role::Server => 0xa0,
    };
    for (tag_of_field, value) in [(first, 5), (first + 1, u64::from(tag & 0x1f))] {
        let (tag, _) = ber::head(r)?;
        if tag != tag_of_field || ber::integer(r)? != Some(value) {
            return Ok(Look::Other);
        }
    }
    Ok(Look::By(role))
}
