//! What a message of SMB 1 is made of: its header, and the words and data of its commands (MS-CIFS
//! 2.2.3).

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::smb::pipes::{Exchange, Scope, Tree};

/// Bytes in a header (MS-CIFS 2.2.3.1).
pub const HEADER_LEN: usize = 32;

/// Commands (MS-CIFS 2.2.2.1).
pub mod command {
    pub const OPEN: u8 = 0x02;
    pub const CLOSE: u8 = 0x04;
    pub const READ: u8 = 0x0a;
    pub const WRITE: u8 = 0x0b;
    pub const LOCK_AND_READ: u8 = 0x13;
    pub const WRITE_AND_UNLOCK: u8 = 0x14;
    pub const READ_RAW: u8 = 0x1a;
    pub const WRITE_RAW: u8 = 0x1d;
    pub const WRITE_COMPLETE: u8 = 0x20;
    pub const TRANSACTION: u8 = 0x25;
    pub const TRANSACTION_SECONDARY: u8 = 0x26;
    pub const WRITE_AND_CLOSE: u8 = 0x2c;
    pub const OPEN_ANDX: u8 = 0x2d;
    pub const READ_ANDX: u8 = 0x2e;
    pub const WRITE_ANDX: u8 = 0x2f;
    pub const TRANSACTION2: u8 = 0x32;
    /// In the core dialect (MS-CIFS 2.2.4.50).
    pub const CORE_TREE_CONNECT: u8 = 0x70;
    pub const NEGOTIATE: u8 = 0x72;
    pub const SESSION_SETUP: u8 = 0x73;
    pub const TREE_CONNECT: u8 = 0x75;
    pub const NT_TRANSACTION: u8 = 0xa0;
    pub const CREATE: u8 = 0xa2;
    /// The first and the last of those that send messages to users (MS-MSRP 2.2.3).
    pub const SEND_MESSAGE: u8 = 0xd0;
    pub const SEND_TEXT: u8 = 0xd7;
    pub const NONE: u8 = 0xff;
}

/// Statuses of a read that left something to be read: as Windows NT says it (MS-ERREF 2.3), and as
/// class and code of DOS (MS-CIFS 2.2.2.4).
const MORE_TO_READ: [u32; 2] = [0x8000_0005, 0x00ea_0001];

/// Which side sends a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The client.
    Request,
    /// The server.
    Answer,
}

/// What a header says.
pub struct Header {
    /// The first command.
    pub command: u8,
    status: u32,
    /// Which side sends it.
    pub kind: Kind,
    /// Texts are UTF-16.
    pub unicode: bool,
    /// The tree that it is about.
    pub tree: Tree,
    /// Both halves of the process and the multiplex number, which an answer repeats.
    caller: [u16; 3],
}

impl Header {
    /// Reads the header with which a message begins.
    ///
    /// # Errors
    /// `Short` if the message ends before it does.
    pub fn read(message: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::little(message);
        r.skip(4)?;
        let (command, status, flags, flags2) = (r.u8()?, r.u32()?, r.u8()?, r.u16()?);
        let process_high = r.u16()?;
        r.skip(10)?;
        let (tree, process, _user, multiplex) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        Ok(Header {
            command,
            status,
            kind: match flags & 0x80 {
                0 => Kind::Request,
                _ => Kind::Answer,
            },
            unicode: flags2 & 0x8000 != 0,
            tree: Tree(Scope::default(), tree.into()),
            caller: [process_high, process, multiplex],
        })
    }

    /// Whether an answer grants what was asked.
    pub fn has_succeeded(&self) -> bool {
        self.status == 0 || MORE_TO_READ.contains(&self.status)
    }

    /// One of the commands that are chained in this message.
    pub fn exchange(&self, command: u8) -> Exchange {
        let key = (self.caller.into_iter()).fold(0, |key: u64, half| key << 16 | u64::from(half));
        Exchange(key << 8 | u64::from(command))
    }
}

/// Parameter words of a command, and where its data bytes begin.
pub struct Block<'a> {
    /// The words.
    pub words: Reader<'a>,
    /// The data bytes, as much of them as is there.
    pub bytes: Reader<'a>,
    /// Where `bytes` begin in the message: strings are aligned from there.
    bytes_at: usize,
}

impl<'a> Block<'a> {
    /// Reads the words and the data that stand at this place of a message.
    ///
    /// # Errors
    /// `Short` if the message ends before the words do.
    pub fn read(message: &'a [u8], at: usize) -> Result<Block<'a>, Short> {
        let mut r = Reader::little(message);
        r.skip(at)?;
        let count = r.u8()?;
        let words = r.sub(usize::from(count) * 2)?;
        // Of a head alone the data are not all there.
        let len = r.u16().unwrap_or(0);
        let bytes_at = r.position();
        let bytes = Reader::little(r.up_to(len.into()));
        Ok(Block {
            words,
            bytes,
            bytes_at,
        })
    }

    /// The texts among the data bytes from `at` on.
    pub fn strings(&self, at: usize, header: &Header) -> Strings<'a> {
        let mut bytes = self.bytes.clone();
        bytes.up_to(at);
        // UTF-16 begins at an even place of the message.
        if header.unicode {
            bytes.up_to((self.bytes_at + at) % 2);
        }
        Strings {
            bytes,
            unicode: header.unicode,
        }
    }

    /// The text that fills the data bytes from `at` on, up to its NUL.
    pub fn text(&self, at: usize, header: &Header) -> String {
        let Strings { mut bytes, unicode } = self.strings(at, header);
        match unicode {
            true => names::utf16(bytes.rest()),
            false => names::text(bytes.rest()),
        }
    }
}

/// Texts that follow each other, each ended by a NUL.
pub struct Strings<'a> {
    bytes: Reader<'a>,
    unicode: bool,
}

impl Strings<'_> {
    /// The next text.
    ///
    /// # Errors
    /// `Short` if none is left. The last one need not be ended.
    pub fn next(&mut self) -> Result<String, Short> {
        if self.bytes.left() == 0 {
            return Err(Short);
        }
        if !self.unicode {
            let text = match self.bytes.clone().until(0) {
                Ok(_) => self.bytes.until(0)?,
                Err(Short) => self.bytes.rest(),
            };
            return Ok(names::text(text));
        }
        let whole = names::utf16(self.bytes.clone().rest());
        while self.bytes.u16().is_ok_and(|unit| unit != 0) {}
        Ok(whole)
    }
}
