//! Messages of SMB 2 and 3 (MS-SMB2 2.2), as far as they are about pipes.

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::smb::pipes::{Asked, Exchange, File, Pipes, Share, Tree};
use crate::model::evidence::{Claim, Direction};

/// Bytes in a header (MS-SMB2 2.2.1).
const HEADER_LEN: usize = 64;

/// Commands (MS-SMB2 2.2.1.2).
mod command {
    pub const TREE_CONNECT: u16 = 3;
    pub const CREATE: u16 = 5;
    pub const CLOSE: u16 = 6;
    pub const READ: u16 = 8;
    pub const WRITE: u16 = 9;
    pub const IOCTL: u16 = 11;
}

/// `FSCTL_PIPE_TRANSCEIVE` (MS-FSCC 2.3): write, then read.
const TRANSCEIVE: u32 = 0x0011_c017;

/// Status of an answer that another one follows (MS-ERREF 2.3).
const PENDING: u32 = 0x0000_0103;

/// Status of a read that left something to be read.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// Messages chained in one (MS-SMB2 3.2.4.1.4): clients chain three.
const MAX_CHAIN: usize = 32;

/// Which side sends a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Answer,
}

/// What a header says.
struct Header {
    status: u32,
    command: u16,
    kind: Kind,
    /// Where the next message of the chain begins; 0 if there is none.
    next: usize,
    exchange: Exchange,
    tree: Tree,
}

impl Header {
    fn read(message: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::little(message);
        r.skip(8)?; // magic, structure size, credit charge
        let (status, command, _credits) = (r.u32()?, r.u16()?, r.u16()?);
        let (flags, next, message_id) = (r.u32()?, r.u32()?, r.u64()?);
        r.skip(4)?;
        let tree = r.u32()?;
        r.skip(24)?; // session and signature
        Ok(Header {
            status,
            command,
            kind: match flags & 1 {
                0 => Kind::Request,
                _ => Kind::Answer,
            },
            next: usize::try_from(next).unwrap_or(usize::MAX),
            exchange: Exchange(message_id),
            tree: Tree(tree),
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
        _ if header.next != 0 => true,
        (command::TREE_CONNECT, Kind::Answer) => true,
        (command::CREATE | command::IOCTL, _) => true,
        (command::CLOSE | command::READ, Kind::Request) => true,
        (command::READ, Kind::Answer) => pipes.is_asked(header.exchange),
        (command::WRITE, Kind::Request) => {
            write(head).is_ok_and(|(file, beginning)| pipes.follows(file, beginning))
        }
        _ => false,
    }
}

/// Takes a message, with those that are chained to it.
pub fn see(message: &[u8], from: Direction, pipes: &mut Pipes, found: &mut Vec<Claim>) {
    let mut rest = Reader::little(message);
    for _ in 0..MAX_CHAIN {
        let Ok(header) = Header::read(rest.clone().rest()) else {
            return;
        };
        let len = match header.next {
            0 => rest.left(),
            next => next.min(rest.left()).max(HEADER_LEN.min(rest.left())),
        };
        let one = rest.up_to(len);
        // A body that ends early says nothing.
        let _ = see_one(one, &header, from, pipes, found);
    }
}

fn see_one(
    message: &[u8],
    header: &Header,
    from: Direction,
    pipes: &mut Pipes,
    found: &mut Vec<Claim>,
) -> Result<(), Short> {
    let mut body = Reader::little(message);
    body.skip(HEADER_LEN)?;
    match (header.command, header.kind) {
        (command::TREE_CONNECT, Kind::Answer) if header.has_succeeded() => {
            body.skip(2)?;
            let share = match body.u8()? {
                2 => Share::Pipes,
                _ => Share::Other,
            };
            pipes.connect(header.tree, share);
        }
        (command::CREATE, Kind::Request) => {
            let share = pipes.share(header.tree);
            if share != Some(Share::Other)
                && let Some(name) = names::pipe(&name(message)?)
            {
                pipes.ask(header.exchange, Asked::Open(name, share));
            }
        }
        (command::CREATE, Kind::Answer) if header.status != PENDING => {
            if let Some(Asked::Open(name, share)) = pipes.answered(header.exchange)
                && header.has_succeeded()
            {
                body.skip(64)?;
                let file = file(&mut body)?;
                match share {
                    Some(_) => pipes.open(file, name, found),
                    None => pipes.open_candidate(file, name),
                }
            }
        }
        (command::CLOSE, Kind::Request) => {
            body.skip(8)?;
            pipes.close(file(&mut body)?);
        }
        (command::WRITE, Kind::Request) => {
            let (file, data) = write(message)?;
            pipes.data(file, from, data, found);
        }
        (command::READ, Kind::Request) => {
            body.skip(16)?;
            let file = file(&mut body)?;
            if pipes.share(header.tree) != Some(Share::Other) {
                pipes.ask(header.exchange, Asked::Read(file));
            }
        }
        (command::READ, Kind::Answer) if header.status != PENDING => {
            if let Some(Asked::Read(file)) = pipes.answered(header.exchange)
                && header.has_succeeded()
            {
                body.skip(2)?;
                let (offset, _reserved, len) = (body.u8()?, body.u8()?, body.u32()?);
                pipes.data(file, from, part(message, offset.into(), len)?, found);
            }
        }
        (command::IOCTL, kind) => {
            body.skip(4)?;
            if body.u32()? != TRANSCEIVE {
                return Ok(());
            }
            let file = file(&mut body)?;
            if kind == Kind::Answer {
                body.skip(8)?; // what was sent, again
            }
            let (offset, len) = (body.u32()?, body.u32()?);
            if kind == Kind::Request || header.has_succeeded() {
                pipes.data(file, from, part(message, offset, len)?, found);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The name in a request to create.
fn name(message: &[u8]) -> Result<String, Short> {
    let mut r = Reader::little(message);
    r.skip(HEADER_LEN + 44)?;
    let (offset, len) = (r.u16()?, r.u16()?);
    Ok(names::utf16(part(message, offset.into(), len.into())?))
}

/// The file of a write and its data, as much as is there.
fn write(message: &[u8]) -> Result<(File, &[u8]), Short> {
    let mut r = Reader::little(message);
    r.skip(HEADER_LEN + 2)?;
    let (offset, len, _at) = (r.u16()?, r.u32()?, r.u64()?);
    let file = file(&mut r)?;
    let mut data = Reader::little(message);
    data.skip(offset.into())?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    Ok((file, data.up_to(len)))
}

fn file(r: &mut Reader) -> Result<File, Short> {
    Ok(File(u128::from_le_bytes(r.array()?)))
}

/// Part of a message, by offset from its header and by length.
fn part(message: &[u8], offset: u32, len: u32) -> Result<&[u8], Short> {
    let mut r = Reader::little(message);
    r.skip(usize::try_from(offset).map_err(|_| Short)?)?;
    r.take(usize::try_from(len).map_err(|_| Short)?)
}
