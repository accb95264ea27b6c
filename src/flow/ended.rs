//! A flow that has ended: what is known of it, before anyone judges.

use std::cmp::Ordering;
use std::sync::Arc;

use thin_vec::ThinVec;

use crate::model::evidence::{Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer, Tunnel};
use crate::model::packet::Frame;
use crate::model::tcp_options::TcpOptions;
use crate::model::time::{Elapsed, Timestamp};

/// How a flow stood when it was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The capture ended while it was going on.
    Open,
    /// Both sides said FIN, or one did and the other fell silent.
    Closed,
    /// One side said RST.
    Reset,
    /// Only one side was ever heard, and it asked for an answer.
    Unanswered,
    /// It fell silent.
    Idle,
    /// It was given up because there were more flows than the bound.
    Evicted,
}

impl State {
    /// As in the rows.
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Reset => "reset",
            State::Unanswered => "unanswered",
            State::Idle => "idle",
            State::Evicted => "evicted",
        }
    }
}

/// Both directions of a five-tuple, from its first packet to its last.
#[derive(Clone, Debug)]
pub struct EndedFlow {
    /// The five-tuple of its first packet: `Forward` is from its source to its destination.
    pub tuple: FiveTuple,
    /// The frame of its first packet.
    pub first_frame: Frame,
    /// When its first packet was captured.
    pub start: Timestamp,
    /// When its last packet was captured.
    pub end: Timestamp,
    /// Packets, by direction (`Direction::index`).
    pub packets: [u64; 2],
    /// Bytes on the wire from the IP header on, by direction.
    pub bytes: [u64; 2],
    /// How it stood.
    pub state: State,
    /// The client's direction, where a handshake or the payload settled it.
    pub client: Option<Direction>,
    /// From SYN to the ACK that answers the SYN-ACK, where all three were seen.
    pub handshake: Option<Elapsed>,
    /// From the first payload of each direction to the other's first payload after it: the
    /// client's direction has the first response, once it is known which that is.
    pub response: [Option<Elapsed>; 2],
    /// The outermost VLAN identifier of its first packet.
    pub vlan: Option<u16>,
    /// The tunnel that it ran in.
    pub tunnel: Option<Arc<Tunnel>>,
    /// Of its first packet: the key, for GRE; the security parameters index, for ESP and AH.
    pub key_or_index: Option<u32>,
    /// Time to live of the first packet of each direction.
    pub ttl: [Option<u8>; 2],
    /// The TCP options of the first SYN-ACK.
    pub answer: Option<TcpOptions>,
    /// What its payload proved, in the order of the frames; bounded.
    pub evidence: ThinVec<Evidence>,
}

/// Where a flow stands among others that end with it. Only flows of one frame, one in the other,
/// have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// When its last packet was captured.
    pub end: Timestamp,
    /// The frame of its first packet.
    pub first_frame: Frame,
}

impl EndedFlow {
    /// The order in which flows that ended together are reported: by their last packet, then by
    /// their first. No two flows are equal.
    pub fn order(&self, other: &EndedFlow) -> Ordering {
        (self.rank().cmp(&other.rank()))
            .then_with(|| self.tuple.cmp(&other.tuple))
            .then_with(|| self.tunnel.cmp(&other.tunnel))
    }

    /// Security parameters index of its first packet, for ESP and AH.
    pub fn spi(&self) -> Option<u32> {
        (self.key_or_index).filter(|_| self.tuple.protocol != IpProtocol::GRE)
    }

    /// GRE key of its first packet.
    pub fn gre_key(&self) -> Option<u32> {
        (self.key_or_index).filter(|_| self.tuple.protocol == IpProtocol::GRE)
    }

    /// Where it stands among flows that end together.
    pub fn rank(&self) -> Rank {
        Rank {
            end: self.end,
            first_frame: self.first_frame,
        }
    }

    /// The sender in this direction.
    pub fn sender(&self, direction: Direction) -> Peer {
        match direction {
            Direction::Forward => self.tuple.source,
            Direction::Reverse => self.tuple.destination,
        }
    }
}
