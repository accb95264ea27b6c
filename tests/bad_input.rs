//! Input that is broken, missing or refused: the message, the exit code, and what is still
//! reported.

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Run, packet_blocks};
use tempfile::TempDir;

/// Every row is reported that can be.
const DAMAGED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);
const NOTHING: Option<i32> = Some(3);

/// A capture to damage.
const GOOD: &str = "pcaps/rpc_port_unasked.pcapng";

fn good() -> Vec<u8> {
    common::bytes(Path::new(GOOD))
}

/// A folder with one file of this name in it.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("there is room");
    (folder, path)
}

/// Labels one file with these bytes.
fn label(bytes: &[u8]) -> Run {
    let (_folder, path) = file("office.pcap", bytes);
    common::label([path])
}

/// Stderr without the statistics: what a user reads.
fn said(run: &Run) -> Vec<&str> {
    let lines = run.stderr.lines();
    lines
        .filter(|line| !line.starts_with("{\"stats\""))
        .collect()
}

/// The one thing that was said.
fn message(run: &Run) -> &str {
    match said(run)[..] {
        [line] => line,
        _ => panic!("not one line: {}", run.stderr),
    }
}

/// A classic pcap file: little-endian, microseconds, Ethernet, with this snap length and records of
/// these captured and wire lengths.
fn pcap(snap_length: u32, records: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let version = (4 << 16) | 2;
    for word in [0xa1b2_c3d4, version, 0, 0, snap_length, 1] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for (captured, wire) in records {
        for word in [1_600_000_000, 0, *captured, *wire] {
            bytes.extend(u32::to_le_bytes(word));
        }
        let bytes_there = (*captured).min(PRESENT) as usize;
        bytes.extend(std::iter::repeat_n(0u8, bytes_there));
    }
    bytes
}

/// No record of these tests really has more bytes than this.
const PRESENT: u32 = 60;

#[test]
fn a_file_cut_in_a_record_reports_what_came_before_and_says_where() {
    let good = good();
    let blocks = common::blocks(&good);
    let last = blocks[*packet_blocks(&good).last().expect("it has packets")].clone();
    let frames = packet_blocks(&good).len() - 1;
    let run = label(&good[..last.start + 20]);
    assert_eq!(run.code, DAMAGED);
    assert!(!run.rows().is_empty());
    let message = message(&run);
    let place = format!(
        "office.pcap: at byte {}: the file ends within a record",
        last.start
    );
    assert!(message.contains(&place), "{message}");
    assert!(
        message.contains(&format!("the {frames} frames before are used")),
        "{message}"
    );
    assert!(
        message
            .ends_with("Copy it again if the original is longer; else the capture was broken off.")
    );
}

#[test]
fn a_packet_longer_than_anything_captures_is_a_fault_with_its_offset() {
    let run = label(&pcap(65_535, &[(60, 60), (0x7fff_ffff, 0x7fff_ffff)]));
    assert_eq!(run.code, DAMAGED);
    let message = message(&run);
    assert!(message.contains("office.pcap: at byte 100: a packet is said to have 2147483647"));
    assert!(
        message.contains("the one frame before is used"),
        "{message}"
    );
    assert!(
        message.contains("copy it again, or repair it with pcapfix"),
        "{message}"
    );
}

#[test]
fn an_impossible_snap_length_in_the_header_loses_no_packet() {
    for snap_length in [0, 1, u32::MAX] {
        let run = label(&pcap(snap_length, &[(60, 60), (60, 1514)]));
        assert_eq!(run.code, Some(0), "{snap_length}: {}", run.stderr);
        assert_eq!(run.stats()["captured"], 2, "{snap_length}");
    }
}

#[test]
fn a_block_of_length_zero_is_a_fault_with_its_offset() {
    let mut bytes = good();
    let block = common::blocks(&bytes)[packet_blocks(&bytes)[3]].clone();
    bytes[block.start + 4..block.start + 8].fill(0);
    let run = label(&bytes);
    assert_eq!(run.code, DAMAGED);
    let message = message(&run);
    let what = format!(
        "office.pcap: at byte {}: a block is said to be 0 bytes long",
        block.start
    );
    assert!(message.contains(&what), "{message}");
    assert!(
        message.contains("the 3 frames before are used"),
        "{message}"
    );
}

#[test]
fn times_that_jump_back_are_no_fault() {
    let (_folder, path) = {
        let mut bytes = good();
        let blocks = common::blocks(&bytes);
        let packets = packet_blocks(&bytes);
        // The upper half of the time: an hour and more.
        let at = blocks[packets[packets.len() / 2]].start + 12;
        let upper = common::word(&bytes, at) - 1;
        bytes[at..at + 4].copy_from_slice(&upper.to_le_bytes());
        file("back.pcapng", &bytes)
    };
    let run = common::label([path]);
    assert_eq!((run.code, said(&run)), (Some(0), vec![]));
    assert_eq!(run.stats()["captured"], packet_blocks(&good()).len());
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let run = label(b"");
    assert_eq!(run.code, NOTHING);
    assert!(run.stdout.is_empty());
    let message = message(&run);
    assert!(
        message.contains("office.pcap: at byte 0: the file is empty. Check that the capture ran"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_no_capture_is_shown_by_how_it_begins() {
    let run = label(b"From: me\nTo: you\n");
    assert_eq!(run.code, NOTHING);
    let message = message(&run);
    assert!(message.contains("office.pcap: "), "{message}");
    assert!(
        message.contains("not a capture file: it begins with 46 72 6f 6d"),
        "{message}"
    );
    assert!(
        message.ends_with("Give a pcap or pcapng file, plain or as .gz, .zst or .xz."),
        "{message}"
    );
}

#[test]
fn a_header_alone_is_a_capture_without_packets() {
    let run = label(&pcap(65_535, &[]));
    assert_eq!((run.code, said(&run)), (Some(0), vec![]));
    assert!(run.rows().is_empty());
}

#[test]
fn a_file_cut_in_its_header_is_read_as_nothing() {
    for length in 4..24 {
        let run = label(&pcap(65_535, &[])[..length]);
        assert_eq!(run.code, NOTHING, "{length} bytes: {}", run.stderr);
        assert!(
            message(&run).contains("ends within its header"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let run = common::label(["no-such.pcap"]);
    assert_eq!(run.code, NOTHING);
    assert!(
        message(&run).contains("no-such.pcap: there is no such file or folder. Check the name.")
    );
}

#[test]
fn one_file_that_cannot_be_read_does_not_stop_the_others() {
    let run = common::label(["no-such.pcap", GOOD]);
    assert_eq!(run.code, DAMAGED);
    assert_eq!(run.rows().len(), common::label([GOOD]).rows().len());
}

#[test]
fn an_empty_folder_is_nothing_to_read() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = common::label([folder.path()]);
    assert_eq!(run.code, NOTHING);
    assert!(
        message(&run).contains("the folder holds no files"),
        "{}",
        run.stderr
    );
}

#[test]
#[cfg(unix)]
fn a_folder_without_permission_is_said_to_be_so() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = file("office.pcap", &good());
    let closed = fs::Permissions::from_mode(0o000);
    fs::set_permissions(folder.path(), closed).expect("it is ours");
    // Nothing is refused to root.
    let is_refused = fs::read_dir(folder.path()).is_err();
    let run = common::label([folder.path()]);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    if is_refused {
        assert_eq!(run.code, NOTHING);
        let message = message(&run);
        assert!(
            message.contains("no permission to read it. Allow it with chmod"),
            "{message}"
        );
    }
}

#[test]
fn a_gzip_file_that_breaks_off_reports_what_could_be_decompressed() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(&good()).expect("a vector takes all");
    let whole = gzip.finish().expect("a vector takes all");
    let run = label(&whole[..whole.len() / 2]);
    assert_eq!(run.code, DAMAGED);
    assert!(!run.rows().is_empty());
    let message = message(&run);
    assert!(
        message.contains("of the capture inside (gzip)"),
        "{message}"
    );
}

#[test]
fn a_device_that_does_not_exist_is_named_with_what_helps() {
    let run = common::run(["watch", "-i", "no-such-device", "--duration", "1s"]);
    assert_eq!(run.code, NOTHING, "{}", run.stderr);
    assert!(run.stderr.contains("no-such-device"), "{}", run.stderr);
    assert!(run.stderr.contains("wiretag devices"), "{}", run.stderr);
}

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    for format in ["ndjson", "csv", "table"] {
        let mut command = common::wiretag();
        command.args(["label", "--by", "flow", "--format", format]);
        // Far more rows than a pipe holds.
        command.arg("pcaps");
        command.stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut first = [0];
        let mut stdout = child.stdout.take().expect("it was piped");
        stdout.read_exact(&mut first).expect("it writes something");
        drop(stdout);
        let end = child.wait_with_output().expect("it ends");
        assert_eq!(end.status.code(), Some(0), "{format}");
        let stderr = String::from_utf8_lossy(&end.stderr);
        let only_notes = stderr
            .lines()
            .all(|line| line.contains("no capture, passed over"));
        assert!(only_notes, "{format}: {stderr}");
    }
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it can be read");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("it can be read").file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

#[test]
fn an_output_file_is_there_whole() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("rows.ndjson");
    let mut arguments: Vec<PathBuf> = ["label", GOOD, "-o"].map(PathBuf::from).into();
    arguments.push(path.clone());
    let run = common::run(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let direct = common::run(["label", GOOD, "--format", "ndjson"]);
    assert!(fs::read(&path).expect("it is there") == direct.stdout);
    assert_eq!(names(folder.path()), ["rows.ndjson"]);
}

#[test]
fn an_output_file_stays_as_it_was_where_nothing_could_be_read() {
    let (folder, path) = file("rows.ndjson", b"yesterday's\n");
    let mut arguments: Vec<PathBuf> = ["label", "no-such.pcap", "-o"].map(PathBuf::from).into();
    arguments.push(path.clone());
    let run = common::run(&arguments);
    assert_eq!(run.code, NOTHING);
    assert_eq!(fs::read(&path).expect("it is there"), b"yesterday's\n");
    assert_eq!(names(folder.path()), ["rows.ndjson"]);
}

#[test]
fn an_output_folder_that_does_not_exist_is_named_before_anything_is_read() {
    let run = common::run(["label", GOOD, "-o", "no-such-folder/rows.ndjson"]);
    assert_eq!(run.code, USAGE);
    assert!(message(&run).contains("no-such-folder/rows.ndjson: cannot be written"));
}

#[test]
fn a_wrong_filter_is_shown_with_what_libpcap_says() {
    let run = common::run(["label", GOOD, "--filter", "tcp prt 135"]);
    assert_eq!(run.code, USAGE);
    assert!(run.stdout.is_empty());
    assert!(run.stderr.contains("tcp prt 135"), "{}", run.stderr);
}

#[test]
fn a_wrong_catalog_names_every_fault_by_file_and_line() {
    let text = "[[service]]\nid = \"Mine\"\nname = \"Mine\"\ncolour = \"red\"\n\n\
        [[interface]]\nuuid = \"12\"\nname = \"mine\"\nsource = \"here\"\n";
    let (_folder, path) = file("mine.toml", text.as_bytes());
    let mut arguments: Vec<PathBuf> = ["label", GOOD, "--catalog"].map(PathBuf::from).into();
    arguments.push(path.clone());
    for run in [
        common::run(&arguments),
        common::run([Path::new("catalog"), Path::new("check"), &path]),
    ] {
        assert_eq!(run.code, USAGE, "{}", run.stderr);
        assert!(run.stdout.is_empty());
        for line in [4, 7] {
            assert!(
                run.stderr.contains(&format!("mine.toml:{line}: ")),
                "{}",
                run.stderr
            );
        }
    }
}

#[test]
fn a_missing_catalog_is_named() {
    let run = common::run(["label", GOOD, "--catalog", "no-such.toml"]);
    assert_eq!(run.code, USAGE);
    assert!(run.stderr.contains("no-such.toml"), "{}", run.stderr);
}

#[test]
fn wrong_flags_are_a_matter_of_usage() {
    for arguments in [
        vec!["label"],
        vec!["label", GOOD, "--by", "colour"],
        vec!["label", GOOD, "--workers", "0"],
        vec!["label", GOOD, "--internal", "10.0.0.0/99"],
        vec!["watch"],
        vec!["catalog", "port", "70000"],
    ] {
        assert_eq!(common::run(&arguments).code, USAGE, "{arguments:?}");
    }
}

#[test]
fn a_file_name_cannot_command_the_terminal() {
    let run = common::label(["\u{1b}[2Jgone.pcap"]);
    assert_eq!(run.code, NOTHING);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}
