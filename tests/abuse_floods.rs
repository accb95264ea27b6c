//! Floods: what a stranger can send without end must not take memory without end, must be counted
//! where it is given up, and must not cost honest flows beside it their labels.
//!
//! Reduced here; with `WIRETAG_ABUSE=full` (see `tests/abuse.sh`) in full size and with the
//! program's own bounds.

#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead, BufReader, BufWriter, Read};
use std::process::{ChildStdin, Stdio};
use std::thread;

use common::floods::{self, ANSWER, CLIENT, QUERY, SERVER, TARGET, stranger};
use common::wire::*;
use serde_json::Value as Json;

/// What the program may use at most, whatever it reads, with the bounds that it has unless told
/// otherwise: the README promises it.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;

/// By how much floods are smaller than what they are named for, unless asked for in full.
const REDUCED: u32 = 40;

fn is_full() -> bool {
    std::env::var("WIRETAG_ABUSE").is_ok_and(|size| size == "full")
}

/// So many, or fewer of them.
fn many(count: u32) -> u32 {
    match is_full() {
        true => count,
        false => count / REDUCED,
    }
}

/// What came of a flood.
struct Flooded {
    /// The rows of the honest server, 10.0.0.2.
    honest: Vec<Json>,
    rows: u64,
    stats: Json,
    peak_kib: u64,
}

type Out = Tape<BufWriter<ChildStdin>>;

/// Labels what `write` writes; reads the peak of the program's memory as it runs.
fn label(write: impl FnOnce(&mut Out) + Send) -> Flooded {
    let mut command = common::wiretag();
    command.args([
        "label", "--by", "flow", "--format", "ndjson", "--stats", "-",
    ]);
    if !is_full() {
        command.args(["--max-flows", "25000"]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let stdin = child.stdin.take().expect("it is piped");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut stderr = child.stderr.take().expect("it is piped");
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut tape = Tape::new(BufWriter::with_capacity(1 << 20, stdin));
            write(&mut tape);
            tape.flush();
        });
        let words = scope.spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let reader = scope.spawn(move || {
            let (mut honest, mut rows) = (Vec::new(), 0);
            for line in stdout.lines() {
                let line = line.expect("NDJSON is UTF-8");
                rows += 1;
                if line.contains("\"server\":\"10.0.0.2\"") {
                    honest.push(serde_json::from_str(&line).expect("a line is JSON"));
                }
            }
            (honest, rows)
        });
        let (code, peak_kib) = common::watch_memory(&mut child);
        let words = words.join().expect("it ends").expect("text");
        let (honest, rows) = reader.join().expect("it ends");
        assert_eq!(code, Some(0), "{words}");
        let line = words
            .lines()
            .find(|line| line.starts_with("{\"stats\""))
            .expect("statistics");
        let mut stats: Json = serde_json::from_str(line).expect("JSON");
        Flooded {
            honest,
            rows,
            stats: stats["stats"].take(),
            peak_kib,
        }
    })
}

impl Flooded {
    /// Memory, counts, and the honest flows.
    fn hold(&self, what: &str) {
        let number = |name: &str| self.stats[name].as_u64().expect("a number");
        let undecoded = self.stats["undecoded"].as_object().expect("an object");
        let undecoded: u64 = undecoded.values().filter_map(Json::as_u64).sum();
        let sum = number("labelled") + undecoded + number("filtered");
        assert_eq!(number("captured"), sum, "{what}: {:#}", self.stats);
        assert_eq!(number("flows"), self.rows, "{what}: each flow has a row");
        println!(
            "{what}: {} KiB, given up {}",
            self.peak_kib, self.stats["given_up"]
        );
        assert!(self.peak_kib > 1024, "the peak was read");
        assert!(
            self.peak_kib < MAX_MEMORY_KIB,
            "{what}: {} KiB",
            self.peak_kib
        );
        floods::keep_labels(&self.honest, what);
    }

    fn gave_up(&self, what: &str) -> u64 {
        self.stats["given_up"][what].as_u64().unwrap_or(0)
    }
}

/// A flood with honest talk around it and in its middle.
fn beside(flood: impl Fn(&mut Out, u32) + Send, count: u32) -> Flooded {
    label(move |tape| floods::beside(tape, flood, count))
}

#[test]
fn a_flood_of_ten_million_syns() {
    let flooded = beside(floods::syn, many(10_000_000));
    flooded.hold("SYN flood");
    assert!(flooded.gave_up("flows") > 0, "{}", flooded.stats);
}

#[test]
fn a_flood_of_ten_million_fragments_that_never_complete() {
    let flooded = beside(floods::fragment_of_nothing, many(10_000_000));
    flooded.hold("fragments");
    assert!(
        flooded.gave_up("fragmented datagrams") > 0,
        "{}",
        flooded.stats
    );
}

#[test]
fn a_million_half_pdus() {
    let flooded = beside(floods::half_pdu, many(1_000_000));
    flooded.hold("half PDUs");
    let given_up = flooded.gave_up("flows whose payload was not followed");
    assert!(given_up > 0, "{}", flooded.stats);
}

#[test]
fn rpc_fragments_that_never_end() {
    let flooded = beside(
        |tape, number| {
            let mut talk = Connection::open(tape, stranger(number), (TARGET.0, 135));
            talk.ask(tape, &bind(1, EPM));
            talk.answer(tape, &bind_ack(1));
            for call in 0..100 {
                talk.ask(tape, &request(call, EPT_MAP, &[0; 120]));
                // The beginning of an answer with two towers.
                let stub = mapped(&[tower(SAMR, TARGET), tower(SAMR, TARGET)]);
                talk.answer(tape, &response_part(1, call, &stub));
            }
        },
        many(400_000),
    );
    flooded.hold("RPC fragments");
}

#[test]
fn claims_without_end() {
    let flooded = beside(
        |tape, number| {
            let mut talk = Connection::open(tape, stranger(number), (TARGET.0, 49_998));
            for call in 0..200 {
                let interface = (u128::from(number) << 32 | u128::from(call), 1);
                talk.ask(tape, &bind(call, interface));
                talk.answer(tape, &bind_ack(call));
            }
        },
        many(100_000),
    );
    flooded.hold("claims");
    assert!(
        flooded.gave_up("claims of one flow") > 0,
        "{}",
        flooded.stats
    );
}

#[test]
fn time_that_runs_backwards_and_centuries_ahead() {
    let flooded = label(|tape| {
        let begin = tape.nanos;
        ask_mapper(tape, (CLIENT, 40_001), SERVER, SAMR, &[(SERVER, 49_153)]);
        ask_mapper(
            tape,
            (CLIENT, 40_002),
            SERVER,
            DNSSERVER,
            &[(SERVER, 49_154)],
        );
        for number in 0..many(400_000) {
            // The last second that 32 bits tell, the first, and now.
            tape.nanos = [u64::from(u32::MAX) * 1_000_000_000, 0, begin][number as usize % 3];
            tape.tcp(stranger(number), TARGET, SYN, (number, 0), &[]);
        }
        tape.nanos = begin + 1_000_000_000;
        silent_talk(tape, (CLIENT, 40_003), (SERVER, 49_153));
        silent_talk(tape, (CLIENT, 40_004), (SERVER, 49_154));
        tape.udp((CLIENT, 40_005), (SERVER, 53), QUERY);
        tape.udp((SERVER, 53), (CLIENT, 40_005), ANSWER);
    });
    flooded.hold("time");
}

#[test]
fn tunnels_in_tunnels() {
    let flooded = beside(
        |tape, number| {
            let mut packet = ipv4(17, stranger(number).0, TARGET.0, &udp(1, 2, b"deep"));
            for level in 0..12 {
                packet = ipv4(4, ten(200, level, number as u8), TARGET.0, &packet);
            }
            tape.frame(&ethernet(&packet));
        },
        many(1_000_000),
    );
    flooded.hold("tunnels");
    assert!(flooded.gave_up("tunnels too deep") > 0, "{}", flooded.stats);
}
