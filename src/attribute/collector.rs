//! Findings and ended flows in, labelled flows out, in one order.
//!
//! The only owner of the endpoint map. What one flow taught names others, of every client, before
//! and after; so a flow that nothing explains yet is held back to the end of the input, within a
//! bound.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use crate::attribute::appointments::Appointment;
use crate::attribute::endpoint_row::EndpointRow;
use crate::attribute::endpoints::{EndpointMap, Export, Lesson, Teacher, address_of};
use crate::attribute::hosts::HostShown;
use crate::attribute::instances::Instance;
use crate::attribute::label::{Label, LabelledFlow};
use crate::attribute::ladder::Ladder;
use crate::attribute::networks::Networks;
use crate::attribute::server;
use crate::attribute::waiting::Waiting;
use crate::catalog::Catalog;
use crate::dissect::Role;
use crate::flow::ended::{EndedFlow, State};
use crate::flow::table::Finding;
use crate::model::evidence::{Claim, Direction, Endpoint};
use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer, Tunnel, TunnelKind};
use crate::model::uuid::{Interface, Uuid};

/// How many ended flows wait for an answer that may still name them. At some 400 bytes each they
/// stay below 100 MB; a capture with more of them loses only answers that come very late.
pub const MAX_HELD: usize = 250_000;

/// What the claims of the flows that wait may weigh, all together: some 80 bytes for 1.
pub const MAX_HELD_CLAIMS: usize = 500_000;

/// The endpoint mapper's own port and that of RPC over HTTP: what is bound there does not live
/// there alone, and the catalog knows who listens.
const WELL_KNOWN: [u16; 4] = [135, 139, 445, 593];

/// Where an endpoint mapper answers, or a pipe to it: on no other port of a host is anyone asked.
const MAPPERS: [u16; 4] = WELL_KNOWN;

/// How many tunnels may have an endpoint map of their own: addresses within a tunnel are not those
/// outside, and whoever forges a tunnel must not speak for the hosts outside it. Each map has its
/// share of the bounds.
pub const MAX_REALMS: usize = 64;

/// Whether flows may wait for what is learned after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// To the end of the input: it is a file, and the reader wants the best label.
    ToTheEnd,
    /// Not at all: it is live, and the reader wants the line now.
    Never,
}

/// Labels flows.
pub struct Collector<'a> {
    ladder: Ladder<'a>,
    map: EndpointMap,
    /// What was learned in tunnels, by tunnel.
    realms: BTreeMap<Arc<Tunnel>, EndpointMap>,
    /// Lessons from more tunnels than have a map.
    unplaced: u64,
    hold: Hold,
    held: Waiting,
    /// Flows that were labelled before the end, because too many were held.
    released: u64,
    next_id: u64,
}

impl<'a> Collector<'a> {
    /// Nothing learned yet.
    pub fn new(catalog: &'a Catalog, networks: &'a Networks, hold: Hold) -> Collector<'a> {
        Collector {
            ladder: Ladder { catalog, networks },
            map: EndpointMap::default(),
            realms: BTreeMap::new(),
            unplaced: 0,
            hold,
            held: Waiting::default(),
            released: 0,
            next_id: 1,
        }
    }

    /// Learns what flows proved about others: of the host that was asked, on the flow that asked it.
    /// What it says of other hosts is noted as its word, and names nothing.
    pub fn learn(&mut self, finding: Finding) {
        let Finding {
            tuple,
            client,
            tunnel,
            evidence,
        } = finding;
        let client = client.unwrap_or_else(|| server::by_port(&tuple, self.ladder.catalog));
        let (guest, server) = sides(&tuple, client);
        let (frame, time) = (evidence.frame, evidence.time);
        let lesson = |export: Export, teacher: Teacher| Lesson {
            export,
            teacher,
            frame,
            time,
        };
        let ladder = &self.ladder;
        let catalog = ladder.catalog;
        let Some(map) = realm(&mut self.map, &mut self.realms, tunnel) else {
            self.unplaced += 1;
            return;
        };
        match evidence.claim {
            Claim::Mapped { interface, at, .. } if MAPPERS.contains(&server.port) => {
                let teacher = match tuple.protocol {
                    IpProtocol::UDP => Teacher::MapperByDatagram,
                    _ => Teacher::Mapper,
                };
                let lesson = lesson(Export::Interface(interface), teacher);
                match *at {
                    Endpoint::Pipe(pipe) => map.learn_pipe(server.address, pipe.into(), lesson),
                    at => learn_port(map, catalog, server, &at, lesson),
                }
            }
            Claim::Bound(interface)
                if !WELL_KNOWN.contains(&server.port)
                    && !ladder.is_of_others(tuple.protocol, server.port) =>
            {
                let lesson = lesson(Export::Interface(interface), Teacher::Bind);
                map.learn(catalog, server.address, tuple.protocol, server.port, lesson);
            }
            Claim::Exported {
                class,
                interfaces,
                at,
            } if MAPPERS.contains(&server.port) => {
                let lesson = lesson(Export::Objects(class), Teacher::ObjectExporter);
                learn_exported(map, catalog, server, (&at, &interfaces), lesson);
            }
            Claim::Hosted { field, name, at } => {
                let Some((address, protocol, port)) = address_of(&at, server.address) else {
                    return;
                };
                // Only of itself does a server say what listens there.
                if address == server.address {
                    let service = catalog.sign(field, &name).and_then(|s| s.service);
                    let instance = Instance {
                        field,
                        name: name.into(),
                        service,
                        frame,
                        since: time,
                    };
                    (map.instances).learn(Peer { address, port }, protocol, instance);
                }
            }
            Claim::Contested(said) => {
                let lesson =
                    |interface| lesson(Export::Interface(interface), Teacher::MapperByDatagram);
                contest(map, catalog, server, *said, lesson);
            }
            Claim::Assigned { by, at, listener } => {
                let (host, other, role) = match listener == client {
                    true => (guest, server, Role::Client),
                    false => (server, guest, Role::Server),
                };
                // A word about a third host arranges nothing with it.
                let Some((_, protocol, port)) = address_of(&at, host.address) else {
                    return;
                };
                let listener = Peer {
                    address: host.address,
                    port,
                };
                let negotiator = (server, tuple.protocol);
                let appointment = Appointment::new(by, frame, negotiator, other, role, time);
                map.appointments.make(listener, protocol, appointment);
            }
            _ => {}
        }
    }

    /// Takes a flow that has ended; gives to `out` what is labelled by now.
    pub fn ended(&mut self, flow: EndedFlow, out: &mut dyn FnMut(LabelledFlow)) {
        self.learn_hosts(&flow);
        if self.hold == Hold::Never {
            return self.release(flow, out);
        }
        if self.ladder.may_settle(&flow) {
            let (client, label) = self.judge(&flow);
            if self.ladder.is_settled(&flow, &label) {
                return out(self.number(flow, client, label));
            }
        }
        if flow.state == State::Unanswered && self.held.len() >= MAX_HELD / 2 {
            // A flood of what nobody answers takes no place from those who talk.
            self.released += 1;
            return self.release(flow, out);
        }
        self.held.push(flow);
        while self.held.len() > MAX_HELD || self.held.claims() > MAX_HELD_CLAIMS {
            self.released += 1;
            self.release_one(out);
        }
    }

    /// Learns what a flow showed of its hosts.
    fn learn_hosts(&mut self, flow: &EndedFlow) {
        if flow.evidence.is_empty() && flow.handshake.is_none() {
            return;
        }
        let catalog = self.ladder.catalog;
        let tunnel = flow.tunnel.clone();
        let Some(map) = realm(&mut self.map, &mut self.realms, tunnel) else {
            self.unplaced += 1;
            return;
        };
        let client = server::client_of(flow, catalog, map);
        map.hosts.learn(flow, client, catalog);
    }

    /// Judges a flow by what was learned where it ran.
    fn judge(&self, flow: &EndedFlow) -> (Direction, Label) {
        match outside(flow.tunnel.as_ref()) {
            None => self.ladder.judge(flow, &self.map),
            Some(tunnel) => match self.realms.get(tunnel) {
                Some(map) => self.ladder.judge(flow, map),
                None => self.ladder.judge(flow, &EndpointMap::default()),
            },
        }
    }

    /// The input is over: labels what was held, by all that was learned.
    pub fn finish(&mut self, out: &mut dyn FnMut(LabelledFlow)) {
        while !self.held.is_empty() {
            self.release_one(out);
        }
    }

    /// The same for the first `count` flows that are held; none are left once it says none.
    pub fn finish_some(&mut self, count: usize) -> Option<Vec<LabelledFlow>> {
        let mut labelled = Vec::with_capacity(count.min(self.held.len()));
        while labelled.len() < count && !self.held.is_empty() {
            self.release_one(&mut |flow| labelled.push(flow));
        }
        (!labelled.is_empty()).then_some(labelled)
    }

    /// What hosts outside tunnels showed of themselves.
    pub fn hosts(&self) -> Vec<HostShown> {
        self.map.hosts.shown()
    }

    /// The endpoint map as rows.
    pub fn endpoints(&self) -> Vec<EndpointRow> {
        let inside = self.realms.values().flat_map(EndpointMap::rows);
        self.map.rows().into_iter().chain(inside).collect()
    }

    /// Flows that were labelled before the end because too many were held, and answers that did
    /// not fit the map.
    pub fn given_up(&self) -> (u64, u64) {
        let maps = iter::once(&self.map).chain(self.realms.values());
        let unlearned: u64 = maps
            .map(|map| map.given_up + map.hosts.given_up + map.instances.given_up)
            .sum();
        (self.released, self.unplaced + unlearned)
    }

    /// Endpoints about which answers differ.
    pub fn contested(&self) -> u64 {
        let maps = iter::once(&self.map).chain(self.realms.values());
        maps.map(|map| map.found_contested).sum()
    }

    fn release_one(&mut self, out: &mut dyn FnMut(LabelledFlow)) {
        if let Some(flow) = self.held.pop() {
            self.release(flow, out);
        }
    }

    /// Labels a flow by what is known now.
    fn release(&mut self, flow: EndedFlow, out: &mut dyn FnMut(LabelledFlow)) {
        let (client, label) = self.judge(&flow);
        out(self.number(flow, client, label));
    }

    /// Gives a labelled flow the next number of the run.
    fn number(&mut self, flow: EndedFlow, client: Direction, label: Label) -> LabelledFlow {
        let id = self.next_id;
        self.next_id += 1;
        LabelledFlow {
            id,
            flow,
            client,
            label,
        }
    }
}

fn sides(tuple: &FiveTuple, client: Direction) -> (Peer, Peer) {
    match client {
        Direction::Forward => (tuple.source, tuple.destination),
        Direction::Reverse => (tuple.destination, tuple.source),
    }
}

/// The map that holds for what runs in this tunnel; none where there are too many.
fn realm<'m>(
    map: &'m mut EndpointMap,
    realms: &'m mut BTreeMap<Arc<Tunnel>, EndpointMap>,
    tunnel: Option<Arc<Tunnel>>,
) -> Option<&'m mut EndpointMap> {
    let Some(tunnel) = outside(tunnel.as_ref()) else {
        return Some(map);
    };
    if realms.len() >= MAX_REALMS && !realms.contains_key(tunnel) {
        return None;
    }
    let fresh = || EndpointMap::with_share(MAX_REALMS);
    Some(realms.entry(tunnel.clone()).or_insert_with(fresh))
}

/// The innermost tunnel that gives addresses another meaning: what AH protects has the addresses of
/// the packet itself.
fn outside(mut tunnel: Option<&Arc<Tunnel>>) -> Option<&Arc<Tunnel>> {
    while let Some(known) = tunnel
        && known.kind == TunnelKind::Ah
    {
        tunnel = known.within.as_ref();
    }
    tunnel
}

/// Learns a port of `server` by its own word, whatever address it gives itself: it may have several,
/// or be behind address translation. Of the address that it names, if that is another, it is hearsay.
fn learn_port(
    map: &mut EndpointMap,
    catalog: &Catalog,
    server: Peer,
    at: &Endpoint,
    lesson: Lesson,
) {
    let Some((named, protocol, port)) = address_of(at, server.address) else {
        return;
    };
    map.learn(catalog, server.address, protocol, port, lesson);
    if named != server.address {
        map.hear(catalog, (named, protocol, port), server.address, lesson);
    }
}

/// Takes back what was claimed of an endpoint of `server`, and bars it: another answer contradicts.
fn contest(
    map: &mut EndpointMap,
    catalog: &Catalog,
    server: Peer,
    said: Claim,
    lesson: impl Fn(Interface) -> Lesson,
) {
    match said {
        Claim::Mapped { interface, at, .. } if MAPPERS.contains(&server.port) => {
            if let Some((_, protocol, port)) = address_of(&at, server.address) {
                let lesson = lesson(interface);
                map.contest(catalog, server.address, protocol, port, lesson);
            }
        }
        Claim::Hosted { at, .. } => {
            if let Some((_, protocol, port)) = address_of(&at, server.address) {
                let is_new = map.instances.contest(Peer { port, ..server }, protocol);
                map.found_contested += u64::from(is_new);
            }
        }
        _ => {}
    }
}

/// An object exporter, and those of the interfaces asked for that only one service has: any
/// object has the others.
fn learn_exported(
    map: &mut EndpointMap,
    catalog: &Catalog,
    server: Peer,
    (at, asked): (&Endpoint, &[Uuid]),
    lesson: Lesson,
) {
    let Endpoint::Port { port, .. } = at else {
        return;
    };
    if WELL_KNOWN.contains(port) {
        return;
    }
    // Whatever an object's interface calls its version, RPC is told 0.0.
    let interfaces = (asked.iter().map(|uuid| Interface::new(*uuid, 0, 0)))
        .filter(|i| (catalog.interface(*i, None)).is_some_and(|known| known.service.is_some()))
        .map(Export::Interface);
    for export in iter::once(lesson.export).chain(interfaces) {
        let lesson = Lesson { export, ..lesson };
        learn_port(map, catalog, server, at, lesson);
    }
}

#[cfg(test)]
mod tests;
