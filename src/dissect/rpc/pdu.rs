//! The sixteen bytes that begin every connection-oriented PDU (C706 12.6.3.1).

use crate::dissect::Role;
use crate::dissect::read::{Order, Reader, Short};

/// Bytes in the common header.
pub const HEADER_LEN: usize = 16;

/// Bytes in the common header and what requests, responses and faults put next: the allocation
/// hint, the presentation context and, in requests, the operation.
pub const CALL_HEADER_LEN: usize = 24;

/// Bytes of the trailer before the authentication value (C706 13.2.6.1).
const AUTH_TRAILER_LEN: usize = 8;

/// The kind of a PDU (C706 12.1, MS-RPCE 2.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// A call, or a fragment of one.
    pub const REQUEST: Kind = Kind(0);
    /// Its answer, or a fragment of one.
    pub const RESPONSE: Kind = Kind(2);
    /// The call failed.
    pub const FAULT: Kind = Kind(3);
    /// Offers presentation contexts and begins an association.
    pub const BIND: Kind = Kind(11);
    /// Says which of them are accepted.
    pub const BIND_ACK: Kind = Kind(12);
    /// Refuses the association.
    pub const BIND_NAK: Kind = Kind(13);
    /// Offers more presentation contexts.
    pub const ALTER_CONTEXT: Kind = Kind(14);
    /// Says which of those are accepted.
    pub const ALTER_CONTEXT_RESP: Kind = Kind(15);
    /// The third leg of an authentication (MS-RPCE 2.2.2.5).
    pub const AUTH3: Kind = Kind(16);
    /// The server asks to close.
    pub const SHUTDOWN: Kind = Kind(17);
    /// Cancels a call.
    pub const CO_CANCEL: Kind = Kind(18);
    /// Gives a call up.
    pub const ORPHANED: Kind = Kind(19);
    /// Sets up RPC over HTTP (MS-RPCH 2.2.3).
    pub const RTS: Kind = Kind(20);

    /// Who sends such a PDU; `None` where both may.
    pub fn sender(self) -> Option<Role> {
        match self {
            Kind::REQUEST
            | Kind::BIND
            | Kind::ALTER_CONTEXT
            | Kind::AUTH3
            | Kind::CO_CANCEL
            | Kind::ORPHANED => Some(Role::Client),
            Kind::RESPONSE
            | Kind::FAULT
            | Kind::BIND_ACK
            | Kind::BIND_NAK
            | Kind::ALTER_CONTEXT_RESP
            | Kind::SHUTDOWN => Some(Role::Server),
            _ => None,
        }
    }

    /// Whether only clients send such a PDU.
    pub fn is_of_client(self) -> bool {
        self.sender() == Some(Role::Client)
    }

    /// Whether the PDU belongs to a call and so has a [`CALL_HEADER_LEN`] header.
    pub fn is_call(self) -> bool {
        matches!(self, Kind::REQUEST | Kind::RESPONSE | Kind::FAULT)
    }

    /// Whether the PDU sets up presentation contexts, so that its body matters.
    pub fn is_negotiation(self) -> bool {
        matches!(
            self,
            Kind::BIND
                | Kind::BIND_ACK
                | Kind::BIND_NAK
                | Kind::ALTER_CONTEXT
                | Kind::ALTER_CONTEXT_RESP
        )
    }

    /// The fewest bytes that such a PDU has; `None` for kinds that no connection carries.
    fn shortest(self) -> Option<usize> {
        match self {
            Kind::BIND | Kind::ALTER_CONTEXT => Some(28),
            Kind::BIND_ACK | Kind::ALTER_CONTEXT_RESP => Some(26),
            Kind::BIND_NAK => Some(18),
            Kind::RTS => Some(20),
            kind if kind.is_call() => Some(CALL_HEADER_LEN),
            Kind::AUTH3 | Kind::SHUTDOWN | Kind::CO_CANCEL | Kind::ORPHANED => Some(HEADER_LEN),
            _ => None,
        }
    }
}

/// The common header of a connection-oriented PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// `PFC_*` flags (C706 12.6.3.1).
    pub flags: u8,
    /// The order of the integers in it, its stub included.
    pub order: Order,
    /// Bytes in the whole PDU, at least [`HEADER_LEN`].
    pub len: u16,
    /// Bytes in the authentication value at its end, 0 where there is none.
    pub auth_len: u16,
    /// The call it belongs to.
    pub call_id: u32,
}

impl Header {
    /// `PFC_FIRST_FRAG`.
    pub const FIRST: u8 = 0x01;
    /// `PFC_LAST_FRAG`.
    pub const LAST: u8 = 0x02;
    /// `PFC_OBJECT_UUID`: an object's UUID stands before a request's stub.
    pub const OBJECT: u8 = 0x80;
    /// The one flag that C706 reserves.
    const RESERVED: u8 = 0x08;

    /// Reads a header where a PDU is known to begin; `None` if it is none, or fewer bytes than
    /// [`HEADER_LEN`].
    pub fn read(bytes: &[u8]) -> Option<Header> {
        Header::parse(bytes).ok().flatten()
    }

    /// Reads a header where nothing says that a PDU begins: also every field is checked that has
    /// values which no implementation sends.
    pub fn recognise(bytes: &[u8]) -> Option<Header> {
        let header = Header::read(bytes)?;
        let mut r = Reader::little(bytes);
        r.skip(6).ok()?;
        let representation_is_sane = r.u16() == Ok(0);
        let auth = match header.auth_len {
            0 => 0,
            len => usize::from(len) + AUTH_TRAILER_LEN,
        };
        let fits = usize::from(header.len) >= HEADER_LEN + auth
            && usize::from(header.len) >= header.kind.shortest()?;
        (representation_is_sane && fits && header.flags & Header::RESERVED == 0).then_some(header)
    }

    /// Whether `bytes`, fewer than a header, could be the beginning of one.
    pub fn may_begin(bytes: &[u8]) -> bool {
        // A header with nothing against it in either byte order, for the bytes still to come.
        let mut whole = [5, 0, 0, 3, 0x10, 0, 0, 0, 24, 24, 0, 0, 0, 0, 0, 0];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        // The length that goes with the kind is not known before both its bytes are.
        match bytes.len() {
            0..9 => Header::read(&whole).is_some_and(|header| header.kind.shortest().is_some()),
            9 => true,
            _ => Header::recognise(&whole).is_some(),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Option<Header>, Short> {
        let mut r = Reader::little(bytes);
        let [version, minor, kind, flags] = r.array()?;
        let [integers, floats, ..] = r.array::<4>()?;
        let order = match integers & 0xf0 {
            0x00 => Order::Big,
            _ => Order::Little,
        };
        let mut r = Reader::new(r.take(HEADER_LEN - 8)?, order);
        let header = Header {
            kind: Kind(kind),
            flags,
            order,
            len: r.u16()?,
            auth_len: r.u16()?,
            call_id: r.u32()?,
        };
        // Integers: big or little; characters: ASCII or EBCDIC; floats: IEEE, VAX, Cray, IBM (14.1).
        let representation_exists = integers & 0xee == 0 && floats <= 3;
        let fits = version == 5
            && minor <= 1
            && kind <= Kind::RTS.0
            && representation_exists
            && usize::from(header.len) >= HEADER_LEN;
        Ok(fits.then_some(header))
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The authentication value at the end of a whole PDU; `None` if it has none.
    pub fn authentication<'a>(&self, pdu: &'a [u8]) -> Option<&'a [u8]> {
        let before = usize::from(self.len).checked_sub(self.auth_len.into())?;
        let mut r = Reader::big(pdu);
        r.skip(before).ok()?;
        (self.auth_len > 0).then(|| r.rest())
    }

    /// Takes the stub out of a whole request or response, without padding and authentication. `None` if the
    /// PDU is shorter than it says, or if its stub is sealed and cannot be read.
    pub fn stub<'a>(&self, pdu: &'a [u8]) -> Option<&'a [u8]> {
        let mut body = Reader::new(pdu, self.order);
        body.skip(CALL_HEADER_LEN).ok()?;
        if self.kind == Kind::REQUEST && self.has(Header::OBJECT) {
            body.skip(16).ok()?;
        }
        if self.auth_len == 0 {
            return Some(body.rest());
        }
        let trailer = usize::from(self.auth_len) + AUTH_TRAILER_LEN;
        let stub_and_padding = body.left().checked_sub(trailer)?;
        let stub_and_padding = body.take(stub_and_padding).ok()?;
        let [_type, level, padding, _reserved] = body.array().ok()?;
        if level == PRIVACY {
            return None;
        }
        let stub = stub_and_padding.len().checked_sub(padding.into())?;
        Reader::little(stub_and_padding).take(stub).ok()
    }
}

/// `RPC_C_AUTHN_LEVEL_PKT_PRIVACY` (MS-RPCE 2.2.1.1.8): the stub is encrypted.
const PRIVACY: u8 = 6;

/// What follows the common header in requests, responses and faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The presentation context.
    pub context: u16,
    /// The operation; meaningless but in requests.
    pub opnum: u16,
}

impl Call {
    /// Reads it from a PDU that begins with `header`; `None` if that is of another kind, or too short.
    pub fn read(header: &Header, pdu: &[u8]) -> Option<Call> {
        if !header.kind.is_call() {
            return None;
        }
        let mut r = Reader::new(pdu, header.order);
        r.skip(HEADER_LEN + 4).ok()?;
        Some(Call {
            context: r.u16().ok()?,
            opnum: r.u16().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 16] = [5, 0, 0, 3, 0x10, 0, 0, 0, 0x2c, 1, 0, 0, 7, 0, 0, 0];

    #[test]
    fn both_byte_orders_are_read() {
        let little = Header::recognise(&REQUEST).expect("a header");
        assert_eq!((little.len, little.call_id), (300, 7));
        let big = [5, 0, 0, 3, 0, 0, 0, 0, 1, 0x2c, 0, 0, 0, 0, 0, 7];
        let big = Header::recognise(&big).expect("a header");
        assert_eq!((big.len, big.call_id, big.order), (300, 7, Order::Big));
    }

    #[test]
    fn a_field_with_a_value_that_nobody_sends_is_refused() {
        for (place, value) in [
            (0, 4),    // version
            (1, 2),    // minor version
            (2, 21),   // kind
            (2, 4),    // a kind that only datagrams carry
            (3, 0x0b), // the reserved flag
            (4, 0x12), // characters neither ASCII nor EBCDIC
            (4, 0x20), // integers neither big nor little
            (5, 4),    // floats of no known kind
            (6, 1),    // reserved
            (9, 0),    // 44 bytes, too few for the authentication
        ] {
            let mut bytes = REQUEST;
            bytes[10] = 40;
            bytes[place] = value;
            assert!(Header::recognise(&bytes).is_none(), "{place}");
        }
    }

    #[test]
    fn every_beginning_of_a_header_may_become_one() {
        for len in 0..REQUEST.len() {
            assert!(Header::may_begin(&REQUEST[..len]), "{len}");
        }
        assert!(!Header::may_begin(b"GET / HTTP"));
        assert!(!Header::may_begin(&[5, 1, 0, 3, 0x33]));
    }

    #[test]
    fn a_stub_ends_before_padding_and_signature() {
        let signed = |level, padding| {
            let mut pdu = vec![5, 0, 2, 3, 0x10, 0, 0, 0, 42, 0, 4, 0, 1, 0, 0, 0];
            pdu.extend([0; 8]);
            pdu.extend(*b"stub..");
            pdu.extend([10, level, padding, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
            pdu
        };
        let header = Header::recognise(&signed(5, 2)).expect("a header");
        assert_eq!(header.stub(&signed(5, 2)), Some(&b"stub"[..]));
        assert_eq!(header.stub(&signed(PRIVACY, 2)), None, "sealed");
        assert_eq!(header.stub(&signed(5, 7)), None, "more padding than stub");
        assert_eq!(header.stub(&signed(5, 2)[..30]), None, "cut");
    }
}
