//! Layers of entries to one catalog: what repeats within a layer is a fault, what repeats an
//! earlier layer replaces it, names of services become ids, and the tables for lookups are built.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::catalog::entry::{
    ClassEntry, InterfaceEntry, Listens, MailslotEntry, NetbiosNameEntry, PipeEntry, PortRow,
    Service, ServiceId, SignEntry,
};
use crate::catalog::fault::{Fault, FaultKind, Place};
use crate::catalog::listeners::Listeners;
use crate::catalog::read::{Entries, ReadInterface, ReadMorePorts, ReadNamed, ReadService};
use crate::catalog::table::Placed;
use crate::catalog::text_pattern::TextPattern;
use crate::catalog::{
    Catalog, Lookups, Patterns, SignsByField, folded, plain_mailslot, plain_pipe,
};
use crate::model::netbios::NameKind;
use crate::model::uuid::Uuid;

/// A service's id is 16 bits wide.
const MAX_SERVICES: usize = 1 << 16;

/// What has been merged so far.
#[derive(Default)]
pub(super) struct Merge {
    services: Vec<LayeredService>,
    interfaces: Vec<ReadInterface>,
    pipes: Named<PipeEntry>,
    classes: Named<ClassEntry>,
    mailslots: Named<MailslotEntry>,
    netbios_names: Named<NetbiosNameEntry>,
    signs: Named<SignEntry>,
    /// Ids and aliases, folded, to their service: the latest layer that uses the name.
    names: HashMap<String, usize>,
    interfaces_by_uuid: HashMap<Uuid, Vec<usize>>,
    layers: usize,
    pub faults: Vec<Fault>,
}

/// Entries that have one name each: pipes, classes, mailslots, NetBIOS names.
struct Named<T> {
    read: Vec<ReadNamed<T>>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named {
            read: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<T> Named<T> {
    /// Adds a layer: an entry replaces the one of the same name in an earlier layer. One without a
    /// name is a fault already.
    fn add(
        &mut self,
        what: &str,
        layer: Vec<ReadNamed<T>>,
        name_of: impl Fn(&T) -> String,
        faults: &mut Vec<Fault>,
    ) {
        let earlier = self.read.len();
        for read in layer {
            let name = name_of(&read.entry);
            if name.is_empty() {
                continue;
            }
            match self.by_name.get(&name).copied() {
                None => {
                    self.by_name.insert(name, self.read.len());
                    self.read.push(read);
                }
                Some(at) if at < earlier => self.read[at] = read,
                Some(at) => {
                    let what = format!("{what} {name}");
                    let first = self.read[at].place.clone();
                    let kind = FaultKind::Duplicate { what, first };
                    faults.push(Fault {
                        place: read.place,
                        kind,
                    });
                }
            }
        }
    }
}

/// A service whose port rows may be of several layers.
struct LayeredService {
    entry: Service,
    rows: Vec<LayeredRow>,
}

struct LayeredRow {
    row: PortRow,
    place: Place,
    layer: usize,
}

impl Merge {
    /// Adds entries that go before all that came so far.
    pub fn add(&mut self, layer: Entries) {
        self.layers += 1;
        self.add_services(layer.services);
        for more in layer.more_ports {
            self.add_more_ports(more);
        }
        self.add_interfaces(layer.interfaces);
        let faults = &mut self.faults;
        let pipe_name = |pipe: &PipeEntry| plain_pipe(&pipe.name);
        self.pipes.add("pipe", layer.pipes, pipe_name, faults);
        self.classes.add("class", layer.classes, class_name, faults);
        let mailslot_name = |slot: &MailslotEntry| plain_mailslot(&slot.name);
        (self.mailslots).add("mailslot", layer.mailslots, mailslot_name, faults);
        (self.netbios_names).add("NetBIOS name", layer.netbios_names, whole_name, faults);
        let sign_name = |sign: &SignEntry| format!("{} {}", sign.field, folded(&sign.text));
        self.signs.add("sign", layer.signs, sign_name, faults);
    }

    fn add_services(&mut self, services: Vec<ReadService>) {
        let mut ids: HashMap<String, usize> = (self.services.iter().enumerate())
            .map(|(at, service)| (folded(&service.entry.id), at))
            .collect();
        let mut taken: HashMap<String, Place> = HashMap::new();
        for mut read in services {
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
            let rows = std::mem::take(&mut read.entry.ports);
            let service = LayeredService {
                entry: read.entry,
                rows: Vec::new(),
            };
            match self.services.get_mut(at) {
                Some(earlier) => *earlier = service,
                None => self.services.push(service),
            }
            self.add_rows(at, rows.into_iter().zip(read.row_places));
        }
    }

    /// Rows for a service of this layer or an earlier one.
    fn add_more_ports(&mut self, more: ReadMorePorts) {
        // A missing name is a fault already.
        let Some(name) = more.service else { return };
        match self.names.get(&folded(&name.value)).copied() {
            Some(at) => self.add_rows(at, more.rows.into_iter()),
            None => self.fault(name.place, FaultKind::UnknownService(name.value)),
        }
    }

    /// Adds rows to a service: one of the same port and application replaces that of an earlier
    /// layer, and is a fault within a layer.
    fn add_rows(&mut self, at: usize, rows: impl Iterator<Item = (PortRow, Place)>) {
        let layer = self.layers;
        for (row, place) in rows {
            let known = &mut self.services[at].rows;
            let added = LayeredRow { row, place, layer };
            let same = known.iter_mut().find(|known| {
                (known.row.at, &known.row.application) == (added.row.at, &added.row.application)
            });
            match same {
                None => known.push(added),
                Some(same) if same.layer < layer => *same = added,
                Some(same) => {
                    let what = format!("port row {} {}", added.row.application, added.row.at);
                    let first = same.place.clone();
                    self.fault(added.place, FaultKind::Duplicate { what, first });
                }
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
        let pipes = self.resolve_all(pipes, |pipe, service| pipe.service = service);
        let classes = std::mem::take(&mut self.classes);
        let classes = self.resolve_all(classes, |class, service| class.service = service);
        let mailslots = std::mem::take(&mut self.mailslots);
        let mailslots = self.resolve_all(mailslots, |slot, service| slot.service = service);
        let netbios_names = std::mem::take(&mut self.netbios_names);
        let netbios_names = self.resolve_all(netbios_names, |name, service| name.service = service);
        let signs = std::mem::take(&mut self.signs);
        let signs = self.resolve_all(signs, |sign, service| sign.service = service);

        let services: Vec<Service> = (self.services.into_iter())
            .map(|mut service| {
                service.entry.ports = service.rows.into_iter().map(|known| known.row).collect();
                service.entry
            })
            .collect();
        // A display name finds its service unless it is another's id or alias; the first has it.
        let names = self.names.into_iter();
        lookups.names = names.map(|(name, at)| (name, service_id(at))).collect();
        for (at, service) in services.iter().enumerate() {
            let name = folded(&service.name);
            lookups.names.entry(name).or_insert(service_id(at));
        }
        lookups.interfaces = self.interfaces_by_uuid.into_iter().collect();
        lookups.pipes = patterns(pipes.iter().map(|pipe| plain_pipe(&pipe.name)));
        let ids = classes.iter().map(|class| class.uuid);
        lookups.classes = ids.zip(0..).collect();
        lookups.mailslots = patterns(mailslots.iter().map(|slot| plain_mailslot(&slot.name)));
        lookups.signs = signs_by_field(&signs);
        let catalog = Catalog {
            services,
            interfaces,
            pipes,
            classes,
            mailslots,
            netbios_names,
            signs,
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

    /// The entries, each with the service that its name stands for.
    fn resolve_all<T>(
        &mut self,
        named: Named<T>,
        tie: impl Fn(&mut T, Option<ServiceId>),
    ) -> Vec<T> {
        (named.read.into_iter())
            .map(|mut read| {
                tie(&mut read.entry, self.resolve(read.service));
                read.entry
            })
            .collect()
    }

    /// Fills the lookups by port, by IP protocol and by protocol spoken.
    fn place_ports(&mut self, lookups: &mut Lookups) {
        let mut found = Listeners::default();
        for (at, service) in self.services.iter().enumerate() {
            for LayeredRow { row, place, layer } in &service.rows {
                found.add(service_id(at), row, *layer, place);
            }
        }
        for (listens, uses, fault) in found.settle() {
            self.faults.extend(fault);
            for speaker in uses.iter().filter(|u| !u.quirk) {
                for protocol in &speaker.speaks {
                    let known = lookups.speakers.entry(protocol.clone()).or_default();
                    known.push(speaker.clone());
                }
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

/// A class's id; nothing where it could not be read, which is a fault already.
fn class_name(class: &ClassEntry) -> String {
    match class.uuid {
        Uuid::NIL => String::new(),
        uuid => uuid.to_string(),
    }
}

/// What tells one entry of a NetBIOS name from another: `20`, `IS~*<00>`, `<00> group`.
fn whole_name(entry: &NetbiosNameEntry) -> String {
    let kind = match entry.kind {
        None => "",
        Some(NameKind::Unique) => " unique",
        Some(NameKind::Group) => " group",
    };
    let name = entry.name.as_deref().unwrap_or_default();
    format!("{}<{:02x}>{kind}", folded(name), entry.suffix)
}

/// The ways in by name, of names in the order of their entries.
fn patterns(names: impl Iterator<Item = String>) -> Patterns {
    let mut patterns = Patterns::default();
    for (at, name) in names.enumerate() {
        match name.contains('*') {
            true => patterns.patterns.push((name, at)),
            false => {
                patterns.exact.insert(name, at);
            }
        }
    }
    patterns
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

/// The signs of each field, those that say most of the text first.
fn signs_by_field(signs: &[SignEntry]) -> SignsByField {
    let mut by_field = SignsByField::default();
    for (at, sign) in signs.iter().enumerate() {
        let known = by_field.entry(sign.field.clone()).or_default();
        known.push((TextPattern::new(&sign.text), at));
    }
    let literal = |at: usize| signs[at].text.chars().filter(|c| *c != '*').count();
    for known in by_field.values_mut() {
        known.sort_by_key(|(_, at)| std::cmp::Reverse(literal(*at)));
    }
    by_field
}
