//! What the catalog holds: services with their port rows, RPC interfaces, pipes, classes, mailslots,
//! NetBIOS names.

use std::fmt;

use crate::model::five_tuple::IpProtocol;
use crate::model::netbios::NameKind;
use crate::model::protocol::Protocol;
use crate::model::uuid::Uuid;

/// A service of one catalog. Means nothing to another catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(super) u16);

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Among the services of the founding article, Microsoft KB 832017.
    Founding,
    /// Among what Windows has besides, built in.
    Windows,
    /// In a file that the user named.
    User,
}

/// What an administrator calls a service, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The Windows service name, or the name chosen where there is none: see `id_source`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// One sentence on what it does.
    pub about: Option<String>,
    /// Other names that mean it, misprints in use among them.
    pub aliases: Vec<String>,
    /// Where the entry's facts come from.
    pub source: String,
    /// Where the id comes from, if it is not simply the Windows service name.
    pub id_source: Option<String>,
    /// Where the entry stands.
    pub origin: Origin,
    /// Where it listens, in the order of its source.
    pub ports: Vec<PortRow>,
    /// What is known of its traffic and no row can say.
    pub behaviour: Vec<Behaviour>,
}

/// One line of a service's port table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRow {
    /// The application protocol, in the words of the source: `LDAP Server`, `RPC over HTTP`.
    pub application: String,
    /// The port or IP protocol.
    pub at: Listens,
    /// Protocols that a payload there may plainly be, by their short names. Empty where none that
    /// is looked for is.
    pub speaks: Vec<String>,
    /// Whether it is marked to own the socket among the services that list this port.
    pub listener: bool,
    /// Whether it counts only where a payload is seen to speak one of these.
    pub only_if_spoken: bool,
    /// Whether the source prints the row although it does not occur on the wire.
    pub quirk: bool,
    /// What else is to be said of the row.
    pub note: Option<String>,
    /// Where the row's facts come from, where that is not the service's source: it was added.
    pub source: Option<String>,
}

/// What a port row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listens {
    /// A port of TCP or UDP; never 0.
    Port(IpProtocol, u16),
    /// Ports of TCP or UDP that are assigned as the service starts or is asked.
    Dynamic(IpProtocol),
    /// An IP protocol without ports.
    Ip(IpProtocol),
}

impl Listens {
    /// The kind of the number: `tcp`, `udp` or `ip`.
    pub fn protocol_name(self) -> &'static str {
        match self {
            Listens::Ip(_) => "ip",
            Listens::Port(IpProtocol::UDP, _) | Listens::Dynamic(IpProtocol::UDP) => "udp",
            Listens::Port(..) | Listens::Dynamic(_) => "tcp",
        }
    }

    /// The port or IP protocol number; none where ports are dynamic.
    pub fn number(self) -> Option<u16> {
        match self {
            Listens::Port(_, port) => Some(port),
            Listens::Dynamic(_) => None,
            Listens::Ip(protocol) => Some(protocol.0.into()),
        }
    }
}

impl fmt::Display for Listens {
    /// `135/tcp`, `dynamic/tcp`, `47/ip`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{number}/{}", self.protocol_name()),
            None => write!(f, "dynamic/{}", self.protocol_name()),
        }
    }
}

/// Ports from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest; never below the first.
    pub last: u16,
}

impl PortRange {
    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    /// `1025-5000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Something known of a service's traffic that no port row can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// What the program can read of it.
    pub fact: Fact,
    /// It in words.
    pub note: String,
}

/// The part of a behaviour that the program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// Connections for data leave from the control port plus this number.
    DataPortOffset(i32),
    /// Ports that are assigned for data connections which the client opens.
    PassivePorts(PortRange),
    /// Ports on which it listens for this host alone.
    PrivatePorts(PortRange),
    /// A port for administration, where that is enabled.
    AdministrationPort(u16),
    /// Ports from which dynamic ones are taken, unless the administrator restricts them.
    DynamicPorts(PortRange),
    /// How many dynamic ports it takes.
    DynamicPortCount(u16),
    /// Ports from which it answers, other than the one that was asked.
    ReplyPorts(PortRange),
    /// The administrator may choose other ports than those listed.
    PortsConfigurable,
    /// It registers the NetBIOS names of others.
    RegistersNames,
    /// Nothing: the note says all.
    Stated,
}

impl Fact {
    /// The key by which a catalog file gives it; none for a mere note.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Fact::DataPortOffset(_) => Some("data_port_offset"),
            Fact::PassivePorts(_) => Some("passive_ports"),
            Fact::PrivatePorts(_) => Some("private_ports"),
            Fact::AdministrationPort(_) => Some("administration_port"),
            Fact::DynamicPorts(_) => Some("dynamic_ports"),
            Fact::DynamicPortCount(_) => Some("dynamic_port_count"),
            Fact::ReplyPorts(_) => Some("reply_ports"),
            Fact::PortsConfigurable => Some("ports_configurable"),
            Fact::RegistersNames => Some("registers_names"),
            Fact::Stated => None,
        }
    }
}

/// A service's claim to a port or IP protocol, as a flow's lookup finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortUse {
    /// Which service.
    pub service: ServiceId,
    /// The application protocol, in the words of the source.
    pub application: String,
    /// Protocols that a payload there may plainly be, by their short names. Empty where none that
    /// is looked for is.
    pub speaks: Vec<String>,
    /// Whether the service owns the socket: it is marked so, or no other service lists the port.
    pub listener: bool,
    /// Whether other services list the port as well.
    pub shared: bool,
    /// Whether the row counts only where a payload is seen to speak one of these protocols.
    pub only_if_spoken: bool,
    /// Whether the source prints the row although it does not occur on the wire.
    pub quirk: bool,
}

impl PortRow {
    /// Whether a payload there may plainly be of this protocol.
    pub fn may_speak(&self, protocol: Protocol) -> bool {
        is_among(protocol, &self.speaks)
    }
}

impl PortUse {
    /// Whether a payload there may plainly be of this protocol.
    pub fn may_speak(&self, protocol: Protocol) -> bool {
        is_among(protocol, &self.speaks)
    }
}

fn is_among(protocol: Protocol, names: &[String]) -> bool {
    names.iter().any(|name| name == protocol.name())
}

/// The version of an RPC interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Another major version is another interface.
    pub major: u16,
    /// A higher minor version also answers to the lower ones.
    pub minor: u16,
}

impl fmt::Display for Version {
    /// `1.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An RPC interface, and the service that exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceEntry {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its versions; empty where none is known, which stands for any.
    pub versions: Vec<Version>,
    /// The name of its specification or of its finders, if it has one.
    pub name: Option<String>,
    /// The service that exports it; none where many do, or where nobody knows.
    pub service: Option<ServiceId>,
    /// The pipes on which it is reached, as written by its source.
    pub pipes: Vec<String>,
    /// What it is, in short.
    pub about: Option<String>,
    /// Where the entry's facts come from.
    pub source: String,
}

/// A named pipe, and who opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeEntry {
    /// Its name, as written by its source, without `\PIPE\`. One `*` in it stands for any text
    /// within a component.
    pub name: String,
    /// The service behind it; none where nobody knows.
    pub service: Option<ServiceId>,
    /// The interface or protocol that it is named for.
    pub interface: Option<String>,
    /// What it is, in short.
    pub about: Option<String>,
    /// Where the entry's facts come from.
    pub source: String,
}

/// A class of objects that DCOM activates, and the service that makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassEntry {
    /// Its id, the CLSID.
    pub uuid: Uuid,
    /// The name of its specification, or by which programs ask for it.
    pub name: String,
    /// The service whose process makes the objects; none where it is no service's.
    pub service: Option<ServiceId>,
    /// What it is, in short.
    pub about: Option<String>,
    /// Where the entry's facts come from.
    pub source: String,
}

/// A mailslot, and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailslotEntry {
    /// Its name, as written by its source, without `\MAILSLOT\`. One `*` in it stands for any text
    /// within a component.
    pub name: String,
    /// The service behind it; none where nobody knows.
    pub service: Option<ServiceId>,
    /// What is written to it, in short.
    pub about: Option<String>,
    /// Where the entry's facts come from.
    pub source: String,
}

/// What a peer may say in a field, and what that tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignEntry {
    /// The field, by its short name: `http-server`.
    pub field: String,
    /// What is said there: compared without case, each `*` stands for any text.
    pub text: String,
    /// The service that the flow is with, whoever of both sides said it.
    pub service: Option<ServiceId>,
    /// Whether that service is reached through the one that listens, as pipes are through SMB.
    pub through: bool,
    /// Whether it names its service only where the side that listens says it: clients say it, too.
    pub by_server: bool,
    /// Whether the text is an address and counts only where it is that of the side which says it:
    /// who passes on what another said is not the other.
    pub own_address: bool,
    /// The product that says it, where that is none of the catalog's services: who listens there
    /// is not whom the port is listed for.
    pub product: Option<String>,
    /// The system of the host that says it.
    pub system: Option<System>,
    /// What it means, in short.
    pub about: Option<String>,
    /// Where the entry's facts come from.
    pub source: String,
}

/// What system a host runs, as it shows itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct System {
    /// Its name and, where known, version: `Windows Server 2003`, `Debian Linux`.
    pub name: String,
    /// What that means for the services of Windows.
    pub kind: SystemKind,
}

/// What a system means for the services of Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemKind {
    /// It is Windows.
    Windows,
    /// It offers Windows' services under their names without being Windows: Samba.
    StandsIn,
    /// It is neither: a port that the catalog lists names no service there.
    Other,
}

impl System {
    /// The system of this name: one that begins with `Windows` is that, one that begins with
    /// `Samba` stands in for it.
    pub fn named(name: &str) -> System {
        let kind = match name {
            name if name.starts_with("Windows") => SystemKind::Windows,
            name if name.starts_with("Samba") => SystemKind::StandsIn,
            _ => SystemKind::Other,
        };
        System {
            name: name.to_owned(),
            kind,
        }
    }
}

/// What a suffix of NetBIOS names means, and who registers names with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetbiosNameEntry {
    /// The sixteenth byte.
    pub suffix: u8,
    /// The other fifteen, where the suffix means this with that name alone: without padding and
    /// control characters. One `*` in it stands for any text.
    pub name: Option<String>,
    /// Whose names, where the suffix means something else for the other kind.
    pub kind: Option<NameKind>,
    /// What holds the name, in short.
    pub meaning: String,
    /// The service that registers it; none where none does, or several may.
    pub service: Option<ServiceId>,
    /// Where the entry's facts come from.
    pub source: String,
}
