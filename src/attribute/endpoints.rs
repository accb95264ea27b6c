//! The endpoint map: which interfaces and transfers live at which port of which server, over time.
//!
//! Learned from what every client was told and asked about by every flow: never keyed by client.
//! A tenant holds its port until another service moves in or it is seen to have moved itself; a
//! flow is judged by its own start. What a datagram taught, which anyone on the way may have sent,
//! moves nothing but what other datagrams taught, and is taken back where answers differ.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::attribute::appointments::{Appointments, MAX_APPOINTMENTS};
use crate::attribute::endpoint_row::EndpointRow;
use crate::attribute::hosts::Hosts;
use crate::attribute::instances::{Instances, MAX_INSTANCES};
use crate::attribute::label::EvidenceKind;
use crate::catalog::{Catalog, ServiceId};
use crate::model::evidence::Endpoint;
use crate::model::five_tuple::{IpProtocol, Peer};
use crate::model::packet::Frame;
use crate::model::time::Timestamp;
use crate::model::uuid::{Interface, Uuid};

/// How many ports are kept. A domain controller registers some hundred; a network of ten thousand
/// hosts with ten each still fits. An attacker who names every port fills it once, and no more.
pub const MAX_PORTS: usize = 200_000;

/// How many tenants, past and present, a port keeps. `svchost.exe` has some thirty interfaces on
/// one port; a port that changes hands more often than this forgets its oldest tenants.
pub const MAX_TENANTS: usize = 128;

/// How many tenants are kept in all: some 200 bytes each.
pub const MAX_TENANTS_IN_ALL: usize = 400_000;

/// How many ports an interface of a server may be said to live at, for its moves to be followed.
/// Real ones have one, or two.
const MAX_HOMES: usize = 64;

/// How many ports of one host are kept. Domain controllers register some hundred; who names all
/// its ports takes no room from others.
pub const MAX_PORTS_OF_ONE: usize = 2048;

/// How many pipes are kept.
pub const MAX_PIPES: usize = 200_000;

/// How many words of hosts about others are kept: they name nothing, so few are enough to be shown.
pub const MAX_HEARSAY: usize = 50_000;

/// How many such words are kept about one port.
pub const MAX_HEARSAY_OF_ONE: usize = 8;

/// How many ports are kept about which answers differ. What was taught of more is taken back as well,
/// but may be taught again.
pub const MAX_CONTESTED: usize = 50_000;

/// How an endpoint was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Teacher {
    /// An endpoint mapper's answer in a stream.
    Mapper,
    /// The same in a datagram.
    MapperByDatagram,
    /// An accepted BIND on the port itself.
    Bind,
    /// An activation, or the address of an object looked up.
    ObjectExporter,
}

/// What lives at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// An RPC interface.
    Interface(Interface),
    /// Objects; of this class, where it was asked for.
    Objects(Option<Uuid>),
}

impl Export {
    /// The interface, if it is one.
    pub fn interface(self) -> Option<Interface> {
        match self {
            Export::Interface(interface) => Some(interface),
            Export::Objects(_) => None,
        }
    }

    fn service(self, catalog: &Catalog) -> Option<ServiceId> {
        match self {
            Export::Interface(interface) => catalog.interface(interface, None)?.service,
            Export::Objects(class) => catalog.class(class?)?.service,
        }
    }
}

/// An interface, or the objects of a class, at a port.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Which.
    pub export: Export,
    /// The service that exports it, as far as the catalog knows.
    pub service: Option<ServiceId>,
    /// The frame that taught it first.
    pub learned: Frame,
    /// How it was learned first.
    pub teacher: Teacher,
    since: Timestamp,
    /// When it was last confirmed.
    confirmed: Timestamp,
    /// When it moved in, if another service lived here before.
    from: Option<Timestamp>,
    /// When it moved out.
    until: Option<Timestamp>,
}

impl Tenant {
    fn lived_here_at(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| moment >= from) && self.until.is_none_or(|until| moment < until)
    }
}

/// What was said of a port without ground: this names no service.
#[derive(Clone, Debug)]
pub struct Hearsay {
    /// What is said to live there.
    pub export: Export,
    /// The service that exports it, as far as the catalog knows.
    pub service: Option<ServiceId>,
    /// Why that names nothing: who said so is another host and cannot know, or answers differ.
    pub how: EvidenceKind,
    /// Who said so.
    pub by: IpAddr,
    /// In which frame.
    pub learned: Frame,
    since: Timestamp,
}

type Place = (IpAddr, IpProtocol, u16);

/// An interface of a server, by who told of it: datagrams do not move what streams taught.
type Home = (IpAddr, IpProtocol, Interface, Teacher);

/// Everything learned about endpoints.
#[derive(Debug)]
pub struct EndpointMap {
    /// The bounds are this many times smaller.
    share: usize,
    /// How many ports are kept of each server.
    ports_of: BTreeMap<IpAddr, usize>,
    hearsay: BTreeMap<Place, Vec<Hearsay>>,
    words: usize,
    /// About which answers in datagrams differ.
    contested: BTreeSet<Place>,
    ports: HashMap<Place, Vec<Tenant>, RandomState>,
    /// Where each interface of a server was last said to live.
    homes: HashMap<Home, Vec<u16>, RandomState>,
    pipes: BTreeMap<(IpAddr, String, Interface), (Frame, Timestamp)>,
    tenants: usize,
    /// Transfers that hosts agreed on.
    pub appointments: Appointments,
    /// Instances of servers, by name.
    pub instances: Instances,
    /// What hosts show of themselves.
    pub hosts: Hosts,
    /// Answers that did not fit the bounds.
    pub given_up: u64,
    /// Endpoints about which answers were found to differ.
    pub found_contested: u64,
}

/// What an answer or an accepted BIND taught.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// What lives there.
    pub export: Export,
    /// How it was learned.
    pub teacher: Teacher,
    /// By which frame.
    pub frame: Frame,
    /// When.
    pub time: Timestamp,
}

impl Default for EndpointMap {
    fn default() -> EndpointMap {
        EndpointMap::with_share(1)
    }
}

impl EndpointMap {
    /// A map that keeps one of `share` parts of what a map may keep.
    pub fn with_share(share: usize) -> EndpointMap {
        EndpointMap {
            share,
            ports_of: BTreeMap::new(),
            hearsay: BTreeMap::new(),
            words: 0,
            contested: BTreeSet::new(),
            ports: HashMap::default(),
            homes: HashMap::default(),
            pipes: BTreeMap::new(),
            tenants: 0,
            appointments: Appointments::within(MAX_APPOINTMENTS / share),
            instances: Instances::within(MAX_INSTANCES / share),
            hosts: Hosts::with_share(share),
            given_up: 0,
            found_contested: 0,
        }
    }

    /// Learns what lives at a port of `server`.
    pub fn learn(
        &mut self,
        catalog: &Catalog,
        server: IpAddr,
        protocol: IpProtocol,
        port: u16,
        lesson: Lesson,
    ) {
        let service = lesson.export.service(catalog);
        let place = (server, protocol, port);
        if lesson.teacher.is_datagram() && self.contested.contains(&place) {
            return;
        }
        let is_new = !self.ports.contains_key(&place);
        let of_one = self.ports_of.get(&server).copied().unwrap_or(0);
        let is_full = self.tenants >= MAX_TENANTS_IN_ALL / self.share
            || is_new && self.ports.len() >= MAX_PORTS / self.share
            || is_new && of_one >= MAX_PORTS_OF_ONE;
        if is_full {
            self.given_up += 1;
            return;
        }
        if is_new {
            self.ports_of.insert(server, of_one + 1);
        }
        let tenants = self.ports.entry(place).or_default();
        let before = tenants.len();
        settle(tenants, service, lesson);
        self.tenants += tenants.len() - before;
        let moves: &[Teacher] = match lesson.teacher {
            Teacher::Mapper => &[Teacher::Mapper, Teacher::MapperByDatagram],
            Teacher::MapperByDatagram => &[Teacher::MapperByDatagram],
            Teacher::Bind | Teacher::ObjectExporter => &[],
        };
        if let Export::Interface(interface) = lesson.export {
            for teacher in moves {
                let home = (server, protocol, interface, *teacher);
                self.follow_move(home, port, lesson.time);
            }
        }
    }

    /// Takes back what datagrams taught of a port of `server`: answers to one call differ about it,
    /// and nobody can say which are the server's. Flows there are named by stronger ground or not at
    /// all from now on.
    pub fn contest(
        &mut self,
        catalog: &Catalog,
        server: IpAddr,
        protocol: IpProtocol,
        port: u16,
        lesson: Lesson,
    ) {
        let place = (server, protocol, port);
        self.hear_of(
            catalog,
            place,
            (server, EvidenceKind::EndpointContested),
            lesson,
        );
        let is_new = !self.contested.contains(&place);
        self.found_contested += u64::from(is_new);
        if is_new && self.contested.len() < MAX_CONTESTED / self.share {
            self.contested.insert(place);
        }
        let Some(tenants) = self.ports.get_mut(&place) else {
            return;
        };
        let before = tenants.len();
        let contested = tenants.extract_if(.., |tenant| tenant.teacher.is_datagram());
        let left: Vec<_> = contested.filter_map(|tenant| tenant.until).collect();
        self.tenants -= before - tenants.len();
        // Who was taken to have replaced one of them was there all along.
        for other in tenants.iter_mut() {
            other.from = other.from.filter(|from| !left.contains(from));
        }
    }

    /// An answer that names another port than the last one did: the interface has moved, unless it
    /// is seen at the old port again. The ports of one answer stand side by side.
    fn follow_move(&mut self, home: Home, port: u16, said: Timestamp) {
        let (server, protocol, interface, teacher) = home;
        let is_moved = |tenant: &Tenant| {
            tenant.export == Export::Interface(interface)
                && tenant.teacher.is_datagram() == teacher.is_datagram()
        };
        let homes = self.homes.entry(home).or_default();
        if homes.contains(&port) || homes.len() >= MAX_HOMES {
            return;
        }
        let lives_at = |map: &HashMap<Place, Vec<Tenant>, RandomState>, home: u16| {
            (map.get(&(server, protocol, home)).into_iter().flatten())
                .any(|t| is_moved(t) && t.confirmed >= said)
        };
        for home in std::mem::take(homes) {
            if lives_at(&self.ports, home) {
                homes.push(home);
                continue;
            }
            let tenants = self.ports.get_mut(&(server, protocol, home));
            for tenant in tenants.into_iter().flatten() {
                if is_moved(tenant) && tenant.until.is_none() {
                    tenant.until = Some(said);
                }
            }
        }
        homes.push(port);
    }

    /// Learns that an interface is reached through a pipe of `server`.
    pub fn learn_pipe(&mut self, server: IpAddr, pipe: String, lesson: Lesson) {
        let Some(interface) = lesson.export.interface() else {
            return;
        };
        if self.pipes.len() < MAX_PIPES / self.share {
            let known = self.pipes.entry((server, pipe, interface));
            known.or_insert((lesson.frame, lesson.time));
        } else {
            self.given_up += 1;
        }
    }

    /// Notes what a host said of a port of another.
    pub fn hear(
        &mut self,
        catalog: &Catalog,
        place: (IpAddr, IpProtocol, u16),
        by: IpAddr,
        lesson: Lesson,
    ) {
        self.hear_of(catalog, place, (by, EvidenceKind::EndpointClaim), lesson);
    }

    fn hear_of(
        &mut self,
        catalog: &Catalog,
        place: Place,
        (by, how): (IpAddr, EvidenceKind),
        lesson: Lesson,
    ) {
        let here = self.hearsay.get(&place);
        let is_known = |heard: &Hearsay| heard.export == lesson.export && heard.by == by;
        if here.is_some_and(|here| here.iter().any(is_known)) {
            return;
        }
        let of_one = here.map_or(0, Vec::len);
        if self.words >= MAX_HEARSAY / self.share || of_one >= MAX_HEARSAY_OF_ONE {
            self.given_up += 1;
            return;
        }
        self.words += 1;
        self.hearsay.entry(place).or_default().push(Hearsay {
            export: lesson.export,
            service: lesson.export.service(catalog),
            how,
            by,
            learned: lesson.frame,
            since: lesson.time,
        });
    }

    /// What was said of a port without ground.
    pub fn hearsay(&self, server: Peer, protocol: IpProtocol) -> &[Hearsay] {
        let place = (server.address, protocol, server.port);
        self.hearsay.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Who lived at a port at that moment: of the flows that begin then, these can be meant.
    pub fn tenants(&self, server: Peer, protocol: IpProtocol, moment: Timestamp) -> Vec<&Tenant> {
        let tenants = self.ports.get(&(server.address, protocol, server.port));
        (tenants.into_iter().flatten())
            .filter(|tenant| tenant.lived_here_at(moment))
            .collect()
    }

    /// The services that have lived at a port at other times, without their end being certain.
    pub fn former_services(&self, server: Peer, protocol: IpProtocol) -> Vec<ServiceId> {
        let tenants = self.ports.get(&(server.address, protocol, server.port));
        (tenants.into_iter().flatten())
            .filter_map(|tenant| tenant.service)
            .collect()
    }

    /// The map as rows: by server, protocol and port, then by when it was learned.
    pub fn rows(&self) -> Vec<EndpointRow> {
        let mut rows = Vec::new();
        let mut ports: Vec<_> = self.ports.iter().collect();
        ports.sort_unstable_by_key(|(place, _)| **place);
        for ((server, protocol, port), tenants) in ports {
            let first = rows.len();
            for tenant in tenants {
                let row = EndpointRow {
                    server: *server,
                    protocol: *protocol,
                    port: *port,
                    pipe: None,
                    interfaces: tenant.export.interface().into_iter().collect(),
                    services: tenant.service.into_iter().collect(),
                    learned: tenant.learned,
                    how: tenant.teacher.evidence_kind(),
                    said_by: None,
                    since: tenant.since,
                    until: tenant.until,
                };
                join(&mut rows, first, row);
            }
        }
        for (server, protocol, port, known) in self.instances.all() {
            rows.push(EndpointRow {
                server,
                protocol,
                port,
                pipe: None,
                interfaces: Vec::new(),
                services: known.service.into_iter().collect(),
                learned: known.frame,
                how: EvidenceKind::Said(known.field),
                since: known.since,
                said_by: None,
                until: None,
            });
        }
        for ((server, protocol, port), words) in &self.hearsay {
            let first = rows.len();
            for heard in words {
                let row = EndpointRow {
                    server: *server,
                    protocol: *protocol,
                    port: *port,
                    pipe: None,
                    interfaces: heard.export.interface().into_iter().collect(),
                    services: heard.service.into_iter().collect(),
                    learned: heard.learned,
                    how: heard.how,
                    said_by: Some(heard.by),
                    since: heard.since,
                    until: None,
                };
                join(&mut rows, first, row);
            }
        }
        for ((server, pipe, interface), (frame, since)) in &self.pipes {
            rows.push(EndpointRow {
                server: *server,
                protocol: IpProtocol::TCP,
                port: 0,
                pipe: Some(pipe.clone()),
                interfaces: vec![*interface],
                services: Vec::new(),
                learned: *frame,
                how: EvidenceKind::EndpointMap,
                said_by: None,
                since: *since,
                until: None,
            });
        }
        rows
    }
}

impl Teacher {
    fn is_datagram(self) -> bool {
        self == Teacher::MapperByDatagram
    }

    fn evidence_kind(self) -> EvidenceKind {
        match self {
            Teacher::Mapper | Teacher::MapperByDatagram => EvidenceKind::EndpointMap,
            Teacher::Bind => EvidenceKind::RpcInterface,
            Teacher::ObjectExporter => EvidenceKind::ObjectExporter,
        }
    }
}

/// Enters a lesson into a port's history.
fn settle(tenants: &mut Vec<Tenant>, service: Option<ServiceId>, lesson: Lesson) {
    let is_datagram = lesson.teacher.is_datagram();
    let is_known = |t: &Tenant| t.export == lesson.export && t.teacher.is_datagram() == is_datagram;
    let known = tenants.iter().position(is_known);
    if let Some(known) = known {
        return confirm(tenants, known, lesson.time);
    }
    // Another service's tenants that nobody has confirmed since are taken to have moved out.
    // An interface that the catalog ties to no service drives nobody out.
    let may_leave = |old: &&mut Tenant| !is_datagram || old.teacher.is_datagram();
    for old in (tenants.iter_mut().filter(|old| old.until.is_none())).filter(may_leave) {
        let is_other = matches!((old.service, service), (Some(old), Some(new)) if old != new);
        if is_other && old.learned != lesson.frame && old.confirmed < lesson.time {
            old.until = Some(lesson.time);
        }
    }
    // Who moved in may have done so as soon as the last one that left was gone.
    let from = tenants.iter().filter_map(|old| old.until).max();
    if tenants.len() >= MAX_TENANTS {
        tenants.remove(0);
    }
    tenants.push(Tenant {
        export: lesson.export,
        service,
        learned: lesson.frame,
        teacher: lesson.teacher,
        since: lesson.time,
        confirmed: lesson.time,
        from,
        until: None,
    });
}

/// A tenant is seen again. If it was taken to have moved out, it was there all along, and so was
/// whoever was taken to have replaced it.
fn confirm(tenants: &mut [Tenant], known: usize, time: Timestamp) {
    let ended = tenants[known].until.take();
    tenants[known].confirmed = tenants[known].confirmed.max(time);
    if let Some(ended) = ended {
        for other in tenants.iter_mut().filter(|t| t.from == Some(ended)) {
            other.from = None;
        }
    }
}

/// Adds a row, or its interface to the row of the same time and teacher, of those from `first` on,
/// which are of the same port.
fn join(rows: &mut Vec<EndpointRow>, first: usize, row: EndpointRow) {
    let same = rows[first..].iter_mut().rev().find(|known| {
        (known.learned, known.until) == (row.learned, row.until) && known.said_by == row.said_by
    });
    match same {
        Some(known) => {
            known.interfaces.extend(row.interfaces);
            for service in row.services {
                if !known.services.contains(&service) {
                    known.services.push(service);
                }
            }
        }
        None => rows.push(row),
    }
}

/// The address at which an endpoint listens: its own, or the answering server's where it names
/// none.
pub fn address_of(at: &Endpoint, server: IpAddr) -> Option<(IpAddr, IpProtocol, u16)> {
    match at {
        Endpoint::Port {
            address,
            protocol,
            port,
        } => {
            let named = address.filter(|named| !named.is_unspecified());
            Some((named.unwrap_or(server), *protocol, *port))
        }
        Endpoint::Pipe(_) => None,
    }
}
