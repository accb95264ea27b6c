//! A flow that is going on: what each packet changes, and what is learned from its payload.

use std::sync::Arc;
use std::time::Duration;

use crate::flow::ended::{EndedFlow, State};
use crate::flow::key::FlowKey;
use crate::flow::table::{Finding, GivenUp};
use crate::flow::talk::{Interest, Talk};
use crate::flow::tcp::TcpLife;
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol, Tunnel};
use crate::model::packet::{Frame, Packet, Part};
use crate::model::time::Timestamp;

/// UDP has no close; Windows clients repeat themselves well within this.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Windows sends a keep-alive after two hours at the latest, and RPC clients keep connections for
/// minutes; half of that keeps long sessions whole without keeping the dead for long.
pub const TCP_SILENCE: Duration = Duration::from_secs(3600);

/// How long a SYN may wait for its answer: Windows gives up after 21 seconds.
pub const SYN_SILENCE: Duration = Duration::from_secs(30);

/// How long stragglers of a closed connection still belong to it.
pub const CLOSED_SILENCE: Duration = Duration::from_secs(10);

/// How much evidence a flow keeps. The longest real sessions seen bind a few dozen interfaces.
pub const MAX_EVIDENCE: usize = 256;

/// The queue of closed connections.
pub(super) const CLOSED: usize = 3;

/// How long a flow may be silent, by the queue that it waits in.
pub(super) const SILENCES: [Duration; 4] = [SILENCE, TCP_SILENCE, SYN_SILENCE, CLOSED_SILENCE];

/// A flow that is going on. What every packet needs lies here, close together: with a million
/// flows each of them is out of the cache. The rest is [`Rest`].
pub(super) struct OpenFlow {
    pub key: FlowKey,
    /// Tells it from the flows that had its slot before.
    pub serial: u64,
    /// When its last packet was captured.
    pub end: Timestamp,
    start: Timestamp,
    packets: [u64; 2],
    bytes: [u64; 2],
    pub tcp: TcpLife,
    /// Whether the source of its first packet is the lower peer of the key.
    forward_is_up: bool,
    in_tunnel: bool,
    /// Which directions have had payload, and which have been answered with some.
    had_payload: [bool; 2],
    was_answered: [bool; 2],
    pub talk: Option<Box<Talk>>,
    rest: Box<Rest>,
}

/// What a flow's packets seldom need.
struct Rest {
    tuple: FiveTuple,
    tunnel: Option<Arc<Tunnel>>,
    first_frame: Frame,
    /// The last frame whose payload was followed.
    last_frame: Frame,
    /// The client as the payload shows it.
    asked: Option<Direction>,
    /// When each direction first had payload, and what came back first after that.
    first_payload: [Option<Timestamp>; 2],
    response: [Option<Duration>; 2],
    evidence: Vec<Evidence>,
    vlan: Option<u16>,
    spi: Option<u32>,
    gre_key: Option<u32>,
    ttl: [Option<u8>; 2],
}

impl OpenFlow {
    /// The flow that `packet` opens.
    pub fn begin(key: FlowKey, serial: u64, packet: &Packet) -> OpenFlow {
        let rest = Rest {
            tuple: packet.tuple,
            tunnel: packet.tunnel.clone(),
            first_frame: packet.frame,
            last_frame: packet.frame,
            asked: None,
            first_payload: [None; 2],
            response: [None; 2],
            evidence: Vec::new(),
            vlan: packet.vlan,
            spi: packet.spi,
            gre_key: packet.gre_key,
            ttl: [None; 2],
        };
        OpenFlow {
            key,
            serial,
            end: packet.time,
            start: packet.time,
            packets: [0; 2],
            bytes: [0; 2],
            tcp: TcpLife::default(),
            forward_is_up: key.is_up(&packet.tuple),
            in_tunnel: packet.tunnel.is_some(),
            had_payload: [false; 2],
            was_answered: [false; 2],
            talk: None,
            rest: Box::new(rest),
        }
    }

    /// Whether a packet of this key is of this flow, by the tunnel that it ran in.
    pub fn is_of(&self, key: &FlowKey, packet: &Packet) -> bool {
        self.key == *key
            && self.in_tunnel == packet.tunnel.is_some()
            && (!self.in_tunnel || self.rest.tunnel == packet.tunnel)
    }

    /// Which way a packet of this flow goes.
    pub fn way(&self, tuple: &FiveTuple) -> Direction {
        match self.key.is_up(tuple) == self.forward_is_up {
            true => Direction::Forward,
            false => Direction::Reverse,
        }
    }

    /// How long it may be silent and still go on.
    pub fn silence(&self) -> Duration {
        SILENCES[self.queue()]
    }

    /// Which queue it waits in: one for each length of silence, so that a queue is in order.
    pub fn queue(&self) -> usize {
        match self.key.protocol() {
            IpProtocol::TCP if self.tcp.ended().is_some() => CLOSED,
            IpProtocol::TCP if self.tcp.is_unanswered() => 2,
            IpProtocol::TCP => 1,
            _ => 0,
        }
    }

    /// Until when it may be silent.
    pub fn due(&self) -> Timestamp {
        self.end.after(self.silence())
    }

    /// Counts a packet.
    pub fn count(&mut self, way: Direction, packet: &Packet) {
        if self.packets[way.index()] == 0 {
            self.rest.ttl[way.index()].get_or_insert(packet.ttl);
        }
        // A datagram is one packet in however many parts, as in tshark's conversations. Where all
        // that was seen are later parts, which can be without ports only, they are one too.
        if packet.part != Part::Later || self.packets == [0, 0] {
            self.packets[way.index()] += 1;
        }
        self.bytes[way.index()] += u64::from(packet.wire_bytes);
        self.start = self.start.min(packet.time);
        self.end = self.end.max(packet.time);
        if let Some(tcp) = &packet.tcp {
            self.tcp.segment(way, tcp, packet.time);
        }
        if packet.payload.len > 0 || packet.payload_missing > 0 {
            self.time_payload(way, packet.time);
        }
    }

    /// Notes when payload first came, and how soon the other side's came after that.
    fn time_payload(&mut self, way: Direction, now: Timestamp) {
        let (way, back) = (way.index(), way.reversed().index());
        if !self.had_payload[way] {
            self.had_payload[way] = true;
            self.rest.first_payload[way] = Some(now);
        }
        if self.had_payload[back] && !self.was_answered[back] {
            self.was_answered[back] = true;
            let asked = self.rest.first_payload[back];
            self.rest.response[back] = asked.map(|asked| now.since(asked));
        }
    }

    /// Hands the payload to the probes and the dissector, if any still listen.
    pub fn listen(
        &mut self,
        way: Direction,
        packet: &Packet,
        payload: &[u8],
        claims: &mut Vec<Claim>,
    ) -> Interest {
        let Some(talk) = &mut self.talk else {
            return Interest::Over;
        };
        self.rest.last_frame = packet.frame;
        match &packet.tcp {
            Some(tcp) => talk.segment(way, tcp, payload, packet.payload_missing, claims),
            None => talk.datagram(way, payload, claims),
        }
    }

    /// How many bytes wait behind holes of its streams.
    pub fn waiting(&self) -> usize {
        self.talk.as_ref().map_or(0, |talk| talk.waiting())
    }

    /// Gives up those holes: what waits is taken now.
    pub fn give_up_holes(&mut self, claims: &mut Vec<Claim>) {
        if let Some(talk) = &mut self.talk {
            talk.give_up_holes(claims);
        }
    }

    /// Keeps what was claimed, with the frame that proves it; hands on what concerns other flows.
    pub fn note(
        &mut self,
        claims: &mut Vec<Claim>,
        frame: Frame,
        time: Timestamp,
        findings: &mut Vec<Finding>,
        given_up: &mut GivenUp,
    ) {
        for claim in claims.drain(..) {
            if let Claim::ClientIs(client) = claim {
                self.rest.asked.get_or_insert(client);
                continue;
            }
            let evidence = Evidence { claim, frame, time };
            let concerns_others = matches!(
                evidence.claim,
                Claim::Mapped { .. }
                    | Claim::Exported { .. }
                    | Claim::Assigned { .. }
                    | Claim::Bound(_)
            );
            let is_its_own = !matches!(evidence.claim, Claim::Mapped { .. });
            if concerns_others {
                findings.push(Finding {
                    tuple: self.rest.tuple,
                    client: self.client(),
                    evidence: evidence.clone(),
                });
            }
            if is_its_own && self.rest.evidence.len() < MAX_EVIDENCE {
                self.rest.evidence.push(evidence);
            } else if is_its_own {
                given_up.evidence += 1;
            }
        }
    }

    fn client(&self) -> Option<Direction> {
        self.tcp.client().or(self.rest.asked)
    }

    /// What was said to be spoken was wrong.
    pub fn retract(&mut self) {
        (self.rest.evidence).retain(|known| !matches!(known.claim, Claim::Speaks(_)));
    }

    /// The last frame whose payload was followed.
    pub fn last_frame(&self) -> Frame {
        self.rest.last_frame
    }

    /// The flow as it ended: standing in `state`, or as its own end says.
    pub fn into_ended(self, state: Option<State>) -> EndedFlow {
        let state = match state {
            Some(State::Open) if self.is_tcp() => match self.tcp.after_silence() {
                State::Idle => State::Open,
                known => known,
            },
            Some(state) => state,
            None if self.is_tcp() => self.tcp.after_silence(),
            None => State::Idle,
        };
        let client = self.client();
        let rest = *self.rest;
        EndedFlow {
            client,
            handshake: self.tcp.handshake(),
            tuple: rest.tuple,
            first_frame: rest.first_frame,
            start: self.start,
            end: self.end,
            packets: self.packets,
            bytes: self.bytes,
            state,
            response: rest.response,
            vlan: rest.vlan,
            tunnel: rest.tunnel,
            spi: rest.spi,
            gre_key: rest.gre_key,
            ttl: rest.ttl,
            evidence: rest.evidence,
        }
    }

    fn is_tcp(&self) -> bool {
        self.key.protocol() == IpProtocol::TCP
    }
}
