//! NetBIOS names (RFC 1001 14.1, RFC 1002 4.2).

use std::fmt;

/// Sixteen bytes: fifteen of name, padded, and the suffix that says which service of its owner is
/// meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetbiosName(pub [u8; 16]);

impl NetbiosName {
    /// The sixteenth byte.
    pub fn suffix(self) -> u8 {
        let [.., suffix] = self.0;
        suffix
    }

    /// The name without its padding. Its code page is not known: each byte becomes the character
    /// of the same number, so that nothing is lost.
    pub fn text(self) -> String {
        let [name @ .., _] = self.0;
        let text: String = name.into_iter().map(char::from).collect();
        text.trim_end_matches([' ', '\0']).to_owned()
    }
}

impl fmt::Display for NetbiosName {
    /// `PC2<20>`. May hold control characters from the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<{:02x}>", self.text(), self.suffix())
    }
}

/// Whether a name is one host's or several may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// One host's.
    Unique,
    /// A group's.
    Group,
}

/// What the sender did with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameUse {
    /// It asked who holds the name.
    AskedFor,
    /// It answered that somebody holds the name.
    Resolved,
    /// It listed the name as its own.
    Listed,
    /// It registered or refreshed the name as its own.
    Registered,
    /// It gave the name up.
    Released,
    /// It decided on a registration that had been sent to it alone, as only a name server does
    /// (RFC 1002 4.2.5, 4.2.6, 4.2.16).
    Decided,
    /// It passed the name on to another name server, with whose it is.
    Replicated,
    /// It sent a datagram under the name.
    SentFrom,
    /// It sent a datagram to the name.
    SentTo,
    /// It asked for a session under the name.
    Calling,
    /// It asked for a session with the name.
    Called,
    /// It accepted a session that had been asked for with the name.
    Accepted,
}

impl NameUse {
    /// In words, to follow what the name means: `registered`, `asked for`.
    pub fn words(self) -> &'static str {
        match self {
            NameUse::AskedFor => "asked for",
            NameUse::Resolved => "resolved",
            NameUse::Listed => "listed",
            NameUse::Registered => "registered",
            NameUse::Released => "released",
            NameUse::Decided => "registration answered",
            NameUse::Replicated => "replicated",
            NameUse::SentFrom => "sent from",
            NameUse::SentTo => "sent to",
            NameUse::Calling => "calling",
            NameUse::Called => "called",
            NameUse::Accepted => "session accepted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_padding_and_with_its_suffix() {
        assert_eq!(NetbiosName(*b"PC2            \x20").to_string(), "PC2<20>");
        assert_eq!(NetbiosName([0; 16]).to_string(), "<00>");
        assert_eq!(NetbiosName(*b"A B             ").to_string(), "A B<20>");
    }

    #[test]
    fn two_names_never_look_the_same_for_a_byte_beyond_ascii() {
        let (one, other) = (NetbiosName([0xc4; 16]), NetbiosName([0xc5; 16]));
        assert_ne!(one.text(), other.text());
        assert_eq!(one.text().chars().count(), 15);
    }
}
