//! The program against tshark, flow by flow, over captures of real networks and of other
//! projects' tests. They are not part of the project: `WIRETAG_SHARED` names the folder that holds
//! them under `captures/`.
//!
//! tshark reads each capture once: its conversations count the packets of each five-tuple, its
//! fields say which RPC interfaces a packet bound and which ports an endpoint mapper named.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::Run;
use common::judge::{self, Pair, all, captures, innermost, pair, pair_of, side};
use serde_json::Value as Json;

/// A capture in which some flows differ from what tshark says, with good reason.
struct Excuse {
    /// The end of its path.
    capture: &'static str,
    /// How many flows differ: no more and no less are excused.
    flows: usize,
    /// Why.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

/// Where the packets of a five-tuple may differ.
const EXCUSED_PACKETS: &[Excuse] = &[Excuse {
    capture: "ndpi/fuzz-2006-06-26-2594.pcap",
    flows: 1,
    reason: "a first fragment whose others are not in the capture: here it is counted",
}];

/// Where the RPC interfaces of a five-tuple may differ.
const EXCUSED_INTERFACES: &[Excuse] = &[Excuse {
    capture: "arkime/dcerpc_synthetic.pcap",
    flows: 6,
    reason: "RPC on port 445 without SMB around it: tshark takes the port for SMB's alone",
}];

/// Somewhere to listen.
type Place = (String, IpAddr, u16);

/// A capture, judged by both.
struct Judged {
    path: PathBuf,
    run: Run,
    rows: Vec<Json>,
    tshark: Tshark,
}

/// What tshark says of a capture.
#[derive(Default)]
struct Tshark {
    frames: u64,
    packets: BTreeMap<Pair, u64>,
    interfaces: BTreeMap<Pair, BTreeSet<String>>,
    mapped: BTreeSet<Place>,
}

/// What is asked of each packet, in the order of its columns.
const FIELDS: &[&str] = &[
    "frame.number",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
    "dcerpc.pkt_type",
    "dcerpc.cn_bind_to_uuid",
    "dcerpc.dg_if_id",
    "epm.proto.tcp_port",
    "epm.proto.udp_port",
];

/// `dcerpc.pkt_type` of a response: only that names ports, a request repeats what is asked for.
const RESPONSE: &str = "2";

impl Tshark {
    fn reads(capture: &Path) -> Tshark {
        let options = ["-E", "aggregator=,", "-z", "conv,tcp", "-z", "conv,udp"];
        let text = judge::tshark(capture, &options, FIELDS);
        let mut tshark = Tshark::default();
        let mut protocol = "";
        for line in text.lines() {
            protocol = match line {
                "TCP Conversations" => "tcp",
                "UDP Conversations" => "udp",
                _ => protocol,
            };
            // None of a title or a packet without ports, which say nothing that is asked here.
            let _ = match line.contains("<->") {
                true => tshark.conversation(protocol, line),
                false => tshark.packet(line),
            };
        }
        tshark
    }

    /// `10.0.0.1:80 <-> 10.0.0.2:50000  frames bytes unit  frames bytes unit …`
    fn conversation(&mut self, protocol: &str, line: &str) -> Option<()> {
        let words: Vec<_> = line.split_whitespace().collect();
        let pair = pair(protocol, place(words.first()?)?, place(words.get(2)?)?);
        let count = |at: usize| words.get(at)?.parse::<u64>().ok();
        *self.packets.entry(pair).or_default() += count(3)? + count(6)?;
        Some(())
    }

    fn packet(&mut self, line: &str) -> Option<()> {
        let columns: Vec<_> = line.split('\t').collect();
        let [
            frame,
            ip_from,
            ip6_from,
            ip_to,
            ip6_to,
            tcp_from,
            udp_from,
            tcp_to,
            udp_to,
            kind,
            bound,
            called,
            tcp_ports,
            udp_ports,
        ] = columns[..]
        else {
            return None;
        };
        self.frames = frame.parse().ok()?;
        // Of several IP headers, the innermost carries what was bound.
        let (from, to) = match ip_from.is_empty() {
            false => (innermost(ip_from)?, innermost(ip_to)?),
            true => (innermost(ip6_from)?, innermost(ip6_to)?),
        };
        let (protocol, from_port, to_port) = match tcp_from.is_empty() {
            false => ("tcp", innermost(tcp_from)?, innermost(tcp_to)?),
            true => ("udp", innermost(udp_from)?, innermost(udp_to)?),
        };
        let pair = pair(protocol, (from, from_port), (to, to_port));
        let interfaces = all(bound).chain(all(called)).map(str::to_owned);
        let mut interfaces = interfaces.peekable();
        if interfaces.peek().is_some() {
            self.interfaces.entry(pair).or_default().extend(interfaces);
        }
        if all(kind).any(|kind| kind == RESPONSE) {
            for (protocol, ports) in [("tcp", tcp_ports), ("udp", udp_ports)] {
                let ports = all(ports).filter_map(|port| port.parse().ok());
                let places = ports.filter(|port| *port != 0);
                (self.mapped).extend(places.map(|port| (protocol.to_owned(), from, port)));
            }
        }
        Some(())
    }
}

fn place(word: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = word.rsplit_once(':')?;
    Some((address.parse().ok()?, port.parse().ok()?))
}

fn number(row: &Json, name: &str) -> u64 {
    (row[name].as_u64()).unwrap_or_else(|| panic!("{name} is a number: {row}"))
}

fn list<'r>(row: &'r Json, name: &str) -> &'r [Json] {
    (row[name].as_array()).unwrap_or_else(|| panic!("{name} is a list: {row}"))
}

/// Every capture, read once by both for all tests.
fn judged() -> &'static [Judged] {
    static ALL: OnceLock<Vec<Judged>> = OnceLock::new();
    ALL.get_or_init(|| {
        judge::of_each(&captures(), |path| {
            let run = common::label([path]);
            Judged {
                rows: run.rows(),
                tshark: Tshark::reads(path),
                path: path.to_owned(),
                run,
            }
        })
    })
}

/// Fails with every fault that `judge` finds in a capture, unless just so many are excused there.
fn each(excused: &[Excuse], judge: impl Fn(&Judged) -> Vec<String>) {
    let mut report = String::new();
    for judged in judged() {
        let faults = judge(judged);
        let excuse = excused
            .iter()
            .find(|one| judged.path.ends_with(one.capture));
        let excused = excuse.map_or(0, |one| one.flows);
        if faults.len() == excused {
            continue;
        }
        let path = judged.path.display();
        writeln!(report, "{path}: {} faults, {excused} excused", faults.len()).expect("a string");
        for fault in &faults {
            writeln!(report, "    {fault}").expect("a string");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn packets_of_a_five_tuple_are_those_of_tsharks_conversations() {
    each(EXCUSED_PACKETS, |judged| {
        let mut mine: BTreeMap<Pair, u64> = BTreeMap::new();
        for row in &judged.rows {
            let protocol = row["protocol"].as_str();
            if protocol == Some("tcp") || protocol == Some("udp") {
                let pair = pair_of(row).expect("TCP and UDP have ports");
                *mine.entry(pair).or_default() +=
                    number(row, "packets_to_server") + number(row, "packets_to_client");
            }
        }
        let theirs = &judged.tshark.packets;
        let pairs: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        let count = |of: &BTreeMap<Pair, u64>, pair| of.get(pair).copied().unwrap_or(0);
        (pairs.into_iter())
            .map(|pair| (pair, count(&mine, pair), count(theirs, pair)))
            .filter(|(_, mine, theirs)| mine != theirs)
            .map(|(pair, mine, theirs)| format!("{pair:?}: {mine} packets, tshark {theirs}"))
            .collect()
    });
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn rpc_interfaces_of_a_flow_are_those_that_tshark_finds() {
    each(EXCUSED_INTERFACES, |judged| {
        let mut mine: BTreeMap<Pair, BTreeSet<String>> = BTreeMap::new();
        for row in &judged.rows {
            let Some(pair) = pair_of(row) else { continue };
            for evidence in list(row, "evidence") {
                if evidence["kind"] == "rpc-interface" || evidence["kind"] == "rpc-offer" {
                    let value = evidence["value"].as_str().expect("it is text");
                    let uuid = value.split_whitespace().next().expect("it has a UUID");
                    mine.entry(pair.clone())
                        .or_default()
                        .insert(uuid.to_owned());
                }
            }
        }
        let theirs = &judged.tshark.interfaces;
        let pairs: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        let none = BTreeSet::new();
        (pairs.into_iter())
            .map(|pair| {
                let of = |all: &BTreeMap<_, BTreeSet<_>>| all.get(pair).unwrap_or(&none).clone();
                (pair, of(&mine), of(theirs))
            })
            .filter(|(_, mine, theirs)| mine != theirs)
            .map(|(pair, mine, theirs)| {
                let missing: Vec<_> = theirs.difference(&mine).collect();
                let extra: Vec<_> = mine.difference(&theirs).collect();
                format!("{pair:?}: missing {missing:?}, more than tshark {extra:?}")
            })
            .collect()
    });
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn a_flow_to_a_port_that_an_endpoint_mapper_named_is_labelled_by_it_or_by_content() {
    let mut flows = 0;
    for judged in judged() {
        flows += judged
            .rows
            .iter()
            .filter(|row| is_mapped(judged, row, "server"))
            .count();
    }
    assert!(
        flows > 300,
        "only {flows} flows to mapped ports: are the answers read at all?"
    );
    each(&[], |judged| {
        // A flow taken the wrong way round is a fault too: neither side is left out.
        let is_to_mapped =
            |row: &&Json| is_mapped(judged, row, "server") || is_mapped(judged, row, "client");
        (judged.rows.iter().filter(is_to_mapped))
            .filter(|row| row["basis"] != "content" && row["basis"] != "endpoint")
            .map(|row| format!("{}: {}", shown(row), row["basis"]))
            .collect()
    });
}

fn is_mapped(judged: &Judged, row: &Json, which: &str) -> bool {
    let protocol = row["protocol"].as_str().expect("it is text").to_owned();
    side(row, which)
        .is_some_and(|(address, port)| judged.tshark.mapped.contains(&(protocol, address, port)))
}

/// A flow as a person names it.
fn shown(row: &Json) -> String {
    let [client, server] = ["client", "server"].map(|name| row[name].as_str().unwrap_or("?"));
    format!(
        "{} {client}:{} -> {server}:{} (frame {})",
        row["protocol"], row["client_port"], row["server_port"], row["first_frame"]
    )
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn every_capture_ends_with_exit_code_0_or_1_and_every_record_is_accounted_for() {
    each(&[], |judged| {
        let mut faults = Vec::new();
        let stats = judged.run.stats();
        let undecoded = stats["undecoded"].as_object().expect("it is an object");
        let undecoded: u64 = undecoded.values().filter_map(Json::as_u64).sum();
        let captured = number(&stats, "captured");
        match judged.run.code {
            Some(0) if captured == judged.tshark.frames => {}
            Some(1) if number(&stats, "damaged") > 0 && captured <= judged.tshark.frames => {}
            code => faults.push(format!(
                "exit code {code:?}, {captured} frames, tshark {}: {}",
                judged.tshark.frames, judged.run.stderr
            )),
        }
        if captured != number(&stats, "labelled") + undecoded + number(&stats, "filtered") {
            faults.push(format!("the counts do not add up: {stats}"));
        }
        if number(&stats, "flows") != judged.rows.len() as u64 {
            faults.push(format!("{} rows: {stats}", judged.rows.len()));
        }
        faults
    });
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn exchanges_mapped_port_is_exchanges_with_and_without_a_bind() {
    let judged = (judged().iter())
        .find(|one| one.path.ends_with("zeek/dce-rpc_mapi.pcap"))
        .expect("it is among the captures");
    let is_to_exchange = |row: &&Json| row["server"] == "192.168.0.2" && row["server_port"] == 1032;
    let flows: Vec<_> = judged.rows.iter().filter(is_to_exchange).collect();
    assert_eq!(flows.len(), 5);
    for flow in flows {
        assert_eq!(flow["service"], "Exchange", "{flow}");
        match flow["basis"].as_str() {
            Some("content") => {}
            Some("endpoint") => {
                let is_answer = |evidence: &Json| {
                    evidence["kind"] == "endpoint-map" && evidence["frame"] == 705
                };
                assert!(list(flow, "evidence").iter().any(is_answer), "{flow}");
            }
            _ => panic!("neither by content nor by endpoint: {flow}"),
        }
    }
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn a_row_does_not_contradict_itself() {
    each(&[], |judged| {
        let mut faults = Vec::new();
        for (at, row) in judged.rows.iter().enumerate() {
            let contradictions = contradictions(row, at as u64 + 1, judged.tshark.frames);
            faults.extend(
                contradictions
                    .into_iter()
                    .map(|what| format!("{}: {what}", shown(row))),
            );
        }
        faults
    });
}

fn contradictions(row: &Json, id: u64, frames: u64) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{what}: {row}"));
        }
    };
    let (service, basis) = (&row["service"], &row["basis"]);
    let services = list(row, "services");
    expect(row["flow_id"] == id, "flow_id is the row's place");
    expect(
        row["service_name"].is_null() == service.is_null(),
        "a service has its name",
    );
    expect(
        basis != "none" || service.is_null(),
        "no ground, no service",
    );
    expect(
        service.is_null()
            || services
                .first()
                .is_some_and(|first| first["service"] == *service),
        "the service comes first among the services",
    );
    let is_direct = |reached: &Json| {
        reached["basis"] == "content" && !reached["service"].is_null() && reached["via"].is_null()
    };
    expect(
        !service.is_null() || !services.iter().any(is_direct),
        "a service that the content names is the flow's",
    );
    expect(
        service.is_null()
            || list(row, "candidates")
                .iter()
                .all(|one| one["service"] != *service),
        "the service is no candidate",
    );
    expect(
        basis == "none" || !list(row, "evidence").is_empty(),
        "a ground has evidence",
    );
    for evidence in list(row, "evidence") {
        let frame = evidence["frame"].as_u64();
        expect(
            frame.is_none_or(|frame| (1..=frames).contains(&frame)),
            "evidence has a frame",
        );
    }
    expect(
        (1..=frames).contains(&number(row, "first_frame")),
        "the first frame is a frame",
    );
    expect(
        row["start"].as_str() <= row["end"].as_str(),
        "the end comes after the start",
    );
    let packets = number(row, "packets_to_server") + number(row, "packets_to_client");
    let bytes = number(row, "bytes_to_server") + number(row, "bytes_to_client");
    expect(
        packets > 0 && bytes >= packets,
        "a flow has packets, and these have bytes",
    );
    let has_ports = ["tcp", "udp", "sctp", "132", "33", "136"];
    expect(
        row["client_port"].is_number() == row["server_port"].is_number(),
        "either both sides have ports or neither",
    );
    expect(
        row["client_port"].is_null() || has_ports.contains(&row["protocol"].as_str().unwrap_or("")),
        "protocols without ports have none",
    );
    found
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn all_captures_as_one_stream_are_the_same_with_any_number_of_workers() {
    let captures = captures();
    let stream = |workers: &str| {
        let fixed = [
            "label",
            "--by",
            "flow",
            "--format",
            "ndjson",
            "--workers",
            workers,
        ];
        let mut arguments: Vec<_> = fixed.iter().map(PathBuf::from).collect();
        arguments.extend(captures.iter().cloned());
        common::run(arguments)
    };
    let one = stream("1");
    assert!(matches!(one.code, Some(0 | 1)), "{}", one.stderr);
    for workers in ["2", "3", "8"] {
        let several = stream(workers);
        assert_eq!(several.code, one.code);
        assert!(
            several.stdout == one.stdout,
            "not the same with {workers} workers"
        );
        assert_eq!(several.stderr, one.stderr);
    }
}
