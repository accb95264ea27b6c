//! ISO transport over TCP (RFC 1006), port 102: X.400's transfer agents, controllers of machines and
//! others share it, and tell by what they send once they are connected.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, Role, probe_stream,
};
use crate::model::evidence::Direction;
use crate::model::protocol::Protocol;

/// ISO transport over TCP (RFC 1006), with a session of OSI whose user is none of those below.
pub const PROTOCOL: Protocol = Protocol::new(&["tpkt", "ISO transport"]);

/// Message transfer between agents of X.400 (X.411, X.419).
pub const X400: Protocol = Protocol::new(&["x400", "X.400"]);

/// Siemens' S7 communication, which shares the port.
pub const S7: Protocol = Protocol::new(&["s7comm", "S7comm"]);

/// OSI sessions over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[102],
    begins: FirstBytes::of(b"\x03"),
    probe: |opening| probe(opening, User::Session),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 102,
        client: b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\0\x01\xc2\x02\0\x01\xc0\x01\x0a\
        \x03\0\0\x16\x02\xf0\x80\x0d\x0d\x05\x06\x13\x01\0\x16\x01\x02\x14\x02\0\x02\0",
        server: b"",
    }],
};

/// X.400 over TCP.
pub const X400_STREAM: Definition = Definition {
    protocol: X400,
    probe: |opening| probe(opening, User::MessageTransfer),
    examples: &[
        Example {
            port: 102,
            client: b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\0\x01\xc2\x02\0\x01\xc0\x01\x0a\
            \x03\0\0\x19\x02\xf0\x80\x0d\x10\x05\x06\x13\x01\0\x16\x01\x02\xc1\x06\x06\x04\x56\
            \0\x01\x06",
            server: b"",
        },
        Example {
            port: 102,
            client: b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\0\x01\xc2\x02\0\x01\xc0\x01\x0a\
            \x03\0\0\x18\x02\xf0\x80\x0d\x0f\x05\x06\x13\x01\0\x16\x01\x02\xc1\x05\x31\x03\x84\
            \x01\x01",
            server: b"",
        },
    ],
    ..STREAM
};

/// S7comm over TCP.
pub const S7_STREAM: Definition = Definition {
    protocol: S7,
    probe: |opening| probe(opening, User::Controller),
    examples: &[Example {
        port: 102,
        client: b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x0a\
        \x03\0\0\x19\x02\xf0\x80\x32\x01\0\0\0\0\0\x08\0\0\xf0\0\0\x01\0\x01\x01\xe0",
        server: b"",
    }],
    ..STREAM
};

/// Who uses a transport connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    MessageTransfer,
    Controller,
    Session,
}

/// The client asks for a connection, and then shows whose it is. Of a connection that is on already,
/// what a controller is told or answers shows itself.
fn probe(opening: &Opening, wanted: User) -> Probe {
    if wanted == User::Controller
        && let yes @ Probe::Yes(_) = probe_stream(opening, |bytes| Ok(job(bytes)))
    {
        return yes;
    }
    match user(opening.forward) {
        Ok(Some(user)) if user == wanted => Probe::Yes(Some(Direction::Forward)),
        Ok(_) => Probe::No,
        Err(Short) if opening.forward.is_empty() => Probe::No,
        Err(Short) => Probe::NeedMore,
    }
}

/// The user of a connection by what its client sends; `None` if it is none of these.
fn user(client: &[u8]) -> Result<Option<User>, Short> {
    let mut r = Reader::big(client);
    if !is_request(&mut r)? {
        return Ok(None);
    }
    let Some(mut data) = unit(&mut r)? else {
        return Ok(None);
    };
    // A data unit of class 0 (X.224 13.7), that ends its message or not.
    let [len, kind, end] = data.array()?;
    if (len, kind) != (2, 0xf0) || end & 0x7f != 0 {
        return Ok(None);
    }
    Ok(match data.clone().u8()? {
        0x32 | 0x72 => Some(User::Controller),
        CONNECT => Some(match has_message_transfer(data.rest()) {
            true => User::MessageTransfer,
            false => User::Session,
        }),
        _ => None,
    })
}

/// What a data unit is to S7: a job of a client (1), an acknowledgement of a controller (2, 3), or user
/// data of either (7), with a reserved zero behind that.
fn job(bytes: &[u8]) -> Look {
    let data = unit(&mut Reader::big(bytes)).ok().flatten();
    match data.and_then(|mut data| data.array().ok()) {
        Some([2, 0xf0, 0x80, 0x32, 1, 0, 0]) => Look::By(Role::Client),
        Some([2, 0xf0, 0x80, 0x32, 2 | 3, 0, 0]) => Look::By(Role::Server),
        Some([2, 0xf0, 0x80, 0x32, 7, 0, 0]) => Look::ByEither,
        _ => Look::Other,
    }
}

/// A session's CONNECT (X.225 8.3.1).
const CONNECT: u8 = 0x0d;

/// A connection request (X.224 13.3) that names selectors, as those of RDP do not.
fn is_request(r: &mut Reader) -> Result<bool, Short> {
    let Some(mut request) = unit(r)? else {
        return Ok(false);
    };
    let all = request.left();
    let (len, kind) = (usize::from(request.u8()?), request.u8()?);
    let (destination, _source, class) = (request.u16()?, request.u16()?, request.u8()?);
    if len + 1 != all || kind != 0xe0 || destination != 0 || class & 0xf0 != 0 {
        return Ok(false);
    }
    let mut selectors = 0;
    while request.left() > 0 {
        let (parameter, len) = (request.u8()?, request.u8()?);
        let Ok(()) = request.skip(len.into()) else {
            return Ok(false);
        };
        selectors += usize::from(matches!(parameter, 0xc1 | 0xc2));
    }
    Ok(selectors > 0)
}

/// The next packet's unit (RFC 1006 6); `None` if it is no packet.
fn unit<'a>(r: &mut Reader<'a>) -> Result<Option<Reader<'a>>, Short> {
    if r.u8()? != 3 || r.u8()? != 0 {
        return Ok(None);
    }
    match r.u16()?.checked_sub(4) {
        Some(len @ 7..) => r.sub(len.into()).map(Some),
        _ => Ok(None),
    }
}

/// Whether a CONNECT asks for message transfer: by an application context of message handling, or,
/// as in 1984, by reliable transfer directly in the session with its number.
fn has_message_transfer(connect: &[u8]) -> bool {
    let has = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).any(|one| one == mark);
    // joint-iso-itu-t(2) mhs(6) protocols(0), as an object identifier of four or more bytes.
    if has(connect, b"\x06\x04\x56\x00") {
        return true;
    }
    // User data (X.225 8.3.1.22) that begins with the SET of X.228 7, or with that under its tag;
    // the application protocol in it is 1 of 1984, or 12 of 1988.
    let begins = |set: u8| {
        let mut rest = connect.windows(3);
        rest.any(|one| matches!(one, [0xc1, _, first] if *first == set))
    };
    (begins(0x31) || begins(0xb0))
        && (has(connect, b"\x84\x01\x01") || has(connect, b"\x84\x01\x0c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(definition: &Definition) -> &'static [u8] {
        definition.examples[0].client
    }

    #[test]
    fn the_users_of_the_port_are_told_by_their_first_data() {
        assert_eq!(user(of(&STREAM)), Ok(Some(User::Session)));
        assert_eq!(user(of(&S7_STREAM)), Ok(Some(User::Controller)));
        for example in X400_STREAM.examples {
            assert_eq!(user(example.client), Ok(Some(User::MessageTransfer)));
        }
    }

    #[test]
    fn nothing_is_decided_before_the_data_is_there() {
        for definition in [&STREAM, &X400_STREAM, &S7_STREAM] {
            let whole = of(definition);
            for len in 0..whole.len() {
                assert_eq!(user(&whole[..len]), Err(Short), "{len}");
            }
        }
    }

    #[test]
    fn a_controller_is_known_in_the_middle_of_a_connection_by_whoever_speaks() {
        let said = |kind: u8| {
            let job = [
                3, 0, 0, 17, 2, 0xf0, 0x80, 0x32, kind, 0, 0, 0, 1, 0, 0, 0, 0,
            ];
            let opening = Opening {
                forward: &job,
                reverse: b"",
                ports: (50_000, 102),
                from_start: false,
            };
            (S7_STREAM.probe)(&opening)
        };
        assert_eq!(said(1), Probe::Yes(Some(Direction::Forward)));
        assert_eq!(said(3), Probe::Yes(Some(Direction::Reverse)));
        assert_eq!(said(7), Probe::Yes(None));
        assert_eq!(said(4), Probe::No);
    }

    #[test]
    fn a_request_of_rdp_and_other_units_are_none_of_them() {
        let rdp = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0";
        assert_eq!(user(rdp), Ok(None));
        for (place, byte) in [
            (0, 2),
            (1, 1),
            (3, 4),
            (4, 0x10),
            (5, 0xd0),
            (6, 1),
            (10, 0x40),
            (12, 99),
            (27, 0xe0),
            (29, 0x0e),
        ] {
            let mut other = of(&STREAM).to_vec();
            other[place] = byte;
            assert_ne!(user(&other), Ok(Some(User::Session)), "{place}");
        }
        // Manufacturing messages, which have a session and an application context of their own.
        let mut other = of(&X400_STREAM).to_vec();
        let end = other.len() - 4;
        other[end] = 0x28;
        assert_eq!(user(&other), Ok(Some(User::Session)));
    }

    #[test]
    fn a_unit_of_the_greatest_length_is_looked_at() {
        let mut long = of(&STREAM).to_vec();
        let start = 22;
        long[start + 2..start + 4].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(user(&long), Err(Short));
        long.resize(start + 0xffff, 0);
        assert_eq!(user(&long), Ok(Some(User::Session)));
    }
}
