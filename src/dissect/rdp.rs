//! Remote Desktop Protocol (MS-RDPBCGR 2.2.1): an X.224 connection request in TPKT, its answer,
//! and where nothing is encrypted then, whether a remote desktop or a conference is begun.

use crate::dissect::messages::{Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::begins;
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role, ber, names,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Remote Desktop Protocol (MS-RDPBCGR).
pub const PROTOCOL: Protocol = Protocol::new(&["rdp", "RDP"]);

/// By what the client wants to be sent to the right host: `mstshash=me`.
const COOKIE: Field = Field::new(&["rdp-cookie", "cookie"]);

/// How the server says the connection will be protected.
const SECURITY: Field = Field::new(&["rdp-security", "security"]);

/// What the opening of a T.120 conference carries: the key of RDP's own data, `Duca` or `McDn`; or
/// `conference`, where it is a conference and nothing else, as NetMeeting's are.
const USER_DATA: Field = Field::new(&["t120-user-data", "opens T.120 with"]);

/// RDP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::of(b"\x03"),
    probe,
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Connection::default()))),
    says: &[COOKIE, SECURITY, USER_DATA],
    examples: &[
        Example {
            port: 3389,
            client: b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0",
            server: b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x02\x1f\x08\0\x02\0\0\0",
        },
        Example {
            port: 3390,
            client: b"\x03\0\0$\x1f\xe0\0\0\0\0\0Cookie: mstshash=me\r\n\r\n",
            server: b"",
        },
    ],
};

const PORT: u16 = 3389;

fn probe(opening: &Opening) -> Probe {
    probe_stream(opening, |bytes| look(bytes, opening.has_port(PORT)))
}

fn look(bytes: &[u8], on_usual_port: bool) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u8()? != 3 || r.u8()? != 0 {
        return Ok(Look::Other);
    }
    let len = usize::from(r.u16()?);
    // The X.224 length counts what comes after itself.
    if len < 11 || usize::from(r.u8()?) + 5 != len {
        return Ok(Look::Other);
    }
    let role = match r.u8()? {
        0xe0 => Role::Client,
        0xd0 => Role::Server,
        _ => return Ok(Look::Other),
    };
    let (destination, _source, class) = (r.u16()?, r.u16()?, r.u8()?);
    if class != 0 || (role == Role::Client && destination != 0) {
        return Ok(Look::Other);
    }
    // Other users of X.224 put their selectors here; old RDP puts nothing, which says nothing.
    if len == 11 {
        return Ok(match on_usual_port {
            true => Look::By(role),
            false => Look::Other,
        });
    }
    let rest = r.rest();
    let marks: &[&[u8]] = match role {
        Role::Client => &[b"Cookie: ", b"tsv:", &[1], &[6]],
        Role::Server => &[&[2], &[3]],
    };
    for mark in marks {
        if begins(rest, mark)? && (mark.len() > 1 || is_negotiation(rest)?) {
            return Ok(Look::By(role));
        }
    }
    Ok(Look::Other)
}

/// RDP_NEG_REQ and its answers: kind, flags, and the length eight, little-endian.
fn is_negotiation(bytes: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::little(bytes);
    let (kind, _flags, len) = (r.u8()?, r.u8()?, r.u16()?);
    Ok(len == if kind == 6 { 36 } else { 8 })
}

/// TPKT (RFC 1006 6). What opens a connection fits into one or two segments.
const FRAMING: Framing = Framing {
    len: |mut r| {
        if r.u8()? != 3 || r.u8()? != 0 {
            return Ok(None); // TLS, or RDP's fast path: the opening is over
        }
        let len = usize::from(r.u16()?);
        Ok((len >= TPKT_LEN).then_some(len))
    },
    most: 4096,
    begins: |_| false, // what opens a connection comes once
};

const TPKT_LEN: usize = 4;

/// X.224 TPDUs (X.224 13).
mod tpdu {
    pub const REQUEST: u8 = 0xe0;
    pub const CONFIRM: u8 = 0xd0;
    pub const DATA: u8 = 0xf0;
}

/// The protocols among which a server selects, by their numbers (MS-RDPBCGR 2.2.1.2.1).
const SECURITIES: &[(u32, &str)] = &[
    (0, "RDP"),
    (1, "TLS"),
    (2, "CredSSP"),
    (4, "RDSTLS"),
    (8, "CredSSP with early authorization"),
    (16, "RDS AAD"),
];

/// Reads the messages that open a connection.
#[derive(Default)]
struct Connection {
    said: Sayings,
}

impl Listener for Connection {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.open(from, message, found).unwrap_or(Progress::Done)
    }
}

impl Connection {
    fn open(
        &mut self,
        from: Direction,
        message: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<Progress, Short> {
        let mut r = Reader::little(message);
        r.skip(TPKT_LEN)?;
        let len = usize::from(r.u8()?);
        let mut head = r.sub(len)?;
        match head.u8()? {
            tpdu::REQUEST => {
                head.skip(5)?;
                if let Some(cookie) = head.rest().strip_prefix(b"Cookie: ") {
                    self.said.say(COOKIE, names::text(cookie), from, found);
                }
                Ok(Progress::More)
            }
            tpdu::CONFIRM => {
                head.skip(5)?;
                // Old servers select nothing: what follows is RDP's own.
                let selected = match head.left() {
                    0 => 0,
                    _ => selected(head)?,
                };
                let known = SECURITIES.iter().find(|(number, _)| *number == selected);
                let name = known.map(|(_, name)| (*name).to_owned());
                self.said
                    .say(SECURITY, name.unwrap_or_default(), from, found);
                match selected {
                    0 => Ok(Progress::More),
                    _ => Ok(Progress::Done),
                }
            }
            tpdu::DATA => {
                self.said.say(USER_DATA, user_data(r)?, from, found);
                Ok(Progress::Done)
            }
            _ => Ok(Progress::Done),
        }
    }
}

/// RDP_NEG_RSP: kind 2, flags, the length eight, what is selected.
fn selected(mut r: Reader) -> Result<u32, Short> {
    match (r.u8()?, r.u8()?, r.u16()?) {
        (2, _, 8) => r.u32(),
        _ => Err(Short),
    }
}

/// What an MCS Connect-Initial or Connect-Response carries (T.125 7); empty where that is another
/// thing than a conference (T.124 8.7).
fn user_data(mut r: Reader) -> Result<String, Short> {
    const OCTETS: u8 = 0x04;
    /// The object identifier of T.124: 0.0.20.124.0.1.
    const CONFERENCE: &[u8] = &[0, 5, 0, 0x14, 0x7c, 0, 1];
    /// How far behind it RDP's key stands: 13 bytes, where lengths take two.
    const KEY_WITHIN: usize = 24;
    let kind = (r.u8()?, r.u8()?);
    // The length of it all; the fields it counts follow.
    let first = r.u8()?;
    if first > 0x80 {
        r.skip((first & 0x7f).into())?;
    }
    let fields = match kind {
        (0x7f, 0x65) => 6, // two selectors, a flag, three sets of parameters
        (0x7f, 0x66) => 3, // a result, a number, parameters
        _ => return Ok(String::new()),
    };
    let mut r = Reader::big(r.rest());
    for _ in 0..fields {
        ber::element(&mut r)?;
    }
    let mut data = ber::expect(&mut r, OCTETS)?;
    if data.take(CONFERENCE.len())? != CONFERENCE {
        return Ok(String::new());
    }
    let opening = data.up_to(KEY_WITHIN);
    let has = |key: &[u8]| opening.windows(key.len()).any(|part| part == key);
    let key = match (has(b"Duca"), has(b"McDn")) {
        (true, _) => "Duca",
        (_, true) => "McDn",
        _ => "conference",
    };
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::dissect::messages::samples::{said, torn};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn tpkt(body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16 + 4).to_be_bytes();
        [&[3, 0, len[0], len[1]], body].concat()
    }

    fn x224(kind: u8, rest: &[u8]) -> Vec<u8> {
        let len = rest.len() as u8 + 6;
        tpkt(&[&[len, kind, 0, 0, 0x12, 0x34, 0], rest].concat())
    }

    /// A Connect-Initial whose user data end like this.
    fn connect(data: &[u8]) -> Vec<u8> {
        let data = [&b"\0\x05\0\x14\x7c\0\x01"[..], data].concat();
        let data = [&[4, data.len() as u8], &data[..]].concat();
        let fields =
            b"\x04\x01\x01\x04\x01\x01\x01\x01\xff\x30\x03\x02\x01\x22\x30\x03\x02\x01\x01\
            \x30\x03\x02\x01\x05";
        let all = [&fields[..], &data].concat();
        tpkt(
            &[
                b"\x02\xf0\x80\x7f\x65\x82",
                &(all.len() as u16).to_be_bytes()[..],
                &all,
            ]
            .concat(),
        )
    }

    fn stream() -> Box<dyn Dissector> {
        Box::new(Stream::new(&FRAMING, Connection::default()))
    }

    #[test]
    fn a_client_shows_its_cookie_and_a_server_selects() {
        let asked = x224(0xe0, b"Cookie: mstshash=me\r\n\x01\0\x08\0\x03\0\0\0");
        let answer = x224(0xd0, b"\x02\x1f\x08\0\x02\0\0\0");
        let talk: [(_, &[u8]); 3] = [
            (Forward, &asked),
            (Reverse, &answer),
            (Forward, b"\x16\x03\x01\0\x05hello"),
        ];
        let all = ["rdp-cookie: mstshash=me", "rdp-security: CredSSP"];
        assert_eq!(said(stream().as_mut(), &talk), all);
        torn(&stream, &talk);
    }

    #[test]
    fn a_remote_desktop_is_told_from_a_conference() {
        let opened = [x224(0xe0, b""), x224(0xd0, b"")];
        for (data, told) in [
            (&b"\x80\xb2\0\x08\0\x10\0\x01\xc0\0Duca\x80\xa4"[..], "Duca"),
            (b"\x2a\0\x08\0\x05\0NetMeeting\0", "conference"),
        ] {
            let connect = connect(data);
            let talk: [(_, &[u8]); 3] = [
                (Forward, &opened[0]),
                (Reverse, &opened[1]),
                (Forward, &connect),
            ];
            let all = [
                "rdp-security: RDP".to_owned(),
                format!("t120-user-data: {told}"),
            ];
            assert_eq!(said(stream().as_mut(), &talk), all);
            torn(&stream, &talk);
        }
    }

    #[test]
    fn what_opens_nothing_says_nothing() {
        for other in [
            x224(0x80, b""),
            x224(0xd0, b"\x03\0\x08\0\x05\0\0\0"),
            tpkt(b"\x02\xf0\x80\x64\0\0"),
            tpkt(b"\xff\xf0"),
        ] {
            assert!(
                said(stream().as_mut(), &[(Forward, &other)]).is_empty(),
                "{other:x?}"
            );
        }
    }

    #[test]
    fn an_opening_that_is_longer_than_what_is_kept_is_read_as_far_as_that() {
        let long = tpkt(&[&b"\x02\xf0\x80\x7f\x65\x82\xff\xff"[..], &[4; 60_000]].concat());
        assert!(said(stream().as_mut(), &[(Forward, &long)]).is_empty());
    }
}
