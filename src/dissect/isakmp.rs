//! Internet Key Exchange, versions 1 and 2 (RFC 2408, RFC 7296): whose implementations talk, by
//! their vendor ids.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, filled,
    is_long_enough, names, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Internet Key Exchange (RFC 7296, RFC 2408).
pub const PROTOCOL: Protocol = Protocol::new(&["isakmp", "ISAKMP"]);

/// A vendor id payload (RFC 2408 3.16, RFC 7296 3.12), in hexadecimal unless it is text.
pub const VENDOR: Field = Field::new(&["ike-vendor", "IKE vendor ID"]);

/// IKE over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[500],
    begins: FirstBytes::ANY,
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Vendors::default())),
    says: &[VENDOR],
    examples: &[Example {
        port: 500,
        client: &filled::<40>(
            b"\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0\0\0! \"\x08\0\0\0\0\0\0\0(",
            0,
        ),
        server: b"",
    }],
};

/// Looks at one message, which fills its datagram.
///
/// # Errors
/// `Short` if it is shorter than its header.
pub fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (initiator, responder) = (r.u64()?, r.u64()?);
    let [_next, version, exchange, flags] = r.array()?;
    let (_message, len) = (r.u32()?, r.u32()?);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if initiator == 0 || len < 28 || len < bytes.len() || !is_long_enough(bytes, len) {
        return Ok(Look::Other);
    }
    Ok(match (version, exchange, flags) {
        // Who answers has chosen a cookie of its own; later messages may come from either.
        (0x10, 1..=6 | 32..=35, 0..=7) if responder == 0 => Look::By(Role::Client),
        (0x10, 1..=6 | 32..=35, 0..=7) => Look::ByEither,
        (0x20, IKE_SA_INIT, 0x08) => Look::By(Role::Client),
        (0x20, IKE_SA_INIT, 0x20) => Look::By(Role::Server),
        (0x20, IKE_SA_INIT..=39 | 43 | 44, _) if flags & !0x38 == 0 => Look::ByEither,
        _ => Look::Other,
    })
}

const IKE_SA_INIT: u8 = 34;

/// How many vendor ids are read of one message. Products send up to a dozen.
const MAX_VENDORS: usize = 16;

/// How much of a vendor id is kept, in bytes: most are an MD5 hash and a version.
const MAX_VENDOR: usize = 32;

/// How many messages are waited for: vendor ids come in the first of each side.
const MAX_MESSAGES: u32 = 8;

/// Claims the vendor ids in the first message of each side.
#[derive(Default)]
pub struct Vendors {
    read: [bool; 2],
    messages: u32,
}

impl Vendors {
    /// Reads one message.
    pub fn message(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.messages += 1;
        if !self.read[from.index()] && look(message).is_ok_and(|look| look != Look::Other) {
            let mut vendors = Vec::new();
            self.read[from.index()] = payloads(message, &mut vendors).is_ok();
            found.extend(vendors.into_iter().map(|text| Claim::Said {
                field: VENDOR,
                text,
                by: from,
            }));
        }
        match self.read == [true, true] || self.messages >= MAX_MESSAGES {
            true => Progress::Done,
            false => Progress::More,
        }
    }
}

impl Dissector for Vendors {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.message(from, bytes, found)
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Adds the vendor ids of a message to `vendors`, none where its payloads are encrypted.
fn payloads(message: &[u8], vendors: &mut Vec<String>) -> Result<(), Short> {
    let mut r = Reader::big(message);
    r.skip(16)?;
    let [mut payload, version, _exchange, flags] = r.array()?;
    r.skip(8)?;
    let vendor = match version {
        0x10 if flags & ENCRYPTED == 0 => 13,
        0x20 => 43,
        _ => return Ok(()),
    };
    while payload != 0 && vendors.len() < MAX_VENDORS {
        // Whole or in fragments (RFC 7296 3.14, RFC 7383 2.5), the last that can be read.
        if version == 0x20 && matches!(payload, 46 | 53) {
            break;
        }
        let [next, _reserved] = r.array()?;
        let len = usize::from(r.u16()?);
        let body = r.take(len.checked_sub(4).ok_or(Short)?)?;
        if payload == vendor {
            vendors.push(name(body));
        }
        payload = next;
    }
    Ok(())
}

/// RFC 2408 3.1.
const ENCRYPTED: u8 = 1;

fn name(vendor: &[u8]) -> String {
    let is_text = vendor.len() >= 4 && vendor.iter().all(|b| matches!(b, b' '..=b'~'));
    match is_text {
        true => names::text(vendor),
        false => {
            let kept = Reader::big(vendor).up_to(MAX_VENDOR);
            kept.iter().map(|byte| format!("{byte:02x}")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_cut_claims_no_other, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// A message of these payloads: kind and body.
    fn message(version: u8, exchange: u8, flags: u8, payloads: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0x11; 8];
        bytes.extend([0; 8]);
        let first = payloads.first().map_or(0, |payload| payload.0);
        bytes.extend([first, version, exchange, flags, 0, 0, 0, 0, 0, 0, 0, 0]);
        for (place, (_, body)) in payloads.iter().enumerate() {
            let next = payloads.get(place + 1).map_or(0, |payload| payload.0);
            let [high, low] = (body.len() as u16 + 4).to_be_bytes();
            bytes.extend([next, 0, high, low]);
            bytes.extend_from_slice(body);
        }
        let len = (bytes.len() as u32).to_be_bytes();
        bytes[24..28].copy_from_slice(&len);
        bytes
    }

    fn said(text: &str, by: Direction) -> Claim {
        Claim::Said {
            field: VENDOR,
            text: text.into(),
            by,
        }
    }

    #[test]
    fn both_sides_say_their_vendor_ids() {
        let asks = message(
            0x10,
            2,
            0,
            &[(1, &[0; 40]), (13, b"MS NT5"), (13, &[0x1e; 20])],
        );
        let answers = message(
            0x10,
            2,
            0,
            &[(1, &[0; 40]), (13, &[0xaf, 0xca, 0xd7, 0x13])],
        );
        let talk = [(Forward, &asks[..]), (Reverse, &answers)];
        let expected = [
            said("MS NT5", Forward),
            said(&"1e".repeat(20), Forward),
            said("afcad713", Reverse),
        ];
        assert_eq!(claims(&DATAGRAM, &talk), expected);
        assert_cut_claims_no_other(&DATAGRAM, &talk);
        let second = message(0x20, 34, 8, &[(33, &[0; 40]), (43, b"strong")]);
        let expected = [said("strong", Forward)];
        assert_eq!(claims(&DATAGRAM, &[(Forward, &second)]), expected);
    }

    #[test]
    fn what_is_encrypted_or_no_message_says_nothing() {
        let encrypted = message(0x10, 2, ENCRYPTED, &[(13, b"vendor")]);
        let sealed = message(0x20, 35, 8, &[(46, b"0000"), (43, b"vendor")]);
        let other = message(0x30, 2, 0, &[(13, b"vendor")]);
        for bytes in [encrypted, sealed, other] {
            assert_eq!(claims(&DATAGRAM, &[(Forward, &bytes)]), []);
        }
    }

    #[test]
    fn no_more_is_kept_of_vendor_ids_than_the_bound() {
        let many = vec![(13, &[0xff; 1000][..]); 3 * MAX_VENDORS];
        let found = claims(&DATAGRAM, &[(Forward, &message(0x10, 2, 0, &many))]);
        assert_eq!(
            found,
            vec![said(&"ff".repeat(MAX_VENDOR), Forward); MAX_VENDORS]
        );
        let (mut vendors, one) = (Vendors::default(), message(0x10, 2, 1, &[]));
        let more = |_: &u32| vendors.feed(Forward, &one, &mut Vec::new()) == Progress::More;
        assert_eq!((0..100).take_while(more).count(), MAX_MESSAGES as usize - 1);
    }
}
