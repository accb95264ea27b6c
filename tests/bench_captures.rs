//! The captures that everything is measured on are what they are said to be.

#[path = "../benches/captures/mod.rs"]
mod captures;
mod common;

use std::fs;

use captures::{ALL, Kind, Size};
use common::Run;

fn kind(name: &str) -> &'static Kind {
    (ALL.iter().find(|kind| kind.name == name)).expect("there is one of this name")
}

fn bytes(name: &str, packets: u64, flows: u32) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let size = Size { packets, flows };
    let written = (kind(name).write)(&mut bytes, size).expect("a vector takes all");
    (bytes, written)
}

/// The rows of a capture, which was read and decoded whole.
fn label(name: &str, packets: u64, flows: u32) -> Run {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("capture");
    let (bytes, written) = bytes(name, packets, flows);
    fs::write(&path, bytes).expect("there is room");
    let run = common::label([&path]);
    assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
    assert_eq!(run.stats()["captured"], written, "{name}");
    run
}

/// How many rows have this basis and, if one is asked for, this application.
fn count(run: &Run, basis: &str, application: Option<&str>) -> usize {
    let is_such = |row: &&serde_json::Value| {
        row["basis"] == basis && application.is_none_or(|one| row["application"] == one)
    };
    run.rows().iter().filter(is_such).count()
}

#[test]
fn the_same_sizes_give_the_same_bytes() {
    for kind in ALL {
        let one = bytes(kind.name, 3000, 400);
        assert!(one == bytes(kind.name, 3000, 400), "{}", kind.name);
        assert!(one.1 >= 2500, "{}: {} packets", kind.name, one.1);
    }
}

#[test]
fn every_kind_says_what_it_is_and_how_large() {
    for kind in ALL {
        assert!(!kind.about.is_empty(), "{}", kind.name);
        assert!(kind.size.packets >= 1_000_000, "{}", kind.name);
    }
}

#[test]
fn every_small_packet_belongs_to_one_of_the_flows_asked_for() {
    let run = label("small", 3000, 100);
    assert_eq!(run.rows().len(), 100);
    assert_eq!(run.stats()["labelled"], 3000);
}

#[test]
fn most_of_the_bulk_is_smb_followed_to_its_end() {
    let run = label("bulk", 3000, 20);
    let rows = run.rows();
    let smb = rows.iter().filter(|row| row["application"] == "SMB");
    assert_eq!((smb.count(), rows.len()), (16, 20));
    assert_eq!(run.stats()["undecoded"], serde_json::json!({}));
}

#[test]
fn what_the_mapper_said_names_every_flow_that_follows() {
    let run = label("rpc", 0, 400);
    assert_eq!(run.rows().len(), 400);
    // Half of those that follow bind; the others are known by the mapper's answer alone.
    assert_eq!(count(&run, "content", Some("RPC")), 200 + 100);
    assert_eq!(count(&run, "endpoint", Some("RPC")), 100);
}

#[test]
fn each_repetition_of_the_recorded_captures_has_flows_of_its_own() {
    const ROUNDS: u64 = 3;
    let once = label("mixed", 1, 0);
    let packets = once.stats()["captured"].as_u64().expect("a number");
    let more = label("mixed", packets * ROUNDS, 0);
    let (one, all) = (once.rows().len(), more.rows().len());
    // Addresses of one capture may become those of another.
    assert!(all as u64 * 20 >= one as u64 * ROUNDS * 19, "{one} {all}");
}
