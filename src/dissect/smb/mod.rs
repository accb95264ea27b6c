//! Server Message Block (MS-CIFS, MS-SMB2): which pipes are opened, and the RPC inside them.
//!
//! `session` cuts the streams into messages and keeps what `version1` (of what `message1` parts) and
//! `version2` read out of them; `pipes` follows what is written to and read from each pipe.

mod clues;
mod message1;
mod pipes;
#[cfg(test)]
mod samples;
mod session;
mod version1;
mod version2;

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Role, filled, probe_stream,
};
use crate::model::protocol::Protocol;

/// Server Message Block (MS-CIFS, MS-SMB, MS-SMB2).
pub const PROTOCOL: Protocol = Protocol::new(&["smb", "SMB"]);

/// SMB over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[445, 139],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(session::Session::default())),
    says: clues::ALL,
    examples: &[Example {
        port: 445,
        client: &filled::<106>(b"\0\0\0f\xfeSMB@", 0),
        server: b"",
    }],
};

/// Follows a NetBIOS session, in which SMB comes later if at all: it is claimed when it does.
pub fn follow_netbios(_opening: &Opening) -> Box<dyn Dissector> {
    Box::new(session::Session::before_smb())
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let [kind, _, _, _] = r.array()?;
    if kind != 0 {
        return Ok(Look::Other);
    }
    let version = r.u8()?;
    if r.array()? != *b"SMB" {
        return Ok(Look::Other);
    }
    Ok(match version {
        // SMB 1: command, status, flags, of which the top one marks an answer.
        0xff => {
            r.skip(5)?;
            side(u32::from(r.u8()? & 0x80))
        }
        // SMB 2: structure size, credit charge, status, command, credits, flags.
        0xfe if r.u16()? == 64 => {
            r.skip(10)?;
            side(r.u32()? & 1)
        }
        // Encrypted and compressed messages say nothing of their sender.
        0xfd | 0xfc => Look::ByEither,
        _ => Look::Other,
    })
}

fn side(answer_flag: u32) -> Look {
    Look::By(match answer_flag {
        0 => Role::Client,
        _ => Role::Server,
    })
}
