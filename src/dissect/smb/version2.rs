//! Messages of SMB 2 and 3 (MS-SMB2 2.2), as far as they are about pipes.

use crate::dissect::read::{Reader, Short};
use crate::dissect::rpc::pdu;
use crate::dissect::smb::clues;
use crate::dissect::smb::pipes::{
    Asked, Exchange, File, Named, Pipes, Scope, Share, Tree, Ungranted,
};
use crate::dissect::{names, ntlm};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// Bytes in a header (MS-SMB2 2.2.1).
const HEADER_LEN: usize = 64;

/// Commands (MS-SMB2 2.2.1.2).
mod command {
    pub const NEGOTIATE: u16 = 0;
    pub const SESSION_SETUP: u16 = 1;
    pub const TREE_CONNECT: u16 = 3;
    pub const CREATE: u16 = 5;
    pub const CLOSE: u16 = 6;
    pub const FLUSH: u16 = 7;
    pub const READ: u16 = 8;
    pub const WRITE: u16 = 9;
    pub const LOCK: u16 = 10;
    pub const IOCTL: u16 = 11;
    pub const QUERY_DIRECTORY: u16 = 14;
    pub const CHANGE_NOTIFY: u16 = 15;
    pub const QUERY_INFO: u16 = 16;
    pub const SET_INFO: u16 = 17;
}

/// Flags of a header (MS-SMB2 2.2.1.1).
mod flag {
    pub const ANSWER: u32 = 1;
    /// Where the tree's number stands, another number stands.
    pub const ASYNC: u32 = 2;
    /// Session, tree and file are those of the message before.
    pub const RELATED: u32 = 4;
}

/// `FSCTL_PIPE_TRANSCEIVE` (MS-FSCC 2.3): write, then read.
const TRANSCEIVE: u32 = 0x0011_c017;

/// `FSCTL_DFS_GET_REFERRALS` and its extended form (MS-FSCC 2.3).
const DFS_REFERRALS: u32 = 0x0006_0194;
const DFS_REFERRALS_EX: u32 = 0x0006_01b0;

/// Status of an answer that another one follows (MS-ERREF 2.3).
const PENDING: u32 = 0x0000_0103;

/// Status of a read that left something to be read.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// The number of a file that stands for that of the message before (MS-SMB2 3.2.4.1.4).
const SAME_FILE: u128 = u128::MAX;

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
    is_related: bool,
    exchange: Exchange,
    /// The session's, if it is not said.
    tree: Tree,
}

impl Header {
    fn read(message: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::little(message);
        r.skip(8)?; // magic, structure size, credit charge
        let (status, command, _credits) = (r.u32()?, r.u16()?, r.u16()?);
        let (flags, next, message_id) = (r.u32()?, r.u32()?, r.u64()?);
        r.skip(4)?;
        let (tree, session) = (r.u32()?, r.u64()?);
        r.skip(16)?; // signature
        Ok(Header {
            status,
            command,
            kind: match flags & flag::ANSWER {
                0 => Kind::Request,
                _ => Kind::Answer,
            },
            next: usize::try_from(next).unwrap_or(usize::MAX),
            is_related: flags & flag::RELATED != 0,
            exchange: Exchange(message_id),
            tree: match flags & flag::ASYNC {
                0 => Tree(Scope(session), tree),
                _ => Tree(Scope(session), 0),
            },
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
        (command::NEGOTIATE | command::SESSION_SETUP | command::TREE_CONNECT, _) => true,
        (command::CREATE | command::IOCTL, _) => true,
        (command::READ, Kind::Answer) => match pipes.asked(header.exchange) {
            Some(Asked::Read(file)) => may_be_of_a_pipe(*file, head, pipes),
            _ => false,
        },
        (command::WRITE, Kind::Request) => {
            let chain = Chain::new(&header);
            let written = write(head, &chain);
            pipes.share(header.tree) != Some(Share::Other)
                && written.is_ok_and(|(file, beginning, _)| pipes.follows(file, beginning))
        }
        _ => false,
    }
}

/// Whether what was read may be a pipe's. All but the beginning of a file copied is passed over.
fn may_be_of_a_pipe(file: File, head: &[u8], pipes: &Pipes) -> bool {
    match beginning_of_read(head) {
        Ok(data) => data.len() < pdu::HEADER_LEN || pipes.follows(file, data),
        Err(Short) => true,
    }
}

/// The first bytes that were read (MS-SMB2 2.2.20), as far as they are in `head`.
fn beginning_of_read(head: &[u8]) -> Result<&[u8], Short> {
    let mut body = Reader::little(head);
    body.skip(HEADER_LEN)?;
    body.skip(2)?;
    let mut data = Reader::little(head);
    data.skip(body.u8()?.into())?;
    Ok(data.rest())
}

/// Takes a message, with those that are chained to it: as much of it as was kept of `len` bytes
/// with its frame.
pub fn see(message: &[u8], len: u64, from: Direction, pipes: &mut Pipes, found: &mut Vec<Claim>) {
    let mut rest = Reader::little(message);
    let mut left = len;
    let mut chain = None;
    for _ in 0..MAX_CHAIN {
        let Ok(header) = Header::read(rest.clone().rest()) else {
            return;
        };
        let (one, bytes) = match header.next {
            0 => (rest.rest(), left),
            next => {
                let next = next.min(rest.left()).max(HEADER_LEN.min(rest.left()));
                (rest.up_to(next), left.min(next as u64))
            }
        };
        left -= bytes;
        let chain: &mut Chain = match header.is_related {
            true => chain.get_or_insert_with(|| Chain::new(&header)),
            false => chain.insert(Chain::new(&header)),
        };
        let one = Part {
            message: one,
            header,
            from,
            bytes,
        };
        // A body that ends early says nothing.
        let _ = match one.header.kind {
            Kind::Request => one.request(chain, pipes, found),
            Kind::Answer => one.answer(chain, pipes, found),
        };
    }
}

/// What the messages of a chain that are related have in common.
struct Chain {
    tree: Tree,
    /// The file of the message before.
    file: Option<File>,
}

impl Chain {
    /// Of the first message.
    fn new(first: &Header) -> Chain {
        Chain {
            tree: first.tree,
            file: None,
        }
    }

    fn read_file(&self, r: &mut Reader) -> Result<File, Short> {
        let Tree(scope, _) = self.tree;
        Ok(match (u128::from_le_bytes(r.array()?), self.file) {
            (SAME_FILE, Some(file)) => file,
            (number, _) => File::Given(scope, number),
        })
    }
}

/// One message of a chain.
struct Part<'a> {
    /// From its header on.
    message: &'a [u8],
    header: Header,
    from: Direction,
    /// How long it is on the wire.
    bytes: u64,
}

impl Part<'_> {
    fn body(&self) -> Result<Reader<'_>, Short> {
        let mut body = Reader::little(self.message);
        body.skip(HEADER_LEN)?;
        Ok(body)
    }

    fn request(
        &self,
        chain: &mut Chain,
        pipes: &mut Pipes,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let (exchange, bytes) = (self.header.exchange, self.bytes);
        // What is not all there says nothing.
        let _ = self.clues(pipes, found);
        let share = pipes.share(chain.tree);
        if share == Some(Share::Other) {
            return Ok(());
        }
        if self.header.command == command::CREATE {
            let name = names::pipe(&name(self.message)?);
            let file = File::ToCome(exchange);
            chain.file = Some(file);
            if let Some(name) = name {
                let asked = Asked::Open { name, share, bytes };
                pipes.ask(exchange, asked);
            }
            return Ok(());
        }
        let Some(place) = place_of_file(self.header.command) else {
            return Ok(());
        };
        let mut body = self.body()?;
        body.skip(place)?;
        let file = chain.read_file(&mut body)?;
        chain.file = Some(file);
        match self.header.command {
            command::READ => pipes.ask_about(exchange, Asked::Read(file), bytes),
            command::CLOSE => pipes.ask_about(exchange, Asked::Close(file), bytes),
            command::WRITE => {
                let (file, data, len) = write(self.message, chain)?;
                pipes.data(file, self.from, data, found);
                if data.len() < len {
                    pipes.cut(file, self.from);
                }
                pipes.ask_about(exchange, Asked::About(file), bytes);
            }
            command::IOCTL if self.control()? == TRANSCEIVE => {
                let (offset, len) = (body.u32()?, body.u32()?);
                pipes.data(file, self.from, part(self.message, offset, len)?, found);
                pipes.ask_about(exchange, Asked::Read(file), bytes);
            }
            _ => pipes.ask_about(exchange, Asked::About(file), bytes),
        }
        Ok(())
    }

    fn answer(
        &self,
        chain: &mut Chain,
        pipes: &mut Pipes,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let Header {
            command, exchange, ..
        } = self.header;
        if self.header.status == PENDING {
            pipes.delayed(exchange, self.bytes);
            return Ok(());
        }
        // What is not all there says nothing.
        let _ = self.clues(pipes, found);
        if !self.header.has_succeeded() {
            pipes.refused(exchange, self.bytes, found);
            return Ok(());
        }
        let asked = pipes.answered(exchange, self.bytes);
        let mut body = self.body()?;
        match (command, asked) {
            (command::TREE_CONNECT, asked) => {
                if let Some(Asked::Named(named)) = asked {
                    pipes.grant(named, self.bytes, found);
                }
                body.skip(2)?;
                let share = match body.u8()? {
                    2 => Share::Pipes,
                    _ => Share::Other,
                };
                pipes.connect(chain.tree, share);
            }
            (command::CREATE, Some(Asked::Open { name, share, bytes })) => {
                body.skip(64)?;
                let file = chain.read_file(&mut body)?;
                let bytes = bytes.saturating_add(self.bytes);
                match share {
                    Some(_) => pipes.open(exchange, file, name, bytes, found),
                    None => pipes.open_unknown(exchange, file, name, bytes, found),
                }
            }
            (command::IOCTL, Some(Asked::Named(named))) => {
                pipes.grant(named, self.bytes, found);
            }
            (command::CLOSE, Some(Asked::Close(file))) => pipes.close(file),
            (command::READ, Some(Asked::Read(file))) => {
                body.skip(2)?;
                let (offset, _reserved, len) = (body.u8()?, body.u8()?, body.u32()?);
                let data = part(self.message, offset.into(), len)?;
                pipes.data(file, self.from, data, found);
            }
            (command::IOCTL, asked) if self.control()? == TRANSCEIVE => {
                body.skip(8)?;
                let file = match asked {
                    Some(Asked::Read(file)) => file,
                    _ => chain.read_file(&mut body)?,
                };
                let mut body = self.body()?;
                body.skip(32)?; // up to the file, and what was sent, again
                let (offset, len) = (body.u32()?, body.u32()?);
                pipes.prove(file);
                pipes.data(file, self.from, part(self.message, offset, len)?, found);
            }
            _ => {}
        }
        Ok(())
    }

    fn named(&self, field: Field, otherwise: Option<Ungranted>, text: String) -> Asked {
        Asked::Named(Named {
            field,
            otherwise,
            text,
            by: self.from,
            bytes: self.bytes,
        })
    }

    /// What is said of the peers and asked for by name.
    fn clues(&self, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        let (from, exchange) = (self.from, self.header.exchange);
        let mut body = self.body()?;
        match (self.header.command, self.header.kind) {
            (command::NEGOTIATE, Kind::Request) => {
                pipes.tell(clues::OFFERED, clues::offered2(body)?, from, found);
            }
            (command::NEGOTIATE, Kind::Answer) if self.header.status == 0 => {
                let dialect = clues::dialect(clues::chosen2(body.clone())?);
                pipes.tell(clues::DIALECT, dialect, from, found);
                pipes.cipher = clues::cipher(self.message, body.clone()).unwrap_or(None);
                body.skip(56)?;
                self.security(&mut body, pipes, found)?;
            }
            (command::SESSION_SETUP, Kind::Request) => {
                body.skip(12)?;
                self.security(&mut body, pipes, found)?;
            }
            (command::SESSION_SETUP, Kind::Answer) => {
                body.skip(4)?;
                self.security(&mut body, pipes, found)?;
            }
            (command::TREE_CONNECT, Kind::Request) => {
                body.skip(4)?;
                let (offset, len) = (body.u16()?, body.u16()?);
                let path = names::utf16(part(self.message, offset.into(), len.into())?);
                let asked = self.named(clues::SHARE, Some(clues::UNGRANTED_SHARE), path);
                pipes.ask(exchange, asked);
            }
            (command::IOCTL, Kind::Request) => {
                let control = self.control()?;
                body.skip(24)?;
                let (offset, len) = (body.u32()?, body.u32()?);
                let input = Reader::little(part(self.message, offset, len)?);
                let path = match control {
                    DFS_REFERRALS => clues::referral(input)?,
                    DFS_REFERRALS_EX => clues::extended_referral(input)?,
                    _ => return Ok(()),
                };
                pipes.ask(exchange, self.named(clues::DFS_REFERRAL, None, path));
            }
            _ => {}
        }
        Ok(())
    }

    /// What the security blob states whose place and length come next.
    fn security(
        &self,
        body: &mut Reader,
        pipes: &mut Pipes,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let (offset, len) = (body.u16()?, body.u16()?);
        let blob = part(self.message, offset.into(), len.into())?;
        let version = ntlm::version(blob).unwrap_or_default();
        pipes.tell(ntlm::VERSION, version, self.from, found);
        Ok(())
    }

    /// What an IOCTL asks for.
    fn control(&self) -> Result<u32, Short> {
        let mut body = self.body()?;
        body.skip(4)?;
        body.u32()
    }
}

/// Where the body of a request names its file (MS-SMB2 2.2.15 to 2.2.39).
fn place_of_file(command: u16) -> Option<usize> {
    Some(match command {
        command::CLOSE | command::FLUSH | command::LOCK | command::IOCTL => 8,
        command::QUERY_DIRECTORY | command::CHANGE_NOTIFY => 8,
        command::READ | command::WRITE | command::SET_INFO => 16,
        command::QUERY_INFO => 24,
        _ => return None,
    })
}

/// The name in a request to create.
fn name(message: &[u8]) -> Result<String, Short> {
    let mut r = Reader::little(message);
    r.skip(HEADER_LEN + 44)?;
    let (offset, len) = (r.u16()?, r.u16()?);
    Ok(names::utf16(part(message, offset.into(), len.into())?))
}

/// The file of a write, its data as much as is there, and how long they are.
fn write<'a>(message: &'a [u8], chain: &Chain) -> Result<(File, &'a [u8], usize), Short> {
    let mut r = Reader::little(message);
    r.skip(HEADER_LEN + 2)?;
    let (offset, len, _at) = (r.u16()?, r.u32()?, r.u64()?);
    let file = chain.read_file(&mut r)?;
    let mut data = Reader::little(message);
    data.skip(offset.into())?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    Ok((file, data.up_to(len), len))
}

/// Part of a message, by offset from its header and by length.
fn part(message: &[u8], offset: u32, len: u32) -> Result<&[u8], Short> {
    let mut r = Reader::little(message);
    r.skip(usize::try_from(offset).map_err(|_| Short)?)?;
    r.take(usize::try_from(len).map_err(|_| Short)?)
}
