//! SQL Server Resolution Protocol (MC-SQLR).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Opening, Probe, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// SQL Server Resolution Protocol (MC-SQLR).
pub const PROTOCOL: Protocol = Protocol::new("sql-browser", "SQL Browser");

/// SQL Server Browser over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    probe,
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 1434,
            client: b"\x03",
            server: b"\x05\x17\0ServerName;SQL1;tcp;1;;",
        },
        Example {
            port: 1434,
            client: b"\x04MSSQL\0",
            server: b"",
        },
    ],
};

const PORT: u16 = 1434;

fn probe(opening: &Opening) -> Probe {
    match probe_datagram(opening, answer) {
        // Questions are a byte or a word: only their port makes them one.
        Probe::No if opening.has_port(PORT) => probe_datagram(opening, question),
        answer => answer,
    }
}

fn answer(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let (kind, len) = (r.u8()?, usize::from(r.u16()?));
    let lists_a_server = r.left() == len && r.rest().starts_with(b"ServerName;");
    Ok(match kind == 5 && lists_a_server {
        true => Look::By(Role::Server),
        false => Look::Other,
    })
}

fn question(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let kind = r.u8()?;
    if kind == 0x0f && r.u8()? != 1 {
        return Ok(Look::Other);
    }
    let instance = r.rest();
    // Instance names have at most 32 bytes, and an end that some clients leave out.
    let fits = match kind {
        2 | 3 => instance.is_empty(),
        4 | 0x0f => (1..=33).contains(&instance.len()) && instance.iter().all(|byte| *byte < 0x7f),
        _ => false,
    };
    Ok(match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    })
}
