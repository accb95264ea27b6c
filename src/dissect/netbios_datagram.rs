//! NetBIOS datagram service (RFC 1002 4.4).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Input, Look, netbios_name, probe_datagram};
use crate::model::protocol::Protocol;

/// NetBIOS datagrams over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::NetbiosDatagram,
    input: Input::Datagram,
    usual_ports: &[138],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let [kind, flags] = r.array()?;
    r.skip(2 + 4 + 2)?; // datagram id, source address and port
    if flags & 0xf0 != 0 {
        return Ok(Look::Other);
    }
    let names = match kind {
        // Direct to one, to a group, broadcast: length, offset, source and destination name.
        0x10..=0x12 => {
            r.skip(4)?;
            2
        }
        // Query, positive and negative answer: the destination's name.
        0x14..=0x16 => 1,
        _ => 0,
    };
    for _ in 0..names {
        if netbios_name::encoded(&mut r)?.is_none() {
            return Ok(Look::Other);
        }
    }
    Ok(match names {
        0 => Look::Other,
        _ => Look::ByEither,
    })
}
