//! Post Office Protocol (RFC 1939).

use crate::dissect::text::{Greeting, Manners, has_word};
use crate::dissect::{Definition, Input};
use crate::model::protocol::Protocol;

/// POP3 over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Pop3,
    input: Input::Stream,
    usual_ports: &[110],
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|_| Box::new(Greeting::new(MANNERS.greetings))),
};

const MANNERS: Manners = Manners {
    greetings: &["+OK"],
    names_itself: |line| has_word(line, "POP3") || has_word(line, "POP"),
    commands: &[
        "USER", "APOP", "CAPA", "AUTH", "STLS", "STAT", "LIST", "UIDL", "NOOP", "QUIT",
    ],
    own_commands: &["APOP", "CAPA", "STLS"],
};
