//! Live capture in tests: a watch that is begun and ended, and pairs of devices in namespaces of our
//! own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// How long anything here may take before the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The device that carries this machine's talk with itself.
pub fn loopback() -> &'static str {
    if cfg!(target_os = "linux") {
        "lo"
    } else {
        "lo0"
    }
}

/// Whether this process may capture here. In CI it has to.
pub fn may_capture() -> bool {
    let devices = super::wiretag().arg("devices").output();
    let devices = devices.expect("the program runs");
    let text = String::from_utf8_lossy(&devices.stdout).into_owned();
    let may = (text
        .split_inclusive('\n')
        .skip_while(|line| line.split_whitespace().next() != Some(loopback())))
    .take(3)
    .any(|line| line.contains("can be captured") && !line.contains("cannot"));
    assert!(
        may || std::env::var_os("CI").is_none(),
        "CI may not capture:\n{text}"
    );
    if !may {
        eprintln!("not run: this process may not capture on {}", loopback());
    }
    may
}

/// Starts a watch, and gives it back once its packets are captured.
pub fn begin(command: &mut Command) -> Child {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // The line that says so comes first on stderr.
    let stderr = child.stderr.as_mut().expect("it is piped");
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\n") && stderr.read(&mut byte).expect("a pipe") == 1 {
        said.push(byte[0]);
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("capturing on"), "it said instead: {said}");
    child
}

/// How a watch ended.
pub struct Ended {
    pub rows: Vec<Json>,
    /// What it said on stderr after its first words.
    pub words: String,
    /// None if a signal ended it.
    pub code: Option<i32>,
    /// The most memory that it had, in KiB; 0 where the system does not tell.
    pub peak_kib: u64,
}

/// Waits until a watch has ended.
pub fn end(child: Child) -> Ended {
    end_read_by(child, |stdout| stdout)
}

/// Waits until a watch has ended whose rows are read through this.
pub fn end_read_by<R: Read + Send + 'static>(
    mut child: Child,
    reader: impl FnOnce(ChildStdout) -> R,
) -> Ended {
    let stdout = reader(child.stdout.take().expect("it is piped"));
    let rows = thread::spawn(move || {
        let parse = |line: std::io::Result<String>| {
            serde_json::from_str(&line.expect("a pipe")).expect("each line is one JSON object")
        };
        BufReader::new(stdout)
            .lines()
            .map(parse)
            .collect::<Vec<Json>>()
    });
    let mut stderr = child.stderr.take().expect("it is piped");
    let words = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let (code, peak_kib) = wait(&mut child);
    let rows = rows.join().expect("the reader ends with the pipe");
    let words = words.join().expect("the reader ends with the pipe");
    let words = words.expect("text");
    assert!(!words.contains("panicked"), "{words}");
    Ended {
        rows,
        words,
        code,
        peak_kib,
    }
}

/// Waits for the end of a process: its exit code and the most memory that it had.
pub fn wait(child: &mut Child) -> (Option<i32>, u64) {
    wait_for(child, PATIENCE).expect("the watch ends by itself")
}

/// The same, but not for ever: `None` if it had to be ended.
pub fn wait_for(child: &mut Child, patience: Duration) -> Option<(Option<i32>, u64)> {
    let begun = Instant::now();
    let mut peak_kib = 0;
    loop {
        // The high-water mark: the last look sees the highest.
        let kib = status(child, "VmHWM").and_then(|line| line.strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        match child.try_wait().expect("it is our child") {
            Some(status) => return Some((status.code(), peak_kib)),
            None if begun.elapsed() > patience => {
                child.kill().expect("it is our child");
                child.wait().expect("it is our child");
                return None;
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The line of this name in a process's status, where there is one.
pub fn status(child: &Child, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// The lines of this name in the status of every thread of a process.
#[cfg(target_os = "linux")]
pub fn status_of_threads(child: &Child, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
    let status = tasks.map(|task| {
        let path = task.expect("it runs").path().join("status");
        std::fs::read_to_string(path).expect("it runs")
    });
    let of = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("every status has it")
            .trim_start_matches(':')
            .trim()
            .to_owned()
    };
    status.map(of).collect()
}

/// Numbers of signals, as masks in a status count them.
pub const HANGUP: u32 = 1;
pub const INTERRUPT: u32 = 2;

/// The signals that ask for the end. Where whoever runs the tests ignores HUP (`nohup`), the program
/// does so as well.
#[cfg(target_os = "linux")]
pub fn asking_for_the_end() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let mut ignored = status
        .lines()
        .filter_map(|line| line.strip_prefix("SigIgn:"));
    let is_ignored = ignored.any(|mask| contains(mask.trim(), HANGUP));
    let mut names = vec!["INT", "TERM"];
    names.extend((!is_ignored).then_some("HUP"));
    names
}

/// Whether a mask of signals contains this one.
pub fn contains(mask: &str, signal: u32) -> bool {
    let mask = u64::from_str_radix(mask, 16).expect("a mask is hexadecimal");
    mask >> (signal - 1) & 1 == 1
}

impl Ended {
    /// A counter of the `{"stats":…}` line.
    pub fn count(&self, name: &str) -> u64 {
        let stats = self.stats();
        stats[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    pub fn stats(&self) -> Json {
        super::stats(&self.words).unwrap_or_else(|| panic!("no statistics in:\n{}", self.words))
    }

    /// Every packet that was sent is in a row or counted as what became of it.
    pub fn accounts_for(&self, sent: u64) {
        let stats = self.stats();
        let undecoded = stats["undecoded"].as_object().expect("an object");
        let undecoded: u64 = undecoded.values().filter_map(Json::as_u64).sum();
        let ends = self.count("labelled") + undecoded + self.count("filtered");
        assert_eq!(self.count("captured"), ends, "{stats:#}");
        let lost = self.count("dropped_by_kernel") + self.count("unread");
        assert_eq!(self.count("captured") + lost, sent, "{stats:#}");
        assert_eq!(self.count("flows"), self.rows.len() as u64, "{stats:#}");
    }

    /// Every packet that was labelled is counted in a row; to be asked where none is fragmented.
    pub fn counts_each_packet(&self) {
        let of = |row: &Json, name: &str| row[name].as_u64().expect("a number");
        let packets = |row| of(row, "packets_to_server") + of(row, "packets_to_client");
        let in_rows: u64 = self.rows.iter().map(packets).sum();
        assert_eq!(in_rows, self.count("labelled"));
    }
}

pub fn row_of(rows: &[Json], port: u16) -> &Json {
    (rows.iter().find(|row| row["server_port"] == port))
        .unwrap_or_else(|| panic!("no row for port {port} in {rows:#?}"))
}

/// Tells a watch something.
pub fn signal(child: &Child, name: &str) {
    let told = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(told.expect("kill is there").success());
}

/// Has a watch stand still until it is told `CONT`.
pub fn halt(child: &Child) {
    signal(child, "STOP");
    while !status(child, "State").is_some_and(|state| state.starts_with('T')) {
        thread::yield_now();
    }
}
