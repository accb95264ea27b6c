//! The same output, byte for byte, with any number of workers, and the same rows however the
//! bytes of a capture arrive.

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::Path;

use common::Run;
use serde_json::Value as Json;

/// One worker is what the others are held to.
const WORKERS: &[&str] = &["2", "3", "8"];

/// Fewer flows at a time than most of the captures have: one for each part of the table.
const FEW_FLOWS: &str = "1";

fn label(flags: &[&str], captures: &[impl AsRef<OsStr>]) -> Run {
    let mut arguments = vec![OsString::from("label")];
    arguments.extend(flags.iter().map(OsString::from));
    arguments.extend(captures.iter().map(|path| path.as_ref().to_owned()));
    let run = common::run(arguments);
    assert_eq!(run.code, Some(0), "{flags:?}: {}", run.stderr);
    run
}

/// Runs with one worker and with several, and gives back what all of them wrote.
fn with_all_workers(flags: &[&str], captures: &[impl AsRef<OsStr>]) -> Run {
    let one = label(&[flags, &["--workers", "1"]].concat(), captures);
    for workers in WORKERS {
        let several = label(&[flags, &["--workers", workers]].concat(), captures);
        assert!(
            one.stdout == several.stdout,
            "{flags:?}: not the same with {workers} workers"
        );
        assert_eq!(one.stderr, several.stderr, "{flags:?}, {workers} workers");
    }
    one
}

#[test]
fn every_output_is_the_same_with_any_number_of_workers() {
    let pcaps = common::pcaps();
    for by in ["flow", "service", "host", "endpoint"] {
        for format in ["ndjson", "csv", "table"] {
            let run = with_all_workers(&["--by", by, "--format", format], &pcaps);
            assert!(!run.stdout.is_empty(), "--by {by} --format {format}");
        }
    }
}

#[test]
fn statistics_are_the_same_with_any_number_of_workers() {
    let run = with_all_workers(&["--format", "ndjson", "--stats"], &common::pcaps());
    assert_eq!(run.stats()["flows"], run.rows().len());
}

#[test]
fn flows_that_are_given_up_are_the_same_with_any_number_of_workers() {
    let flags = ["--format", "ndjson", "--stats", "--max-flows", FEW_FLOWS];
    let run = with_all_workers(&flags, &common::pcaps());
    let evicted = run
        .rows()
        .iter()
        .filter(|row| row["state"] == "evicted")
        .count();
    assert!(evicted > 0, "nothing was given up");
    assert_eq!(run.stats()["given_up"]["flows"], evicted);
}

#[test]
fn filtered_captures_are_the_same_with_any_number_of_workers() {
    let flags = ["--format", "ndjson", "--filter", "tcp port 135 or udp"];
    assert!(!with_all_workers(&flags, &common::pcaps()).rows().is_empty());
}

/// The rows without what says where the bytes came from.
fn without_names(run: &Run) -> Vec<Json> {
    let mut rows = run.rows();
    rows.iter_mut().for_each(|row| row["capture"] = Json::Null);
    rows
}

/// A capture with much in it: its rows are the same in whatever wrapping.
const WRAPPED: &str = "pcaps/rpc_mapped_ports.pcapng";

const NDJSON: &[&str] = &["--format", "ndjson"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("a vector takes all");
    gzip.finish().expect("a vector takes all")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("a vector takes all")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(bytes).expect("a vector takes all");
    xz.finish().expect("a vector takes all")
}

type Wrap = fn(&[u8]) -> Vec<u8>;

/// Endings that mean nothing: what is inside says how it is wrapped.
const WRAPS: &[(&str, Wrap)] = &[
    ("capture", |bytes| bytes.to_vec()),
    ("capture.gz", gzip),
    ("capture.zst", zstandard),
    ("capture.xz", xz),
    ("capture.pcapng", gzip),
];

#[test]
fn a_compressed_capture_gives_the_rows_of_the_plain_one() {
    let folder = tempfile::tempdir().expect("there is room");
    let plain = without_names(&label(NDJSON, &[WRAPPED]));
    for (name, wrap) in WRAPS {
        let path = folder.path().join(name);
        fs::write(&path, wrap(&common::bytes(Path::new(WRAPPED)))).expect("there is room");
        assert!(without_names(&label(NDJSON, &[&path])) == plain, "{name}");
    }
}

#[test]
fn standard_input_gives_the_rows_of_the_file() {
    let plain = without_names(&label(NDJSON, &[WRAPPED]));
    for (name, wrap) in WRAPS {
        let bytes = wrap(&common::bytes(Path::new(WRAPPED)));
        let run = common::run_with(&["label", "--format", "ndjson", "-"], &bytes);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        assert!(run.rows().iter().all(|row| row["capture"] == "-"));
        assert!(without_names(&run) == plain, "{name} on standard input");
    }
}

#[test]
fn a_folder_gives_the_rows_of_its_captures() {
    let named = label(NDJSON, &common::pcaps());
    let folder = label(NDJSON, &["pcaps"]);
    assert!(named.stdout == folder.stdout);
}

#[test]
fn a_capture_cut_into_files_gives_the_flows_of_the_whole() {
    let folder = tempfile::tempdir().expect("there is room");
    let whole = common::bytes(Path::new(WRAPPED));
    let blocks = common::blocks(&whole);
    let (head, packets) = blocks.split_at(common::packet_blocks(&whole)[0]);
    let mut paths = Vec::new();
    for (number, part) in packets.chunks(packets.len().div_ceil(3)).enumerate() {
        let path = folder.path().join(format!("{number}.pcapng"));
        let bytes: Vec<u8> = (head.iter().chain(part))
            .flat_map(|block| whole[block.clone()].iter().copied())
            .collect();
        fs::write(&path, bytes).expect("there is room");
        paths.push(path);
    }
    // Told in any order: the stream is in that of time.
    paths.reverse();
    let without_frames = |run: &Run| {
        let mut rows = without_names(run);
        for row in &mut rows {
            row["first_frame"] = Json::Null;
            for evidence in row["evidence"].as_array_mut().expect("it is a list") {
                evidence["frame"] = Json::Null;
                evidence["capture"] = Json::Null;
            }
        }
        rows
    };
    let parts = with_all_workers(NDJSON, &paths);
    assert!(without_frames(&parts) == without_frames(&label(NDJSON, &[WRAPPED])));
}
