//! Compressed files that expand to very much: they end with a reason or with rows, in little memory,
//! and in a time that what they expand to accounts for.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

/// What the program may use while it reads any of these: its blocks, and as much as a decompressor
/// is let have.
const MAX_MEMORY_KIB: u64 = 256 * 1024;

/// The longest for each MiB that comes out, in a build that is not optimised: most of what takes so
/// long is 65,536 records without a byte.
const MOST_FOR_A_MIB: Duration = Duration::from_millis(500);

/// The longest for what is refused by how it begins.
const MOST_TO_REFUSE: Duration = Duration::from_secs(5);

const MIB: usize = 1 << 20;

/// What became of a file.
struct Expanded {
    code: Option<i32>,
    words: String,
    rows: usize,
    peak_kib: u64,
    took: Duration,
}

impl Expanded {
    fn stats(&self) -> Json {
        common::stats(&self.words).unwrap_or_else(|| panic!("no statistics in:\n{}", self.words))
    }

    /// Little memory, and a time that is in proportion.
    fn holds(&self, what: &str, most: Duration) {
        let (peak, took) = (self.peak_kib, self.took);
        assert!(!self.words.contains("panicked"), "{what}: {}", self.words);
        assert!(peak > 1024, "{what}: the peak was read");
        assert!(peak < MAX_MEMORY_KIB, "{what}: {peak} KiB");
        assert!(took < most, "{what}: {took:?}");
    }

    /// Nothing of it could be read, and this was said.
    fn is_refused(&self, what: &str, why: &str) {
        self.holds(what, MOST_TO_REFUSE);
        assert_eq!((self.code, self.rows), (Some(3), 0), "{what}");
        assert!(self.words.contains(why), "{what}: {}", self.words);
    }

    /// It was read to its end: so many records, of which none is of a flow.
    fn is_read(&self, what: &str, size: usize, records: usize) {
        self.holds(what, MOST_FOR_A_MIB * size.div_ceil(MIB) as u32);
        assert_eq!(
            (self.code, self.rows),
            (Some(0), 0),
            "{what}: {}",
            self.words
        );
        let stats = self.stats();
        assert_eq!(stats["captured"], records, "{what}: {stats:#}");
        assert_eq!(common::wrong_counts(&stats, b""), None, "{what}");
    }
}

/// Labels a file with these bytes; reads the peak of the program's memory as it runs.
fn label(bytes: &[u8]) -> Expanded {
    let folder = TempDir::new().expect("there is room");
    let path = folder.path().join("bomb");
    fs::write(&path, bytes).expect("there is room");
    label_file(&path)
}

fn label_file(path: &Path) -> Expanded {
    let mut command = common::wiretag();
    command.args(common::LABEL).arg(path);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().expect("the program runs");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut stderr = child.stderr.take().expect("it is piped");
    thread::scope(|scope| {
        let rows = scope.spawn(move || {
            let mut text = String::new();
            (stdout.read_to_string(&mut text)).map(|_| text.lines().count())
        });
        let words = scope.spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let (code, peak_kib) = common::watch_memory(&mut child);
        Expanded {
            code,
            took: began.elapsed(),
            words: words.join().expect("it ends").expect("text"),
            rows: rows.join().expect("it ends").expect("text"),
            peak_kib,
        }
    })
}

/// How files are compressed.
#[derive(Clone, Copy, Debug)]
enum Way {
    Gzip,
    Zstandard,
    Xz,
}

const WAYS: [Way; 3] = [Way::Gzip, Way::Zstandard, Way::Xz];

/// One member, frame or stream: files may have many of these, one after the other.
fn compressed(way: Way, bytes: &[u8]) -> Vec<u8> {
    const IN_MEMORY: &str = "a vector takes all";
    match way {
        Way::Gzip => {
            let level = flate2::Compression::default();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(bytes).expect(IN_MEMORY);
            gzip.finish().expect(IN_MEMORY)
        }
        Way::Zstandard => zstd::encode_all(bytes, 1).expect(IN_MEMORY),
        Way::Xz => liblzma::encode_all(bytes, 1).expect(IN_MEMORY),
    }
}

/// The first bytes, then the others so many times over.
fn bomb(way: Way, first: &[u8], again: &[u8], times: usize) -> Vec<u8> {
    let file = [compressed(way, first), compressed(way, again).repeat(times)].concat();
    let expanded = first.len() + again.len() * times;
    assert!(expanded > 100 * file.len(), "{way:?}: a bomb");
    file
}

/// How a pcap file begins.
fn header() -> Vec<u8> {
    let words = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn what_begins_as_no_capture_is_not_expanded() {
    for way in WAYS {
        let bomb = bomb(way, b"", &vec![0; MIB], 256);
        let what = format!("zeros in {way:?}");
        label(&bomb).is_refused(&what, "not a capture file");
    }
}

#[test]
fn a_header_before_zeros_is_so_many_records_without_a_byte() {
    const SIZE: usize = 8 * MIB;
    for way in WAYS {
        let bomb = bomb(way, &header(), &vec![0; MIB], SIZE / MIB);
        let what = format!("a header and zeros in {way:?}");
        label(&bomb).is_read(&what, SIZE, SIZE / 16);
    }
}

#[test]
fn the_longest_records_of_zeros_are_read_in_little_memory() {
    /// As long as captured packets can be.
    const LENGTH: u32 = 262_144;
    const RECORDS: usize = 512;
    let record: Vec<u8> = [1, 0, LENGTH, LENGTH]
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .chain(std::iter::repeat_n(0, LENGTH as usize))
        .collect();
    for way in WAYS {
        let bomb = bomb(way, &header(), &record, RECORDS);
        let what = format!("records of zeros in {way:?}");
        label(&bomb).is_read(&what, RECORDS * record.len(), RECORDS);
    }
}

#[test]
fn a_file_in_a_file_is_not_expanded_twice() {
    for inner in WAYS {
        for outer in WAYS {
            let inside = bomb(inner, &header(), &vec![0; MIB], 256);
            let what = format!("{inner:?} in {outer:?}");
            label(&compressed(outer, &inside)).is_refused(&what, "not a capture file");
        }
    }
}

/// A frame of zstd with a window of two to this power, in which a byte is repeated for so many
/// blocks of 128 KiB (RFC 8878 3.1.1).
fn zstd_frame(window_log: u8, first: &[u8], blocks: usize) -> Vec<u8> {
    const RAW: u32 = 0;
    const REPEATED: u32 = 1;
    let block = |is_last: bool, kind: u32, len: usize| {
        let head = (len as u32) << 3 | kind << 1 | u32::from(is_last);
        head.to_le_bytes()[..3].to_vec()
    };
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    frame.extend(block(false, RAW, first.len()));
    frame.extend(first);
    for left in (0..blocks).rev() {
        frame.extend(block(left == 0, REPEATED, 128 * 1024));
        frame.push(0);
    }
    frame
}

#[test]
fn a_window_of_zstd_takes_no_more_than_it_takes_unasked() {
    const BLOCKS: usize = 64;
    const SIZE: usize = BLOCKS * 128 * 1024;
    let most = zstd_frame(27, &header(), BLOCKS);
    label(&most).is_read("the largest window", SIZE, SIZE / 16);
    for window_log in [28, 31, 41] {
        let what = format!("a window of 2^{window_log}");
        let more = zstd_frame(window_log, &header(), BLOCKS);
        label(&more).is_refused(&what, "zstd");
    }
}

#[test]
fn a_dictionary_of_xz_that_would_take_gigabytes_is_refused() {
    let mut file = compressed(Way::Xz, &header());
    // The head of the first block begins behind that of the stream; of LZMA2 the dictionary's size
    // is the one property (xz-file-format 3.1, 5.3.1).
    const BLOCK: usize = 12;
    let len = (usize::from(file[BLOCK]) + 1) * 4;
    assert_eq!(
        file[BLOCK + 2..BLOCK + 4],
        [0x21, 1],
        "LZMA2 with one property"
    );
    for size in [35, 40] {
        file[BLOCK + 4] = size;
        let mut check = flate2::Crc::new();
        check.update(&file[BLOCK..BLOCK + len - 4]);
        file[BLOCK + len - 4..BLOCK + len].copy_from_slice(&check.sum().to_le_bytes());
        label(&file).is_refused(&format!("a dictionary of size {size}"), "xz");
    }
}
