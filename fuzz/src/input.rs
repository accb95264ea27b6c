//! Fuzzed bytes as numbers and pieces, and as a file: what the targets take them for.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;

use tempfile::NamedTempFile;

/// A cursor that gives zeros and short pieces at the end, so that no input is useless.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes, the lower one first.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next `len` bytes, or what is left.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A frame as an input describes it: `FLAGS, LENGTH as a word, bytes`.
///
/// Flags: bit 7, the clock goes back; bit 6, the frame was longer than what was captured of it;
/// bits 0 to 5, how far the clock goes.
pub struct Frame<'a> {
    /// What was captured.
    pub bytes: &'a [u8],
    /// How long it was.
    pub wire_len: u32,
    /// When, in nanoseconds.
    pub nanos: i128,
}

/// Bytes on the wire behind what was captured of a frame that was cut.
const CUT_OFF: u32 = 1000;

/// How far the clock goes at a step of this number: from 1 µs to longer than any flow is silent.
fn step(number: u8) -> i128 {
    1000 << (u32::from(number) * 2 / 3)
}

/// The frames of an input, to its end.
pub fn frames<'a>(input: &mut Input<'a>) -> Vec<Frame<'a>> {
    let mut frames = Vec::new();
    let mut nanos = 1_600_000_000_000_000_000;
    while !input.is_empty() {
        let flags = input.byte();
        let len = input.word();
        let bytes = input.take(len.into());
        match flags & 0x80 {
            0 => nanos += step(flags & 0x3f),
            _ => nanos -= step(flags & 0x3f),
        }
        let cut_off = if flags & 0x40 == 0 { 0 } else { CUT_OFF };
        frames.push(Frame {
            bytes,
            wire_len: bytes.len() as u32 + cut_off,
            nanos,
        });
    }
    frames
}

/// A pcap file with these frames, its times in nanoseconds.
pub fn pcap(link: u16, frames: &[Frame]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, u32::from(link)] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let (seconds, nanos) = (
            frame.nanos.div_euclid(1_000_000_000) as u32,
            frame.nanos.rem_euclid(1_000_000_000) as u32,
        );
        for word in [seconds, nanos, frame.bytes.len() as u32, frame.wire_len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame.bytes);
    }
    file
}

thread_local! {
    /// The file that every input is written to in its turn.
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// Puts bytes into a file, until the next call of the same thread, and says where.
pub fn as_file(bytes: &[u8]) -> PathBuf {
    FILE.with_borrow_mut(|file| {
        let mut fresh = NamedTempFile::new().expect("there is room");
        fresh.write_all(bytes).expect("there is room");
        file.insert(fresh).path().to_owned()
    })
}
