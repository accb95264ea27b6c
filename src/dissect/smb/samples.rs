//! Messages of both versions for tests, built from words.

use crate::model::evidence::Direction::{self, Forward, Reverse};

/// A framed message and who sent it.
pub type Said = (Direction, Vec<u8>);

/// The numbers that every sample uses.
pub const TREE: u32 = 5;
pub const FILE: u8 = 0x77;

/// Puts the four-byte header in front of a message.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u32).to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

/// Puts `value` at `at`, growing what is there with zeros.
fn put(body: &mut Vec<u8>, at: usize, value: &[u8]) {
    body.resize(body.len().max(at + value.len()), 0);
    body[at..at + value.len()].copy_from_slice(value);
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// SMB 2.
pub mod two {
    use super::*;

    fn message(from: Direction, command: u16, id: u64, status: u32, body: Vec<u8>) -> Said {
        let mut bytes = b"\xfeSMB\x40\0\0\0".to_vec();
        bytes.extend(status.to_le_bytes());
        bytes.extend(command.to_le_bytes());
        bytes.extend([1, 0, from.index() as u8, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(id.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(TREE.to_le_bytes());
        bytes.extend([0; 24]);
        bytes.extend(body);
        (from, framed(&bytes))
    }

    /// One message of these, each related to the one before: those after the first name neither
    /// session nor tree nor, where they ask, the file.
    pub fn chained(messages: &[Said]) -> Said {
        let mut bytes = Vec::new();
        for (place, (from, framed)) in messages.iter().enumerate() {
            let mut one = framed[4..].to_vec();
            one.resize(one.len().next_multiple_of(8), 0);
            if place + 1 < messages.len() {
                let next = one.len() as u32;
                one[20..24].copy_from_slice(&next.to_le_bytes());
            }
            if place > 0 {
                one[16] |= 4;
            }
            if place > 0 && *from == Forward {
                one[36..48].fill(0xff);
                let file = if one[12] == 6 || one[12] == 11 {
                    72
                } else {
                    80
                };
                one[file..file + 16].fill(0xff);
            }
            bytes.extend(one);
        }
        (messages[0].0, framed(&bytes))
    }

    /// The same message in another session.
    pub fn in_session(session: u64, (from, mut framed): Said) -> Said {
        framed[44..52].copy_from_slice(&session.to_le_bytes());
        (from, framed)
    }

    /// "The answer is still to come."
    pub fn pending(command: u16, id: u64) -> Said {
        message(Reverse, command, id, 0x103, vec![9, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// A negotiation of dialect 3.1.1 with AES-256-GCM, and a security blob with `ntlm`.
    pub fn negotiated(ntlm: &[u8]) -> Said {
        let mut body = vec![65, 0, 0, 0, 0x11, 3, 2, 0];
        put(&mut body, 56, &128u16.to_le_bytes());
        put(&mut body, 58, &(ntlm.len() as u16).to_le_bytes());
        let contexts = (128 + ntlm.len()).next_multiple_of(8);
        put(&mut body, 60, &(contexts as u32).to_le_bytes());
        put(&mut body, 64, ntlm);
        put(
            &mut body,
            contexts - 64,
            &[1, 0, 2, 0, 0, 0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0],
        );
        put(
            &mut body,
            contexts - 48,
            &[2, 0, 4, 0, 0, 0, 0, 0, 1, 0, 4, 0],
        );
        message(Reverse, 0, 0, 0, body)
    }

    pub fn negotiate() -> Said {
        let mut body = vec![36, 0, 2, 0];
        put(&mut body, 36, &[2, 2, 0x11, 3]);
        message(Forward, 0, 0, 0, body)
    }

    pub fn tree_connect(id: u64, path: &str) -> Said {
        let path = utf16(path);
        let mut body = vec![9, 0, 0, 0, 72, 0];
        put(&mut body, 6, &(path.len() as u16).to_le_bytes());
        put(&mut body, 8, &path);
        message(Forward, 3, id, 0, body)
    }

    pub fn tree_connected(id: u64, status: u32) -> Said {
        message(Reverse, 3, id, status, vec![16, 0, 2, 0, 0, 0, 0, 0])
    }

    /// A request for a DFS referral, extended or not, and its answer.
    pub fn referral(id: u64, control: u32, path: &str) -> [Said; 2] {
        let path = utf16(path);
        let input = match control {
            0x0006_0194 => [&[4, 0], path.as_slice(), &[0, 0]].concat(),
            _ => {
                let len = (path.len() as u16).to_le_bytes();
                [&[4, 0, 0, 0, 0, 0, 0, 0], len.as_slice(), &path].concat()
            }
        };
        let mut body = vec![57, 0, 0, 0];
        put(&mut body, 4, &control.to_le_bytes());
        put(&mut body, 8, &[0xff; 16]);
        let answer = body.clone();
        put(&mut body, 24, &(64u32 + 56).to_le_bytes());
        put(&mut body, 28, &(input.len() as u32).to_le_bytes());
        put(&mut body, 56, &input);
        [
            message(Forward, 11, id, 0, body),
            message(Reverse, 11, id, 0, answer),
        ]
    }

    pub fn closed(id: u64) -> Said {
        message(Reverse, 6, id, 0, vec![60; 60])
    }

    pub fn connected(share: u8) -> Said {
        message(Reverse, 3, 1, 0, vec![16, 0, share, 0, 0, 0, 0, 0])
    }

    pub fn create(id: u64, name: &str) -> Said {
        let name = utf16(name);
        let mut body = vec![57, 0];
        put(&mut body, 44, &(64u16 + 56).to_le_bytes());
        put(&mut body, 46, &(name.len() as u16).to_le_bytes());
        put(&mut body, 56, &name);
        message(Forward, 5, id, 0, body)
    }

    pub fn created(id: u64, status: u32) -> Said {
        let mut body = vec![89, 0];
        put(&mut body, 64, &[FILE; 16]);
        put(&mut body, 88, &[0]);
        message(Reverse, 5, id, status, body)
    }

    pub fn close(id: u64) -> Said {
        let mut body = vec![24, 0];
        put(&mut body, 8, &[FILE; 16]);
        message(Forward, 6, id, 0, body)
    }

    pub fn write(id: u64, data: &[u8]) -> Said {
        let mut body = vec![49, 0, 112, 0];
        put(&mut body, 4, &(data.len() as u32).to_le_bytes());
        put(&mut body, 16, &[FILE; 16]);
        put(&mut body, 48, data);
        message(Forward, 9, id, 0, body)
    }

    pub fn read(id: u64) -> Said {
        let mut body = vec![49, 0];
        put(&mut body, 16, &[FILE; 16]);
        put(&mut body, 48, &[0]);
        message(Forward, 8, id, 0, body)
    }

    pub fn was_read(id: u64, data: &[u8]) -> Said {
        let mut body = vec![17, 0, 80, 0];
        put(&mut body, 4, &(data.len() as u32).to_le_bytes());
        put(&mut body, 16, data);
        message(Reverse, 8, id, 0, body)
    }

    pub fn transceive(from: Direction, id: u64, data: &[u8]) -> Said {
        let mut body = vec![57, 0, 0, 0, 0x17, 0xc0, 0x11, 0];
        put(&mut body, 8, &[FILE; 16]);
        let at = match from {
            Forward => 24,
            Reverse => 32,
        };
        put(&mut body, at, &(64u32 + 56).to_le_bytes());
        put(&mut body, at + 4, &(data.len() as u32).to_le_bytes());
        put(&mut body, 56, data);
        message(from, 11, id, 0, body)
    }
}

/// SMB 1.
pub mod one {
    use super::*;

    fn message(from: Direction, command: u8, id: u16, words: &[u8], bytes: &[u8]) -> Said {
        let mut message = b"\xffSMB".to_vec();
        message.push(command);
        message.extend([0; 4]);
        message.extend([0x80 * from.index() as u8, 0, 0x80]);
        message.extend([0; 12]);
        message.extend((TREE as u16).to_le_bytes());
        message.extend([9, 0, 0, 0]);
        message.extend(id.to_le_bytes());
        message.push((words.len() / 2) as u8);
        message.extend(words);
        message.extend((bytes.len() as u16).to_le_bytes());
        message.extend(bytes);
        (from, framed(&message))
    }

    /// A set-up of a session whose answer names system and LAN manager.
    pub fn set_up(system: &str, manager: &str) -> Said {
        let texts = [system, manager].map(|text| [utf16(text), vec![0, 0]].concat());
        let bytes = [vec![0], texts.concat()].concat();
        message(Reverse, 0x73, 1, &[0xff, 0, 0, 0, 0, 0], &bytes)
    }

    pub fn negotiate() -> [Said; 2] {
        let dialects = b"\x02PC NETWORK PROGRAM 1.0\0\x02NT LM 0.12\0";
        [
            message(Forward, 0x72, 1, &[], dialects),
            message(
                Reverse,
                0x72,
                1,
                &[&[1, 0], [0; 32].as_slice()].concat(),
                &[],
            ),
        ]
    }

    /// A call of this function in the manner of LAN Manager, and its answer.
    pub fn rap(id: u16, function: u8) -> [Said; 2] {
        let name = [&[0], utf16("\\PIPE\\LANMAN").as_slice(), &[0, 0]].concat();
        let at = 32 + 1 + 28 + 2 + name.len();
        let mut words = vec![0; 28];
        put(&mut words, 18, &2u16.to_le_bytes());
        put(&mut words, 20, &(at as u16).to_le_bytes());
        [
            message(
                Forward,
                0x25,
                id,
                &words,
                &[&name, [function, 0].as_slice()].concat(),
            ),
            transacted(id, &[]),
        ]
    }

    /// A request for a DFS referral, and its answer.
    pub fn referral(id: u16, path: &str) -> [Said; 2] {
        let parameters = [&[3, 0], utf16(path).as_slice(), &[0, 0]].concat();
        let mut words = vec![0; 30];
        put(&mut words, 18, &(parameters.len() as u16).to_le_bytes());
        put(&mut words, 20, &(32u16 + 1 + 30 + 2 + 3).to_le_bytes());
        put(&mut words, 26, &[1, 0, 0x10, 0]);
        [
            message(
                Forward,
                0x32,
                id,
                &words,
                &[&[0; 3], parameters.as_slice()].concat(),
            ),
            message(Reverse, 0x32, id, &[0; 20], &[]),
        ]
    }

    /// The first part of a message to a user.
    pub fn send_message(id: u16) -> Said {
        message(Forward, 0xd5, id, &[], b"\x04PC1\0\x04USER\0")
    }

    pub fn connected(service: &[u8]) -> Said {
        message(Reverse, 0x75, 1, &[0xff, 0, 0, 0, 0, 0], service)
    }

    pub fn create(id: u16, name: &str) -> Said {
        // Words end at an odd place: one byte of padding.
        let name = [&[0], utf16(name).as_slice()].concat();
        let mut words = vec![0xff, 0, 0, 0];
        words.resize(48, 0);
        message(Forward, 0xa2, id, &words, &name)
    }

    /// The same with a security descriptor, and its answer.
    pub fn nt_create(id: u16, name: &str, kind: u8) -> [Said; 2] {
        let name = utf16(name);
        let mut parameters = Vec::new();
        put(&mut parameters, 44, &(name.len() as u32).to_le_bytes());
        put(&mut parameters, 54, &name);
        let mut words = Vec::new();
        put(&mut words, 19, &(parameters.len() as u32).to_le_bytes());
        put(&mut words, 23, &(32u32 + 1 + 38 + 2 + 3).to_le_bytes());
        put(&mut words, 36, &[1, 0]);
        let asked = [&[0; 3], &parameters[..], &[0x5a; 20]].concat();
        let mut opened = vec![0, 0, FILE, 0];
        put(&mut opened, 64, &[kind, 0, 0, 0, 0]);
        let mut told = Vec::new();
        put(&mut told, 11, &(opened.len() as u32).to_le_bytes());
        put(&mut told, 15, &(32u32 + 1 + 36 + 2).to_le_bytes());
        put(&mut told, 35, &[0]);
        [
            message(Forward, 0xa0, id, &words, &asked),
            message(Reverse, 0xa0, id, &told, &opened),
        ]
    }

    pub fn created(id: u16, kind: u8) -> Said {
        let mut words = vec![0xff, 0, 0, 0, 0, FILE, 0];
        put(&mut words, 63, &[kind, 0, 0, 0, 0]);
        message(Reverse, 0xa2, id, &words, &[])
    }

    pub fn write(id: u16, data: &[u8]) -> Said {
        let mut words = vec![0xff, 0, 0, 0, FILE, 0];
        put(&mut words, 20, &(data.len() as u16).to_le_bytes());
        put(&mut words, 22, &(32u16 + 1 + 28 + 2).to_le_bytes());
        put(&mut words, 27, &[0]);
        message(Forward, 0x2f, id, &words, data)
    }

    pub fn read(id: u16) -> Said {
        let words = [&[0xff, 0, 0, 0, FILE, 0][..], &[0; 14]].concat();
        message(Forward, 0x2e, id, &words, &[])
    }

    pub fn was_read(id: u16, data: &[u8]) -> Said {
        let mut words = vec![0xff, 0];
        put(&mut words, 10, &(data.len() as u16).to_le_bytes());
        put(&mut words, 12, &(32u16 + 1 + 24 + 2).to_le_bytes());
        put(&mut words, 23, &[0]);
        message(Reverse, 0x2e, id, &words, data)
    }

    pub fn transact(id: u16, data: &[u8]) -> Said {
        transaction(id, 0x26, "", data)
    }

    /// A transaction of this function of pipes, with `FILE`, to `name`.
    pub fn transaction(id: u16, function: u8, name: &str, data: &[u8]) -> Said {
        // Words end at an odd place: one byte of padding, then the name.
        let name = [&[0], utf16(name).as_slice(), &[0, 0]].concat();
        let at = 32 + 1 + 32 + 2 + name.len();
        let mut words = Vec::new();
        put(&mut words, 2, &(data.len() as u16).to_le_bytes());
        put(&mut words, 22, &(data.len() as u16).to_le_bytes());
        put(&mut words, 24, &(at as u16).to_le_bytes());
        put(&mut words, 26, &[2, 0, function, 0, FILE, 0]);
        message(Forward, 0x25, id, &words, &[&name, data].concat())
    }

    /// What follows a transaction that was too long for one message.
    pub fn secondary(id: u16, data: &[u8]) -> Said {
        let mut words = Vec::new();
        put(&mut words, 10, &(data.len() as u16).to_le_bytes());
        put(&mut words, 12, &(32u16 + 1 + 16 + 2).to_le_bytes());
        put(&mut words, 15, &[0]);
        message(Forward, 0x26, id, &words, data)
    }

    pub fn transacted(id: u16, data: &[u8]) -> Said {
        part_of_answer(id, data, 0, data.len())
    }

    /// The part of `data` from `start` to `end` as one of several answers to a transaction.
    pub fn part_of_answer(id: u16, data: &[u8], start: usize, end: usize) -> Said {
        let mut words = Vec::new();
        put(&mut words, 2, &(data.len() as u16).to_le_bytes());
        put(&mut words, 12, &((end - start) as u16).to_le_bytes());
        put(&mut words, 14, &(32u16 + 1 + 20 + 2).to_le_bytes());
        put(&mut words, 16, &(start as u16).to_le_bytes());
        put(&mut words, 19, &[0]);
        message(Reverse, 0x25, id, &words, &data[start..end])
    }

    /// "Send the rest."
    pub fn go_on(id: u16) -> Said {
        message(Reverse, 0x25, id, &[], &[])
    }

    /// The commands of LAN Manager 1.0, on a tree that was connected.
    pub fn old_open(id: u16, name: &str) -> Said {
        message(
            Forward,
            0x02,
            id,
            &[2, 0, 0, 0],
            &[&[4], utf16(name).as_slice()].concat(),
        )
    }

    pub fn old_opened(id: u16) -> Said {
        message(
            Reverse,
            0x02,
            id,
            &[&[FILE, 0], [0; 12].as_slice()].concat(),
            &[],
        )
    }

    /// A tree of the core dialect: the answer says its number among the words alone.
    pub fn core_tree_connect(id: u16, path: &str) -> [Said; 2] {
        let path = utf16(path);
        let bytes = [&[4], path.as_slice(), b"\0\0\x04secret\0\x04?????\0"].concat();
        let (from, mut answer) = message(Reverse, 0x70, id, &[0xff, 0xff, TREE as u8, 0], &[]);
        answer[28..30].fill(0);
        [message(Forward, 0x70, id, &[], &bytes), (from, answer)]
    }

    /// A raw write that has `begun` in its request, and goes on with `rest` without a header.
    pub fn raw_write(id: u16, begun: &[u8], rest: &[u8]) -> [Said; 4] {
        let count = ((begun.len() + rest.len()) as u16).to_le_bytes();
        let mut words = vec![FILE, 0];
        put(&mut words, 2, &count);
        put(&mut words, 14, &[1, 0]);
        put(&mut words, 20, &(begun.len() as u16).to_le_bytes());
        put(&mut words, 22, &(32u16 + 1 + 24 + 2 + 1).to_le_bytes());
        [
            message(Forward, 0x1d, id, &words, &[&[0], begun].concat()),
            message(Reverse, 0x1d, id, &[0xff, 0xff], &[]),
            (Forward, framed(rest)),
            message(Reverse, 0x20, id, &count, &[]),
        ]
    }

    /// A raw read, whose answer has no header.
    pub fn raw_read(id: u16, data: &[u8]) -> [Said; 2] {
        let words = [&[FILE, 0], [0; 14].as_slice()].concat();
        [
            message(Forward, 0x1a, id, &words, &[]),
            (Reverse, framed(data)),
        ]
    }

    pub fn old_write(id: u16, data: &[u8]) -> Said {
        counted_write(0x0b, id, data)
    }

    pub fn write_and_unlock(id: u16, data: &[u8]) -> Said {
        counted_write(0x14, id, data)
    }

    fn counted_write(command: u8, id: u16, data: &[u8]) -> Said {
        let len = (data.len() as u16).to_le_bytes();
        let words = [&[FILE, 0], len.as_slice(), &[0; 6]].concat();
        let bytes = [&[1], len.as_slice(), data].concat();
        message(Forward, command, id, &words, &bytes)
    }

    /// A write after which the file is closed, and its answer.
    pub fn write_and_close(id: u16, data: &[u8]) -> [Said; 2] {
        let len = (data.len() as u16).to_le_bytes();
        let words = [&[FILE, 0], len.as_slice(), &[0; 8]].concat();
        [
            message(Forward, 0x2c, id, &words, &[&[0], data].concat()),
            message(Reverse, 0x2c, id, &len, &[]),
        ]
    }

    pub fn old_read(id: u16) -> Said {
        counted_read(0x0a, id)
    }

    pub fn lock_and_read(id: u16) -> Said {
        counted_read(0x13, id)
    }

    fn counted_read(command: u8, id: u16) -> Said {
        let words = [&[FILE, 0], [0; 8].as_slice()].concat();
        message(Forward, command, id, &words, &[])
    }

    pub fn old_was_read(id: u16, data: &[u8]) -> Said {
        counted_was_read(0x0a, id, data)
    }

    pub fn locked_and_was_read(id: u16, data: &[u8]) -> Said {
        counted_was_read(0x13, id, data)
    }

    fn counted_was_read(command: u8, id: u16, data: &[u8]) -> Said {
        let len = (data.len() as u16).to_le_bytes();
        let bytes = [&[1], len.as_slice(), data].concat();
        message(Reverse, command, id, &[0; 10], &bytes)
    }
}
