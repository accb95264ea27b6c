//! NetBIOS session service (RFC 1002 4.3): asks for a name, then carries SMB.

use crate::dissect::netbios_name::{Uses, encoded};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Progress, Role, probe_stream,
    smb,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::netbios::{NameUse, NetbiosName};
use crate::model::protocol::Protocol;

/// NetBIOS session service (RFC 1002 4.3).
pub const PROTOCOL: Protocol = Protocol::new(&["netbios-session", "NetBIOS Session Service"]);

/// NetBIOS sessions over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[139],
    begins: FirstBytes::range(kind::REQUEST, kind::NEGATIVE),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|opening| Box::new(Session::new(opening))),
    says: smb::STREAM.says,
    examples: &[
        Example {
            port: 139,
            client: b"\x81\0\0D CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        A\0",
            server: b"\x82\0\0\0",
        },
        Example {
            port: 139,
            client: b"\x81\0\0D CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        A\0",
            server: b"\x83\0\0\x01\x82",
        },
    ],
};

/// Packet types (RFC 1002 4.3.1).
mod kind {
    pub const REQUEST: u8 = 0x81;
    pub const POSITIVE: u8 = 0x82;
    pub const NEGATIVE: u8 = 0x83;
}

/// Bytes in front of each packet.
const HEADER_LEN: usize = 4;

/// The longest session request: two names with scopes, which make 255 bytes each at most (RFC 1001
/// 14.1).
const MAX_REQUEST: usize = HEADER_LEN + 2 * 255;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (kind, flags) = (r.u8()?, r.u8()?);
    if !(kind::REQUEST..=kind::NEGATIVE).contains(&kind) || flags != 0 {
        return Ok(Look::Other);
    }
    let len = r.u16()?;
    Ok(match kind {
        // Two names of 34 bytes, more with a scope.
        kind::REQUEST if len >= 68 && encoded(&mut r)?.is_some() => Look::By(Role::Client),
        kind::POSITIVE if len == 0 && r.left() == 0 => Look::By(Role::Server),
        kind::NEGATIVE if len == 1 && matches!(r.u8()?, 0x80..=0x83 | 0x8f) => {
            Look::By(Role::Server)
        }
        _ => Look::Other,
    })
}

/// Follows the request for a session and its answer, and hands everything on to SMB.
struct Session {
    stage: Stage,
    uses: Uses,
    smb: Box<dyn Dissector>,
}

/// How far the opening is read.
enum Stage {
    /// The request is still to come whole: its beginning, bounded by [`MAX_REQUEST`].
    Asking(Direction, Vec<u8>),
    /// Somebody sent a request for this name; the other side's answer is still to come whole.
    Asked(Direction, NetbiosName, Vec<u8>),
    /// Nothing more is to be learned of names.
    Over,
}

impl Session {
    /// The first bytes are a request, or an answer to one that was not captured.
    fn new(opening: &Opening) -> Session {
        let mut sides = opening.sides();
        let caller = sides.find(|(_, bytes)| look(bytes) == Ok(Look::By(Role::Client)));
        Session {
            stage: match caller {
                Some((caller, _)) => Stage::Asking(caller, Vec::new()),
                None => Stage::Over,
            },
            uses: Uses::default(),
            smb: smb::follow_netbios(opening),
        }
    }

    /// Reads the names, as far as they have come.
    fn listen(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) {
        match &mut self.stage {
            Stage::Asking(caller, heard) if *caller == from => {
                hear(heard, bytes);
                match names(heard) {
                    Ok(Some((called, calling))) => {
                        self.uses.note(called, None, NameUse::Called, from, found);
                        self.uses.note(calling, None, NameUse::Calling, from, found);
                        self.stage = Stage::Asked(from, called, Vec::new());
                    }
                    Err(Short) if heard.len() < MAX_REQUEST => {}
                    _ => self.stage = Stage::Over,
                }
            }
            Stage::Asked(caller, called, heard) if *caller != from => {
                hear(heard, bytes);
                let called = *called;
                match Reader::big(heard).array() {
                    Ok([kind::POSITIVE, 0, 0, 0]) => {
                        self.uses.note(called, None, NameUse::Accepted, from, found);
                        self.stage = Stage::Over;
                    }
                    Ok(_) => self.stage = Stage::Over,
                    Err(Short) => {}
                }
            }
            _ => {}
        }
    }
}

/// Keeps what may still belong to the opening.
fn hear(heard: &mut Vec<u8>, bytes: &[u8]) {
    heard.extend_from_slice(Reader::big(bytes).up_to(MAX_REQUEST - heard.len()));
}

/// The called and the calling name of a request; `None` if it is none.
fn names(request: &[u8]) -> Result<Option<(NetbiosName, NetbiosName)>, Short> {
    let mut r = Reader::big(request);
    if r.u8()? != kind::REQUEST {
        return Ok(None);
    }
    r.skip(HEADER_LEN - 1)?;
    Ok(match encoded(&mut r)? {
        Some(called) => encoded(&mut r)?.map(|calling| (called, calling)),
        None => None,
    })
}

impl Dissector for Session {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.listen(from, bytes, found);
        self.smb.feed(from, bytes, found)
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.stage = Stage::Over;
        self.smb.gap(from, missing);
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        self.smb.finish(found);
    }

    fn kept(&self) -> usize {
        self.smb.kept()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::netbios_name::samples::{name, on_the_wire};
    use crate::model::evidence::Direction::{Forward, Reverse};

    const POSITIVE: &[u8] = &[0x82, 0, 0, 0];
    const NEGATIVE: &[u8] = &[0x83, 0, 0, 1, 0x82];

    fn request(suffix: u8) -> Vec<u8> {
        let names = [on_the_wire(name(suffix)), on_the_wire(name(0))].concat();
        [&[0x81, 0, 0, 68], &names[..]].concat()
    }

    fn claims(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let request = request(0x20);
        let opening = Opening {
            forward: &request,
            reverse: &[],
            ports: (50_000, 139),
            from_start: true,
        };
        let (mut session, mut found) = (Session::new(&opening), Vec::new());
        for (from, bytes) in talk {
            session.feed(*from, bytes, &mut found);
        }
        session.finish(&mut found);
        found
    }

    fn said(suffix: u8, used: NameUse, by: Direction) -> Claim {
        Claim::NetbiosName {
            name: name(suffix),
            kind: None,
            used,
            by,
        }
    }

    fn accepted() -> [Claim; 3] {
        [
            said(0x03, NameUse::Called, Forward),
            said(0, NameUse::Calling, Forward),
            said(0x03, NameUse::Accepted, Reverse),
        ]
    }

    #[test]
    fn an_accepted_session_names_both_sides() {
        let found = claims(&[(Forward, &request(0x03)), (Reverse, POSITIVE)]);
        assert_eq!(found, accepted());
    }

    #[test]
    fn a_refused_session_is_not_accepted() {
        let found = claims(&[
            (Forward, &request(0x03)),
            (Reverse, NEGATIVE),
            (Reverse, POSITIVE),
        ]);
        assert_eq!(found, accepted().into_iter().take(2).collect::<Vec<_>>());
    }

    #[test]
    fn torn_at_every_byte_the_claims_are_the_same() {
        let asked = request(0x03);
        let bytes = (asked.chunks(1).map(|byte| (Forward, byte)))
            .chain(POSITIVE.chunks(1).map(|byte| (Reverse, byte)));
        assert_eq!(claims(&bytes.collect::<Vec<_>>()), accepted());
    }

    #[test]
    fn a_request_that_never_ends_is_given_up_within_a_bound() {
        let mut endless = vec![0x81, 0, 0, 200];
        endless.extend(on_the_wire(name(0x20)));
        endless.pop();
        endless.extend([1, b'x'].repeat(4000));
        assert_eq!(claims(&[(Forward, &endless), (Reverse, POSITIVE)]), []);
    }

    #[test]
    fn an_answer_alone_names_nothing() {
        assert_eq!(claims(&[(Reverse, POSITIVE)]), []);
    }
}
