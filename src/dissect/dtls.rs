//! Datagram Transport Layer Security (RFC 6347, RFC 9147), by the handshake that it begins with.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// Datagram Transport Layer Security (RFC 6347).
pub const PROTOCOL: Protocol = Protocol::new(&["dtls", "DTLS"]);

/// DTLS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[443, 3391, 4433, 5684],
    begins: FirstBytes::of(&[HANDSHAKE]),
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 3391,
        client: b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x36\x01\0\0\x2a\0\0\0\0\0\0\0\x2a\xfe\xfd\
        abcdefghijklmnopqrstuvwxyz012345\0\0\0\x02\0\x2f\x01\0",
        server: b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x13\x03\0\0\x07\0\0\0\0\0\0\0\x07\xfe\xff\x04cook",
    }],
};

const HANDSHAKE: u8 = 22;

/// 1.0, which is 1.1 of TLS, 1.2, and the drafts' that OpenSSL spoke before.
const VERSIONS: [u16; 3] = [0xfeff, 0xfefd, 0x0100];

/// Messages of a handshake (RFC 6347 4.3.2).
mod message {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const HELLO_VERIFY_REQUEST: u8 = 3;
}

/// A record of the first epoch, and in it the beginning of a message that says hello: every length
/// is said twice and must agree.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (kind, version, epoch) = (r.u8()?, r.u16()?, r.u16()?);
    let (number, len) = ((r.u16()?, r.u32()?), r.u16()?);
    // A hello comes first, or after few that were lost.
    let is_first = epoch == 0 && number.0 == 0 && number.1 < 256;
    if kind != HANDSHAKE || !VERSIONS.contains(&version) || !is_first {
        return Ok(Look::Other);
    }
    let mut record = r.sub(len.into())?;
    let message = record.u8()?;
    let whole = three(&mut record)?;
    let (_number, offset, part) = (record.u16()?, three(&mut record)?, three(&mut record)?);
    let fits = offset == 0 && part <= whole && part as usize <= record.left();
    if !fits || !VERSIONS.contains(&record.u16()?) {
        return Ok(Look::Other);
    }
    Ok(match message {
        message::CLIENT_HELLO if whole >= 40 => Look::By(Role::Client),
        message::SERVER_HELLO if whole >= 38 => Look::By(Role::Server),
        message::HELLO_VERIFY_REQUEST if record.u8()? as u32 + 3 == whole => Look::By(Role::Server),
        _ => Look::Other,
    })
}

fn three(r: &mut Reader) -> Result<u32, Short> {
    let [high, middle, low] = r.array()?;
    Ok(u32::from_be_bytes([0, high, middle, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Vec<u8> {
        DATAGRAM.examples[0].client.to_vec()
    }

    #[test]
    fn a_hello_is_its_senders_and_what_asks_for_a_cookie_the_servers() {
        assert_eq!(look(&hello()), Ok(Look::By(Role::Client)));
        let answer = DATAGRAM.examples[0].server;
        assert_eq!(look(answer), Ok(Look::By(Role::Server)));
        let mut server = hello();
        server[13] = message::SERVER_HELLO;
        assert_eq!(look(&server), Ok(Look::By(Role::Server)));
    }

    #[test]
    fn a_first_part_of_a_long_hello_is_known() {
        let mut part = hello();
        part[15] = 1;
        assert_eq!(look(&part), Ok(Look::By(Role::Client)));
    }

    #[test]
    fn a_value_that_no_hello_has_is_refused() {
        for (place, value) in [
            (0, 23),    // data
            (1, 3),     // TLS
            (4, 1),     // a later epoch
            (9, 1),     // many records later
            (13, 11),   // a certificate
            (16, 0x20), // a message shorter than its part
            (21, 1),    // a later part
            (24, 0xff), // a part longer than its record
            (25, 3),    // TLS
        ] {
            let mut bytes = hello();
            bytes[place] = value;
            assert_eq!(look(&bytes), Ok(Look::Other), "{place}");
        }
    }

    #[test]
    fn a_datagram_cut_anywhere_is_not_known() {
        let hello = hello();
        for len in 0..hello.len() {
            assert_ne!(look(&hello[..len]), Ok(Look::By(Role::Client)), "{len}");
        }
    }
}
