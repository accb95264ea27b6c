//! Blocks: many records in one buffer, the unit that moves between threads.
//!
//! A buffer is filled once with large reads, frozen into a [`Block`], and read by everybody who
//! holds it; nothing is copied out of it. When the last holder lets go, the buffer returns to the
//! [`Pool`] it came from.

use std::io::{self, Read};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::packet::{Record, Span};

/// Large enough that a read costs far less than what is done with its bytes, small enough that
/// some dozens of them in flight are no burden.
pub const BLOCK_BYTES: usize = 1024 * 1024;

/// Buffers kept for the next use. More may be in flight: how many is bounded by the channels
/// that carry them.
const KEPT_BUFFERS: usize = 64;

/// Records in one unit: enough to make the hand-over between threads cheap, few enough that
/// workers start early and share evenly.
pub const MAX_RECORDS: usize = 2048;

/// Hands out buffers, and gets them back when their blocks are no longer used.
#[derive(Clone, Debug)]
pub struct Pool {
    bytes: usize,
    home: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
}

impl Default for Pool {
    /// A pool of buffers of [`BLOCK_BYTES`].
    fn default() -> Pool {
        Pool::new(BLOCK_BYTES)
    }
}

impl Pool {
    /// A pool of buffers of `bytes` each.
    pub fn new(bytes: usize) -> Pool {
        let (home, free) = bounded(KEPT_BUFFERS);
        Pool { bytes, home, free }
    }

    /// An empty buffer with room for at least `room` bytes, used before or new.
    pub fn take(&self, room: usize) -> Filling {
        let mut bytes = self.free.try_recv().unwrap_or_default();
        let wanted = self.bytes.max(room);
        if bytes.is_empty() {
            // Fresh zeroed memory costs nothing until it is touched; growing would copy.
            bytes = vec![0; wanted];
        } else if bytes.len() < wanted {
            bytes.resize(wanted, 0);
        }
        Filling {
            bytes,
            filled: 0,
            home: self.home.clone(),
        }
    }
}

/// A buffer while it is being filled.
#[derive(Debug)]
pub struct Filling {
    bytes: Vec<u8>,
    filled: usize,
    home: Sender<Vec<u8>>,
}

impl Filling {
    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Copies `bytes` behind what is there, and says where they lie; `None` if they do not fit.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Span> {
        let start = self.filled;
        let end = start.checked_add(bytes.len())?;
        self.bytes.get_mut(start..end)?.copy_from_slice(bytes);
        self.filled = end;
        Some(Span {
            block: 0,
            start: start.try_into().ok()?,
            len: bytes.len().try_into().ok()?,
        })
    }

    /// Reads once, behind what is there. 0 is the end of the source, or a full buffer.
    ///
    /// # Errors
    ///
    /// What the source says, except that an interrupted read is repeated.
    pub fn read_once(&mut self, source: &mut dyn Read) -> io::Result<usize> {
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        loop {
            match source.read(room) {
                Ok(count) => {
                    let count = count.min(room.len());
                    self.filled += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether no more bytes fit.
    pub fn is_full(&self) -> bool {
        self.filled >= self.bytes.len()
    }

    /// Ends the filling: from now on the bytes are only read.
    pub fn freeze(self) -> Arc<Block> {
        Arc::new(Block(self))
    }
}

/// A filled buffer. It goes back to its pool when the last `Arc` of it is dropped.
#[derive(Debug)]
pub struct Block(Filling);

impl Block {
    /// All its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes.get(..self.0.filled).unwrap_or_default()
    }

    /// The bytes of a span in this block; empty if the span does not lie inside.
    pub fn part(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        let end = start.saturating_add(span.len as usize);
        self.bytes().get(start..end).unwrap_or_default()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Where the pool is full or gone, the buffer is simply freed.
        let _ = self.0.home.try_send(std::mem::take(&mut self.0.bytes));
    }
}

/// Records in the order in which they are to be read, with the blocks that their bytes lie in.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// What `Span::block` counts.
    pub blocks: Vec<Arc<Block>>,
    /// At most [`MAX_RECORDS`]; never none when handed out.
    pub records: Vec<Record>,
}

impl Records {
    /// The bytes of a span of one of these records; empty if the span names none.
    pub fn bytes(&self, span: Span) -> &[u8] {
        match self.blocks.get(span.block as usize) {
            Some(block) => block.part(span),
            None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_to_its_pool_with_the_last_holder_and_not_before() {
        let pool = Pool::new(16);
        let block = pool.take(0).freeze();
        let second = Arc::clone(&block);
        drop(block);
        assert_eq!(pool.free.len(), 0);
        drop(second);
        assert_eq!(pool.free.len(), 1);
        assert!(pool.take(0).is_empty());
        assert_eq!(pool.free.len(), 0);
    }

    #[test]
    fn a_pool_keeps_no_more_buffers_than_its_bound() {
        let pool = Pool::new(1);
        let blocks: Vec<_> = (0..KEPT_BUFFERS + 9)
            .map(|_| pool.take(0).freeze())
            .collect();
        drop(blocks);
        assert_eq!(pool.free.len(), KEPT_BUFFERS);
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut filling = Pool::new(4).take(0);
        assert!(filling.push(b"abc").is_some());
        assert_eq!(filling.push(b"de"), None);
        assert_eq!(filling.freeze().bytes(), b"abc");
    }

    #[test]
    fn a_span_outside_is_empty() {
        let mut filling = Pool::new(8).take(0);
        let inside = filling.push(b"abc").expect("fits");
        let records = Records {
            blocks: vec![filling.freeze()],
            records: Vec::new(),
        };
        assert_eq!(records.bytes(inside), b"abc");
        let beyond = Span {
            start: 2,
            len: 2,
            ..inside
        };
        let elsewhere = Span { block: 1, ..inside };
        let endless = Span {
            start: u32::MAX,
            len: u32::MAX,
            ..inside
        };
        for span in [beyond, elsewhere, endless] {
            assert!(records.bytes(span).is_empty(), "{span:?}");
        }
    }
}
