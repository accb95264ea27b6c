//! Records and packets: what the reader hands over, and what decoding makes of it.

use std::sync::Arc;

use crate::model::five_tuple::{FiveTuple, Tunnel};
use crate::model::tcp_options::TcpOptions;
use crate::model::time::Timestamp;

/// A capture of this run, by its place in the order in which captures were opened: a file or a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub u32);

/// A frame of a capture: what a proof points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// In which capture.
    pub capture: CaptureId,
    /// Its number there, from 1, counted as tshark counts `frame.number`.
    pub number: u64,
}

/// Where bytes lie: in which block of a batch, from where, how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The block's place in the batch.
    pub block: u32,
    /// The first byte in the block.
    pub start: u32,
    /// How many bytes.
    pub len: u32,
}

impl Span {
    /// The part of this span from `offset` on, at most `len` bytes; empty where it lies outside.
    pub fn part(self, offset: usize, len: usize) -> Span {
        let offset = offset.min(self.len as usize) as u32;
        Span {
            block: self.block,
            start: self.start + offset,
            len: (self.len - offset).min(len.try_into().unwrap_or(u32::MAX)),
        }
    }
}

/// A link type by its number (`LINKTYPE_*` of the tcpdump group's registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// A captured frame, its bytes still in their block.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// When it was captured.
    pub time: Timestamp,
    /// Its place in its capture.
    pub frame: Frame,
    /// What its first bytes are.
    pub link: LinkType,
    /// How long it was on the wire.
    pub wire_len: u32,
    /// What of it was captured.
    pub bytes: Span,
}

/// The part of a TCP header that flows need (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sequence number of the first payload byte (of the SYN, if it is one).
    pub sequence: u32,
    /// Acknowledgement number; meaningless without `ACK`.
    pub acknowledgement: u32,
    /// The flag bits of the thirteenth octet: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// The options of a SYN-ACK that was captured with all of them, if it has any.
    pub answer: Option<TcpOptions>,
}

impl TcpHeader {
    /// FIN, RFC 9293 3.1.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// ACK.
    pub const ACK: u8 = 0x10;

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its beginning; the payload goes on in later fragments, of which the last that comes brings
    /// all of it as [`Packet::reassembled`].
    First,
    /// A later fragment: more bytes of a datagram that its beginning counts as a packet.
    Later,
}

/// A decoded record, or what a tunnel in it carried. Its payload still lies in the block.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it was captured.
    pub time: Timestamp,
    /// The record it came from; the packets of one record share it.
    pub frame: Frame,
    /// Who sent it to whom.
    pub tuple: FiveTuple,
    /// Length on the wire in bytes, from this packet's own IP header on.
    pub wire_bytes: u32,
    /// The TCP header, where it was captured whole. A later fragment has it only together with
    /// `reassembled`.
    pub tcp: Option<TcpHeader>,
    /// The captured part of the payload above TCP, UDP or the other IP protocol.
    /// Empty for the later fragments of a datagram.
    pub payload: Span,
    /// How many payload bytes were on the wire after `payload` but were not captured.
    pub payload_missing: u32,
    /// The payload of the whole datagram, on the fragment that came last: takes the place of
    /// `payload`. Unless that was [`Part::First`], the beginning was already given with it.
    pub reassembled: Option<Arc<[u8]>>,
    /// Which part of its datagram it is.
    pub part: Part,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// The outermost VLAN identifier.
    pub vlan: Option<u16>,
    /// Security parameters index of ESP and AH.
    pub spi: Option<u32>,
    /// GRE key; for PPTP the call id.
    pub gre_key: Option<u32>,
    /// The tunnel that it ran in.
    pub tunnel: Option<Arc<Tunnel>>,
}
