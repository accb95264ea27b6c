//! NetBIOS name service (RFC 1002 4.2): DNS's header, names of its own.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// NetBIOS names over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::NetbiosName,
    input: Input::Datagram,
    usual_ports: &[137],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (_id, flags) = (r.u16()?, r.u16()?);
    let (questions, answers, _, _) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    // Query, registration, release, wait, refresh (two numbers for it), multi-homed registration.
    let opcode_exists = matches!(flags >> 11 & 0xf, 0 | 5 | 6 | 7 | 8 | 9 | 15);
    if !opcode_exists || questions > 1 || answers > 1 || questions + answers == 0 {
        return Ok(Look::Other);
    }
    if encoded(&mut r)?.is_none() {
        return Ok(Look::Other);
    }
    // A, NULL, NB, NBSTAT; always of class IN.
    if !matches!(r.u16()?, 0x01 | 0x0a | 0x20 | 0x21) || r.u16()? != 1 {
        return Ok(Look::Other);
    }
    Ok(Look::By(match flags & 0x8000 {
        0 => Role::Client,
        _ => Role::Server,
    }))
}

/// Reads a name in first-level encoding with its scope (RFC 1001 14.1): sixteen bytes, each sent as
/// two letters. `None` if it is no such name.
///
/// # Errors
/// `Short` if the bytes end before it does, and so far it could be one.
pub fn encoded(r: &mut Reader) -> Result<Option<[u8; 16]>, Short> {
    if r.u8()? != 32 {
        return Ok(None);
    }
    let mut name = [0; 16];
    for byte in &mut name {
        let [high, low] = r.array()?;
        if !(b'A'..=b'P').contains(&high) || !(b'A'..=b'P').contains(&low) {
            return Ok(None);
        }
        *byte = (high - b'A') << 4 | (low - b'A');
    }
    loop {
        match r.u8()? {
            0 => return Ok(Some(name)),
            label @ 1..=63 => r.skip(label.into())?,
            _ => return Ok(None),
        }
    }
}
