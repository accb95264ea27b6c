//! Captures changed as disks, networks, tools and liars change them, at places that a seed chooses.

use std::io::Write;
use std::ops::Range;

use super::bench::Seeded;

/// Changes a capture in a way that the seed chooses; packing it comes last, for nothing is found in it
/// then.
pub fn change(bytes: &mut Vec<u8>, times: u64, seeded: &mut Seeded) {
    for _ in 0..times {
        let records = records(bytes);
        WAYS[seeded.below(WAYS.len())](bytes, &records, seeded);
    }
    if seeded.below(6) == 0 {
        *bytes = packed(bytes, seeded);
    }
}

type Way = fn(&mut Vec<u8>, &[Range<usize>], &mut Seeded);

const WAYS: &[Way] = &[
    // The end is missing.
    |bytes, _, seeded| bytes.truncate(seeded.below(bytes.len())),
    // Some bytes are missing.
    |bytes, _, seeded| {
        let place = seeded.below(bytes.len());
        let end = (place + seeded.below(64)).min(bytes.len());
        bytes.drain(place..end);
    },
    |bytes, _, seeded| {
        let place = seeded.below(bytes.len());
        let len = 1 + seeded.below(4);
        put_extreme(bytes, place, len, seeded);
    },
    |bytes, _, seeded| flip(bytes, seeded),
    exchange,
    repeat,
    |bytes, records, seeded| {
        if let Some(one) = any(records, seeded) {
            bytes.drain(one);
        }
    },
    // A header of a record, a block's or an option's code or length: what leads on to the next.
    |bytes, records, seeded| {
        if let Some(one) = any(records, seeded) {
            let place = one.start + seeded.below(one.len() / 2) * 2;
            put_extreme(bytes, place, 2 + 2 * seeded.below(2), seeded);
        }
    },
    // A block's length at its end, or the last bytes of a frame.
    |bytes, records, seeded| {
        if let Some(one) = any(records, seeded) {
            put_extreme(bytes, one.end - 4, 4, seeded);
        }
    },
    |bytes, _, seeded| {
        let magic = MAGIC[seeded.below(MAGIC.len())];
        put(bytes, 0, &magic.to_le_bytes());
    },
    |bytes, records, seeded| link_type(bytes, records, seeded),
    // The snap length is not what it was.
    |bytes, _, seeded| {
        if is_pcap(bytes) {
            put_extreme(bytes, 16, 4, seeded);
        }
    },
    cut_short,
    |bytes, records, _| turn(bytes, records),
];

/// What a file begins with: pcap with times in micro- and nanoseconds in both byte orders, two of its
/// relatives, pcapng.
const MAGIC: &[u32] = &[
    0xa1b2_c3d4,
    0xd4c3_b2a1,
    0xa1b2_3c4d,
    0x4d3c_b2a1,
    0xa1b2_cd34,
    0x3412_cda1,
    0x0a0d_0d0a,
];

/// Link types that are read, some that are not, and one that nobody has.
const LINKS: &[u16] = &[
    0, 1, 6, 9, 12, 50, 101, 104, 105, 107, 108, 113, 127, 189, 228, 229, 239, 253, 276, 65_535,
];

fn is_pcap(bytes: &[u8]) -> bool {
    matches!(word(bytes, 0), Some(0xa1b2_c3d4 | 0xa1b2_3c4d))
}

fn is_pcapng(bytes: &[u8]) -> bool {
    word(bytes, 0) == Some(0x0a0d_0d0a)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().expect("four bytes");
    Some(u32::from_le_bytes(four))
}

/// The records of a pcap file in the byte order of this machine, or the blocks of a pcapng file;
/// nothing of what is neither.
fn records(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut at, before, header) = match (is_pcap(bytes), is_pcapng(bytes)) {
        (true, _) => (FILE_HEADER, 8, RECORD_HEADER),
        (_, true) => (0, 4, 0),
        _ => return Vec::new(),
    };
    let mut records = Vec::new();
    while let Some(length) = word(bytes, at + before) {
        let end = at + length as usize + header;
        if end > bytes.len() || end < at + 12 {
            break;
        }
        records.push(at..end);
        at = end;
    }
    records
}

/// Bytes before the first record of a pcap file, and before the frame of each.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

fn any(records: &[Range<usize>], seeded: &mut Seeded) -> Option<Range<usize>> {
    records.get(seeded.below(records.len())).cloned()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (old, new) in bytes.iter_mut().skip(at).zip(new) {
        *old = *new;
    }
}

/// A number at the end of what there is, in either byte order.
fn put_extreme(bytes: &mut [u8], at: usize, len: usize, seeded: &mut Seeded) {
    let number = [0, u32::MAX, 1, 0x8000_0000, 0x7fff_ffff, 0xffff, 3][seeded.below(7)];
    let new = match seeded.below(2) {
        0 => number.to_be_bytes(),
        _ => number.to_le_bytes(),
    };
    put(bytes, at, &new[..len.min(4)]);
}

/// A byte in a hundred changes, or one in ten.
fn flip(bytes: &mut [u8], seeded: &mut Seeded) {
    let every = [100, 10][seeded.below(2)];
    for byte in bytes.iter_mut().skip(FILE_HEADER) {
        if seeded.below(every) == 0 {
            *byte ^= 1 << seeded.below(8);
        }
    }
}

/// Records change places.
fn exchange(bytes: &mut Vec<u8>, records: &[Range<usize>], seeded: &mut Seeded) {
    let (Some(one), Some(other)) = (any(records, seeded), any(records, seeded)) else {
        return;
    };
    let (first, second) = match one.start < other.start {
        true => (one, other),
        false => (other, one),
    };
    if first.end <= second.start {
        let parts = [
            &bytes[..first.start],
            &bytes[second.clone()],
            &bytes[first.end..second.start],
            &bytes[first],
            &bytes[second.end..],
        ];
        *bytes = parts.concat();
    }
}

/// A record comes again, elsewhere, up to some hundred times.
fn repeat(bytes: &mut Vec<u8>, records: &[Range<usize>], seeded: &mut Seeded) {
    let (Some(one), Some(before)) = (any(records, seeded), any(records, seeded)) else {
        return;
    };
    let again = bytes[one].repeat([1, 1, 2, 200][seeded.below(4)]);
    let at = before.start;
    bytes.splice(at..at, again).for_each(drop);
}

/// The link type of the file, or of one of its interfaces.
fn link_type(bytes: &mut [u8], records: &[Range<usize>], seeded: &mut Seeded) {
    let link = LINKS[seeded.below(LINKS.len())].to_le_bytes();
    if is_pcap(bytes) {
        put(bytes, 20, &link);
        return;
    }
    let interfaces = records.iter().filter(|at| word(bytes, at.start) == Some(1));
    let interfaces: Vec<_> = interfaces.cloned().collect();
    if let Some(one) = any(&interfaces, seeded) {
        put(bytes, one.start + 8, &link);
    }
}

/// Every frame as a smaller snap length would have left it.
fn cut_short(bytes: &mut Vec<u8>, records: &[Range<usize>], seeded: &mut Seeded) {
    if !is_pcap(bytes) {
        return;
    }
    let snap_length = [0, 1, 14, 34, 54, 64, 96, 200][seeded.below(8)];
    let mut cut = bytes[..FILE_HEADER].to_vec();
    for record in records {
        let frame = record.start + RECORD_HEADER..record.end;
        let len = frame.len().min(snap_length);
        let header = cut.len();
        cut.extend(&bytes[record.start..frame.start + len]);
        put(&mut cut, header + 8, &(len as u32).to_le_bytes());
    }
    *bytes = cut;
}

/// The whole file as a machine of the other byte order would have written it.
fn turn(bytes: &mut [u8], records: &[Range<usize>]) {
    if !is_pcap(bytes) {
        return;
    }
    let headers = records
        .iter()
        .map(|record| record.start..record.start + RECORD_HEADER);
    let words = [0, 8, 12, 16, 20].map(|at| at..at + 4);
    let halves = [4..6, 6..8];
    let words = (headers.flat_map(|header| (0..4).map(move |n| header.start + 4 * n)))
        .map(|at| at..at + 4)
        .chain(words);
    let all: Vec<_> = words.chain(halves).collect();
    all.into_iter().for_each(|field| bytes[field].reverse());
}

/// As a compressed file, whole or damaged.
fn packed(bytes: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let mut packed = match seeded.below(3) {
        0 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).expect("in memory");
            gzip.finish().expect("in memory")
        }
        1 => zstd::encode_all(bytes, 1).expect("in memory"),
        _ => {
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
            xz.write_all(bytes).expect("in memory");
            xz.finish().expect("in memory")
        }
    };
    match seeded.below(4) {
        0 => {}
        1 => packed.truncate(seeded.below(packed.len())),
        2 => {
            let place = seeded.below(packed.len());
            put_extreme(&mut packed, place, 4, seeded);
        }
        // Another member behind it, or what is none.
        _ => {
            let place = seeded.below(packed.len());
            let again = packed[place..].to_vec();
            packed.extend(again);
        }
    }
    packed
}
