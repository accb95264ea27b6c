//! Simple Mail Transfer Protocol (RFC 5321).

use crate::dissect::text::{BANNER, Logon, Manners, has_word};
use crate::dissect::{Definition, Example, Input, ntlm};
use crate::model::protocol::Protocol;

/// Simple Mail Transfer Protocol (RFC 5321).
pub const PROTOCOL: Protocol = Protocol::new(&["smtp", "SMTP"]);

/// SMTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[25, 587],
    begins: MANNERS.first_bytes(),
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| Box::new(Logon::new(opening, MANNERS.greetings))),
    says: &[BANNER, ntlm::VERSION],
    examples: &[
        Example {
            port: 25,
            client: b"EHLO me\r\n",
            server: b"220 mail ready\r\n",
        },
        Example {
            port: 25,
            client: b"",
            server: b"220 mail Microsoft ESMTP MAIL Service\r\n",
        },
    ],
};

const MANNERS: Manners = Manners {
    greetings: &["220 ", "220-", "421 ", "554 "],
    names_itself: |line| has_word(line, "ESMTP") || has_word(line, "SMTP"),
    commands: &["EHLO", "HELO", "LHLO", "XCLIENT", "STARTTLS", "MAIL FROM:"],
    own_commands: &["EHLO", "HELO", "MAIL FROM:"],
};
