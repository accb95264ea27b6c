//! Simple Network Management Protocol (RFC 1157, RFC 3416, RFC 3412).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Role, ber, is_long_enough, probe_datagram};
use crate::model::protocol::Protocol;

/// Simple Network Management Protocol (RFC 3416).
pub const PROTOCOL: Protocol = Protocol::new("snmp", "SNMP");

/// SNMP over UDP, traps included.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[161, 162],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 161,
            client:
                b"0\x1d\x02\x01\0\x04\x06public\xa0\x10\x02\x01\x01\x02\x01\0\x02\x01\x000\x050\
        \x03\x06\x01+",
            server: b"",
        },
        Example {
            port: 161,
            client: b"0\x14\x02\x01\x030\r\x02\x01\x01\x02\x02\x05\xdc\x04\x01\x04\x02\x01\x03\x04\
        \0",
            server: b"",
        },
    ],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (tag, len) = ber::head(&mut r)?;
    let fits = len.is_some_and(|len| {
        let len = len.saturating_add(r.position());
        tag == 0x30 && len >= bytes.len() && is_long_enough(bytes, len)
    });
    if !fits {
        return Ok(Look::Other);
    }
    match ber::integer(&mut r)? {
        Some(0 | 1) => with_community(r),
        Some(3) => with_security(r),
        _ => Ok(Look::Other),
    }
}

fn with_community(mut r: Reader) -> Result<Look, Short> {
    let (tag, len) = ber::head(&mut r)?;
    let Some(len) = len.filter(|len| tag == 0x04 && *len <= 255) else {
        return Ok(Look::Other);
    };
    r.skip(len)?;
    Ok(match r.u8()? {
        // Get, next, set, bulk; traps and inform requests, which their sender begins.
        0xa0 | 0xa1 | 0xa3 | 0xa5 | 0xa4 | 0xa6 | 0xa7 => Look::By(Role::Client),
        0xa2 | 0xa8 => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Version 3: message number, size, flags and security model (RFC 3412 6).
fn with_security(mut r: Reader) -> Result<Look, Short> {
    let (tag, _) = ber::head(&mut r)?;
    if tag != 0x30 || ber::integer(&mut r)?.is_none() || ber::integer(&mut r)?.is_none() {
        return Ok(Look::Other);
    }
    let flags_fit = ber::head(&mut r)? == (0x04, Some(1)) && r.u8()? <= 7;
    let fits = flags_fit && ber::integer(&mut r)?.is_some() && r.u8()? == 0x04;
    Ok(match fits {
        true => Look::ByEither,
        false => Look::Other,
    })
}
