//! Tabular Data Stream (MS-TDS): SQL Server.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Opening, Probe, Role, probe_stream};
use crate::model::protocol::Protocol;

/// Tabular Data Stream (MS-TDS).
pub const PROTOCOL: Protocol = Protocol::new("tds", "TDS");

/// TDS over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    probe,
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1433,
        client: b"\x12\x01\0\x1a\0\0\x01\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\0\0\0\0\0\0\0",
        server: b"",
    }],
};

const PORT: u16 = 1433;

fn probe(opening: &Opening) -> Probe {
    match probe_stream(opening, look) {
        Probe::No if opening.has_port(PORT) && !opening.from_start => probe_stream(opening, packet),
        answer => answer,
    }
}

/// Packet types (MS-TDS 2.2.3.1.1).
mod kind {
    pub const RESULT: u8 = 0x04;
    pub const LOGIN7: u8 = 0x10;
    pub const PRELOGIN: u8 = 0x12;
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let kind = r.u8()?;
    if !matches!(kind, kind::RESULT | kind::LOGIN7 | kind::PRELOGIN) || r.u8()? > 1 {
        return Ok(Look::Other);
    }
    let (len, _process, _number, window) = (r.u16()?, r.u16()?, r.u8()?, r.u8()?);
    if len < 8 + 6 || window != 0 {
        return Ok(Look::Other);
    }
    Ok(match kind {
        kind::LOGIN7 if is_login(&mut r, len)? => Look::By(Role::Client),
        kind::PRELOGIN if is_prelogin(&mut r)? => Look::By(Role::Client),
        kind::RESULT if is_prelogin(&mut r.clone())? || is_result(&mut r)? => {
            Look::By(Role::Server)
        }
        _ => Look::Other,
    })
}

/// Any packet that fills its segment, of a stream that was not seen from its start: that is little
/// to go by, so the port must agree.
fn packet(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (kind, status, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
    let (_process, _number, window) = (r.u16()?, r.u8()?, r.u8()?);
    let fits = len == bytes.len() && status & !0x1f == 0 && window == 0;
    Ok(match kind {
        1..=3 | 6 | 7 | 14 if fits => Look::By(Role::Client),
        kind::RESULT if fits => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// A list of options that begins with VERSION, which is six bytes (MS-TDS 2.2.6.5).
fn is_prelogin(r: &mut Reader) -> Result<bool, Short> {
    Ok(r.u8()? == 0 && r.u16()? < 256 && r.u16()? == 6)
}

/// The length of all, and a version from 7.0 to 7.4 (MS-TDS 2.2.6.4).
fn is_login(r: &mut Reader, packet: u16) -> Result<bool, Short> {
    let len = u32::from_le_bytes(r.array()?);
    let [_, _, _, version] = r.array()?;
    Ok(
        (94..1 << 17).contains(&len)
            && len + 8 >= packet.into()
            && (0x70..=0x74).contains(&version),
    )
}

/// The first token of an answer to a login, with a length that is not absurd.
fn is_result(r: &mut Reader) -> Result<bool, Short> {
    let is_token = matches!(r.u8()?, 0xaa | 0xab | 0xad | 0xe3);
    let len = u16::from_le_bytes(r.array()?);
    Ok(is_token && (4..4096).contains(&len))
}
