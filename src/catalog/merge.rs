//! Layers of entries to one catalog: what repeats within a layer is a fault, what repeats an
//! earlier layer replaces it, names of services become ids, and the tables for lookups are built.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::catalog::entry::{ClassEntry, InterfaceEntry, Listens, PipeEntry, Service, ServiceId};
use crate::catalog::fault::{Fault, FaultKind, Place};
use crate::catalog::listeners::Listeners;
use crate::catalog::read::{Entries, ReadClass, ReadInterface, ReadPipe, ReadService};
use crate::catalog::table::Placed;
use crate::catalog::{Catalog, Lookups, folded, plain_pipe};
use crate::model::protocol::Protocol;
use crate::model::uuid::Uuid;

/// A service's id is 16 bits wide.
const MAX_SERVICES: usize = 1 << 16;

/// What has been merged so far.
#[derive(Default)]
pub(super) struct Merge {
    services: Vec<LayeredService>,
    interfaces: Vec<ReadInterface>,
    pipes: Vec<ReadPipe>,
    classes: Vec<ReadClass>,
    /// Ids and aliases, folded, to their service: the latest layer that uses the name.
    names: HashMap<String, usize>,
    interfaces_by_uuid: HashMap<Uuid, Vec<usize>>,
    pipes_by_name: HashMap<String, usize>,
    classes_by_uuid: HashMap<Uuid, usize>,
    layers: usize,
    pub faults: Vec<Fault>,
}

struct LayeredService {
    read: ReadService,
    layer: usize,
}

impl Merge {
    /// Adds entries that go before all that came so far.
    pub fn add(&mut self, layer: Entries) {
        self.layers += 1;
        self.add_services(layer.services);
        self.add_interfaces(layer.interfaces);
        self.add_pipes(layer.pipes);
        self.add_classes(layer.classes);
    }

    fn add_services(&mut self, services: Vec<ReadService>) {
        let mut ids: HashMap<String, usize> = (self.services.iter().enumerate())
            .map(|(at, service)| (folded(&service.read.entry.id), at))
            .collect();
        let mut taken: HashMap<String, Place> = HashMap::new();
        for read in services {
            let id = folded(&read.entry.id);
            if !self.take("service", &id, &read.id_place, &mut taken) {
                continue;
            }
            let at = *ids.entry(id.clone()).or_insert(self.services.len());
            if at >= MAX_SERVICES {
                let kind = FaultKind::TooManyServices(MAX_SERVICES);
                self.fault(read.id_place, kind);
                return;
            }
            self.names.insert(id, at);
            for (alias, place) in read.entry.aliases.iter().zip(&read.alias_places) {
                let alias = folded(alias);
                if self.take("alias", &alias, place, &mut taken) {
                    self.names.insert(alias, at);
                }
            }
            let layer = self.layers;
            let service = LayeredService { read, layer };
            match self.services.get_mut(at) {
                Some(earlier) => *earlier = service,
                None => self.services.push(service),
            }
        }
    }

    /// Whether `name` is new to the layer; if not, that is a fault. A missing name is neither.
    fn take(
        &mut self,
        what: &str,
        name: &str,
        place: &Place,
        taken: &mut HashMap<String, Place>,
    ) -> bool {
        if name.is_empty() {
            return false;
        }
        match taken.entry(name.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(place.clone());
                true
            }
            Entry::Occupied(first) => {
                let what = format!("{what} {name}");
                let first = first.get().clone();
                self.fault(place.clone(), FaultKind::Duplicate { what, first });
                false
            }
        }
    }

    fn add_interfaces(&mut self, interfaces: Vec<ReadInterface>) {
        let earlier = self.interfaces.len();
        for read in interfaces {
            let known = self.interfaces_by_uuid.entry(read.entry.uuid).or_default();
            let same = (known.iter().copied())
                .find(|at| are_the_same(&self.interfaces[*at].entry, &read.entry));
            match same {
                None => {
                    known.push(self.interfaces.len());
                    self.interfaces.push(read);
                }
                Some(at) if at < earlier => self.interfaces[at] = read,
                // A UUID that could not be read is a fault already.
                Some(_) if read.entry.uuid == Uuid::NIL => {}
                Some(at) => {
                    let what = format!("interface {}", read.entry.uuid);
                    let first = self.interfaces[at].place.clone();
                    self.fault(read.place, FaultKind::Duplicate { what, first });
                }
            }
        }
    }

    fn add_pipes(&mut self, pipes: Vec<ReadPipe>) {
        let earlier = self.pipes.len();
        for read in pipes {
            let name = plain_pipe(&read.entry.name);
            if name.is_empty() {
                continue;
            }
            match self.pipes_by_name.get(&name).copied() {
                None => {
                    self.pipes_by_name.insert(name, self.pipes.len());
                    self.pipes.push(read);
                }
                Some(at) if at < earlier => self.pipes[at] = read,
                Some(at) => {
                    let what = format!("pipe {name}");
                    let first = self.pipes[at].place.clone();
                    self.fault(read.place, FaultKind::Duplicate { what, first });
                }
            }
        }
    }

    fn add_classes(&mut self, classes: Vec<ReadClass>) {
        let earlier = self.classes.len();
        for read in classes {
            let uuid = read.entry.uuid;
            match self.classes_by_uuid.get(&uuid).copied() {
                // A UUID that could not be read is a fault already.
                _ if uuid == Uuid::NIL => {}
                None => {
                    self.classes_by_uuid.insert(uuid, self.classes.len());
                    self.classes.push(read);
                }
                Some(at) if at < earlier => self.classes[at] = read,
                Some(at) => {
                    let what = format!("class {uuid}");
                    let first = self.classes[at].place.clone();
                    self.fault(read.place, FaultKind::Duplicate { what, first });
                }
            }
        }
    }

    /// The catalog, and what is wrong with it: it may be used only if nothing is.
    pub fn finish(mut self) -> (Catalog, Vec<Fault>) {
        let mut lookups = Lookups::default();
        self.place_ports(&mut lookups);
        let interfaces = std::mem::take(&mut self.interfaces);
        let interfaces: Vec<InterfaceEntry> = (interfaces.into_iter())
            .map(|mut read| {
                read.entry.service = self.resolve(read.service);
                read.entry
            })
            .collect();
        let pipes = std::mem::take(&mut self.pipes);
        let pipes: Vec<PipeEntry> = (pipes.into_iter())
            .map(|mut read| {
                read.entry.service = self.resolve(read.service);
                read.entry
            })
            .collect();
        let classes = std::mem::take(&mut self.classes);
        let classes: Vec<ClassEntry> = (classes.into_iter())
            .map(|mut read| {
                read.entry.service = self.resolve(read.service);
                read.entry
            })
            .collect();

        let services: Vec<Service> = self.services.into_iter().map(|s| s.read.entry).collect();
        // A display name finds its service unless it is another's id or alias; the first has it.
        let names = self.names.into_iter();
        lookups.names = names.map(|(name, at)| (name, service_id(at))).collect();
        for (at, service) in services.iter().enumerate() {
            let name = folded(&service.name);
            lookups.names.entry(name).or_insert(service_id(at));
        }
        lookups.interfaces = self.interfaces_by_uuid.into_iter().collect();
        lookups.classes = self.classes_by_uuid.into_iter().collect();
        let exact = self.pipes_by_name.into_iter();
        lookups.pipes = exact.filter(|(name, _)| !name.contains('*')).collect();
        lookups.pipe_patterns = (pipes.iter().enumerate())
            .filter(|(_, pipe)| pipe.name.contains('*'))
            .map(|(at, pipe)| (plain_pipe(&pipe.name), at))
            .collect();
        let catalog = Catalog {
            services,
            interfaces,
            pipes,
            classes,
            lookups,
        };
        (catalog, self.faults)
    }

    fn resolve(&mut self, name: Option<Placed<String>>) -> Option<ServiceId> {
        let name = name?;
        let found = self.names.get(&folded(&name.value)).copied();
        if found.is_none() {
            self.fault(name.place, FaultKind::UnknownService(name.value));
        }
        found.map(service_id)
    }

    /// Fills the lookups by port, by IP protocol and by protocol spoken.
    fn place_ports(&mut self, lookups: &mut Lookups) {
        let mut found = Listeners::default();
        for (at, service) in self.services.iter().enumerate() {
            let rows = service.read.entry.ports.iter();
            for (row, place) in rows.zip(&service.read.row_places) {
                found.add(service_id(at), row, service.layer, place);
            }
        }
        for (listens, uses, fault) in found.settle() {
            self.faults.extend(fault);
            for protocol in Protocol::all() {
                let speakers = uses.iter().filter(|u| u.speaks.contains(&protocol));
                let known = lookups.speakers.entry(protocol).or_default();
                known.extend(speakers.filter(|u| !u.quirk).cloned());
            }
            match listens {
                Listens::Port(protocol, port) => {
                    lookups.ports.insert((protocol, port), uses);
                }
                Listens::Ip(protocol) => {
                    lookups.ip_protocols.insert(protocol, uses);
                }
                Listens::Dynamic(_) => {}
            }
        }
        for speakers in lookups.speakers.values_mut() {
            speakers.sort_by_key(|u| !u.listener);
        }
    }

    fn fault(&mut self, place: Place, kind: FaultKind) {
        self.faults.push(Fault { place, kind });
    }
}

/// Whether two entries of one UUID mean the same interface: they share a version, and do not
/// each name pipes of their own (spoolss and winipsec differ by the pipe alone).
fn are_the_same(one: &InterfaceEntry, other: &InterfaceEntry) -> bool {
    let version = match (one.versions.is_empty(), other.versions.is_empty()) {
        (true, true) => true,
        (false, false) => one.versions.iter().any(|v| other.versions.contains(v)),
        _ => false,
    };
    let pipe = |name: &String| {
        other
            .pipes
            .iter()
            .any(|p| plain_pipe(p) == plain_pipe(name))
    };
    let pipes_differ =
        !one.pipes.is_empty() && !other.pipes.is_empty() && !one.pipes.iter().any(pipe);
    version && !pipes_differ
}

fn service_id(at: usize) -> ServiceId {
    ServiceId(u16::try_from(at).expect("services are counted on adding"))
}
