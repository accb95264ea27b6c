//! `wiretag catalog`: what is known of services, ports, interfaces, without any capture.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::catalog::{
    Catalog, InterfaceEntry, Listens, Origin, PortRow, PortUse, Service, ServiceId,
};
use crate::cli::options::load;
use crate::cli::{Exit, Failure};
use crate::model::five_tuple::IpProtocol;
use crate::model::uuid::Uuid;
use crate::report::escape::escape;

/// Show what the catalog knows, or check a catalog file.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// How to write it
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Add a catalog file; its entries replace those of the same name. May be given several times
    #[arg(long, global = true, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    #[command(subcommand)]
    question: Question,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// The services of the founding article, and yours, with their ports
    Services {
        /// Those too that Windows has besides, many of them reached over RPC alone
        #[arg(long)]
        all: bool,
    },
    /// One service, by id, alias or display name
    Service {
        /// Such as Spooler
        #[arg(value_name = "ID")]
        name: String,
    },
    /// Who lists a port
    Port {
        /// Such as 135, 135/tcp or 135/udp
        #[arg(value_name = "PORT[/tcp|/udp]")]
        port: Port,
    },
    /// Who lists an IP protocol
    Protocol {
        /// Such as 47
        #[arg(value_name = "NUMBER")]
        number: u8,
    },
    /// Which service exports an RPC interface
    Interface {
        /// Such as e1af8308-5d1f-11c9-91a4-08002b14a0fa
        #[arg(value_name = "UUID")]
        uuid: Uuid,
    },
    /// Check a catalog file, and say everything that is wrong with it
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

const AFTER: &str = "\
Examples:
  wiretag catalog services --format ndjson
  wiretag catalog service \"Print Spooler\"
  wiretag catalog port 445/tcp
  wiretag catalog check mine.toml";

/// A port, and TCP or UDP if one of them is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    number: u16,
    protocol: Option<IpProtocol>,
}

impl FromStr for Port {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Port, &'static str> {
        const NOT_A_PORT: &str = "not a port; one looks like 135, 135/tcp or 135/udp";
        let (number, protocol) = match text.split_once('/') {
            None => (text, None),
            Some((number, "tcp")) => (number, Some(IpProtocol::TCP)),
            Some((number, "udp")) => (number, Some(IpProtocol::UDP)),
            Some(_) => return Err(NOT_A_PORT),
        };
        let number = number.parse().map_err(|_| NOT_A_PORT)?;
        Ok(Port { number, protocol })
    }
}

/// Answers the question.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    if let Question::Check { file } = arguments.question {
        return check(file, arguments.format);
    }
    let catalog = load(&arguments.catalog)?;
    let mut out = BufWriter::new(anstream::stdout().lock());
    match arguments.question {
        Question::Services { all } => services(&mut out, arguments.format, &catalog, all),
        Question::Service { name } => service(&mut out, arguments.format, &catalog, &name),
        Question::Port { port } => {
            let protocols = [IpProtocol::TCP, IpProtocol::UDP];
            let asked = |protocol: &IpProtocol| port.protocol.is_none_or(|one| one == *protocol);
            let uses: Vec<_> = (protocols.into_iter().filter(asked))
                .flat_map(|protocol| {
                    let listens = Listens::Port(protocol, port.number);
                    (catalog.port(protocol, port.number).iter()).map(move |one| (listens, one))
                })
                .collect();
            let what = format!("no service lists port {}", port.number);
            port_uses(&mut out, arguments.format, &catalog, &uses, what)
        }
        Question::Protocol { number } => {
            let protocol = IpProtocol(number);
            let uses: Vec<_> = (catalog.ip_protocol(protocol).iter())
                .map(|one| (Listens::Ip(protocol), one))
                .collect();
            let what = format!("no service lists IP protocol {number}");
            port_uses(&mut out, arguments.format, &catalog, &uses, what)
        }
        Question::Interface { uuid } => interface(&mut out, arguments.format, &catalog, uuid),
        Question::Check { .. } => Ok(()),
    }?;
    out.flush()?;
    Ok(Exit::Well)
}

fn check(file: PathBuf, format: Format) -> Result<Exit, Failure> {
    let found = Catalog::check(&file, &crate::dissect::vocabulary())
        .map_err(|faults| Failure::Usage(faults.to_string()))?;
    let line = Checked {
        file: file.display().to_string(),
        services: found.services,
        more_ports: found.more_ports,
        interfaces: found.interfaces,
        pipes: found.pipes,
        classes: found.classes,
        mailslots: found.mailslots,
        netbios_names: found.netbios_names,
        signs: found.signs,
    };
    let mut out = anstream::stdout().lock();
    match format {
        Format::Ndjson => json(&mut out, &line)?,
        Format::Text => writeln!(
            out,
            "{}: services {}, more ports {}, interfaces {}, pipes {}, classes {}, mailslots {}, NetBIOS names {}, \
             signs {}; \
             no fault",
            escape(&line.file),
            line.services,
            line.more_ports,
            line.interfaces,
            line.pipes,
            line.classes,
            line.mailslots,
            line.netbios_names,
            line.signs,
        )?,
    }
    Ok(Exit::Well)
}

/// What `check` counts.
#[derive(Serialize)]
struct Checked {
    file: String,
    services: usize,
    more_ports: usize,
    interfaces: usize,
    pipes: usize,
    classes: usize,
    mailslots: usize,
    netbios_names: usize,
    signs: usize,
}

/// A line of `services`.
#[derive(Serialize)]
struct ServiceLine<'a> {
    service: &'a str,
    service_name: &'a str,
    source: &'a str,
    ports: Vec<PortLine<'a>>,
}

#[derive(Serialize)]
struct PortLine<'a> {
    application: &'a str,
    protocol: &'static str,
    port: PortNumber,
    quirk: bool,
    note: Option<&'a str>,
    source: &'a str,
}

/// A number, or `"dynamic"`.
#[derive(Serialize)]
#[serde(untagged)]
enum PortNumber {
    Fixed(u16),
    Dynamic(&'static str),
}

impl<'a> ServiceLine<'a> {
    fn new(service: &'a Service) -> ServiceLine<'a> {
        ServiceLine {
            service: &service.id,
            service_name: &service.name,
            source: &service.source,
            ports: (service.ports.iter())
                .map(|row| PortLine::new(service, row))
                .collect(),
        }
    }
}

impl<'a> PortLine<'a> {
    fn new(service: &'a Service, row: &'a PortRow) -> PortLine<'a> {
        PortLine {
            application: &row.application,
            protocol: row.at.protocol_name(),
            port: PortNumber::of(row.at),
            quirk: row.quirk,
            note: row.note.as_deref(),
            source: row.source.as_deref().unwrap_or(&service.source),
        }
    }
}

impl PortNumber {
    fn of(listens: Listens) -> PortNumber {
        (listens.number()).map_or(PortNumber::Dynamic("dynamic"), PortNumber::Fixed)
    }
}

fn services(
    out: &mut impl Write,
    format: Format,
    catalog: &Catalog,
    all: bool,
) -> Result<(), Failure> {
    for (_, service) in catalog.services() {
        if !all && service.origin == Origin::Windows {
            continue;
        }
        match format {
            Format::Ndjson => json(out, &ServiceLine::new(service))?,
            Format::Text => {
                writeln!(
                    out,
                    "{BOLD}{}{BOLD:#}  {}",
                    escape(&service.id),
                    escape(&service.name)
                )?;
                writeln_wrapped(out, &ports(service))?;
            }
        }
    }
    Ok(())
}

const BOLD: anstyle::Style = anstyle::Style::new().bold();

/// Columns that text is wrapped to: it is read by people, in whatever window.
const WIDTH: usize = 78;

/// Writes indented lines, broken between words.
fn writeln_wrapped(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && 4 + line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "    {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    match line.is_empty() {
        true => Ok(()),
        false => writeln!(out, "    {line}"),
    }
}

/// A service's ports: `135/tcp, dynamic/tcp`.
fn ports(service: &Service) -> String {
    let mut all: Vec<_> = service.ports.iter().map(|row| row.at.to_string()).collect();
    all.dedup();
    match all.is_empty() {
        true => "no port of its own".to_owned(),
        false => all.join(", "),
    }
}

/// What `service` adds to a line of `services`.
#[derive(Serialize)]
struct ServiceInFull<'a> {
    #[serde(flatten)]
    line: ServiceLine<'a>,
    about: Option<&'a str>,
    aliases: &'a [String],
    id_source: Option<&'a str>,
    behaviour: Vec<&'a str>,
    interfaces: Vec<InterfaceLine<'a>>,
}

fn service(
    out: &mut impl Write,
    format: Format,
    catalog: &Catalog,
    name: &str,
) -> Result<(), Failure> {
    let unknown = || Failure::Nothing(format!("no service is called \"{}\"", escape(name)));
    let id = catalog.find(name).ok_or_else(unknown)?;
    let service = catalog.service(id);
    let interfaces: Vec<_> = (catalog.interfaces().iter())
        .filter(|entry| entry.service == Some(id))
        .collect();
    match format {
        Format::Ndjson => json(
            out,
            &ServiceInFull {
                line: ServiceLine::new(service),
                about: service.about.as_deref(),
                aliases: &service.aliases,
                id_source: service.id_source.as_deref(),
                behaviour: service.behaviour.iter().map(|b| b.note.as_str()).collect(),
                interfaces: (interfaces.iter())
                    .map(|entry| InterfaceLine::new(catalog, entry))
                    .collect(),
            },
        )?,
        Format::Text => service_text(out, service, &interfaces)?,
    }
    Ok(())
}

fn service_text(
    out: &mut impl Write,
    service: &Service,
    interfaces: &[&InterfaceEntry],
) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}{}{BOLD:#}  {}",
        escape(&service.id),
        escape(&service.name)
    )?;
    if let Some(about) = &service.about {
        writeln_wrapped(out, &escape(about))?;
    }
    if !service.aliases.is_empty() {
        writeln_wrapped(
            out,
            &format!("also called {}", escape(&service.aliases.join(", "))),
        )?;
    }
    writeln_wrapped(out, &format!("source: {}", escape(&service.source)))?;
    if let Some(source) = &service.id_source {
        writeln_wrapped(out, &format!("source of the id: {}", escape(source)))?;
    }
    ports_text(out, service)?;
    if !interfaces.is_empty() {
        writeln!(out, "\ninterfaces")?;
    }
    for entry in interfaces {
        let name = entry.name.as_deref().unwrap_or("");
        writeln!(out, "    {}  {}", entry.uuid, escape(name))?;
    }
    if !service.behaviour.is_empty() {
        writeln!(out, "\nbehaviour")?;
    }
    for behaviour in &service.behaviour {
        writeln_wrapped(out, &escape(&behaviour.note))?;
    }
    Ok(())
}

/// The port rows, those that were added beneath their source.
fn ports_text(out: &mut impl Write, service: &Service) -> io::Result<()> {
    for rows in service
        .ports
        .chunk_by(|one, next| one.source == next.source)
    {
        writeln!(out, "\nports")?;
        if let Some(source) = &rows[0].source {
            writeln_wrapped(out, &format!("source: {}", escape(source)))?;
        }
        for row in rows {
            let quirk = if row.quirk { "  (not on the wire)" } else { "" };
            let at = row.at.to_string();
            writeln!(out, "    {at:<14}{}{quirk}", escape(&row.application))?;
        }
    }
    Ok(())
}

/// A line of `port` and `protocol`.
#[derive(Serialize)]
struct UseLine<'a> {
    protocol: &'static str,
    port: PortNumber,
    service: &'a str,
    service_name: &'a str,
    application: &'a str,
    listener: bool,
    shared: bool,
    only_if_spoken: bool,
    quirk: bool,
}

fn port_uses(
    out: &mut impl Write,
    format: Format,
    catalog: &Catalog,
    uses: &[(Listens, &PortUse)],
    otherwise: String,
) -> Result<(), Failure> {
    if uses.is_empty() {
        return Err(Failure::Nothing(otherwise));
    }
    for (listens, one) in uses {
        let service = catalog.service(one.service);
        match format {
            Format::Ndjson => json(
                out,
                &UseLine {
                    protocol: listens.protocol_name(),
                    port: PortNumber::of(*listens),
                    service: &service.id,
                    service_name: &service.name,
                    application: &one.application,
                    listener: one.listener,
                    shared: one.shared,
                    only_if_spoken: one.only_if_spoken,
                    quirk: one.quirk,
                },
            )?,
            Format::Text => {
                let role = match (one.listener, one.quirk) {
                    (_, true) => "(not on the wire)",
                    (true, false) => "listens",
                    (false, false) => "relies on it",
                };
                let (at, name) = (listens.to_string(), escape(&service.name));
                let (id, application) = (escape(&service.id), escape(&one.application));
                let only = match one.only_if_spoken {
                    true => ", where the payload shows it",
                    false => "",
                };
                writeln!(
                    out,
                    "{at:<10}{role:<18}{BOLD}{id}{BOLD:#}  {name}, {application}{only}"
                )?;
            }
        }
    }
    Ok(())
}

/// A line of `interface`.
#[derive(Serialize)]
struct InterfaceLine<'a> {
    uuid: String,
    versions: Vec<String>,
    name: Option<&'a str>,
    service: Option<&'a str>,
    service_name: Option<&'a str>,
    pipes: &'a [String],
    about: Option<&'a str>,
    source: &'a str,
}

impl<'a> InterfaceLine<'a> {
    fn new(catalog: &'a Catalog, entry: &'a InterfaceEntry) -> InterfaceLine<'a> {
        let service = entry.service.map(|id: ServiceId| catalog.service(id));
        InterfaceLine {
            uuid: entry.uuid.to_string(),
            versions: entry.versions.iter().map(|v| v.to_string()).collect(),
            name: entry.name.as_deref(),
            service: service.map(|service| service.id.as_str()),
            service_name: service.map(|service| service.name.as_str()),
            pipes: &entry.pipes,
            about: entry.about.as_deref(),
            source: &entry.source,
        }
    }
}

fn interface(
    out: &mut impl Write,
    format: Format,
    catalog: &Catalog,
    uuid: Uuid,
) -> Result<(), Failure> {
    let lines: Vec<_> = (catalog.interfaces_of_uuid(uuid))
        .map(|entry| InterfaceLine::new(catalog, entry))
        .collect();
    if lines.is_empty() {
        return Err(Failure::Nothing(format!("no interface {uuid} is known")));
    }
    for line in &lines {
        match format {
            Format::Ndjson => json(out, line)?,
            Format::Text => interface_text(out, line)?,
        }
    }
    Ok(())
}

fn interface_text(out: &mut impl Write, line: &InterfaceLine) -> io::Result<()> {
    let versions = match line.versions.is_empty() {
        true => "of any version".to_owned(),
        false => format!("version {}", line.versions.join(", ")),
    };
    let name = escape(line.name.unwrap_or("(no name)"));
    writeln!(out, "{BOLD}{name}{BOLD:#}  {} {versions}", line.uuid)?;
    let service = match (line.service, line.service_name) {
        (Some(id), Some(name)) => format!("exported by {} ({})", escape(name), escape(id)),
        _ => "no single service is known to export it".to_owned(),
    };
    writeln_wrapped(out, &service)?;
    if !line.pipes.is_empty() {
        writeln_wrapped(out, &format!("pipes: {}", escape(&line.pipes.join(", "))))?;
    }
    if let Some(about) = line.about {
        writeln_wrapped(out, &escape(about))?;
    }
    writeln_wrapped(out, &format!("source: {}", escape(line.source)))
}

fn json(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_name_its_protocol() {
        let port = |number, protocol| Ok(Port { number, protocol });
        assert_eq!("135".parse(), port(135, None));
        assert_eq!("135/tcp".parse(), port(135, Some(IpProtocol::TCP)));
        assert_eq!("138/udp".parse(), port(138, Some(IpProtocol::UDP)));
        for text in ["", "/tcp", "65536", "135/sctp", "135/", "-1", "http"] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }
}
