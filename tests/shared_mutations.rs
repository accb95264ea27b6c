//! Public captures, whole and changed at places that a seed chooses: the program neither panics nor
//! hangs nor grows, and its counts add up. The captures are not part of the project:
//! `WIRETAG_SHARED` names the folder that holds them under `captures/`; `WIRETAG_ROUNDS` says in how
//! many ways each is changed, `WIRETAG_SEED` from where on.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::bench::Seeded;
use common::changes::change;
use common::{LABEL, live};
use tempfile::NamedTempFile;

/// Ways in which each capture is changed, unless more are asked for.
const ROUNDS: u64 = 3;

/// What a run may use, as the README promises.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;

/// How long a run may take, and how much longer for each megabyte. Public captures take a tenth of
/// that on an idle machine and without the compiler's help.
const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_TIME_A_MEGABYTE: Duration = Duration::from_secs(5);

/// What is told of, but may be the machine's fault.
const SECOND: Duration = Duration::from_secs(1);

fn number(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn captures() -> Vec<PathBuf> {
    let shared = std::env::var_os("WIRETAG_SHARED").expect("WIRETAG_SHARED is set");
    let walk = walkdir::WalkDir::new(PathBuf::from(shared).join("captures")).sort_by_file_name();
    let files = walk.into_iter().map(|entry| entry.expect("it can be read"));
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending != "md"))
        .collect()
}

/// What is wrong with how the program took this file, and how long it took.
fn run(path: &Path, size: usize) -> (Vec<String>, Duration) {
    let mut command = common::wiretag();
    command
        .args(LABEL)
        .args(["--workers", "2"])
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program runs");
    let read = |mut from: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut all = Vec::new();
            from.read_to_end(&mut all).map(|_| all).expect("a pipe")
        })
    };
    let rows = read(Box::new(child.stdout.take().expect("it is piped")));
    let words = read(Box::new(child.stderr.take().expect("it is piped")));
    let megabytes = (size >> 20) as u32;
    let patience = MAX_TIME + MAX_TIME_A_MEGABYTE * megabytes;
    let ended = live::wait_for(&mut child, patience);
    let took = begun.elapsed();
    let rows = rows.join().expect("it ends with the pipe");
    let words = String::from_utf8_lossy(&words.join().expect("it ends with the pipe")).into_owned();
    let mut faults = Vec::new();
    let Some((code, peak_kib)) = ended else {
        return (vec![format!("it did not end within {patience:?}")], took);
    };
    if !matches!(code, Some(0 | 1 | 3)) || words.contains("panicked") {
        faults.push(format!("it ended with {code:?}: {words}"));
    }
    if peak_kib > MAX_MEMORY_KIB {
        faults.push(format!("it took {peak_kib} KiB"));
    }
    match common::stats(&words) {
        Some(stats) => faults.extend(common::wrong_counts(&stats, &rows)),
        None => faults.push(format!("it told no statistics: {words}")),
    }
    (faults, took)
}

#[test]
#[ignore = "needs the shared captures"]
fn no_public_capture_whole_or_changed_breaks_the_program() {
    let captures = captures();
    assert!(captures.len() > 100, "{}", captures.len());
    let (rounds, seed) = (number("WIRETAG_ROUNDS", ROUNDS), number("WIRETAG_SEED", 1));
    let (mut runs, mut slow, mut faults) = (0, 0, Vec::new());
    let mut slowest = (Duration::ZERO, String::new());
    for (capture, path) in (1_u64..).zip(&captures) {
        let whole = fs::read(path).expect("it can be read");
        for round in 0..=rounds {
            let mut bytes = whole.clone();
            let mut seeded = Seeded(seed << 40 | capture << 20 | round);
            // Round 0 is the capture as it is.
            if round > 0 {
                change(&mut bytes, 1 + round % 3, &mut seeded);
            }
            let file = NamedTempFile::new().expect("there is room");
            fs::write(file.path(), &bytes).expect("there is room");
            let (wrong, took) = run(file.path(), bytes.len());
            let name = format!("{} in round {round} of seed {seed}", path.display());
            runs += 1;
            slow += u32::from(took > SECOND);
            if !wrong.is_empty() {
                println!("{name}: {wrong:?}");
                faults.push(name.clone());
            }
            if took > slowest.0 {
                slowest = (took, name);
            }
        }
    }
    println!(
        "{runs} runs, {} faults; {slow} took more than a second, the slowest {slowest:?}",
        faults.len()
    );
    assert_eq!(faults, Vec::<String>::new());
}
