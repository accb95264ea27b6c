//! The project's captures against the rows that were reviewed by hand: `pcaps/NAME.pcapng` and
//! `pcaps/NAME.expected.ndjson`.
//!
//! `WIRETAG_BLESS=1 cargo test --test samples` writes the rows anew; what `git diff` then shows is
//! to be reviewed line by line.

mod common;

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// Flows of one capture whose differences are shown.
const SHOWN: usize = 5;

fn expected_path(capture: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(capture).with_extension("expected.ndjson")
}

fn is_blessing() -> bool {
    std::env::var_os("WIRETAG_BLESS").is_some_and(|value| value != "0")
}

#[test]
fn every_capture_gives_the_rows_that_were_reviewed() {
    let mut report = String::new();
    for capture in common::pcaps() {
        let run = common::label([&capture]);
        assert_eq!(run.code, Some(0), "{}: {}", capture.display(), run.stderr);
        let path = expected_path(&capture);
        if is_blessing() {
            fs::write(&path, &run.stdout).expect("the rows can be written");
            continue;
        }
        let expected = fs::read(&path).unwrap_or_default();
        let difference = difference(&common::rows(&expected), &run.rows());
        if !difference.is_empty() {
            writeln!(report, "{}:\n{difference}", capture.display()).expect("a string takes all");
        }
    }
    assert!(
        report.is_empty(),
        "\n{report}If these rows are right: WIRETAG_BLESS=1 cargo test --test samples\n"
    );
}

/// Which flow differs in which field.
fn difference(expected: &[Json], actual: &[Json]) -> String {
    let mut text = String::new();
    if expected.len() != actual.len() {
        let (before, now) = (expected.len(), actual.len());
        writeln!(text, "  {before} flows were expected, there are {now}").expect("a string");
    }
    let differing = (expected.iter().zip(actual)).filter(|(one, other)| one != other);
    for (expected, actual) in differing.clone().take(SHOWN) {
        writeln!(text, "  {}", shown(actual)).expect("a string");
        for field in fields(expected, actual) {
            let (one, other) = (&expected[field], &actual[field]);
            if one != other {
                writeln!(text, "    {field}\n      was {one}\n      is  {other}")
                    .expect("a string");
            }
        }
    }
    match differing.count() {
        0..=SHOWN => {}
        more => writeln!(text, "  and {} flows more", more - SHOWN).expect("a string"),
    }
    text
}

/// The fields of either row, each once.
fn fields<'r>(one: &'r Json, other: &'r Json) -> Vec<&'r str> {
    let keys = |row: &'r Json| row.as_object().expect("a row is an object").keys();
    let mut all: Vec<_> = keys(one).chain(keys(other)).map(String::as_str).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn shown(row: &Json) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
    format!(
        "flow {}, {} {}:{} -> {}:{}",
        row["flow_id"],
        text("protocol"),
        text("client"),
        row["client_port"],
        text("server"),
        row["server_port"]
    )
}

#[test]
fn a_difference_names_the_flow_and_the_field() {
    let row = |service: &str| {
        serde_json::json!({"flow_id": 7, "protocol": "tcp", "client": "10.0.0.2",
            "client_port": 50000, "server": "10.0.0.1", "server_port": 135, "service": service})
    };
    assert_eq!(difference(&[row("RpcSs")], &[row("RpcSs")]), "");
    assert_eq!(
        difference(&[row("RpcSs")], &[row("LSASS")]),
        "  flow 7, tcp 10.0.0.2:50000 -> 10.0.0.1:135\n    service\n      was \"RpcSs\"\n      \
         is  \"LSASS\"\n"
    );
}

#[test]
fn every_capture_has_its_rows_and_a_line_in_the_readme() {
    let readme = common::bytes(Path::new("pcaps/README.md"));
    let readme = String::from_utf8(readme).expect("it is text");
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<_> = readme.split(|c| !is_part_of_a_name(c)).collect();
    for capture in common::pcaps() {
        let name = capture
            .file_stem()
            .and_then(OsStr::to_str)
            .expect("it has a name");
        assert!(
            words.contains(&name),
            "pcaps/README.md does not name {name}"
        );
        assert!(
            is_blessing() || expected_path(&capture).exists(),
            "{name} has no rows"
        );
    }
}

#[test]
fn no_rows_are_left_behind_by_a_capture_that_has_gone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    for entry in fs::read_dir(folder).expect("pcaps can be read") {
        let path = entry.expect("pcaps can be read").path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if let Some(stem) = name.strip_suffix(".expected.ndjson") {
            let capture = path.with_file_name(format!("{stem}.pcapng"));
            assert!(capture.exists(), "{name} has no capture");
        }
    }
}
