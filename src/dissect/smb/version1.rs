//! Messages of SMB 1 (MS-CIFS 2.2), as far as they are about pipes.

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::smb::pipes::{Asked, Exchange, File, Pipes, Share, Tree};
use crate::model::evidence::{Claim, Direction};

/// Bytes in a header (MS-CIFS 2.2.3.1).
const HEADER_LEN: usize = 32;

/// Commands (MS-CIFS 2.2.2.1).
mod command {
    pub const CLOSE: u8 = 0x04;
    pub const TRANSACTION: u8 = 0x25;
    pub const OPEN: u8 = 0x2d;
    pub const READ: u8 = 0x2e;
    pub const WRITE: u8 = 0x2f;
    pub const SESSION_SETUP: u8 = 0x73;
    pub const TREE_CONNECT: u8 = 0x75;
    pub const CREATE: u8 = 0xa2;
    pub const NONE: u8 = 0xff;
}

/// `TRANS_TRANSACT_NMPIPE` (MS-CIFS 2.2.5.6): write, then read.
const TRANSACT: u16 = 0x0026;

/// File types in the answer to an open (MS-CIFS 2.2.4.64.2): byte pipe and message pipe.
const PIPE_TYPES: [u16; 2] = [1, 2];

/// Status of a read that left something to be read.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// Commands chained in one message (MS-CIFS 2.2.3.4): clients chain two or three.
const MAX_CHAIN: usize = 16;

/// Which side sends a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Answer,
}

/// What a header says.
struct Header {
    command: u8,
    status: u32,
    kind: Kind,
    unicode: bool,
    tree: Tree,
    exchange: Exchange,
}

impl Header {
    fn read(message: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::little(message);
        r.skip(4)?;
        let (command, status, flags, flags2) = (r.u8()?, r.u32()?, r.u8()?, r.u16()?);
        let process_high = r.u16()?;
        r.skip(10)?;
        let (tree, process, _user, multiplex) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        // An answer repeats both halves of the process and the multiplex number.
        let exchange = [process_high, process, multiplex]
            .into_iter()
            .fold(0, |key: u64, half| key << 16 | u64::from(half));
        Ok(Header {
            command,
            status,
            kind: match flags & 0x80 {
                0 => Kind::Request,
                _ => Kind::Answer,
            },
            unicode: flags2 & 0x8000 != 0,
            tree: Tree(tree.into()),
            exchange: Exchange(exchange),
        })
    }

    fn has_succeeded(&self) -> bool {
        self.status == 0 || self.status == BUFFER_OVERFLOW
    }
}

/// Whether a message that begins like this is worth keeping whole.
pub fn is_wanted(head: &[u8], pipes: &Pipes) -> bool {
    let Ok(header) = Header::read(head) else {
        return false;
    };
    match (header.command, header.kind) {
        (command::SESSION_SETUP | command::TREE_CONNECT, _) => true,
        (command::CREATE | command::OPEN | command::TRANSACTION, _) => true,
        (command::CLOSE | command::READ, Kind::Request) => true,
        (command::READ, Kind::Answer) => pipes.is_asked(header.exchange),
        (command::WRITE, Kind::Request) => Block::read(head, HEADER_LEN)
            .and_then(|block| write(head, &block))
            .is_ok_and(|(file, beginning)| pipes.follows(file, beginning)),
        _ => false,
    }
}

/// Parameter words of a command, and where its data bytes begin.
struct Block<'a> {
    words: Reader<'a>,
    bytes: Reader<'a>,
    /// Where `bytes` begin in the message: strings are aligned from there.
    bytes_at: usize,
}

impl<'a> Block<'a> {
    fn read(message: &'a [u8], at: usize) -> Result<Block<'a>, Short> {
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
}

/// Takes a message, with the commands that are chained in it.
pub fn see(message: &[u8], from: Direction, pipes: &mut Pipes, found: &mut Vec<Claim>) {
    let Ok(header) = Header::read(message) else {
        return;
    };
    let (mut command, mut at) = (header.command, HEADER_LEN);
    for _ in 0..MAX_CHAIN {
        let Ok(block) = Block::read(message, at) else {
            return;
        };
        // A command that ends early says nothing.
        let _ = see_one(message, command, &header, &block, from, pipes, found);
        let chains = matches!(
            command,
            command::SESSION_SETUP
                | command::TREE_CONNECT
                | command::CREATE
                | command::OPEN
                | command::READ
                | command::WRITE
        );
        let mut words = block.words;
        let next = (words.u8(), words.u8(), words.u16());
        let (true, (Ok(next), Ok(_), Ok(offset))) = (chains, next) else {
            return;
        };
        if next == command::NONE || usize::from(offset) <= at {
            return;
        }
        (command, at) = (next, offset.into());
    }
}

fn see_one(
    message: &[u8],
    command: u8,
    header: &Header,
    block: &Block,
    from: Direction,
    pipes: &mut Pipes,
    found: &mut Vec<Claim>,
) -> Result<(), Short> {
    let mut words = block.words.clone();
    match (command, header.kind) {
        (command::TREE_CONNECT, Kind::Answer) if header.has_succeeded() => {
            let service = block.bytes.clone().until(0)?;
            let share = match service {
                b"IPC" => Share::Pipes,
                _ => Share::Other,
            };
            pipes.connect(header.tree, share);
        }
        (command::CREATE | command::OPEN, Kind::Request) => {
            let share = pipes.share(header.tree);
            if share != Some(Share::Other)
                && let Some(name) = names::pipe(&name(block, header))
            {
                pipes.ask(header.exchange, Asked::Open(name, share));
            }
        }
        (command::CREATE | command::OPEN, Kind::Answer) => {
            let asked = pipes.answered(header.exchange);
            if !header.has_succeeded() {
                return Ok(());
            }
            words.skip(4)?;
            let (file, kind) = match command {
                command::CREATE => {
                    words.skip(1)?;
                    let file = file(&mut words)?;
                    words.skip(56)?; // action, times, attributes, sizes
                    (file, words.u16()?)
                }
                _ => {
                    let file = file(&mut words)?;
                    words.skip(12)?; // attributes, time, size, access
                    (file, words.u16()?)
                }
            };
            if let Some(Asked::Open(name, share)) = asked
                && (PIPE_TYPES.contains(&kind) || share == Some(Share::Pipes))
            {
                pipes.open(file, name, found);
            }
        }
        (command::CLOSE, Kind::Request) => pipes.close(file(&mut words)?),
        (command::WRITE, Kind::Request) => {
            let (file, data) = write(message, block)?;
            pipes.data(file, from, data, found);
        }
        (command::READ, Kind::Request) => {
            words.skip(4)?;
            let file = file(&mut words)?;
            if pipes.share(header.tree) != Some(Share::Other) {
                pipes.ask(header.exchange, Asked::Read(file));
            }
        }
        (command::READ, Kind::Answer) => {
            if let Some(Asked::Read(file)) = pipes.answered(header.exchange)
                && header.has_succeeded()
            {
                words.skip(10)?;
                let (len, offset) = (words.u16()?, words.u16()?);
                pipes.data(file, from, part(message, offset, len)?, found);
            }
        }
        (command::TRANSACTION, Kind::Request) => {
            words.skip(22)?;
            let (len, offset) = (words.u16()?, words.u16()?);
            let (_setup, function) = (words.u16()?, words.u16()?);
            if function != TRANSACT {
                return Ok(());
            }
            let file = file(&mut words)?;
            pipes.ask(header.exchange, Asked::Read(file));
            pipes.data(file, from, part(message, offset, len)?, found);
        }
        (command::TRANSACTION, Kind::Answer) => {
            if let Some(Asked::Read(file)) = pipes.answered(header.exchange)
                && header.has_succeeded()
            {
                words.skip(12)?;
                let (len, offset) = (words.u16()?, words.u16()?);
                pipes.data(file, from, part(message, offset, len)?, found);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The name in a request to open, which fills the data bytes.
fn name(block: &Block, header: &Header) -> String {
    let mut bytes = block.bytes.clone();
    if !header.unicode {
        return names::text(bytes.rest());
    }
    // UTF-16 begins at an even place of the message.
    bytes.up_to(block.bytes_at % 2);
    names::utf16(bytes.rest())
}

/// The file of a write and its data, as much as is there.
fn write<'a>(message: &'a [u8], block: &Block) -> Result<(File, &'a [u8]), Short> {
    let mut words = block.words.clone();
    words.skip(4)?;
    let file = file(&mut words)?;
    words.skip(8)?; // offset and timeout
    let mode = words.u16()?;
    words.skip(4)?; // remaining, upper half of the length
    let (len, offset) = (words.u16()?, words.u16()?);
    let mut data = Reader::little(message);
    data.skip(offset.into())?;
    let mut data = Reader::little(data.up_to(len.into()));
    // The first write of a message to a pipe may say before its data how long the message is.
    if mode & RAW_START == RAW_START {
        data.skip(2)?;
    }
    Ok((file, data.rest()))
}

/// "Raw mode" and "start of message" (MS-CIFS 2.2.4.43.1).
const RAW_START: u16 = 0x000c;

fn file(r: &mut Reader) -> Result<File, Short> {
    Ok(File(r.u16()?.into()))
}

/// Part of a message, by offset from its header and by length.
fn part(message: &[u8], offset: u16, len: u16) -> Result<&[u8], Short> {
    let mut r = Reader::little(message);
    r.skip(offset.into())?;
    r.take(len.into())
}
