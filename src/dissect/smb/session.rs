//! One connection: two streams of messages, each after a four-byte header (RFC 1002 4.3.1, MS-SMB2
//! 2.1). Of a message its head is read; it is kept whole only if it is about pipes.

use crate::dissect::cutter::{Cutter, Damage};
use crate::dissect::read::Reader;
use crate::dissect::smb::pipes::Pipes;
use crate::dissect::smb::{clues, version1, version2};
use crate::dissect::{Dissector, Progress, smb::PROTOCOL};
use crate::model::evidence::{Claim, Direction};

/// Bytes of the header in front of each message: its kind and its length.
const FRAME_LEN: usize = 4;

/// Bytes of the magic with which a message begins.
const MAGIC_LEN: usize = 4;

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
    streams: [Cutter; 2],
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
        while let Some(len) = next(stream, &mut bytes, from, pipes) {
            let message = Message::of(&stream.pending);
            let is_smb = message.as_ref().is_some_and(Message::has_header);
            if is_smb && std::mem::take(claims_smb) {
                found.push(Claim::Speaks(PROTOCOL));
            }
            match message {
                Some(Message::Version1(message)) => {
                    version1::see(message, len, from, pipes, found);
                }
                Some(Message::Version2(message)) => {
                    version2::see(message, len, from, pipes, found);
                }
                Some(Message::Encrypted) => {
                    let cipher = pipes.cipher.unwrap_or("unknown cipher").to_owned();
                    pipes.tell(clues::ENCRYPTION, cipher, from, found);
                }
                Some(Message::Compressed(message)) => {
                    if let Ok(algorithm) = clues::compression(message) {
                        pipes.tell(clues::COMPRESSION, algorithm.to_owned(), from, found);
                    }
                }
                Some(Message::Raw(data)) => pipes.raw(from, data, len, found),
                None => {}
            }
            stream.clear();
        }
        if stream.lost() > MAX_LOST {
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

    fn kept(&self) -> usize {
        let pending: usize = self.streams.iter().map(|stream| stream.pending.len()).sum();
        pending + self.pipes.kept()
    }
}

/// A message without its frame, by version.
enum Message<'a> {
    Version1(&'a [u8]),
    Version2(&'a [u8]),
    Encrypted,
    Compressed(&'a [u8]),
    /// What a raw exchange of SMB 1 carries, or no SMB at all.
    Raw(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Tells what it is; `None` for what only the NetBIOS session is about.
    fn of(framed: &'a [u8]) -> Option<Message<'a>> {
        let mut r = Reader::big(framed);
        let [kind, _, _, _] = r.array().ok()?;
        let message = r.clone().rest();
        match r.array() {
            _ if kind != 0 => None,
            Ok([0xff, b'S', b'M', b'B']) => Some(Message::Version1(message)),
            Ok([0xfe, b'S', b'M', b'B']) => Some(Message::Version2(message)),
            Ok([0xfd, b'S', b'M', b'B']) => Some(Message::Encrypted),
            Ok([0xfc, b'S', b'M', b'B']) => Some(Message::Compressed(message)),
            _ => Some(Message::Raw(message)),
        }
    }

    fn has_header(&self) -> bool {
        !matches!(self, Message::Raw(_))
    }
}

/// Makes `pending` the next message of a direction with its frame, whole if that is wanted, else
/// its head, and says how long it is with its frame. `None` when the bytes are used up.
fn next(stream: &mut Cutter, bytes: &mut Reader, from: Direction, pipes: &Pipes) -> Option<u64> {
    stream.pass_over(bytes);
    let len = loop {
        stream.find_boundary(bytes, FRAME_LEN + MAGIC_LEN, leads_on)?;
        stream.fill(FRAME_LEN, bytes)?;
        match frame(&stream.pending) {
            Some(len) => break FRAME_LEN + len,
            None => stream.lose(),
        }
    };
    stream.fill(HEAD_LEN.min(len), bytes)?;
    let wanted = match Message::of(&stream.pending) {
        Some(Message::Version1(head)) => version1::is_wanted(head, pipes),
        Some(Message::Version2(head)) => version2::is_wanted(head, pipes),
        Some(Message::Raw(head)) => pipes.follows_raw(from, head),
        _ => false,
    };
    if wanted && len <= MAX_MESSAGE {
        stream.fill(len, bytes)?;
    }
    stream.skip_rest(len);
    Some(len as u64)
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
    if bytes.skip(len - MAGIC_LEN).is_err() || bytes.left() < FRAME_LEN + MAGIC_LEN {
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

#[cfg(test)]
mod tests;
