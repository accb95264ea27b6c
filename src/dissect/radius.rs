//! Remote Authentication Dial In User Service (RFC 2865, RFC 2866, RFC 5176): what is asked, what an
//! access server says it is, and who wrote the class of a session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, is_long_enough, names,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Remote Authentication Dial In User Service (RFC 2865).
pub const PROTOCOL: Protocol = Protocol::new(&["radius", "RADIUS"]);

/// What a message does: `Access-Request`, `Accounting-Request`, …
const MESSAGE: Field = Field::new(&["radius-message", "RADIUS message"]);

/// What the access server calls itself (RFC 2865 5.32).
const NAS: Field = Field::new(&["radius-nas", "access server"]);

/// The number of the maker whose attributes there are (RFC 2865 5.26): Microsoft's, 311.
const VENDOR: Field = Field::new(&["radius-vendor", "attributes of vendor"]);

/// The version of Windows' remote access that asks (MS-RNAS 2.2.1.2): `MSRASV5.20`.
const RAS_VERSION: Field = Field::new(&["radius-ras-version", "remote access"]);

/// The address of the server of Microsoft's that admitted someone, by the class that it gives the
/// session ([`class`]).
const CLASS: Field = Field::new(&["radius-class", "session class"]);

/// RADIUS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[1812, 1813, 1645, 1646],
    begins: FirstBytes::range(1, 45),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Datagrams(Requests::default()))),
    says: &[MESSAGE, NAS, VENDOR, RAS_VERSION, CLASS],
    examples: &[Example {
        port: 1812,
        client: b"\x01\x07\0\x19ZZZZZZZZZZZZZZZZ\x01\x05bob",
        server: b"\x02\x07\0\x19ZZZZZZZZZZZZZZZZ\x01\x05bob",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (code, _id, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
    let role = match code {
        1 | 4 | 12 | 40 | 43 => Role::Client,
        2 | 3 | 5 | 11 | 41 | 42 | 44 | 45 => Role::Server,
        _ => return Ok(Look::Other),
    };
    if !(20..=4096).contains(&len) || bytes.len() > len || !is_long_enough(bytes, len) {
        return Ok(Look::Other);
    }
    r.skip(16)?; // the authenticator
    // Every request has attributes; answers need not.
    if r.left() == 0 && role == Role::Client {
        return Ok(Look::Other);
    }
    while r.left() > 0 {
        let (kind, size) = (r.u8()?, r.u8()?);
        if kind == 0 || size < 2 {
            return Ok(Look::Other);
        }
        let is_cut = bytes.len() < len && r.left() < usize::from(size) - 2;
        if is_cut {
            break;
        }
        r.skip(usize::from(size) - 2)?;
    }
    Ok(Look::By(role))
}

/// What messages are called, by their codes.
const MESSAGES: &[(u8, &str)] = &[
    (1, "Access-Request"),
    (2, "Access-Accept"),
    (3, "Access-Reject"),
    (4, "Accounting-Request"),
    (5, "Accounting-Response"),
    (11, "Access-Challenge"),
    (12, "Status-Server"),
    (40, "Disconnect-Request"),
    (43, "CoA-Request"),
];

const ACCEPT: u8 = 2;

/// Attributes.
mod attribute {
    pub const CLASS: u8 = 25;
    pub const VENDOR: u8 = 26;
    pub const NAS: u8 = 32;
    /// Of Microsoft's own (MS-RNAS 2.2.1.2).
    pub const RAS_VERSION: u8 = 18;
}

const MICROSOFT: u32 = 311;

/// Reads the messages of both sides.
#[derive(Default)]
struct Requests {
    said: Sayings,
}

impl Listener for Requests {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        // What is cut off says less, and nothing wrong.
        let _ = self.message(from, message, found);
        self.said.progress()
    }
}

impl Requests {
    fn message(
        &mut self,
        from: Direction,
        message: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut r = Reader::big(message);
        let code = r.u8()?;
        let known = MESSAGES.iter().find(|(number, _)| *number == code);
        let name = known.map(|(_, name)| (*name).to_owned());
        self.said
            .say(MESSAGE, name.unwrap_or_default(), from, found);
        r.skip(19)?;
        loop {
            let (kind, value) = attribute(&mut r)?;
            match kind {
                attribute::NAS => self.said.say(NAS, names::text(value), from, found),
                attribute::VENDOR => self.vendor(from, Reader::big(value), found)?,
                // Reports of the session repeat it to whoever takes them.
                attribute::CLASS if code == ACCEPT => {
                    if let Ok(server) = class(value) {
                        self.said.say(CLASS, server.to_string(), from, found);
                    }
                }
                _ => {}
            }
        }
    }

    fn vendor(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let vendor = r.u32()?;
        if vendor != MICROSOFT {
            return Ok(());
        }
        self.said.say(VENDOR, vendor.to_string(), from, found);
        while r.left() > 0 {
            let (kind, value) = attribute(&mut r)?;
            if kind == attribute::RAS_VERSION {
                self.said.say(RAS_VERSION, names::text(value), from, found);
            }
        }
        Ok(())
    }
}

/// The server that a class of Microsoft's names: a checksum of what follows, the maker, a version,
/// the server's address, when the server was started, and a number, as its log has them, too
/// (learn.microsoft.com, Interpret IAS Format Log Files). IAS writes an IPv4 address; since Windows
/// Server 2008 a family stands before it, and room for either.
fn class(value: &[u8]) -> Result<IpAddr, Short> {
    /// Windows' numbers of the address families, lower byte first.
    const IPV4: [u8; 2] = [2, 0];
    const IPV6: [u8; 2] = [23, 0];
    /// The time and the number.
    const END: usize = 16;
    let mut r = Reader::big(value);
    let checksum = r.u32()?;
    let summed = adler32(r.clone().rest());
    if checksum != summed || r.u32()? != MICROSOFT || r.u16()? != 1 {
        return Err(Short);
    }
    let address = match r.left().checked_sub(END) {
        Some(4) => Ipv4Addr::from(r.u32()?).into(),
        Some(18) => match (r.array()?, r.array::<16>()?) {
            (IPV4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
            (IPV6, address) => Ipv6Addr::from(address).into(),
            _ => return Err(Short),
        },
        _ => return Err(Short),
    };
    Ok(address)
}

/// The checksum Adler-32 (RFC 1950 8.2).
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (low, high) = bytes.iter().fold((1, 0), |(low, high): (u32, u32), byte| {
        let low = (low + u32::from(*byte)) % MODULUS;
        (low, (high + low) % MODULUS)
    });
    high << 16 | low
}

/// The kind and the value of the next attribute, whose length counts its head.
fn attribute<'a>(r: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Short> {
    let (kind, len) = (r.u8()?, usize::from(r.u8()?));
    Ok((kind, r.take(len.checked_sub(2).ok_or(Short)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::Forward;

    fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind, value.len() as u8 + 2], value].concat()
    }

    fn message(code: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let attributes = attributes.concat();
        let len = (attributes.len() as u16 + 20).to_be_bytes();
        [&[code, 7, len[0], len[1]], &[b'Z'; 16][..], &attributes].concat()
    }

    fn told(message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Requests::default()), &[(Forward, message)])
    }

    fn of_windows() -> Vec<u8> {
        let version = attribute(18, b"MSRASV5.20\0");
        message(
            1,
            &[
                attribute(32, b"RRAS1"),
                attribute(26, &[&311_u32.to_be_bytes(), &version[..]].concat()),
            ],
        )
    }

    const ALL: [&str; 4] = [
        "radius-message: Access-Request",
        "radius-nas: RRAS1",
        "radius-vendor: 311",
        "radius-ras-version: MSRASV5.20",
    ];

    #[test]
    fn an_access_server_says_what_it_is() {
        assert_eq!(told(&of_windows()), ALL);
        assert_eq!(
            told(&message(4, &[])),
            ["radius-message: Accounting-Request"]
        );
    }

    #[test]
    fn attributes_of_others_are_not_taken_for_windows() {
        let other = attribute(
            26,
            &[&9_u32.to_be_bytes(), &attribute(18, b"MSRASV5.20")[..]].concat(),
        );
        assert_eq!(
            told(&message(1, &[other])),
            ["radius-message: Access-Request"]
        );
        assert_eq!(
            told(&message(99, &[b"\x20\x01".to_vec()])),
            [""; 0],
            "a length of one"
        );
    }

    /// What a server at 192.0.2.1 writes: IAS, and its successor; and that one at 2001:db8::1.
    const CLASSES: [(&[u8], &str); 3] = [
        (
            b"\x48\x51\x05\x53\0\0\x01\x37\0\x01\
              \xc0\0\x02\x01\x01\xc1\x93\x19\xea\xbf\xfa\
              \x40\0\0\0\0\0\0\0\x05",
            "192.0.2.1",
        ),
        (
            b"\x54\xe5\x05\x55\0\0\x01\x37\0\x01\
              \x02\0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\
              \x01\xc1\x93\x19\xea\xbf\xfa\x40\0\0\0\0\0\0\0\x05",
            "192.0.2.1",
        ),
        (
            b"\x59\xe4\x05\x8e\0\0\x01\x37\0\x01\
              \x17\0\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
              \x01\xc1\x93\x19\xea\xbf\xfa\x40\0\0\0\0\0\0\0\x05",
            "2001:db8::1",
        ),
    ];

    #[test]
    fn the_class_of_a_session_names_the_server_that_wrote_it() {
        for (class, server) in CLASSES {
            let accepted = told(&message(2, &[attribute(25, class)]));
            assert_eq!(
                accepted,
                [
                    "radius-message: Access-Accept".to_owned(),
                    format!("radius-class: {server}"),
                ]
            );
            let reported = told(&message(4, &[attribute(25, class)]));
            assert_eq!(reported, ["radius-message: Accounting-Request"]);
        }
    }

    #[test]
    fn a_class_that_anyone_else_writes_names_nobody() {
        for (class, _) in CLASSES {
            for place in 0..class.len() {
                let mut other = class.to_vec();
                other[place] ^= 1;
                assert_eq!(super::class(&other), Err(Short), "{place}");
                assert_eq!(super::class(&class[..place]), Err(Short), "{place}");
            }
            // Its checksum is right, and its length is nobody's.
            let longer = [&class[4..], &[0; 4]].concat();
            let longer = [&adler32(&longer).to_be_bytes(), &longer[..]].concat();
            assert_eq!(super::class(&longer), Err(Short));
        }
    }

    #[test]
    fn a_message_torn_anywhere_says_no_more_than_the_whole() {
        let whole = of_windows();
        for len in 0..whole.len() {
            assert!(
                ALL.map(str::to_owned)
                    .starts_with(&told(Reader::big(&whole).up_to(len)))
            );
        }
    }

    #[test]
    fn names_without_end_are_told_of_up_to_a_bound() {
        let many: Vec<_> = (0..200_u32)
            .map(|n| attribute(32, n.to_string().as_bytes()))
            .collect();
        assert_eq!(told(&message(1, &many)).len(), MAX_SAYINGS);
    }
}
