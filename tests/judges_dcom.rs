//! The program against tshark, frame by frame: the string bindings of DCOM, over captures of real
//! networks and of other projects' tests. They are not part of the project: `WIRETAG_SHARED` names
//! the folder that holds them under `captures/`.
//!
//! A binding with a port is an endpoint that was learnt from that very frame; a binding to a host
//! alone, where the object resolver tells how it is reached, is one of that host's names.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use common::judge::{self, Pair, pair, pair_of};

/// What a binding tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    /// `192.0.2.1:49670/tcp`: the port of an object exporter.
    Port(String),
    /// A name or an address of the object resolver's host.
    Host(String),
}

impl Binding {
    /// `HOST[PORT]`, at the teller where the host is a name. `None` for a pipe, whose flow is no
    /// other than that of the session that carries it.
    fn port(text: &str, teller: IpAddr) -> Option<Binding> {
        let (host, port) = text.strip_suffix(']')?.split_once('[')?;
        let port: u16 = port.parse().ok()?;
        let at = (host.parse().unwrap_or(teller), port);
        Some(Binding::Port(format!("{}/tcp", SocketAddr::from(at))))
    }
}

/// Bindings by flow, each with the frame that tells it first.
type Said = BTreeMap<(Pair, Binding), u64>;

/// A capture in which both differ, with good reason.
struct Excuse {
    /// The end of its path.
    capture: &'static str,
    /// What the program finds and tshark does not.
    more: usize,
    /// Why.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

const EXCUSED: &[Excuse] = &[Excuse {
    capture: "attack/Lateral_Movement_LM_dcom_mmc20.application_dcerpc.pcapng",
    more: 1,
    reason: "the BIND was before the capture: tshark does not take the call for an activation",
}];

/// What is asked of each packet, in the order of its columns.
const FIELDS: &[&str] = &[
    "frame.number",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "_ws.col.Protocol",
    "dcerpc.opnum",
    "dcom.dualstringarray.network_addr",
];

/// `IObjectExporter::ServerAlive2` as tshark has it: only its answer tells how the resolver itself
/// is reached, the others repeat that beside each object.
const ALIVE: (&str, &str) = ("IOXIDResolver", "5");

fn tshark(capture: &Path) -> Said {
    let options = ["-Y", FIELDS[FIELDS.len() - 1], "-E", "aggregator=|"];
    let mut said = Said::new();
    judge::packets(capture, &options, FIELDS, |columns| {
        packet(columns, &mut said);
    });
    said
}

fn packet(columns: [&str; FIELDS.len()], said: &mut Said) -> Option<()> {
    let [
        frame,
        from,
        from6,
        to,
        to6,
        from_port,
        to_port,
        protocol,
        opnum,
        bindings,
    ] = columns;
    let frame = frame.parse().ok()?;
    let teller: IpAddr = last([from, from6])?;
    let from = (teller, last([from_port])?);
    let pair = pair("tcp", from, (last([to, to6])?, last([to_port])?));
    for text in bindings.split('|').filter(|text| !text.is_empty()) {
        let binding = match text.contains('[') {
            true => Binding::port(text, teller),
            false => ((protocol, opnum) == ALIVE).then(|| Binding::Host(text.to_owned())),
        };
        if let Some(binding) = binding {
            said.entry((pair.clone(), binding)).or_insert(frame);
        }
    }
    Some(())
}

/// The innermost header's value, in the first column that has any.
fn last<T: std::str::FromStr, const N: usize>(columns: [&str; N]) -> Option<T> {
    let value = columns.into_iter().find(|column| !column.is_empty())?;
    value.rsplit('|').next()?.parse().ok()
}

fn wiretag(capture: &Path) -> Said {
    let mut said = Said::new();
    for row in common::label([capture]).rows() {
        let Some(pair) = pair_of(&row) else {
            continue;
        };
        for evidence in row["evidence"].as_array().expect("it is a list") {
            let value = evidence["value"].as_str().expect("it is text").to_owned();
            // A flow to such a port quotes it without its address, or by what listens there.
            let binding = match evidence["kind"].as_str() {
                Some("object-exporter") if is_place(&value) => Binding::Port(value),
                Some("endpoint-claim") if row["application"] == "RPC" && is_place(&value) => {
                    Binding::Port(value)
                }
                Some("dcom-host") => Binding::Host(value),
                _ => continue,
            };
            let frame = evidence["frame"].as_u64().expect("it is a number");
            said.insert((pair.clone(), binding), frame);
        }
    }
    said
}

/// `192.0.2.1:49670/tcp`
fn is_place(value: &str) -> bool {
    let place = value.rsplit_once('/').map(|(place, _)| place);
    place.is_some_and(|place| place.parse::<SocketAddr>().is_ok())
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn string_bindings_are_learnt_from_the_frames_in_which_tshark_finds_them() {
    let captures = judge::captures();
    let read = judge::of_each(&captures, |capture| (wiretag(capture), tshark(capture)));
    let (mut ports, mut hosts) = ([0; 3], [0; 3]);
    let mut faults = String::new();
    for (capture, (mine, theirs)) in captures.iter().zip(&read) {
        let all: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        let mut more = Vec::new();
        for told in all {
            let count = match told.1 {
                Binding::Port(_) => &mut ports,
                Binding::Host(_) => &mut hosts,
            };
            match (mine.get(told), theirs.get(told)) {
                (Some(mine), Some(theirs)) if mine == theirs => count[0] += 1,
                (Some(_), None) => {
                    count[2] += 1;
                    more.push(told);
                }
                (mine, theirs) => {
                    count[1] += 1;
                    let capture = capture.display();
                    faults += &format!("{capture}: {told:?} in {theirs:?}, here {mine:?}\n");
                }
            }
        }
        let excuse = EXCUSED.iter().find(|one| capture.ends_with(one.capture));
        if more.len() != excuse.map_or(0, |one| one.more) {
            faults += &format!("{}: not tshark's: {more:?}\n", capture.display());
        }
    }
    for (what, [found, missed, wrong]) in [("ports", ports), ("hosts", hosts)] {
        println!("{what}: {found} found, {missed} missed, {wrong} false");
        assert!(found > 2, "are {what} read at all?");
    }
    assert!(faults.is_empty(), "\n{faults}");
}
