//! Findings and ended flows in, labelled flows out, in one order.
//!
//! The only owner of the endpoint map. What one flow taught names others, of every client, before
//! and after; so a flow that nothing explains yet is held back to the end of the input, within a
//! bound.

use std::collections::VecDeque;
use std::iter;
use std::net::IpAddr;

use crate::attribute::appointments::Appointment;
use crate::attribute::endpoint_row::EndpointRow;
use crate::attribute::endpoints::{EndpointMap, Export, Lesson, Teacher, address_of};
use crate::attribute::hosts::HostShown;
use crate::attribute::instances::Instance;
use crate::attribute::label::{Label, LabelledFlow};
use crate::attribute::ladder::Ladder;
use crate::attribute::networks::Networks;
use crate::attribute::server;
use crate::catalog::Catalog;
use crate::dissect::Role;
use crate::flow::ended::EndedFlow;
use crate::flow::table::Finding;
use crate::model::evidence::{Claim, Direction, Endpoint};
use crate::model::five_tuple::{FiveTuple, Peer};
use crate::model::uuid::{Interface, Uuid};

/// How many ended flows wait for an answer that may still name them. At some 400 bytes each they
/// stay below 100 MB; a capture with more of them loses only answers that come very late.
pub const MAX_HELD: usize = 250_000;

/// The endpoint mapper's own port and that of RPC over HTTP: what is bound there does not live
/// there alone, and the catalog knows who listens.
const WELL_KNOWN: [u16; 4] = [135, 139, 445, 593];

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
    hold: Hold,
    held: VecDeque<EndedFlow>,
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
            hold,
            held: VecDeque::new(),
            released: 0,
            next_id: 1,
        }
    }

    /// Learns what flows proved about others.
    pub fn learn(&mut self, finding: Finding) {
        let Finding {
            tuple,
            client,
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
        match evidence.claim {
            Claim::Mapped { interface, at, .. } => {
                let lesson = lesson(Export::Interface(interface), Teacher::Mapper);
                self.learn_mapped(server, at, lesson);
            }
            Claim::Bound(interface) if !WELL_KNOWN.contains(&server.port) => {
                let lesson = lesson(Export::Interface(interface), Teacher::Bind);
                let (address, port) = (server.address, server.port);
                let catalog = self.ladder.catalog;
                self.map
                    .learn(catalog, address, tuple.protocol, port, lesson);
            }
            Claim::Exported {
                class,
                interfaces,
                at,
            } => {
                let lesson = lesson(Export::Objects(class), Teacher::ObjectExporter);
                self.learn_exported(server, &at, &interfaces, lesson);
            }
            Claim::Hosted { field, name, at } => {
                let Some((address, protocol, port)) = address_of(&at, server.address) else {
                    return;
                };
                // Only of itself does a server say what listens there.
                if address == server.address {
                    let service = self
                        .ladder
                        .catalog
                        .sign(field, &name)
                        .and_then(|s| s.service);
                    let instance = Instance {
                        field,
                        name,
                        service,
                        frame,
                        since: time,
                    };
                    (self.map.instances).learn(Peer { address, port }, protocol, instance);
                }
            }
            Claim::Assigned { by, at, listener } => {
                let (host, other, role) = match listener == client {
                    true => (guest, server, Role::Client),
                    false => (server, guest, Role::Server),
                };
                let Some((_, protocol, port)) = address_of(&at, host.address) else {
                    return;
                };
                for address in addresses(&at, host) {
                    let listener = Peer { address, port };
                    let negotiator = (server, tuple.protocol);
                    let appointment = Appointment::new(by, frame, negotiator, other, role, time);
                    self.map.appointments.make(listener, protocol, appointment);
                }
            }
            _ => {}
        }
    }

    /// The tower's own address, and the answering server's where that is another: a server with
    /// several addresses, or one behind address translation.
    fn learn_mapped(&mut self, server: Peer, at: Endpoint, lesson: Lesson) {
        match &at {
            Endpoint::Port { protocol, port, .. } => {
                for address in addresses(&at, server) {
                    self.map
                        .learn(self.ladder.catalog, address, *protocol, *port, lesson);
                }
            }
            Endpoint::Pipe(pipe) => self.map.learn_pipe(server.address, pipe.clone(), lesson),
        }
    }

    /// An object exporter, and those of the interfaces asked for that only one service has: any
    /// object has the others.
    fn learn_exported(&mut self, server: Peer, at: &Endpoint, asked: &[Uuid], lesson: Lesson) {
        let Endpoint::Port { protocol, port, .. } = at else {
            return;
        };
        if WELL_KNOWN.contains(port) {
            return;
        }
        let catalog = self.ladder.catalog;
        // Whatever an object's interface calls its version, RPC is told 0.0.
        let interfaces = (asked.iter().map(|uuid| Interface::new(*uuid, 0, 0)))
            .filter(|i| (catalog.interface(*i, None)).is_some_and(|known| known.service.is_some()))
            .map(Export::Interface);
        let exports: Vec<Export> = iter::once(lesson.export).chain(interfaces).collect();
        for address in addresses(at, server) {
            for export in &exports {
                let lesson = Lesson {
                    export: *export,
                    ..lesson
                };
                self.map.learn(catalog, address, *protocol, *port, lesson);
            }
        }
    }

    /// Takes a flow that has ended; gives to `out` what is labelled by now.
    pub fn ended(&mut self, flow: EndedFlow, out: &mut dyn FnMut(LabelledFlow)) {
        let client = server::client_of(&flow, self.ladder.catalog, &self.map);
        (self.map.hosts).learn(&flow, client, self.ladder.catalog);
        let (client, label) = self.ladder.judge(&flow, &self.map);
        if self.hold == Hold::Never || self.ladder.is_settled(&flow, &label) {
            return out(self.number(flow, client, label));
        }
        self.held.push_back(flow);
        if self.held.len() > MAX_HELD {
            self.released += 1;
            self.release_one(out);
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
        self.map.rows()
    }

    /// Flows that were labelled before the end because too many were held, and answers that did
    /// not fit the map.
    pub fn given_up(&self) -> (u64, u64) {
        let map = &self.map;
        let given_up = map.given_up + map.hosts.given_up + map.instances.given_up;
        (self.released, given_up)
    }

    fn release_one(&mut self, out: &mut dyn FnMut(LabelledFlow)) {
        let Some(flow) = self.held.pop_front() else {
            return;
        };
        let (client, label) = self.ladder.judge(&flow, &self.map);
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

/// The addresses that an endpoint may be reached at: the one it names, and the host's own.
fn addresses(at: &Endpoint, host: Peer) -> impl Iterator<Item = IpAddr> {
    let named = address_of(at, host.address).map(|(address, _, _)| address);
    let own = (named != Some(host.address)).then_some(host.address);
    named.into_iter().chain(own)
}

#[cfg(test)]
mod tests;
