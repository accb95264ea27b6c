//! Internet Message Access Protocol (RFC 9051).

use crate::dissect::text::{Greeting, Manners};
use crate::dissect::{Definition, Input};
use crate::model::protocol::Protocol;

/// IMAP over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Imap,
    input: Input::Stream,
    usual_ports: &[143],
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|_| Box::new(Greeting::new(MANNERS.greetings))),
};

const MANNERS: Manners = Manners {
    greetings: &["* OK", "* PREAUTH", "* BYE"],
    // No other protocol greets with an untagged answer.
    names_itself: |_| true,
    commands: &[],
    own_commands: &[],
};
