//! NetBIOS session service (RFC 1002 4.3): asks for a name, then carries SMB.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Input, Look, Role, netbios_name, probe_stream, smb};
use crate::model::protocol::Protocol;

/// NetBIOS sessions over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::NetbiosSession,
    input: Input::Stream,
    usual_ports: &[139],
    probe: |opening| probe_stream(opening, look),
    follow: Some(smb::follow_netbios),
};

/// Packet types (RFC 1002 4.3.1).
mod kind {
    pub const REQUEST: u8 = 0x81;
    pub const POSITIVE: u8 = 0x82;
    pub const NEGATIVE: u8 = 0x83;
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (kind, flags) = (r.u8()?, r.u8()?);
    if !(kind::REQUEST..=kind::NEGATIVE).contains(&kind) || flags != 0 {
        return Ok(Look::Other);
    }
    let len = r.u16()?;
    Ok(match kind {
        // Two names of 34 bytes, more with a scope.
        kind::REQUEST if len >= 68 && netbios_name::encoded(&mut r)?.is_some() => {
            Look::By(Role::Client)
        }
        kind::POSITIVE if len == 0 && r.left() == 0 => Look::By(Role::Server),
        kind::NEGATIVE if len == 1 && matches!(r.u8()?, 0x80..=0x83 | 0x8f) => {
            Look::By(Role::Server)
        }
        _ => Look::Other,
    })
}
