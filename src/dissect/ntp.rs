//! Network Time Protocol (RFC 5905) and its simple form, as Windows Time speaks it.

use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Probe, Progress, Role, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Network Time Protocol (RFC 5905) and SNTP.
pub const PROTOCOL: Protocol = Protocol::new(&["ntp", "NTP"]);

/// `SNTP`, where a client sends nothing but the time, as simple ones do (RFC 4330 5).
const FORM: Field = Field::new(&["ntp-form", "form"]);

/// `MS-SNTP`, where a client asks for the signature that members of a domain want.
const AUTHENTICATOR: Field = Field::new(&["ntp-authenticator", "asks to be signed by"]);

/// NTP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    begins: FirstBytes::ANY,
    probe: |opening| match probe_datagram(opening, look) {
        // So little to go by that the port must agree.
        Probe::No if opening.has_port(PORT) => probe_datagram(opening, private),
        answer => answer,
    },
    follow: Some(|_| Box::new(Datagrams(Clocks::default()))),
    says: &[FORM, AUTHENTICATOR],
    examples: &[Example {
        port: 123,
        client: b"\x1b\x02\x06\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\xd0\x01\x02\x03\x04\x05\x06\x07",
        server: b"\x1c\x02\x06\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\xd0\x01\x02\x03\x04\x05\x06\x07",
    }],
};

const PORT: u16 = 123;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let first = r.u8()?;
    let (version, mode) = (first >> 3 & 7, first & 7);
    if !(1..=4).contains(&version) {
        return Ok(Look::Other);
    }
    if mode == CONTROL {
        return control(r, version);
    }
    let (stratum, poll, precision) = (r.u8()?, r.u8()?, r.u8()?);
    let (delay, dispersion) = (r.u32()?, r.u32()?);
    r.skip(28)?; // reference and the first three timestamps
    let transmitted = r.u64()?;
    // Clocks are not coarser than a second nor finer than 2^-32; polls not longer than 2^17 s;
    // way and error are within 256 s (a delay may come out negative).
    let is_clock = stratum <= 16
        && poll <= 17
        && matches!(precision, 0 | 0xe0..)
        && matches!(delay >> 24, 0 | 0xff)
        && dispersion >> 24 == 0;
    if !is_clock || !is_trailer(r)? {
        return Ok(Look::Other);
    }
    Ok(match mode {
        1 | 3 => Look::By(Role::Client),
        2 | 4 if transmitted != 0 => Look::By(Role::Server),
        5 if transmitted != 0 => Look::ByEither, // broadcast
        _ => Look::Other,
    })
}

/// Whether what is left are extension fields (RFC 7822) and a message authentication code: none, a
/// key number alone, with a digest of 16, 20 or 32 bytes, or Windows' own (MS-SNTP 2.2.3).
fn is_trailer(mut r: Reader) -> Result<bool, Short> {
    while !matches!(r.left(), 0 | 4 | 20 | 24 | 36 | 72) {
        let (_kind, len) = (r.u16()?, usize::from(r.u16()?));
        if len < 16 || len % 4 != 0 {
            return Ok(false);
        }
        r.skip(len - 4)?;
    }
    Ok(true)
}

const CONTROL: u8 = 6;

/// A control message (RFC 9327 2): its data have the length it says, padded to words.
fn control(mut r: Reader, version: u8) -> Result<Look, Short> {
    let operation = r.u8()?;
    r.skip(6)?; // sequence, status, association
    let (offset, count) = (r.u16()?, usize::from(r.u16()?));
    let fits = version >= 2
        && offset == 0
        && count <= 468
        && r.left() >= count
        && r.left() < count + 32
        && matches!(operation & 0x1f, 1..=12 | 31);
    Ok(match (fits, operation & 0x80) {
        (true, 0) => Look::By(Role::Client),
        (true, _) => Look::By(Role::Server),
        (false, _) => Look::Other,
    })
}

const PRIVATE: u8 = 7;

/// A private message, as ntpd's `ntpdc` sends it (ntp.org, `ntp_request.h`): an implementation, a
/// request, an error, and items of one size, after which a request may be padded.
fn private(bytes: &[u8]) -> Result<Look, Short> {
    const IMPLEMENTATIONS: [u8; 3] = [0, 2, 3];
    const LAST_REQUEST: u8 = 45;
    const MAX_DATA: u16 = 500;
    let mut r = Reader::big(bytes);
    let [first, _sequence, implementation, request] = r.array()?;
    let (error_and_count, size) = (r.u16()?, r.u16()?);
    let (error, count) = (error_and_count >> 12, error_and_count & 0xfff);
    let data = count.saturating_mul(size);
    let fits = first & 7 == PRIVATE
        && (1..=4).contains(&(first >> 3 & 7))
        && IMPLEMENTATIONS.contains(&implementation)
        && request <= LAST_REQUEST
        && size <= MAX_DATA
        && data <= MAX_DATA
        && r.left() >= usize::from(data);
    Ok(match first & 0x80 {
        0 if fits && error == 0 && matches!(r.left(), 0 | 40 | 184 | 208) => Look::By(Role::Client),
        0x80 if fits && r.left() == usize::from(data) => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Reads what clients ask.
#[derive(Default)]
struct Clocks {
    said: Sayings,
}

impl Listener for Clocks {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        if wants_domain_signature(message) == Ok(true) {
            self.said
                .say(AUTHENTICATOR, "MS-SNTP".to_owned(), from, found);
        }
        if is_simple(message) == Ok(true) {
            self.said.say(FORM, "SNTP".to_owned(), from, found);
        }
        Progress::More
    }
}

const CLIENT: u8 = 3;

/// Bytes of a message without what is added to it.
const MESSAGE_LEN: usize = 48;

/// Whether a client names a key, its account's number, and leaves the place of the signature empty
/// (MS-SNTP 2.2.1, 2.2.3): who shares a key with the server would have signed.
fn wants_domain_signature(message: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::little(message);
    let mode = r.clone().u8()? & 7;
    r.skip(MESSAGE_LEN)?;
    let account = r.u32()?;
    let signature = match r.left() {
        16 => r.rest(),
        68 => {
            r.skip(4)?; // flags, and which hashes there may be
            r.rest()
        }
        _ => return Ok(false),
    };
    Ok(mode == CLIENT && account != 0 && signature.iter().all(|byte| *byte == 0))
}

/// Whether a client fills in the version, the mode and its time, and nothing else.
fn is_simple(message: &[u8]) -> Result<bool, Short> {
    let mut r = Reader::big(message);
    let mode = r.u8()? & 7;
    let before_its_time = r.take(39)?;
    r.skip(8)?;
    Ok(mode == CLIENT && r.left() == 0 && before_its_time.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn message(first: u8, fields: u8, rest: &[u8]) -> Vec<u8> {
        [&[first], &[fields; 39][..], &[0xd0; 8], rest].concat()
    }

    fn told(from: Direction, message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Clocks::default()), &[(from, message)])
    }

    const UNSIGNED: &[u8] = b"\x51\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_member_of_a_domain_asks_to_be_signed() {
        assert_eq!(
            told(Forward, &message(0x1b, 1, UNSIGNED)),
            ["ntp-authenticator: MS-SNTP"]
        );
        let extended = [&UNSIGNED[..4], b"\0\0\x03\0", &[0; 64]].concat();
        assert_eq!(
            told(Forward, &message(0x1b, 1, &extended)),
            ["ntp-authenticator: MS-SNTP"]
        );
    }

    #[test]
    fn who_has_a_key_of_his_own_and_who_answers_do_not() {
        let signed = [&UNSIGNED[..4], &[7; 16]].concat();
        assert!(told(Forward, &message(0x1b, 1, &signed)).is_empty());
        assert!(told(Reverse, &message(0x1c, 1, UNSIGNED)).is_empty());
        assert!(
            told(Forward, &message(0x1b, 1, &[0; 20])).is_empty(),
            "no account"
        );
    }

    #[test]
    fn private_messages_are_known_on_their_port_only() {
        let asks = b"\x17\0\x03\x2a\0\0\0\0";
        let answers = [&b"\x97\0\x03\x2a\0\x02\0\x04"[..], &[7; 8]].concat();
        let probe = |port, bytes: &[u8]| {
            (DATAGRAM.probe)(&crate::dissect::Opening {
                forward: bytes,
                reverse: &[],
                ports: (50_123, port),
                from_start: true,
            })
        };
        assert_eq!(probe(123, asks), Probe::Yes(Some(Forward)));
        assert_eq!(probe(123, &answers), Probe::Yes(Some(Reverse)));
        assert_eq!(probe(124, asks), Probe::No);
        assert_eq!(probe(123, &answers[..15]), Probe::No, "an item is missing");
        for (place, value) in [(0, 0x3f), (2, 1), (3, 46), (4, 0x10), (5, 1)] {
            let mut other = *asks;
            other[place] = value;
            other[7] = 1;
            assert_eq!(probe(123, &other), Probe::No, "{place}");
        }
    }

    #[test]
    fn a_simple_client_sends_nothing_but_its_time() {
        assert_eq!(told(Forward, &message(0x1b, 0, b"")), ["ntp-form: SNTP"]);
        assert!(told(Forward, &message(0x23, 1, b"")).is_empty());
        assert!(told(Reverse, &message(0x24, 0, b"")).is_empty());
    }

    #[test]
    fn a_message_cut_anywhere_or_longer_than_any_says_nothing() {
        for len in 0..68 {
            let whole = message(0x1b, 1, UNSIGNED);
            assert!(
                told(Forward, Reader::big(&whole).up_to(len)).is_empty(),
                "{len}"
            );
        }
        assert!(told(Forward, &message(0x1b, 1, &[1; 2000])).is_empty());
    }
}
