//! Recorded captures, together in time order and over again with other addresses.

use std::io::{self, Write};
use std::path::PathBuf;

use wiretag::model::time::Timestamp;
use wiretag::source::files::Files;

use super::Size;
use super::frame::{add, folded};
use super::pcap::Pcap;

/// Microseconds from one repetition's beginning to the next one's.
const APART: u64 = 1_000_000;

/// A recorded frame.
struct Frame {
    /// Microseconds from the beginning of its capture.
    micros: u64,
    bytes: Vec<u8>,
    wire: usize,
}

/// Writes the captures below `folders`, all as if they had begun at the same moment, as often as
/// it takes.
pub fn write(out: &mut dyn Write, size: Size, folders: &[PathBuf]) -> io::Result<u64> {
    let frames = recorded(folders);
    if frames.is_empty() {
        return Err(io::Error::other("there are no captures to repeat"));
    }
    let rounds = size.packets.div_ceil(frames.len() as u64);
    let mut order: Vec<(u64, u32, u32)> = (0..rounds)
        .flat_map(|round| {
            (frames.iter().enumerate()).map(move |(which, frame)| {
                (frame.micros + round * APART, round as u32, which as u32)
            })
        })
        .collect();
    order.sort_unstable();
    let mut pcap = Pcap::begin(out)?;
    let mut bytes = Vec::new();
    for (micros, round, which) in order {
        let frame = &frames[which as usize];
        bytes.clone_from(&frame.bytes);
        readdress(&mut bytes, round);
        pcap.record(micros, &bytes, frame.wire)?;
    }
    Ok(pcap.packets())
}

/// Every frame of every capture that can be told as Ethernet.
fn recorded(folders: &[PathBuf]) -> Vec<Frame> {
    let found = Files::open(folders, None);
    let mut frames = Vec::new();
    for capture in found.captures() {
        let mut files = Files::open(std::slice::from_ref(&capture.path), None);
        let mut begin: Option<Timestamp> = None;
        while let Some(records) = files.next() {
            for record in &records.records {
                let begin = *begin.get_or_insert(record.time);
                let captured = records.bytes(record.bytes);
                let Some((bytes, header)) = as_ethernet(record.link.0, captured) else {
                    continue;
                };
                let wire = (record.wire_len as usize).max(captured.len());
                frames.push(Frame {
                    micros: record.time.since(begin).as_micros() as u64,
                    wire: wire + bytes.len() - captured.len() - header,
                    bytes,
                });
            }
        }
    }
    frames
}

/// The frame with an Ethernet header in place of its own, which was `header` bytes longer than it.
fn as_ethernet(link: u16, captured: &[u8]) -> Option<(Vec<u8>, usize)> {
    const ETHERNET: u16 = 1;
    let (header, kind) = match link {
        ETHERNET => return Some((captured.to_vec(), 0)),
        101 | 228 | 229 | 12 | 14 => (0, None),
        0 | 108 => (4, None),
        113 => (16, captured.get(14..16)),
        276 => (20, captured.get(0..2)),
        _ => return None,
    };
    let rest = captured.get(header..)?;
    let told: &[u8] = match rest.first()? >> 4 {
        6 => &[0x86, 0xdd],
        _ => &[0x08, 0x00],
    };
    let addresses = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    Some(([&addresses, kind.unwrap_or(told), rest].concat(), 0))
}

/// Gives the hosts of a frame other addresses in each round, the same ones in all of its frames.
fn readdress(frame: &mut [u8], round: u32) {
    let Some(ip) = ip_of(frame) else { return };
    match frame.get(ip).map(|first| first >> 4) {
        Some(4) => readdress_v4(&mut frame[ip..], round),
        Some(6) => readdress_v6(&mut frame[ip..], round),
        _ => {}
    }
}

/// Where the IP header begins, behind VLAN tags, MPLS labels (RFC 3032 2.1) and PPPoE (RFC 2516 4).
fn ip_of(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    while matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    match frame.get(at..at + 2)? {
        [0x08, 0x00] | [0x86, 0xdd] => Some(at + 2),
        [0x88, 0x47 | 0x48] => {
            let is_last = |entry: &[u8]| entry[2] & 1 == 1;
            let last = frame.get(at + 2..)?.chunks_exact(4).position(is_last)?;
            Some(at + 2 + 4 * (last + 1))
        }
        [0x88, 0x64] => {
            matches!(frame.get(at + 8..at + 10)?, [0x00, 0x21 | 0x57]).then_some(at + 10)
        }
        _ => None,
    }
}

/// The third and fourth octet change, so that private addresses stay private; those of many hosts
/// stay as they are.
fn readdress_v4(ip: &mut [u8], round: u32) {
    let header = usize::from(ip[0] & 0x0f) * 4;
    if header < 20 || ip.len() < header {
        return;
    }
    let before = add(&ip[12..20], 0);
    for address in [12, 16] {
        if matches!(ip[address], 1..224) {
            ip[address + 2] ^= round as u8;
            ip[address + 3] ^= (round >> 8) as u8;
        }
    }
    let after = add(&ip[12..20], 0);
    amend(ip, 10, before, after);
    if u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff == 0 {
        amend_transport(ip[9], &mut ip[header..], before, after);
    }
}

/// The ninth and tenth byte change, so that the prefix stays.
fn readdress_v6(ip: &mut [u8], round: u32) {
    if ip.len() < 40 {
        return;
    }
    let before = add(&ip[8..40], 0);
    for address in [8, 24] {
        if !matches!(ip[address], 0 | 0xff) {
            ip[address + 8] ^= round as u8;
            ip[address + 9] ^= (round >> 8) as u8;
        }
    }
    let after = add(&ip[8..40], 0);
    amend_transport(ip[6], &mut ip[40..], before, after);
}

fn amend_transport(protocol: u8, transport: &mut [u8], before: u64, after: u64) {
    match protocol {
        6 => amend(transport, 16, before, after),
        17 if transport.get(6..8).is_some_and(|sum| sum != [0, 0]) => {
            amend(transport, 6, before, after);
        }
        _ => {}
    }
}

/// Amends the checksum at `at` for words that came to `before` and now come to `after`
/// (RFC 1624 3, equation 3).
fn amend(bytes: &mut [u8], at: usize, before: u64, after: u64) {
    let Some(sum) = bytes.get_mut(at..at + 2) else {
        return;
    };
    let old = u16::from_be_bytes([sum[0], sum[1]]);
    let new = folded(u64::from(!old) + u64::from(folded(before)) + after);
    sum.copy_from_slice(&new.to_be_bytes());
}
