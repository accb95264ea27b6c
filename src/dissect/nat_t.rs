//! IPsec through NAT (RFC 3948): IKE behind a marker, ESP, and keepalives.

use crate::dissect::isakmp::{self, VENDOR, Vendors};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Probe, Progress, filled,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// IPsec through NAT over UDP (RFC 3948).
pub const PROTOCOL: Protocol = Protocol::new(&["nat-t", "NAT-T"]);

/// The security parameters index of the first ESP packet of a side (RFC 3948 2.1).
const ESP: Field = Field::new(&["esp-in-udp", "ESP in UDP, SPI"]);

/// IKE over UDP behind NAT.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_datagram(opening, marked),
    follow: Some(|_| Box::new(Traversal::default())),
    says: &[VENDOR, ESP],
    examples: &[Example {
        port: 4500,
        client: &filled::<44>(
            b"\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0\0\0! \"\x08\0\0\0\0\0\0\
        \0(",
            0,
        ),
        server: b"\xff",
    }],
};

/// ESP over UDP and keepalives, on the one port that they use. They have too little to be told by,
/// so this comes after all others and has no port on which it would be asked first.
pub const ENCAPSULATED: Definition = Definition {
    usual_ports: &[],
    begins: FirstBytes::ANY,
    probe: |opening| match opening.has_port(PORT) {
        true => probe_datagram(opening, encapsulated),
        false => Probe::No,
    },
    ..DATAGRAM
};

const PORT: u16 = 4500;

/// IKE behind four zero bytes, where ESP has its security parameters index.
fn marked(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    match r.u32()? {
        0 => isakmp::look(r.rest()),
        _ => Ok(Look::Other),
    }
}

fn encapsulated(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match bytes == [0xff] || esp(bytes)?.is_some() {
        true => Look::ByEither,
        false => Look::Other,
    })
}

/// The index of an ESP packet; `None` if it is something else.
fn esp(bytes: &[u8]) -> Result<Option<u32>, Short> {
    let mut r = Reader::big(bytes);
    let (index, sequence) = (r.u32()?, r.u32()?);
    // Indices up to 255 are reserved (RFC 4303 2.1); ESP ends on a word and holds a check value.
    let is_esp = index > 255 && sequence > 0 && r.left() >= 20 && r.left().is_multiple_of(4);
    Ok(is_esp.then_some(index))
}

/// How many datagrams are waited for. IKE is done within some ten, where it is captured at all.
const MAX_DATAGRAMS: u32 = 64;

/// Claims the vendor ids of IKE and that ESP follows it.
#[derive(Default)]
struct Traversal {
    vendors: Vendors,
    sent_esp: [bool; 2],
    datagrams: u32,
}

impl Dissector for Traversal {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.datagrams += 1;
        let mut r = Reader::big(bytes);
        if r.u32() == Ok(0) {
            self.vendors.message(from, r.rest(), found);
        } else if let Ok(Some(index)) = esp(bytes)
            && !std::mem::replace(&mut self.sent_esp[from.index()], true)
        {
            found.push(Claim::Said {
                field: ESP,
                text: format!("{index:#010x}"),
                by: from,
            });
        }
        match self.sent_esp == [true, true] || self.datagrams >= MAX_DATAGRAMS {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_cut_claims_no_other, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// Four zero bytes, and an IKE message of one vendor id.
    const IKE: &[u8] =
        b"\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0\0\0+ \"\x08\0\0\0\0\0\0\0\
        $\0\0\0\x08test";
    const PACKET: &[u8] = &filled::<32>(b"\x12\x34\x56\x78\0\0\0\x01", 0xa5);

    #[test]
    fn ike_is_told_from_esp_by_the_marker() {
        let talk = [
            (Forward, IKE),
            (Forward, PACKET),
            (Forward, PACKET),
            (Reverse, PACKET),
        ];
        let said = |field, text: &str, by| Claim::Said {
            field,
            text: text.into(),
            by,
        };
        let expected = [
            said(VENDOR, "test", Forward),
            said(ESP, "0x12345678", Forward),
            said(ESP, "0x12345678", Reverse),
        ];
        assert_eq!(claims(&DATAGRAM, &talk), expected);
        assert_cut_claims_no_other(&DATAGRAM, &[(Forward, IKE)]);
    }

    #[test]
    fn keepalives_and_reserved_indices_are_no_esp() {
        let reserved = filled::<32>(b"\0\0\0\xff\0\0\0\x01", 0xa5);
        let unnumbered = filled::<32>(b"\x12\x34\x56\x78\0\0\0\0", 0xa5);
        for bytes in [&b"\xff"[..], &reserved, &unnumbered, b""] {
            assert_eq!(claims(&DATAGRAM, &[(Forward, bytes)]), []);
        }
        for len in 0..28 {
            assert_ne!(esp(&PACKET[..len]), Ok(Some(0x1234_5678)), "{len}");
        }
    }

    #[test]
    fn a_flow_of_keepalives_is_left_alone_in_the_end() {
        let (mut traversal, mut found) = (Traversal::default(), Vec::new());
        let more = |_: &u32| traversal.feed(Forward, b"\xff", &mut found) == Progress::More;
        assert_eq!(
            (0..1000).take_while(more).count(),
            MAX_DATAGRAMS as usize - 1
        );
    }
}
