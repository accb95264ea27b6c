//! Post Office Protocol (RFC 1939).

use crate::dissect::text::{BANNER, Logon, Manners, has_word};
use crate::dissect::{Definition, Example, Input, ntlm};
use crate::model::protocol::Protocol;

/// Post Office Protocol (RFC 1939).
pub const PROTOCOL: Protocol = Protocol::new(&["pop3", "POP3"]);

/// POP3 over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[110],
    begins: MANNERS.first_bytes(),
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| Box::new(Logon::new(opening, MANNERS.greetings))),
    says: &[BANNER, ntlm::VERSION],
    examples: &[
        Example {
            port: 110,
            client: b"USER me\r\n",
            server: b"+OK ready\r\n",
        },
        Example {
            port: 110,
            client: b"",
            server: b"+OK Dovecot POP3 ready\r\n",
        },
    ],
};

const MANNERS: Manners = Manners {
    greetings: &["+OK"],
    names_itself: |line| has_word(line, "POP3") || has_word(line, "POP"),
    commands: &[
        "USER", "APOP", "CAPA", "AUTH", "STLS", "STAT", "LIST", "UIDL", "NOOP", "QUIT",
    ],
    own_commands: &["APOP", "CAPA", "STLS"],
};
