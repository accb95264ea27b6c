//! Multicast DNS (RFC 6762): neighbours ask for each other's services and announce their own, in
//! DNS's format.

use crate::dissect::dns::{self, Dialect, Message, QUESTION};
use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::Reader;
use crate::dissect::{Definition, Example, FirstBytes, Input, Progress, names};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Multicast DNS (RFC 6762).
pub const PROTOCOL: Protocol = Protocol::new(&["mdns", "mDNS"]);

/// A kind of service that the sender says it has (RFC 6763 4.1).
const SERVICE: Field = Field::new(&["mdns-service", "announces"]);

/// The model of its computer, as Apple's say it: `MacBookPro18,1`.
const MODEL: Field = Field::new(&["mdns-model", "model"]);

/// Multicast DNS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[5353],
    begins: FirstBytes::ANY,
    probe: |opening| dns::probe(opening, Dialect::Multicast),
    follow: Some(|_| Box::new(Datagrams(Announcements::default()))),
    says: &[QUESTION, SERVICE, MODEL],
    examples: &[
        Example {
            port: 5353,
            client: b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01",
            server: b"",
        },
        Example {
            port: 5353,
            client: b"",
            server: b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01\0\0\0<\0\
            \x06\x03lp1\xc0\x0c",
        },
    ],
};

/// Reads what is asked for and what is announced.
#[derive(Default)]
struct Announcements {
    said: Sayings,
}

impl Listener for Announcements {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Ok(mut message) = Message::read(message) else {
            return Progress::More;
        };
        let questions = message.questions();
        if !message.is_answer {
            for question in questions {
                self.said.say(QUESTION, question.told(), from, found);
            }
            return Progress::More;
        }
        for (record, data) in message.records(1) {
            // Others lead from an address to a host.
            if record.is_pointer() && record.name.starts_with('_') {
                self.said.say(SERVICE, record.name, from, found);
            } else if record.is_text() && record.name.contains("._device-info._tcp.") {
                let model =
                    strings(data).find_map(|text| Some(text.strip_prefix("model=")?.to_owned()));
                self.said.say(MODEL, model.unwrap_or_default(), from, found);
            }
        }
        Progress::More
    }
}

/// The strings of a TXT record, each after its length.
fn strings(mut data: Reader) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let len = data.u8().ok()?;
        data.take(len.into()).ok().map(names::text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::dns::samples::{message, question, record};
    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::Forward;

    fn told(message: &[u8]) -> Vec<String> {
        said(
            &mut Datagrams(Announcements::default()),
            &[(Forward, message)],
        )
    }

    fn announcement() -> Vec<u8> {
        message(
            0x8400,
            [
                &[],
                &[
                    record("_smb._tcp.local", 12, 1, b"\x02me\xc0\x0c"),
                    record(
                        "me._device-info._tcp.local",
                        16,
                        0x8001,
                        b"\x03a=b\x10model=Macmini9,1",
                    ),
                    record("1.0.0.10.in-addr.arpa", 12, 0x8001, b"\x02me\xc0\x0c"),
                    record("me.local", 1, 0x8001, &[10, 0, 0, 1]),
                ],
                &[],
                &[],
            ],
        )
    }

    #[test]
    fn services_are_told_of_where_they_are_asked_for_and_announced() {
        let query = message(0, [&[question("_smb._tcp.local", 12, 1)], &[], &[], &[]]);
        assert_eq!(told(&query), ["dns-question: PTR _smb._tcp.local"]);
        let all = ["mdns-service: _smb._tcp.local", "mdns-model: Macmini9,1"];
        assert_eq!(told(&announcement()), all);
    }

    #[test]
    fn other_text_is_no_model() {
        let other = record("me._http._tcp.local", 16, 1, b"\x07model=x");
        assert!(told(&message(0x8400, [&[], &[other], &[], &[]])).is_empty());
    }

    #[test]
    fn a_message_torn_anywhere_says_no_more_than_the_whole() {
        let (whole, all) = (announcement(), told(&announcement()));
        for len in 0..whole.len() {
            assert!(all.starts_with(&told(Reader::big(&whole).up_to(len))));
        }
    }

    #[test]
    fn a_neighbour_that_announces_for_ever_is_told_of_up_to_a_bound() {
        let many: Vec<_> = (0..60)
            .map(|n| record(&format!("_{n}._tcp.local"), 12, 1, b"\0"))
            .collect();
        assert_eq!(
            told(&message(0x8400, [&[], &many, &[], &[]])).len(),
            MAX_SAYINGS
        );
    }
}
