//! One connection: two streams of messages, each after a four-byte header (RFC 1002 4.3.1, MS-SMB2
//! 2.1). Of a message its head is read; it is kept whole only if it is about pipes.

use crate::dissect::read::Reader;
use crate::dissect::smb::pipes::Pipes;
use crate::dissect::smb::{version1, version2};
use crate::dissect::{Dissector, Progress};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// Bytes of the header in front of each message: its kind and its length.
const FRAME_LEN: usize = 4;

/// Bytes of a message that are read before it is kept or passed over: the header of either version
/// and what a write puts before its data, with the beginning of these.
const HEAD_LEN: usize = 144;

/// The longest message that is kept: RPC's fragments have at most 64 KiB.
const MAX_MESSAGE: usize = 72 * 1024;

/// How many bytes without a message one direction may bring before the session is given up.
const MAX_LOST: u64 = 4 << 20;

/// Follows SMB over TCP, with or without NetBIOS session service.
#[derive(Default)]
pub struct Session {
    streams: [Stream; 2],
    pipes: Pipes,
    /// SMB is still to be claimed, when its first message comes.
    claims_smb: bool,
}

impl Session {
    /// For a NetBIOS session, which may carry something else than SMB.
    pub fn before_smb() -> Session {
        Session {
            claims_smb: true,
            ..Session::default()
        }
    }
}

impl Dissector for Session {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Session {
            streams,
            pipes,
            claims_smb,
        } = self;
        let stream = &mut streams[from.index()];
        let mut bytes = Reader::big(bytes);
        while stream.next(&mut bytes, pipes).is_some() {
            let message = Message::of(&stream.pending);
            if message.is_some() && std::mem::take(claims_smb) {
                found.push(Claim::Speaks(Protocol::Smb));
            }
            match message {
                Some(Message::Version1(message)) => version1::see(message, from, pipes, found),
                Some(Message::Version2(message)) => version2::see(message, from, pipes, found),
                None => {}
            }
            stream.pending.clear();
        }
        if stream.lost > MAX_LOST {
            pipes.finish(found);
            return Progress::Done;
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        if self.streams[from.index()].gap(missing) == Damage::Messages {
            self.pipes.gap(from);
        }
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        self.pipes.finish(found);
    }
}

/// A message without its frame, by version.
enum Message<'a> {
    Version1(&'a [u8]),
    Version2(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Tells the version; `None` for what can not be read: encrypted, compressed, not SMB.
    fn of(framed: &'a [u8]) -> Option<Message<'a>> {
        let mut r = Reader::big(framed);
        r.skip(FRAME_LEN).ok()?;
        let message = r.clone().rest();
        match r.array().ok()? {
            [0xff, b'S', b'M', b'B'] => Some(Message::Version1(message)),
            [0xfe, b'S', b'M', b'B'] => Some(Message::Version2(message)),
            _ => None,
        }
    }
}

/// What a gap takes away.
#[derive(PartialEq, Eq)]
enum Damage {
    /// Part of a message that was passed over anyway.
    None,
    Messages,
}

/// One direction, cut into messages.
#[derive(Default)]
struct Stream {
    /// The beginning of a message with its frame, until it is enough. Bounded by [`MAX_MESSAGE`].
    pending: Vec<u8>,
    /// How much of a message is still to come and of no interest.
    skip: u64,
    /// Bytes since the last message boundary was lost; 0 where it is known.
    lost: u64,
}

impl Stream {
    /// Makes `pending` the next message, whole if that is wanted, else its head. `None` when the
    /// bytes are used up.
    fn next(&mut self, bytes: &mut Reader, pipes: &Pipes) -> Option<()> {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        self.skip -= bytes.up_to(skip).len() as u64;
        let len = loop {
            if self.lost > 0 {
                self.find_boundary(bytes)?;
            }
            self.fill(FRAME_LEN, bytes)?;
            match frame(&self.pending) {
                Some(len) => break FRAME_LEN + len,
                None => self.lose(),
            }
        };
        self.fill(HEAD_LEN.min(len), bytes)?;
        let wanted = match Message::of(&self.pending) {
            Some(Message::Version1(head)) => version1::is_wanted(head, pipes),
            Some(Message::Version2(head)) => version2::is_wanted(head, pipes),
            None => false,
        };
        if wanted && len <= MAX_MESSAGE {
            self.fill(len, bytes)?;
        }
        self.skip = len.saturating_sub(self.pending.len()) as u64;
        Some(())
    }

    /// Adds to `pending` until it has `len` bytes; `None` if there are too few.
    fn fill(&mut self, len: usize, bytes: &mut Reader) -> Option<()> {
        let wanted = len.saturating_sub(self.pending.len());
        self.pending.extend_from_slice(bytes.up_to(wanted));
        (self.pending.len() >= len).then_some(())
    }

    fn gap(&mut self, missing: Option<u64>) -> Damage {
        match missing.and_then(|missing| self.skip.checked_sub(missing)) {
            Some(left) => {
                self.skip = left;
                Damage::None
            }
            None => {
                self.lose();
                Damage::Messages
            }
        }
    }

    fn lose(&mut self) {
        self.pending.clear();
        self.skip = 0;
        self.lost = self.lost.max(1);
    }

    /// Moves to the first place that looks like a message and leads to another one, to the end of
    /// the segment, or beyond it. `None`, with the bytes used up, if there is none.
    fn find_boundary(&mut self, bytes: &mut Reader) -> Option<()> {
        while bytes.left() >= FRAME_LEN + 4 {
            if leads_on(bytes.clone()) {
                self.lost = 0;
                return Some(());
            }
            bytes.skip(1).ok()?;
            self.lost += 1;
        }
        self.lost += bytes.rest().len() as u64;
        None
    }
}

/// The length that a frame gives its message; `None` if it is no frame.
fn frame(bytes: &[u8]) -> Option<usize> {
    let [kind, high, middle, low] = Reader::big(bytes).array().ok()?;
    // Messages, then session request, its answers and keepalive.
    let is_frame = kind == 0 || (0x81..=0x85).contains(&kind) && high & 0xfe == 0;
    let len = u32::from_be_bytes([0, high, middle, low]);
    is_frame.then_some(len as usize)
}

/// Whether a message begins here, judged by its magic and by what lies where it ends.
fn leads_on(mut bytes: Reader) -> bool {
    let Some(len) = message_len(&mut bytes) else {
        return false;
    };
    // The magic of the message has been read with its frame.
    if bytes.skip(len - 4).is_err() || bytes.left() < FRAME_LEN + 4 {
        return true;
    }
    message_len(&mut bytes).is_some()
}

/// Reads a frame and the magic of its message; its length, if both are right.
fn message_len(bytes: &mut Reader) -> Option<usize> {
    let framed: [u8; 8] = bytes.array().ok()?;
    let len = frame(&framed).filter(|len| *len >= 32)?;
    matches!(framed, [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B']).then_some(len)
}
