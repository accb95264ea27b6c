//! Dynamic Host Configuration Protocol (RFC 2131), and BOOTP with its extensions (RFC 1497): what
//! the client says it is, and what it is told to boot.

use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, names, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Dynamic Host Configuration Protocol (RFC 2131).
pub const PROTOCOL: Protocol = Protocol::new(&["dhcp", "DHCP"]);

/// What a message does: `Discover`, `Ack`, …
const MESSAGE: Field = Field::new(&["dhcp-message", "DHCP message"]);

/// The vendor class: what the sender's software is called (RFC 2132 9.13).
pub const VENDOR_CLASS: Field = Field::new(&["dhcp-vendor-class", "vendor class"]);

/// The same of a client whose message a relay passes on (RFC 1542 4): the relay's host sends it.
pub const RELAYED_CLASS: Field = Field::new(&["dhcp-relayed-class", "vendor class behind a relay"]);

/// The name of the client's host (RFC 2132 3.14).
const HOST_NAME: Field = Field::new(&["dhcp-host-name", "host name"]);

/// The file that the client is told to boot.
const BOOT_FILE: Field = Field::new(&["dhcp-boot-file", "boot file"]);

/// DHCP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[67, 68, 4011],
    begins: FirstBytes::range(1, 2),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Datagrams(Leases::default()))),
    says: &[MESSAGE, VENDOR_CLASS, RELAYED_CLASS, HOST_NAME, BOOT_FILE],
    examples: &[Example {
        port: 67,
        client: b"\x01\x01\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0c\x82Sc5\x01\x01\xff",
        server: b"\x02\x01\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0c\x82Sc5\x01\x01\xff",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let [operation, _hardware, hardware_len, _hops] = r.array()?;
    r.skip(232)?; // fixed fields, up to the cookie
    let is_dhcp = hardware_len <= 16 && r.u32()? == COOKIE;
    Ok(match operation {
        1 if is_dhcp => Look::By(Role::Client),
        2 if is_dhcp => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// RFC 2131 3.
const COOKIE: u32 = 0x6382_5363;

/// Options (RFC 2132, RFC 3396).
mod option {
    pub const PAD: u8 = 0;
    pub const HOST_NAME: u8 = 12;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const VENDOR_CLASS: u8 = 60;
    pub const BOOT_FILE: u8 = 67;
    pub const END: u8 = 255;
}

/// What message types are called, from 1 on (RFC 2132 9.6, RFC 3203, RFC 4388 6.1).
const MESSAGES: &[&str] = &[
    "Discover",
    "Offer",
    "Request",
    "Decline",
    "Ack",
    "Nak",
    "Release",
    "Inform",
    "Force renew",
    "Lease query",
    "Lease unassigned",
    "Lease unknown",
    "Lease active",
];

/// Reads the messages of both sides.
#[derive(Default)]
struct Leases {
    said: Sayings,
    /// Whether a relay passed on the message that is read.
    is_relayed: bool,
}

impl Listener for Leases {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        // What is cut off says less, and nothing wrong.
        let _ = self.message(from, message, found);
        Progress::More
    }
}

impl Leases {
    fn message(
        &mut self,
        from: Direction,
        message: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut r = Reader::big(message);
        r.skip(24)?;
        self.is_relayed = r.u32()? != 0;
        r.skip(16)?;
        let (server_name, file) = (r.take(64)?, r.take(128)?);
        r.skip(4)?;
        let mut overload = 0;
        self.options(r, from, &mut overload, found);
        // RFC 2132 9.3: the fields of the file (1) and of the server's name (2) hold options, too.
        match overload & 1 {
            0 => self.said.say(BOOT_FILE, names::text(file), from, found),
            _ => self.options(Reader::big(file), from, &mut 0, found),
        }
        if overload & 2 != 0 {
            self.options(Reader::big(server_name), from, &mut 0, found);
        }
        Ok(())
    }

    /// Options up to their end, or to where they are cut off.
    fn options(
        &mut self,
        mut r: Reader,
        from: Direction,
        overload: &mut u8,
        found: &mut Vec<Claim>,
    ) {
        while let Ok(Some((code, value))) = next(&mut r) {
            let number = Reader::big(value).u8().unwrap_or_default();
            let (field, text) = match code {
                option::OVERLOAD => {
                    *overload = number;
                    continue;
                }
                option::MESSAGE_TYPE => {
                    let name = MESSAGES.get(usize::from(number).wrapping_sub(1));
                    (
                        MESSAGE,
                        name.map(|name| (*name).to_owned()).unwrap_or_default(),
                    )
                }
                option::VENDOR_CLASS if self.is_relayed => (RELAYED_CLASS, names::text(value)),
                option::VENDOR_CLASS => (VENDOR_CLASS, names::text(value)),
                option::HOST_NAME => (HOST_NAME, names::text(value)),
                option::BOOT_FILE => (BOOT_FILE, names::text(value)),
                _ => continue,
            };
            self.said.say(field, text, from, found);
        }
    }
}

/// The next option: its code and its value. `None` at the end.
fn next<'a>(r: &mut Reader<'a>) -> Result<Option<(u8, &'a [u8])>, Short> {
    loop {
        match r.u8()? {
            option::PAD => {}
            option::END => return Ok(None),
            code => {
                let len = r.u8()?;
                return Ok(Some((code, r.take(len.into())?)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::Forward;

    fn message(server_name: &[u8], file: &[u8], options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 236];
        message[0] = 1;
        message[44..44 + server_name.len()].copy_from_slice(server_name);
        message[108..108 + file.len()].copy_from_slice(file);
        [&message[..], &COOKIE.to_be_bytes(), options].concat()
    }

    fn told(message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Leases::default()), &[(Forward, message)])
    }

    #[test]
    fn a_client_says_what_it_is() {
        let options = b"\x35\x01\x01\0\0\x3c\x08MSFT 5.0\x0c\x03pc7\xff\x3c\x01x";
        let all = [
            "dhcp-message: Discover",
            "dhcp-vendor-class: MSFT 5.0",
            "dhcp-host-name: pc7",
        ];
        assert_eq!(told(&message(b"", b"", options)), all);
    }

    #[test]
    fn every_known_message_has_its_name() {
        for (number, name) in (1..).zip(MESSAGES) {
            let said = told(&message(b"", b"", &[0x35, 1, number, 0xff]));
            assert_eq!(said, [format!("dhcp-message: {name}")]);
        }
        assert!(told(&message(b"", b"", &[0x35, 1, 14, 0xff])).is_empty());
    }

    #[test]
    fn a_relay_is_not_taken_for_the_client_behind_it() {
        let mut relayed = message(b"", b"", b"\x3c\x08MSFT 5.0\xff");
        relayed[24..28].copy_from_slice(&[10, 0, 0, 1]);
        assert_eq!(told(&relayed), ["dhcp-relayed-class: MSFT 5.0"]);
    }

    #[test]
    fn a_boot_file_stands_in_its_field_or_in_an_option() {
        let file = b"boot\\x64\\wdsnbp.com";
        assert_eq!(
            told(&message(b"", file, b"\xff")),
            ["dhcp-boot-file: boot\\x64\\wdsnbp.com"]
        );
        let options = b"\x43\x06pxe.n1\xff";
        assert_eq!(
            told(&message(b"", b"", options)),
            ["dhcp-boot-file: pxe.n1"]
        );
    }

    #[test]
    fn fields_that_are_given_to_options_are_read_as_such() {
        let overloaded = message(b"\x3c\x04MSFT\xff", b"\x0c\x02pc\xff", b"\x34\x01\x03\xff");
        assert_eq!(
            told(&overloaded),
            ["dhcp-host-name: pc", "dhcp-vendor-class: MSFT"]
        );
        // Only once: an overload within them leads nowhere.
        let again = message(b"", b"\x34\x01\x03\xff", b"\x34\x01\x01\xff");
        assert!(told(&again).is_empty());
    }

    #[test]
    fn a_message_torn_anywhere_says_no_more_than_the_whole() {
        let whole = message(b"", b"", b"\x35\x01\x03\x3c\x08MSFT 5.0\xff");
        let all = told(&whole);
        for len in 0..whole.len() {
            assert!(all.starts_with(&told(Reader::big(&whole).up_to(len))));
        }
    }

    #[test]
    fn unknown_options_say_nothing_and_many_are_told_of_up_to_a_bound() {
        assert!(told(&message(b"", b"", b"\x35\x01\x63\xfa\x02ab\xff")).is_empty());
        let many: Vec<u8> = (b'0'..b'z').flat_map(|letter| [0x0c, 1, letter]).collect();
        assert_eq!(told(&message(b"", b"", &many)).len(), MAX_SAYINGS);
    }
}
