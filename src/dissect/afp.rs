//! Apple Filing Protocol over DSI (Data Stream Interface): what the server says that it is.

use crate::dissect::cutter::Cutter;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Apple Filing Protocol over DSI.
pub const PROTOCOL: Protocol = Protocol::new(&["afp", "AFP"]);

/// The name of the server in its status (FPGetSrvrInfo).
const SERVER: Field = Field::new(&["afp-server", "AFP server"]);
/// The machine type in the same: `Windows NT`, `Netatalk3.1.12`.
const MACHINE: Field = Field::new(&["afp-machine", "AFP machine type"]);

/// AFP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[548],
    begins: FirstBytes::of(b"\0\x01"),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Status::default())),
    says: &[SERVER, MACHINE],
    examples: &[
        Example {
            port: 548,
            client: b"\0\x04\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\x01\x04\0\0\x10\0",
            server: b"\x01\x04\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\x04\0\x10\0\0",
        },
        Example {
            port: 548,
            client: b"\0\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0\0",
            server: b"",
        },
    ],
};

const GET_STATUS: u8 = 3;
const OPEN_SESSION: u8 = 4;

/// The header of a message (AFP Programming Guide, Data Stream Interface).
struct Header {
    is_reply: bool,
    command: u8,
    request: u16,
    /// Error of a reply; of a request an offset that only writing has.
    code: u32,
    len: u32,
}

impl Header {
    const LEN: usize = 16;

    fn read(bytes: &[u8]) -> Result<Option<Header>, Short> {
        let mut r = Reader::big(bytes);
        let (flags, command) = (r.u8()?, r.u8()?);
        if flags > 1 || !matches!(command, 1..=6 | 8) {
            return Ok(None);
        }
        let header = Header {
            is_reply: flags == 1,
            command,
            request: r.u16()?,
            code: r.u32()?,
            len: r.u32()?,
        };
        Ok((r.u32()? == 0).then_some(header))
    }
}

/// The first message of a connection opens a session, with options, or asks for the status.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let Some(header) = Header::read(bytes)? else {
        return Ok(Look::Other);
    };
    let mut r = Reader::big(bytes);
    r.skip(Header::LEN)?;
    // An option has a kind, its length, and a number of four bytes: there are three kinds.
    let options = |mut r: Reader| {
        for _ in 0..header.len / 6 {
            let (kind, len) = (r.u8()?, r.u8()?);
            r.skip(4)?;
            if kind > 2 || len != 4 {
                return Ok(false);
            }
        }
        Ok(header.len.is_multiple_of(6) && (6..=18).contains(&header.len))
    };
    let role = match header.is_reply {
        true => Role::Server,
        false => Role::Client,
    };
    let is_first = header.code == 0 && header.request != 0;
    let fits = match (header.command, header.is_reply) {
        _ if !is_first => false,
        (OPEN_SESSION, _) => options(r)?,
        // Sixteen bytes of which all but two are fixed, with nothing after them.
        (GET_STATUS, false) => header.len == 0 && r.left() == 0,
        _ => false,
    };
    Ok(match fits {
        true => Look::By(role),
        false => Look::Other,
    })
}

/// The longest status that is read. It has an icon of 256 bytes, names and lists of words.
const MAX_STATUS: usize = 4096;

/// Waits for the server's status.
#[derive(Default)]
struct Status {
    ways: [Cutter; 2],
}

impl Dissector for Status {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let cutter = &mut self.ways[from.index()];
        let mut r = Reader::big(bytes);
        while cutter.lost() == 0 {
            cutter.pass_over(&mut r);
            if cutter.fill(Header::LEN, &mut r).is_none() {
                return Progress::More;
            }
            let Ok(Some(header)) = Header::read(&cutter.pending) else {
                return Progress::Done;
            };
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            let end = len.saturating_add(Header::LEN);
            match (header.is_reply, header.command) {
                (true, GET_STATUS) if header.code == 0 && len <= MAX_STATUS => {
                    if cutter.fill(end, &mut r).is_none() {
                        return Progress::More;
                    }
                    let mut status = Reader::big(&cutter.pending);
                    // A status that ends early says what it has said.
                    let _ = (status.skip(Header::LEN)).and_then(|()| read(status, from, found));
                    return Progress::Done;
                }
                // A session is open: its status is not asked for.
                (true, OPEN_SESSION) => return Progress::Done,
                _ => cutter.skip_rest(end),
            }
            cutter.pending.clear();
        }
        Progress::Done
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.ways[from.index()].gap(missing);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Reads a status (FPGetSrvrInfo): offsets, flags, and the server's name; the machine type is where
/// the first offset says.
fn read(mut r: Reader, by: Direction, found: &mut Vec<Claim>) -> Result<(), Short> {
    let mut machine = r.clone();
    machine.skip(usize::from(r.u16()?))?;
    r.skip(8)?;
    for (field, mut text) in [(SERVER, r), (MACHINE, machine)] {
        let len = usize::from(text.u8()?);
        let text = names::text(text.take(len)?);
        if !text.is_empty() {
            found.push(Claim::Said { field, text, by });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_torn_is_whole, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    const ASKS: &[u8] = b"\0\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0\0";

    fn reply(status: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 3, 0, 1, 0, 0, 0, 0];
        bytes.extend((status.len() as u32).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(status);
        bytes
    }

    const STATUS: &[u8] = b"\0\x0f\0\0\0\0\0\0\x83\xfb\x04MACS\x0aWindows NT";

    fn said(field: Field, text: &str) -> Claim {
        Claim::Said {
            field,
            text: text.into(),
            by: Reverse,
        }
    }

    #[test]
    fn a_status_says_name_and_machine() {
        let answers = reply(STATUS);
        let talk = [(Forward, ASKS), (Reverse, &answers[..])];
        let expected = [said(SERVER, "MACS"), said(MACHINE, "Windows NT")];
        assert_eq!(claims(&STREAM, &talk), expected);
        assert_torn_is_whole(&STREAM, &talk);
    }

    #[test]
    fn only_a_first_message_is_known() {
        let opens = STREAM.examples[0].client;
        assert_eq!(look(opens), Ok(Look::By(Role::Client)));
        for (place, byte) in [
            (0, 2),
            (1, 2),
            (1, 7),
            (3, 0),
            (7, 1),
            (11, 7),
            (15, 1),
            (16, 3),
        ] {
            let mut other = opens.to_vec();
            other[place] = byte;
            assert_eq!(look(&other), Ok(Look::Other), "{place}");
        }
        for len in 2..opens.len() {
            assert_eq!(look(&opens[..len]), Err(Short), "{len}");
        }
        assert_eq!(look(&[ASKS, b"x"].concat()), Ok(Look::Other));
    }

    #[test]
    fn a_status_cut_short_says_no_more_than_it_has() {
        for len in 0..STATUS.len() {
            let found = claims(
                &STREAM,
                &[(Forward, ASKS), (Reverse, &reply(&STATUS[..len]))],
            );
            assert!(!found.contains(&said(MACHINE, "Windows NT")), "{len}");
        }
    }

    #[test]
    fn a_status_longer_than_the_bound_is_passed_over() {
        let long = reply(&vec![0xa5; MAX_STATUS + 1]);
        let (mut status, mut found) = (Status::default(), Vec::new());
        status.feed(Reverse, &long, &mut found);
        assert!(status.ways[1].pending.is_empty() && found.is_empty());
        status.feed(Reverse, &reply(STATUS), &mut found);
        assert_eq!(found.len(), 2);
    }
}
