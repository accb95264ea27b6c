//! Network News Transfer Protocol (RFC 3977).

use crate::dissect::text::{Greeting, Manners, has_word};
use crate::dissect::{Definition, Input};
use crate::model::protocol::Protocol;

/// NNTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Nntp,
    input: Input::Stream,
    usual_ports: &[119],
    probe: |opening| MANNERS.probe(opening),
    follow: Some(|_| Box::new(Greeting::new(MANNERS.greetings))),
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
