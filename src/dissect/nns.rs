//! .NET NegotiateStream (MS-NNS): the frames in which two sides prove who they are, before what they
//! encrypt. They open a connection, or come within one of .NET Message Framing.

use crate::dissect::messages::{Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, ber, ntlm,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// .NET NegotiateStream (MS-NNS).
pub const PROTOCOL: Protocol = Protocol::new(&["nns", ".NET NegotiateStream"]);

/// .NET NegotiateStream over TCP, bare.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[],
    begins: FirstBytes::of(&[id::IN_PROGRESS]),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| follow()),
    says: &[ntlm::VERSION],
    examples: &[Example {
        port: 8000,
        client:
            b"\x16\x01\0\0\x28NTLMSSP\0\x01\0\0\0\xb7\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \x0a\0\x63\x45\0\0\0\x0f",
        server: b"",
    }],
};

/// Follows the frames from here on, until both sides are through.
pub fn follow() -> Box<dyn Dissector> {
    Box::new(Stream::new(&FRAMING, Handshake::default()))
}

/// What a frame says of the handshake (MS-NNS 2.2.1).
mod id {
    pub const DONE: u8 = 0x14;
    pub const ERROR: u8 = 0x15;
    pub const IN_PROGRESS: u8 = 0x16;
}

/// Bytes in front of each payload: an id, a version, a length.
const HEADER_LEN: usize = 5;

/// How much of a frame is kept: the versions of NTLM stand well before this.
const MAX_KEPT: usize = 512;

const FRAMING: Framing = Framing {
    len: |mut r| Ok(header(&mut r)?.map(|(_, len)| HEADER_LEN + len)),
    most: MAX_KEPT,
    begins: |_| false,
};

/// The id of a frame and the length of its payload; `None` if it is none of version 1.0.
fn header(r: &mut Reader) -> Result<Option<(u8, usize)>, Short> {
    let id = r.u8()?;
    if !(id::DONE..=id::IN_PROGRESS).contains(&id) || r.u8()? != 1 || r.u8()? != 0 {
        return Ok(None);
    }
    Ok(Some((id, r.u16()?.into())))
}

/// The first frame of either side: its token is one of NTLM, or one of SPNEGO or Kerberos that is
/// just as long as the payload.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    /// NEGOTIATE and CHALLENGE (MS-NLMP 2.2.1.1, 2.2.1.2).
    const NTLM: [(&[u8], Role); 2] = [
        (b"NTLMSSP\0\x01\0\0\0", Role::Client),
        (b"NTLMSSP\0\x02\0\0\0", Role::Server),
    ];
    /// A context that is asked for, and SPNEGO's answer (RFC 2743 3.1, RFC 4178 4.2).
    const TAGS: [(u8, Role); 2] = [(0x60, Role::Client), (0xa1, Role::Server)];
    let mut r = Reader::big(bytes);
    let Some((id::IN_PROGRESS, len)) = header(&mut r)? else {
        return Ok(Look::Other);
    };
    let begins = r.clone().up_to(12);
    for (start, role) in NTLM {
        if start.starts_with(begins) || begins.starts_with(start) {
            return match begins.len() < start.len() {
                true => Err(Short),
                false => Ok(Look::By(role)),
            };
        }
    }
    let tag = r.clone().u8()?;
    let Some((_, role)) = TAGS.into_iter().find(|(known, _)| *known == tag) else {
        return Ok(Look::Other);
    };
    let is_whole = ber::element_len(r.clone())? == Some(len);
    let (_, mut inner) = ber::element(&mut r)?;
    // The mechanism's name, or SPNEGO's sequence.
    let expected = if role == Role::Client { 0x06 } else { 0x30 };
    Ok(match is_whole && inner.u8()? == expected {
        true => Look::By(role),
        false => Look::Other,
    })
}

/// Hears the tokens of both sides.
#[derive(Default)]
struct Handshake {
    said: Sayings,
    /// Which sides are through.
    done: [bool; 2],
}

impl Listener for Handshake {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(message);
        let Ok(Some((id, _))) = header(&mut r) else {
            return Progress::Done;
        };
        let version = ntlm::version(r.rest()).unwrap_or_default();
        self.said.say(ntlm::VERSION, version, from, found);
        self.done[from.index()] |= id == id::DONE;
        match id == id::ERROR || self.done == [true; 2] {
            true => Progress::Done,
            false => Progress::More,
        }
    }
}

/// Frames, for the tests of protocols that carry them.
#[cfg(test)]
pub mod samples {
    use super::*;

    /// A frame with this token that goes on, or ends the handshake.
    pub fn frame(is_last: bool, token: &[u8]) -> Vec<u8> {
        let id = if is_last { id::DONE } else { id::IN_PROGRESS };
        let len = u16::try_from(token.len()).expect("a small sample");
        [&[id, 1, 0][..], &len.to_be_bytes(), token].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::frame;
    use super::*;
    use crate::dissect::messages::samples::said;
    use crate::dissect::ntlm::samples::{challenge, message};
    use crate::model::evidence::Direction::{Forward, Reverse};

    const HAS_VERSION: u32 = 0x0200_0000;
    const KERBEROS: &[u8] = b"\x60\x0d\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00";

    #[test]
    fn each_side_states_its_version_of_ntlm_wherever_it_is_torn() {
        let asked = frame(false, &message(1, HAS_VERSION, [10, 0], 19041));
        let answered = frame(false, &challenge([10, 0], 17763));
        for cut in 0..asked.len() {
            let (left, right) = asked.split_at(cut);
            let talk = [(Forward, left), (Forward, right), (Reverse, &answered[..])];
            let expected = ["ntlm-version: 10.0.19041", "ntlm-version: 10.0.17763"];
            assert_eq!(said(&mut *follow(), &talk), expected, "{cut}");
        }
    }

    #[test]
    fn once_both_are_through_nothing_more_is_wanted() {
        let mut handshake = follow();
        let (token, done) = (frame(false, KERBEROS), frame(true, b""));
        for (from, bytes, expected) in [
            (Forward, &token, Progress::More),
            (Reverse, &done, Progress::More),
            (Forward, &done, Progress::Done),
        ] {
            assert_eq!(handshake.feed(from, bytes, &mut Vec::new()), expected);
        }
    }

    #[test]
    fn a_token_tells_who_sends_it() {
        for (token, role) in [
            (message(1, 0, [0, 0], 0), Role::Client),
            (challenge([10, 0], 1), Role::Server),
            (KERBEROS.to_vec(), Role::Client),
            (b"\xa1\x04\x30\x02\xa0\x00".to_vec(), Role::Server),
        ] {
            let frame = frame(false, &token);
            assert_eq!(look(&frame), Ok(Look::By(role)), "{token:x?}");
            for len in 0..frame.len() {
                let cut = look(&frame[..len]);
                let is_open = cut == Err(Short) || cut == Ok(Look::By(role));
                assert!(is_open, "{token:x?} at {len}: {cut:?}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_is_refused() {
        for bytes in [
            // TLS's record of a handshake has version 3.
            b"\x16\x03\x01\x00\x2eNTLMSSP\0\x01\0\0\0".to_vec(),
            b"\x16\x01\x01\x00\x2eNTLMSSP\0\x01\0\0\0".to_vec(),
            frame(true, b"NTLMSSP\0\x01\0\0\0"),
            frame(false, b"NTLMSSP\0\x03\0\0\0"),
            frame(false, &[KERBEROS, b"\0"].concat()),
            frame(false, b"\x60\x04\x04\x02\x01\x00"),
        ] {
            assert_eq!(look(&bytes), Ok(Look::Other), "{bytes:x?}");
        }
    }
}
