//! Internet Message Access Protocol (RFC 9051).

use crate::dissect::text::{BANNER, Logon, Manners};
use crate::dissect::{Definition, Example, Input, ntlm};
use crate::model::protocol::Protocol;

/// Internet Message Access Protocol (RFC 9051).
pub const PROTOCOL: Protocol = Protocol::new(&["imap", "IMAP"]);

/// IMAP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[143],
    begins: MANNERS.first_bytes(),
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| Box::new(Logon::new(opening, MANNERS.greetings))),
    says: &[BANNER, ntlm::VERSION],
    examples: &[Example {
        port: 143,
        client: b"a1 CAPABILITY\r\n",
        server: b"* OK ready\r\n",
    }],
};

const MANNERS: Manners = Manners {
    greetings: &["* OK", "* PREAUTH", "* BYE"],
    // No other protocol greets with an untagged answer.
    names_itself: |_| true,
    commands: &[],
    own_commands: &[],
};
