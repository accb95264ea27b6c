//! What names a payload: the application protocol that it speaks, and the fields in which a peer
//! says what it is or whom it wants.
//!
//! Neither list is closed: a dissector has its protocol and its fields as constants of its own
//! file, so that one more protocol is one more file.

/// An application protocol, as its payload shows it. Says nothing about who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(&'static [&'static str; 2]);

impl Protocol {
    /// A protocol by two words: its short name, lower case with hyphens (`netbios-name`), by which
    /// the catalog's `speaks` means it, and what it is called in rows (`NetBIOS Name Resolution`).
    /// They stay where they are: what every flow keeps of its protocol is no larger than a pointer.
    pub const fn new(words: &'static [&'static str; 2]) -> Protocol {
        Protocol(words)
    }

    /// Its short name, lower case: `rpc`, `smb`, `ldap`.
    pub const fn name(self) -> &'static str {
        self.0[0]
    }

    /// What it is called as an application protocol, in the catalog's words where that has some.
    pub const fn title(self) -> &'static str {
        self.0[1]
    }
}

/// A place in a protocol where a peer says what it is or whom it wants: a greeting, a header, the
/// name of a host, of a principal, of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(&'static [&'static str; 2]);

impl Field {
    /// A field by two words: its short name, lower case with hyphens (`http-server`), by which the
    /// catalog's signs mean it and which is the kind of its evidence, and the words that lead to what
    /// is said there, for a reader (`Server header`).
    pub const fn new(words: &'static [&'static str; 2]) -> Field {
        Field(words)
    }

    /// Its short name, lower case: `banner`, `http-server`.
    pub const fn name(self) -> &'static str {
        self.0[0]
    }

    /// The words that lead to what is said there: `Server header`.
    pub const fn lead(self) -> &'static str {
        self.0[1]
    }
}

/// Every name that a catalog file may use for what dissectors tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Names of protocols; sorted, each once.
    pub protocols: Vec<&'static str>,
    /// Names of fields; sorted, each once.
    pub fields: Vec<&'static str>,
}
