//! Frames of every link type to packets.

use wiretag::decode::{Decoder, link_types};
use wiretag::model::packet::{CaptureId, Frame, LinkType, Record, Span};
use wiretag::model::time::Timestamp;

use super::input::{self, Input};

/// The first byte chooses the link type; what follows are frames, as [`input::frames`] has them.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let link = link(input.byte());
    let mut decoder = Decoder::new();
    let mut out = Vec::new();
    let (mut decoded, mut later) = (0_u64, 0_u64);
    for (frame, number) in input::frames(&mut input).iter().zip(1..) {
        let record = Record {
            time: Timestamp::from_nanos(frame.nanos),
            frame: Frame {
                capture: CaptureId(0),
                number,
            },
            link,
            wire_len: frame.wire_len,
            bytes: Span {
                block: 0,
                start: 0,
                len: frame.bytes.len() as u32,
            },
        };
        out.clear();
        let result = decoder.decode(&record, frame.bytes, &mut out);
        decoded += u64::from(result.is_ok());
        for packet in &out {
            assert!(
                packet.frame.number <= number,
                "nothing comes from the future"
            );
            later += u64::from(packet.frame.number < number);
            let end = u64::from(packet.payload.start) + u64::from(packet.payload.len);
            if packet.frame.number == number {
                assert!(end <= frame.bytes.len() as u64, "its payload was captured");
            }
            assert!(packet.tuple.protocol.has_ports() || packet.tcp.is_none());
        }
    }
    decoder.finish();
    let losses = decoder.losses();
    assert!(
        losses.orphan_fragments <= decoded,
        "only what waited is lost"
    );
    assert!(later <= decoded * u64::from(u16::MAX));
}

/// The link type of this number: those that are read, and one that is not.
pub fn link(number: u8) -> LinkType {
    let known: Vec<LinkType> = link_types().collect();
    let place = usize::from(number) % (known.len() + 1);
    known.get(place).copied().unwrap_or(LinkType(147))
}
