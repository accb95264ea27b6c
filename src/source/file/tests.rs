//! Whole files through the reader: the real thing, the refusal, torn, and beyond the bounds.

use std::io::{Cursor, Write};

use crate::model::packet::{CaptureId, LinkType};
use crate::source::block::{MAX_RECORDS, Pool};
use crate::source::error::{Compression, Fault};
use crate::source::file::input::{Input, Patience};
use crate::source::file::samples::*;
use crate::source::file::{FaultAt, FileReader, MAX_KEPT};

const W: Written = Written::Little;

/// What was read of a file.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Frame number, nanoseconds, link type, wire length, bytes.
    records: Vec<(u64, i64, u16, u32, Vec<u8>)>,
    fault: Option<FaultAt>,
    frames: u64,
}

impl Seen {
    fn data(&self) -> Vec<&[u8]> {
        self.records.iter().map(|record| &*record.4).collect()
    }

    fn nanos(&self) -> Vec<i64> {
        self.records.iter().map(|record| record.1).collect()
    }
}

/// Reads a file with blocks of so many bytes.
fn seen_by(pool: usize, file: &[u8]) -> Seen {
    let source = Box::new(Cursor::new(file.to_vec()));
    let open = |fault| FaultAt {
        offset: None,
        fault,
    };
    let reader = Input::new(source, Patience::Fill)
        .map_err(open)
        .and_then(|input| FileReader::open(input, Pool::new(pool), CaptureId(3)));
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(fault) => {
            return Seen {
                fault: Some(fault),
                ..Seen::default()
            };
        }
    };
    let mut seen = Seen::default();
    while let Some(unit) = reader.next() {
        assert!(!unit.records.is_empty() && unit.records.len() <= MAX_RECORDS);
        for record in &unit.records {
            assert_eq!(record.frame.capture, CaptureId(3));
            let bytes = unit.bytes(record.bytes).to_vec();
            assert_eq!(bytes.len(), record.bytes.len as usize);
            let LinkType(link) = record.link;
            let row = (
                record.frame.number,
                record.time.nanos(),
                link,
                record.wire_len,
                bytes,
            );
            seen.records.push(row);
        }
    }
    assert!(reader.next().is_none(), "the end stays the end");
    seen.fault = reader.fault().cloned();
    seen.frames = reader.frames();
    seen
}

fn seen(file: &[u8]) -> Seen {
    seen_by(1 << 16, file)
}

fn fault(file: &[u8]) -> (Option<u64>, Fault) {
    let at = seen(file).fault.expect("a fault");
    (at.offset, at.fault)
}

#[test]
fn every_kind_of_pcap_is_read_in_both_byte_orders() {
    let kinds = [
        (0xa1b2_c3d4, 0, 0, 7_000_000_008_000),
        (0xa1b2_3c4d, 0, 0, 7_000_000_000_008),
        (0xa1b2_cd34, 0, 8, 7_000_000_008_000),
        (0x1c00_01ac, 4, 0, 7_000_000_008_000),
        (0x1c00_01ab, 4, 0, 7_000_000_008_000),
    ];
    for w in [Written::Little, Written::Big] {
        for (magic, after_header, after_record_header, nanos) in kinds {
            let mut file = pcap_header(w, magic, (2, 4), 1);
            file.extend(vec![0; after_header]);
            for data in [b"abc", b"def"] {
                file.extend(pcap_record_header(w, (7000, 8), (3, 60)));
                file.extend(vec![0; after_record_header]);
                file.extend(data);
            }
            let seen = seen(&file);
            assert_eq!(seen.fault, None, "{magic:08x}");
            let expected = |number, data: &[u8]| (number, nanos, 1, 60, data.to_vec());
            assert_eq!(seen.records, [expected(1, b"abc"), expected(2, b"def")]);
        }
    }
}

#[test]
fn the_frame_check_length_is_no_part_of_the_link_type() {
    let mut file = pcap_header(W, 0xa1b2_c3d4, (2, 4), 0x4400_0001);
    file.extend(pcap_record(W, (1, 0), b"a"));
    assert_eq!(seen(&file).records[0].2, 1);
}

#[test]
fn the_order_of_lengths_follows_the_version() {
    for (version, first, second) in [
        ((2, 2), 60, 1),
        ((543, 0), 60, 1),
        ((2, 3), 1, 60),
        ((2, 3), 60, 1),
        ((2, 4), 1, 60),
    ] {
        let mut file = pcap_header(W, 0xa1b2_c3d4, version, 1);
        file.extend(pcap_record_header(W, (1, 0), (first, second)));
        file.extend(b"a");
        let seen = seen(&file);
        assert_eq!(
            (&*seen.records[0].4, seen.records[0].3),
            (&b"a"[..], 60),
            "{version:?}"
        );
    }
}

#[test]
fn an_aix_capture_has_interface_types_and_nanoseconds() {
    let mut file = pcap_header(Written::Big, 0xa1b2_c3d4, (2, 2), 6);
    file.extend(pcap_record_header(Written::Big, (1, 5), (60, 1)));
    file.extend(b"a");
    let seen = seen(&file);
    assert_eq!((seen.records[0].1, seen.records[0].2), (1_000_000_005, 1));
}

#[test]
fn sections_have_their_own_byte_order_and_interfaces() {
    let mut file = section(Written::Big);
    file.extend(interface(Written::Big, 1, 0, &[]));
    file.extend(interface(Written::Big, 113, 0, &[]));
    file.extend(enhanced(Written::Big, 1, 5, b"abcde"));
    file.extend(section(Written::Little));
    file.extend(interface(Written::Little, 12, 0, &[]));
    file.extend(enhanced(Written::Little, 0, 6, b"f"));
    let seen = seen(&file);
    assert_eq!(seen.fault, None);
    assert_eq!(
        seen.records,
        [
            (1, 5000, 113, 100, b"abcde".to_vec()),
            (2, 6000, 101, 100, b"f".to_vec())
        ]
    );
}

#[test]
fn an_interface_of_an_earlier_section_is_not_declared() {
    let mut file = section(W);
    file.extend(interface(W, 1, 0, &[]));
    file.extend(section(W));
    let at = file.len() as u64;
    file.extend(enhanced(W, 0, 5, b"a"));
    let undeclared = Fault::UndeclaredInterface {
        interface: 0,
        declared: 0,
    };
    assert_eq!(fault(&file), (Some(at), undeclared));
}

#[test]
fn all_packet_blocks_are_read_and_all_others_passed_over() {
    let mut file = section(W);
    file.extend(interface(W, 1, 4, &[]));
    file.extend(enhanced(W, 0, 7, b"one"));
    file.extend(block(W, 5, &[0; 16]));
    file.extend(obsolete(W, 0, 8, b"two"));
    file.extend(block(W, 0x8000_0001, b"what it likes"));
    file.extend(simple(W, 90, b"more"));
    file.extend(simple(W, 3, b"few"));
    let seen = seen(&file);
    assert_eq!(seen.fault, None);
    assert_eq!(seen.data(), [&b"one"[..], b"two", b"more", b"few"]);
    // Simple packets have no time of their own: they come after the one before.
    assert_eq!(seen.nanos(), [7000, 8000, 8000, 8000]);
    assert_eq!(seen.records[2].3, 90);
}

#[test]
fn blocks_that_tshark_numbers_are_counted_and_not_given() {
    let mut file = section(W);
    file.extend(interface(W, 1, 0, &[]));
    file.extend(block(W, 9, b"__REALTIME_TIMESTAMP=1\n"));
    file.extend(enhanced(W, 0, 7, b"a"));
    let seen = seen(&file);
    assert_eq!((seen.records[0].0, seen.frames), (2, 2));
}

#[test]
fn time_resolutions_and_offsets_are_the_interfaces_own() {
    let mut file = section(W);
    type Options<'a> = &'a [(u16, &'a [u8])];
    let cases: [(Options, u64, i64); 8] = [
        (&[], 3_000_000, 3_000_000_000),
        (&[(9, &[9])], 3_000_000_001, 3_000_000_001),
        (&[(9, &[0])], 3, 3_000_000_000),
        (&[(9, &[12])], 3_000_000_001_999, 3_000_000_001),
        (&[(9, &[0x80 | 10])], 1024 * 3 + 512, 3_500_000_000),
        (&[(9, &[0xff])], u64::MAX, 0),
        (&[(9, &[0x7f])], u64::MAX, 0),
        (
            &[(2, b"eth0"), (14, &(-5_i64).to_le_bytes()), (0, &[])],
            3_000_000,
            -2_000_000_000,
        ),
    ];
    for (options, _, _) in cases {
        file.extend(interface(W, 1, 0, options));
    }
    for (number, (_, units, _)) in cases.iter().enumerate() {
        file.extend(enhanced(W, number as u32, *units, b"a"));
    }
    let seen = seen(&file);
    assert_eq!(seen.fault, None);
    assert_eq!(seen.nanos(), cases.map(|case| case.2));
}

#[test]
fn a_time_beyond_all_time_is_the_last_there_is() {
    let mut file = section(W);
    file.extend(interface(
        W,
        1,
        0,
        &[(9, &[0]), (14, &i64::MAX.to_le_bytes())],
    ));
    file.extend(enhanced(W, 0, u64::MAX, b"a"));
    assert_eq!(seen(&file).nanos(), [i64::MAX]);
}

#[test]
fn broken_options_lose_only_themselves() {
    let mut file = section(W);
    let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0];
    body.extend([9, 0, 1, 0, 9, 0, 0, 0]);
    body.extend([14, 0, 0xff, 0xff, 1, 2, 3, 4]);
    file.extend(block(W, 1, &body));
    file.extend(enhanced(W, 0, 77, b"a"));
    assert_eq!(seen(&file).nanos(), [77]);
}

/// A pcap and a pcapng file of several records each.
fn usual_files() -> [Vec<u8>; 2] {
    let pcap = pcap(&[(1, b"abcd"), (2, b""), (3, b"efghi")]);
    let mut pcapng = section(W);
    pcapng.extend(interface(W, 1, 0, &[(9, &[6]), (0, &[])]));
    pcapng.extend(enhanced(W, 0, 1, b"abcd"));
    pcapng.extend(simple(W, 0, b""));
    pcapng.extend(obsolete(W, 0, 3, b"efghi"));
    [pcap, pcapng]
}

#[test]
fn a_file_torn_at_any_byte_gives_what_is_whole_and_says_where_it_ends() {
    for file in usual_files() {
        let whole = seen(&file);
        assert_eq!((whole.records.len(), &whole.fault), (3, &None));
        for end in 0..file.len() {
            let torn = seen(&file[..end]);
            assert!(whole.records.starts_with(&torn.records), "torn at {end}");
            match torn.fault {
                None => {}
                Some(FaultAt {
                    offset: Some(offset),
                    fault,
                }) => {
                    assert!(offset <= end as u64, "torn at {end}: {fault}");
                    assert!(!fault.remedy().is_empty());
                }
                other => panic!("torn at {end}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_file_cut_in_a_record_says_where_the_record_begins() {
    let file = pcap(&[(1, b"abcd"), (2, b"efgh")]);
    let second = 24 + 16 + 4;
    let cut = |needed, present| (Some(second), Fault::Cut { needed, present });
    assert_eq!(fault(&file[..file.len() - 1]), cut(20, 19));
    assert_eq!(fault(&file[..second as usize + 5]), cut(16, 5));
    assert_eq!(seen(&file[..second as usize]).fault, None);
    let header = Fault::CutHeader {
        needed: 24,
        present: 23,
    };
    assert_eq!(fault(&file[..23]), (Some(0), header));
}

#[test]
fn blocks_of_any_size_give_the_same_records() {
    for file in usual_files() {
        let whole = seen(&file);
        for size in 1..80 {
            assert_eq!(seen_by(size, &file), whole, "blocks of {size}");
        }
    }
}

#[test]
fn more_records_than_one_unit_holds_come_in_several() {
    let record: (u32, &[u8]) = (1, b"a");
    let file = pcap(&vec![record; 3 * MAX_RECORDS + 1]);
    let seen = seen(&file);
    assert_eq!(seen.records.len(), 3 * MAX_RECORDS + 1);
    assert!(
        seen.records
            .iter()
            .zip(1..)
            .all(|(record, number)| record.0 == number)
    );
}

#[test]
fn a_captured_length_beyond_the_bound_is_a_fault() {
    let mut file = pcap(&[(1, b"abcd")]);
    let at = file.len() as u64;
    file.extend(pcap_record_header(W, (2, 0), (262_145, 262_145)));
    file.extend(vec![0; 262_145]);
    let beyond = Fault::CapturedLength {
        captured: 262_145,
        bound: 262_144,
    };
    assert_eq!(fault(&file), (Some(at), beyond));
    assert_eq!(seen(&file).records.len(), 1);
}

#[test]
fn the_longest_packet_is_read_whole() {
    let data = vec![7; 262_144];
    assert_eq!(
        seen(&pcap(&[(1, &data), (2, b"a")])).data(),
        [&data[..], b"a"]
    );
}

#[test]
fn a_message_longer_than_any_packet_is_cut_and_the_next_is_found() {
    const USBPCAP: u16 = 249;
    let data = vec![7; MAX_KEPT as usize * 2 + 5];
    let mut pcap = pcap_header(W, 0xa1b2_c3d4, (2, 4), USBPCAP.into());
    pcap.extend(pcap_record(W, (1, 0), &data));
    pcap.extend(pcap_record(W, (2, 0), b"next"));
    let mut pcapng = section(W);
    pcapng.extend(interface(W, USBPCAP, 0, &[]));
    pcapng.extend(enhanced(W, 0, 1, &data));
    pcapng.extend(enhanced(W, 0, 2, b"next"));
    for file in [pcap, pcapng] {
        let seen = seen(&file);
        assert_eq!(seen.fault, None);
        assert_eq!(seen.data(), [&data[..MAX_KEPT as usize], b"next"]);
    }
}

#[test]
fn a_long_unknown_block_is_passed_over_and_its_end_checked() {
    let mut file = section(W);
    file.extend(interface(W, 1, 0, &[]));
    let start = file.len() as u64;
    file.extend(block(W, 0x0bad, &vec![7; 3 << 20]));
    let end = file.len();
    file.extend(enhanced(W, 0, 2, b"next"));
    assert_eq!(seen(&file).data(), [b"next"]);
    file[end - 4] ^= 4;
    assert!(matches!(fault(&file), (Some(at), Fault::Trailer { .. }) if at == start));
    assert!(matches!(
        seen(&file[..end]).fault,
        Some(FaultAt {
            fault: Fault::Trailer { .. },
            ..
        })
    ));
    assert!(matches!(
        fault(&file[..end - 9]),
        (Some(_), Fault::Cut { .. })
    ));
    assert!(matches!(
        fault(&file[..end - 4]),
        (Some(_), Fault::Cut { .. })
    ));
}

#[test]
fn a_block_length_that_cannot_be_is_a_fault_at_the_block() {
    let mut start = section(W);
    start.extend(interface(W, 1, 0, &[]));
    let at = start.len() as u64;
    for (kind, length, minimum) in [
        (6, 0, 32),
        (6, 28, 32),
        (6, 33, 32),
        (77, 8, 12),
        (3, 12, 16),
    ] {
        let mut file = start.clone();
        file.extend(W.u32(kind));
        file.extend(W.u32(length));
        file.extend([0; 64]);
        assert_eq!(
            fault(&file),
            (Some(at), Fault::BlockLength { length, minimum })
        );
    }
}

#[test]
fn lengths_that_differ_at_the_ends_of_a_block_are_a_fault() {
    let mut file = section(W);
    file.extend(interface(W, 1, 0, &[]));
    let at = file.len() as u64;
    file.extend(enhanced(W, 0, 1, b"abcd"));
    let end = file.len();
    file[end - 4..].copy_from_slice(&W.u32(40));
    assert_eq!(
        fault(&file),
        (
            Some(at),
            Fault::Trailer {
                length: 36,
                trailer: 40
            }
        )
    );
}

#[test]
fn a_packet_longer_than_its_block_is_a_fault() {
    let mut file = section(W);
    file.extend(interface(W, 1, 0, &[]));
    let at = file.len();
    file.extend(enhanced(W, 0, 1, b"abcd"));
    file[at + 20..at + 24].copy_from_slice(&W.u32(5));
    let beyond = Fault::CapturedLength {
        captured: 5,
        bound: 4,
    };
    assert_eq!(fault(&file), (Some(at as u64), beyond));
}

#[test]
fn a_packet_without_any_interface_is_a_fault() {
    let mut file = section(W);
    let at = file.len() as u64;
    file.extend(simple(W, 1, b"a"));
    let undeclared = Fault::UndeclaredInterface {
        interface: 0,
        declared: 0,
    };
    assert_eq!(fault(&file), (Some(at), undeclared));
}

#[test]
fn an_unknown_version_is_named() {
    let version = |format, major, minor| Fault::Version {
        format,
        major,
        minor,
    };
    let old = pcap_header(W, 0xa1b2_c3d4, (1, 9), 1);
    assert_eq!(fault(&old), (Some(0), version("pcap", 1, 9)));
    let mut new = section(W);
    new[12] = 2;
    assert_eq!(fault(&new), (Some(0), version("pcapng", 2, 0)));
}

#[test]
fn a_section_without_a_byte_order_is_a_fault() {
    let mut file = section(W);
    file[8] = 0;
    assert_eq!(
        fault(&file),
        (Some(0), Fault::ByteOrder { magic: 0x003c_2b1a })
    );
}

#[test]
fn what_is_no_capture_is_told_by_its_first_bytes() {
    assert_eq!(fault(b""), (Some(0), Fault::Empty));
    let first = b"<!DOCTYP".to_vec();
    assert_eq!(
        fault(b"<!DOCTYPE html>"),
        (Some(0), Fault::NotACapture { first })
    );
    let first = vec![0xd4];
    assert_eq!(fault(&[0xd4]), (Some(0), Fault::NotACapture { first }));
}

/// The file, compressed in two members or frames.
fn compressed(compression: Compression, file: &[u8]) -> Vec<u8> {
    let halves = [&file[..file.len() / 2], &file[file.len() / 2..]];
    let members = halves.iter().map(|half| match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(half).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Compression::Zstandard => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("in memory");
            encoder
                .include_checksum(true)
                .expect("as the zstd command does");
            encoder.write_all(half).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Compression::Xz => liblzma::encode_all(*half, 1).expect("in memory"),
    });
    members.collect::<Vec<_>>().concat()
}

const COMPRESSIONS: [Compression; 3] = [Compression::Gzip, Compression::Zstandard, Compression::Xz];

#[test]
fn a_compressed_file_reads_like_the_file_inside() {
    for file in usual_files() {
        for compression in COMPRESSIONS {
            assert_eq!(
                seen(&compressed(compression, &file)),
                seen(&file),
                "{compression}"
            );
        }
    }
}

#[test]
fn a_compressed_file_torn_at_any_byte_gives_what_is_whole_of_it() {
    let [file, _] = usual_files();
    let whole = seen(&file);
    for compression in COMPRESSIONS {
        let packed = compressed(compression, &file);
        for end in 1..packed.len() {
            let torn = seen(&packed[..end]);
            assert!(
                whole.records.starts_with(&torn.records),
                "{compression} torn at {end}"
            );
            assert!(torn.fault.is_some(), "{compression} torn at {end}");
        }
    }
}

/// Bytes that no compression makes shorter (Marsaglia's xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn bytes_after_a_damaged_compression_are_given_up_with_its_name() {
    for compression in COMPRESSIONS {
        let noise = noise(60_000);
        let mut packed = compressed(
            compression,
            &pcap(&[(1, b"first"), (2, &noise), (3, &noise)]),
        );
        let near_end = packed.len() - 40_000;
        packed[near_end] ^= 0x55;
        packed[near_end + 1] ^= 0x55;
        let seen = seen(&packed);
        assert!(!seen.records.is_empty(), "{compression}");
        match seen.fault {
            Some(FaultAt {
                offset: Some(_),
                fault:
                    Fault::Decompressor {
                        compression: by, ..
                    },
            }) => {
                assert_eq!(by, compression);
            }
            other => panic!("{compression}: {other:?}"),
        }
    }
}

#[test]
fn a_zstd_stream_may_begin_with_a_skippable_frame() {
    let [file, _] = usual_files();
    let mut packed = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    packed.extend(compressed(Compression::Zstandard, &file));
    assert_eq!(seen(&packed), seen(&file));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(noise: Vec<u8>, at: u16, kind in 0..3_usize) {
        let mut file = match kind {
            0 => noise.clone(),
            kind => usual_files()[kind - 1].clone(),
        };
        if kind > 0 && !file.is_empty() {
            let at = usize::from(at) % file.len();
            for (place, byte) in file.iter_mut().skip(at).zip(&noise) {
                *place = *byte;
            }
        }
        let seen = seen_by(64, &file);
        proptest::prop_assert!(seen.records.len() as u64 <= seen.frames);
    }
}
