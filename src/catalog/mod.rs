//! The facts: services and where they listen, RPC interfaces, pipes, classes, mailslots, NetBIOS
//! names, each with its source.
//!
//! In come the TOML files of `catalog/`, compiled in, and those that the user names; out come
//! lookups. A file goes through `table.rs` (TOML, strictly), `read.rs` (entries) and `merge.rs`
//! (one catalog of them all, with
//! `listeners.rs` for who owns which port). Only a catalog without a single fault is ever made.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::five_tuple::IpProtocol;
use crate::model::netbios::{NameKind, NetbiosName};
use crate::model::protocol::{Field, Vocabulary};
use crate::model::uuid::{Interface, Uuid};

mod entry;
mod fault;
mod listeners;
mod merge;
mod read;
mod table;
mod text_pattern;

pub use entry::{
    Behaviour, ClassEntry, Fact, InterfaceEntry, Listens, MailslotEntry, NetbiosNameEntry, Origin,
    PipeEntry, PortRange, PortRow, PortUse, Service, ServiceId, SignEntry, System, SystemKind,
    Version,
};
pub use fault::{Fault, FaultKind, Faults, Place};

use merge::Merge;
use read::{Entries, read};
use text_pattern::TextPattern;

/// The built-in files: name, text, and what their services are marked with.
const BUILT_IN: &[(&str, &str, Origin)] = &[
    (
        "catalog/services.toml",
        include_str!("../../catalog/services.toml"),
        Origin::Founding,
    ),
    (
        "catalog/windows.toml",
        include_str!("../../catalog/windows.toml"),
        Origin::Windows,
    ),
    (
        "catalog/roles.toml",
        include_str!("../../catalog/roles.toml"),
        Origin::Windows,
    ),
    (
        "catalog/ports.toml",
        include_str!("../../catalog/ports.toml"),
        Origin::Windows,
    ),
    (
        "catalog/rpc.toml",
        include_str!("../../catalog/rpc.toml"),
        Origin::Windows,
    ),
    (
        "catalog/pipes.toml",
        include_str!("../../catalog/pipes.toml"),
        Origin::Windows,
    ),
    (
        "catalog/classes.toml",
        include_str!("../../catalog/classes.toml"),
        Origin::Windows,
    ),
    (
        "catalog/mailslots.toml",
        include_str!("../../catalog/mailslots.toml"),
        Origin::Windows,
    ),
    (
        "catalog/netbios.toml",
        include_str!("../../catalog/netbios.toml"),
        Origin::Windows,
    ),
    (
        "catalog/signs.toml",
        include_str!("../../catalog/signs.toml"),
        Origin::Windows,
    ),
];

/// The longest catalog file that is read: some ten times all that is built in.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Hashed the same in every run: nothing from the wire is ever added to these.
type Table<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// What is known of services, ports, interfaces, pipes, classes, mailslots and NetBIOS names. Does not change once made.
#[derive(Clone, Debug)]
pub struct Catalog {
    services: Vec<Service>,
    interfaces: Vec<InterfaceEntry>,
    pipes: Vec<PipeEntry>,
    classes: Vec<ClassEntry>,
    mailslots: Vec<MailslotEntry>,
    netbios_names: Vec<NetbiosNameEntry>,
    signs: Vec<SignEntry>,
    lookups: Lookups,
}

/// The ways in. Numbers are places in the catalog's lists.
#[derive(Clone, Debug, Default)]
struct Lookups {
    /// Ids, aliases and display names, folded.
    names: Table<String, ServiceId>,
    ports: Table<(IpProtocol, u16), Vec<PortUse>>,
    ip_protocols: Table<IpProtocol, Vec<PortUse>>,
    speakers: Table<String, Vec<PortUse>>,
    interfaces: Table<Uuid, Vec<usize>>,
    pipes: Patterns,
    classes: Table<Uuid, usize>,
    mailslots: Patterns,
    signs: SignsByField,
}

/// The patterns of each field, with their entries.
type SignsByField = Table<String, Vec<(TextPattern, usize)>>;

/// The ways in by a plain name. A name given in full goes before one with `*`.
#[derive(Clone, Debug, Default)]
struct Patterns {
    /// Names without `*`.
    exact: Table<String, usize>,
    /// Names with one `*`.
    patterns: Vec<(String, usize)>,
}

impl Patterns {
    fn find(&self, name: &str) -> Option<usize> {
        let like = || {
            (self.patterns.iter())
                .find(|(pattern, _)| is_like(pattern, name))
                .map(|(_, at)| *at)
        };
        self.exact.get(name).copied().or_else(like)
    }
}

/// How many entries of each kind a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// `[[service]]`.
    pub services: usize,
    /// `[[more_ports]]`.
    pub more_ports: usize,
    /// `[[interface]]`.
    pub interfaces: usize,
    /// `[[pipe]]`.
    pub pipes: usize,
    /// `[[class]]`.
    pub classes: usize,
    /// `[[mailslot]]`.
    pub mailslots: usize,
    /// `[[netbios_name]]`.
    pub netbios_names: usize,
    /// `[[sign]]`.
    pub signs: usize,
}

impl Catalog {
    /// The catalog that is compiled in.
    pub fn built_in() -> Catalog {
        Catalog::load(&[], None).expect("the built-in files are free of faults, as a test holds")
    }

    /// The built-in catalog with the entries of `extra` files, in their order. A service of the
    /// same id, a port row of the same service, port and application, an interface of the same
    /// UUID and version, a class of the same UUID, a pipe or mailslot of the same name and a
    /// NetBIOS name of the same suffix, name and kind replace the earlier entry whole; anything
    /// else is added. Names of protocols and fields must be among
    /// `words`, where those are given.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn load(extra: &[PathBuf], words: Option<&Vocabulary>) -> Result<Catalog, Faults> {
        Catalog::layered(BUILT_IN, extra, words)
    }

    /// A catalog of these files alone, without the built-in entries.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn only(files: &[PathBuf], words: Option<&Vocabulary>) -> Result<Catalog, Faults> {
        Catalog::layered(&[], files, words)
    }

    fn layered(
        texts: &[(&str, &str, Origin)],
        extra: &[PathBuf],
        words: Option<&Vocabulary>,
    ) -> Result<Catalog, Faults> {
        let mut faults = Vec::new();
        let mut merge = Merge::default();
        let mut built_in = Entries::default();
        let mut files: Vec<String> = Vec::new();
        for (name, text, origin) in texts {
            files.push((*name).to_owned());
            let (entries, found) = read(name, text, *origin, words);
            faults.extend(found);
            built_in.extend(entries);
        }
        merge.add(built_in);
        for path in extra {
            let (entries, found) = read_file(path, words);
            files.push(path.display().to_string());
            faults.extend(found);
            merge.add(entries);
        }
        let (catalog, found) = merge.finish();
        faults.extend(found);
        if faults.is_empty() {
            return Ok(catalog);
        }
        Err(Faults(in_order(faults, &files)))
    }

    /// Checks one file as [`Catalog::load`] would, over the built-in catalog.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn check(path: &Path, words: &Vocabulary) -> Result<Contents, Faults> {
        Catalog::load(&[path.to_owned()], Some(words))?;
        let (entries, _) = read_file(path, Some(words));
        Ok(Contents {
            services: entries.services.len(),
            more_ports: entries.more_ports.len(),
            interfaces: entries.interfaces.len(),
            pipes: entries.pipes.len(),
            classes: entries.classes.len(),
            mailslots: entries.mailslots.len(),
            netbios_names: entries.netbios_names.len(),
            signs: entries.signs.len(),
        })
    }

    /// Every service: the founding article's in its order, then Windows' others, then the user's.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        (0..=u16::MAX).map(ServiceId).zip(&self.services)
    }

    /// The service of this id.
    ///
    /// # Panics
    /// May panic if the id is of another catalog.
    pub fn service(&self, id: ServiceId) -> &Service {
        (self.services.get(usize::from(id.0))).expect("an id is of the catalog that gave it")
    }

    /// The service of this id, alias or display name, in whatever case.
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        self.lookups.names.get(&folded(name)).copied()
    }

    /// Who lists this port of TCP or UDP: its listener first, rows that do not occur on the wire
    /// last. A service stands there once for each of its rows, so count services, not entries.
    pub fn port(&self, protocol: IpProtocol, port: u16) -> &[PortUse] {
        (self.lookups.ports.get(&(protocol, port))).map_or(&[], Vec::as_slice)
    }

    /// Who lists this IP protocol, in the same order.
    pub fn ip_protocol(&self, protocol: IpProtocol) -> &[PortUse] {
        (self.lookups.ip_protocols.get(&protocol)).map_or(&[], Vec::as_slice)
    }

    /// Rows, of whatever port, that may speak the protocol of this short name; listeners first. A service stands
    /// there once for each of its rows.
    pub fn speaks_of(&self, protocol: &str) -> &[PortUse] {
        (self.lookups.speakers.get(protocol)).map_or(&[], Vec::as_slice)
    }

    /// Ranges from which Windows takes dynamic ports, as the services' behaviour states them.
    pub fn dynamic_ports(&self) -> impl Iterator<Item = PortRange> {
        let behaviours = self.services.iter().flat_map(|s| &s.behaviour);
        behaviours.filter_map(|b| match b.fact {
            Fact::DynamicPorts(range) => Some(range),
            _ => None,
        })
    }

    /// The entry that names this interface: of its UUID and exactly its version; else of its
    /// UUID and major version, as a server answers to lower minor versions; else of its UUID
    /// where no version is known. Where several fit, `pipe` decides, else the first.
    ///
    /// Another major version is another interface: see [`Catalog::interfaces_of_uuid`] for it.
    pub fn interface(&self, interface: Interface, pipe: Option<&str>) -> Option<&InterfaceEntry> {
        let is_exact = |v: &Version| (v.major, v.minor) == (interface.major, interface.minor);
        let is_near = |v: &Version| v.major == interface.major;
        let pipe = pipe.map(plain_pipe);
        let best_of = |fits: &dyn Fn(&InterfaceEntry) -> bool| {
            let entries = || self.interfaces_of_uuid(interface.uuid).filter(|e| fits(e));
            let on_the_pipe = |e: &&InterfaceEntry| {
                (pipe.as_ref())
                    .is_some_and(|pipe| e.pipes.iter().any(|name| *pipe == plain_pipe(name)))
            };
            entries().find(on_the_pipe).or_else(|| entries().next())
        };
        best_of(&|e| e.versions.iter().any(is_exact))
            .or_else(|| best_of(&|e| e.versions.iter().any(is_near)))
            .or_else(|| best_of(&|e| e.versions.is_empty()))
    }

    /// Every entry of this UUID, of whatever version.
    pub fn interfaces_of_uuid(&self, uuid: Uuid) -> impl Iterator<Item = &InterfaceEntry> {
        let places = (self.lookups.interfaces.get(&uuid)).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.interfaces.get(*at))
    }

    /// Every interface, in the order of the files.
    pub fn interfaces(&self) -> &[InterfaceEntry] {
        &self.interfaces
    }

    /// The pipe of this name, in whatever case, with or without `\PIPE\` before it. A name given
    /// in full goes before one with `*`.
    pub fn pipe(&self, name: &str) -> Option<&PipeEntry> {
        self.pipes.get(self.lookups.pipes.find(&plain_pipe(name))?)
    }

    /// Every pipe, in the order of the files.
    pub fn pipes(&self) -> &[PipeEntry] {
        &self.pipes
    }

    /// The class of objects that has this id.
    pub fn class(&self, uuid: Uuid) -> Option<&ClassEntry> {
        self.classes.get(*self.lookups.classes.get(&uuid)?)
    }

    /// Every class, in the order of the files.
    pub fn classes(&self) -> &[ClassEntry] {
        &self.classes
    }

    /// The mailslot of this name, in whatever case, with or without `\MAILSLOT\` before it. A name
    /// given in full goes before one with `*`.
    pub fn mailslot(&self, name: &str) -> Option<&MailslotEntry> {
        let at = self.lookups.mailslots.find(&plain_mailslot(name))?;
        self.mailslots.get(at)
    }

    /// What it tells that `text` is said in a field: of the signs that it is like, the one that
    /// says most of the text, and of several such the first.
    pub fn sign(&self, field: Field, text: &str) -> Option<&SignEntry> {
        let known = self.lookups.signs.get(field.name())?;
        let text = match text.is_ascii() {
            true => text.to_ascii_lowercase(),
            false => text.to_lowercase(),
        };
        let (_, at) = known.iter().find(|(pattern, _)| pattern.is_like(&text))?;
        self.signs.get(*at)
    }

    /// Every sign, in the order of the files.
    pub fn signs(&self) -> &[SignEntry] {
        &self.signs
    }

    /// Every mailslot, in the order of the files.
    pub fn mailslots(&self) -> &[MailslotEntry] {
        &self.mailslots
    }

    /// What this name says of who holds it: by suffix and name where an entry has both, else by
    /// suffix. None where the suffix means one thing for a host and another for a group, and
    /// `kind` does not tell.
    pub fn netbios_name(
        &self,
        name: NetbiosName,
        kind: Option<NameKind>,
    ) -> Option<&NetbiosNameEntry> {
        let text = name.text().to_ascii_lowercase();
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let fits = |entry: &&NetbiosNameEntry| {
            let of_the_kind = entry.kind.is_none() || kind.is_none() || entry.kind == kind;
            entry.suffix == name.suffix() && of_the_kind
        };
        let is_named = |entry: &&NetbiosNameEntry| {
            (entry.name.as_deref()).is_some_and(|known| is_like(&folded(known), &text))
        };
        let fitting = || self.netbios_names.iter().filter(fits);
        fitting().find(is_named).or_else(|| {
            let mut of_any_name = fitting().filter(|entry| entry.name.is_none());
            let first = of_any_name.next();
            first.filter(|_| of_any_name.next().is_none())
        })
    }

    /// Every NetBIOS name, in the order of the files.
    pub fn netbios_names(&self) -> &[NetbiosNameEntry] {
        &self.netbios_names
    }

    /// The service that registers the NetBIOS names of others, if the catalog has one.
    pub fn name_registrar(&self) -> Option<ServiceId> {
        let registers = |behaviour: &Behaviour| behaviour.fact == Fact::RegistersNames;
        (self.services())
            .find(|(_, service)| service.behaviour.iter().any(registers))
            .map(|(id, _)| id)
    }
}

/// A service's name for comparison: Windows compares them without case.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// A pipe's name for comparison: lower case, without `\PIPE\` or a backslash before it.
fn plain_pipe(name: &str) -> String {
    plain(name, "pipe\\")
}

/// A mailslot's name for comparison: lower case, without `\MAILSLOT\` or a backslash before it.
fn plain_mailslot(name: &str) -> String {
    plain(name, "mailslot\\")
}

fn plain(name: &str, root: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.trim_start_matches('\\');
    name.strip_prefix(root).unwrap_or(name).to_owned()
}

/// Whether the name is the pattern with its one `*` standing for some text without a backslash.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    (name
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after)))
    .is_some_and(|middle| !middle.is_empty() && !middle.contains('\\'))
}

/// Reads a user's file. One that cannot be read has no entries and one fault.
fn read_file(path: &Path, words: Option<&Vocabulary>) -> (Entries, Vec<Fault>) {
    let name = path.display().to_string();
    match text_of(path) {
        Ok(text) => read(&name, &text, Origin::User, words),
        Err((line, kind)) => {
            let file = name.as_str().into();
            let place = Place { file, line };
            (Entries::default(), vec![Fault { place, kind }])
        }
    }
}

/// The file's text, or the line of what is wrong with it, and what.
fn text_of(path: &Path) -> Result<String, (usize, FaultKind)> {
    let unreadable = |error: std::io::Error| (0, FaultKind::Unreadable(error.to_string()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than allowed tells a file that is too long, even if it has no end.
    (file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((0, FaultKind::TooLarge(MAX_FILE)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        (
            1 + good.filter(|byte| **byte == b'\n').count(),
            FaultKind::NotText,
        )
    })
}

/// The faults by file, as the files were given, and by line. What unread text may have held is
/// not said to be missing.
fn in_order(mut faults: Vec<Fault>, files: &[String]) -> Vec<Fault> {
    let is_unread = |f: &Fault| {
        use FaultKind::{NotText, Syntax, TooLarge, Unreadable};
        matches!(f.kind, Syntax(_) | Unreadable(_) | TooLarge(_) | NotText)
    };
    if faults.iter().any(is_unread) {
        faults.retain(|f| {
            !matches!(
                f.kind,
                FaultKind::UnknownService(_) | FaultKind::NoListener(_)
            )
        });
    }
    let rank = |f: &Fault| files.iter().position(|name| **name == *f.place.file);
    faults.sort_by_key(|f| (rank(f), f.place.line));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipes_name_is_compared_without_case_and_what_leads_to_it() {
        for name in [
            "svcctl",
            "SvcCtl",
            r"\svcctl",
            r"\PIPE\svcctl",
            r"PIPE\svcctl",
        ] {
            assert_eq!(plain_pipe(name), "svcctl", "{name}");
        }
        // A pipe may have the word in its own name.
        assert_eq!(plain_pipe("pipeline"), "pipeline");
    }

    #[test]
    fn the_star_stands_for_some_text_within_a_component() {
        assert!(is_like(r"mssql$*\sql\query", r"mssql$crm\sql\query"));
        assert!(!is_like(r"mssql$*\sql\query", r"mssql$\sql\query"));
        assert!(!is_like(r"mssql$*\sql\query", r"mssql$a\b\sql\query"));
        assert!(!is_like("ab*ba", "aba"));
        assert!(!is_like("a*", "b"));
    }

    #[test]
    fn faults_come_in_the_order_of_files_and_lines() {
        let fault = |file: &str, line| Fault {
            place: Place {
                file: file.into(),
                line,
            },
            kind: FaultKind::Empty("name".to_owned()),
        };
        let faults = vec![fault("a", 1), fault("b", 9), fault("b", 2)];
        let files = ["b".to_owned(), "a".to_owned()];
        let ordered = in_order(faults, &files);
        let lines: Vec<usize> = ordered.iter().map(|f| f.place.line).collect();
        assert_eq!(lines, [2, 9, 1]);
    }

    #[test]
    fn text_from_a_file_is_escaped_before_it_is_shown() {
        let place = Place {
            file: "a\u{1b}.toml".into(),
            line: 3,
        };
        for kind in [
            FaultKind::UnknownService("\u{1b}[31m".to_owned()),
            FaultKind::Duplicate {
                what: "alias \u{1b}[31m".to_owned(),
                first: place.clone(),
            },
            FaultKind::OutOfRange {
                key: "port".to_owned(),
                found: "\u{1b}[31m".to_owned(),
                wanted: "a port",
            },
        ] {
            let place = place.clone();
            let shown = Fault { place, kind }.to_string();
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
    }
}
