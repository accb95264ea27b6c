//! What a client offers and a server accepts (C706 12.6.4.3 to 12.6.4.5, MS-RPCE 2.2.2.4).

use crate::dissect::read::{Order, Reader, Short};
use crate::dissect::rpc::pdu::{HEADER_LEN, Header};
use crate::model::uuid::{Interface, Uuid};

/// How the stubs of a presentation context are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Network Data Representation (C706 14).
    Ndr,
    /// Its 64-bit form (MS-RPCE 2.2.5).
    Ndr64,
}

impl Syntax {
    const NDR: Uuid = Uuid::from_u128(0x8a885d04_1ceb_11c9_9fe8_08002b104860);
    const NDR64: Uuid = Uuid::from_u128(0x71710533_beba_4937_8319_b5dbef9ccc36);

    /// The syntax of this UUID, if it is one that stubs can be read in.
    pub fn of(uuid: Uuid) -> Option<Syntax> {
        match uuid {
            Syntax::NDR => Some(Syntax::Ndr),
            Syntax::NDR64 => Some(Syntax::Ndr64),
            _ => None,
        }
    }
}

/// A presentation context that a client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The number by which calls will name it.
    pub context: u16,
    /// The interface it is for.
    pub interface: Interface,
}

/// The offers of a BIND or ALTER_CONTEXT, as many as can be read.
pub fn offers(header: &Header, pdu: &[u8]) -> Vec<Offer> {
    let mut offers = Vec::new();
    // A body that ends early keeps what came before.
    let _ = read_offers(Reader::new(pdu, header.order), &mut offers);
    offers
}

fn read_offers(mut r: Reader, offers: &mut Vec<Offer>) -> Result<(), Short> {
    // Fragment sizes and association group.
    r.skip(HEADER_LEN + 8)?;
    let [count, _, _, _] = r.array()?;
    for _ in 0..count {
        let context = r.u16()?;
        let [syntaxes, _reserved] = r.array()?;
        let (uuid, version) = syntax(&mut r)?;
        // p_syntax_id_t: the minor version is the upper half.
        let (major, minor) = (version as u16, (version >> 16) as u16);
        offers.push(Offer {
            context,
            interface: Interface::new(uuid, major, minor),
        });
        r.skip(usize::from(syntaxes) * 20)?;
    }
    Ok(())
}

/// What a server says to one offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, with the syntax of its stubs where it is a known one.
    Accepted(Option<Syntax>),
    /// Refused, or only a feature agreed upon (MS-RPCE 2.2.2.14).
    Refused,
}

/// The answers of a BIND_ACK or ALTER_CONTEXT_RESP, in the order of the offers, as many as can be
/// read.
pub fn answers(header: &Header, pdu: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let _ = read_answers(Reader::new(pdu, header.order), &mut answers);
    answers
}

fn read_answers(mut r: Reader, answers: &mut Vec<Answer>) -> Result<(), Short> {
    r.skip(HEADER_LEN + 8)?;
    // The secondary address: its length counts the NUL, where one is sent at all.
    let address = r.u16()?;
    r.skip(address.into())?;
    r.align(4)?;
    let [count, _, _, _] = r.array()?;
    for _ in 0..count {
        let (result, _reason) = (r.u16()?, r.u16()?);
        let (uuid, _version) = syntax(&mut r)?;
        answers.push(match result {
            ACCEPTANCE => Answer::Accepted(Syntax::of(uuid)),
            _ => Answer::Refused,
        });
    }
    Ok(())
}

/// `p_cont_def_result_t` (C706 12.6.3.1).
const ACCEPTANCE: u16 = 0;

/// A `p_syntax_id_t`: UUID and version.
fn syntax(r: &mut Reader) -> Result<(Uuid, u32), Short> {
    let uuid = uuid(r)?;
    Ok((uuid, r.u32()?))
}

/// A UUID in the order of the reader.
pub fn uuid(r: &mut Reader) -> Result<Uuid, Short> {
    let bytes = r.array()?;
    Ok(match r.order() {
        Order::Big => Uuid::from_wire_be(bytes),
        Order::Little => Uuid::from_wire_le(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::samples::*;

    fn header_of(said: &Said) -> Header {
        Header::recognise(&said.bytes).expect("a header")
    }

    #[test]
    fn a_secondary_address_of_any_length_is_passed_over() {
        for address in [&b""[..], b"135", b"135\0", b"\\PIPE\\lsass\0"] {
            let ack = bind_ack_from(1, address, &[ACCEPT, REJECT]);
            assert_eq!(
                answers(&header_of(&ack), &ack.bytes),
                [Answer::Accepted(Some(Syntax::Ndr)), Answer::Refused]
            );
        }
    }

    #[test]
    fn offers_that_end_early_keep_what_came_before() {
        let said = bind(1, &[(0, SAMR), (1, DRSUAPI)]);
        let header = header_of(&said);
        for len in 0..said.bytes.len() {
            let complete = (len >= 28 + 24) as usize + (len >= 28 + 44 + 24) as usize;
            let cut = &said.bytes[..len];
            assert_eq!(offers(&header, cut).len(), complete, "{len}");
        }
    }

    #[test]
    fn the_version_is_major_then_minor_whatever_the_byte_order() {
        let mut big = vec![5, 0, 11, 3, 0, 0, 0, 0, 0, 72, 0, 0, 0, 0, 0, 1];
        big.extend([0x16, 0xd0, 0x16, 0xd0, 0, 0, 0, 0, 1, 0, 0, 0]);
        big.extend([0, 7, 1, 0]);
        big.extend(wire(SAMR.uuid, Order::Big));
        big.extend([0, 2, 0, 1]);
        big.extend([0; 20]);
        let header = Header::recognise(&big).expect("a header");
        let offer = Offer {
            context: 7,
            interface: Interface::new(SAMR.uuid, 1, 2),
        };
        assert_eq!(offers(&header, &big), [offer]);
    }
}
