//! The program against tshark, flow by flow: which ports DCOM, FTP and TFTP agree on, and which
//! flows go there, over captures of real networks and of other projects' tests. They are not part of
//! the project: `WIRETAG_SHARED` names the folder that holds them under `captures/`.
//!
//! tshark says which string bindings, data ports and transfers a flow tells. A flow that goes to one
//! of them later has to be labelled by it, or by its content.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use common::judge::{self, Pair, pair, pair_of};
use serde_json::Value as Json;

/// What tells where other flows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A string binding of an object exporter, or of the object resolver's answer.
    Dcom,
    /// A data port of FTP.
    Ftp,
    /// The port that asks for a file by TFTP: the answer comes from another than was asked.
    Tftp,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Dcom, Kind::Ftp, Kind::Tftp];

    /// The kind of the evidence.
    fn evidence(self) -> &'static str {
        match self {
            Kind::Dcom => "object-exporter",
            Kind::Ftp => "ftp-data",
            Kind::Tftp => "tftp-transfer",
        }
    }

    fn transport(self) -> &'static str {
        match self {
            Kind::Dcom | Kind::Ftp => "tcp",
            Kind::Tftp => "udp",
        }
    }

    /// Whether only the two hosts of the flow that told of a port go there.
    fn is_between_two(self) -> bool {
        self != Kind::Dcom
    }
}

/// Where both differ, with good reason.
struct Excuse {
    /// The end of the capture's path.
    capture: &'static str,
    kind: Kind,
    /// What tshark finds and the program does not, at most.
    missed: usize,
    /// What the program finds and tshark does not, at most.
    more: usize,
    /// Why.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

const EXCUSED_TOLD: &[Excuse] = &[
    Excuse {
        capture: MID_CONNECTION,
        kind: Kind::Dcom,
        missed: 0,
        more: 1,
        reason: "the BIND was before the capture: tshark does not take the call for an activation",
    },
    Excuse {
        capture: "ndpi/tftp.pcap",
        kind: Kind::Tftp,
        missed: 1,
        more: 0,
        reason: "a request for a file without a name, in a mode that is none",
    },
];

const EXCUSED_REACHED: &[Excuse] = &[Excuse {
    capture: MID_CONNECTION,
    kind: Kind::Dcom,
    missed: 0,
    more: 1,
    reason: "the port that is told of there",
}];

const MID_CONNECTION: &str = "attack/Lateral_Movement_LM_dcom_mmc20.application_dcerpc.pcapng";

/// What is asked of each packet, in the order of its columns.
const FIELDS: &[&str] = &[
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
    "dcom.dualstringarray.network_addr",
    "ftp.passive.ip",
    "ftp.passive.port",
    "ftp.active.cip",
    "ftp.active.port",
    "ftp.eprt.ip",
    "ftp.eprt.ipv6",
    "ftp.eprt.port",
    "ftp.epsv.port",
    "tftp.opcode",
];

/// What has to be told to tshark, which knows FTP by its port alone.
const ODD_FTP: &str = "tcp.port==4131,ftp";

/// The opcodes of TFTP that ask for a transfer (RFC 1350 5).
const ASKS: [&str; 2] = ["1", "2"];

/// A flow and the endpoints that it tells.
type Told = BTreeMap<(Kind, Pair), BTreeSet<SocketAddr>>;

/// What one of both says of a capture.
#[derive(Default)]
struct Said {
    told: Told,
    /// Flows that go where another told that they would.
    reached: BTreeSet<(Kind, Pair)>,
    /// Flows whose own content says what they are, wherever they go.
    known: BTreeSet<Pair>,
}

/// A packet's sender and receiver.
#[derive(Clone, Copy)]
struct Way {
    from: SocketAddr,
    to: SocketAddr,
}

fn tshark(capture: &Path) -> Said {
    let options = ["-d", ODD_FTP, "-E", "aggregator=|"];
    let mut said = Said::default();
    judge::packets(capture, &options, FIELDS, |columns| {
        packet(columns, &mut said);
    });
    said
}

fn packet(columns: [&str; FIELDS.len()], said: &mut Said) -> Option<()> {
    let [
        from,
        from6,
        to,
        to6,
        tcp_from,
        udp_from,
        tcp_to,
        udp_to,
        bindings,
        passive,
        passive_port,
        active,
        active_port,
        eprt,
        eprt6,
        eprt_port,
        epsv_port,
        asks,
    ] = columns;
    let transport = if tcp_from.is_empty() { "udp" } else { "tcp" };
    let way = Way {
        from: SocketAddr::new(last([from, from6])?, last([tcp_from, udp_from])?),
        to: SocketAddr::new(last([to, to6])?, last([tcp_to, udp_to])?),
    };
    let pair = pair_between(transport, way.from, way.to);
    let mut tell = |kind: Kind, at: SocketAddr| {
        let told = said.told.entry((kind, pair.clone())).or_default();
        told.insert(at);
    };
    for binding in all(bindings) {
        if let Some(at) = string_binding(binding, way.from.ip()) {
            tell(Kind::Dcom, at);
        }
    }
    for (addresses, port) in [
        ([passive, ""], passive_port),
        ([active, ""], active_port),
        ([eprt, eprt6], eprt_port),
        (["", ""], epsv_port),
    ] {
        if let Some(port) = last([port]) {
            let address = last(addresses).unwrap_or(way.from.ip());
            tell(Kind::Ftp, SocketAddr::new(address, port));
        }
    }
    if all(asks).any(|opcode| ASKS.contains(&opcode)) {
        tell(Kind::Tftp, way.from);
    }
    for kind in Kind::ALL {
        if kind.transport() == transport && goes_there(kind, way, &pair, &said.told) {
            said.reached.insert((kind, pair.clone()));
        }
    }
    Some(())
}

/// Whether a packet goes to or comes from where another flow told that it would.
fn goes_there(kind: Kind, way: Way, pair: &Pair, told: &Told) -> bool {
    let hosts = |pair: &Pair| {
        let (one, other) = (pair.1.0, pair.2.0);
        BTreeSet::from([one, other])
    };
    (told.iter()).any(|((told_kind, teller), places)| {
        let is_here = places.contains(&way.from) || places.contains(&way.to);
        let may_be = !kind.is_between_two() || hosts(teller) == hosts(pair);
        *told_kind == kind && teller != pair && is_here && may_be
    })
}

/// `HOST[PORT]`; the host that tells it, where it gives a name and no address. Other bindings are
/// those of the object resolver, whose port everyone knows, or pipes.
fn string_binding(text: &str, teller: IpAddr) -> Option<SocketAddr> {
    let (host, port) = text.strip_suffix(']')?.split_once('[')?;
    Some(SocketAddr::new(
        host.parse().unwrap_or(teller),
        port.parse().ok()?,
    ))
}

/// What the rows of a capture tell.
fn wiretag(capture: &Path) -> Said {
    let mut said = Said::default();
    for row in common::label([capture]).rows() {
        let Some(pair) = pair_of(&row) else {
            continue;
        };
        let own = judge::side(&row, "client").map(SocketAddr::from);
        for kind in Kind::ALL {
            let mut led = false;
            for evidence in row["evidence"].as_array().expect("it is a list") {
                let text = |name: &str| evidence[name].as_str().unwrap_or_default();
                // Said of another host's port it is only a claim.
                let is_said = text("kind") == "endpoint-claim" && speaks(&row, kind);
                if text("kind") != kind.evidence() && !is_said {
                    continue;
                }
                match place(text("value")) {
                    // Without a word the client's own port serves for data: nobody told of it.
                    Some(at) if kind == Kind::Ftp && Some(at) == own && speaks(&row, kind) => {}
                    Some(at) if speaks(&row, kind) => {
                        let told = said.told.entry((kind, pair.clone())).or_default();
                        told.insert(at);
                    }
                    _ => led = true,
                }
            }
            if led && (row["basis"] == "endpoint" || row["basis"] == "content") {
                said.reached.insert((kind, pair.clone()));
            }
        }
        if row["basis"] == "content" {
            said.known.insert(pair);
        }
    }
    said
}

/// Whether a row is of a flow that may tell of ports in this way.
fn speaks(row: &Json, kind: Kind) -> bool {
    match kind {
        Kind::Dcom => row["server_port"] == 135,
        Kind::Ftp => row["application"] == "FTP control",
        Kind::Tftp => row["server_port"] == 69,
    }
}

/// `192.0.2.1:4131/tcp`
fn place(value: &str) -> Option<SocketAddr> {
    value.rsplit_once('/')?.0.parse().ok()
}

fn pair_between(transport: &str, one: SocketAddr, other: SocketAddr) -> Pair {
    let side = |at: SocketAddr| (at.ip(), at.port());
    pair(transport, side(one), side(other))
}

fn all(column: &str) -> impl Iterator<Item = &str> {
    column.split('|').filter(|value| !value.is_empty())
}

/// The innermost header's value, in the first column that has any.
fn last<T: std::str::FromStr, const N: usize>(columns: [&str; N]) -> Option<T> {
    let value = columns.into_iter().find_map(|column| all(column).last());
    value?.parse().ok()
}

/// Found at least, told and reached: fewer, and the comparison itself is broken.
const LEAST: [(Kind, usize); 3] = [(Kind::Dcom, 4), (Kind::Ftp, 44), (Kind::Tftp, 14)];

/// Counts what both found, and says what only one did beyond what is excused.
fn compare<T: Ord + std::fmt::Debug>(
    capture: &Path,
    kind: Kind,
    [mine, theirs]: [&BTreeSet<T>; 2],
    excused: &[Excuse],
    count: &mut [usize; 3],
) -> String {
    let mut excuses = excused.iter();
    let excuse = excuses.find(|one| capture.ends_with(one.capture) && one.kind == kind);
    let (missed, more) = excuse.map_or((0, 0), |one| (one.missed, one.more));
    count[0] += mine.intersection(theirs).count();
    let mut faults = String::new();
    for (at, what, allowed, only) in [
        (1, "missed", missed, theirs.difference(mine)),
        (2, "false", more, mine.difference(theirs)),
    ] {
        let only: Vec<_> = only.collect();
        count[at] += only.len();
        if only.len() > allowed {
            let capture = capture.display();
            faults += &format!("{capture}: {kind:?} {what}, {allowed} excused:\n");
            only.iter()
                .for_each(|one| faults += &format!("    {one:?}\n"));
        }
    }
    faults
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn ports_that_flows_agree_on_and_the_flows_to_them_are_those_that_tshark_finds() {
    let captures = judge::captures();
    let read = judge::of_each(&captures, |capture| (wiretag(capture), tshark(capture)));
    let mut faults = String::new();
    let mut counts: BTreeMap<(Kind, &str), [usize; 3]> = BTreeMap::new();
    for (capture, (mine, theirs)) in captures.iter().zip(&read) {
        for kind in Kind::ALL {
            let told = |said: &Said| -> BTreeSet<(Pair, SocketAddr)> {
                let told = said.told.iter().filter(|((of, _), _)| *of == kind);
                told.flat_map(|((_, pair), places)| places.iter().map(|at| (pair.clone(), *at)))
                    .collect()
            };
            let reached = |said: &Said| -> BTreeSet<Pair> {
                let reached = said.reached.iter().filter(|(of, _)| *of == kind);
                reached.map(|(_, pair)| pair.clone()).collect()
            };
            let count = counts.entry((kind, "told")).or_default();
            let both = [&told(mine), &told(theirs)];
            faults += &compare(capture, kind, both, EXCUSED_TOLD, count);
            let count = counts.entry((kind, "reached")).or_default();
            let theirs = reached(theirs);
            let mut mine_reached = reached(mine);
            mine_reached.extend(mine.known.intersection(&theirs).cloned());
            let both = [&mine_reached, &theirs];
            faults += &compare(capture, kind, both, EXCUSED_REACHED, count);
        }
    }
    for ((kind, what), [found, missed, wrong]) in &counts {
        println!("{kind:?} {what}: {found} found, {missed} missed, {wrong} false");
        let least = LEAST
            .iter()
            .find(|(of, ..)| of == kind)
            .expect("each kind is there");
        assert!(*found >= least.1, "are {kind:?} {what} read at all?");
    }
    assert!(faults.is_empty(), "\n{faults}");
}
