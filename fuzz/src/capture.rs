//! The readers of pcap and pcapng files, as they are and compressed.

use wiretag::model::packet::CaptureId;
use wiretag::source::files::Files;

use super::input::as_file;

/// Takes the bytes for a capture file, and reads it to its end or fault.
pub fn run(bytes: &[u8]) {
    let path = as_file(bytes);
    let mut files = Files::open(std::slice::from_ref(&path), None);
    let (mut last, mut given) = (0, 0);
    while let Some(unit) = files.next() {
        assert!(!unit.records.is_empty());
        for record in &unit.records {
            assert_eq!(record.frame.capture, CaptureId(0));
            assert!(record.frame.number > last, "frames count up");
            last = record.frame.number;
            given += 1;
            let len = unit.bytes(record.bytes).len();
            assert_eq!(len, record.bytes.len as usize, "its bytes are there");
        }
    }
    assert!(files.next().is_none(), "the end stays the end");
    let frames: u64 = files.captures().iter().map(|capture| capture.frames).sum();
    assert!(given <= frames && last <= frames);
    assert!(files.errors().len() <= 1, "reading ends at the first fault");
    for error in files.errors() {
        assert_eq!(error.frames, frames, "what came before it is counted");
        assert!(!error.to_string().is_empty());
    }
}
