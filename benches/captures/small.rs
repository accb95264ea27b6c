//! Very many flows of small packets, in no order: what a table of flows is put to the test by.

use std::io::{self, Write};

use super::Size;
use super::chance::Chance;
use super::frame::{ACK, PUSH, SYN, Side, TCP_HEADERS, UDP_HEADERS, tcp, udp};
use super::pcap::Pcap;

/// Ports that the catalog lists, and one flow in this many goes to one of them.
const LISTED: &[u16] = &[
    53, 80, 88, 123, 135, 137, 139, 161, 389, 443, 445, 464, 636, 3268, 3389,
];
const ONE_LISTED_IN: u32 = 2;

/// Where the ports of clients and of what has no port of its own begin.
const HIGH: u16 = 49_152;

/// One flow in this many is UDP.
const ONE_UDP_IN: u32 = 4;

/// Frames are at least this long and less than that.
const SHORTEST: usize = 64;
const LONGEST: usize = 91;

/// Microseconds between packets.
const STEP: u64 = 1;

/// What a flow has come to.
#[derive(Clone, Copy, Default)]
struct Flow {
    packets: u32,
    sent: [u32; 2],
}

/// Writes packets of noise, each of a flow that chance picks.
pub fn write(out: &mut dyn Write, size: Size) -> io::Result<u64> {
    let mut pcap = Pcap::begin(out)?;
    let mut chance = Chance::new(1);
    let mut flows = vec![Flow::default(); size.flows.max(1) as usize];
    let mut frame = Vec::new();
    let mut payload = [0; LONGEST];
    for packet in 0..size.packets {
        let which = chance.below(flows.len() as u32);
        let room = chance.below((LONGEST - SHORTEST) as u32) as usize + SHORTEST;
        chance.fill(&mut payload);
        flows[which as usize].write(which, room, &payload, &mut frame);
        pcap.record(packet * STEP, &frame, frame.len())?;
    }
    Ok(pcap.packets())
}

impl Flow {
    /// The next packet of the flow: a handshake, then noise from either side in turn.
    fn write(&mut self, which: u32, length: usize, noise: &[u8], frame: &mut Vec<u8>) {
        let (client, server, is_udp) = sides(which);
        let turn = (self.packets % 2) as usize;
        let (from, to) = [(client, server), (server, client)][turn];
        let nth = self.packets;
        self.packets += 1;
        if is_udp {
            return udp(frame, from, to, &noise[..length - UDP_HEADERS]);
        }
        let numbers = (self.sent[turn], self.sent[1 - turn]);
        let (flags, payload): (u8, &[u8]) = match nth {
            0 => (SYN, &[]),
            1 => (SYN | ACK, &[]),
            2 => (ACK, &[]),
            _ => (PUSH | ACK, &noise[..length - TCP_HEADERS]),
        };
        self.sent[turn] += payload.len() as u32 + u32::from(flags & SYN != 0);
        tcp(frame, from, to, numbers, flags, payload);
        // The padding of a frame that would be too short.
        frame.resize(frame.len().max(SHORTEST), 0);
    }
}

/// Who talks to whom in a flow, and whether over UDP: the same at every packet.
fn sides(which: u32) -> (Side, Side, bool) {
    let mut chance = Chance::new(u64::from(which) << 1 | 1);
    let client = (0x0a00_0000 | which, HIGH + chance.below(16_384) as u16);
    let port = match chance.below(ONE_LISTED_IN) {
        0 => LISTED[chance.below(LISTED.len() as u32) as usize],
        _ => HIGH + chance.below(16_384) as u16,
    };
    let server = (0xc0a8_0000 | chance.below(65_536), port);
    (client, server, chance.below(ONE_UDP_IN) == 0)
}
