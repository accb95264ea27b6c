//! Microsoft Media Server protocol (MS-MMSP) over TCP: the player, and the UDP port that it wants
//! the media at.

use crate::dissect::cutter::Cutter;
use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, filled, probe_stream,
};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::{Field, Protocol};

/// Microsoft Media Server protocol (MS-MMSP).
pub const PROTOCOL: Protocol = Protocol::new(&["mms", "MMS"]);

/// What a player calls itself when it connects (MS-MMSP 2.2.4.17).
const PLAYER: Field = Field::new(&["mms-player", "player"]);

/// The funnel: where the player wants the media over UDP (MS-MMSP 2.2.4.18).
const MEDIA: Assignment = Assignment {
    name: "mms-media",
    application: "MMS media",
    lead: "MMS set the port up",
    protocol: PROTOCOL,
};

/// MMS over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[1755],
    begins: FirstBytes::of(b"\x01"),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Session::default())),
    says: &[PLAYER],
    examples: &[Example {
        port: 1755,
        client: &filled::<96>(
            b"\x01\0\0\0\xce\xfa\x0b\xb0\x50\0\0\0MMS \x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \x08\0\0\0\x01\0\x03\0",
            0,
        ),
        server: b"",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match Header::read(bytes)? {
        Some(header) => Look::By(header.sender),
        None => Look::Other,
    })
}

/// The header of a message and its number (MS-MMSP 2.2.3).
struct Header {
    /// Bytes of the message, this header included.
    len: usize,
    sender: Role,
    message: u16,
}

/// Bytes up to and with the number of a message.
const HEADER: usize = 40;

/// The longest message, in bytes: strings in it are shorter than 64 KiB each, and few.
const MAX_MESSAGE: u32 = 256 * 1024;

impl Header {
    fn read(bytes: &[u8]) -> Result<Option<Header>, Short> {
        let mut r = Reader::little(bytes);
        for expected in SIGNATURE {
            if r.u8()? != *expected {
                return Ok(None);
            }
        }
        let len = r.u32()?;
        if r.array()? != *b"MMS " || !(32..MAX_MESSAGE).contains(&len) {
            return Ok(None);
        }
        r.skip(4 + 4 + 8 + 4)?; // chunks, sequence, time, chunks
        let message = r.u16()?;
        let sender = match r.u16()? {
            3 => Role::Client,
            4 => Role::Server,
            _ => return Ok(None),
        };
        let Ok(len) = usize::try_from(len + 16) else {
            return Ok(None);
        };
        Ok(Some(Header {
            len,
            sender,
            message,
        }))
    }
}

/// A version, and a session that is the same everywhere.
const SIGNATURE: &[u8] = b"\x01\0\0\0\xce\xfa\x0b\xb0";

/// Follows the player's messages. What the server sends is media, mostly.
#[derive(Default)]
struct Session {
    cutters: [Cutter; 2],
    is_server: [bool; 2],
}

/// How much of a message is kept: its names are shorter.
const KEPT: usize = 1024;

impl Dissector for Session {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        if self.is_server[from.index()] {
            return Progress::More;
        }
        let cutter = &mut self.cutters[from.index()];
        let mut r = Reader::little(bytes);
        while r.left() > 0 {
            let begins = |mut at: Reader| matches!(Header::read(at.rest()), Ok(Some(_)));
            if cutter.find_boundary(&mut r, HEADER, begins).is_none() {
                break;
            }
            cutter.pass_over(&mut r);
            if cutter.fill(HEADER, &mut r).is_none() {
                break;
            }
            let Ok(Some(header)) = Header::read(&cutter.pending) else {
                cutter.lose();
                continue;
            };
            if header.sender == Role::Server {
                self.is_server[from.index()] = true;
                break;
            }
            if cutter.fill(header.len.min(KEPT), &mut r).is_none() {
                break;
            }
            found.extend(claim(&header, &cutter.pending, from));
            cutter.skip_rest(header.len);
            cutter.pending.clear();
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.cutters[from.index()].gap(missing);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

const CONNECT: u16 = 1;
const CONNECT_FUNNEL: u16 = 2;

fn claim(header: &Header, message: &[u8], by: Direction) -> Option<Claim> {
    let mut r = Reader::little(message);
    r.skip(HEADER).ok()?;
    match header.message {
        CONNECT => {
            r.skip(12).ok()?; // incarnation, two revisions
            let text = names::utf16(r.rest());
            let field = PLAYER;
            (!text.is_empty()).then_some(Claim::Said { field, text, by })
        }
        CONNECT_FUNNEL => {
            r.skip(20).ok()?; // incarnation, three limits, mode
            let at = funnel(&names::utf16(r.rest()))?;
            let (by, listener) = (&MEDIA, by);
            Some(Claim::Assigned { by, at, listener })
        }
        _ => None,
    }
}

/// `\\192.0.2.1\UDP\1234`; `None` where the media go over TCP.
fn funnel(name: &str) -> Option<Endpoint> {
    let mut parts = name.strip_prefix("\\\\")?.split('\\');
    let (address, transport, port) = (parts.next()?, parts.next()?, parts.next()?);
    let port: u16 = port.trim().parse().ok()?;
    (transport.eq_ignore_ascii_case("UDP") && port != 0).then_some(Endpoint::Port {
        address: address.parse().ok(),
        protocol: IpProtocol::UDP,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// A message with this number, these fields after it, and a name.
    fn message(number: u32, fields: usize, name: &str) -> Vec<u8> {
        let name: Vec<u8> = name
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        let body = [vec![0; fields], name].concat();
        let len = u32::try_from(24 + body.len()).expect("a small sample");
        [
            SIGNATURE,
            &len.to_le_bytes(),
            b"MMS ",
            &[0; 20],
            &number.to_le_bytes(),
            &body,
        ]
        .concat()
    }

    fn connect() -> Vec<u8> {
        message(0x0003_0001, 12, "NSPlayer/9.0.0.2980; {1}; Host: media")
    }

    fn asks(funnel: &str) -> Vec<u8> {
        message(0x0003_0002, 20, funnel)
    }

    fn claims(pieces: &[&[u8]]) -> Vec<Claim> {
        let (mut session, mut found) = (Session::default(), Vec::new());
        for piece in pieces {
            session.feed(Forward, piece, &mut found);
        }
        found
    }

    fn media(port: u16) -> Claim {
        Claim::Assigned {
            by: &MEDIA,
            at: Endpoint::Port {
                address: Some([192, 0, 2, 1].into()),
                protocol: IpProtocol::UDP,
                port,
            },
            listener: Forward,
        }
    }

    #[test]
    fn the_player_and_its_port_are_claimed_wherever_they_are_torn() {
        let talk = [connect(), asks("\\\\192.0.2.1\\UDP\\1234")].concat();
        let player = Claim::Said {
            field: PLAYER,
            text: "NSPlayer/9.0.0.2980; {1}; Host: media".into(),
            by: Forward,
        };
        for cut in 0..talk.len() {
            let (left, right) = talk.split_at(cut);
            assert_eq!(
                claims(&[left, right]),
                [player.clone(), media(1234)],
                "{cut}"
            );
        }
    }

    #[test]
    fn media_over_tcp_need_no_port() {
        for name in [
            "\\\\192.0.2.1\\TCP\\1234",
            "\\\\192.0.2.1\\UDP\\0",
            "\\\\192.0.2.1\\UDP",
            "192.0.2.1",
            "",
        ] {
            assert_eq!(claims(&[&asks(name)]), [], "{name}");
        }
    }

    #[test]
    fn of_a_long_message_the_beginning_is_kept() {
        let long = message(0x0003_0033, 200_000, "");
        let (mut session, mut found) = (Session::default(), Vec::new());
        for part in [long, asks("\\\\192.0.2.1\\UDP\\1234")]
            .concat()
            .chunks(1000)
        {
            session.feed(Forward, part, &mut found);
            assert!(session.cutters[0].pending.len() <= KEPT);
        }
        assert_eq!(found, [media(1234)]);
    }

    #[test]
    fn after_a_gap_the_next_message_is_found() {
        let (mut session, mut found) = (Session::default(), Vec::new());
        let first = connect();
        session.feed(Forward, Reader::big(&first).up_to(50), &mut found);
        session.gap(Forward, None);
        let rest = [&b"noise"[..], &asks("\\\\192.0.2.1\\UDP\\1234")].concat();
        session.feed(Forward, &rest, &mut found);
        assert_eq!(found, [media(1234)]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let answer = message(0x0004_0001, 12, "");
        assert_eq!(look(&answer), Ok(Look::By(Role::Server)));
        assert_eq!(look(&message(0x0005_0001, 12, "")), Ok(Look::Other));
        assert_eq!(look(b"\x01\0\0\0\xce\xfa\x0b\xb1"), Ok(Look::Other));
        let (mut session, mut found) = (Session::default(), Vec::new());
        session.feed(Reverse, &answer, &mut found);
        session.feed(Reverse, &connect(), &mut found);
        assert_eq!(found, []);
    }
}
