//! Lightweight Directory Access Protocol (RFC 4511), also without connection (MS-ADTS 6.3.3).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Role, ber, probe_datagram, probe_stream};
use crate::model::protocol::Protocol;

/// Lightweight Directory Access Protocol (RFC 4511).
pub const PROTOCOL: Protocol = Protocol::new("ldap", "LDAP");

/// LDAP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[389, 3268],
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 389,
            client: b"0\x84\0\0\0\x1d\x02\x01\x07c\x84\0\0\0\x14\x04\0\n\x01\0\n\x01\0\x02\x01\0\
        \x02\x01\0\x01\x01\0\x87\0",
            server: b"0\x0c\x02\x01\x07d\x07\x04\x01x0\0\0\0",
        },
        Example {
            port: 389,
            client: b"0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\0\x80\0",
            server: b"",
        },
    ],
};

/// LDAP over UDP, as domain controllers are found.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[389],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 389,
        client: b"0\x84\0\0\0\x1d\x02\x01\x07c\x84\0\0\0\x14\x04\0\n\x01\0\n\x01\0\x02\x01\0\
        \x02\x01\0\x01\x01\0\x87\0",
        server: b"0\x0c\x02\x01\x07d\x07\x04\x01x0\0\0\0",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (tag, len) = ber::head(&mut r)?;
    let Some(len) = len.filter(|len| tag == 0x30 && *len >= 5) else {
        return Ok(Look::Other);
    };
    let body = r.position();
    // MessageID is an INTEGER of at most 31 bits.
    if !matches!(ber::integer(&mut r)?, Some(0..=0x7fff_ffff)) {
        return Ok(Look::Other);
    }
    let (operation, inner) = ber::head(&mut r)?;
    let fits = inner
        .and_then(|inner| inner.checked_add(r.position() - body))
        .is_some_and(|inner| inner <= len);
    if !fits {
        return Ok(Look::Other);
    }
    // What each operation begins with: a version, a name, an enumerated result.
    let (role, first) = match operation {
        0x60 => (Role::Client, 0x02),                      // bind
        0x63 | 0x66 | 0x68 | 0x6c => (Role::Client, 0x04), // search, modify, add, rename
        0x6e => (Role::Client, 0x04),                      // compare
        0x77 => (Role::Client, 0x80),                      // extended
        0x61 | 0x65 | 0x67 | 0x69 => (Role::Server, 0x0a), // results
        0x6b | 0x6d | 0x6f | 0x78 => (Role::Server, 0x0a), // results
        0x64 | 0x73 => (Role::Server, 0x04),               // entry, referral
        0x42 | 0x4a | 0x50 if inner == Some(0) || operation != 0x42 => {
            return Ok(Look::By(Role::Client)); // unbind, delete, abandon
        }
        _ => return Ok(Look::Other),
    };
    Ok(match r.u8()? == first {
        true => Look::By(role),
        false => Look::Other,
    })
}
