//! What signals leave behind of a run over captures. Those of a watch: `live.rs`, `live_pair.rs`.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use common::live::{self, INTERRUPT, PATIENCE, contains, signal};
use tempfile::TempDir;

/// Starts a run that waits for the end of its capture, and gives it back once it handles signals.
fn begin(command: &mut Command) -> Child {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = (command.stderr(Stdio::null()).spawn()).expect("the program runs");
    let mut stdin = child.stdin.as_ref().expect("it is piped");
    let capture = common::bytes(&common::pcaps()[0]);
    stdin.write_all(&capture).expect("it reads");
    let handles = |child: &Child| {
        let handled = live::status(child, "SigCgt");
        handled.is_some_and(|mask| contains(&mask, INTERRUPT))
    };
    let begun = Instant::now();
    while !handles(&child) {
        let ended = child.try_wait().expect("it is our child");
        assert_eq!(ended, None, "it waits for its end");
        assert!(begun.elapsed() < PATIENCE, "it handles no signals");
        thread::yield_now();
    }
    child
}

fn files_in(folder: &TempDir) -> usize {
    let entries = fs::read_dir(folder.path()).expect("it can be read");
    entries.count()
}

#[test]
fn a_second_signal_ends_a_run_at_once_and_leaves_nothing_but_the_older_file() {
    for name in live::asking_for_the_end() {
        // The first one alone ends a run that has not come to wait yet.
        while second_signal(name) == Some(0) {}
    }
}

/// How a run ends that is told until it does; what is left is checked where that was not well.
fn second_signal(name: &str) -> Option<i32> {
    let folder = TempDir::new().expect("there is room");
    let rows = folder.path().join("rows.csv");
    fs::write(&rows, "older").expect("there is room");
    let mut child = begin(common::wiretag().args(["label", "-", "-o"]).arg(&rows));
    let begun = Instant::now();
    let status = loop {
        assert!(begun.elapsed() < PATIENCE, "{name}: it goes on");
        // One that comes before the last was seen is the same to the kernel.
        signal(&child, name);
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
    };
    if status.code() != Some(0) {
        assert_eq!(status.code(), Some(130), "{name}");
        assert_eq!(files_in(&folder), 1, "{name}");
        let left = fs::read_to_string(&rows).expect("it is there");
        if left != "older" {
            // The first one had it finished, and it was put in its place before the second one came.
            assert!(is_whole(&left), "{name}: {left:?}");
            return Some(0);
        }
    }
    status.code()
}

/// Whether a CSV file begins and ends as one that was written to its end.
fn is_whole(csv: &str) -> bool {
    csv.starts_with("start,") && csv.ends_with('\n')
}

#[test]
fn a_run_that_was_started_with_nohup_does_not_heed_a_hangup() {
    let folder = TempDir::new().expect("there is room");
    let rows = folder.path().join("rows.ndjson");
    let mut nohup = Command::new("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_wiretag"));
    let mut child = begin(nohup.args(["label", "-", "-o"]).arg(&rows));
    signal(&child, "HUP");
    signal(&child, "HUP");
    drop(child.stdin.take());
    let (code, _) = live::wait(&mut child);
    assert_eq!(code, Some(0));
    assert!(!common::rows(&fs::read(&rows).expect("it is there")).is_empty());
}
