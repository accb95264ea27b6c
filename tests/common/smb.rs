//! SMB 2 for tests, built from words: a pipe of IPC$ is opened, and used (MS-SMB2 2.2).

use super::packets::{Said, client, server};

const NEGOTIATE: u16 = 0;
const TREE_CONNECT: u16 = 3;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;
const WRITE: u16 = 9;

/// The kind of share that has pipes (MS-SMB2 2.2.10).
const PIPES: u8 = 2;

/// What a header takes.
const HEADER: usize = 64;

const FILE: [u8; 16] = [0x77; 16];

/// A session in which the client opens this pipe and talks through it.
pub fn through_pipe(pipe: &str, said: Vec<Said>) -> Vec<Said> {
    let mut talk = vec![
        ask(NEGOTIATE, body(36).with(2, &[1]).with(36, &[0x02, 0x02])),
        reply(NEGOTIATE, body(65).with(4, &[0x02, 0x02]).with(64, &[0])),
        ask(TREE_CONNECT, body(9).naming(4, 8, r"\\DC1\IPC$")),
        reply(TREE_CONNECT, body(16).with(2, &[PIPES]).with(15, &[0])),
        ask(CREATE, body(57).naming(44, 56, pipe)),
        reply(CREATE, body(89).with(64, &FILE).with(88, &[0])),
    ];
    for said in said {
        match said {
            Said::Client(bytes) => {
                let length = (bytes.len() as u32).to_le_bytes();
                let write = body(49).with(2, &[HEADER as u8 + 48]).with(4, &length);
                talk.push(ask(WRITE, write.with(16, &FILE).with(48, &bytes)));
                talk.push(reply(WRITE, body(17).with(4, &length).with(16, &[0])));
            }
            Said::Server(bytes) => {
                let length = (bytes.len() as u32).to_le_bytes();
                let was_read = body(17).with(2, &[HEADER as u8 + 16]).with(4, &length);
                talk.push(ask(READ, body(49).with(16, &FILE).with(48, &[0])));
                talk.push(reply(READ, was_read.with(16, &bytes)));
            }
        }
    }
    talk.push(ask(CLOSE, body(24).with(8, &FILE)));
    talk.push(reply(CLOSE, body(60).with(59, &[0])));
    for (id, exchange) in (0_u64..).zip(talk.chunks_mut(2)) {
        exchange.iter_mut().for_each(|said| number(said, id));
    }
    talk
}

/// A message without its header: bytes at places, zeros between.
struct Body(Vec<u8>);

/// A body that says it is this long.
fn body(size: u8) -> Body {
    Body(vec![size, 0])
}

impl Body {
    fn with(mut self, at: usize, bytes: &[u8]) -> Body {
        let end = at + bytes.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[at..end].copy_from_slice(bytes);
        self
    }

    /// With a name at `at`, whose place and length stand at `told`.
    fn naming(self, told: usize, at: usize, name: &str) -> Body {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let place = (HEADER + at) as u16;
        self.with(told, &place.to_le_bytes())
            .with(told + 2, &(name.len() as u16).to_le_bytes())
            .with(at, &name)
    }
}

fn ask(command: u16, body: Body) -> Said {
    client(message(command, 0, body))
}

fn reply(command: u16, body: Body) -> Said {
    server(message(command, 1, body))
}

/// A framed message.
fn message(command: u16, flags: u8, body: Body) -> Vec<u8> {
    let mut message = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
    message.extend(command.to_le_bytes());
    message.extend([1, 0, flags, 0, 0, 0, 0, 0, 0, 0]);
    message.extend([0; 12]); // its number, a process
    message.extend([5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]); // the tree, the session
    message.extend([0; 16]);
    message.extend(body.0);
    [&(message.len() as u32).to_be_bytes()[..], &message].concat()
}

/// Writes the number of a message, which its answer repeats.
fn number(said: &mut Said, id: u64) {
    let (Said::Client(bytes) | Said::Server(bytes)) = said;
    bytes[4 + 24..4 + 32].copy_from_slice(&id.to_le_bytes());
}
