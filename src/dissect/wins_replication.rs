//! Replication between WINS servers (MS-WINSRA): associations, and the names that they exchange.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Role, probe_stream};
use crate::model::protocol::Protocol;

/// WINS Replication (MS-WINSRA).
pub const PROTOCOL: Protocol = Protocol::new(&["wins-replication", "WINS Replication"]);

/// WINS replication over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[42],
    begins: FirstBytes::range(0, 1),
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 42,
            client: b"\0\0\0\x29\0\0\x78\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x02\0\x05\0\0\0\0\0\0\0\0\0\
                \0\0\0\0\0\0\0\0\0\0\0\0",
            server: b"\0\0\0\x29\0\0\x78\0\0\0\0\x10\0\0\0\x01\0\0\0\x20\0\x02\0\x05\0\0\0\0\0\0\0\
                \0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        },
        Example {
            port: 42,
            client: b"\0\0\0\x10\0\0\x78\0\0\0\0\x20\0\0\0\x03\0\0\0\0",
            server: b"",
        },
    ],
};

/// The word after the length, which tells the messages from those of NetBIOS's name service. It is
/// reserved; Windows and Samba send just this (samba winsrepl.idl).
const NOT_NETBIOS: u32 = 0x7800;

/// The length of both messages that begin an association, without its own bytes (MS-WINSRA 2.2.3,
/// 2.2.4).
const START_LEN: u32 = 41;

/// The only major version (MS-WINSRA 2.2.3).
const MAJOR: u16 = 2;

/// Message types (MS-WINSRA 2.2.2).
mod kind {
    pub const START: u32 = 0;
    pub const STARTED: u32 = 1;
    pub const STOP: u32 = 2;
    pub const REPLICATION: u32 = 3;
}

/// The longest answer that is believed: as much as any replica's names take.
const MAX_LEN: u32 = 1 << 24;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = r.u32()?;
    if !(16..=MAX_LEN).contains(&len) {
        return Ok(Look::Other);
    }
    if r.u32()? != NOT_NETBIOS {
        return Ok(Look::Other);
    }
    let (association, kind) = (r.u32()?, r.u32()?);
    if kind > kind::REPLICATION || kind == kind::START && association != 0 {
        return Ok(Look::Other);
    }
    let first = r.u32()?;
    Ok(match kind {
        kind::START if len == START_LEN && r.u16()? == MAJOR => Look::By(Role::Client),
        kind::STARTED if len == START_LEN && r.u16()? == MAJOR => Look::By(Role::Server),
        // The reason is one of five (MS-WINSRA 2.2.5).
        kind::STOP if first <= 4 => Look::ByEither,
        // Requests for owners and names, and notifications; and the answers to the former
        // (MS-WINSRA 2.2.6 to 2.2.10).
        kind::REPLICATION if matches!(first, 0 | 2 | 4 | 5 | 8 | 9) => Look::By(Role::Client),
        kind::REPLICATION if matches!(first, 1 | 3) => Look::By(Role::Server),
        _ => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: u32, reserved: u32, association: u32, kind: u32, body: &[u8]) -> Vec<u8> {
        let words = [len, reserved, association, kind].map(u32::to_be_bytes);
        [words.concat().as_slice(), body].concat()
    }

    #[test]
    fn each_message_tells_its_sender_where_only_one_side_sends_it() {
        let version = [0, 0, 0, 9, 0, 2, 0, 5];
        for (kind, body, role) in [
            (0, version.as_slice(), Look::By(Role::Client)),
            (1, &version, Look::By(Role::Server)),
            (2, &[0, 0, 0, 4], Look::ByEither),
            (3, &[0, 0, 0, 0], Look::By(Role::Client)),
            (3, &[0, 0, 0, 3], Look::By(Role::Server)),
        ] {
            let whole = message(41, NOT_NETBIOS, 0, kind, body);
            assert_eq!(look(&whole), Ok(role), "{kind}");
            for len in 0..whole.len() {
                let cut = look(&whole[..len]);
                assert!(cut == Err(Short) || cut == Ok(role), "{kind} at {len}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_is_refused() {
        let version = [0, 0, 0, 9, 0, 2, 0, 5];
        for other in [
            message(40, NOT_NETBIOS, 0, 0, &version),
            message(41, 0, 0, 0, &version),
            message(41, NOT_NETBIOS, 7, 0, &version),
            message(41, NOT_NETBIOS, 0, 4, &version),
            message(41, NOT_NETBIOS, 0, 0, &[0, 0, 0, 9, 0, 3, 0, 5]),
            message(MAX_LEN + 1, NOT_NETBIOS, 0, 3, &[0; 4]),
            message(20, NOT_NETBIOS, 0, 3, &[0, 0, 0, 7]),
            message(20, NOT_NETBIOS, 0, 2, &[0, 0, 0, 5]),
        ] {
            assert_eq!(look(&other), Ok(Look::Other), "{other:x?}");
        }
    }
}
