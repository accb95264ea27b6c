//! One capture file: bytes into blocks, blocks into records.
//!
//! The formats ([`pcap`], [`pcapng`]) are shown the bytes that were read and not yet used, and
//! answer with one [`Step`]: a record, something to pass over, or how many more bytes they need.
//! They neither read nor keep bytes. Only the incomplete record at the end of a block is moved
//! to the next one.

pub(super) mod input;
mod pcap;
mod pcapng;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::model::packet::{CaptureId, Frame, LinkType, Record, Span};
use crate::model::time::Timestamp;
use crate::source::block::{Block, MAX_RECORDS, Pool, Records};
use crate::source::error::{Compression, Fault};
use crate::source::link::MAX_CAPTURED;

use input::Input;
use pcap::Pcap;
use pcapng::Pcapng;

/// What of a record is kept: all that is ever captured of a network packet. Records of link types
/// that have no such limit (USB, D-Bus) are cut to it.
const MAX_KEPT: u32 = MAX_CAPTURED;

/// The longest file header, that of an Ixia file.
const MAX_FILE_HEADER: usize = 28;

/// First bytes shown of a file that is no capture.
const SHOWN_BYTES: usize = 8;

/// What a format makes of the bytes ahead.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many bytes ahead are needed to go on; always more than there are.
    Need(usize),
    /// A record.
    Record(Found),
    /// Something else, this long; the frames of it that tshark numbers but that are no packets.
    Pass { length: u64, frames: u64 },
}

/// A record as its format tells it.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// How long it is with its headers; may be more than is ahead.
    length: u64,
    /// Where its captured bytes begin.
    start: usize,
    /// How many captured bytes there are.
    captured: u32,
    /// `None` where the record has no time of its own.
    time: Option<Timestamp>,
    link: LinkType,
    wire_len: u32,
}

/// The file formats.
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Format {
    /// The format of a file with these first bytes, and how many of them are its header.
    fn of(ahead: &[u8]) -> Result<(Format, usize), Fault> {
        if ahead.is_empty() {
            return Err(Fault::Empty);
        }
        if Pcapng::is_magic(ahead) {
            return Ok((Format::Pcapng(Pcapng::default()), 0));
        }
        match Pcap::open(ahead)? {
            Some((pcap, header)) => Ok((Format::Pcap(pcap), header)),
            None => Err(Fault::NotACapture {
                first: ahead.iter().take(SHOWN_BYTES).copied().collect(),
            }),
        }
    }

    fn step(&mut self, ahead: &[u8]) -> Result<Step, Fault> {
        match self {
            Format::Pcap(pcap) => pcap.step(ahead),
            Format::Pcapng(pcapng) => pcapng.step(ahead),
        }
    }

    /// Whether the file may end here, given that no bytes are ahead.
    fn may_end(&self) -> bool {
        match self {
            Format::Pcap(_) => true,
            Format::Pcapng(pcapng) => pcapng.may_end(),
        }
    }
}

/// A fault, and at which byte of the decompressed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FaultAt {
    pub(super) offset: Option<u64>,
    pub(super) fault: Fault,
}

/// Reads one capture file from its start to its end or first fault.
pub(super) struct FileReader {
    input: Input,
    pool: Pool,
    capture: CaptureId,
    format: Format,
    block: Arc<Block>,
    /// The first byte of the block that is not yet used.
    at: usize,
    /// The same byte, counted in the file.
    offset: u64,
    /// Where the record or block that it is part of begins.
    begun: u64,
    /// Bytes still to be passed over before the next step.
    pass: u64,
    frames: u64,
    time: Timestamp,
    over: Option<Option<FaultAt>>,
}

impl FileReader {
    /// Gives the records that follow the number of another capture.
    pub(super) fn renumber(&mut self, capture: CaptureId) {
        self.capture = capture;
    }

    /// Reads the file's header. The frames of the file will bear the number of `capture`.
    pub(super) fn open(mut input: Input, pool: Pool, capture: CaptureId) -> Result<Self, FaultAt> {
        let mut filling = pool.take(MAX_FILE_HEADER);
        input.fill(&mut filling, MAX_FILE_HEADER);
        let block = filling.freeze();
        match Format::of(block.bytes()) {
            Ok((format, header)) => Ok(FileReader {
                input,
                pool,
                capture,
                format,
                block,
                at: header,
                offset: header as u64,
                begun: header as u64,
                pass: 0,
                frames: 0,
                time: Timestamp::default(),
                over: None,
            }),
            Err(fault) => Err(FaultAt {
                offset: Some(0),
                // What the decompressor says explains more than what is missing for it.
                fault: input.failure().unwrap_or(fault),
            }),
        }
    }

    /// The next records, in the order of the file, all in one block; `None` at its end or fault.
    pub(super) fn next(&mut self) -> Option<Records> {
        let mut records = Vec::with_capacity(MAX_RECORDS);
        while self.over.is_none() && records.len() < MAX_RECORDS {
            // A block that is read in parts begins where its first part did.
            if self.pass == 0 && self.format.may_end() {
                self.begun = self.offset;
            }
            let step = match self.pass {
                0 => (self.format).step(self.block.bytes().get(self.at..).unwrap_or_default()),
                _ => Ok(self.pass_step()),
            };
            match step {
                // What was found lies in this block, which is about to be left.
                Ok(Step::Need(_)) if !records.is_empty() => break,
                Ok(Step::Need(needed)) => self.refill(needed),
                Ok(Step::Record(found)) => {
                    records.push(self.record(found));
                    self.advance(found.length);
                }
                Ok(Step::Pass { length, frames }) => {
                    self.frames += frames;
                    self.advance(length);
                }
                Err(fault) => self.fail(fault),
            }
        }
        (!records.is_empty()).then(|| Records {
            blocks: vec![Arc::clone(&self.block)],
            records,
        })
    }

    /// Why the file could not be read to its end, once [`FileReader::next`] has said `None`.
    pub(super) fn fault(&self) -> Option<&FaultAt> {
        self.over.as_ref()?.as_ref()
    }

    /// How many frames were read, counted as tshark counts `frame.number`.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// How the file is compressed, if it is.
    pub(super) fn compression(&self) -> Option<Compression> {
        self.input.compression()
    }

    /// How many bytes of the file itself were read, compressed as they are.
    pub(super) fn taken(&self) -> u64 {
        self.input.taken()
    }

    fn ahead(&self) -> &[u8] {
        self.block.bytes().get(self.at..).unwrap_or_default()
    }

    fn pass_step(&self) -> Step {
        match self.ahead().len() {
            0 => Step::Need(1),
            // `advance` takes off what is there and leaves the rest for later.
            _ => Step::Pass {
                length: 0,
                frames: 0,
            },
        }
    }

    /// Leaves `length` bytes behind, now or, where they have not been read yet, in later steps.
    fn advance(&mut self, length: u64) {
        let length = self.pass.saturating_add(length);
        let here = length.min(self.ahead().len() as u64);
        self.at += here as usize;
        self.offset += here;
        self.pass = length - here;
    }

    fn record(&mut self, found: Found) -> Record {
        self.frames += 1;
        self.time = found.time.unwrap_or(self.time);
        Record {
            time: self.time,
            frame: Frame {
                capture: self.capture,
                number: self.frames,
            },
            link: found.link,
            wire_len: found.wire_len,
            bytes: Span {
                block: 0,
                start: (self.at.saturating_add(found.start))
                    .try_into()
                    .expect("blocks are far shorter than 4 GiB"),
                len: found.captured.min(MAX_KEPT),
            },
        }
    }

    /// Goes on to a new block that begins with the bytes ahead; ends the file if fewer than
    /// `needed` bytes are left.
    fn refill(&mut self, needed: usize) {
        let mut filling = self.pool.take(needed);
        let moved = filling.push(self.ahead());
        moved.expect("a record needs more bytes than there are of it");
        let enough = self.input.fill(&mut filling, needed);
        self.block = filling.freeze();
        self.at = 0;
        if enough {
            return;
        }
        let present = self.ahead().len();
        match self.input.failure() {
            Some(fault) => {
                self.begun = self.offset + present as u64;
                self.fail(fault);
            }
            None if present == 0 && self.pass == 0 && self.format.may_end() => {
                self.over = Some(None);
            }
            None => {
                let passed = self.offset - self.begun;
                self.fail(Fault::Cut {
                    needed: passed + self.pass.max(needed as u64),
                    present: passed + present as u64,
                });
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.over = Some(Some(FaultAt {
            offset: Some(self.begun),
            fault,
        }));
    }
}
