//! Messages of SMB 1 (MS-CIFS 2.2), as far as they are about pipes. Multiplexed reads and writes
//! (2.2.4.23, 2.2.4.26) are for transports without connections: TCP never carries them.

use crate::dissect::read::{Reader, Short};
use crate::dissect::smb::clues;
use crate::dissect::smb::message1::{Block, HEADER_LEN, Header, Kind, command};
use crate::dissect::smb::pipes::{
    Asked, Exchange, File, Named, Pipes, Scope, Share, Tree, Ungranted,
};
use crate::dissect::{names, ntlm};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// What a transaction does with a pipe (MS-CIFS 2.2.5).
mod function {
    /// Read and write what the pipe has of bytes, whatever its messages are.
    pub const RAW_READ: u16 = 0x0011;
    pub const RAW_WRITE: u16 = 0x0031;
    /// Write, then read.
    pub const TRANSACT: u16 = 0x0026;
    pub const READ: u16 = 0x0036;
    pub const WRITE: u16 = 0x0037;
    /// The pipe of this name is to be waited for.
    pub const WAIT: u16 = 0x0053;
    /// Open the pipe of this name, write, read, close.
    pub const CALL: u16 = 0x0054;
}

/// The pipe that takes calls in the manner of LAN Manager, which need not be opened (MS-RAP 2.1).
const LANMAN: &str = "lanman";

/// `TRANS2_GET_DFS_REFERRAL` (MS-CIFS 2.2.6.16).
const GET_DFS_REFERRAL: u16 = 0x0010;

/// `NT_TRANSACT_CREATE` (MS-CIFS 2.2.7.1): opens what it names, with a security descriptor.
const NT_CREATE: u16 = 0x0001;

/// File types in the answer to an open (MS-CIFS 2.2.4.64.2): byte pipe and message pipe.
const PIPE_TYPES: [u16; 2] = [1, 2];

/// Commands chained in one message (MS-CIFS 2.2.3.4): clients chain two or three.
const MAX_CHAIN: usize = 16;

/// Whether a message that begins like this is worth keeping whole.
pub fn is_wanted(head: &[u8], pipes: &Pipes) -> bool {
    let Ok(header) = Header::read(head) else {
        return false;
    };
    let exchange = header.exchange(header.command);
    match (header.command, header.kind) {
        (command::NEGOTIATE | command::SESSION_SETUP, _) => true,
        (command::TREE_CONNECT | command::CORE_TREE_CONNECT, _) => true,
        (command::TRANSACTION2, Kind::Request) => pipes.share(header.tree) != Some(Share::Other),
        (command::CREATE | command::OPEN_ANDX | command::OPEN, _) => true,
        (command::NT_TRANSACTION, Kind::Request) => pipes.share(header.tree) != Some(Share::Other),
        (command::NT_TRANSACTION, Kind::Answer) => {
            matches!(pipes.asked(exchange), Some(Asked::Open { .. }))
        }
        (command::TRANSACTION | command::TRANSACTION_SECONDARY, _) => true,
        (command::READ_ANDX | command::READ | command::LOCK_AND_READ, Kind::Answer) => {
            matches!(pipes.asked(exchange), Some(Asked::Read(_)))
        }
        (
            command::WRITE_ANDX
            | command::WRITE
            | command::WRITE_AND_UNLOCK
            | command::WRITE_AND_CLOSE
            | command::WRITE_RAW,
            Kind::Request,
        ) => {
            let written =
                Block::read(head, HEADER_LEN).and_then(|b| write(head, header.command, &b));
            pipes.share(header.tree) != Some(Share::Other)
                && written.is_ok_and(|(file, beginning, _)| pipes.follows(file, beginning))
        }
        _ => false,
    }
}

/// Takes a message, with the commands that are chained in it: as much of it as was kept of `len`
/// bytes with its frame.
pub fn see(message: &[u8], len: u64, from: Direction, pipes: &mut Pipes, found: &mut Vec<Claim>) {
    let Ok(header) = Header::read(message) else {
        return;
    };
    let (mut command, mut at) = (header.command, HEADER_LEN);
    // All of a message is counted to its first command.
    let mut bytes = len;
    for _ in 0..MAX_CHAIN {
        let Ok(block) = Block::read(message, at) else {
            return;
        };
        let mut words = block.words.clone();
        let part = Part {
            message,
            command,
            header: &header,
            block,
            from,
            bytes: std::mem::take(&mut bytes),
        };
        // A command that ends early says nothing.
        let _ = match header.kind {
            Kind::Request => part.request(pipes, found),
            Kind::Answer => part.answer(pipes, found),
        };
        let chains = matches!(
            command,
            command::SESSION_SETUP
                | command::TREE_CONNECT
                | command::CREATE
                | command::OPEN_ANDX
                | command::READ_ANDX
                | command::WRITE_ANDX
        );
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

/// One command of a message.
struct Part<'a> {
    message: &'a [u8],
    command: u8,
    header: &'a Header,
    block: Block<'a>,
    from: Direction,
    /// How long it is on the wire.
    bytes: u64,
}

impl Part<'_> {
    fn exchange(&self) -> Exchange {
        self.header.exchange(self.command)
    }

    fn request(&self, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        // What is not all there says nothing.
        let _ = self.request_clues(pipes, found);
        pipes.expect_no_raw();
        let share = pipes.share(self.header.tree);
        if share == Some(Share::Other) {
            return Ok(());
        }
        let mut words = self.block.words.clone();
        match self.command {
            command::CREATE | command::OPEN_ANDX => self.open(0, share, pipes),
            // A byte says what kind of text follows (MS-CIFS 2.2.4.3.1).
            command::OPEN => self.open(1, share, pipes),
            command::NT_TRANSACTION => self.nt_create(words, share, pipes)?,
            command::CLOSE => {
                let file = file(&mut words)?;
                pipes.ask_about(self.exchange(), Asked::Close(file), self.bytes);
            }
            command::WRITE_ANDX
            | command::WRITE
            | command::WRITE_AND_UNLOCK
            | command::WRITE_AND_CLOSE => {
                let (file, data, len) = write(self.message, self.command, &self.block)?;
                pipes.data(file, self.from, data, found);
                if data.len() < len {
                    pipes.cut(file, self.from);
                }
                let asked = match self.command {
                    command::WRITE_AND_CLOSE => Asked::Close(file),
                    _ => Asked::About(file),
                };
                pipes.ask_about(self.exchange(), asked, self.bytes);
            }
            command::WRITE_RAW => {
                let (file, data, _) = write(self.message, self.command, &self.block)?;
                pipes.data(file, self.from, data, found);
                pipes.ask_about(self.exchange(), Asked::About(file), self.bytes);
                // The answer says "go on"; when all is written another may come (MS-CIFS 2.2.4.28).
                let complete = self.header.exchange(command::WRITE_COMPLETE);
                pipes.ask_about(complete, Asked::About(file), 0);
                pipes.expect_raw(file, self.from, 0);
            }
            command::READ_RAW => {
                pipes.expect_raw(file(&mut words)?, self.from.reversed(), self.bytes);
            }
            command::READ_ANDX | command::READ | command::LOCK_AND_READ => {
                if self.command == command::READ_ANDX {
                    words.skip(4)?;
                }
                let file = file(&mut words)?;
                pipes.ask_about(self.exchange(), Asked::Read(file), self.bytes);
            }
            command::TRANSACTION => self.transaction(words, pipes, found)?,
            command::TRANSACTION_SECONDARY => {
                words.skip(10)?;
                let data = self.part(&mut words)?;
                let first = self.header.exchange(command::TRANSACTION);
                if let Some(Asked::Read(file)) = pipes.asked(first) {
                    let file = *file;
                    pipes.data(file, self.from, data, found);
                    pipes.ask_about(first, Asked::Read(file), self.bytes);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&self, at: usize, share: Option<Share>, pipes: &mut Pipes) {
        self.open_named(&self.block.text(at, self.header), share, pipes);
    }

    fn open_named(&self, name: &str, share: Option<Share>, pipes: &mut Pipes) {
        if let Some(name) = names::pipe(name) {
            let bytes = self.bytes;
            pipes.ask(self.exchange(), Asked::Open { name, share, bytes });
        }
    }

    /// The name stands behind everything else that is asked for (MS-CIFS 2.2.7.1.1).
    fn nt_create(
        &self,
        mut words: Reader,
        share: Option<Share>,
        pipes: &mut Pipes,
    ) -> Result<(), Short> {
        words.skip(NT_REQUEST_COUNTS)?;
        let mut parameters = self.long_part(&mut words)?;
        words.skip(9)?; // the data, which are its security descriptor
        if words.u16()? != NT_CREATE {
            return Ok(());
        }
        parameters.skip(44)?;
        let len = usize::try_from(parameters.u32()?).unwrap_or(usize::MAX);
        parameters.skip(5)?; // impersonation
        let name = match self.header.unicode {
            true => {
                parameters.align(2)?;
                names::utf16(parameters.up_to(len))
            }
            false => names::text(parameters.up_to(len)),
        };
        self.open_named(&name, share, pipes);
        Ok(())
    }

    fn transaction(
        &self,
        mut words: Reader,
        pipes: &mut Pipes,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let (exchange, bytes) = (self.exchange(), self.bytes);
        words.skip(22)?;
        let data = self.part(&mut words)?;
        let setup = words.u16()?;
        if setup & 0xff == 0 {
            return self.lan_manager(pipes);
        }
        let function = words.u16()?;
        match function {
            function::TRANSACT => {
                let file = file(&mut words)?;
                pipes.data(file, self.from, data, found);
                pipes.ask_about(exchange, Asked::Read(file), bytes);
            }
            function::RAW_WRITE | function::WRITE => {
                let file = file(&mut words)?;
                pipes.data(file, self.from, data, found);
                pipes.ask_about(exchange, Asked::About(file), bytes);
            }
            function::RAW_READ | function::READ => {
                pipes.ask_about(exchange, Asked::Read(file(&mut words)?), bytes);
            }
            function::CALL => {
                if let Some(name) = names::pipe(&self.block.text(0, self.header)) {
                    pipes.data(File::ToCome(exchange), self.from, data, found);
                    let share = Some(Share::Pipes);
                    pipes.ask(exchange, Asked::Open { name, share, bytes });
                }
            }
            function::WAIT => {}
            // The others ask for the state of a pipe.
            _ => pipes.ask_about(exchange, Asked::About(file(&mut words)?), bytes),
        }
        Ok(())
    }

    /// A transaction without a set-up: a call in the manner of LAN Manager, if it is to that pipe.
    fn lan_manager(&self, pipes: &mut Pipes) -> Result<(), Short> {
        let name = names::pipe(&self.block.text(0, self.header));
        if name.as_deref() == Some(LANMAN) {
            let function = self.parameters()?.u16()?.to_string();
            pipes.ask(
                self.exchange(),
                self.named(clues::RAP_FUNCTION, None, function),
            );
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

    /// The parameters of a transaction.
    fn parameters(&self) -> Result<Reader<'_>, Short> {
        let mut words = self.block.words.clone();
        words.skip(18)?;
        Ok(Reader::little(self.part(&mut words)?))
    }

    /// What a request says of the client, and what it asks for by name.
    fn request_clues(&self, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        let mut words = self.block.words.clone();
        match self.command {
            command::NEGOTIATE => {
                let dialects = clues::offered1(self.block.bytes.clone());
                pipes.tell(clues::OFFERED, dialects.join(", "), self.from, found);
                pipes.ask(self.exchange(), Asked::Dialects(dialects));
            }
            command::SESSION_SETUP => {
                words.skip(14)?;
                let (one, other) = (words.u16()?, words.u16()?);
                match words.left() {
                    // Two passwords, or one, and an account's two names.
                    8 => self.native(usize::from(one) + usize::from(other), 2, pipes, found)?,
                    2 => self.native(one.into(), 2, pipes, found)?,
                    _ => self.set_up(one.into(), pipes, found)?,
                }
            }
            command::TREE_CONNECT => {
                words.skip(6)?;
                let password = words.u16()?;
                self.ask_for_share(self.block.text(password.into(), self.header), pipes);
            }
            command::CORE_TREE_CONNECT => {
                // Before it a byte that announces it, after it password and kind of share.
                let path = self.block.strings(1, self.header).next()?;
                self.ask_for_share(path, pipes);
            }
            command::TRANSACTION2 => {
                words.skip(28)?;
                if words.u16()? == GET_DFS_REFERRAL {
                    let path = clues::referral(self.parameters()?)?;
                    let asked = self.named(clues::DFS_REFERRAL, None, path);
                    pipes.ask(self.exchange(), asked);
                }
            }
            command::SEND_MESSAGE..=command::SEND_TEXT => {
                let command = format!("{:#04x}", self.command);
                pipes.tell(clues::MESSAGE, command, self.from, found);
            }
            _ => {}
        }
        Ok(())
    }

    fn ask_for_share(&self, path: String, pipes: &mut Pipes) {
        let asked = self.named(clues::SHARE, Some(clues::UNGRANTED_SHARE), path);
        pipes.ask(self.exchange(), asked);
    }

    /// What an answer to a set-up says of the server, be it the last or not.
    fn answer_clues(&self, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        let mut words = self.block.words.clone();
        if self.command != command::SESSION_SETUP || words.left() < 6 {
            return Ok(());
        }
        words.skip(6)?;
        match words.left() {
            0 => self.native(0, 0, pipes, found),
            _ => self.set_up(words.u16()?.into(), pipes, found),
        }
    }

    /// What a security blob of so many bytes and the texts after it say.
    fn set_up(&self, blob: usize, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        let version = ntlm::version(self.block.bytes.clone().up_to(blob)).unwrap_or_default();
        pipes.tell(ntlm::VERSION, version, self.from, found);
        self.native(blob, 0, pipes, found)
    }

    fn native(
        &self,
        at: usize,
        between: usize,
        pipes: &mut Pipes,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut strings = self.block.strings(at, self.header);
        let [system, manager] = clues::native(&mut strings, between)?;
        pipes.tell(clues::NATIVE_OS, system, self.from, found);
        pipes.tell(clues::NATIVE_LANMAN, manager, self.from, found);
        Ok(())
    }

    fn answer(&self, pipes: &mut Pipes, found: &mut Vec<Claim>) -> Result<(), Short> {
        // What is not all there says nothing.
        let _ = self.answer_clues(pipes, found);
        let mut words = self.block.words.clone();
        if self.command == command::TRANSACTION && words.left() == 0 {
            // "Send the rest" (MS-CIFS 2.2.4.33.2), or an error.
            pipes.delayed(self.exchange(), self.bytes);
            return Ok(());
        }
        if !self.header.has_succeeded() {
            pipes.refused(self.exchange(), self.bytes, found);
            return Ok(());
        }
        let asked = pipes.answered(self.exchange(), self.bytes);
        match (self.command, asked) {
            (command::NEGOTIATE, Some(Asked::Dialects(dialects))) => {
                let chosen = dialects.get(usize::from(words.u16()?));
                let chosen = chosen.cloned().unwrap_or_default();
                pipes.tell(clues::DIALECT, chosen, self.from, found);
            }
            (command::CORE_TREE_CONNECT, Some(Asked::Named(named))) => {
                self.core_connected(&named.text, pipes)?;
                pipes.grant(named, self.bytes, found);
            }
            (command, Some(Asked::Named(named))) => {
                pipes.grant(named, self.bytes, found);
                if command == command::TREE_CONNECT {
                    self.connected(pipes)?;
                }
            }
            (command::TREE_CONNECT, _) => self.connected(pipes)?,
            (command::TRANSACTION, Some(Asked::Open { name, bytes, .. })) => {
                let exchange = self.exchange();
                let file = File::ToCome(exchange);
                words.skip(12)?;
                let data = self.part(&mut words)?;
                pipes.open(exchange, file, name, bytes + self.bytes, found);
                pipes.data(file, self.from, data, found);
                pipes.close(file);
            }
            (command, Some(Asked::Open { name, share, bytes })) => {
                let (file, kind) = self.opened(command)?;
                if kind.is_some_and(|kind| PIPE_TYPES.contains(&kind))
                    || share == Some(Share::Pipes)
                {
                    pipes.open(self.exchange(), file, name, bytes + self.bytes, found);
                }
            }
            (command::CLOSE | command::WRITE_AND_CLOSE, Some(Asked::Close(file))) => {
                pipes.close(file);
            }
            (command::READ_ANDX, Some(Asked::Read(file))) => {
                words.skip(10)?;
                pipes.data(file, self.from, self.part(&mut words)?, found);
            }
            (command::READ | command::LOCK_AND_READ, Some(Asked::Read(file))) => {
                let mut bytes = self.block.bytes.clone();
                bytes.skip(1)?; // what kind of data follows
                let len = bytes.u16()?;
                pipes.data(file, self.from, bytes.take(len.into())?, found);
            }
            (command::TRANSACTION, Some(Asked::Read(file))) => {
                words.skip(2)?;
                let total = words.u16()?;
                words.skip(8)?;
                let data = self.part(&mut words)?;
                let before = words.u16()?;
                pipes.prove(file);
                pipes.data(file, self.from, data, found);
                // The rest comes in further answers.
                if usize::from(before) + data.len() < usize::from(total) {
                    pipes.ask(self.exchange(), Asked::Read(file));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A tree was connected.
    fn connected(&self, pipes: &mut Pipes) -> Result<(), Short> {
        let share = match self.block.bytes.clone().until(0)? {
            b"IPC" => Share::Pipes,
            _ => Share::Other,
        };
        pipes.connect(self.header.tree, share);
        Ok(())
    }

    /// The same in the core dialect, which says the tree's number among the words, and not what it
    /// is connected to: the share's name tells (MS-CIFS 2.2.4.50.2).
    fn core_connected(&self, path: &str, pipes: &mut Pipes) -> Result<(), Short> {
        let mut words = self.block.words.clone();
        let _max_buffer_size = words.u16()?;
        let tree = Tree(Scope::default(), words.u16()?.into());
        let name = path.rsplit('\\').next().unwrap_or_default();
        let share = match name.eq_ignore_ascii_case("IPC$") {
            true => Share::Pipes,
            false => Share::Other,
        };
        pipes.connect(tree, share);
        Ok(())
    }

    /// The file that an answer to an open gives, and its type where it says that.
    fn opened(&self, command: u8) -> Result<(File, Option<u16>), Short> {
        let mut words = self.block.words.clone();
        if command == command::OPEN {
            return Ok((file(&mut words)?, None));
        }
        if command == command::NT_TRANSACTION {
            words.skip(NT_ANSWER_COUNTS)?;
            let mut parameters = self.long_part(&mut words)?;
            parameters.skip(2)?; // opportunistic lock
            let file = file(&mut parameters)?;
            parameters.skip(60)?; // action, times, attributes, sizes
            return Ok((file, Some(parameters.u16()?)));
        }
        words.skip(4)?;
        if command == command::OPEN_ANDX {
            let file = file(&mut words)?;
            words.skip(12)?; // attributes, time, size, access
            return Ok((file, Some(words.u16()?)));
        }
        words.skip(1)?;
        let file = file(&mut words)?;
        words.skip(56)?; // action, times, attributes, sizes
        Ok((file, Some(words.u16()?)))
    }

    /// Part of the message, by a length and an offset from its header, of four bytes each.
    fn long_part(&self, words: &mut Reader) -> Result<Reader<'_>, Short> {
        let [len, offset] = [words.u32()?, words.u32()?]
            .map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let mut r = Reader::little(self.message);
        r.skip(offset)?;
        r.sub(len)
    }

    /// Part of the message, by a length and an offset from its header.
    fn part(&self, words: &mut Reader) -> Result<&[u8], Short> {
        let (len, offset) = (words.u16()?, words.u16()?);
        let mut r = Reader::little(self.message);
        r.skip(offset.into())?;
        r.take(len.into())
    }
}

/// What stands before the parameters' length and offset in a long transaction: how many setup words
/// there may be, and the bytes in all and at most (MS-CIFS 2.2.4.62.1).
const NT_REQUEST_COUNTS: usize = 19;

/// The same in its answer (MS-CIFS 2.2.4.62.2).
const NT_ANSWER_COUNTS: usize = 11;

/// The file of a write, its data as much as is there, and how long they are.
fn write<'a>(
    message: &'a [u8],
    command: u8,
    block: &Block<'a>,
) -> Result<(File, &'a [u8], usize), Short> {
    let mut words = block.words.clone();
    let before_data = match command {
        // What kind of data follows, and its length again.
        command::WRITE | command::WRITE_AND_UNLOCK => Some(3),
        // Padding (MS-CIFS 2.2.4.40.1).
        command::WRITE_AND_CLOSE => Some(1),
        _ => None,
    };
    if let Some(before_data) = before_data {
        let file = file(&mut words)?;
        let len = words.u16()?.into();
        let mut bytes = block.bytes.clone();
        bytes.skip(before_data)?;
        return Ok((file, bytes.up_to(len), len));
    }
    if command == command::WRITE_ANDX {
        words.skip(4)?;
    }
    let file = file(&mut words)?;
    if command == command::WRITE_RAW {
        words.skip(4)?; // how much there is to write, in this message and raw
    }
    words.skip(8)?; // offset and timeout
    let mode = words.u16()?;
    words.skip(4)?; // remaining, upper half of the length
    let (len, offset) = (words.u16()?, words.u16()?);
    let mut data = Reader::little(message);
    data.skip(offset.into())?;
    let mut len = usize::from(len);
    // The first write of a message to a pipe may say before its data how long the message is.
    if command == command::WRITE_ANDX && mode & RAW_START == RAW_START {
        data.skip(2)?;
        len = len.saturating_sub(2);
    }
    Ok((file, data.up_to(len), len))
}

/// "Raw mode" and "start of message" (MS-CIFS 2.2.4.43.1).
const RAW_START: u16 = 0x000c;

fn file(r: &mut Reader) -> Result<File, Short> {
    Ok(File::Given(Scope::default(), r.u16()?.into()))
}
