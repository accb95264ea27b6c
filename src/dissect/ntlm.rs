//! NTLM (MS-NLMP): the version of Windows that each side states in its messages, wherever a
//! protocol carries them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dissect::read::{Reader, Short};
use crate::model::protocol::Field;

/// Major and minor version and build of the operating system of who sends NTLM's messages (MS-NLMP
/// 2.2.2.10): `10.0.17763`.
pub const VERSION: Field = Field::new(&["ntlm-version", "NTLM version"]);

/// What each message begins with (MS-NLMP 2.2.1).
const SIGNATURE: [u8; 8] = *b"NTLMSSP\0";

/// Of each kind of message: where its flags and its version stand, from its beginning (MS-NLMP
/// 2.2.1.1 to 2.2.1.3).
const PLACES: [(u32, usize, usize); 3] = [(1, 12, 32), (2, 20, 48), (3, 60, 64)];

/// The flag that says that the version is there, NTLMSSP_NEGOTIATE_VERSION (MS-NLMP 2.2.2.5).
const HAS_VERSION: u32 = 0x0200_0000;

/// The only revision that there is, NTLMSSP_REVISION_W2K3 (MS-NLMP 2.2.2.10).
const REVISION: u8 = 15;

/// How far into a security blob a message is looked for: SPNEGO puts a few names before it, of
/// which each has some ten bytes (RFC 4178 4.2).
const MAX_BEFORE: usize = 256;

/// The version that the first NTLM message in a security blob states, bare or inside SPNEGO; `None`
/// if there is no message, or it states none.
pub fn version(blob: &[u8]) -> Option<String> {
    let mut r = Reader::little(blob);
    for _ in 0..=MAX_BEFORE {
        if r.clone().array() == Ok(SIGNATURE) {
            return stated(r).ok().flatten();
        }
        r.skip(1).ok()?;
    }
    None
}

/// The same of a blob in base64, as protocols of lines carry it: its end may be cut off.
pub fn version_in_base64(text: &[u8]) -> Option<String> {
    let whole = text.len().min(MAX_TEXT) / 4 * 4;
    let blob = STANDARD.decode(Reader::big(text).up_to(whole)).ok()?;
    version(&blob)
}

/// Whether text is a message of NTLM in base64, bare.
pub fn is_base64(text: &[u8]) -> bool {
    text.starts_with(b"TlRMTVNTUA")
}

/// Characters that are looked at, four for three bytes: a version has its place well before their
/// end, wherever a message begins.
const MAX_TEXT: usize = 512;

fn stated(message: Reader) -> Result<Option<String>, Short> {
    let mut r = message.clone();
    r.skip(SIGNATURE.len())?;
    let kind = r.u32()?;
    let Some((_, flags_at, version_at)) = PLACES.into_iter().find(|(of, ..)| *of == kind) else {
        return Ok(None);
    };
    let at = |place: usize| {
        let mut r = message.clone();
        r.skip(place).map(|()| r)
    };
    if at(flags_at)?.u32()? & HAS_VERSION == 0 {
        return Ok(None);
    }
    let mut r = at(version_at)?;
    let (major, minor, build) = (r.u8()?, r.u8()?, r.u16()?);
    let [_, _, _, revision] = r.array()?;
    let is_stated = revision == REVISION && major > 0;
    Ok(is_stated.then(|| format!("{major}.{minor}.{build}")))
}

/// Messages, for the tests of protocols that carry them.
#[cfg(test)]
pub mod samples {
    use super::*;

    /// A challenge that states this version and build.
    pub fn challenge(version: [u8; 2], build: u16) -> Vec<u8> {
        message(2, HAS_VERSION, version, build)
    }

    /// A message of this kind with these flags, which has a place for this version.
    pub fn message(kind: u32, flags: u32, [major, minor]: [u8; 2], build: u16) -> Vec<u8> {
        let (_, flags_at, version_at) = PLACES[kind as usize - 1];
        let [low, high] = build.to_le_bytes();
        let mut message = vec![0; 80];
        message[..8].copy_from_slice(&SIGNATURE);
        message[8..12].copy_from_slice(&kind.to_le_bytes());
        message[flags_at..flags_at + 4].copy_from_slice(&flags.to_le_bytes());
        message[version_at..version_at + 8]
            .copy_from_slice(&[major, minor, low, high, 0, 0, 0, REVISION]);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this kind in SPNEGO's wrapping, which states 10.0.17763.
    fn message(kind: u32, flags: u32) -> Vec<u8> {
        let message = samples::message(kind, flags, [10, 0], 17763);
        [
            b"\xa1\x81\x50\x30\x81\x4d\xa2\x81\x4a\x04\x81\x48".to_vec(),
            message,
        ]
        .concat()
    }

    #[test]
    fn each_kind_of_message_states_a_version() {
        for kind in 1..=3 {
            let blob = message(kind, HAS_VERSION);
            assert_eq!(version(&blob).as_deref(), Some("10.0.17763"), "{kind}");
            assert_eq!(version(&blob[12..]).as_deref(), Some("10.0.17763"), "bare");
        }
    }

    #[test]
    fn a_message_that_states_none_and_another_mechanism_are_refused() {
        assert_eq!(version(&message(2, 0)), None);
        let mut revision = message(2, HAS_VERSION);
        revision[12 + 55] = 0;
        assert_eq!(version(&revision), None);
        let mut kind = message(2, HAS_VERSION);
        kind[12 + 8] = 4;
        assert_eq!(version(&kind), None);
        assert_eq!(
            version(b"\x60\x82\x05\x00\x06\x06\x2b\x06\x01\x05\x05\x02"),
            None
        );
    }

    #[test]
    fn a_message_cut_anywhere_states_the_same_or_nothing() {
        for kind in 1..=3 {
            let blob = message(kind, HAS_VERSION);
            for len in 0..blob.len() {
                let stated = version(&blob[..len]);
                assert!(stated.is_none_or(|text| text == "10.0.17763"), "{len}");
            }
        }
    }

    #[test]
    fn in_base64_a_message_states_the_same_and_cut_off_the_same_or_nothing() {
        for blob in [
            message(2, HAS_VERSION),
            message(2, HAS_VERSION)[12..].to_vec(),
        ] {
            let text = STANDARD
                .encode([&blob[..], &[0; 1000]].concat())
                .into_bytes();
            assert_eq!(version_in_base64(&text).as_deref(), Some("10.0.17763"));
            for len in 0..200 {
                let stated = version_in_base64(Reader::big(&text).up_to(len));
                assert!(stated.is_none_or(|text| text == "10.0.17763"), "{len}");
            }
        }
        assert!(is_base64(STANDARD.encode(SIGNATURE).as_bytes()));
        assert_eq!(version_in_base64(b"TlRMTVNTUAAC!!!!"), None);
    }

    #[test]
    fn a_message_beyond_the_bound_is_not_looked_for() {
        let blob = [vec![0; MAX_BEFORE], message(1, HAS_VERSION)].concat();
        assert_eq!(version(&blob), None);
    }
}
