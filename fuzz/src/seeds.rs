//! The inputs that fuzzing begins with, made of the project's captures and catalog by its own code.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use wiretag::decode::{Decoder, link_types};
use wiretag::dissect::{ALL, Input, Opening, Probe};
use wiretag::model::evidence::Direction;
use wiretag::model::five_tuple::{FiveTuple, IpProtocol};
use wiretag::model::packet::{LinkType, Packet};
use wiretag::source::files::Files;

/// The longest seed: long enough for a BIND and some calls, short enough to be fuzzed fast.
const MAX_SEED: usize = 8 * 1024;

/// A seed is of no use where a hundred like it are there.
const MAX_ALIKE: usize = 12;

/// Seeds by the name of their target.
pub type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// A frame of a capture, and the packets in it.
struct Heard {
    link: LinkType,
    bytes: Vec<u8>,
    packets: Vec<(Packet, Vec<u8>)>,
}

/// The seeds of all targets, from the project that lies at `root`.
pub fn all(root: &Path) -> Seeds {
    let mut seeds = Seeds::new();
    let mut alike = BTreeMap::new();
    for path in files(&root.join("pcaps"), "pcapng") {
        let heard = hear(&path);
        let Some(first) = heard.first() else { continue };
        let beginning = enough(heard.iter());
        let pcap = super::input::pcap(first.link.0, &timed(&beginning));
        let whole = fs::read(&path).expect("it was just read");
        let short = &whole[..whole.len().min(MAX_SEED)];
        for file in [short, &pcap[..]] {
            add(&mut seeds, "capture", file.to_vec());
            add(&mut seeds, "rows", [&[1][..], file].concat());
        }
        for packed in compressed(&pcap) {
            add(&mut seeds, "capture", packed);
        }
        for flow in flows(&heard) {
            let frames = as_frames(&enough(flow.iter().copied()));
            let head = [0, link_number(first.link)];
            add(&mut seeds, "rows", [&head[..], &frames].concat());
            add(&mut seeds, "decode", [&head[1..], &frames].concat());
            for (which, seed) in talks(&flow) {
                let count: &mut usize = alike.entry(which).or_default();
                *count += 1;
                if *count <= MAX_ALIKE {
                    add(&mut seeds, "dissect", seed);
                }
            }
        }
    }
    // The same frames with every link type's number before them: most will not fit.
    for number in 0..=link_types().count() {
        let mut seed = vec![number as u8, 0, 60, 0];
        seed.extend([0x45; 60]);
        add(&mut seeds, "decode", seed);
    }
    for path in files(&root.join("catalog"), "toml") {
        let text = fs::read(&path).expect("it is there");
        for part in entries(&text) {
            add(&mut seeds, "catalog", part);
        }
    }
    seeds
}

fn add(seeds: &mut Seeds, target: &'static str, seed: Vec<u8>) {
    seeds.entry(target).or_default().push(seed);
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the project lies there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the project can be read").path())
        .filter(|path| path.extension().is_some_and(|its| its == ending))
        .collect();
    paths.sort();
    paths
}

/// The frames of a capture.
fn hear(path: &Path) -> Vec<Heard> {
    let mut files = Files::open(&[path.to_owned()], None);
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    while let Some(unit) = files.next() {
        for record in &unit.records {
            let bytes = unit.bytes(record.bytes);
            let mut packets = Vec::new();
            // What cannot be decoded is a frame all the same.
            let _ = decoder.decode(record, bytes, &mut packets);
            let packets = packets.into_iter().map(|packet| {
                let payload = match &packet.reassembled {
                    Some(whole) => whole.to_vec(),
                    None => unit.bytes(packet.payload).to_vec(),
                };
                (packet, payload)
            });
            heard.push(Heard {
                link: record.link,
                bytes: bytes.to_vec(),
                packets: packets.collect(),
            });
        }
    }
    heard
}

/// The frames of each flow, by what lies outermost in them.
fn flows(heard: &[Heard]) -> Vec<Vec<&Heard>> {
    let mut flows: Vec<(FiveTuple, Vec<&Heard>)> = Vec::new();
    for frame in heard {
        let Some((packet, _)) = frame.packets.first() else {
            continue;
        };
        let tuple = packet.tuple;
        let is_same = |known: FiveTuple| known == tuple || known == tuple.reversed();
        match flows.iter_mut().find(|(known, _)| is_same(*known)) {
            Some((_, frames)) => frames.push(frame),
            None => flows.push((tuple, vec![frame])),
        }
    }
    flows.into_iter().map(|(_, frames)| frames).collect()
}

/// As many of the frames as fit a seed.
fn enough<'h>(frames: impl Iterator<Item = &'h Heard>) -> Vec<&'h Heard> {
    let mut room = MAX_SEED;
    frames
        .take_while(|frame| {
            let fits = frame.bytes.len() <= room;
            room = room.saturating_sub(frame.bytes.len());
            fits
        })
        .collect()
}

fn timed<'h>(frames: &[&'h Heard]) -> Vec<super::input::Frame<'h>> {
    let frames = frames.iter().zip(1_i128..);
    let timed = frames.map(|(frame, second)| super::input::Frame {
        bytes: &frame.bytes,
        wire_len: frame.bytes.len() as u32,
        nanos: second * 1_000_000_000,
    });
    timed.collect()
}

/// As [`super::input::frames`] reads them.
fn as_frames(frames: &[&Heard]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.push(8);
        bytes.extend((frame.bytes.len() as u16).to_le_bytes());
        bytes.extend(&frame.bytes);
    }
    bytes
}

fn link_number(link: LinkType) -> u8 {
    let place = link_types().position(|known| known == link);
    place.unwrap_or_else(|| link_types().count()) as u8
}

/// A flow's payload for every definition that knows it, as `dissect` takes it.
fn talks(flow: &[&Heard]) -> Vec<(usize, Vec<u8>)> {
    // What lies innermost says most.
    let packets: Vec<&(Packet, Vec<u8>)> = (flow.iter())
        .filter_map(|frame| frame.packets.last())
        .collect();
    let Some((opener, _)) = packets.first() else {
        return Vec::new();
    };
    let input = match opener.tuple.protocol {
        IpProtocol::TCP => Input::Stream,
        IpProtocol::UDP => Input::Datagram,
        _ => return Vec::new(),
    };
    let said: Vec<(Direction, &[u8])> = (packets.iter())
        .filter(|(_, payload)| !payload.is_empty())
        .map(
            |(packet, payload)| match packet.tuple.source == opener.tuple.source {
                true => (Direction::Forward, &payload[..]),
                false => (Direction::Reverse, &payload[..]),
            },
        )
        .collect();
    let first = |wanted| said.iter().find(|(from, _)| *from == wanted);
    let ports = (opener.tuple.source.port, opener.tuple.destination.port);
    let opening = Opening {
        forward: first(Direction::Forward).map_or(&[], |(_, bytes)| bytes),
        reverse: first(Direction::Reverse).map_or(&[], |(_, bytes)| bytes),
        ports,
        from_start: true,
    };
    let knows = |which: &usize| {
        let definition = &ALL[*which];
        definition.input == input && matches!((definition.probe)(&opening), Probe::Yes(_))
    };
    let talk = |which: usize| (which, as_talk(which as u8, ports, &said));
    (0..ALL.len()).filter(knows).map(talk).collect()
}

fn as_talk(which: u8, ports: (u16, u16), said: &[(Direction, &[u8])]) -> Vec<u8> {
    let mut seed = vec![which, 1];
    for port in [ports.0, ports.1] {
        seed.extend(port.to_le_bytes());
    }
    for (from, bytes) in said {
        if seed.len() + bytes.len() > MAX_SEED {
            break;
        }
        seed.push(from.index() as u8);
        seed.extend((bytes.len() as u16).to_le_bytes());
        seed.extend(*bytes);
    }
    seed
}

fn compressed(file: &[u8]) -> Vec<Vec<u8>> {
    let small = "memory takes all";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(file).expect(small);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(file).expect(small);
    vec![
        gzip.finish().expect(small),
        xz.finish().expect(small),
        zstd::encode_all(file, 1).expect(small),
    ]
}

/// Groups of a catalog file's entries, each a small file of its own.
fn entries(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let mut parts = Vec::new();
    let mut part = String::new();
    for line in text.split_inclusive('\n') {
        // `[[service.tcp]]` belongs to the entry before it.
        let begins = line.starts_with("[[") && !line.contains('.');
        if begins && part.len() > MAX_SEED / 8 {
            parts.push(std::mem::take(&mut part).into_bytes());
        }
        part.push_str(line);
    }
    parts.push(part.into_bytes());
    parts.truncate(4 * MAX_ALIKE);
    parts
}
