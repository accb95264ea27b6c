//! What hosts show of themselves: their systems, and products that are no service of Windows.
//!
//! A port names a Windows service only where Windows listens, or what stands in for it. A host that
//! shows itself as something else, or a listener that names another product, takes that ground
//! away. What a peer says in clear counts before how its packets look.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::attribute::label::{EvidenceKind, Ground};
use crate::catalog::{Catalog, System, SystemKind};
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Direction};
use crate::model::five_tuple::{IpProtocol, Peer};
use crate::model::packet::Frame;
use crate::model::protocol::Field;
use crate::model::tcp_options::TcpOptions;

/// How many hosts are kept: a /16 and then some, at some 300 bytes each.
pub const MAX_HOSTS: usize = 100_000;

/// How many clues are kept of one host: one of each kind and system is kept, and few hosts show
/// more than five.
pub const MAX_CLUES: usize = 16;

/// How many listeners of other makers are kept.
pub const MAX_LISTENERS: usize = 100_000;

/// Characters kept of what was said.
const MAX_VALUE: usize = 120;

/// The kind of a clue that no field has: the hop count of the first answer.
const TTL: Field = Field::new(&["syn-ack-ttl", "syn-ack-ttl"]);

/// The kind of a clue that no field has: the order of the TCP options of the first answer.
const OPTIONS: Field = Field::new(&["syn-ack-options", "syn-ack-options"]);

/// The kind of a clue that no field has: an interface of Windows' own services was answered for.
const RPC: Field = Field::new(&["rpc-interface", "rpc-interface"]);

/// Something that a host showed of its system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clue {
    /// What it is a clue to.
    pub system: System,
    /// How firmly.
    pub weight: Weight,
    /// What kind of thing it is: a field, or what was observed.
    pub kind: Field,
    /// What was seen. May hold bytes from the wire: escape before showing.
    pub value: String,
    /// The frame that shows it.
    pub frame: Frame,
}

/// How firmly a clue stands for a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// How one packet looks that is made of what its peer offered, and that proxies and balancers
    /// make for others.
    Glance,
    /// How its packets look: the settings of many systems may be changed.
    Looks,
    /// It said so.
    Said,
}

/// A product that named itself where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Which.
    pub product: String,
    /// The frame that shows it.
    pub frame: Frame,
}

/// What a host showed of itself, ready for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostShown {
    /// Which host.
    pub host: IpAddr,
    /// The system that it is taken for.
    pub system: String,
    /// The clues to that and to others, in the order in which they were learned; the name of each
    /// is the system that it stands for.
    pub clues: Vec<Ground>,
}

type Place = (IpAddr, IpProtocol, u16);

/// What is known of hosts, from all flows so far.
#[derive(Debug)]
pub struct Hosts {
    /// The bounds on hosts and listeners are this many times smaller.
    share: usize,
    hosts: HashMap<IpAddr, Vec<Clue>, RandomState>,
    listeners: HashMap<Place, Listener, RandomState>,
    /// Clues that did not fit the bounds.
    pub given_up: u64,
}

impl Hosts {
    /// What keeps one of `share` parts of the hosts and listeners that may be kept.
    pub fn with_share(share: usize) -> Hosts {
        Hosts {
            share,
            hosts: HashMap::default(),
            listeners: HashMap::default(),
            given_up: 0,
        }
    }

    /// Learns from a flow of which `client` sends as the client.
    pub fn learn(&mut self, flow: &EndedFlow, client: Direction, catalog: &Catalog) {
        let server = flow.sender(client.reversed());
        for evidence in &flow.evidence {
            match &evidence.claim {
                Claim::Said { field, text, by } => {
                    let Some(sign) = catalog.sign(*field, text) else {
                        continue;
                    };
                    // What offers Windows' services stands in for it. Who uses them with programs of
                    // the same make need not offer any.
                    let tells =
                        |system: &&System| *by != client || system.kind != SystemKind::StandsIn;
                    if let Some(system) = sign.system.as_ref().filter(tells) {
                        let seen = Seen {
                            system: &system.name,
                            system_kind: system.kind,
                            weight: Weight::Said,
                            kind: *field,
                            frame: evidence.frame,
                        };
                        let value = || text.chars().take(MAX_VALUE).collect();
                        self.add(flow.sender(*by).address, seen, value);
                    }
                    if let (Some(product), true) = (&sign.product, *by != client) {
                        let listener = Listener {
                            product: product.clone(),
                            frame: evidence.frame,
                        };
                        self.listens(server, flow.tuple.protocol, listener);
                    }
                }
                Claim::Bound(interface) | Claim::BoundInPipe { interface, .. } => {
                    // One that only a service of Windows has.
                    let known = catalog.interface(*interface, None);
                    if let Some(known) = known.filter(|known| known.service.is_some()) {
                        let seen = Seen {
                            system: "Windows or Samba",
                            system_kind: SystemKind::StandsIn,
                            weight: Weight::Said,
                            kind: RPC,
                            frame: evidence.frame,
                        };
                        let value =
                            || (known.name.clone()).unwrap_or_else(|| interface.to_string());
                        self.add(server.address, seen, value);
                    }
                }
                _ => {}
            }
        }
        if let Some((seen, ttl)) = by_ttl(flow, client) {
            self.add(server.address, seen, || ttl.to_string());
        }
        if let Some((seen, options)) = by_options(flow, client) {
            self.add(server.address, seen, || options.to_string());
        }
    }

    /// Everything that a host showed, in the order in which it was learned.
    pub fn clues(&self, host: IpAddr) -> &[Clue] {
        self.hosts.get(&host).map_or(&[], Vec::as_slice)
    }

    /// The clue that tells best what system a host runs.
    pub fn system(&self, host: IpAddr) -> Option<&Clue> {
        best(self.clues(host))
    }

    /// The clue that takes from a port there that it names a service of Windows, if one does.
    pub fn is_no_windows(&self, host: IpAddr) -> Option<&Clue> {
        self.system(host)
            .filter(|clue| clue.system.kind == SystemKind::Other)
    }

    /// The product of another maker that listens there.
    pub fn listener(&self, server: Peer, protocol: IpProtocol) -> Option<&Listener> {
        (self.listeners).get(&(server.address, protocol, server.port))
    }

    /// Every host that showed anything, by address.
    pub fn shown(&self) -> Vec<HostShown> {
        let shown = self.hosts.iter().filter_map(|(host, clues)| {
            let system = best(clues)?.system.name.clone();
            let clues = clues.iter().map(ground).collect();
            Some(HostShown {
                host: *host,
                system,
                clues,
            })
        });
        let mut shown: Vec<HostShown> = shown.collect();
        shown.sort_unstable_by_key(|shown| shown.host);
        shown
    }

    /// Keeps what a host showed; most hosts show the same again and again.
    fn add(&mut self, host: IpAddr, seen: Seen, value: impl FnOnce() -> String) {
        if self.hosts.len() >= MAX_HOSTS / self.share && !self.hosts.contains_key(&host) {
            self.given_up += 1;
            return;
        }
        let clues = self.hosts.entry(host).or_default();
        if clues.iter().any(|clue| seen.is_like(clue)) {
            return;
        }
        if clues.len() >= MAX_CLUES {
            self.given_up += 1;
            return;
        }
        clues.push(Clue {
            system: System {
                name: seen.system.to_owned(),
                kind: seen.system_kind,
            },
            weight: seen.weight,
            kind: seen.kind,
            value: value(),
            frame: seen.frame,
        });
    }

    fn listens(&mut self, server: Peer, protocol: IpProtocol, listener: Listener) {
        let place = (server.address, protocol, server.port);
        if self.listeners.len() < MAX_LISTENERS / self.share || self.listeners.contains_key(&place)
        {
            self.listeners.entry(place).or_insert(listener);
        } else {
            self.given_up += 1;
        }
    }
}

/// A [`Clue`] before it is kept, without what was seen.
struct Seen<'s> {
    system: &'s str,
    system_kind: SystemKind,
    weight: Weight,
    kind: Field,
    frame: Frame,
}

impl Seen<'_> {
    /// Whether this clue says the same.
    fn is_like(&self, clue: &Clue) -> bool {
        let is_its = clue.kind == self.kind && clue.system.kind == self.system_kind;
        is_its && clue.system.name == self.system
    }
}

fn ground(clue: &Clue) -> Ground {
    Ground {
        kind: EvidenceKind::Said(clue.kind),
        value: clue.value.clone(),
        name: Some(clue.system.name.clone()),
        frame: Some(clue.frame),
    }
}

/// What was said counts before looks. Of what was said, that the host stands in for Windows comes
/// first: Samba says under which system it runs, too. Then that it is another system, since those
/// that are often say that they are Windows, to be served by its clients.
fn best(clues: &[Clue]) -> Option<&Clue> {
    let kind = |clue: &Clue| match clue.system.kind {
        SystemKind::Windows => 1,
        SystemKind::Other => 2,
        SystemKind::StandsIn => 3,
    };
    // An interface alone does not say which of the two it is; whoever says that is believed.
    let tells = |clue: &Clue| clue.kind != RPC;
    let stands_in = clues.iter().any(|clue| !tells(clue));
    let told = (clues
        .iter()
        .filter(|clue| clue.weight == Weight::Said && tells(clue)))
    .filter(|clue| !(stands_in && clue.system.kind == SystemKind::Other))
    .rev()
    .max_by_key(|clue| kind(clue));
    let by_interface = || clues.iter().find(|clue| !tells(clue));
    let of = |weight| clues.iter().find(move |clue| clue.weight == weight);
    let by_looks = || of(Weight::Looks).or_else(|| of(Weight::Glance));
    told.or_else(by_interface).or_else(by_looks)
}

/// Windows starts its packets with 128 hops to live, other systems with 64 or 255 (RFC 1700 asks
/// for 64). What is left of them on the answer to a SYN tells which it was: no path of the Internet
/// has as many hops as lie between these.
fn by_ttl(flow: &EndedFlow, client: Direction) -> Option<(Seen<'static>, u8)> {
    flow.handshake?;
    let ttl = flow.ttl[client.reversed().index()]?;
    let (system, system_kind) = match ttl {
        0..=64 => ("another system than Windows", SystemKind::Other),
        65..=128 => ("Windows", SystemKind::Windows),
        129.. => ("another system than Windows", SystemKind::Other),
    };
    let seen = Seen {
        system,
        system_kind,
        weight: Weight::Looks,
        kind: TTL,
        frame: flow.first_frame,
    };
    Some((seen, ttl))
}

/// The options of answers to a SYN that offers all of them, and who sends them so: Linux puts the
/// fill where it aligns timestamps (`tcp_options_write` in its `net/ipv4/tcp_output.c`), Windows
/// since Vista as p0f's list of fingerprints has it. Others' orders are left alone: FreeBSD's with
/// timestamps is one of Windows', and an answer to a client that offers little looks alike of all.
const STACKS: &[(Option<TcpOptions>, &str, SystemKind)] = {
    use TcpOptions as Kind;
    const LINUX: &[u8] = &[
        Kind::SEGMENT,
        Kind::SELECTIVE,
        Kind::TIMES,
        Kind::FILL,
        Kind::SCALE,
    ];
    const LINUX_WITHOUT_TIMES: &[u8] = &[
        Kind::SEGMENT,
        Kind::FILL,
        Kind::FILL,
        Kind::SELECTIVE,
        Kind::FILL,
        Kind::SCALE,
    ];
    const WINDOWS: &[u8] = &[
        Kind::SEGMENT,
        Kind::FILL,
        Kind::SCALE,
        Kind::FILL,
        Kind::FILL,
        Kind::SELECTIVE,
    ];
    &[
        (Kind::of(LINUX), "Linux", SystemKind::Other),
        (Kind::of(LINUX_WITHOUT_TIMES), "Linux", SystemKind::Other),
        (Kind::of(WINDOWS), "Windows", SystemKind::Windows),
    ]
};

/// What the order of the options of the first answer looks like.
fn by_options(flow: &EndedFlow, client: Direction) -> Option<(Seen<'static>, TcpOptions)> {
    // Only a connection whose opening says who opened it: the other side has answered.
    let answer = flow.answer.filter(|_| flow.client == Some(client))?;
    let stack = STACKS.iter().find(|(options, ..)| *options == Some(answer));
    let (_, system, system_kind) = *stack?;
    let seen = Seen {
        system,
        system_kind,
        weight: Weight::Glance,
        kind: OPTIONS,
        frame: flow.first_frame,
    };
    Some((seen, answer))
}

#[cfg(test)]
mod tests;
