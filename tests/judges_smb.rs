//! The program against tshark, flow by flow: which pipes were opened, which shares connected and
//! which mailslots written to, over captures of real networks and of other projects' tests. They are not part of the
//! project: `WIRETAG_SHARED` names the folder that holds them under `captures/`.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::judge::{self, Pair, pair, pair_of};
use serde_json::Value as Json;

/// What one of both says of a capture: texts by flow.
type Said = BTreeMap<Pair, BTreeSet<String>>;

/// A text in which both differ, with good reason.
struct Excuse {
    /// The end of the capture's path.
    capture: &'static str,
    /// What one has and the other does not.
    text: &'static str,
    /// Why.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

const EXCUSED: &[Excuse] = &[
    Excuse {
        capture: "ndpi/fuzz-2006-06-26-2594.pcap",
        text: "browse",
        reason: "names that fuzzing damaged: tshark stops there, the mailslot's is whole",
    },
    Excuse {
        capture: "suricata/smb-length-5786_input.pcap",
        text: ":afp_afpinfo",
        reason: "a file: its packet holds messages of another tree, too, which is IPC$",
    },
];

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
    "smb.cmd",
    "smb.flags.response",
    "smb.path",
    "smb.file",
    "smb2.cmd",
    "smb2.flags.response",
    "smb2.tree",
    "smb2.filename",
    "mailslot.name",
];

/// What tshark says: names in requests to open something in `IPC$`, shares in requests to connect
/// them, and mailslots.
#[derive(Default)]
struct Tshark {
    shares: Said,
    pipes: Said,
    /// What was opened in a tree that was connected before the capture: pipes, for all it says.
    perhaps: Said,
    mailslots: Said,
}

impl Tshark {
    fn reads(capture: &Path) -> Tshark {
        let options = ["-Y", "smb || smb2 || mailslot", "-E", "aggregator=|"];
        let mut tshark = Tshark::default();
        judge::packets(capture, &options, FIELDS, |columns| {
            tshark.packet(columns);
        });
        tshark
    }

    fn packet(&mut self, columns: [&str; FIELDS.len()]) {
        let [from, from6, to, to6, tcp_from, udp_from, tcp_to, udp_to, ..] = columns;
        let [.., mailslots] = columns;
        let protocol = if tcp_from.is_empty() { "udp" } else { "tcp" };
        let side = |addresses: [&str; 2], ports: [&str; 2]| {
            Some((last(addresses)?.parse().ok()?, last(ports)?.parse().ok()?))
        };
        let sides =
            side([from, from6], [tcp_from, udp_from]).zip(side([to, to6], [tcp_to, udp_to]));
        let Some((from, to)) = sides else {
            return;
        };
        let pair = pair(protocol, from, to);
        let [
            one,
            one_answers,
            path,
            file,
            two,
            two_answers,
            tree,
            filename,
        ] = std::array::from_fn(|at| columns[8 + at]);
        for (connects, answers, trees) in [
            (
                all(one).any(|commands| commands.contains("0x75")),
                one_answers,
                path,
            ),
            (all(two).any(|command| command == "3"), two_answers, tree),
        ] {
            if connects && is_request(answers) && !trees.is_empty() {
                let shares = self.shares.entry(pair.clone()).or_default();
                shares.extend(all(trees).map(str::to_owned));
            }
        }
        let opens_one = all(one).any(|command| ["0xa2", "0x2d", "0x02"].contains(&command));
        let opens_two = all(two).any(|command| command == "5");
        for (opens, answers, tree, names) in [
            (opens_one, one_answers, path, file),
            (opens_two, two_answers, tree, filename),
        ] {
            let is_pipes = all(tree).any(|tree| tree.to_uppercase().ends_with("IPC$"));
            let said = match is_pipes {
                true => &mut self.pipes,
                false => &mut self.perhaps,
            };
            if opens && is_request(answers) && (is_pipes || tree.is_empty()) {
                let names = all(names).map(plain).filter(|name| !name.is_empty());
                said.entry(pair.clone()).or_default().extend(names);
            }
        }
        let mailslots = all(mailslots).map(|name| name.to_lowercase().replace("\\mailslot\\", ""));
        let mut mailslots = mailslots.peekable();
        if mailslots.peek().is_some() {
            self.mailslots.entry(pair).or_default().extend(mailslots);
        }
    }
}

fn all(column: &str) -> impl Iterator<Item = &str> {
    column.split('|').filter(|value| !value.is_empty())
}

/// Whether the flags of a packet say that it answers nothing.
fn is_request(answers: &str) -> bool {
    all(answers).all(|flag| flag == "0" || flag == "False")
}

/// The innermost header's value, in the first column that has any.
fn last(columns: [&str; 2]) -> Option<&str> {
    columns.into_iter().find_map(|column| all(column).last())
}

/// A pipe's name as the rows have it.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.trim_start_matches('\\');
    name.strip_prefix("pipe\\").unwrap_or(name).to_owned()
}

/// The evidence of these kinds in the rows.
fn evidence(rows: &[Json], kinds: &[&str]) -> Said {
    let mut said = Said::new();
    for row in rows {
        let Some(pair) = pair_of(row) else {
            continue;
        };
        for evidence in row["evidence"].as_array().expect("it is a list") {
            let kind = evidence["kind"].as_str().expect("it is text");
            if kinds.contains(&kind) {
                let value = evidence["value"].as_str().expect("it is text");
                said.entry(pair.clone())
                    .or_default()
                    .insert(value.to_owned());
            }
        }
    }
    said
}

/// Counts what both found, and says what only one did.
fn compare(
    what: &str,
    capture: &Path,
    mine: &Said,
    theirs: &Said,
    count: &mut [usize; 3],
) -> String {
    let none = BTreeSet::new();
    let pairs: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
    let mut faults = String::new();
    for pair in pairs {
        let (mine, theirs) = (
            mine.get(pair).unwrap_or(&none),
            theirs.get(pair).unwrap_or(&none),
        );
        count[0] += mine.intersection(theirs).count();
        for (place, which, texts) in [
            (1, "missed", theirs.difference(mine)),
            (2, "false", mine.difference(theirs)),
        ] {
            for text in texts {
                count[place] += 1;
                let is_excused = |one: &&Excuse| capture.ends_with(one.capture) && one.text == text;
                if !EXCUSED.iter().any(|one| is_excused(&one)) {
                    let capture = capture.display();
                    faults.push_str(&format!("{capture} {pair:?}: {what} {text:?} {which}\n"));
                }
            }
        }
    }
    faults
}

#[test]
#[ignore = "needs the shared captures and tshark"]
fn pipes_shares_and_mailslots_of_a_flow_are_those_that_tshark_finds() {
    let captures = judge::captures();
    let read = judge::of_each(&captures, |capture| {
        (common::label([capture]).rows(), Tshark::reads(capture))
    });
    let mut faults = String::new();
    let (mut pipes, mut shares, mut mailslots) = ([0; 3], [0; 3], [0; 3]);
    for (capture, (rows, tshark)) in captures.iter().zip(read) {
        let mut mine = evidence(&rows, &["smb-pipe", "smb-pipe-asked", "smb-pipe-refused"]);
        for (pair, names) in &mut mine {
            let (sure, perhaps) = (tshark.pipes.get(pair), tshark.perhaps.get(pair));
            let is_in = |names: Option<&BTreeSet<String>>, name: &String| {
                names.is_some_and(|all| all.contains(name))
            };
            names.retain(|name| is_in(sure, name) || !is_in(perhaps, name));
        }
        faults += &compare("pipe", capture, &mine, &tshark.pipes, &mut pipes);
        let mine = evidence(
            &rows,
            &["smb-share", "smb-share-asked", "smb-share-refused"],
        );
        faults += &compare("share", capture, &mine, &tshark.shares, &mut shares);
        let mine = evidence(&rows, &["mailslot"]);
        faults += &compare(
            "mailslot",
            capture,
            &mine,
            &tshark.mailslots,
            &mut mailslots,
        );
    }
    let all = [
        ("pipes", pipes),
        ("shares", shares),
        ("mailslots", mailslots),
    ];
    for (what, [found, missed, wrong]) in all {
        println!("{what}: {found} found, {missed} missed, {wrong} false");
        assert!(found > 15, "are {what} read at all?");
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
#[ignore = "needs the shared captures"]
fn the_bytes_of_a_flows_services_never_exceed_the_flows() {
    let mut sessions = 0;
    for capture in judge::captures() {
        for row in common::label([&capture]).rows() {
            let services = row["services"].as_array().expect("it is a list");
            let bytes = |one: &Json| one["bytes"].as_u64().expect("it is a number");
            let flow = ["bytes_to_server", "bytes_to_client"]
                .map(|name| row[name].as_u64().expect("it is a number"));
            let flow: u64 = flow.iter().sum();
            let sum: u64 = services.iter().map(bytes).sum();
            assert!(sum <= flow, "{}: {row}", capture.display());
            let via_smb = services.iter().any(|one| one["via"] == "smb");
            // Where the listener is named, every byte is somebody's.
            if via_smb && row["service"] != Json::Null {
                sessions += 1;
                assert_eq!(sum, flow, "{}: {row}", capture.display());
            }
        }
    }
    assert!(sessions > 50, "only {sessions} sessions with pipes");
}
