//! Simple Network Management Protocol (RFC 1157, RFC 3416, RFC 3412): what is asked or reported, and
//! what an agent says its host is.

use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, ber, is_long_enough, names,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Simple Network Management Protocol (RFC 3416).
pub const PROTOCOL: Protocol = Protocol::new(&["snmp", "SNMP"]);

/// What a message does: `get`, `trap`, …
const MESSAGE: Field = Field::new(&["snmp-message", "SNMP message"]);

/// The host and its software, by `sysDescr.0` (RFC 3418 2).
const DESCRIPTION: Field = Field::new(&["snmp-description", "description"]);

/// The maker's number for the kind of host, by `sysObjectID.0` (RFC 3418 2).
const OBJECT_ID: Field = Field::new(&["snmp-object-id", "object identifier of the host"]);

/// The name of the host, by `sysName.0` (RFC 3418 2).
const NAME: Field = Field::new(&["snmp-name", "name of the host"]);

/// SNMP over UDP, traps included.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[161, 162],
    begins: FirstBytes::of(b"0"),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Datagrams(Agent::default()))),
    says: &[MESSAGE, DESCRIPTION, OBJECT_ID, NAME],
    examples: &[
        Example {
            port: 161,
            client:
                b"0\x1d\x02\x01\0\x04\x06public\xa0\x10\x02\x01\x01\x02\x01\0\x02\x01\x000\x050\
        \x03\x06\x01+",
            server: b"",
        },
        Example {
            port: 161,
            client: b"0\x14\x02\x01\x030\r\x02\x01\x01\x02\x02\x05\xdc\x04\x01\x04\x02\x01\x03\x04\
        \0",
            server: b"",
        },
    ],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (tag, len) = ber::head(&mut r)?;
    let fits = len.is_some_and(|len| {
        let len = len.saturating_add(r.position());
        tag == 0x30 && len >= bytes.len() && is_long_enough(bytes, len)
    });
    if !fits {
        return Ok(Look::Other);
    }
    match ber::integer(&mut r)? {
        Some(0 | 1) => with_community(r),
        Some(3) => with_security(r),
        _ => Ok(Look::Other),
    }
}

fn with_community(mut r: Reader) -> Result<Look, Short> {
    let (tag, len) = ber::head(&mut r)?;
    let Some(len) = len.filter(|len| tag == 0x04 && *len <= 255) else {
        return Ok(Look::Other);
    };
    r.skip(len)?;
    Ok(match r.u8()? {
        // Get, next, set, bulk; traps and inform requests, which their sender begins.
        0xa0 | 0xa1 | 0xa3 | 0xa5 | 0xa4 | 0xa6 | 0xa7 => Look::By(Role::Client),
        0xa2 | 0xa8 => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Version 3: message number, size, flags and security model (RFC 3412 6).
fn with_security(mut r: Reader) -> Result<Look, Short> {
    let (tag, _) = ber::head(&mut r)?;
    if tag != 0x30 || ber::integer(&mut r)?.is_none() || ber::integer(&mut r)?.is_none() {
        return Ok(Look::Other);
    }
    let flags_fit = ber::head(&mut r)? == (0x04, Some(1)) && r.u8()? <= 7;
    let fits = flags_fit && ber::integer(&mut r)?.is_some() && r.u8()? == 0x04;
    Ok(match fits {
        true => Look::ByEither,
        false => Look::Other,
    })
}

/// What messages are called, by the tags of their PDUs from 0xa0 on (RFC 1157 4.1, RFC 3416 3).
const MESSAGES: &[&str] = &[
    "get", "get next", "response", "set", "trap", "get bulk", "inform", "trap", "report",
];

/// Objects that say what a host is (RFC 3418 2).
const OBJECTS: &[(&str, Field)] = &[
    ("1.3.6.1.2.1.1.1.0", DESCRIPTION),
    ("1.3.6.1.2.1.1.2.0", OBJECT_ID),
    ("1.3.6.1.2.1.1.5.0", NAME),
];

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const RESPONSE: u8 = 0xa2;

/// How many variables of a message are looked at: a walk's have one, a bulk's some dozens.
const MAX_VARIABLES: usize = 128;

/// Reads the messages of both sides, as far as they are in clear.
#[derive(Default)]
struct Agent {
    said: Sayings,
}

impl Listener for Agent {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        // What is cut off or encrypted says less, and nothing wrong.
        let _ = self.message(from, message, found);
        self.said.progress()
    }
}

impl Agent {
    fn message(
        &mut self,
        from: Direction,
        message: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut r = ber::expect(&mut Reader::big(message), SEQUENCE)?;
        let (tag, mut pdu) = match ber::integer(&mut r)? {
            Some(3) => {
                ber::expect(&mut r, SEQUENCE)?;
                ber::expect(&mut r, OCTETS)?;
                let mut scoped = ber::expect(&mut r, SEQUENCE)?;
                ber::expect(&mut scoped, OCTETS)?; // the engine
                ber::expect(&mut scoped, OCTETS)?; // the context
                ber::element(&mut scoped)?
            }
            _ => {
                ber::expect(&mut r, OCTETS)?; // the community
                ber::element(&mut r)?
            }
        };
        let name = MESSAGES
            .get(usize::from(tag).wrapping_sub(0xa0))
            .unwrap_or(&"");
        self.said.say(MESSAGE, (*name).to_owned(), from, found);
        if tag != RESPONSE {
            return Ok(());
        }
        for _ in 0..3 {
            ber::element(&mut pdu)?; // number, error, its place
        }
        let mut variables = ber::expect(&mut pdu, SEQUENCE)?;
        for _ in 0..MAX_VARIABLES {
            self.variable(from, ber::expect(&mut variables, SEQUENCE)?, found)?;
        }
        Ok(())
    }

    fn variable(
        &mut self,
        from: Direction,
        mut r: Reader,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let object = ber::object_id(Reader::big(ber::whole(&mut r, OBJECT)?));
        let known = OBJECTS.iter().find(|(id, _)| object.as_deref() == Some(id));
        let Some((_, field)) = known else {
            return Ok(());
        };
        let text = match *field {
            OBJECT_ID => ber::object_id(Reader::big(ber::whole(&mut r, OBJECT)?)),
            _ => Some(names::text(ber::whole(&mut r, OCTETS)?)),
        };
        self.said.say(*field, text.unwrap_or_default(), from, found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let len = u16::try_from(contents.len()).expect("a short element");
        [&[tag, 0x82], &len.to_be_bytes()[..], &contents].concat()
    }

    fn variable(last: &[u8], value: &[u8]) -> Vec<u8> {
        let object = element(OBJECT, &[&[0x2b, 6, 1, 2, 1, 1], last]);
        element(SEQUENCE, &[&object, value])
    }

    fn pdu(tag: u8, variables: &[Vec<u8>]) -> Vec<u8> {
        let numbers = b"\x02\x01\x07\x02\x01\0\x02\x01\0";
        element(tag, &[numbers, &element(SEQUENCE, &[&variables.concat()])])
    }

    fn with_community(pdu: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[b"\x02\x01\x01\x04\x06public", pdu])
    }

    fn answer() -> Vec<u8> {
        pdu(
            RESPONSE,
            &[
                variable(
                    &[1, 0],
                    &element(OCTETS, &[b"Hardware: x86 - Software: Windows"]),
                ),
                variable(
                    &[2, 0],
                    &element(OBJECT, &[&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 1, 1, 3, 1, 2]]),
                ),
                variable(&[3, 0], b"\x43\x01\x07"),
                variable(&[5, 0], b"\x04\x03SRV"),
            ],
        )
    }

    fn told(from: Direction, message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Agent::default()), &[(from, message)])
    }

    const ALL: [&str; 4] = [
        "snmp-message: response",
        "snmp-description: Hardware: x86 - Software: Windows",
        "snmp-object-id: 1.3.6.1.4.1.311.1.1.3.1.2",
        "snmp-name: SRV",
    ];

    #[test]
    fn an_agent_says_what_its_host_is() {
        assert_eq!(told(Reverse, &with_community(&answer())), ALL);
        let secured = element(
            SEQUENCE,
            &[
                b"\x02\x01\x03",
                &element(SEQUENCE, &[b"\x02\x01\x07"]),
                b"\x04\x02ok",
                &element(SEQUENCE, &[b"\x04\x01e\x04\0", &answer()]),
            ],
        );
        assert_eq!(told(Reverse, &secured), ALL);
    }

    #[test]
    fn who_asks_or_sets_says_nothing_of_a_host() {
        let name = variable(&[5, 0], b"\x04\x03new");
        for (tag, all) in [(0xa3, "snmp-message: set"), (0xa6, "snmp-message: inform")] {
            let message = with_community(&pdu(tag, std::slice::from_ref(&name)));
            assert_eq!(told(Forward, &message), [all]);
        }
        let encrypted = element(
            SEQUENCE,
            &[
                b"\x02\x01\x03",
                &element(SEQUENCE, &[b"\x02\x01\x07"]),
                b"\x04\x02ok\x04\x02no",
            ],
        );
        assert!(told(Forward, &encrypted).is_empty());
    }

    #[test]
    fn a_message_torn_anywhere_says_no_more_than_the_whole() {
        let whole = with_community(&answer());
        for len in 0..whole.len() {
            let cut = told(Reverse, Reader::big(&whole).up_to(len));
            assert!(ALL.map(str::to_owned).starts_with(&cut), "{len}");
        }
    }

    #[test]
    fn names_without_end_are_told_of_up_to_a_bound() {
        let many: Vec<_> = (0..200)
            .map(|n: u8| variable(&[5, 0], &[4, 2, b'0' + n / 50, b'0' + n % 50]))
            .collect();
        assert_eq!(
            told(Reverse, &with_community(&pdu(RESPONSE, &many))).len(),
            MAX_SAYINGS
        );
    }
}
