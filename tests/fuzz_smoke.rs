//! The fuzz targets over their seeds, and over seeds that a small mutator of our own has changed:
//! the same in every run, without a fuzzer. What a fuzzer found once lies in `tests/found/`.

use std::fs;
use std::path::Path;

use common::bench::Seeded;

mod common;
#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
mod targets;

/// Changed inputs for each target: some seconds in all.
const ROUNDS: usize = 1500;

/// A seed, changed at up to four places.
fn change(seeded: &mut Seeded, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[seeded.below(seeds.len())].clone();
    for _ in 0..=seeded.below(4) {
        let at = seeded.below(bytes.len());
        let number = [0, 1, 0x7f, 0x80, 0xfe, 0xff][seeded.below(6)];
        match (seeded.below(6), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << seeded.below(8),
            (1, Some(byte)) => *byte = number,
            (2, Some(byte)) => *byte = byte.wrapping_add(1),
            (3, _) => bytes.truncate(at),
            (4, _) => bytes.splice(at..at, vec![number; 4]).for_each(drop),
            _ => {
                let other = &seeds[seeded.below(seeds.len())];
                let from = seeded.below(other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

#[test]
fn no_seed_and_no_changed_seed_breaks_a_promise() {
    let seeds = targets::seeds::all(Path::new(env!("CARGO_MANIFEST_DIR")));
    for (name, run) in targets::TARGETS {
        let seeds = &seeds[name];
        assert!(seeds.len() > 50, "{name} has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| run(seed));
        let mut seeded = Seeded(1);
        (0..ROUNDS).for_each(|_| run(&change(&mut seeded, seeds)));
    }
}

#[test]
fn what_fuzzing_found_once_is_not_found_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found");
    for (name, run) in targets::TARGETS {
        let Ok(found) = fs::read_dir(folder.join(name)) else {
            continue;
        };
        for entry in found {
            let path = entry.expect("it can be read").path();
            println!("{}", path.display());
            run(&fs::read(path).expect("it can be read"));
        }
    }
}
