//! DHCP for IPv6 (RFC 8415): what the client says it is.

use crate::dissect::dhcp::{RELAYED_CLASS, VENDOR_CLASS};
use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, names, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// DHCP for IPv6 (RFC 8415).
pub const PROTOCOL: Protocol = Protocol::new(&["dhcp6", "DHCPv6"]);

/// DHCP for IPv6 over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[547, 546],
    begins: FirstBytes::range(1, 17),
    probe: |opening| {
        let is_its_port = opening.has_port(547) || opening.has_port(546);
        probe_datagram(opening, |bytes| match is_its_port {
            true => look(bytes),
            // Its form is too common to be told without.
            false => Ok(Look::Other),
        })
    },
    follow: Some(|_| Box::new(Datagrams(Classes::default()))),
    says: &[VENDOR_CLASS, RELAYED_CLASS],
    examples: &[
        Example {
            port: 547,
            client:
                b"\x01\x12\x34\x56\0\x01\0\x0a\0\x03\0\x01\0\x0c\x29\x12\x34\x56\0\x08\0\x02\0\0",
            server:
                b"\x02\x12\x34\x56\0\x01\0\x0a\0\x03\0\x01\0\x0c\x29\x12\x34\x56\0\x02\0\x04\0\x03\
            \0\x01",
        },
        Example {
            port: 547,
            client: b"\x0c\0................................\0\x09\0\x04\x0b\x12\x34\x56",
            server: b"",
        },
    ],
};

/// Options (RFC 8415 21).
mod option {
    pub const CLIENT_ID: u16 = 1;
    pub const SERVER_ID: u16 = 2;
    pub const REQUEST: u16 = 6;
    pub const RELAYED: u16 = 9;
    pub const VENDOR_CLASS: u16 = 16;
}

/// Message types of relays (RFC 8415 7.3).
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

/// How many relays a message may have passed (RFC 8415 7.6, HOP_COUNT_LIMIT).
const MAX_RELAYS: usize = 8;

/// A message whose options fill it to its end, with one by which a peer is known.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let kind = r.u8()?;
    let role = match kind {
        // 14 to 17 ask for leases and answer (RFC 5007 4.1, RFC 5460 5).
        1 | 3..=6 | 8 | 9 | 11 | 14 | RELAY_FORWARD => Role::Client,
        2 | 7 | 10 | 15..=17 | RELAY_REPLY => Role::Server,
        _ => return Ok(Look::Other),
    };
    r.skip(header_len(kind) - 1)?;
    let mut is_known = false;
    while r.left() > 0 {
        let (code, _) = next(&mut r)?;
        let identifies = match kind {
            RELAY_FORWARD | RELAY_REPLY => code == option::RELAYED,
            // An information request need not say who sends it, but what is wanted.
            11 => matches!(code, option::CLIENT_ID | option::REQUEST),
            _ => matches!(code, option::CLIENT_ID | option::SERVER_ID),
        };
        is_known |= identifies;
    }
    Ok(match is_known {
        true => Look::By(role),
        false => Look::Other,
    })
}

/// Type and transaction; of relays type, hops and two addresses.
fn header_len(kind: u8) -> usize {
    match kind {
        RELAY_FORWARD | RELAY_REPLY => 34,
        _ => 4,
    }
}

/// The code and the value of the next option.
fn next<'a>(r: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Short> {
    let (code, len) = (r.u16()?, r.u16()?);
    Ok((code, r.take(len.into())?))
}

/// Reads the vendor classes.
#[derive(Default)]
struct Classes {
    said: Sayings,
}

impl Listener for Classes {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let field = match message.first() {
            Some(&RELAY_FORWARD | &RELAY_REPLY) => RELAYED_CLASS,
            _ => VENDOR_CLASS,
        };
        let class = unwrapped(message).and_then(class);
        self.said.say(field, class.unwrap_or_default(), from, found);
        Progress::More
    }
}

/// The options of the message that relays carry, or of this one.
fn unwrapped(mut message: &[u8]) -> Option<Reader<'_>> {
    for _ in 0..=MAX_RELAYS {
        let mut r = Reader::big(message);
        let kind = r.u8().ok()?;
        r.skip(header_len(kind) - 1).ok()?;
        if !matches!(kind, RELAY_FORWARD | RELAY_REPLY) {
            return Some(r);
        }
        message = value(r, option::RELAYED)?;
    }
    None
}

/// The value of the first option of this code.
fn value(mut r: Reader<'_>, wanted: u16) -> Option<&[u8]> {
    loop {
        match next(&mut r).ok()? {
            (code, value) if code == wanted => return Some(value),
            _ => {}
        }
    }
}

/// The first class that an enterprise, which comes before it, has for its software (RFC 8415
/// 21.16): Windows says `MSFT 5.0` (MS-DHCPE 2.2.3).
fn class(options: Reader<'_>) -> Option<String> {
    let mut r = Reader::big(value(options, option::VENDOR_CLASS)?);
    let _enterprise = r.u32().ok()?;
    let len = r.u16().ok()?;
    r.take(len.into()).ok().map(names::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::Forward;

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let head = [code, value.len() as u16].map(u16::to_be_bytes).concat();
        [&head[..], value].concat()
    }

    fn solicit() -> Vec<u8> {
        let class = option(16, b"\0\0\x01\x37\0\x08MSFT 5.0");
        [&b"\x01abc"[..], &option(1, b"\0\x03\0\x01me"), &class].concat()
    }

    fn relayed(message: &[u8]) -> Vec<u8> {
        [&[RELAY_FORWARD][..], &[0; 33], &option(9, message)].concat()
    }

    fn told(message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Classes::default()), &[(Forward, message)])
    }

    #[test]
    fn a_client_says_what_it_is_also_through_relays() {
        assert_eq!(look(&solicit()), Ok(Look::By(Role::Client)));
        assert_eq!(told(&solicit()), ["dhcp-vendor-class: MSFT 5.0"]);
        let query = [b"\x0e", &solicit()[1..]].concat();
        assert_eq!(look(&query), Ok(Look::By(Role::Client)), "a lease query");
        let relayed = relayed(&relayed(&solicit()));
        assert_eq!(look(&relayed), Ok(Look::By(Role::Client)));
        assert_eq!(told(&relayed), ["dhcp-relayed-class: MSFT 5.0"]);
    }

    #[test]
    fn what_names_no_peer_or_leaves_bytes_over_is_refused() {
        assert_eq!(look(b"\x01abc\0\x08\0\x02\0\0"), Ok(Look::Other));
        assert_eq!(look(b"\x63abc\0\x01\0\x02me"), Ok(Look::Other));
        assert_eq!(look(b"\x01abc\0\x01\0\x02me!"), Err(Short));
        assert!(told(b"\x01abc\0\x01\0\x02me").is_empty());
    }

    #[test]
    fn a_message_torn_anywhere_says_nothing() {
        let whole = solicit();
        for len in 0..whole.len() {
            let cut = Reader::big(&whole).up_to(len);
            assert!(told(cut).is_empty(), "{len}");
            assert!(told(&relayed(cut)).is_empty(), "{len}");
        }
    }

    #[test]
    fn more_relays_than_there_may_be_are_not_followed() {
        let through = |relays: usize| (0..relays).fold(solicit(), |inner, _| relayed(&inner));
        assert_eq!(told(&through(MAX_RELAYS)).len(), 1);
        assert!(told(&through(MAX_RELAYS + 1)).is_empty());
    }
}
