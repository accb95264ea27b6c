//! How far workers scale, also beyond the cores of this machine: each worker is given a load of
//! its own, which it sleeps through, so that any number of them can be busy at once.
//! `cargo bench --bench workers`

mod captures;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use captures::{ALL, Size};
use wiretag::attribute::networks::Networks;
use wiretag::catalog::Catalog;
use wiretag::run::{self, Settings};
use wiretag::source::files::Files;

/// The capture is so many times smaller than usual.
const DIVISOR: u32 = 25;

/// What a packet costs a worker, beside what it really does: so much that the reader and the
/// collector, which are not slowed down, wait for up to some dozens of workers.
const LOAD: Duration = Duration::from_micros(10);

const WORKERS: &[usize] = &[1, 2, 4, 8, 16, 32];

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("small.pcap");
    let small = (ALL.iter().find(|kind| kind.name == "small")).expect("there is one");
    let size = Size {
        packets: small.size.packets / u64::from(DIVISOR),
        flows: small.size.flows / DIVISOR,
    };
    let mut out = BufWriter::new(File::create(&capture)?);
    let packets = (small.write)(&mut out, size)?;
    out.flush()?;
    drop(out);
    println!("{packets} {}", small.about);
    println!("workers    seconds  times as fast  packets a second");
    let mut alone = None;
    for &workers in WORKERS {
        let (seconds, found) = measure(&capture, workers);
        let (alone, flows) = *alone.get_or_insert((seconds, found));
        assert_eq!(
            found, flows,
            "the flows are the same with any number of workers"
        );
        println!(
            "{workers:>7} {seconds:>10.2} {:>14.1} {:>17.0}",
            alone / seconds,
            packets as f64 / seconds
        );
    }
    Ok(())
}

/// How many seconds so many workers take, and how many flows they find.
fn measure(capture: &PathBuf, workers: usize) -> (f64, u64) {
    let catalog = Catalog::built_in();
    let settings = Settings {
        workers,
        max_flows: run::DEFAULT_MAX_FLOWS,
        networks: Networks::default(),
        after_batch: |packets| thread::sleep(LOAD * packets as u32),
    };
    let mut files = Files::open(std::slice::from_ref(capture), None);
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let outcome = run::files(&mut files, &catalog, &settings, &stop, &|_| {}, &mut |_| {
        Ok(())
    });
    let seconds = begin.elapsed().as_secs_f64();
    (seconds, outcome.stats.flows)
}
