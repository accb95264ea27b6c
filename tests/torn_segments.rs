//! What the wire does to segments, and what liars do to fields: packets dropped, swapped, repeated,
//! overlapped with other data, and every length and type field of the headers wrong. Never a panic,
//! and a torn capture never proves more than the whole one did.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;

use common::bench::{Bench, Labelled, Seeded};
use serde_json::Value as Json;
use wiretag::model::uuid::Interface;

/// Ways in which each capture is torn, of one kind.
const ROUNDS: usize = 6;

/// Packets of a capture whose fields are lied about.
const PACKETS: usize = 8;

/// Bytes of an enhanced packet block before its packet (draft-ietf-opsawg-pcapng 4.3).
const BLOCK_HEADER: usize = 28;

/// A capture of ours as its blocks: those before the first packet, and a packet each.
struct Parts {
    name: String,
    head: Vec<u8>,
    packets: Vec<Vec<u8>>,
    seeded: Seeded,
}

fn captures() -> impl Iterator<Item = Parts> {
    (common::pcaps().into_iter().zip(1..)).map(|(path, seed)| {
        let bytes = common::bytes(&path);
        let blocks = common::blocks(&bytes);
        let packets = common::packet_blocks(&bytes);
        Parts {
            name: path.display().to_string(),
            head: bytes[..blocks[packets[0]].start].to_vec(),
            packets: (packets.iter())
                .map(|packet| bytes[blocks[*packet].clone()].to_vec())
                .collect(),
            seeded: Seeded(seed),
        }
    })
}

impl Parts {
    fn file(&self, packets: &[Vec<u8>]) -> Vec<u8> {
        let parts = [&self.head[..]].into_iter();
        parts
            .chain(packets.iter().map(Vec::as_slice))
            .flatten()
            .copied()
            .collect()
    }
}

/// Where a block's packet lies in it.
fn packet_in(block: &[u8]) -> Range<usize> {
    BLOCK_HEADER..BLOCK_HEADER + common::word(block, 20) as usize
}

/// Where the payload of a block's TCP segment lies, if it is one in IPv4 on Ethernet.
fn segment_in(block: &[u8]) -> Option<Range<usize>> {
    let packet = packet_in(block);
    let frame = &block[packet.clone()];
    if frame.get(12..14)? != [8, 0] || *frame.get(23)? != 6 {
        return None;
    }
    let ip = usize::from(frame[14] & 15) * 4;
    let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    let tcp = usize::from(*frame.get(14 + ip + 12)? >> 4) * 4;
    let start = packet.start + 14 + ip + tcp;
    let end = packet.start + 14 + len;
    (start < end && end <= packet.end).then_some(start..end)
}

/// What a run proved: of each flow what its own payload showed, and where something was said to
/// listen. Ports prove nothing, and an offer less than a binding.
///
/// Beside what is judged by, a row quotes what peers say of themselves, of which there may be more
/// the less is known: `said` must find such a quotation in the whole capture, word by word.
fn proofs(labelled: &Labelled, said: &dyn Fn(&str)) -> BTreeSet<String> {
    let mut proofs = BTreeSet::new();
    for row in common::rows(&labelled.rows) {
        let mut ends = [end(&row, "client"), end(&row, "server")];
        ends.sort();
        let flow = format!("{} {}", row["protocol"], ends.join(" "));
        for ground in row["evidence"].as_array().expect("a list") {
            let (kind, value) = (&ground["kind"], &ground["value"]);
            match kind.as_str().expect("text") {
                "port" | "ip-protocol" | "rpc-offer" => {}
                // Asked for and not granted: less than opened, as an offer is.
                "smb-pipe-asked" | "smb-share-asked" => {}
                "smb-pipe-refused" | "smb-share-refused" => {}
                "smb-encryption" if value == "unknown cipher" => {}
                // These keep a name back: that less is known may well be a reason to.
                "host-system" | "mismatch" => {}
                // Of a key exchange only the beginning is heard: where that is torn off, what comes
                // later is told, and true.
                "ike-vendor" | "esp-in-udp" => {}
                // What the map says stands in its own rows.
                "endpoint-map" | "object-exporter" | "ftp-data" | "tftp-transfer" => {}
                // RDP and mail go over to TLS: true of a flow whose beginning is torn off, too.
                "protocol" if value == "tls" => {}
                "http-request" => said(value.as_str().expect("text")),
                _ => {
                    proofs.insert(format!("{flow} {kind} {value}"));
                }
            }
        }
        for reached in row["services"].as_array().expect("a list") {
            if reached["basis"] == "content" {
                proofs.insert(format!("{flow} reaches {}", reached["service"]));
            }
        }
    }
    for row in &labelled.endpoints {
        let place = format!(
            "{} {} {} {:?}",
            row.server, row.protocol, row.port, row.pipe
        );
        proofs.extend(
            row.interfaces
                .iter()
                .map(|i: &Interface| format!("{place} {i}")),
        );
    }
    proofs
}

fn end(row: &Json, side: &str) -> String {
    let port = &row[format!("{side}_port")];
    format!("{}:{port}", row[side])
}

/// Tears every capture in this way, and holds what is proved to what the whole one proved.
fn hold(what: &str, tear: fn(&mut Seeded, &mut Vec<Vec<u8>>)) {
    let bench = Bench::new();
    for parts in captures() {
        let mut seeded = parts.seeded.clone();
        let file = parts.file(&parts.packets);
        let said = |text: &str| {
            let is_there = file
                .windows(text.len())
                .any(|bytes| bytes == text.as_bytes());
            assert!(is_there, "{}: nobody said {text:?}", parts.name);
        };
        let whole = proofs(&bench.label(&file), &said);
        for round in 0..ROUNDS {
            let mut packets = parts.packets.clone();
            tear(&mut seeded, &mut packets);
            let torn = bench.label(&parts.file(&packets));
            assert!(torn.errors.is_empty(), "{what}: {:?}", torn.errors);
            let more: Vec<_> = proofs(&torn, &said).difference(&whole).cloned().collect();
            assert!(
                more.is_empty(),
                "{}, {what}, round {round}: {more:#?}",
                parts.name
            );
        }
    }
}

/// A few of so many places; none where there is none.
fn places(seeded: &mut Seeded, bound: usize) -> Vec<usize> {
    (0..1 + bound / 20).map(|_| seeded.below(bound)).collect()
}

#[test]
fn packets_that_were_dropped_prove_nothing_more() {
    hold("dropped", |seeded, packets| {
        for _ in 0..1 + packets.len() / 20 {
            packets.remove(seeded.below(packets.len()));
        }
    });
}

#[test]
fn packets_that_were_swapped_prove_nothing_more() {
    hold("swapped", |seeded, packets| {
        for at in places(seeded, packets.len() - 1) {
            packets.swap(at, at + 1);
        }
    });
}

#[test]
fn packets_that_were_repeated_prove_nothing_more() {
    hold("repeated", |seeded, packets| {
        for at in places(seeded, packets.len()) {
            let again = packets[at].clone();
            let later = at + 1 + seeded.below(packets.len() - at);
            packets.insert(later, again);
        }
    });
}

#[test]
fn segments_sent_again_with_other_data_prove_nothing_more() {
    hold("overlapped", |seeded, packets| {
        for at in places(seeded, packets.len()) {
            let Some(payload) = segment_in(&packets[at]) else {
                continue;
            };
            let mut rewritten = packets[at].clone();
            rewritten[payload].fill_with(|| seeded.below(256) as u8);
            packets.insert(at + 1, rewritten);
        }
    });
}

#[test]
fn captures_cut_between_records_prove_nothing_more() {
    hold("cut", |seeded, packets| {
        let end = seeded.below(packets.len());
        packets.truncate(end);
    });
}

#[test]
fn captures_that_begin_late_prove_nothing_more() {
    hold("begun late", |seeded, packets| {
        let begin = seeded.below(packets.len());
        packets.drain(..begin);
    });
}

/// The values that a field is given: the smallest, the largest, and both its neighbours.
fn lies(told: u64, bytes: usize) -> [u64; 4] {
    let largest = u64::MAX >> (64 - 8 * bytes);
    [
        0,
        largest,
        told.wrapping_sub(1) & largest,
        told.wrapping_add(1) & largest,
    ]
}

/// Sets the field of so many bytes there to every lie in its turn.
fn lie_at(block: &[u8], at: usize, bytes: usize, mut tell: impl FnMut(&[u8])) {
    let field = &block[at..at + bytes];
    let told = field
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    for lie in lies(told, bytes) {
        let mut torn = block.to_vec();
        torn[at..at + bytes].copy_from_slice(&lie.to_be_bytes()[8 - bytes..]);
        tell(&torn);
    }
}

/// Bytes of headers and of the payload's beginning in which every byte and pair of bytes is taken
/// for a field: link, IP, TCP, and the lengths and types of whatever TCP or UDP carries.
const FIELDS: usize = 14 + 20 + 20 + 64;

#[test]
fn a_field_that_lies_costs_its_packet_at_most_and_every_packet_is_accounted_for() {
    let bench = Bench::new();
    for mut parts in captures() {
        for _ in 0..PACKETS {
            let which = parts.seeded.below(parts.packets.len());
            let packet = packet_in(&parts.packets[which]);
            // All lies about one packet in one capture: each is a packet of its own in it.
            let mut packets = Vec::new();
            for at in packet.clone().take(FIELDS) {
                for bytes in [1, 2, 4] {
                    if at + bytes <= packet.end {
                        lie_at(&parts.packets[which], at, bytes, |torn| {
                            packets.push(torn.to_vec());
                        });
                    }
                }
            }
            let count = packets.len() + parts.packets.len();
            let file = parts.file(&[&packets[..], &parts.packets].concat());
            let one = bench.label(&file);
            assert!(one.errors.is_empty(), "{}: {:?}", parts.name, one.errors);
            assert_eq!(one.stats.captured, count as u64, "{}", parts.name);
            assert!(
                one.rows == bench.label_with(&file, 3).rows,
                "{}",
                parts.name
            );
        }
    }
}
