//! The protocol of every flow against tshark's and nDPI's, over the captures of real networks and of
//! other projects' tests. They are not part of the project: `WIRETAG_SHARED` names the folder that
//! holds them under `captures/`.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::judge::{self, Pair, innermost, pair, pair_of};
use serde_json::Value as Json;
use tempfile::TempDir;

/// tshark's name of a protocol, and ours: the name of its evidence, of which any will do.
const KNOWN: &[(&str, &[&str])] = &[
    ("bittorrent", &["bittorrent"]),
    ("chargen", &["chargen"]),
    ("cldap", &["ldap"]),
    ("daytime", &["daytime"]),
    ("dcerpc", &["rpc", "rpc-datagram", "rpc-http"]),
    ("dhcp", &["dhcp"]),
    ("dhcpv6", &["dhcp6"]),
    ("dns", &["dns"]),
    ("dtls", &["dtls"]),
    ("echo", &["echo"]),
    ("ftp", &["ftp"]),
    ("ftp-data", &["ftp-data"]),
    ("gquic", &["quic"]),
    ("http", &["http", "rpc-http"]),
    ("imap", &["imap"]),
    // tshark calls the keys on port 4500 so, and what they protect UDPENCAP.
    ("isakmp", &["isakmp", "nat-t"]),
    ("kerberos", &["kerberos"]),
    ("kpasswd", &["kpasswd"]),
    ("l2tp", &["l2tp"]),
    ("ldap", &["ldap"]),
    ("llmnr", &["llmnr"]),
    ("lpd", &["lpd"]),
    ("mdns", &["mdns"]),
    ("nbdgm", &["netbios-datagram"]),
    ("nbns", &["netbios-name"]),
    ("nbss", &["netbios-session", "smb"]),
    ("nntp", &["nntp"]),
    ("ntp", &["ntp"]),
    ("pop", &["pop3"]),
    ("pptp", &["pptp"]),
    ("quic", &["quic"]),
    ("radius", &["radius"]),
    ("rdp", &["rdp"]),
    ("rdpudp", &["rdp-udp"]),
    ("rtsp", &["rtsp"]),
    ("sip", &["sip"]),
    ("smb", &["smb", "netbios-session"]),
    ("smb2", &["smb", "netbios-session"]),
    ("smtp", &["smtp"]),
    ("snmp", &["snmp"]),
    ("ssdp", &["ssdp"]),
    ("ssh", &["ssh"]),
    ("stun", &["stun"]),
    ("tds", &["tds"]),
    ("telnet", &["telnet"]),
    ("tftp", &["tftp", "tftp-transfer"]),
    ("tls", &["tls"]),
    ("winsrepl", &["wins-replication"]),
];

/// Evidence that a negotiation of another flow made: it names a protocol as what is spoken does.
const AGREED: &[&str] = &["ftp-data", "tftp-transfer"];

/// A capture in which tshark and the program differ over a protocol, with good reason.
struct Excuse {
    /// The end of its path.
    capture: &'static str,
    /// tshark's name.
    protocol: &'static str,
    /// Flows that tshark calls so and the program does not: no more and no less are excused.
    missed: usize,
    /// Flows that the program calls so and tshark does not.
    more: usize,
    /// Why.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

const EXCUSED: &[Excuse] = &[
    Excuse {
        capture: "arkime/arkime_synthetic.pcap",
        protocol: "cldap",
        missed: 0,
        more: 1,
        reason: "a bind whose last byte is not there",
    },
    Excuse {
        capture: "arkime/arkime_synthetic.pcap",
        protocol: "dns",
        missed: 1,
        more: 0,
        reason: "headers of zeros and a name that does not end",
    },
    Excuse {
        capture: "arkime/arkime_synthetic.pcap",
        protocol: "http",
        missed: 0,
        more: 1,
        reason: "HTTP 2 in clear on port 443, which tshark keeps for TLS",
    },
    Excuse {
        capture: "arkime/arkime_synthetic.pcap",
        protocol: "kerberos",
        missed: 1,
        more: 0,
        reason: "the packet ends before what makes it Kerberos",
    },
    Excuse {
        capture: "arkime/arkime_synthetic.pcap",
        protocol: "radius",
        missed: 2,
        more: 0,
        reason: "attributes that do not add up to the packet's length",
    },
    Excuse {
        capture: "arkime/dcerpc_synthetic.pcap",
        protocol: "dcerpc",
        missed: 0,
        more: 6,
        reason: "RPC on port 445 without SMB around it: tshark takes the port for SMB's alone",
    },
    Excuse {
        capture: "arkime/snmpv3_synthetic.pcap",
        protocol: "snmp",
        missed: 2,
        more: 0,
        reason: "version 2 is none that was ever used: 0, 1 and 3 are",
    },
    Excuse {
        capture: "lab/ftp_4131_active.pcap",
        protocol: "ftp",
        missed: 0,
        more: 2,
        reason: "FTP on a port of its own, which tshark does not look for",
    },
    Excuse {
        capture: "lab/ftp_4131_active.pcap",
        protocol: "ftp-data",
        missed: 0,
        more: 2,
        reason: "agreed on there",
    },
    Excuse {
        capture: "ndpi/anyconnect-vpn.pcap",
        protocol: "ssdp",
        missed: 0,
        more: 5,
        reason: "answers to a search, to the port that asked: tshark reads port 1900 alone",
    },
    Excuse {
        capture: "ndpi/anyconnect-vpn.pcap",
        protocol: "tls",
        missed: 1,
        more: 2,
        reason: "the middle of a connection by its port; TLS on ports that tshark does not know",
    },
    Excuse {
        capture: "ndpi/custom_categories.pcapng",
        protocol: "ssh",
        missed: 0,
        more: 1,
        reason: "SSH on a port that tshark does not know",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        protocol: "dns",
        missed: 30,
        more: 1,
        reason: "bytes were flipped: broken questions, and a good one at a port where tshark looks for none",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        protocol: "ftp",
        missed: 9,
        more: 0,
        reason: "each a single segment that the flipping of its addresses tore from its flow",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        protocol: "nbdgm",
        missed: 3,
        more: 0,
        reason: "bytes were flipped",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        protocol: "nbns",
        missed: 13,
        more: 0,
        reason: "bytes were flipped",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        protocol: "sip",
        missed: 0,
        more: 1,
        reason: "the port was flipped, by which alone tshark finds it",
    },
    Excuse {
        capture: "ndpi/fuzz-2006-09-29-28586.pcap",
        protocol: "http",
        missed: 0,
        more: 5,
        reason: "requests torn from their rest by flipped addresses: tshark waits for the rest",
    },
    Excuse {
        capture: "ndpi/fuzz-2020-02-16-11740.pcap",
        protocol: "radius",
        missed: 20,
        more: 5,
        reason: "bytes were flipped, those of ports among them",
    },
    Excuse {
        capture: "ndpi/netbios.pcap",
        protocol: "nbss",
        missed: 1,
        more: 0,
        reason: "a keep-alive of TCP: one byte of zero",
    },
    Excuse {
        capture: "ndpi/tftp.pcap",
        protocol: "tftp",
        missed: 1,
        more: 0,
        reason: "a request for a file without a name, in a mode that is none",
    },
    Excuse {
        capture: "lab/simple_tcpip.pcap",
        protocol: "echo",
        missed: 1,
        more: 0,
        reason: "two bytes that come back, which may be the same by chance",
    },
    Excuse {
        capture: "suricata/sip-method_sip.pcap",
        protocol: "ftp-data",
        missed: 0,
        more: 1,
        reason: "agreed on, and closed without a byte of data",
    },
    Excuse {
        capture: "zeek/dce-rpc_mapi.pcap",
        protocol: "dcerpc",
        missed: 0,
        more: 1,
        reason: "calls of a connection whose BIND was not seen: tshark takes them for something malformed",
    },
    Excuse {
        capture: "zeek/ftp_ipv4.pcap",
        protocol: "ftp-data",
        missed: 0,
        more: 2,
        reason: "agreed on by EPRT, which tshark does not follow",
    },
    Excuse {
        capture: "zeek/ftp_ipv6.pcap",
        protocol: "ftp-data",
        missed: 0,
        more: 2,
        reason: "agreed on by EPRT, which tshark does not follow",
    },
    Excuse {
        capture: "zeek/modbus_modbus-and-non-modbus-p502.pcap",
        protocol: "rdp",
        missed: 0,
        more: 1,
        reason: "someone tries RDP on the port of Modbus",
    },
    Excuse {
        capture: "pcaps/ftp_4131.pcapng",
        protocol: "ftp",
        missed: 0,
        more: 2,
        reason: "FTP on a port of its own, which tshark does not look for",
    },
    Excuse {
        capture: "pcaps/ftp_4131.pcapng",
        protocol: "ftp-data",
        missed: 0,
        more: 2,
        reason: "agreed on there",
    },
];

/// Flows at least in which both find a protocol: fewer, and the comparison itself is broken.
const FOUND: &[(&str, usize)] = &[
    ("chargen", 4),
    ("cldap", 25),
    ("daytime", 4),
    ("dcerpc", 1155),
    ("dhcp", 37),
    ("dhcpv6", 15),
    ("dns", 1062),
    ("dtls", 3),
    ("echo", 3),
    ("ftp", 25),
    ("ftp-data", 35),
    ("http", 93),
    ("imap", 9),
    ("isakmp", 12),
    ("kerberos", 237),
    ("kpasswd", 3),
    ("l2tp", 2),
    ("ldap", 42),
    ("llmnr", 134),
    ("lpd", 3),
    ("mdns", 23),
    ("nbdgm", 21),
    ("nbns", 84),
    ("nbss", 10),
    ("nntp", 6),
    ("ntp", 52),
    ("pop", 9),
    ("pptp", 4),
    ("quic", 10),
    ("radius", 60),
    ("rdp", 14),
    ("rdpudp", 2),
    ("rtsp", 11),
    ("sip", 20),
    ("smb", 136),
    ("smb2", 143),
    ("smtp", 15),
    ("snmp", 32),
    ("ssdp", 16),
    ("ssh", 8),
    ("stun", 1),
    ("tds", 14),
    ("telnet", 7),
    ("tftp", 29),
    ("tls", 77),
    ("winsrepl", 2),
];

/// What is asked of each packet, in the order of its columns.
const FIELDS: &[&str] = &[
    "frame.protocols",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
];

/// The protocols that tshark finds in each flow, in the order in which it does.
fn tshark(capture: &Path) -> BTreeMap<Pair, Vec<&'static str>> {
    let mut found: BTreeMap<Pair, Vec<&str>> = BTreeMap::new();
    for line in judge::tshark(capture, &["-E", "aggregator=,"], FIELDS).lines() {
        let Some((pair, protocol)) = packet(line) else {
            continue;
        };
        let known = found.entry(pair).or_default();
        if !known.contains(&protocol) {
            known.push(protocol);
        }
    }
    found
}

/// The flow of a packet and the first known protocol above its innermost transport.
fn packet(line: &str) -> Option<(Pair, &'static str)> {
    let columns: Vec<_> = line.split('\t').collect();
    let [
        layers,
        from,
        from6,
        to,
        to6,
        tcp_from,
        udp_from,
        tcp_to,
        udp_to,
    ] = columns[..]
    else {
        return None;
    };
    let layers: Vec<&str> = layers.split(':').collect();
    // An ICMP error repeats the beginning of a packet that was sent elsewhere.
    if layers.iter().any(|layer| layer.starts_with("icmp")) {
        return None;
    }
    let transport = layers
        .iter()
        .rposition(|layer| matches!(*layer, "tcp" | "udp"))?;
    let network =
        (layers[..transport].iter()).rposition(|layer| matches!(*layer, "ip" | "ipv6"))?;
    let (from, to) = match layers[network] {
        "ip" => (innermost(from)?, innermost(to)?),
        _ => (innermost(from6)?, innermost(to6)?),
    };
    let (from_port, to_port) = match layers[transport] {
        "tcp" => (innermost(tcp_from)?, innermost(tcp_to)?),
        _ => (innermost(udp_from)?, innermost(udp_to)?),
    };
    let mut above = (layers[transport..].iter())
        .filter_map(|layer| KNOWN.iter().find(|(name, _)| name == layer));
    let first = above.next()?.0;
    let protocol = match (first, above.next()) {
        // The frame around a message, on 445 without a session.
        ("nbss", Some((next, _))) => next,
        ("nbss", None) if from_port == 445 || to_port == 445 => return None,
        _ => first,
    };
    Some((
        pair(layers[transport], (from, from_port), (to, to_port)),
        protocol,
    ))
}

/// What the rows of each five-tuple say is spoken there.
fn spoken(rows: &[Json]) -> BTreeMap<Pair, BTreeSet<String>> {
    let mut spoken: BTreeMap<Pair, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let Some(pair) = pair_of(row) else { continue };
        let known = spoken.entry(pair).or_default();
        for evidence in row["evidence"].as_array().expect("it is a list") {
            let text = |name: &str| evidence[name].as_str().expect("it is text").to_owned();
            let kind = text("kind");
            if kind == "protocol" {
                known.insert(text("value"));
            } else if AGREED.contains(&kind.as_str()) && row["application"] != "FTP control" {
                known.insert(kind);
            }
        }
    }
    spoken
}

/// How often the two agree on a protocol, and where they do not.
#[derive(Default)]
struct Count {
    found: usize,
    missed: Vec<String>,
    more: Vec<String>,
}

/// What comparing a capture gives, by tshark's names.
fn compared(capture: &Path) -> BTreeMap<&'static str, Count> {
    let theirs = tshark(capture);
    let rows = common::label([capture]).rows();
    let mine = spoken(&rows);
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let nothing = (Vec::new(), BTreeSet::new());
    for pair in theirs.keys().chain(mine.keys()).collect::<BTreeSet<_>>() {
        let theirs = theirs.get(pair).unwrap_or(&nothing.0);
        let mine = mine.get(pair).unwrap_or(&nothing.1);
        for name in theirs {
            // TLS after something else was agreed on in it.
            if *name == "tls" && theirs[0] != "tls" {
                continue;
            }
            let ours = ours(name);
            let count = counts.entry(name).or_default();
            match ours.iter().any(|one| mine.contains(*one)) {
                true => count.found += 1,
                false => count.missed.push(format!("{pair:?}: {mine:?}")),
            }
        }
        for name in mine {
            let mut names = KNOWN
                .iter()
                .filter(|(_, ours)| ours.contains(&name.as_str()));
            let agreed = names.clone().any(|(name, _)| theirs.contains(name));
            if let Some((first, _)) = names.next().filter(|_| !agreed) {
                let count = counts.entry(first).or_default();
                count.more.push(format!("{pair:?}: tshark {theirs:?}"));
            }
        }
    }
    counts
}

fn ours(theirs: &str) -> &'static [&'static str] {
    let known = KNOWN.iter().find(|(name, _)| *name == theirs);
    known.expect("it was found there").1
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn the_protocols_of_a_flow_are_those_that_tshark_finds() {
    let captures = judge::captures();
    let counts = judge::of_each(&captures, compared);
    let mut totals: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut faults = String::new();
    for one in EXCUSED {
        let is_its = |(capture, counts): &(&PathBuf, &BTreeMap<_, _>)| {
            capture.ends_with(one.capture) && counts.contains_key(one.protocol)
        };
        if !captures.iter().zip(&counts).any(|both| is_its(&both)) {
            let (capture, name) = (one.capture, one.protocol);
            writeln!(faults, "{capture}: there is no {name}").expect("a string");
        }
    }
    for (capture, counts) in captures.iter().zip(counts) {
        for (name, count) in counts {
            let total = totals.entry(name).or_default();
            total[0] += count.found;
            total[1] += count.missed.len();
            total[2] += count.more.len();
            let mut excuses = EXCUSED.iter();
            let excuse = excuses.find(|one| capture.ends_with(one.capture) && one.protocol == name);
            let allowed = excuse.map_or((0, 0), |one| (one.missed, one.more));
            for (what, flows, allowed) in [
                ("missed", &count.missed, allowed.0),
                ("not tshark's", &count.more, allowed.1),
            ] {
                if flows.len() != allowed {
                    let capture = capture.display();
                    let flows = flows.join("\n    ");
                    writeln!(
                        faults,
                        "{capture}: {name} {what}, {allowed} excused:\n    {flows}"
                    )
                    .expect("a string");
                }
            }
        }
    }
    let mut table = format!(
        "{:<12}{:>7}{:>8}{:>14}\n",
        "protocol", "found", "missed", "not tshark's"
    );
    for (name, [found, missed, more]) in &totals {
        writeln!(table, "{name:<12}{found:>7}{missed:>8}{more:>14}").expect("a string");
    }
    println!("{table}");
    for (name, least) in FOUND {
        let found = totals.get(name).map_or(0, |total| total[0]);
        if found < *least {
            writeln!(faults, "{name}: found in {found} flows, not {least}").expect("a string");
        }
    }
    assert!(faults.is_empty(), "\n{faults}\n{table}");
}

/// What nDPI calls the protocols that Windows' services speak.
const WINDOWS: &[&str] = &[
    "AFP",
    "DCE_RPC",
    "DHCP",
    "DHCPV6",
    "DNS",
    "DTLS",
    "FTP_CONTROL",
    "FTP_DATA",
    "GRE",
    "HTTP",
    "IMAP",
    "IMAPS",
    "IPsec",
    "Kerberos",
    "LDAP",
    "LLMNR",
    "MDNS",
    "MsSQL-TDS",
    "NetBIOS",
    "NFS",
    "NTP",
    "POP3",
    "POPS",
    "PPTP",
    "QUIC",
    "Radius",
    "RDP",
    "RTCP",
    "RTP",
    "RTSP",
    "SMBv1",
    "SMBv23",
    "SMTP",
    "SMTPS",
    "SNMP",
    "SSDP",
    "SSH",
    "Telnet",
    "Teredo",
    "TFTP",
    "TLS",
    "Usenet",
];

/// Flows at most of a capture that nDPI calls so and the program says nothing of, and why.
const SILENT: &[(&str, &str, usize, &str)] = &[
    ("lab/rtsp.pcap", "RTP", 1, "agreed on in RTSP"),
    (
        "ndpi/fuzz-2006-06-26-2594.pcap",
        "RTP",
        14,
        "voice that SIP agreed on",
    ),
    ("ndpi/sip.pcap", "RTCP", 1, "voice that SIP agreed on"),
    ("ndpi/sip.pcap", "RTP", 1, "voice that SIP agreed on"),
    (
        "ndpi/skinny.pcap",
        "RTP",
        5,
        "voice that Cisco's Skinny agreed on",
    ),
    ("pcaps/office.pcapng", "RTP", 1, "agreed on in RTSP"),
    ("pcaps/rtsp.pcapng", "RTP", 1, "agreed on in RTSP"),
    (
        "suricata/bug-3844_input.pcap",
        "HTTP",
        1,
        "five bytes of a request, and a reset",
    ),
    (
        "suricata/sip-method_sip.pcap",
        "RTCP",
        1,
        "voice that SIP agreed on",
    ),
    (
        "suricata/sip-method_sip.pcap",
        "RTP",
        1,
        "voice that SIP agreed on",
    ),
    (
        "zeek/modbus_modbus-and-non-modbus-p502.pcap",
        "NFS",
        1,
        "a scanner on the port of Modbus",
    ),
];

/// The flows of a capture to which nDPI gives a name by their content, not by their port.
fn ndpi(capture: &Path) -> Vec<(Pair, String)> {
    let folder = TempDir::new().expect("there is room");
    let table = folder.path().join("flows.csv");
    let run = Command::new("ndpiReader")
        .args(["-d", "-i"])
        .arg(capture)
        .arg("-C")
        .arg(&table)
        .output();
    run.expect("ndpiReader is on the PATH");
    let table = fs::read(&table).unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let flow = |line: &str| {
        let columns: Vec<_> = line.split(',').collect();
        let [
            _,
            protocol,
            _,
            _,
            _,
            from,
            from_port,
            to,
            to_port,
            _,
            name,
            ..,
        ] = columns[..]
        else {
            return None;
        };
        let protocol = match protocol {
            "6" => "tcp",
            "17" => "udp",
            _ => return None,
        };
        let from = (from.parse().ok()?, from_port.parse().ok()?);
        let to = (to.parse().ok()?, to_port.parse().ok()?);
        Some((pair(protocol, from, to), name.to_owned()))
    };
    table.lines().filter_map(flow).collect()
}

/// Whether these rows say anything of what they are.
fn is_known(rows: &[&Json]) -> bool {
    rows.iter()
        .any(|row| !row["service"].is_null() || !row["application"].is_null())
}

#[test]
#[ignore = "needs the shared captures and ndpiReader"]
fn a_flow_that_ndpi_gives_to_a_windows_protocol_is_not_unknown() {
    let captures = judge::captures();
    let judged = judge::of_each(&captures, |capture| {
        let mut mine: BTreeMap<Pair, Vec<&Json>> = BTreeMap::new();
        let rows = common::label([capture]).rows();
        for row in &rows {
            if let Some(pair) = pair_of(row) {
                mine.entry(pair).or_default().push(row);
            }
        }
        let mut compared = 0;
        let mut silent: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (pair, name) in ndpi(capture) {
            // `DNS.Google`: the protocol, and whose.
            let mut names = name
                .split('.')
                .filter_map(|part| WINDOWS.iter().find(|known| **known == part));
            let (Some(name), Some(rows)) = (names.next(), mine.get(&pair)) else {
                continue;
            };
            compared += 1;
            if !is_known(rows) {
                silent.entry(name).or_default().push(format!("{pair:?}"));
            }
        }
        (compared, silent)
    });
    let compared: usize = judged.iter().map(|(compared, _)| compared).sum();
    assert!(
        compared > 3000,
        "only {compared} flows of both: is the table read at all?"
    );
    let mut faults = String::new();
    for (capture, (_, silent)) in captures.iter().zip(judged) {
        for (name, flows) in silent {
            let mut known = SILENT.iter();
            let known = known.find(|(end, what, ..)| capture.ends_with(end) && *what == name);
            let allowed = known.map_or(0, |(_, _, flows, _)| *flows);
            if flows.len() > allowed {
                let (capture, flows) = (capture.display(), flows.join("\n    "));
                writeln!(faults, "{capture}: {name}, {allowed} excused:\n    {flows}")
                    .expect("a string");
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}
