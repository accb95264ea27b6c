//! Large packets, most of them of files read over SMB 2.

use std::io::{self, Write};

use super::Size;
use super::chance::Chance;
use super::frame::{ACK, PUSH, SYN, Side, TCP_HEADERS, UDP_HEADERS, tcp, udp};
use super::pcap::Pcap;

/// Bytes of a frame.
const FRAME: usize = 1400;
const SEGMENT: usize = FRAME - TCP_HEADERS;

/// Bytes read at a time, as Windows does.
const READ: usize = 65_536;

/// Flows that go on at a time.
const AT_A_TIME: u32 = 100;

/// Microseconds between packets.
const STEP: u64 = 10;

/// Of this many flows, so many copy files; of the others one half is encrypted, one is noise.
const OF: u32 = 10;
const SMB: u32 = 8;

/// Writes flows, some dozens at a time.
pub fn write(out: &mut dyn Write, size: Size) -> io::Result<u64> {
    let mut pcap = Pcap::begin(out)?;
    let mut noise = vec![0; READ];
    Chance::new(2).fill(&mut noise);
    let each = (size.packets / u64::from(size.flows.max(1))).max(1) as u32;
    let (mut begun, mut going) = (0, Vec::new());
    let mut frame = Vec::new();
    while begun < size.flows || !going.is_empty() {
        while begun < size.flows && going.len() < AT_A_TIME as usize {
            going.push(Talk::begin(begun));
            begun += 1;
        }
        for talk in &mut going {
            let at = pcap.packets() * STEP;
            talk.next(&noise, &mut frame);
            pcap.record(at, &frame, frame.len())?;
        }
        going.retain(|talk| talk.packets < each);
    }
    Ok(pcap.packets())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Smb,
    Encrypted,
    Noise,
}

/// One flow.
struct Talk {
    what: What,
    sides: [Side; 2],
    sent: [u32; 2],
    packets: u32,
    messages: u64,
    /// What is being sent, by whom, and how much of it was.
    message: Vec<u8>,
    from: usize,
    done: usize,
}

impl Talk {
    fn begin(which: u32) -> Talk {
        let what = match which % OF {
            0..SMB => What::Smb,
            SMB => What::Encrypted,
            _ => What::Noise,
        };
        let port = match what {
            What::Smb => 445,
            What::Encrypted => 443,
            What::Noise => 40_000,
        };
        let client = (0x0a01_0000 | which, 50_000 + (which % 10_000) as u16);
        Talk {
            what,
            sides: [client, (0x0a00_0001 + which % 50, port)],
            sent: [1000, 5000],
            packets: 0,
            messages: 0,
            message: Vec::new(),
            from: 0,
            done: 0,
        }
    }

    /// Puts its next packet into `frame`.
    fn next(&mut self, noise: &[u8], frame: &mut Vec<u8>) {
        let nth = self.packets;
        self.packets += 1;
        if self.what == What::Noise {
            let length = FRAME - UDP_HEADERS;
            let start = nth as usize % (noise.len() - length);
            return udp(
                frame,
                self.sides[0],
                self.sides[1],
                &noise[start..start + length],
            );
        }
        match nth {
            0 => self.segment(0, SYN, 0..0, frame),
            1 => self.segment(1, SYN | ACK, 0..0, frame),
            2 => self.segment(0, ACK, 0..0, frame),
            _ => {
                if self.done == self.message.len() {
                    self.say(noise);
                }
                let end = (self.done + SEGMENT).min(self.message.len());
                self.segment(self.from, PUSH | ACK, self.done..end, frame);
                self.done = end;
            }
        }
    }

    fn segment(
        &mut self,
        from: usize,
        flags: u8,
        part: std::ops::Range<usize>,
        frame: &mut Vec<u8>,
    ) {
        let numbers = (self.sent[from], self.sent[1 - from]);
        self.sent[from] += part.len() as u32 + u32::from(flags & SYN != 0);
        let (one, other) = (self.sides[from], self.sides[1 - from]);
        tcp(frame, one, other, numbers, flags, &self.message[part]);
    }

    /// Makes up the next message: a negotiation, then requests to read, each answered.
    fn say(&mut self, noise: &[u8]) {
        let nth = self.messages;
        self.messages += 1;
        self.from = (nth % 2) as usize;
        self.done = 0;
        self.message.clear();
        if self.what == What::Encrypted {
            return self.records(noise);
        }
        let is_answer = self.from == 1;
        let (command, body): (u16, &[u8]) = match (nth / 2, is_answer) {
            (0, false) => (0, &NEGOTIATE),
            (0, true) => (0, &NEGOTIATED),
            (_, false) => (8, &READ_REQUEST),
            (_, true) => (8, &READ_RESPONSE),
        };
        let data = match nth > 1 && is_answer {
            true => &noise[..READ],
            false => &[],
        };
        let length = 64 + body.len() + data.len();
        self.message
            .extend_from_slice(&(length as u32).to_be_bytes());
        header(&mut self.message, command, is_answer, nth / 2);
        self.message.extend_from_slice(body);
        self.message.extend_from_slice(data);
    }

    /// Application data in records of TLS (RFC 8446 5.1) of 16 KiB.
    fn records(&mut self, noise: &[u8]) {
        self.from = 1;
        for part in noise.chunks(16_384) {
            self.message.extend_from_slice(&[23, 3, 3]);
            self.message
                .extend_from_slice(&(part.len() as u16).to_be_bytes());
            self.message.extend_from_slice(part);
        }
    }
}

/// MS-SMB2 2.2.1.2: the header of a synchronous message.
fn header(message: &mut Vec<u8>, command: u16, is_answer: bool, id: u64) {
    message.extend_from_slice(b"\xfeSMB");
    message.extend_from_slice(&64_u16.to_le_bytes());
    // Credit charge, status.
    message.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
    message.extend_from_slice(&command.to_le_bytes());
    // Credits, flags, next command.
    message.extend_from_slice(&1_u16.to_le_bytes());
    message.extend_from_slice(&u32::from(is_answer).to_le_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&id.to_le_bytes());
    // Process, tree, session, signature.
    message.extend_from_slice(&[0xff, 0xfe, 0, 0, 1, 0, 0, 0]);
    message.extend_from_slice(&[1, 0, 0, 0, 0, 4, 0, 0]);
    message.extend_from_slice(&[0; 16]);
}

/// MS-SMB2 2.2.3: two dialects, 2.0.2 and 2.1.
const NEGOTIATE: [u8; 40] = {
    let mut body = [0; 40];
    (body[0], body[2], body[4]) = (36, 2, 1);
    (body[36], body[37], body[38], body[39]) = (0x02, 0x02, 0x10, 0x02);
    body
};

/// MS-SMB2 2.2.4: 2.1 was chosen, and no security buffer.
const NEGOTIATED: [u8; 64] = {
    let mut body = [0; 64];
    (body[0], body[2], body[4], body[5]) = (65, 1, 0x10, 0x02);
    (body[30], body[34], body[38]) = (1, 1, 1);
    body[56] = 128;
    body
};

/// MS-SMB2 2.2.19: 64 KiB from wherever.
const READ_REQUEST: [u8; 49] = {
    let mut body = [0; 49];
    (body[0], body[2], body[6]) = (49, 80, 1);
    body
};

/// MS-SMB2 2.2.20: 64 KiB follow, 80 bytes after the beginning of the header.
const READ_RESPONSE: [u8; 16] = {
    let mut body = [0; 16];
    (body[0], body[2], body[6]) = (17, 80, 1);
    body
};
