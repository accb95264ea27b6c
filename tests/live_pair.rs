//! Live capture on a pair of devices in a network namespace, where everything that was sent is
//! known: whatever becomes of the device, the kernel's ring, the output or the program, no packet
//! and no row is lost without being counted.
//!
//! Runs wherever this process may make a namespace and capture in it. Where it may not, it says so
//! and passes, except in CI, which must be able to.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::floods::{self, CLIENT, SERVER};
use common::live::{self, PATIENCE, begin, end, halt, row_of, signal};
use common::namespace::Namespace;
use common::wire::*;
use tempfile::TempDir;

/// What the program may use at most, as the README promises.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;

/// A ring for some thousand small packets, and one for all that is sent here, in KiB.
const SMALL: &[&str] = &["-s", "128", "-B", "64"];
const LARGE: &[&str] = &["-B", "131072"];

/// The pcap file that `write` makes.
fn capture(write: impl FnOnce(&mut Tape<Vec<u8>>)) -> Vec<u8> {
    let mut tape = Tape::new(Vec::new());
    write(&mut tape);
    tape.into_inner()
}

/// A client of its own that opens a connection, asks, is answered and closes: a row as soon as that
/// was seen.
fn whole_talk(tape: &mut Tape<Vec<u8>>, number: u32) {
    let [_, a, b, c] = number.to_be_bytes();
    silent_talk(tape, (ten(a, b, c), 40_000), (SERVER, 49_155));
}

fn talks(count: u32) -> Vec<u8> {
    capture(|tape| (1..=count).for_each(|number| whole_talk(tape, number)))
}

#[test]
fn a_ring_that_overflows_is_told_and_every_packet_is_accounted_for() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let watch = begin(&mut namespace.watch(SMALL));
    halt(&watch);
    let sent = namespace.send(&talks(4000));
    signal(&watch, "CONT");
    signal(&watch, "INT");
    let ended = end(watch);
    assert_eq!(ended.code, Some(0), "{}", ended.words);
    assert!(ended.count("dropped_by_kernel") > 0, "{}", ended.words);
    assert!(ended.count("captured") > 0, "{}", ended.words);
    ended.accounts_for(sent);
    ended.counts_each_packet();
}

#[test]
fn every_report_of_a_ring_that_overflowed_tells_the_drops() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    for format in ["table", "csv"] {
        for by in ["service", "flow", "host", "endpoint"] {
            // What is said last of an option counts.
            let words = ["--format", format, "--by", by];
            let program = env!("CARGO_BIN_EXE_wiretag");
            let words = [&[program, "watch", "-i", "near"], SMALL, &words].concat();
            let mut watch = begin(&mut namespace.command(&words));
            halt(&watch);
            let sent = namespace.send(&talks(1500));
            signal(&watch, "CONT");
            signal(&watch, "INT");
            watch.stdout = None;
            let mut text = String::new();
            let mut stderr = watch.stderr.take().expect("it is piped");
            stderr.read_to_string(&mut text).expect("text");
            live::wait(&mut watch);
            let count = |name: &str| -> u64 {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
                line.trim().parse().expect("a number")
            };
            let dropped = count("packets dropped by the kernel");
            let sum = count("packets captured") + dropped + count("packets unread at the end");
            assert!(dropped > 0, "{format} {by}: {text}");
            assert_eq!(sum, sent, "{format} {by}: {text}");
        }
    }
}

/// Reads a little at a time once it was begun long ago.
struct Slow<R>(R, Instant);

/// How long a slow reader takes its time: well more than the program reads on after its end.
const SLOWNESS: Duration = Duration::from_secs(4);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.elapsed() < SLOWNESS {
            thread::sleep(Duration::from_millis(10));
        }
        let few = buffer.len().min(4096);
        self.0.read(&mut buffer[..few])
    }
}

#[test]
fn a_slow_reader_of_the_rows_loses_none_silently() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    // Nobody reads while all is sent and the end is asked for.
    let watch = begin(&mut namespace.watch(LARGE));
    let sent = namespace.send(&talks(30_000));
    signal(&watch, "INT");
    let ended = live::end_read_by(watch, |rows| Slow(rows, Instant::now()));
    assert_eq!(ended.code, Some(0), "{}", ended.words);
    ended.accounts_for(sent);
    ended.counts_each_packet();
}

#[test]
fn a_second_signal_ends_a_watch_at_once_that_the_first_cannot_end() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    for name in live::asking_for_the_end() {
        // Nobody ever reads the rows, which are more than a pipe holds.
        let mut watch = begin(&mut namespace.watch(LARGE));
        namespace.send(&talks(1000));
        let begun = Instant::now();
        let status = loop {
            match watch.try_wait().expect("it is our child") {
                Some(status) => break status,
                None => assert!(begun.elapsed() < PATIENCE, "{name}: it goes on"),
            }
            // One that comes before the last was seen is the same to the kernel.
            let _ = (Command::new("kill").args([&format!("-{name}"), &watch.id().to_string()]))
                .stderr(Stdio::null())
                .status();
            thread::sleep(Duration::from_millis(20));
        };
        // The first one would have ended it with 0.
        assert_eq!(status.code(), Some(130), "{name}");
    }
}

#[test]
fn a_disk_that_fills_up_ends_a_watch_and_is_told() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let folder = TempDir::new().expect("there is room");
    let path = folder.path().display();
    let program = env!("CARGO_BIN_EXE_wiretag");
    // What is mounted inside is mounted nowhere else.
    let shell = format!(
        "mount -t tmpfs -o size=64k tmpfs {path} && \
         exec {program} watch -i near --format ndjson -B 131072 -o {path}/rows.ndjson"
    );
    let mut watch = begin(&mut namespace.command(&["sh", "-c", &shell]));
    namespace.send(&talks(1000));
    // Without being told to.
    let (code, _) = live::wait(&mut watch);
    let ended = end(watch);
    assert_eq!(code, Some(3), "{}", ended.words);
    let refused = "the output could not be written";
    assert!(ended.words.contains(refused), "{}", ended.words);
    let captured = ended.count("captured");
    let undecoded = ended.stats()["undecoded"].to_string();
    assert_eq!((captured, &*undecoded), (ended.count("labelled"), "{}"));
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_watch_quietly() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let program = env!("CARGO_BIN_EXE_wiretag");
    let shell = format!("{program} watch -i near --format ndjson -B 131072 | head -n 1");
    let watch = begin(&mut namespace.command(&["sh", "-c", &shell]));
    let sent = namespace.send(&talks(1000));
    let ended = end(watch);
    assert_eq!((ended.rows.len(), ended.code), (1, Some(0)));
    // More may have come after it was over.
    let count = |name| ended.count(name);
    let seen = count("captured") + count("unread") + count("dropped_by_kernel");
    assert!(seen <= sent && count("captured") > 0, "{}", ended.words);
    assert_eq!(count("captured"), count("labelled"), "{}", ended.words);
}

#[test]
fn a_device_that_goes_down_and_comes_back_is_captured_on() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let watch = begin(&mut namespace.watch(&["--immediate"]));
    let talk = |client: u32| capture(|tape| whole_talk(tape, client));
    let sent = namespace.send(&talk(1));
    namespace.run("ip link set near down");
    namespace.run("ip link set near up");
    let sent = sent + namespace.send(&talk(2));
    signal(&watch, "INT");
    let ended = end(watch);
    assert_eq!((ended.rows.len(), ended.code), (2, Some(0)));
    ended.accounts_for(sent);
}

#[test]
fn a_device_that_is_taken_away_ends_a_watch_with_everything_reported() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let watch = begin(&mut namespace.watch(LARGE));
    let sent = namespace.send(&talks(100));
    namespace.run("ip link del near");
    let ended = end(watch);
    assert_eq!(ended.code, Some(1), "{}", ended.words);
    assert!(ended.words.contains("near: "), "{}", ended.words);
    ended.accounts_for(sent);
    assert_eq!(ended.rows.len(), 100);
}

#[test]
fn after_as_many_packets_as_were_asked_for_the_others_are_counted_as_unread() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let watch = begin(&mut namespace.watch(&[LARGE, &["-c", "7"]].concat()));
    halt(&watch);
    let sent = namespace.send(&talks(1000));
    signal(&watch, "CONT");
    let ended = end(watch);
    assert_eq!((ended.code, ended.count("captured")), (Some(0), 7));
    ended.accounts_for(sent);
}

#[test]
fn live_floods_cost_no_honest_flow_its_label_and_no_memory_without_end() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    type Flood = fn(&mut Tape<Vec<u8>>, u32);
    let all: [(&str, Flood, u32); 3] = [
        ("SYN flood", floods::syn, 100_000),
        ("fragments", floods::fragment_of_nothing, 100_000),
        ("half PDUs", floods::half_pdu, 25_000),
    ];
    for (what, flood, count) in all {
        let flooded = capture(|tape| floods::beside(tape, flood, count));
        let number = frames(&flooded).count().to_string();
        let bounds = ["--max-flows", "10000", "-c", &number];
        let watch = begin(&mut namespace.watch(&[LARGE, &bounds].concat()));
        let sent = namespace.send(&flooded);
        let ended = end(watch);
        assert_eq!(ended.code, Some(0), "{what}: {}", ended.words);
        ended.accounts_for(sent);
        println!(
            "{what}: {} KiB, {}",
            ended.peak_kib,
            ended.stats()["given_up"]
        );
        assert!(ended.peak_kib > 1024, "the peak was read");
        assert!(ended.peak_kib < MAX_MEMORY_KIB, "{what}");
        let given_up = ended.stats()["given_up"].to_string();
        assert_ne!(given_up, "{}", "{what}");
        assert_eq!(
            ended.count("dropped_by_kernel"),
            0,
            "{what}: the ring holds all"
        );
        let server = SERVER.to_string();
        let honest = ended
            .rows
            .into_iter()
            .filter(|row| row["server"] == *server);
        floods::keep_labels(&honest.collect::<Vec<_>>(), what);
    }
}

/// The README's way to let who is not root capture, applied to a copy of the program.
fn copy_with_capability(folder: &TempDir) -> Option<String> {
    let copy = folder.path().join("wiretag");
    fs::copy(env!("CARGO_BIN_EXE_wiretag"), &copy).expect("there is room");
    for (path, mode) in [(folder.path(), 0o755), (&*copy, 0o755)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    let readme = include_str!("../README.md");
    let capability = "setcap cap_net_raw=eip";
    assert!(readme.contains(capability), "the README says how");
    let copy = copy.display().to_string();
    let words: Vec<_> = capability.split(' ').chain([&*copy]).collect();
    let set = Command::new(words[0]).args(&words[1..]).status();
    match set.is_ok_and(|status| status.success()) {
        true => Some(copy),
        false => {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI may not set capabilities"
            );
            eprintln!("not run: capabilities cannot be set here");
            None
        }
    }
}

/// Somebody who is nobody, and can get nothing but this one capability.
const AS_NOBODY: &[&str] = &[
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all,+net_raw",
];

#[test]
fn cap_net_raw_alone_is_enough_for_who_is_not_root() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let folder = TempDir::new().expect("there is room");
    let Some(copy) = copy_with_capability(&folder) else {
        return;
    };
    let words = [&copy, "watch", "-i", "near", "--format", "ndjson"];
    let mut command = namespace.command(&[AS_NOBODY, &words].concat());
    let watch = begin(command.current_dir("/"));
    let held = |set| live::status_of_threads(&watch, set);
    let privileges = [held("CapEff"), held("CapPrm"), held("NoNewPrivs")].concat();
    let sent = namespace.send(&capture(|tape| {
        ask_mapper(tape, (CLIENT, 40_001), SERVER, SAMR, &[(SERVER, 49_153)]);
        silent_talk(tape, (CLIENT, 40_002), (SERVER, 49_153));
    }));
    // Only root can tell a process that has had capabilities.
    signal(&watch, "INT");
    let ended = end(watch);
    assert_eq!(ended.code, Some(0), "{}", ended.words);
    ended.accounts_for(sent);
    assert_eq!(row_of(&ended.rows, 49_153)["service"], "LSASS");
    let given_up = |value: &String| value == "0000000000000000" || value == "1";
    assert!(privileges.iter().all(given_up), "{privileges:?}");
}

#[test]
fn without_the_capability_it_is_said_how_to_give_it() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let folder = TempDir::new().expect("there is room");
    if copy_with_capability(&folder).is_none() {
        return;
    }
    let copy = folder.path().join("wiretag").display().to_string();
    let taken = Command::new("setcap").args(["-r", &copy]).status();
    assert!(taken.expect("setcap is there").success());
    let words = [&copy, "watch", "-i", "near"];
    let mut command = namespace.command(&[AS_NOBODY, &words].concat());
    let output = command.current_dir("/").output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(words.contains("setcap cap_net_raw=eip"), "{words}");
}
