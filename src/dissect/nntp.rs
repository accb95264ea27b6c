//! Network News Transfer Protocol (RFC 3977).

use crate::dissect::text::{BANNER, Logon, Manners, has_word};
use crate::dissect::{Definition, Example, Input, ntlm};
use crate::model::protocol::Protocol;

/// Network News Transfer Protocol (RFC 3977).
pub const PROTOCOL: Protocol = Protocol::new(&["nntp", "NNTP"]);

/// NNTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[119],
    begins: MANNERS.first_bytes(),
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|opening| Box::new(Logon::new(opening, MANNERS.greetings))),
    says: &[BANNER, ntlm::VERSION],
    examples: &[
        Example {
            port: 119,
            client: b"GROUP comp.lang\r\n",
            server: b"200 posting allowed\r\n",
        },
        Example {
            port: 119,
            client: b"",
            server: b"201 Leafnode NNTP daemon\r\n",
        },
    ],
};

const MANNERS: Manners = Manners {
    greetings: &["200 ", "201 "],
    names_itself: |line| {
        ["NNTP", "NNRP", "NNTPD", "InterNetNews", "Leafnode"]
            .iter()
            .any(|name| has_word(line, name))
    },
    commands: &[
        "MODE READER",
        "MODE STREAM",
        "CAPABILITIES",
        "AUTHINFO",
        "GROUP",
        "LISTGROUP",
        "ARTICLE",
        "LIST",
        "NEWGROUPS",
        "NEWNEWS",
        "XOVER",
        "IHAVE",
        "CHECK",
        "POST",
        "DATE",
        "HELP",
    ],
    own_commands: &[
        "MODE READER",
        "MODE STREAM",
        "AUTHINFO",
        "NEWGROUPS",
        "LISTGROUP",
        "XOVER",
    ],
};
