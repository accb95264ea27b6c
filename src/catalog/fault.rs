//! What can be wrong with a catalog file, and what would be right.

use std::fmt;
use std::sync::Arc;

/// A line of a catalog file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
}

impl fmt::Display for Place {
    /// `extra.toml:12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.escape_debug())?;
        match self.line {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: FaultKind,
}

/// What is wrong. Text in it comes from the file: it is escaped when shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The file cannot be read, for the reason that the system gives.
    Unreadable(String),
    /// The file is longer than so many bytes.
    TooLarge(u64),
    /// The file is not UTF-8.
    NotText,
    /// The text is not TOML.
    Syntax(String),
    /// A key that this kind of table does not have.
    UnknownKey {
        /// The key.
        key: String,
        /// Which keys there are.
        known: &'static [&'static str],
    },
    /// A key that this kind of table must have.
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table, as its head is written.
        table: &'static str,
    },
    /// A value of another type than its key wants.
    WrongType {
        /// The key.
        key: String,
        /// What there is.
        found: &'static str,
        /// What there should be.
        wanted: &'static str,
    },
    /// A text of nothing, or of blanks.
    Empty(String),
    /// The value of this key has a control character.
    ControlCharacter(String),
    /// A text that is no UUID.
    NotAUuid(String),
    /// A text that is no version.
    NotAVersion(String),
    /// The `protocol` of a port row is none of the three.
    NotAPortProtocol(String),
    /// A protocol or a field that the program does not look for.
    UnknownWord {
        /// `protocol` or `field`.
        what: &'static str,
        /// As it is written.
        name: String,
        /// Those that are known.
        known: Vec<&'static str>,
    },
    /// A number that its key cannot have.
    OutOfRange {
        /// The key.
        key: String,
        /// The number.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// Two numbers that are no range of ports.
    NotARange(String),
    /// More than one `*` in a name.
    NotAPattern {
        /// Whose: a pipe's, a mailslot's.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The `kind` of a NetBIOS name is none of the two.
    NotANameKind(String),
    /// A behaviour with more than one fact.
    TwoFacts(String),
    /// Something that stands there already.
    Duplicate {
        /// What: a service, an alias, a port row, a listener, an interface, a pipe and so on.
        what: String,
        /// Where it stands first.
        first: Place,
    },
    /// A service that no entry has for id or alias.
    UnknownService(String),
    /// A port that several services list and none is marked to own.
    NoListener(String),
    /// More services than the catalog can number.
    TooManyServices(usize),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Unreadable(why) => {
                write!(f, "cannot be read ({why}); name a TOML file that may be")
            }
            FaultKind::TooLarge(limit) => {
                write!(f, "longer than {limit} bytes; split it into several files")
            }
            FaultKind::NotText => f.write_str("not UTF-8; save the file in that encoding"),
            FaultKind::Syntax(why) => write!(f, "not TOML: {why}; see https://toml.io"),
            FaultKind::UnknownKey { key, known } => {
                write!(f, "unknown key {key:?}; known here: {}", known.join(", "))
            }
            FaultKind::MissingKey { key, table } => {
                write!(f, "{table} has no `{key}`; add `{key} = ...`")
            }
            FaultKind::WrongType { key, found, wanted } => {
                write!(f, "{key:?} is of type {found}; it should be {wanted}")
            }
            FaultKind::Empty(key) => {
                write!(f, "{key:?} is empty; give it a text or leave the key out")
            }
            FaultKind::ControlCharacter(key) => {
                write!(
                    f,
                    "{key:?} has a control character; write it on one line of plain text"
                )
            }
            FaultKind::NotAUuid(text) => write!(
                f,
                "{text:?} is not a UUID; one looks like e1af8308-5d1f-11c9-91a4-08002b14a0fa"
            ),
            FaultKind::NotAVersion(text) => write!(
                f,
                "{text:?} is not a version; one is \"MAJOR.MINOR\", each from 0 to 65535"
            ),
            FaultKind::NotAPortProtocol(text) => {
                write!(
                    f,
                    "{text:?} is no protocol of a port row; use tcp, udp or ip"
                )
            }
            FaultKind::UnknownWord { what, name, known } => {
                write!(f, "unknown {what} {name:?}; known: {}", known.join(", "))
            }
            FaultKind::OutOfRange { key, found, wanted } => {
                write!(
                    f,
                    "{key:?} is {}; it should be {wanted}",
                    found.escape_debug()
                )
            }
            FaultKind::NotARange(key) => write!(
                f,
                "{key:?} is no range; it should be [FIRST, LAST], each from 1 to 65535, in order"
            ),
            FaultKind::NotAPattern { what, name } => {
                write!(f, "{what} {name:?} has more than one `*`; keep one")
            }
            FaultKind::NotANameKind(text) => {
                write!(f, "{text:?} is no kind of name; use unique or group")
            }
            FaultKind::TwoFacts(key) => write!(
                f,
                "{key:?} is a second fact; give each its own [[service.behaviour]]"
            ),
            FaultKind::Duplicate { what, first } => write!(
                f,
                "{} stands already at {first}; keep one of them",
                what.escape_debug()
            ),
            FaultKind::UnknownService(name) => write!(
                f,
                "unknown service {name:?}; use the id or alias of a [[service]], or leave it out"
            ),
            FaultKind::NoListener(port) => write!(
                f,
                "several services list {port} and none owns it; mark one row with listener = true"
            ),
            FaultKind::TooManyServices(limit) => {
                write!(
                    f,
                    "more than {limit} services; leave out those that are not needed"
                )
            }
        }
    }
}

impl fmt::Display for Fault {
    /// `extra.toml:12: what is wrong; what would be right`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

/// Everything that is wrong with the files of a catalog, in their order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
