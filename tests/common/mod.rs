//! What several tests need: the program, what it said, and the project's captures.

#![allow(dead_code, reason = "each test uses its own part")]

pub mod bench;
pub mod changes;
pub mod wire;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

pub mod floods;
pub mod judge;
pub mod lies;
pub mod live;
#[cfg(target_os = "linux")]
pub mod namespace;
pub mod netbios;
pub mod packets;
pub mod rpc;
pub mod says;
pub mod smb;

/// What the program said, and how it ended.
pub struct Run {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    fn new(output: Output) -> Run {
        let run = Run {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run
    }

    /// The lines of standard output, each one JSON object.
    pub fn rows(&self) -> Vec<Json> {
        rows(&self.stdout)
    }

    /// The body of the `{"stats":…}` line on stderr.
    pub fn stats(&self) -> Json {
        stats(&self.stderr).unwrap_or_else(|| panic!("no statistics in:\n{}", self.stderr))
    }

    /// Every packet that was read is in a row or counted as what became of it.
    pub fn adds_up(&self) {
        let fault = wrong_counts(&self.stats(), &self.stdout);
        assert_eq!(fault, None);
    }
}

/// The body of the `{"stats":…}` line, if these words have it whole.
pub fn stats(words: &str) -> Option<Json> {
    let line = (words.lines()).find(|line| line.starts_with("{\"stats\""))?;
    let mut line: Json = serde_json::from_str(line).ok()?;
    Some(line["stats"].take())
}

/// What does not add up in the counts of a run with these rows.
pub fn wrong_counts(stats: &Json, rows: &[u8]) -> Option<String> {
    let count = |name: &str| stats[name].as_u64().unwrap_or(u64::MAX);
    let undecoded = stats["undecoded"].as_object().into_iter();
    let undecoded = undecoded.flat_map(|reasons| reasons.values());
    let undecoded: u64 = undecoded.filter_map(Json::as_u64).sum();
    let ends = [count("labelled"), undecoded, count("filtered")];
    let ends = (ends.into_iter()).fold(0, u64::saturating_add);
    let lines = rows.split_inclusive(|byte| *byte == b'\n');
    let rows = lines.filter(|line| serde_json::from_slice::<Json>(line).is_ok());
    let adds_up = count("captured") == ends && rows.count() as u64 == count("flows");
    (!adds_up).then(|| format!("the counts do not add up: {stats}"))
}

/// The lines of NDJSON.
pub fn rows(ndjson: &[u8]) -> Vec<Json> {
    let text = std::str::from_utf8(ndjson).expect("NDJSON is UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "half a line");
    (text.lines())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The program, in the project's folder.
pub fn wiretag() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wiretag"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null());
    command
}

/// Runs the program with these arguments.
pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let output = wiretag().args(arguments).output();
    Run::new(output.expect("the program runs"))
}

/// Waits for a run of the program to end; how it ended, and the most memory that it used, in KiB.
#[cfg(target_os = "linux")]
pub fn watch_memory(child: &mut Child) -> (Option<i32>, u64) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        // The high-water mark: the last look sees the highest.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        match child.try_wait().expect("it is our child") {
            Some(status) => return (status.code(), peak_kib),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Runs the program with these arguments and this on its standard input.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Run {
    let mut command = wiretag();
    command.args(arguments);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut stdin = child.stdin.take().expect("it was piped");
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that has seen enough closes its end: that is for the caller to judge.
            let _ = stdin.write_all(input);
        });
        Run::new(child.wait_with_output().expect("the program ends"))
    })
}

/// What has the program tell the rows by flow of captures, and what became of every packet.
pub const LABEL: [&str; 6] = ["label", "--by", "flow", "--format", "ndjson", "--stats"];

/// The rows by flow of these captures, and what else was said.
pub fn label(captures: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let mut arguments: Vec<_> = LABEL
        .iter()
        .map(|word| OsStr::new(word).to_owned())
        .collect();
    arguments.extend(captures.into_iter().map(|path| path.as_ref().to_owned()));
    run(arguments)
}

/// The project's captures, `pcaps/NAME.pcapng`, in the order of their names.
pub fn pcaps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let entries = fs::read_dir(folder).expect("pcaps can be read");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("pcaps can be read").file_name())
        .filter(|name| Path::new(name).extension() == Some(OsStr::new("pcapng")))
        .map(|name| Path::new("pcaps").join(name))
        .collect();
    names.sort();
    assert!(
        names.len() > 20,
        "pcaps has more captures than {}",
        names.len()
    );
    names
}

/// The bytes of a file of the project.
pub fn bytes(path: &Path) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
}

/// Where the blocks of a little-endian pcapng file of ours lie, the section header first.
pub fn blocks(pcapng: &[u8]) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < pcapng.len() {
        let length = word(pcapng, start + 4) as usize;
        assert!(length >= 12, "a block of {length} bytes at {start}");
        blocks.push(start..start + length);
        start += length;
    }
    assert_eq!(start, pcapng.len(), "the capture is whole");
    blocks
}

/// Which of [`blocks`] hold a packet each.
pub fn packet_blocks(pcapng: &[u8]) -> Vec<usize> {
    /// An enhanced packet block (draft-ietf-opsawg-pcapng 4.3).
    const ENHANCED_PACKET: u32 = 6;
    let blocks = blocks(pcapng).into_iter().enumerate();
    let packets = blocks.filter(|(_, block)| word(pcapng, block.start) == ENHANCED_PACKET);
    packets.map(|(place, _)| place).collect()
}

/// The little-endian number there.
pub fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..at + 4].try_into().expect("four bytes");
    u32::from_le_bytes(four)
}
