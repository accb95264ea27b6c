//! Captures cut, flipped and lied about: never a panic, the fault told with its place, and the
//! packets before it labelled as if the file had ended there.
//!
//! In-process, where the program would have to be started thousands of times.

mod common;

use std::fs;
use std::path::Path;

use common::bench::{Bench, Seeded};
use wiretag::source::error::Fault;

/// Captures larger than this are torn at fewer places.
const SMALL: usize = 16 * 1024;

/// Places in a larger capture.
const PLACES: usize = 12;

/// Bytes flipped in each capture, one at a time.
const FLIPS: usize = 40;

/// That a file with this fault in the block that begins at `start` is read as one that ends
/// there, and that the fault is told.
fn expect_fault_at(bench: &Bench, what: &str, torn: &[u8], good: &[u8], start: usize) -> Fault {
    let labelled = bench.label(torn);
    let clean = bench.label(&good[..start]);
    assert!(clean.errors.is_empty(), "{what}: {:?}", clean.errors);
    assert!(
        labelled.rows == clean.rows,
        "{what}: not the rows of what came before"
    );
    let [error] = &labelled.errors[..] else {
        panic!("{what}: not one error: {:?}", labelled.errors);
    };
    assert_eq!(error.file, bench.path, "{what}");
    assert_eq!(error.offset, Some(start as u64), "{what}: {error}");
    assert_eq!(error.frames, clean.stats.captured, "{what}: {error}");
    assert!(!error.fault.remedy().is_empty(), "{what}");
    error.fault.clone()
}

/// Some of these places; all of them in a small capture.
fn some<T: Copy>(of: &[T], capture: &[u8], seeded: &mut Seeded) -> Vec<T> {
    match capture.len() <= SMALL {
        true => of.to_vec(),
        false => (0..PLACES).map(|_| of[seeded.below(of.len())]).collect(),
    }
}

/// Every capture of ours with its name, and numbers of its own.
fn pcaps() -> impl Iterator<Item = (String, Vec<u8>, Seeded)> {
    (common::pcaps().into_iter().zip(1..)).map(|(path, seed)| {
        let bytes = common::bytes(&path);
        (path.display().to_string(), bytes, Seeded(seed))
    })
}

/// Where packet blocks begin.
fn packet_starts(pcapng: &[u8]) -> Vec<usize> {
    let blocks = common::blocks(pcapng);
    let packets = common::packet_blocks(pcapng);
    packets.iter().map(|packet| blocks[*packet].start).collect()
}

#[test]
fn cut_between_records_a_capture_is_whole() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        let starts = packet_starts(&bytes);
        for start in some(&starts, &bytes, &mut seeded) {
            let labelled = bench.label(&bytes[..start]);
            let before = starts.iter().filter(|one| **one < start).count();
            assert!(
                labelled.errors.is_empty(),
                "{name} at {start}: {:?}",
                labelled.errors
            );
            assert_eq!(labelled.stats.captured, before as u64, "{name} at {start}");
        }
    }
}

#[test]
fn cut_within_a_record_a_capture_gives_what_came_before() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        for start in some(&packet_starts(&bytes), &bytes, &mut seeded) {
            let length = common::word(&bytes, start + 4) as usize;
            for cut in [1, length - 1, 1 + seeded.below(length - 1)] {
                let what = format!("{name} cut at {}", start + cut);
                let fault = expect_fault_at(&bench, &what, &bytes[..start + cut], &bytes, start);
                assert!(matches!(fault, Fault::Cut { .. }), "{what}: {fault}");
            }
        }
    }
}

#[test]
fn cut_within_its_first_blocks_a_capture_is_a_fault_or_without_packets() {
    let bench = Bench::new();
    for (name, bytes, _) in pcaps() {
        for cut in 0..packet_starts(&bytes)[0] {
            let labelled = bench.label(&bytes[..cut]);
            assert!(labelled.rows.is_empty(), "{name} cut at {cut}");
            let is_between = common::blocks(&bytes).iter().any(|block| block.end == cut);
            assert_eq!(
                labelled.errors.is_empty(),
                is_between,
                "{name} cut at {cut}"
            );
        }
        if bytes.len() > SMALL {
            // The first blocks differ little: a few captures show all there is.
            break;
        }
    }
}

#[test]
fn a_wrong_block_length_ends_the_reading_at_that_block() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        for start in some(&packet_starts(&bytes), &bytes, &mut seeded) {
            let length = common::word(&bytes, start + 4);
            let end = start + length as usize - 4;
            let wrong = [0, u32::MAX, length - 1, length + 1, length - 4, length + 4];
            // Told at the start of the block, and again at its end.
            for at in [start + 4, end] {
                let lie = wrong[seeded.below(wrong.len())];
                let mut torn = bytes.clone();
                torn[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                let what = format!("{name}: {length} is {lie} at {at}");
                expect_fault_at(&bench, &what, &torn, &bytes, start);
            }
        }
    }
}

#[test]
fn a_block_longer_than_the_file_ends_the_reading_at_that_block() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        let starts = packet_starts(&bytes);
        for start in some(&starts, &bytes, &mut seeded) {
            let mut torn = bytes.clone();
            torn[start + 4..start + 8].copy_from_slice(&(u32::MAX - 3).to_le_bytes());
            let labelled = bench.label(&torn);
            let [error] = &labelled.errors[..] else {
                panic!("{name} at {start}: {:?}", labelled.errors);
            };
            assert_eq!(error.offset, Some(start as u64), "{name}: {error}");
            assert!(matches!(error.fault, Fault::Cut { .. }), "{name}: {error}");
            // Where the rest of the file is more than is looked at ahead, the packet in the block
            // itself was there, and is used.
            let before = starts.iter().filter(|one| **one < start).count() as u64;
            assert!(
                [before, before + 1].contains(&error.frames),
                "{name}: {error}"
            );
            assert_eq!(labelled.stats.captured, error.frames, "{name}: {error}");
        }
    }
}

#[test]
fn a_captured_length_beyond_its_block_ends_the_reading_at_that_block() {
    /// Bytes of an enhanced packet block around its packet.
    const AROUND: u32 = 32;
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        for start in some(&packet_starts(&bytes), &bytes, &mut seeded) {
            let room = common::word(&bytes, start + 4) - AROUND;
            for lie in [room + 1, u32::MAX, 0x8000_0000] {
                let mut torn = bytes.clone();
                torn[start + 20..start + 24].copy_from_slice(&lie.to_le_bytes());
                let what = format!("{name}: {lie} captured at {start}");
                let fault = expect_fault_at(&bench, &what, &torn, &bytes, start);
                assert!(
                    matches!(fault, Fault::CapturedLength { .. }),
                    "{what}: {fault}"
                );
            }
        }
    }
}

#[test]
fn a_packet_that_is_said_to_be_shorter_or_longer_is_taken_as_it_is_said() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        let starts = packet_starts(&bytes);
        for start in some(&starts, &bytes, &mut seeded) {
            // Captured length, then length on the wire.
            for field in [start + 20, start + 24] {
                let told = common::word(&bytes, field);
                let shorter = seeded.below(told.max(1) as usize) as u32;
                for lie in [0, told.saturating_sub(1), shorter] {
                    let mut torn = bytes.clone();
                    torn[field..field + 4].copy_from_slice(&lie.to_le_bytes());
                    let labelled = bench.label(&torn);
                    assert!(
                        labelled.errors.is_empty(),
                        "{name} at {field}: {:?}",
                        labelled.errors
                    );
                    assert_eq!(
                        labelled.stats.captured,
                        starts.len() as u64,
                        "{name} at {field}"
                    );
                }
            }
        }
    }
}

#[test]
fn flipped_bytes_never_make_it_panic_and_are_read_the_same_by_all_workers() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        for _ in 0..FLIPS {
            let mut torn = bytes.clone();
            let at = seeded.below(torn.len());
            torn[at] ^= 1 << seeded.below(8);
            let one = bench.label(&torn);
            for error in &one.errors {
                // Before the bit or behind it: a block that has lost its kind is missed later.
                let offset = error.offset.expect("it was opened");
                assert!(offset <= bytes.len() as u64, "{name}: {error}");
            }
            let three = bench.label_with(&torn, 3);
            assert!(one.rows == three.rows, "{name}, bit flipped at {at}");
            assert_eq!(one.errors, three.errors, "{name}, bit flipped at {at}");
        }
    }
}

#[test]
fn many_flipped_bytes_never_make_it_panic() {
    let bench = Bench::new();
    for (_, bytes, mut seeded) in pcaps() {
        let packets = packet_starts(&bytes);
        for _ in 0..PLACES {
            let mut torn = bytes.clone();
            for _ in 0..bytes.len() / 64 {
                // In packets alone: a file that cannot be read shows nothing more.
                let start = packets[seeded.below(packets.len())];
                let captured = common::word(&bytes, start + 20) as usize;
                torn[start + 28 + seeded.below(captured)] = seeded.below(256) as u8;
            }
            let labelled = bench.label(&torn);
            assert!(labelled.errors.is_empty(), "{:?}", labelled.errors);
            assert_eq!(labelled.stats.captured, packets.len() as u64);
        }
    }
}

#[test]
fn records_in_any_order_never_make_it_panic() {
    let bench = Bench::new();
    for (name, bytes, mut seeded) in pcaps() {
        let blocks = common::blocks(&bytes);
        let packets = common::packet_blocks(&bytes);
        let mut order: Vec<usize> = packets.clone();
        for at in (1..order.len()).rev() {
            order.swap(at, seeded.below(at + 1));
        }
        let mut torn = bytes[..blocks[packets[0]].start].to_vec();
        for block in order {
            torn.extend(&bytes[blocks[block].clone()]);
        }
        let one = bench.label(&torn);
        assert_eq!(one.stats.captured, packets.len() as u64, "{name}");
        assert!(one.rows == bench.label_with(&torn, 3).rows, "{name}");
    }
}

#[test]
fn the_program_ends_with_exit_code_1_where_a_capture_is_torn() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("torn.pcapng");
    for (name, bytes, mut seeded) in pcaps() {
        let starts = packet_starts(&bytes);
        let start = starts[1 + seeded.below(starts.len() - 1)];
        fs::write(&path, &bytes[..start + 5]).expect("there is room");
        let run = common::label([Path::new(&path)]);
        assert_eq!(run.code, Some(1), "{name}: {}", run.stderr);
        assert!(!run.rows().is_empty(), "{name}");
        assert_eq!(run.stats()["damaged"], 1, "{name}");
        let said = format!("torn.pcapng: at byte {start}: the file ends within a record");
        assert!(run.stderr.contains(&said), "{name}: {}", run.stderr);
    }
}
