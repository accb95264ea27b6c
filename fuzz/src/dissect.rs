//! Payload to claims: every probe, every dissector, and what puts streams in order before them.

use wiretag::dissect::{self, ALL, Definition, Input as Carrier, Opening, Progress};
use wiretag::flow::talk::Talk;
use wiretag::model::evidence::{Claim, Direction};
use wiretag::model::packet::TcpHeader;

use super::input::Input;

/// What one byte of a payload may at most cost in claims: the shortest thing that is claimed, a
/// presentation context, is longer, and each is claimed at most three times.
const CLAIMS_A_BYTE: usize = 1;

/// Claims that cost nothing: what is spoken, who asks.
const FREE_CLAIMS: usize = 16;

/// The longest text that a claim should have, in bytes. The longest real ones are UNC paths.
const MAX_TEXT: usize = 4096;

/// A piece of a talk.
enum Piece<'a> {
    Bytes(Direction, &'a [u8]),
    Gap(Direction, Option<u64>),
}

/// `WHICH, FLAGS, PORT, PORT`, then pieces: `FLAGS, LENGTH, bytes`.
///
/// Flags of the talk: bit 0, it was seen from its start; bit 1, the dissector is fed even where its
/// probe says no. Flags of a piece: bit 0, it goes back; bit 1, it is a gap of this length; bit 2,
/// of unknown length; bit 3, it comes again with other bytes; bit 4, it comes too early.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let definition = &ALL[usize::from(input.byte()) % ALL.len()];
    let flags = input.byte();
    let ports = (input.word(), input.word());
    let mut pieces = Vec::new();
    let mut segments = Vec::new();
    while !input.is_empty() {
        let flags = input.byte();
        let from = match flags & 1 {
            0 => Direction::Forward,
            _ => Direction::Reverse,
        };
        let len = usize::from(input.word());
        pieces.push(match flags & 6 {
            0 | 4 => Piece::Bytes(from, input.take(len)),
            2 => Piece::Gap(from, Some(len as u64)),
            _ => Piece::Gap(from, None),
        });
        segments.push(flags);
    }
    feed(definition, flags, ports, &pieces);
    talk(definition.input, flags, ports, &pieces, &segments);
}

/// Shows the first pieces to the probe, and feeds all of them to the dissector.
fn feed(definition: &Definition, flags: u8, ports: (u16, u16), pieces: &[Piece]) {
    let first = |wanted: Direction| {
        let mut bytes = pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes(from, bytes) if *from == wanted => Some(*bytes),
            _ => None,
        });
        bytes.next().unwrap_or_default()
    };
    let opening = Opening {
        forward: first(Direction::Forward),
        reverse: first(Direction::Reverse),
        ports,
        from_start: flags & 1 == 1,
    };
    let is_its = matches!((definition.probe)(&opening), dissect::Probe::Yes(_));
    let _ = dissect::recognise(definition.input, &opening);
    let Some(follow) = definition.follow.filter(|_| is_its || flags & 2 == 2) else {
        return;
    };
    let mut follower = follow(&opening);
    let (mut found, mut fed) = (Vec::new(), 0);
    for piece in pieces {
        match piece {
            Piece::Bytes(from, bytes) => {
                fed += bytes.len();
                if follower.feed(*from, bytes, &mut found) != Progress::More {
                    break;
                }
            }
            Piece::Gap(from, missing) => follower.gap(*from, *missing),
        }
    }
    follower.finish(&mut found);
    check(&found, fed);
}

/// Lets the same bytes come as packets: torn, in another order, again, and again with other bytes.
fn talk(input: Carrier, flags: u8, ports: (u16, u16), pieces: &[Piece], segments: &[u8]) {
    let mut talk = Talk::new(input, ports, flags & 1 == 1);
    let (mut found, mut fed) = (Vec::new(), 0);
    let mut sequence = [0xffff_ff00_u32, 7];
    for (piece, flags) in pieces.iter().zip(segments) {
        let (from, bytes, missing) = match piece {
            Piece::Bytes(from, bytes) => (*from, *bytes, 0),
            Piece::Gap(from, missing) => (*from, &[][..], missing.unwrap_or(70_000) as u32),
        };
        fed += bytes.len();
        if input == Carrier::Datagram {
            talk.datagram(from, bytes, &mut found);
            continue;
        }
        let (own, other) = (from.index(), from.reversed().index());
        let len = bytes.len() as u32 + missing;
        let early = if flags & 16 == 0 { 0 } else { 3 };
        let tcp = TcpHeader {
            sequence: sequence[own].wrapping_add(early),
            acknowledgement: sequence[other],
            flags: TcpHeader::ACK,
            answer: None,
        };
        talk.segment(from, &tcp, bytes, missing, &mut found);
        if flags & 8 != 0 {
            let rewritten: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            talk.segment(from, &tcp, &rewritten, missing, &mut found);
            fed += bytes.len();
        }
        sequence[own] = sequence[own].wrapping_add(len);
    }
    talk.finish(&mut found);
    check(&found, fed);
}

/// That what is claimed is bounded by what was heard.
fn check(found: &[Claim], fed: usize) {
    let most = fed * CLAIMS_A_BYTE + FREE_CLAIMS;
    assert!(found.len() <= most, "{} claims of {fed} bytes", found.len());
    for claim in found {
        let text: &str = match claim {
            Claim::OpenedPipe(text) | Claim::SentToMailslot(text) => text,
            Claim::Said { text, .. } => text,
            _ => continue,
        };
        assert!(text.len() <= MAX_TEXT, "a text of {} bytes", text.len());
    }
}
