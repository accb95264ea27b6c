//! Packets for tests, built from the words of their headers.

use super::{Decoder, Undecoded};
use crate::model::packet::{CaptureId, Frame, LinkType, Packet, Record, Span, TcpHeader};
use crate::model::time::Timestamp;

pub(super) const ETHERNET: LinkType = LinkType(1);
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const SYN_ACK: u8 = TcpHeader::SYN | TcpHeader::ACK;
/// LLC and SNAP that announce IPv4.
pub(super) const SNAP_IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[0x00; 12], &kind.to_be_bytes()[..], payload].concat()
}

/// From 10.0.0.1 to 10.0.0.2.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment(protocol, 0, 0, payload)
}

pub(super) fn first_fragment(protocol: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    fragment(protocol, id, 0x2000, payload)
}

/// The part of a datagram that begins at its 64th byte, and is its last.
pub(super) fn last_fragment(protocol: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    fragment(protocol, id, 8, payload)
}

fn fragment(protocol: u8, id: u16, flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([128, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}

/// From 2001:db8::1 to 2001:db8::2.
pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for last in [1, 2] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    packet.extend(payload);
    packet
}

/// Sequence number 1000, acknowledgement 2000.
pub(super) fn tcp(source: u16, destination: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(source.to_be_bytes());
    segment.extend(destination.to_be_bytes());
    segment.extend(1000_u32.to_be_bytes());
    segment.extend(2000_u32.to_be_bytes());
    segment.extend([5 << 4, flags, 255, 255, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source.to_be_bytes());
    datagram.extend(destination.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// An Authentication Header with index 0x5678 and twelve bytes of check value.
pub(super) fn authenticated(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = [protocol, 4, 0, 0, 0, 0, 0x56, 0x78, 0, 0, 0, 1];
    [&header[..], &[0; 12], payload].concat()
}

pub(super) fn vxlan(identifier: u8, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, identifier, 0], frame].concat()
}

/// The first frame of a capture, whole, at time 0.
pub(super) fn record(link: LinkType, bytes: &[u8]) -> Record {
    Record {
        time: Timestamp::from_nanos(0),
        frame: Frame {
            capture: CaptureId(0),
            number: 1,
        },
        link,
        wire_len: bytes.len() as u32,
        bytes: Span {
            block: 0,
            start: 0,
            len: bytes.len() as u32,
        },
    }
}

/// What a new decoder makes of these bytes.
pub(super) fn decode(link: LinkType, bytes: &[u8]) -> Result<Vec<Packet>, Undecoded> {
    let mut out = Vec::new();
    Decoder::new().decode(&record(link, bytes), bytes, &mut out)?;
    Ok(out)
}

pub(super) fn only(packets: Result<Vec<Packet>, Undecoded>) -> Packet {
    let packets = packets.expect("it decodes");
    let [packet] = packets.try_into().expect("one packet");
    packet
}

/// A packet as `udp 10.0.0.1:1000 > 10.0.0.2:53`, and its tunnel behind `in` if it has one.
pub(super) fn text(packet: &Packet) -> String {
    let tuple = &packet.tuple;
    let ends = format!(
        "{} {} > {}",
        tuple.protocol, tuple.source, tuple.destination
    );
    match &packet.tunnel {
        Some(tunnel) => format!("{ends} in {tunnel}"),
        None => ends,
    }
}

pub(super) fn payload<'a>(frame: &'a [u8], packet: &Packet) -> &'a [u8] {
    let start = packet.payload.start as usize;
    &frame[start..start + packet.payload.len as usize]
}
