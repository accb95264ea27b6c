//! A catalog file's text to its entries, not yet compared with any other entry.
//!
//! Every entry is returned, faulty ones too, so that a reference to it is not a fault of its own;
//! a catalog is made only if there is no fault at all. Next is `merge.rs`.

use crate::catalog::entry::{
    Behaviour, ClassEntry, Fact, InterfaceEntry, Listens, MailslotEntry, NetbiosNameEntry, Origin,
    PipeEntry, PortRange, PortRow, Service, SignEntry, System, Version,
};
use crate::catalog::fault::{Fault, FaultKind, Place};
use crate::catalog::table::{Placed, Reader, Table};
use crate::model::five_tuple::IpProtocol;
use crate::model::netbios::NameKind;
use crate::model::protocol::Vocabulary;
use crate::model::uuid::Uuid;

const FILE_KEYS: &[&str] = &[
    "service",
    "more_ports",
    "interface",
    "pipe",
    "class",
    "mailslot",
    "netbios_name",
    "sign",
];
const SERVICE_KEYS: &[&str] = &[
    "id",
    "name",
    "about",
    "aliases",
    "source",
    "id_source",
    "port",
    "behaviour",
];
const MORE_PORTS_KEYS: &[&str] = &["service", "source", "port"];
const PORT_KEYS: &[&str] = &[
    "application",
    "protocol",
    "port",
    "speaks",
    "listener",
    "only_if_spoken",
    "quirk",
    "note",
];
const BEHAVIOUR_KEYS: &[&str] = &[
    "note",
    "data_port_offset",
    "passive_ports",
    "private_ports",
    "administration_port",
    "dynamic_ports",
    "dynamic_port_count",
    "reply_ports",
    "ports_configurable",
    "registers_names",
];
const INTERFACE_KEYS: &[&str] = &[
    "uuid", "versions", "name", "service", "pipes", "about", "source",
];
const PIPE_KEYS: &[&str] = &["name", "service", "interface", "about", "source"];
const CLASS_KEYS: &[&str] = &["uuid", "name", "service", "about", "source"];
const MAILSLOT_KEYS: &[&str] = &["name", "service", "about", "source"];
const SIGN_KEYS: &[&str] = &[
    "field",
    "text",
    "service",
    "through",
    "by_server",
    "own_address",
    "product",
    "system",
    "about",
    "source",
];
const NETBIOS_NAME_KEYS: &[&str] = &["suffix", "name", "kind", "meaning", "service", "source"];

const A_PORT: &str = "a port from 1 to 65535";

/// What one file says.
#[derive(Default)]
pub(super) struct Entries {
    pub services: Vec<ReadService>,
    pub more_ports: Vec<ReadMorePorts>,
    pub interfaces: Vec<ReadInterface>,
    pub pipes: Vec<ReadNamed<PipeEntry>>,
    pub classes: Vec<ReadNamed<ClassEntry>>,
    pub mailslots: Vec<ReadNamed<MailslotEntry>>,
    pub netbios_names: Vec<ReadNamed<NetbiosNameEntry>>,
    pub signs: Vec<ReadNamed<SignEntry>>,
}

impl Entries {
    /// Adds the entries of another file of the same layer.
    pub fn extend(&mut self, other: Entries) {
        self.services.extend(other.services);
        self.more_ports.extend(other.more_ports);
        self.interfaces.extend(other.interfaces);
        self.pipes.extend(other.pipes);
        self.classes.extend(other.classes);
        self.mailslots.extend(other.mailslots);
        self.netbios_names.extend(other.netbios_names);
        self.signs.extend(other.signs);
    }
}

/// A service, and the lines of what other entries may repeat.
pub(super) struct ReadService {
    pub entry: Service,
    pub id_place: Place,
    pub alias_places: Vec<Place>,
    pub row_places: Vec<Place>,
}

/// Port rows for a service that is still a name, and their lines.
pub(super) struct ReadMorePorts {
    pub service: Option<Placed<String>>,
    pub rows: Vec<(PortRow, Place)>,
}

/// An interface whose service is still a name.
pub(super) struct ReadInterface {
    pub entry: InterfaceEntry,
    pub place: Place,
    pub service: Option<Placed<String>>,
}

/// A pipe, class, mailslot or NetBIOS name whose service is still a name.
pub(super) struct ReadNamed<T> {
    pub entry: T,
    pub place: Place,
    pub service: Option<Placed<String>>,
}

/// Reads the text of `file`; `origin` is what its services are marked with.
pub(super) fn read(
    file: &str,
    text: &str,
    origin: Origin,
    words: Option<&Vocabulary>,
) -> (Entries, Vec<Fault>) {
    let mut reader = Reader::new(file, text, words);
    let parsed = reader.parse(text);
    let broken: Vec<usize> = reader.faults.iter().map(|f| f.place.line).collect();

    let root = reader.root(&parsed, FILE_KEYS);
    let services = reader.tables(&root, "service", "[[service]]", SERVICE_KEYS);
    let more_ports = reader.tables(&root, "more_ports", "[[more_ports]]", MORE_PORTS_KEYS);
    let interfaces = reader.tables(&root, "interface", "[[interface]]", INTERFACE_KEYS);
    let pipes = reader.tables(&root, "pipe", "[[pipe]]", PIPE_KEYS);
    let classes = reader.tables(&root, "class", "[[class]]", CLASS_KEYS);
    let mailslots = reader.tables(&root, "mailslot", "[[mailslot]]", MAILSLOT_KEYS);
    let names = reader.tables(&root, "netbios_name", "[[netbios_name]]", NETBIOS_NAME_KEYS);
    let signs = reader.tables(&root, "sign", "[[sign]]", SIGN_KEYS);
    let r = &mut reader;
    let entries = Entries {
        services: services.iter().map(|t| service(r, t, origin)).collect(),
        more_ports: more_ports.iter().map(|t| self::more_ports(r, t)).collect(),
        interfaces: interfaces.iter().map(|t| interface(r, t)).collect(),
        pipes: pipes.iter().map(|t| pipe(r, t)).collect(),
        classes: classes.iter().map(|t| class(r, t)).collect(),
        mailslots: mailslots.iter().map(|t| mailslot(r, t)).collect(),
        netbios_names: names.iter().map(|t| netbios_name(r, t)).collect(),
        signs: signs.iter().map(|t| sign(r, t)).collect(),
    };

    // A line that is not TOML says nothing else, and may have held the key that is missed.
    if !broken.is_empty() {
        reader.faults.retain(|f| match f.kind {
            FaultKind::Syntax(_) => true,
            FaultKind::MissingKey { .. } => false,
            _ => !broken.contains(&f.place.line),
        });
    }
    (entries, reader.faults)
}

fn service(r: &mut Reader, table: &Table, origin: Origin) -> ReadService {
    let aliases = r.texts(table, "aliases");
    let rows = port_rows(r, table, "[[service.port]]");
    let behaviours = r.tables(table, "behaviour", "[[service.behaviour]]", BEHAVIOUR_KEYS);
    let (ports, row_places) = rows.into_iter().unzip();
    let entry = Service {
        id: required(r, table, "id"),
        name: required(r, table, "name"),
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
        id_source: optional(r, table, "id_source"),
        origin,
        ports,
        behaviour: behaviours.iter().map(|b| behaviour(r, b)).collect(),
        aliases: aliases.iter().map(|a| a.value.clone()).collect(),
    };
    ReadService {
        id_place: table.place_of(r, "id"),
        alias_places: aliases.into_iter().map(|a| a.place).collect(),
        entry,
        row_places,
    }
}

/// `[[more_ports]]`: rows for a service whose entry stands elsewhere, all of one source.
fn more_ports(r: &mut Reader, table: &Table) -> ReadMorePorts {
    r.must_have(table, "port");
    let source = required(r, table, "source");
    let service = r.required_text(table, "service");
    let mut rows = port_rows(r, table, "[[more_ports.port]]");
    for (row, _) in &mut rows {
        row.source = Some(source.clone());
    }
    ReadMorePorts { service, rows }
}

/// The `port` rows of a table, each with its line.
fn port_rows(r: &mut Reader, table: &Table, head: &'static str) -> Vec<(PortRow, Place)> {
    let rows = r.tables(table, "port", head, PORT_KEYS);
    (rows.iter())
        .map(|row| (port_row(r, row), row.place.clone()))
        .collect()
}

fn port_row(r: &mut Reader, table: &Table) -> PortRow {
    let mut speaks = Vec::new();
    for name in r.texts(table, "speaks") {
        r.must_be_known(&name, "protocol", |words| &words.protocols);
        speaks.push(name.value);
    }
    PortRow {
        application: required(r, table, "application"),
        at: listens(r, table),
        speaks,
        listener: r.flag(table, "listener"),
        only_if_spoken: r.flag(table, "only_if_spoken"),
        quirk: r.flag(table, "quirk"),
        note: optional(r, table, "note"),
        source: None,
    }
}

/// The `protocol` and `port` of a row. After a fault it is of no use, and nothing is compared
/// with it that could be a fault again: dynamic rows are not shared.
fn listens(r: &mut Reader, table: &Table) -> Listens {
    r.must_have(table, "port");
    let Some(name) = r.required_text(table, "protocol") else {
        return Listens::Dynamic(IpProtocol::TCP);
    };
    let protocol = match name.value.as_str() {
        "tcp" => IpProtocol::TCP,
        "udp" => IpProtocol::UDP,
        "ip" => {
            let number = r.number(table, "port", (0, 255), "an IP protocol from 0 to 255");
            let number = number.and_then(|n| u8::try_from(n).ok());
            return Listens::Ip(IpProtocol(number.unwrap_or_default()));
        }
        _ => {
            r.fault_at(name.place, FaultKind::NotAPortProtocol(name.value));
            return Listens::Dynamic(IpProtocol::TCP);
        }
    };
    if table.is_text("port") {
        if let Some(text) = r.text(table, "port").filter(|t| t.value != "dynamic") {
            let kind = FaultKind::OutOfRange {
                key: "port".to_owned(),
                found: text.value,
                wanted: "a port from 1 to 65535, or \"dynamic\"",
            };
            r.fault_at(text.place, kind);
        }
        return Listens::Dynamic(protocol);
    }
    match r.number(table, "port", (1, 65535), A_PORT) {
        Some(port) => Listens::Port(protocol, u16::try_from(port).unwrap_or_default()),
        None => Listens::Dynamic(protocol),
    }
}

fn behaviour(r: &mut Reader, table: &Table) -> Behaviour {
    let mut facts = Vec::new();
    let offset = r.number(
        table,
        "data_port_offset",
        (-65535, 65535),
        "from -65535 to 65535",
    );
    facts.extend(
        offset
            .and_then(|o| i32::try_from(o).ok())
            .map(Fact::DataPortOffset),
    );
    facts.extend(range(r, table, "passive_ports").map(Fact::PassivePorts));
    facts.extend(range(r, table, "private_ports").map(Fact::PrivatePorts));
    let port = r.number(table, "administration_port", (1, 65535), A_PORT);
    facts.extend(
        port.and_then(|p| u16::try_from(p).ok())
            .map(Fact::AdministrationPort),
    );
    facts.extend(range(r, table, "dynamic_ports").map(Fact::DynamicPorts));
    let count = r.number(table, "dynamic_port_count", (1, 65535), "from 1 to 65535");
    facts.extend(
        count
            .and_then(|c| u16::try_from(c).ok())
            .map(Fact::DynamicPortCount),
    );
    facts.extend(range(r, table, "reply_ports").map(Fact::ReplyPorts));
    if r.flag(table, "ports_configurable") {
        facts.push(Fact::PortsConfigurable);
    }
    if r.flag(table, "registers_names") {
        facts.push(Fact::RegistersNames);
    }
    if let Some(key) = facts.get(1).and_then(|second| second.key()) {
        let place = table.place_of(r, key);
        r.fault_at(place, FaultKind::TwoFacts(key.to_owned()));
    }
    Behaviour {
        fact: facts.first().copied().unwrap_or(Fact::Stated),
        note: required(r, table, "note"),
    }
}

fn range(r: &mut Reader, table: &Table, key: &'static str) -> Option<PortRange> {
    if !table.has(key) {
        return None;
    }
    match r.numbers(table, key).as_deref() {
        Some(&[first, last]) if 0 < first && first <= last => Some(PortRange { first, last }),
        _ => {
            let place = table.place_of(r, key);
            r.fault_at(place, FaultKind::NotARange(key.to_owned()));
            None
        }
    }
}

fn interface(r: &mut Reader, table: &Table) -> ReadInterface {
    let uuid = uuid(r, table);
    let mut versions = Vec::new();
    for text in r.texts(table, "versions") {
        match version(&text.value) {
            Some(version) => versions.push(version),
            None => r.fault_at(text.place, FaultKind::NotAVersion(text.value)),
        }
    }
    let pipes = r.texts(table, "pipes");
    let entry = InterfaceEntry {
        uuid,
        versions,
        name: optional(r, table, "name"),
        service: None,
        pipes: pipes.into_iter().map(|p| p.value).collect(),
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
    };
    ReadInterface {
        entry,
        place: table.place_of(r, "uuid"),
        service: r.text(table, "service"),
    }
}

/// The `uuid` of a table; nil after a fault.
fn uuid(r: &mut Reader, table: &Table) -> Uuid {
    let Some(text) = r.required_text(table, "uuid") else {
        return Uuid::NIL;
    };
    text.value.parse().unwrap_or_else(|_| {
        r.fault_at(text.place, FaultKind::NotAUuid(text.value));
        Uuid::NIL
    })
}

fn version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    // Rust reads "+1"; a version is digits only.
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    Some(Version {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

fn pipe(r: &mut Reader, table: &Table) -> ReadNamed<PipeEntry> {
    let entry = PipeEntry {
        name: pattern(r, table, "pipe"),
        service: None,
        interface: optional(r, table, "interface"),
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
    };
    named(r, table, "name", entry)
}

/// An entry with the line of the key that names it, and the service that the table ties it to.
fn named<T>(r: &mut Reader, table: &Table, key: &str, entry: T) -> ReadNamed<T> {
    ReadNamed {
        entry,
        place: table.place_of(r, key),
        service: r.text(table, "service"),
    }
}

fn class(r: &mut Reader, table: &Table) -> ReadNamed<ClassEntry> {
    let entry = ClassEntry {
        uuid: uuid(r, table),
        name: required(r, table, "name"),
        service: None,
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
    };
    named(r, table, "uuid", entry)
}

fn mailslot(r: &mut Reader, table: &Table) -> ReadNamed<MailslotEntry> {
    let entry = MailslotEntry {
        name: pattern(r, table, "mailslot"),
        service: None,
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
    };
    named(r, table, "name", entry)
}

fn sign(r: &mut Reader, table: &Table) -> ReadNamed<SignEntry> {
    if let Some(field) = r.text(table, "field") {
        r.must_be_known(&field, "field", |words| &words.fields);
    }
    let entry = SignEntry {
        field: required(r, table, "field"),
        text: required(r, table, "text"),
        service: None,
        through: r.flag(table, "through"),
        by_server: r.flag(table, "by_server"),
        own_address: r.flag(table, "own_address"),
        product: optional(r, table, "product"),
        system: optional(r, table, "system").map(|name| System::named(&name)),
        about: optional(r, table, "about"),
        source: required(r, table, "source"),
    };
    named(r, table, "text", entry)
}

fn netbios_name(r: &mut Reader, table: &Table) -> ReadNamed<NetbiosNameEntry> {
    r.must_have(table, "suffix");
    let suffix = r.number(table, "suffix", (0, 255), "a byte from 0x00 to 0xff");
    let kind = r.text(table, "kind").and_then(|text| match &*text.value {
        "unique" => Some(NameKind::Unique),
        "group" => Some(NameKind::Group),
        _ => {
            r.fault_at(text.place, FaultKind::NotANameKind(text.value));
            None
        }
    });
    let name = table.has("name").then(|| pattern(r, table, "NetBIOS name"));
    let entry = NetbiosNameEntry {
        suffix: suffix
            .and_then(|s| u8::try_from(s).ok())
            .unwrap_or_default(),
        name,
        kind,
        meaning: required(r, table, "meaning"),
        service: None,
        source: required(r, table, "source"),
    };
    named(r, table, "suffix", entry)
}

/// The required `name` of `what`, in which one `*` may stand for some text.
fn pattern(r: &mut Reader, table: &Table, what: &'static str) -> String {
    let name = required(r, table, "name");
    if name.matches('*').count() > 1 {
        let (place, name) = (table.place_of(r, "name"), name.clone());
        r.fault_at(place, FaultKind::NotAPattern { what, name });
    }
    name
}

fn required(r: &mut Reader, table: &Table, key: &'static str) -> String {
    (r.required_text(table, key)).map_or_else(String::new, |text| text.value)
}

fn optional(r: &mut Reader, table: &Table, key: &str) -> Option<String> {
    r.text(table, key).map(|text| text.value)
}
