//! A stream cut into messages that say how long they are, torn anywhere. What matters of a message
//! is kept until it is enough; the rest is passed over by its length, without being buffered. After
//! a gap the next boundary is looked for.

use crate::dissect::read::Reader;

/// Bytes of room that are kept for the next message. There may be very many streams, each of which
/// once had a long one.
const KEPT_ROOM: usize = 512;

/// One direction of a stream of messages.
#[derive(Default)]
pub struct Cutter {
    /// The beginning of a message, until it is enough. Its user bounds what is asked for.
    pub pending: Vec<u8>,
    /// How much of a message is still to come and of no interest.
    skip: u64,
    /// Bytes since the last boundary was lost; 0 where it is known.
    lost: u64,
}

/// What a gap takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Part of a message that was passed over anyway.
    None,
    /// Messages, and where the next one begins.
    Messages,
}

impl Cutter {
    /// Passes over what is still to come of the last message.
    pub fn pass_over(&mut self, bytes: &mut Reader) {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        self.skip -= bytes.up_to(skip).len() as u64;
    }

    /// Whether the next byte is the first of a message.
    pub fn is_at_boundary(&self) -> bool {
        self.pending.is_empty() && self.skip == 0 && self.lost == 0
    }

    /// Adds to `pending` until it has `len` bytes; `None` if there are too few.
    pub fn fill(&mut self, len: usize, bytes: &mut Reader) -> Option<()> {
        let wanted = len.saturating_sub(self.pending.len());
        self.pending.extend_from_slice(bytes.up_to(wanted));
        (self.pending.len() >= len).then_some(())
    }

    /// The message in `pending` has been read.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.pending.shrink_to(KEPT_ROOM);
    }

    /// Says that the message in `pending` has `len` bytes, and that no more of them are wanted.
    pub fn skip_rest(&mut self, len: usize) {
        self.skip = len.saturating_sub(self.pending.len()) as u64;
    }

    /// Says that bytes are missing here; `None` where it is not known how many.
    pub fn gap(&mut self, missing: Option<u64>) -> Damage {
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

    /// Gives up what is pending: no message begins where one was expected.
    pub fn lose(&mut self) {
        self.pending.clear();
        self.skip = 0;
        self.lost = self.lost.max(1);
    }

    /// Bytes since the last boundary was lost; 0 where it is known.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Where the boundary is lost, moves to the first place of at least `least` bytes from which a
    /// message leads on. `None`, with the bytes used up, if there is none.
    pub fn find_boundary(
        &mut self,
        bytes: &mut Reader,
        least: usize,
        leads_on: impl Fn(Reader) -> bool,
    ) -> Option<()> {
        if self.lost == 0 {
            return Some(());
        }
        while bytes.left() >= least {
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
