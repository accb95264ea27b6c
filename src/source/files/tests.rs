//! Many files through the stream: order, damage, folders, filters.

use std::collections::HashMap;

use tempfile::TempDir;

use super::*;
use crate::model::packet::Frame;
use crate::source::file::samples::{self, Written};

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("created");
        fs::write(path, bytes).expect("written");
    }
    folder
}

fn paths(folder: &TempDir, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| folder.path().join(name)).collect()
}

/// The records' bytes as text, in the order of the stream.
fn stream(files: &mut Files) -> String {
    let mut text = String::new();
    while let Some(unit) = files.next() {
        assert!(!unit.records.is_empty() && unit.records.len() <= MAX_RECORDS);
        for record in &unit.records {
            text.push_str(std::str::from_utf8(unit.bytes(record.bytes)).expect("letters"));
        }
    }
    assert!(files.next().is_none(), "the end stays the end");
    text
}

/// What every error must have: file, remedy and, if it was opened, offset.
fn assert_speaks(error: &SourceError, file: &Path, offset: Option<u64>) {
    assert_eq!((error.file.as_path(), error.offset), (file, offset));
    let text = error.to_string();
    assert!(text.starts_with(&file.display().to_string()), "{text}");
    assert!(text.contains(error.fault.remedy()), "{text}");
    if let Some(offset) = offset {
        assert!(text.contains(&format!("at byte {offset}")), "{text}");
    }
}

#[test]
fn files_that_overlap_become_one_stream_in_time_order() {
    let folder = folder(&[
        ("a", &samples::pcap(&[(1, b"a"), (4, b"d"), (5, b"e")])),
        ("b", &samples::pcap(&[(2, b"b"), (6, b"f")])),
        ("c", &samples::pcap(&[(3, b"c"), (9, b"g")])),
    ]);
    for names in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]] {
        let mut files = Files::open(&paths(&folder, &names), None);
        assert_eq!(stream(&mut files), "abcdefg");
        assert_eq!(files.errors(), []);
        let ids: Vec<_> = files.captures().iter().map(|capture| capture.id).collect();
        assert_eq!(ids, [CaptureId(0), CaptureId(1), CaptureId(2)]);
    }
}

#[test]
fn on_equal_times_the_file_named_first_goes_first() {
    let folder = folder(&[
        ("a", &samples::pcap(&[(1, b"a"), (1, b"A")])),
        ("b", &samples::pcap(&[(1, b"b"), (1, b"B")])),
    ]);
    let mut named = Files::open(&paths(&folder, &["b", "a"]), None);
    assert_eq!(stream(&mut named), "bBaA");
    let mut walked = Files::open(&[folder.path().to_path_buf()], None);
    assert_eq!(stream(&mut walked), "aAbB");
}

#[test]
fn a_file_keeps_its_own_order_where_time_jumps_back() {
    let folder = folder(&[
        ("a", &samples::pcap(&[(5, b"a"), (1, b"b"), (7, b"d")])),
        ("b", &samples::pcap(&[(6, b"c")])),
    ]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    assert_eq!(stream(&mut files), "abcd");
}

#[test]
fn frames_are_counted_in_their_own_file() {
    let folder = folder(&[
        ("a", &samples::pcap(&[(1, b"a"), (3, b"c")])),
        ("b", &samples::pcap(&[(2, b"b"), (4, b"d")])),
    ]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    let mut last: HashMap<CaptureId, u64> = HashMap::new();
    while let Some(unit) = files.next() {
        for record in &unit.records {
            let before = last.entry(record.frame.capture).or_default();
            assert_eq!(record.frame.number, *before + 1);
            *before += 1;
        }
    }
    assert!(files.captures().iter().all(|capture| capture.frames == 2));
}

#[test]
fn long_files_that_alternate_keep_order_over_many_units() {
    let records = |from| -> Vec<(u32, &[u8])> {
        (0..2 * MAX_RECORDS as u32)
            .map(|n| (from + 2 * n, &b"x"[..]))
            .collect()
    };
    let folder = folder(&[
        ("even", &samples::pcap(&records(0))),
        ("odd", &samples::pcap(&records(1))),
    ]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    let mut times = Vec::new();
    while let Some(unit) = files.next() {
        assert!(
            unit.records
                .iter()
                .all(|record| unit.bytes(record.bytes) == b"x")
        );
        times.extend(unit.records.iter().map(|record| record.time));
    }
    assert_eq!(times.len(), 4 * MAX_RECORDS);
    assert!(times.is_sorted());
}

#[test]
fn more_overlapping_files_than_may_be_open_are_all_read_and_it_is_said() {
    let folder = folder(&[
        ("a", &samples::pcap(&[(1, b"a"), (9, b"b")])),
        ("b", &samples::pcap(&[(2, b"c")])),
        ("c", &samples::pcap(&[(3, b"d")])),
    ]);
    let mut files = Files::open_at_most(1, &[folder.path().to_path_buf()], None);
    assert_eq!(stream(&mut files), "abcd");
    assert_eq!(files.notes().collect::<Vec<_>>(), [Note::OutOfOrder(2)]);
}

#[test]
fn a_damaged_file_gives_what_is_before_the_fault_and_the_others_go_on() {
    let whole = samples::pcap(&[(1, b"a"), (4, b"d")]);
    let folder = folder(&[
        ("cut", &whole[..whole.len() - 1]),
        ("good", &samples::pcap(&[(2, b"b"), (5, b"e")])),
    ]);
    let mut files = Files::open(&paths(&folder, &["cut", "good"]), None);
    assert_eq!(stream(&mut files), "abe");
    let [error] = files.errors() else {
        panic!("one error: {:?}", files.errors());
    };
    assert_speaks(error, &folder.path().join("cut"), Some(24 + 17));
    assert_eq!(error.frames, 1);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_is_no_capture() {
    let folder = folder(&[
        ("empty", b""),
        ("page", b"<!DOCTYPE html>"),
        ("good", &samples::pcap(&[(1, b"a")])),
    ]);
    let named = paths(&folder, &["empty", "none", "page", "good"]);
    let mut files = Files::open(&named, None);
    assert_eq!(stream(&mut files), "a");
    let [empty, missing, page] = files.errors() else {
        panic!("three errors: {:?}", files.errors());
    };
    assert_speaks(empty, &named[0], Some(0));
    assert_speaks(missing, &named[1], None);
    assert_eq!(missing.fault, Fault::Missing);
    assert_speaks(page, &named[2], Some(0));
    assert!(page.to_string().contains("3c 21 44 4f"), "{page}");
    assert_eq!(files.captures().len(), 1);
}

#[test]
fn in_a_folder_what_is_no_capture_is_passed_over_and_named() {
    let folder = folder(&[
        ("z/deep/b.pcap", &samples::pcap(&[(2, b"b")])),
        ("a.pcap", &samples::pcap(&[(1, b"a")])),
        ("README", b"captures of today"),
        ("nothing", b""),
    ]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    assert_eq!(stream(&mut files), "ab");
    assert_eq!(files.errors(), []);
    let passed_over = paths(&folder, &["README", "nothing"]).into_iter();
    let expected: Vec<_> = passed_over.map(Note::PassedOver).collect();
    assert_eq!(files.notes().collect::<Vec<_>>(), expected);
}

#[test]
fn a_folder_without_files_is_an_error() {
    let folder = folder(&[]);
    let files = Files::open(&[folder.path().to_path_buf()], None);
    let [error] = files.errors() else {
        panic!("one error: {:?}", files.errors());
    };
    assert_speaks(error, folder.path(), None);
    assert_eq!(error.fault, Fault::NothingInside);
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_named_with_the_way_to_allow_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder(&[("secret/a", &samples::pcap(&[(1, b"a")])), ("b", b"b")]);
    let secret = folder.path().join("secret");
    let closed = fs::Permissions::from_mode(0o000);
    for path in [&secret, &folder.path().join("b")] {
        fs::set_permissions(path, closed.clone()).expect("ours");
    }
    let named = [secret.clone(), folder.path().join("b")];
    let files = Files::open(&named, None);
    let open = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&secret, open).expect("ours");
    // Root may read everything.
    if let [folder, file] = files.errors() {
        assert_speaks(folder, &named[0], None);
        assert_speaks(file, &named[1], None);
        assert_eq!(
            (&folder.fault, &file.fault),
            (&Fault::NotPermitted, &Fault::NotPermitted)
        );
    }
}

#[test]
fn a_file_given_twice_is_read_once() {
    let folder = folder(&[("a", &samples::pcap(&[(1, b"a")]))]);
    let again = folder.path().join("a");
    let mut files = Files::open(&[folder.path().to_path_buf(), again.clone()], None);
    assert_eq!(stream(&mut files), "a");
    assert_eq!(files.notes().collect::<Vec<_>>(), [Note::SeenBefore(again)]);
}

#[test]
fn a_capture_without_records_is_no_error() {
    let folder = folder(&[
        ("a", &samples::pcap(&[])),
        ("b", &samples::section(Written::Big)),
    ]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    assert_eq!(stream(&mut files), "");
    assert_eq!((files.errors(), files.captures().len()), (&[][..], 2));
}

#[test]
fn a_filter_leaves_out_records_and_not_their_numbers() {
    let folder = folder(&[
        (
            "a",
            &samples::pcap(&[(1, b"a"), (2, b"long enough"), (5, b"e")]),
        ),
        ("b", &samples::pcap(&[(3, b"also long"), (4, b"d")])),
    ]);
    let filter = Filter::new("greater 5").expect("a filter");
    let mut files = Files::open(&[folder.path().to_path_buf()], Some(filter));
    let mut frames = Vec::new();
    while let Some(unit) = files.next() {
        frames.extend(unit.records.iter().map(|record| record.frame));
    }
    let kept = [(0, 2), (1, 1)].map(|(capture, number)| Frame {
        capture: CaptureId(capture),
        number,
    });
    assert_eq!(frames, kept);
    assert_eq!(files.captures()[0].frames, 3);
}

#[test]
fn a_filter_that_keeps_nothing_ends_the_stream() {
    let folder = folder(&[("a", &samples::pcap(&[(1, b"a"), (2, b"b")]))]);
    let filter = Filter::new("greater 500").expect("a filter");
    let mut files = Files::open(&[folder.path().to_path_buf()], Some(filter));
    assert!(files.next().is_none());
    assert_eq!(files.errors(), []);
}

#[test]
fn a_filter_that_does_not_suit_a_link_type_says_so_once() {
    let w = Written::Little;
    let mut file = samples::pcap_header(w, 0xa1b2_c3d4, (2, 4), 101);
    for _ in 0..3 {
        file.extend(samples::pcap_record(w, (1, 0), &[0x45; 40]));
    }
    let folder = folder(&[("raw", &file)]);
    let filter = Filter::new("ether src 00:00:5e:00:53:01").expect("a filter");
    let mut files = Files::open(&[folder.path().to_path_buf()], Some(filter));
    assert!(files.next().is_none());
    let [error] = files.errors() else {
        panic!("one error: {:?}", files.errors());
    };
    assert_speaks(error, &folder.path().join("raw"), None);
    assert!(error.to_string().contains("raw IP"), "{error}");
}

#[test]
fn the_progress_ends_at_the_whole() {
    let one = samples::pcap(&[(1, b"a"), (2, b"b")]);
    let two = zstd::encode_all(&*samples::pcap(&[(1, b"c")]), 1).expect("in memory");
    let folder = folder(&[("a", &one), ("b.zst", &two), ("none", &samples::pcap(&[]))]);
    let mut files = Files::open(&[folder.path().to_path_buf()], None);
    let total = Some((one.len() + two.len() + 24) as u64);
    assert_eq!(files.progress().total, total);
    stream(&mut files);
    assert_eq!(Some(files.progress().read), total);
}

#[test]
fn files_and_devices_can_be_read_in_a_thread_of_their_own() {
    fn assert_send<T: Send>() {}
    assert_send::<Files>();
    assert_send::<crate::source::device::Device>();
    assert_send::<Records>();
}
