//! The ladder: from what a flow proved to its label, the strongest ground first.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use crate::attribute::appointments::Appointment;
use crate::attribute::endpoints::{EndpointMap, Export, Teacher, Tenant, address_of};
use crate::attribute::label::{Basis, EvidenceKind, Ground, Label, Reached};
use crate::attribute::netbios;
use crate::attribute::networks::Networks;
use crate::attribute::pipes;
use crate::attribute::server;
use crate::attribute::signs::{self, Told};
use crate::catalog::{Catalog, Fact, PortRow, PortUse, ServiceId};
use crate::dissect::{rpc, rpc_http};
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Direction, Endpoint, Evidence};
use crate::model::five_tuple::{IpProtocol, Peer};
use crate::model::protocol::Protocol;
use crate::model::uuid::{Interface, Uuid};

/// What judging needs to know.
pub struct Ladder<'a> {
    /// The facts.
    pub catalog: &'a Catalog,
    /// Where a port alone names a service.
    pub networks: &'a Networks,
}

/// A flow as it is judged.
struct Case<'f> {
    flow: &'f EndedFlow,
    client: Direction,
    server: Peer,
    spoken: Option<Protocol>,
}

impl Ladder<'_> {
    /// The client's direction and the label of a flow, by what is known now.
    pub fn judge(&self, flow: &EndedFlow, map: &EndpointMap) -> (Direction, Label) {
        let client = server::client_of(flow, self.catalog, map);
        let case = Case {
            flow,
            client,
            server: flow.sender(client.reversed()),
            spoken: spoken(flow),
        };
        let told = signs::told(flow, client, self.catalog);
        let mut label = self
            .by_content(&case)
            .or_else(|| netbios::label(flow, case.spoken, self.catalog))
            .or_else(|| signs::label(flow, &told, case.spoken, self.catalog))
            .or_else(|| self.by_endpoint(&case, map))
            .or_else(|| self.by_appointment(&case, map))
            .or_else(|| self.by_instance(&case, map))
            .or_else(|| self.by_port(&case, map))
            .or_else(|| self.by_ip_protocol(&case, map))
            .unwrap_or_else(|| self.unknown(&case));
        pipes::add(flow, self.catalog, &mut label);
        signs::add(flow, &told, case.spoken, self.catalog, &mut label);
        self.add_hearsay(&case, map, &mut label);
        let reached: Vec<_> = label
            .services
            .iter()
            .filter_map(|known| known.service)
            .collect();
        label
            .candidates
            .retain(|candidate| !reached.contains(candidate));
        self.add_evidence(&case, &told, &mut label);
        (client, label)
    }

    /// Whether the catalog gives a port to services that do not speak RPC: then no flow's word makes
    /// it an endpoint of RPC.
    pub fn is_of_others(&self, protocol: IpProtocol, port: u16) -> bool {
        let uses = self.catalog.port(protocol, port).iter();
        let mut uses = uses.filter(|known| !known.quirk).peekable();
        uses.peek().is_some() && uses.all(|known| !RPC.iter().any(|rpc| known.may_speak(*rpc)))
    }

    /// Whether a label of this flow may be settled at its end: if not, nothing is gained by judging
    /// it before all is known. What only speaks a protocol is named by its ports, by other flows or
    /// not at all.
    pub fn may_settle(&self, flow: &EndedFlow) -> bool {
        let says_more = |e: &Evidence| !matches!(e.claim, Claim::Speaks(_));
        is_on_low_ports(flow) || flow.evidence.iter().any(says_more)
    }

    /// Whether nothing that is still to be learned can change the label of this flow.
    pub fn is_settled(&self, flow: &EndedFlow, label: &Label) -> bool {
        let is_named = label.service.is_some();
        match label.basis {
            Basis::Content => is_named,
            // What hosts show of themselves later may take the ground of a port away, or give it
            // back.
            Basis::Port | Basis::SharedPort | Basis::IpProtocol => false,
            Basis::Endpoint if is_appointment(label) => false,
            Basis::None if is_in_doubt(label) => false,
            Basis::Endpoint | Basis::None => is_on_low_ports(flow),
        }
    }

    /// A presentation context that the server accepted names the service.
    fn by_content(&self, case: &Case) -> Option<Label> {
        let reached = self.reached(case, Basis::Content, bound(case.flow));
        let service = reached.iter().find_map(|reached| reached.service)?;
        Some(Label {
            service: Some(service),
            application: Some("RPC".to_owned()),
            basis: Basis::Content,
            services: first(service, reached),
            candidates: Vec::new(),
            evidence: Vec::new(),
        })
    }

    /// The port was mapped to an interface, for this client or another.
    fn by_endpoint(&self, case: &Case, map: &EndpointMap) -> Option<Label> {
        let protocol = case.flow.tuple.protocol;
        let tenants = map.tenants(case.server, protocol, case.flow.start);
        if tenants.is_empty() || case.spoken.is_some_and(|spoken| !is_rpc(spoken)) {
            return None;
        }
        let services = distinct(tenants.iter().filter_map(|t| t.service));
        let service = match services[..] {
            [only] => Some(only),
            _ => None,
        };
        let exports_objects = tenants.iter().any(|t| t.export.interface().is_none());
        if service.is_none() && !exports_objects && bound(case.flow).next().is_some() {
            // The flow itself says more: an interface that no service is known for. To an object
            // exporter it binds what every object has, and the class says more.
            return None;
        }
        // Several services at one port: which of them is meant, nobody can say.
        let meant = (tenants.iter())
            .filter_map(|tenant| tenant.export.interface())
            .filter(|interface| services.len() < 2 && self.service_of(*interface) == service);
        let mut reached = self.reached(case, Basis::Endpoint, meant);
        if reached.is_empty() {
            reached = self.alone(case, service, "RPC", Basis::Endpoint);
        }
        let candidates = match service {
            Some(_) => distinct(map.former_services(case.server, protocol).into_iter()),
            None => services,
        };
        Some(Label {
            service,
            application: Some("RPC".to_owned()),
            basis: Basis::Endpoint,
            services: reached,
            candidates,
            evidence: (tenants.iter())
                .map(|tenant| self.learned(tenant, case))
                .collect(),
        })
    }

    /// The flow was agreed on by another: an FTP data connection, a TFTP transfer, a call of PPTP.
    fn by_appointment(&self, case: &Case, map: &EndpointMap) -> Option<Label> {
        let (listener, guest) = (case.server, case.flow.sender(case.client));
        let protocol = case.flow.tuple.protocol;
        let meets = |guest: Peer, listener: Peer| {
            (map.appointments).find(guest.address, listener, protocol, case.flow.start)
        };
        let appointment = meets(guest, listener)
            .or_else(|| meets(listener, guest))
            .or_else(|| map.appointments.find_call(case.flow))?;
        if (case.flow.evidence.iter()).any(|e| matches!(e.claim, Claim::Assigned { .. })) {
            return None;
        }
        // Anyone can ask for a transfer to another's port; what runs there says what it is.
        let is_other = case
            .spoken
            .is_some_and(|spoken| spoken != appointment.by.protocol);
        if is_other && protocol == IpProtocol::UDP {
            return None;
        }
        // Who negotiates anew, from the port where a transfer was expected, is none.
        if !is_other && case.spoken.is_some() && protocol == IpProtocol::TCP {
            return None;
        }
        let application = appointment.by.application;
        let (service, candidates) = self.owner(appointment, map);
        let place = Peer {
            // A call's id stands in the place of a port.
            port: (case.flow.gre_key()).map_or(listener.port, |id| id as u16),
            ..listener
        };
        let ground = Ground {
            kind: EvidenceKind::Assigned(appointment.by),
            value: listener_text(place, protocol),
            name: None,
            frame: Some(appointment.frame),
        };
        Some(Label {
            service,
            application: Some(application.to_owned()),
            basis: Basis::Endpoint,
            services: self.alone(case, service, application, Basis::Endpoint),
            candidates,
            evidence: vec![ground],
        })
    }

    /// The service that a control connection belongs to: by its port where that is the service's
    /// own, else unknown with candidates: those that speak its protocol on any port, or, where none
    /// may move, those of the port.
    fn owner(
        &self,
        appointment: &Appointment,
        map: &EndpointMap,
    ) -> (Option<ServiceId>, Vec<ServiceId>) {
        let (server, speaks) = (appointment.server, appointment.by.protocol);
        let uses: Vec<&PortUse> = (self.catalog.port(appointment.over, server.port).iter())
            .filter(|known| !known.quirk && known.may_speak(speaks))
            .collect();
        let listener = uses.iter().find(|known| known.listener);
        match listener {
            Some(listener)
                if self.networks.contains(server.address)
                    && doubt(server, appointment.over, map).is_none() =>
            {
                let others = uses.iter().map(|known| known.service);
                (
                    Some(listener.service),
                    others.filter(|s| *s != listener.service).collect(),
                )
            }
            _ => {
                let mut candidates = self.speakers(speaks);
                if candidates.is_empty() {
                    candidates = distinct(uses.iter().map(|known| known.service));
                }
                (None, candidates)
            }
        }
    }

    /// A server's browser said which of its instances listens there.
    fn by_instance(&self, case: &Case, map: &EndpointMap) -> Option<Label> {
        let protocol = case.flow.tuple.protocol;
        let instance = map.instances.find(case.server, protocol)?;
        let service = instance.service;
        let speakers = match service {
            Some(service) => self.catalog.service(service).ports.as_slice(),
            None => &[],
        };
        // What the service speaks at its own ports it speaks at this one.
        let speaks = |row: &&PortRow| match case.spoken {
            Some(spoken) => row.may_speak(spoken),
            None => row.at.protocol_name() == protocol.to_string(),
        };
        let row = speakers.iter().find(speaks);
        if case.spoken.is_some() && row.is_none() {
            return None;
        }
        let application = row.map(|row| row.application.clone());
        let ground = Ground {
            kind: EvidenceKind::Said(instance.field),
            value: instance.name.clone(),
            name: None,
            frame: Some(instance.frame),
        };
        let named = application.as_deref().unwrap_or_default();
        Some(Label {
            service,
            services: self.alone(case, service, named, Basis::Endpoint),
            application,
            basis: Basis::Endpoint,
            candidates: Vec::new(),
            evidence: vec![ground],
        })
    }

    /// A port that the catalog lists, and a payload that fits it or says nothing.
    fn by_port(&self, case: &Case, map: &EndpointMap) -> Option<Label> {
        let protocol = case.flow.tuple.protocol;
        let listed = protocol
            .has_ports()
            .then(|| self.catalog.port(protocol, case.server.port))?;
        let fitting: Vec<&PortUse> = (listed.iter())
            .filter(|known| !known.quirk && fits(known, case.spoken))
            .collect();
        let listener = *fitting
            .iter()
            .find(|known| known.listener)
            .or(fitting.first())?;
        let mut candidates: Vec<ServiceId> = fitting.iter().map(|known| known.service).collect();
        candidates.dedup();
        let ground = Ground {
            kind: EvidenceKind::Port,
            value: listener_text(case.server, protocol),
            name: Some(listener.application.clone()),
            frame: None,
        };
        let doubt = doubt(case.server, protocol, map);
        if doubt.is_some() || !self.networks.contains(case.server.address) {
            return Some(Label {
                service: None,
                application: Some(listener.application.clone()),
                basis: Basis::None,
                services: Vec::new(),
                candidates,
                evidence: iter::once(ground).chain(doubt).collect(),
            });
        }
        candidates.retain(|candidate| *candidate != listener.service);
        let basis = match candidates.is_empty() {
            true => Basis::Port,
            false => Basis::SharedPort,
        };
        let service = Some(listener.service);
        Some(Label {
            service,
            application: Some(listener.application.clone()),
            basis,
            services: self.alone(case, service, &listener.application, basis),
            candidates,
            evidence: vec![ground],
        })
    }

    /// IP protocols 47, 50 and 51 have one service each.
    fn by_ip_protocol(&self, case: &Case, map: &EndpointMap) -> Option<Label> {
        let protocol = case.flow.tuple.protocol;
        let known = self.catalog.ip_protocol(protocol).first()?;
        let ground = Ground {
            kind: EvidenceKind::IpProtocol,
            value: protocol.0.to_string(),
            name: Some(known.application.clone()),
            frame: None,
        };
        let either_side = [Direction::Forward, Direction::Reverse];
        let may_be_its = |side: &Direction| {
            let host = case.flow.sender(*side).address;
            self.networks.contains(host) && map.hosts.is_no_windows(host).is_none()
        };
        let (service, basis) = match either_side.iter().any(may_be_its) {
            false => (None, Basis::None),
            true => (Some(known.service), Basis::IpProtocol),
        };
        Some(Label {
            service,
            application: Some(known.application.clone()),
            basis,
            services: self.alone(case, service, &known.application, basis),
            candidates: match service {
                Some(_) => Vec::new(),
                None => vec![known.service],
            },
            evidence: vec![ground],
        })
    }

    /// Nothing names a service. What is known of the payload is said all the same: interfaces that
    /// no service is known for, a protocol on a port that is not its own.
    fn unknown(&self, case: &Case) -> Label {
        let protocol = case.flow.tuple.protocol;
        let is_bare_rpc = case.spoken.is_some_and(is_rpc);
        let services = match is_bare_rpc {
            true => self.reached(case, Basis::Content, bound(case.flow)),
            false => Vec::new(),
        };
        let listed = match protocol.has_ports() {
            true => self.catalog.port(protocol, case.server.port),
            false => &[],
        };
        let ground = listed
            .iter()
            .find(|known| !known.quirk && (case.spoken.is_some() || !known.only_if_spoken))
            .map(|known| Ground {
                kind: EvidenceKind::Mismatch,
                value: listener_text(case.server, protocol),
                name: Some(known.application.clone()),
                frame: None,
            });
        let candidates = match case.spoken {
            Some(spoken) if listed.is_empty() && !is_rpc(spoken) => self.speakers(spoken),
            _ => Vec::new(),
        };
        Label {
            service: None,
            application: case.spoken.map(|spoken| spoken.title().to_owned()),
            basis: match services.is_empty() {
                true => Basis::None,
                false => Basis::Content,
            },
            services,
            candidates,
            evidence: ground.into_iter().collect(),
        }
    }

    /// The services that speak this protocol, and whose administrator may choose the port.
    fn speakers(&self, spoken: Protocol) -> Vec<ServiceId> {
        let may_move = |service: &ServiceId| {
            let behaviour = &self.catalog.service(*service).behaviour;
            behaviour
                .iter()
                .any(|known| known.fact == Fact::PortsConfigurable)
        };
        let speaking = self
            .catalog
            .speaks_of(spoken.name())
            .iter()
            .map(|known| known.service);
        distinct(speaking.filter(may_move))
    }

    fn service_of(&self, interface: Interface) -> Option<ServiceId> {
        self.catalog.interface(interface, None)?.service
    }

    /// The interfaces by service, in the order in which they were first reached.
    fn reached(
        &self,
        case: &Case,
        basis: Basis,
        interfaces: impl Iterator<Item = Interface>,
    ) -> Vec<Reached> {
        let carried = carried(case.flow);
        let mut reached: Vec<Reached> = Vec::new();
        for interface in interfaces {
            let service = self.service_of(interface);
            let bytes = carried.get(&interface).copied().unwrap_or(0);
            match reached.iter_mut().find(|known| known.service == service) {
                Some(known) if known.interfaces.contains(&interface) => {}
                Some(known) => {
                    known.interfaces.push(interface);
                    known.bytes += bytes;
                }
                None => reached.push(Reached {
                    service,
                    application: "RPC".to_owned(),
                    basis,
                    via: None,
                    interfaces: vec![interface],
                    pipes: Vec::new(),
                    bytes,
                }),
            }
        }
        if let [only] = &mut reached[..] {
            only.bytes = case.flow.bytes.iter().sum();
        }
        reached
    }

    /// One service for the whole flow, if there is one.
    fn alone(
        &self,
        case: &Case,
        service: Option<ServiceId>,
        application: &str,
        basis: Basis,
    ) -> Vec<Reached> {
        let reached = service.map(|service| Reached {
            service: Some(service),
            application: application.to_owned(),
            basis,
            via: None,
            interfaces: Vec::new(),
            pipes: Vec::new(),
            bytes: case.flow.bytes.iter().sum(),
        });
        reached.into_iter().collect()
    }

    /// What was said of the port without ground, where nothing better names a service: shown, with
    /// candidates, and no more.
    fn add_hearsay(&self, case: &Case, map: &EndpointMap, label: &mut Label) {
        if label.service.is_some() || case.spoken.is_some_and(|spoken| !is_rpc(spoken)) {
            return;
        }
        let words = map.hearsay(case.server, case.flow.tuple.protocol);
        for heard in words {
            let (what, name) = self.exported(heard.export, case);
            label.candidates.extend(heard.service);
            label.evidence.push(Ground {
                kind: heard.how,
                value: format!("{what}, said by {}", heard.by),
                name,
                frame: Some(heard.learned),
            });
        }
        if !words.is_empty() {
            label.candidates = distinct(label.candidates.iter().copied());
        }
    }

    /// What the flow itself proved, added to what the label rests on; in the order of the frames,
    /// what the whole flow proves last.
    fn add_evidence(&self, case: &Case, told: &[Option<Told>], label: &mut Label) {
        let bound: Vec<Interface> = bound(case.flow).chain(pipes::bound(case.flow)).collect();
        let own = (case.flow.evidence.iter().zip(told))
            .filter_map(|(evidence, told)| self.ground(evidence, *told, &bound, case));
        label.evidence.extend(own);
        label
            .evidence
            .sort_by_key(|ground| (ground.frame.is_none(), ground.frame));
        label.evidence.dedup();
    }

    fn ground(
        &self,
        evidence: &Evidence,
        told: Option<Told>,
        bound: &[Interface],
        case: &Case,
    ) -> Option<Ground> {
        let server = case.server;
        let (kind, value, name) = match &evidence.claim {
            Claim::Speaks(protocol) => (EvidenceKind::Protocol, protocol.name().to_owned(), None),
            Claim::Bound(i) => (EvidenceKind::RpcInterface, i.to_string(), self.name_of(*i)),
            Claim::Offered(i) if !bound.contains(i) => {
                (EvidenceKind::RpcOffer, i.to_string(), self.name_of(*i))
            }
            Claim::AskedForPipe(_)
            | Claim::RefusedPipe(_)
            | Claim::OpenedPipe(_)
            | Claim::BoundInPipe { .. } => {
                return pipes::ground(evidence, self.catalog);
            }
            Claim::Said { field, text, .. } => (
                EvidenceKind::Said(*field),
                text.clone(),
                told.and_then(|told| signs::meaning(told.sign, self.catalog)),
            ),
            Claim::Assigned { by, at, listener } => {
                let listener = case.flow.sender(*listener);
                let kind = match is_of_another(at, listener) {
                    true => EvidenceKind::EndpointClaim,
                    false => EvidenceKind::Assigned(by),
                };
                (kind, endpoint_text(at, listener), None)
            }
            Claim::Hosted { field, name, at } => (
                EvidenceKind::Said(*field),
                format!("{name} at {}", endpoint_text(at, server)),
                None,
            ),
            Claim::Exported { class, at, .. } => (
                match is_of_another(at, server) {
                    true => EvidenceKind::EndpointClaim,
                    false => EvidenceKind::ObjectExporter,
                },
                endpoint_text(at, server),
                class.and_then(|class| self.class_name(class)),
            ),
            Claim::Contested(said) => {
                let (value, name) = self.contested(said, server)?;
                (EvidenceKind::EndpointContested, value, name)
            }
            Claim::NetbiosName { .. } | Claim::SentToMailslot(_) => {
                return netbios::ground(evidence, self.catalog);
            }
            Claim::CarriedToMailslot { .. }
            | Claim::CarriedInPipe { .. }
            | Claim::CarriedFor { .. }
            | Claim::Offered(_)
            | Claim::Mapped { .. }
            | Claim::ClientIs(_)
            | Claim::Carried { .. } => {
                return None;
            }
        };
        Some(Ground {
            kind,
            value,
            name,
            frame: Some(evidence.frame),
        })
    }

    /// What was contested, and its name.
    fn contested(&self, said: &Claim, server: Peer) -> Option<(String, Option<String>)> {
        match said {
            Claim::Mapped { interface, at, .. } => {
                let value = format!("{interface} at {}", endpoint_text(at, server));
                Some((value, self.name_of(*interface)))
            }
            Claim::Hosted { name, at, .. } => {
                Some((format!("{name} at {}", endpoint_text(at, server)), None))
            }
            _ => None,
        }
    }

    fn learned(&self, tenant: &Tenant, case: &Case) -> Ground {
        let kind = match tenant.teacher {
            Teacher::Mapper | Teacher::MapperByDatagram | Teacher::Bind => {
                EvidenceKind::EndpointMap
            }
            Teacher::ObjectExporter => EvidenceKind::ObjectExporter,
        };
        let (value, name) = self.exported(tenant.export, case);
        Ground {
            kind,
            value,
            name,
            frame: Some(tenant.learned),
        }
    }

    /// What lives at a port, and its name.
    fn exported(&self, export: Export, case: &Case) -> (String, Option<String>) {
        match export {
            Export::Interface(interface) => (interface.to_string(), self.name_of(interface)),
            Export::Objects(Some(class)) => (class.to_string(), self.class_name(class)),
            Export::Objects(None) => (listener_text(case.server, case.flow.tuple.protocol), None),
        }
    }

    fn class_name(&self, class: Uuid) -> Option<String> {
        Some(self.catalog.class(class)?.name.clone())
    }

    fn name_of(&self, interface: Interface) -> Option<String> {
        self.catalog.interface(interface, None)?.name.clone()
    }
}

/// Puts what was reached of `service` first.
fn first(service: ServiceId, mut reached: Vec<Reached>) -> Vec<Reached> {
    reached.sort_by_key(|known| known.service != Some(service));
    reached
}

/// Each service once, in the order of the catalog.
fn distinct(services: impl Iterator<Item = ServiceId>) -> Vec<ServiceId> {
    let services: BTreeSet<ServiceId> = services.collect();
    services.into_iter().collect()
}

/// What takes from a port that it names a service of Windows: a product of another maker that
/// listens there, a host that is no Windows.
fn doubt(server: Peer, protocol: IpProtocol, map: &EndpointMap) -> Option<Ground> {
    if let Some(listener) = map.hosts.listener(server, protocol) {
        return Some(Ground {
            kind: EvidenceKind::HostSystem,
            value: listener.product.clone(),
            name: Some("the product that listens there".to_owned()),
            frame: Some(listener.frame),
        });
    }
    let clue = map.hosts.is_no_windows(server.address)?;
    Some(Ground {
        kind: EvidenceKind::HostSystem,
        value: clue.system.name.clone(),
        name: Some(format!("{} {}", clue.kind.name(), clue.value)),
        frame: Some(clue.frame),
    })
}

/// Whether no endpoint that is assigned later can be one of its own: those lie above the well-known
/// ports.
fn is_on_low_ports(flow: &EndedFlow) -> bool {
    let highest = flow.tuple.source.port.max(flow.tuple.destination.port);
    !flow.tuple.protocol.has_ports() || highest < 1024
}

/// Whether the label is without a service because of what a host showed of itself.
fn is_in_doubt(label: &Label) -> bool {
    (label.evidence.iter()).any(|ground| ground.kind == EvidenceKind::HostSystem)
}

/// Whether the label rests on a transfer that was agreed on: whose that is depends on the host of
/// the control connection.
fn is_appointment(label: &Label) -> bool {
    (label.evidence.iter()).any(|ground| matches!(ground.kind, EvidenceKind::Assigned(_)))
}

fn spoken(flow: &EndedFlow) -> Option<Protocol> {
    flow.evidence
        .iter()
        .find_map(|evidence| match evidence.claim {
            Claim::Speaks(protocol) => Some(protocol),
            _ => None,
        })
}

fn bound(flow: &EndedFlow) -> impl Iterator<Item = Interface> {
    flow.evidence
        .iter()
        .filter_map(|evidence| match evidence.claim {
            Claim::Bound(interface) => Some(interface),
            _ => None,
        })
}

fn carried(flow: &EndedFlow) -> BTreeMap<Interface, u64> {
    let carried = flow
        .evidence
        .iter()
        .filter_map(|evidence| match evidence.claim {
            Claim::Carried { interface, bytes } => Some((interface, bytes)),
            _ => None,
        });
    carried.collect()
}

/// What RPC is spoken as.
const RPC: [Protocol; 3] = [rpc::PROTOCOL, rpc::CONNECTIONLESS, rpc_http::PROTOCOL];

fn is_rpc(spoken: Protocol) -> bool {
    RPC.contains(&spoken)
}

/// Whether a payload that speaks this, or nothing that is known, may be found at a port.
fn fits(known: &PortUse, spoken: Option<Protocol>) -> bool {
    match spoken {
        Some(spoken) => known.may_speak(spoken),
        None => !known.only_if_spoken,
    }
}

fn listener_text(listener: Peer, protocol: IpProtocol) -> String {
    let mut text = itoa::Buffer::new().format(listener.port).to_owned();
    text.push('/');
    match protocol.name() {
        Some(name) => text.push_str(name),
        None => text.push_str(&protocol.to_string()),
    }
    text
}

/// Whether an endpoint that `host` named is another host's.
fn is_of_another(at: &Endpoint, host: Peer) -> bool {
    address_of(at, host.address).is_some_and(|(named, _, _)| named != host.address)
}

/// `192.0.2.1:4131/tcp`; the listener's own address where the endpoint names none.
fn endpoint_text(at: &Endpoint, listener: Peer) -> String {
    match at {
        Endpoint::Port {
            address,
            protocol,
            port,
        } => {
            let address = address.unwrap_or(listener.address);
            format!(
                "{}/{protocol}",
                Peer {
                    address,
                    port: *port
                }
            )
        }
        Endpoint::Pipe(pipe) => pipe.to_string(),
    }
}
