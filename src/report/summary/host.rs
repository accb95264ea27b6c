//! Flows by host: what each offers, what it uses, and what is known of its system.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::attribute::hosts::HostShown;
use crate::attribute::label::{EvidenceKind, Ground, LabelledFlow};
use crate::catalog::ServiceId;
use crate::dissect::http;
use crate::dissect::text::BANNER;
use crate::flow::ended::State;
use crate::model::evidence::Direction;
use crate::report::column::{Column, Value};

/// Hosts told apart: a /16 and then some, at about 300 bytes each. The flows of hosts beyond it
/// are counted together.
const MAX_HOSTS: usize = 100_000;

/// Characters kept of a product's name for itself.
const MAX_PRODUCT: usize = 100;

/// One row: a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRow {
    /// Its address; none for all hosts beyond the bound together.
    pub host: Option<IpAddr>,
    /// Services that it offered to someone and answered for.
    pub offers: Vec<ServiceId>,
    /// Services of others that it used.
    pub uses: Vec<ServiceId>,
    /// Flows in which it took part.
    pub flows: u64,
    /// Their bytes on the wire, both ways.
    pub bytes: u64,
    /// Time to live of its first packet seen.
    pub ttl: Option<u8>,
    /// What it first called itself in a greeting or header, as sent, cut.
    pub product: Option<String>,
    /// The system that it is taken for.
    pub system: Option<String>,
    /// The clues to its system.
    pub clues: Vec<Ground>,
}

/// The columns of a row by host, in order.
pub const HOST: &[Column<HostRow>] = &[
    Column {
        name: "host",
        about: "IP address; null for all hosts beyond the bound together",
        of: |_, row| row.host.map_or(Value::Null, Value::Address),
    },
    Column {
        name: "offers",
        about: "Services that it offered and answered for",
        of: |_, row| Value::Services(&row.offers),
    },
    Column {
        name: "uses",
        about: "Services of others that it used",
        of: |_, row| Value::Services(&row.uses),
    },
    Column {
        name: "flows",
        about: "Number of flows in which it took part",
        of: |_, row| Value::Number(row.flows),
    },
    Column {
        name: "bytes",
        about: "Bytes on the wire of these flows, both ways, from the IP header on",
        of: |_, row| Value::Number(row.bytes),
    },
    Column {
        name: "ttl",
        about: "Time to live (hop limit) of its first packet; Windows starts at 128",
        of: |_, row| Value::number(row.ttl),
    },
    Column {
        name: "product",
        about: "What it first called itself in a greeting or header",
        of: |_, row| row.product.as_deref().map_or(Value::Null, Value::Wire),
    },
    Column {
        name: "system",
        about: "System that it is taken for; null if it showed nothing",
        of: |_, row| Value::text(row.system.as_deref()),
    },
    Column {
        name: "evidence",
        about: "What it showed of its system; the name of each is the system that it stands for",
        of: |_, row| Value::Evidence(&row.clues),
    },
];

/// Adds flows up by host.
#[derive(Debug, Default)]
pub struct ByHost {
    hosts: BTreeMap<IpAddr, Tally>,
    beyond: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    offers: BTreeSet<ServiceId>,
    uses: BTreeSet<ServiceId>,
    flows: u64,
    bytes: u64,
    ttl: Option<u8>,
    product: Option<String>,
}

impl ByHost {
    /// Adds a flow to both its hosts; once where it talks to itself.
    pub fn add(&mut self, flow: &LabelledFlow) {
        let (client, server) = (flow.client().address, flow.server().address);
        let services = || {
            flow.label
                .services
                .iter()
                .filter_map(|reached| reached.service)
        };
        let answered = flow.flow.state != State::Unanswered;

        let tally = self.host(client);
        tally.add(flow, flow.client);
        if answered {
            tally.uses.extend(services());
        }

        let tally = self.host(server);
        if server != client {
            tally.add(flow, flow.client.reversed());
        }
        if answered {
            tally.offers.extend(services());
        }
        tally.product = tally.product.take().or_else(|| product(flow));
    }

    /// The rows: most bytes first, hosts beyond the bound last. `shown` is by address.
    pub fn rows(&self, shown: &[HostShown]) -> Vec<HostRow> {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.bytes));
        let mut rows: Vec<_> = (hosts.into_iter())
            .map(|(host, tally)| tally.row(Some(*host)))
            .collect();
        if self.beyond.flows > 0 {
            rows.push(self.beyond.row(None));
        }
        for row in &mut rows {
            let at = row
                .host
                .map(|host| shown.binary_search_by_key(&host, |known| known.host));
            if let Some(Ok(at)) = at {
                let known = &shown[at];
                (row.system, row.clues) = (Some(known.system.clone()), known.clues.clone());
            }
        }
        rows
    }

    fn host(&mut self, host: IpAddr) -> &mut Tally {
        match self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(&host) {
            true => self.hosts.entry(host).or_default(),
            false => &mut self.beyond,
        }
    }
}

impl Tally {
    fn add(&mut self, flow: &LabelledFlow, sends: Direction) {
        self.flows += 1;
        self.bytes += flow.flow.bytes.iter().sum::<u64>();
        self.ttl = self.ttl.or(flow.flow.ttl[sends.index()]);
    }

    fn row(&self, host: Option<IpAddr>) -> HostRow {
        HostRow {
            host,
            offers: self.offers.iter().copied().collect(),
            uses: self.uses.iter().copied().collect(),
            flows: self.flows,
            bytes: self.bytes,
            ttl: self.ttl.filter(|_| host.is_some()),
            product: self.product.clone().filter(|_| host.is_some()),
            system: None,
            clues: Vec::new(),
        }
    }
}

fn product(flow: &LabelledFlow) -> Option<String> {
    let banner = (flow.label.evidence.iter()).find(|ground| is_product(ground.kind))?;
    Some(banner.value.chars().take(MAX_PRODUCT).collect())
}

fn is_product(kind: EvidenceKind) -> bool {
    matches!(kind, EvidenceKind::Said(field) if [BANNER, http::SERVER].contains(&field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::label::Basis;
    use crate::report::sample::{catalog, frame, named, service, smb_session, unknown};

    fn row(flows: &[LabelledFlow], host: u8) -> HostRow {
        let mut by = ByHost::default();
        flows.iter().for_each(|flow| by.add(flow));
        let host = IpAddr::from([10, 0, 0, host]);
        let found = by.rows(&[]).into_iter().find(|row| row.host == Some(host));
        found.expect("the host took part")
    }

    #[test]
    fn the_server_offers_what_the_client_uses() {
        let catalog = catalog();
        let flows = [smb_session(&catalog, 2)];
        let (client, server) = (row(&flows, 2), row(&flows, 1));
        assert_eq!(server.offers.len(), 2);
        assert_eq!(
            (&client.uses, &client.offers),
            (&server.offers, &Vec::new())
        );
        assert_eq!((client.ttl, server.ttl), (Some(128), Some(64)));
    }

    #[test]
    fn what_was_asked_for_and_not_answered_is_not_offered() {
        let mut flow = named(
            2,
            445,
            service(&catalog(), "lanmanserver"),
            Basis::SharedPort,
        );
        flow.flow.state = State::Unanswered;
        assert_eq!(row(std::slice::from_ref(&flow), 1).offers, []);
        assert_eq!(row(&[flow], 2).uses, []);
    }

    #[test]
    fn a_host_that_talks_to_itself_took_part_once() {
        let flows = [unknown(1, 445)];
        let host = row(&flows, 1);
        assert_eq!((host.flows, host.bytes), (1, 2300));
    }

    #[test]
    fn a_product_is_the_servers_and_cut() {
        let mut flow = unknown(2, 80);
        flow.label.evidence = vec![Ground {
            kind: EvidenceKind::Said(BANNER),
            value: "x".repeat(1000),
            name: None,
            frame: Some(frame(4)),
        }];
        let product = row(&[flow.clone()], 1).product.expect("it named itself");
        assert_eq!(product.len(), MAX_PRODUCT);
        assert_eq!(row(&[flow], 2).product, None);
    }

    #[test]
    fn what_a_host_showed_stands_in_its_own_row() {
        let mut by = ByHost::default();
        by.add(&unknown(2, 80));
        let shown = HostShown {
            host: IpAddr::from([10, 0, 0, 1]),
            system: "Samba".to_owned(),
            clues: Vec::new(),
        };
        let rows = by.rows(&[shown]);
        let system = |host: u8| {
            let host = Some(IpAddr::from([10, 0, 0, host]));
            let row = rows.iter().find(|row| row.host == host);
            row.and_then(|row| row.system.clone())
        };
        assert_eq!((system(1), system(2)), (Some("Samba".to_owned()), None));
    }

    #[test]
    fn hosts_beyond_the_bound_are_counted_together() {
        let mut by = ByHost::default();
        for n in 0..MAX_HOSTS as u32 + 10 {
            let mut flow = unknown(2, 80);
            flow.flow.tuple.source.address = std::net::Ipv4Addr::from(0x0b00_0000 + n).into();
            by.add(&flow);
        }
        let rows = by.rows(&[]);
        assert_eq!(rows.len(), MAX_HOSTS + 1);
        assert_eq!(
            rows.last().map(|row| (row.host, row.flows)),
            Some((None, 11))
        );
    }
}
