//! Simple Mail Transfer Protocol (RFC 5321).

use crate::dissect::text::{Greeting, Manners, has_word};
use crate::dissect::{Definition, Input};
use crate::model::protocol::Protocol;

/// SMTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Smtp,
    input: Input::Stream,
    usual_ports: &[25, 587],
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|_| Box::new(Greeting::new(MANNERS.greetings))),
};

const MANNERS: Manners = Manners {
    greetings: &["220 ", "220-", "421 ", "554 "],
    names_itself: |line| has_word(line, "ESMTP") || has_word(line, "SMTP"),
    commands: &["EHLO", "HELO", "LHLO", "XCLIENT", "STARTTLS", "MAIL FROM:"],
    own_commands: &["EHLO", "HELO", "MAIL FROM:"],
};
