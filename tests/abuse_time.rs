//! Time as a capture tells it, in the whole path: before its beginning, centuries ahead, backwards
//! from packet to packet. Nobody's clock is to be believed, and honest flows keep their labels.

mod common;

use common::floods::{self, CLIENT, SERVER, TARGET, stranger};
use common::wire::*;
use common::{LABEL, Run};
use serde_json::Value as Json;

/// Nanoseconds of an honest moment, in 2020.
const NOW: u64 = 1_600_000_000_000_000_000;

/// Interfaces of the file: times as they are, and as many seconds later as can be said, or earlier.
const TRUE: u32 = 0;
const AHEAD: u32 = 1;
const BEFORE: u32 = 2;

/// A block of pcapng (draft-ietf-opsawg-pcapng 3.1).
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = (12 + body.len() + padding) as u32;
    let [kind, length] = [kind, length].map(u32::to_le_bytes);
    [&kind, &length, body, &[0; 3][..padding], &length].concat()
}

/// An interface whose times are in nanoseconds and this many seconds off (4.2).
fn interface(offset: i64) -> Vec<u8> {
    let resolution = [9, 0, 1, 0, 9, 0, 0, 0];
    let offset = [&[14, 0, 8, 0], &offset.to_le_bytes()[..]].concat();
    block(
        1,
        &[&[1, 0, 0, 0, 0, 0, 0, 0], &resolution[..], &offset, &[0; 4]].concat(),
    )
}

/// A file with each frame at the time and on the interface that `when` says, by its number.
fn file(capture: &[u8], when: impl Fn(u64) -> (u32, u64)) -> Vec<u8> {
    let magic = 0x1a2b_3c4d_u32.to_le_bytes();
    let section = [&magic, &[1, 0, 0, 0][..], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, &section);
    for offset in [0, i64::MAX, i64::MIN] {
        file.extend(interface(offset));
    }
    for (number, frame) in (0..).zip(frames(capture)) {
        let (interface, time) = when(number);
        let words = [interface, (time >> 32) as u32, time as u32];
        let length = frame.len() as u32;
        let head = [words, [length, length, 0]].concat();
        let head: Vec<u8> = head[..5]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        file.extend(block(6, &[&head, frame].concat()));
    }
    file
}

/// Honest talk with strangers' packets after every frame of it.
fn talk() -> (Vec<u8>, u64) {
    let mut tape = Tape::new(Vec::new());
    floods::beside(&mut tape, floods::syn, 200);
    let honest = tape.into_inner();
    let count = frames(&honest).count() as u64;
    (honest, count)
}

fn label(file: &[u8], workers: &str) -> Run {
    let words = [&LABEL[..], &["--workers", workers, "-"]].concat();
    common::run_with(&words, file)
}

fn holds(file: &[u8], count: u64, what: &str) {
    let run = label(file, "1");
    assert_eq!(run.code, Some(0), "{what}: {}", run.stderr);
    let stats = run.stats();
    assert_eq!(stats["captured"], count, "{what}");
    assert_eq!(stats["labelled"], count, "{what}: {stats}");
    let rows = run.rows();
    for row in &rows {
        let seconds = row["duration"].as_f64().expect("a number");
        assert!(seconds >= 0.0, "{what}: {row}");
        let moment = |name: &str| row[name].as_str().expect("text").to_owned();
        assert!(moment("start") <= moment("end"), "{what}: {row}");
    }
    let is_honest = |row: &&Json| row["server"] == *SERVER.to_string();
    let honest: Vec<Json> = rows.iter().filter(is_honest).cloned().collect();
    floods::keep_labels(&honest, what);
    assert_eq!(
        run.stdout,
        label(file, "3").stdout,
        "{what}: as with more workers"
    );
}

#[test]
fn packets_at_the_ends_of_time_between_honest_ones_cost_no_label() {
    let (capture, count) = talk();
    let is_stranger: Vec<bool> = frames(&capture)
        .map(|frame| frame[26] == 10 && frame[27] >= 100)
        .collect();
    let when = |stranger: fn(u64) -> (u32, u64)| {
        let is_stranger = &is_stranger;
        file(&capture, move |number| match is_stranger[number as usize] {
            true => stranger(number),
            false => (TRUE, NOW + number * 1000),
        })
    };
    holds(&when(|_| (AHEAD, u64::MAX)), count, "centuries ahead");
    holds(&when(|_| (BEFORE, 0)), count, "centuries before");
    let all_over: fn(u64) -> (u32, u64) = |number| match number % 4 {
        0 => (AHEAD, NOW),
        1 => (BEFORE, NOW),
        2 => (TRUE, u64::MAX),
        _ => (TRUE, 0),
    };
    holds(&when(all_over), count, "all over time");
}

#[test]
fn a_capture_that_runs_backwards_is_labelled_as_it_stands() {
    let (capture, count) = talk();
    holds(
        &file(&capture, |number| (TRUE, NOW - number * 1000)),
        count,
        "backwards",
    );
    // As fast as the end of all idle times.
    let hours = 3_600_000_000_000;
    let back = file(&capture, |number| (TRUE, NOW - number * hours));
    let run = label(&back, "1");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stats()["labelled"], count);
    assert_eq!(run.stdout, label(&back, "3").stdout);
}

#[test]
fn a_whole_capture_at_either_end_of_time_is_labelled_as_any_other() {
    let (capture, count) = talk();
    for (interface, time, what) in [
        (AHEAD, u64::MAX, "at the last moment there is"),
        (BEFORE, 0, "at the first moment there is"),
        (TRUE, 0, "at the beginning of 1970"),
    ] {
        holds(&file(&capture, |_| (interface, time)), count, what);
    }
}

#[test]
fn fragments_centuries_apart_are_no_datagram_and_are_counted() {
    let mut tape = Tape::new(Vec::new());
    let datagram = udp(CLIENT.octets()[3].into(), 53, &[0; 56]);
    let (from, to) = (stranger(1).0, TARGET.0);
    for (offset, part) in [(0x2000, &datagram[..32]), (4, &datagram[32..])] {
        tape.frame(&ethernet(&fragment(17, (from, to), (7, offset), part)));
    }
    let capture = tape.into_inner();
    let run = label(&file(&capture, |number| (number as u32, NOW)), "1");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let stats = run.stats();
    let undecoded = &stats["undecoded"];
    assert_eq!(undecoded["fragment without its first"], 1, "{stats}");
    assert_eq!(stats["labelled"], 1, "{stats}");
}
