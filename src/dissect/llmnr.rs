//! Link-Local Multicast Name Resolution (RFC 4795): neighbours ask each other in DNS's format.

use crate::dissect::dns::{self, Dialect, Message, QUESTION};
use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::{Definition, Example, FirstBytes, Input, Progress};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// Link-Local Multicast Name Resolution (RFC 4795).
pub const PROTOCOL: Protocol = Protocol::new(&["llmnr", "LLMNR"]);

/// LLMNR over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[5355],
    begins: FirstBytes::ANY,
    probe: |opening| dns::probe(opening, Dialect::LinkLocal),
    follow: Some(|_| Box::new(Datagrams(Names::default()))),
    says: &[QUESTION],
    examples: &[Example {
        port: 5355,
        client: b"\x124\0\0\0\x01\0\0\0\0\0\0\x04wpad\0\0\x01\0\x01",
        server: b"\x124\x80\0\0\x01\0\x01\0\0\0\0\x04wpad\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\
        <\0\x04\n\0\0\x01",
    }],
};

/// LLMNR over TCP, for what is too long for a datagram (RFC 4795 2.5).
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[5355],
    begins: FirstBytes::ANY,
    probe: |opening| dns::probe_framed(opening, Dialect::LinkLocal),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 5355,
        client: b"\0\x16\x124\0\0\0\x01\0\0\0\0\0\0\x04wpad\0\0\x01\0\x01",
        server: b"",
    }],
};

/// Tells of the names that are asked for.
#[derive(Default)]
struct Names {
    said: Sayings,
}

impl Listener for Names {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Ok(mut message) = Message::read(message) else {
            return Progress::More;
        };
        if !message.is_answer {
            for question in message.questions() {
                self.said.say(QUESTION, question.told(), from, found);
            }
        }
        Progress::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::dns::samples::{message, question};
    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::said;
    use crate::dissect::read::Reader;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn told(from: Direction, message: &[u8]) -> Vec<String> {
        said(&mut Datagrams(Names::default()), &[(from, message)])
    }

    #[test]
    fn names_are_told_of_where_they_are_asked_for() {
        let asked = [question("wpad", 28, 1)];
        let query = message(0, [&asked, &[], &[], &[]]);
        assert_eq!(told(Forward, &query), ["dns-question: AAAA wpad"]);
        assert!(told(Reverse, &message(0x8000, [&asked, &[], &[], &[]])).is_empty());
        for len in 0..query.len() {
            assert!(
                told(Forward, Reader::big(&query).up_to(len)).is_empty(),
                "{len}"
            );
        }
    }

    #[test]
    fn names_are_told_of_up_to_a_bound() {
        let mut names = Datagrams(Names::default());
        let asked: Vec<_> = (0..100)
            .map(|n| message(0, [&[question(&format!("pc{n}"), 1, 1)], &[], &[], &[]]))
            .collect();
        let talk: Vec<(_, &[u8])> = asked.iter().map(|one| (Forward, &one[..])).collect();
        assert_eq!(said(&mut names, &talk).len(), MAX_SAYINGS);
    }
}
