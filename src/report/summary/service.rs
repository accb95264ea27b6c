//! Flows by service: who is talking, how much, and how that is known.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use crate::attribute::label::{Basis, LabelledFlow, Reached};
use crate::catalog::ServiceId;
use crate::model::five_tuple::IpProtocol;
use crate::report::column::{Column, Value};

/// Groups of flows. There are as many as services, and as kinds of unknown traffic; a catalog of
/// several thousand services would reach this. Beyond it, flows are counted by IP protocol alone.
const MAX_GROUPS: usize = 4096;

/// Addresses remembered to count clients and servers, over all groups: 17 bytes each and the
/// table's slack, some 50 MiB. Beyond it, counts say *at least*.
const MAX_ADDRESSES: usize = 1 << 20;

/// Applications named in one row; a service has a handful.
const MAX_APPLICATIONS: usize = 16;

/// The bases of a label, strongest first, which is their order as an enum.
pub const BASES: [Basis; 6] = [
    Basis::Content,
    Basis::Endpoint,
    Basis::Port,
    Basis::SharedPort,
    Basis::IpProtocol,
    Basis::None,
];

/// What flows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Flows of a service.
    Service(ServiceId),
    /// Flows that no service could be named for.
    Unknown {
        /// The application protocol, if that much is known.
        application: Option<String>,
        /// The IP protocol, where no application is known.
        protocol: Option<IpProtocol>,
        /// The services that the catalog lists there.
        candidates: Vec<ServiceId>,
    },
}

impl Group {
    fn of(flow: &LabelledFlow) -> Group {
        match flow.label.service {
            Some(service) => Group::Service(service),
            None => Group::Unknown {
                application: flow.label.application.clone(),
                protocol: Group::protocol(flow).filter(|_| flow.label.application.is_none()),
                candidates: flow.label.candidates.clone(),
            },
        }
    }

    fn other(flow: &LabelledFlow) -> Group {
        Group::Unknown {
            application: None,
            protocol: Group::protocol(flow),
            candidates: Vec::new(),
        }
    }

    fn protocol(flow: &LabelledFlow) -> Option<IpProtocol> {
        Some(flow.flow.tuple.protocol)
    }
}

/// How many different addresses there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// So many were told apart.
    pub told_apart: u64,
    /// Whether there may have been more than could be remembered.
    pub at_least: bool,
}

/// Another service that flows of a group reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Via {
    /// Which; none for interfaces that the catalog ties to no service.
    pub service: Option<ServiceId>,
    /// What carried it, where that is another service's protocol.
    pub via: Option<&'static str>,
}

/// One row: the flows of a group, or the part of them that reached one more service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// The group that the flows belong to.
    pub group: Group,
    /// What else they reached. None: the row of the group.
    pub reached: Option<Via>,
    /// The application protocols, in order of name; bounded.
    pub applications: Vec<String>,
    /// How many flows.
    pub flows: u64,
    /// How many clients.
    pub clients: Count,
    /// How many servers.
    pub servers: Count,
    /// Packets both ways; none for a part of a flow.
    pub packets: Option<u64>,
    /// Bytes on the wire both ways, each counted in one row alone.
    pub bytes: u64,
    /// Flows by basis, in the order of [`BASES`].
    pub known: [u64; BASES.len()],
}

impl ServiceRow {
    /// The service that the row is about.
    pub fn service(&self) -> Option<ServiceId> {
        match (self.reached, &self.group) {
            (Some(via), _) => via.service,
            (None, Group::Service(service)) => Some(*service),
            (None, Group::Unknown { .. }) => None,
        }
    }

    /// The service whose flows carried this one.
    pub fn listener(&self) -> Option<ServiceId> {
        match (self.reached, &self.group) {
            (Some(_), Group::Service(listener)) => Some(*listener),
            _ => None,
        }
    }

    /// The services that the catalog lists for flows without one.
    pub fn candidates(&self) -> &[ServiceId] {
        match &self.group {
            Group::Service(_) => &[],
            Group::Unknown { candidates, .. } => candidates,
        }
    }
}

/// The columns of a row by service, in order.
pub const SERVICE: &[Column<ServiceRow>] = &[
    Column {
        name: "service",
        about: "Catalog id; null for flows that no service could be named for",
        of: |context, row| Value::text(row.service().map(|id| context.service_id(id))),
    },
    Column {
        name: "service_name",
        about: "Display name; null as above",
        of: |context, row| Value::text(row.service().map(|id| context.service_name(id))),
    },
    Column {
        name: "listener",
        about: "Service whose flows carried this one; they and their packets stand in its row",
        of: |context, row| Value::text(row.listener().map(|id| context.service_id(id))),
    },
    Column {
        name: "via",
        about: "Protocol that carried it, such as smb; null where it was reached directly",
        of: |_, row| Value::text(row.reached.and_then(|reached| reached.via)),
    },
    Column {
        name: "applications",
        about: "Application protocols seen; for unknown flows without one their IP protocol",
        of: |_, row| Value::Wires(&row.applications),
    },
    Column {
        name: "flows",
        about: "Number of flows",
        of: |_, row| Value::Number(row.flows),
    },
    Column {
        name: "clients",
        about: "Number of client addresses, at least: see the bound on addresses",
        of: |_, row| Value::Number(row.clients.told_apart),
    },
    Column {
        name: "servers",
        about: "Number of server addresses, at least: see the bound on addresses",
        of: |_, row| Value::Number(row.servers.told_apart),
    },
    Column {
        name: "packets",
        about: "Packets both ways; null for a part of a listener's flows",
        of: |_, row| Value::number(row.packets),
    },
    Column {
        name: "bytes",
        about: "Bytes on the wire both ways, each in one row: those that reached others, in theirs",
        of: |_, row| Value::Number(row.bytes),
    },
    Column {
        name: "content",
        about: "Flows known by content",
        of: |_, row| Value::Number(row.known[0]),
    },
    Column {
        name: "endpoint",
        about: "Flows known by an endpoint that was negotiated",
        of: |_, row| Value::Number(row.known[1]),
    },
    Column {
        name: "port",
        about: "Flows known by their port",
        of: |_, row| Value::Number(row.known[2]),
    },
    Column {
        name: "shared_port",
        about: "Flows known by a port that several services list",
        of: |_, row| Value::Number(row.known[3]),
    },
    Column {
        name: "ip_protocol",
        about: "Flows known by their IP protocol",
        of: |_, row| Value::Number(row.known[4]),
    },
    Column {
        name: "none",
        about: "Flows that nothing names",
        of: |_, row| Value::Number(row.known[5]),
    },
    Column {
        name: "candidates",
        about: "Services that the catalog lists there, for flows that nothing names",
        of: |_, row| Value::Services(row.candidates()),
    },
];

/// Adds flows up by service.
#[derive(Debug)]
pub struct ByService {
    groups: BTreeMap<Group, (Tally, BTreeMap<Via, Tally>)>,
    addresses_left: usize,
}

impl Default for ByService {
    fn default() -> ByService {
        ByService {
            groups: BTreeMap::new(),
            addresses_left: MAX_ADDRESSES,
        }
    }
}

impl ByService {
    /// Adds a flow.
    pub fn add(&mut self, flow: &LabelledFlow) {
        let mut group = Group::of(flow);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&group) {
            group = Group::other(flow);
        }
        let (whole, parts) = self.groups.entry(group).or_default();
        whole.add(flow, &mut self.addresses_left);
        whole.packets += flow.flow.packets.iter().sum::<u64>();
        let mut left: u64 = flow.flow.bytes.iter().sum();
        whole.known[flow.label.basis as usize] += 1;
        whole.name_application(application(flow));

        let others = |reached: &&Reached| reached.service != flow.label.service;
        for reached in flow.label.services.iter().filter(others) {
            let via = Via {
                service: reached.service,
                via: reached.via,
            };
            let part = parts.entry(via).or_default();
            part.add(flow, &mut self.addresses_left);
            let bytes = reached.bytes.min(left);
            left -= bytes;
            part.bytes += bytes;
            part.known[reached.basis as usize] += 1;
            part.name_application(reached.application.clone());
        }
        whole.bytes += left;
    }

    /// The rows: most bytes first, unknown flows last, each group followed by what else it reached.
    pub fn rows(&self) -> Vec<ServiceRow> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(group, (tally, _))| {
            let unknown = matches!(group, Group::Unknown { .. });
            (unknown, std::cmp::Reverse((tally.bytes, tally.flows)))
        });
        let mut rows = Vec::new();
        for (group, (whole, parts)) in groups {
            rows.push(whole.row(group, None));
            let mut parts: Vec<_> = parts.iter().collect();
            parts.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.bytes, tally.flows)));
            rows.extend((parts.into_iter()).map(|(via, part)| part.row(group, Some(*via))));
        }
        rows
    }
}

/// IP protocols that every network has and no Windows service answers for, by the names that
/// people know (IANA "Assigned Internet Protocol Numbers").
const COMMON: &[(u8, &str)] = &[
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IP in IP"),
    (41, "IPv6 in IP"),
    (58, "ICMPv6"),
    (89, "OSPF"),
    (103, "PIM"),
    (112, "VRRP"),
    (132, "SCTP"),
];

fn application(flow: &LabelledFlow) -> String {
    let protocol = flow.flow.tuple.protocol;
    match &flow.label.application {
        Some(application) => application.clone(),
        None if protocol.has_ports() => protocol.to_string(),
        None => match COMMON.iter().find(|(number, _)| *number == protocol.0) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("IP protocol {protocol}"),
        },
    }
}

#[derive(Debug, Default)]
struct Tally {
    flows: u64,
    clients: Addresses,
    servers: Addresses,
    packets: u64,
    bytes: u64,
    known: [u64; BASES.len()],
    applications: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, flow: &LabelledFlow, addresses_left: &mut usize) {
        self.flows += 1;
        self.clients.add(flow.client().address, addresses_left);
        self.servers.add(flow.server().address, addresses_left);
    }

    fn name_application(&mut self, name: String) {
        if self.applications.len() < MAX_APPLICATIONS {
            self.applications.insert(name);
        }
    }

    fn row(&self, group: &Group, reached: Option<Via>) -> ServiceRow {
        ServiceRow {
            group: group.clone(),
            reached,
            applications: self.applications.iter().cloned().collect(),
            flows: self.flows,
            clients: self.clients.count(),
            servers: self.servers.count(),
            packets: reached.is_none().then_some(self.packets),
            bytes: self.bytes,
            known: self.known,
        }
    }
}

#[derive(Debug, Default)]
struct Addresses {
    seen: HashSet<IpAddr>,
    missed: bool,
}

impl Addresses {
    fn add(&mut self, address: IpAddr, left: &mut usize) {
        if self.seen.contains(&address) {
            return;
        }
        match left.checked_sub(1) {
            None => self.missed = true,
            Some(rest) => {
                *left = rest;
                self.seen.insert(address);
            }
        }
    }

    fn count(&self) -> Count {
        Count {
            told_apart: self.seen.len() as u64,
            at_least: self.missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::report::sample::{catalog, named, service, smb_session, unknown};

    fn rows(flows: &[LabelledFlow]) -> Vec<ServiceRow> {
        let mut by = ByService::default();
        flows.iter().for_each(|flow| by.add(flow));
        by.rows()
    }

    fn ids(catalog: &Catalog, rows: &[ServiceRow]) -> Vec<String> {
        let id = |row: &ServiceRow| match row.service() {
            Some(service) => catalog.service(service).id.clone(),
            None => row.applications.join(","),
        };
        rows.iter().map(id).collect()
    }

    #[test]
    fn flows_clients_and_servers_are_counted_apart() {
        let lsass = service(&catalog(), "LSASS");
        let flow = |client, basis| named(client, 49_152, lsass, basis);
        let rows = rows(&[
            flow(2, Basis::Content),
            flow(2, Basis::Port),
            flow(3, Basis::Content),
        ]);
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(
            (row.flows, row.clients.told_apart, row.servers.told_apart),
            (3, 2, 1)
        );
        assert_eq!((row.packets, row.bytes), (Some(15), 6900));
        assert_eq!(row.known, [2, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_an_smb_session_reached_stands_under_its_listener_and_counts_there_once() {
        let catalog = catalog();
        let rows = rows(&[smb_session(&catalog, 2)]);
        assert_eq!(ids(&catalog, &rows), ["lanmanserver", "Spooler"]);
        let [whole, part] = &rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!((whole.bytes, whole.listener()), (1400, None));
        assert_eq!((part.bytes, part.listener()), (900, whole.service()));
        assert_eq!(part.reached.and_then(|reached| reached.via), Some("smb"));
    }

    #[test]
    fn unknown_flows_come_last_and_are_grouped_by_application() {
        let catalog = catalog();
        let mut tls = unknown(2, 443);
        tls.label.application = Some("HTTPS".to_owned());
        tls.label.candidates = vec![service(&catalog, "W3SVC")];
        tls.flow.bytes = [1_000_000, 0];
        let lsass = named(2, 49_152, service(&catalog, "LSASS"), Basis::Content);
        let rows = rows(&[tls, unknown(2, 50_001), unknown(3, 50_002), lsass]);
        assert_eq!(ids(&catalog, &rows), ["LSASS", "HTTPS", "tcp"]);
        assert_eq!((rows[1].candidates().len(), rows[2].flows), (1, 2));
    }

    #[test]
    fn beyond_the_bound_addresses_are_counted_as_at_least() {
        let mut addresses = Addresses::default();
        let mut left = 2;
        for last in [1, 2, 2, 3] {
            addresses.add(IpAddr::from([10, 0, 0, last]), &mut left);
        }
        let count = Count {
            told_apart: 2,
            at_least: true,
        };
        assert_eq!(addresses.count(), count);
    }

    #[test]
    fn beyond_the_bound_groups_are_counted_by_protocol() {
        let mut by = ByService::default();
        for n in 0..MAX_GROUPS + 10 {
            let mut flow = unknown(2, 1);
            flow.label.application = Some(format!("application {n}"));
            by.add(&flow);
        }
        let rows = by.rows();
        assert_eq!(rows.len(), MAX_GROUPS + 1);
        assert_eq!(
            rows.iter().map(|row| row.flows).sum::<u64>(),
            MAX_GROUPS as u64 + 10
        );
    }

    #[test]
    fn the_bases_stand_in_the_order_of_their_numbers() {
        for (place, basis) in BASES.iter().enumerate() {
            assert_eq!(*basis as usize, place);
        }
    }
}
