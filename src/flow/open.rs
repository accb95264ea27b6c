//! A flow that is going on: what each packet changes, and what is learned from its payload.

use std::cmp::Ordering;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use thin_vec::ThinVec;

use crate::dissect::Input;
use crate::flow::ended::{EndedFlow, Rank, State};
use crate::flow::key::{FlowKey, Way};
use crate::flow::stopwatch::Stopwatch;
use crate::flow::table::{Finding, GivenUp};
use crate::flow::talk::{Interest, Talk};
use crate::flow::tcp::{Opening, TcpLife};
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol, Tunnel};
use crate::model::packet::{CaptureId, Frame, Packet, Part, TcpHeader};
use crate::model::time::{Elapsed, Timestamp};

/// UDP has no close; Windows clients repeat themselves well within this.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Windows sends a keep-alive after two hours at the latest, and RPC clients keep connections for
/// minutes; half of that keeps long sessions whole without keeping the dead for long.
pub const TCP_SILENCE: Duration = Duration::from_secs(3600);

/// How long a SYN may wait for its answer: Windows gives up after 21 seconds.
pub const SYN_SILENCE: Duration = Duration::from_secs(30);

/// How long stragglers of a closed connection still belong to it.
pub const CLOSED_SILENCE: Duration = Duration::from_secs(10);

/// Up to how many pieces of evidence get room one by one: most flows prove one to three things, and
/// hundreds of thousands of them wait.
const ROOM_FOR_EACH: usize = 4;

/// How much evidence a flow keeps. The longest real sessions seen bind a few dozen interfaces.
pub const MAX_EVIDENCE: usize = 256;

/// The queue of closed connections.
pub(super) const CLOSED: usize = 3;

/// How long a flow may be silent, by the queue that it waits in.
pub(super) const SILENCES: [Duration; 4] = [SILENCE, TCP_SILENCE, SYN_SILENCE, CLOSED_SILENCE];

/// A flow that is going on. With a million flows each of them is out of the cache, so what every
/// packet needs lies in the first two lines of it, and what few need in a third.
#[repr(C, align(64))]
pub(super) struct OpenFlow {
    hot: Hot,
    rest: Rest,
}

/// What every packet needs: to find it in the first line, to count it in the second.
#[repr(C, align(64))]
struct Hot {
    key: FlowKey,
    /// When its last packet was captured.
    end: Timestamp,
    start: Timestamp,
    ear: Option<Box<Ear>>,
    packets: [u64; 2],
    bytes: [u64; 2],
    /// Tells it from the flows that had its slot before.
    serial: u32,
    tcp: TcpLife,
    /// The capture of the first packet. What follows is not every packet's, but has room here.
    first_capture: CaptureId,
    /// Time to live of the first packet of each direction; one of zero tells nothing.
    ttl: [Option<NonZeroU8>; 2],
    /// Which way its first packet went.
    forward: Way,
    in_tunnel: bool,
    /// Whether its payload, once there is some, is to be followed.
    is_wanted: bool,
    /// Which directions have had payload, and which have been answered with some.
    had_payload: [bool; 2],
    was_answered: [bool; 2],
    /// Whether the first packet opened the flow: a SYN, or any datagram.
    from_start: bool,
    /// The client as the payload shows it.
    asked: Option<Direction>,
}

/// Follows the payload.
pub(super) struct Ear {
    talk: Talk,
    /// What it keeps, as the table knows it: asking every time costs as much as following.
    kept: usize,
    /// The last frame that it was given.
    last_frame: Frame,
}

impl Ear {
    /// Bytes of memory that it takes, without what is kept of the payload.
    pub const BYTES: usize = size_of::<Ear>();

    /// Tells the table what it keeps now.
    fn weigh(&mut self, allowance: &mut Allowance) {
        let kept = self.talk.kept();
        allowance.kept = allowance.kept - self.kept + kept;
        self.kept = kept;
    }

    /// Makes the last claims; says which frame proves them.
    pub fn finish(self, claims: &mut Vec<Claim>) -> Frame {
        self.talk.finish(claims);
        self.last_frame
    }
}

/// What a flow's packets seldom need.
struct Rest {
    /// The number of the first packet's frame.
    first_number: u64,
    opening: Opening,
    /// Runs from each direction's first payload until it is answered with some, as `Hot` says.
    answering: [Stopwatch; 2],
    evidence: ThinVec<Evidence>,
    beside: Option<Box<Beside>>,
}

/// What few flows have: tags and tunnels of their first packet.
#[derive(Clone, PartialEq, Eq)]
struct Beside {
    tunnel: Option<Arc<Tunnel>>,
    /// Of GRE the key, of ESP and AH the security parameters index.
    key_or_index: Option<u32>,
    vlan: Option<u16>,
}

impl Beside {
    /// What a packet has of it, if it has any.
    fn of(packet: &Packet) -> Option<Box<Beside>> {
        let key_or_index = packet.spi.or(packet.gre_key);
        let has_any = packet.tunnel.is_some() || key_or_index.is_some() || packet.vlan.is_some();
        let beside = || Beside {
            tunnel: packet.tunnel.clone(),
            key_or_index,
            vlan: packet.vlan,
        };
        has_any.then(beside).map(Box::new)
    }
}

/// What a table lets its flows have.
pub(super) struct Allowance {
    /// How many more flows may have their payload followed.
    pub talks: usize,
    /// Bytes that are kept of payloads.
    pub kept: usize,
}

impl OpenFlow {
    /// The flow that `packet` opens.
    pub fn begin(key: FlowKey, forward: Way, serial: u32, packet: &Packet) -> OpenFlow {
        let hot = Hot {
            key,
            end: packet.time,
            start: packet.time,
            packets: [0; 2],
            bytes: [0; 2],
            ear: None,
            serial,
            tcp: TcpLife::default(),
            forward,
            in_tunnel: packet.tunnel.is_some(),
            is_wanted: key.protocol().has_ports(),
            had_payload: [false; 2],
            was_answered: [false; 2],
            from_start: (packet.tcp.as_ref()).is_none_or(|tcp| tcp.has(TcpHeader::SYN)),
            asked: None,
            first_capture: packet.frame.capture,
            ttl: [None; 2],
        };
        let rest = Rest {
            first_number: packet.frame.number,
            opening: Opening::default(),
            answering: [Stopwatch::default(); 2],
            evidence: ThinVec::new(),
            beside: Beside::of(packet),
        };
        OpenFlow { hot, rest }
    }

    /// Reads both of its first lines, so that they are in the cache.
    pub fn touch(&self) {
        std::hint::black_box((self.hot.end, self.hot.serial));
    }

    /// Whether a packet of this key is of this flow, by the tunnel that it ran in.
    pub fn is_of(&self, key: &FlowKey, packet: &Packet) -> bool {
        self.hot.key == *key
            && self.hot.in_tunnel == packet.tunnel.is_some()
            && (!self.hot.in_tunnel || self.tunnel() == packet.tunnel.as_ref())
    }

    /// The tunnel that it runs in.
    fn tunnel(&self) -> Option<&Arc<Tunnel>> {
        self.rest.beside.as_ref()?.tunnel.as_ref()
    }

    /// The frame of its first packet.
    fn first_frame(&self) -> Frame {
        Frame {
            capture: self.hot.first_capture,
            number: self.rest.first_number,
        }
    }

    /// Which way a packet of this flow goes.
    pub fn direction(&self, way: Way) -> Direction {
        match way == self.hot.forward {
            true => Direction::Forward,
            false => Direction::Reverse,
        }
    }

    /// Whether a packet belongs to it, and neither comes too late nor opens another.
    pub fn goes_on(&self, way: Direction, packet: &Packet) -> bool {
        let opens = (packet.tcp.as_ref()).is_some_and(|tcp| self.hot.tcp.is_over_with(way, tcp));
        !opens && packet.time.since(self.hot.end) <= SILENCES[self.queue()]
    }

    /// When its last packet was captured.
    pub fn end(&self) -> Timestamp {
        self.hot.end
    }

    /// Tells it from the flows that had its slot before.
    pub fn serial(&self) -> u32 {
        self.hot.serial
    }

    /// Its five-tuple without direction.
    pub fn key(&self) -> &FlowKey {
        &self.hot.key
    }

    /// Which queue it waits in: one for each length of silence, so that a queue is in order.
    pub fn queue(&self) -> usize {
        match self.is_tcp() {
            true if self.hot.tcp.ended().is_some() => CLOSED,
            true if self.hot.tcp.is_unanswered() => 2,
            true => 1,
            false => 0,
        }
    }

    /// Until when it may be silent.
    pub fn due(&self) -> Timestamp {
        self.hot.end.after(SILENCES[self.queue()])
    }

    /// Its order beside another flow, as [`EndedFlow::order`] has it.
    pub fn order(&self, other: &OpenFlow) -> Ordering {
        let ranks = self.rank().cmp(&other.rank());
        (ranks.then_with(|| self.tuple().cmp(&other.tuple())))
            .then_with(|| self.tunnel().cmp(&other.tunnel()))
    }

    fn rank(&self) -> Rank {
        Rank {
            end: self.hot.end,
            first_frame: self.first_frame(),
        }
    }

    /// The five-tuple of its first packet.
    fn tuple(&self) -> FiveTuple {
        self.hot.key.tuple(self.hot.forward)
    }

    /// Counts a packet.
    pub fn count(&mut self, way: Direction, packet: &Packet) {
        let hot = &mut self.hot;
        if hot.packets[way.index()] == 0 {
            let ttl = &mut hot.ttl[way.index()];
            *ttl = ttl.or(NonZeroU8::new(packet.ttl));
        }
        // A datagram is one packet in however many parts, as in tshark's conversations. Where all
        // that was seen are later parts, which can be without ports only, they are one too.
        if packet.part != Part::Later || hot.packets == [0, 0] {
            hot.packets[way.index()] += 1;
        }
        hot.bytes[way.index()] += u64::from(packet.wire_bytes);
        hot.start = hot.start.min(packet.time);
        hot.end = hot.end.max(packet.time);
        if let Some(tcp) = &packet.tcp {
            (hot.tcp).segment(way, tcp, packet.time, &mut self.rest.opening);
        }
        if packet.payload.len > 0 || packet.payload_missing > 0 {
            self.time_payload(way, packet.time);
        }
    }

    /// Notes when payload first came, and how soon the other side's came after that.
    fn time_payload(&mut self, way: Direction, now: Timestamp) {
        let Hot {
            had_payload,
            was_answered,
            ..
        } = &mut self.hot;
        let (way, back) = (way.index(), way.reversed().index());
        if !had_payload[way] {
            had_payload[way] = true;
            self.rest.answering[way] = Stopwatch::start(now);
        }
        if had_payload[back] && !was_answered[back] {
            was_answered[back] = true;
            self.rest.answering[back].stop(now);
        }
    }

    /// Whether anybody wants to hear this packet's payload: not, for most packets of most flows.
    pub fn is_of_interest(&self, packet: &Packet, payload: &[u8]) -> bool {
        let has_payload = !payload.is_empty() || packet.payload_missing > 0;
        self.hot.ear.is_some() || self.hot.is_wanted && has_payload
    }

    /// Hands the payload to the probes and the dissector. They begin to listen with the first
    /// payload, unless too many do.
    pub fn listen(
        &mut self,
        way: Direction,
        packet: &Packet,
        payload: &[u8],
        allowance: &mut Allowance,
        claims: &mut Vec<Claim>,
    ) -> Result<Interest, TooMany> {
        let mut ear = match self.hot.ear.take() {
            Some(ear) => ear,
            None if allowance.talks == 0 => {
                self.hot.is_wanted = false;
                return Err(TooMany);
            }
            None => {
                allowance.talks -= 1;
                Box::new(self.new_ear(packet.frame))
            }
        };
        ear.last_frame = packet.frame;
        let interest = match &packet.tcp {
            Some(tcp) => (ear.talk).segment(way, tcp, payload, packet.payload_missing, claims),
            None => ear.talk.datagram(way, payload, claims),
        };
        ear.weigh(allowance);
        self.hot.ear = Some(ear);
        Ok(interest)
    }

    fn new_ear(&self, first: Frame) -> Ear {
        let input = match self.is_tcp() {
            true => Input::Stream,
            false => Input::Datagram,
        };
        let tuple = self.tuple();
        let ports = (tuple.source.port, tuple.destination.port);
        let mut talk = Talk::new(input, ports, self.hot.from_start);
        talk.begin(self.rest.opening.begins());
        Ear {
            talk,
            kept: 0,
            last_frame: first,
        }
    }

    /// How many bytes wait behind holes of its streams.
    pub fn waiting(&self) -> usize {
        self.hot.ear.as_ref().map_or(0, |ear| ear.talk.waiting())
    }

    /// Gives up those holes: what waits is taken now.
    pub fn give_up_holes(&mut self, allowance: &mut Allowance, claims: &mut Vec<Claim>) {
        if let Some(ear) = &mut self.hot.ear {
            ear.talk.give_up_holes(claims);
            ear.weigh(allowance);
        }
    }

    /// Follows its payload no more; gives back who did.
    pub fn stop_listening(&mut self, allowance: &mut Allowance) -> Option<Box<Ear>> {
        self.hot.is_wanted = false;
        let ear = self.hot.ear.take()?;
        allowance.talks += 1;
        allowance.kept -= ear.kept;
        Some(ear)
    }

    /// Whether no probe has known its payload yet, and how many bytes following it keeps; none if it
    /// is not followed.
    pub fn burden(&self) -> Option<(bool, usize)> {
        let ear = self.hot.ear.as_ref()?;
        Some((ear.talk.is_probing(), ear.kept))
    }

    /// How many claims it keeps.
    pub fn evidence_len(&self) -> usize {
        self.rest.evidence.len()
    }

    /// What its claims weigh, as [`Claim::weight`] has it.
    pub fn evidence_weight(&self) -> usize {
        (self.rest.evidence.iter())
            .map(|known| known.claim.weight())
            .sum()
    }

    /// Gives up all claims but the first `kept`; says how many.
    pub fn cut_evidence(&mut self, kept: usize) -> usize {
        let given_up = self.rest.evidence.len().saturating_sub(kept);
        self.rest.evidence.truncate(kept);
        self.rest.evidence.shrink_to_fit();
        given_up
    }

    /// Whether its payload is followed.
    pub fn is_listened_to(&self) -> bool {
        self.hot.ear.is_some()
    }

    /// Whether its payload was followed to the end that both sides have set to it.
    pub fn has_said_all(&self) -> bool {
        (self.hot.ear.as_ref()).is_some_and(|ear| ear.talk.has_said_all())
    }

    /// Keeps what was claimed, with the frame that proves it; hands on what concerns other flows. Says
    /// by how much its claims weigh more now.
    pub fn note(
        &mut self,
        claims: &mut Vec<Claim>,
        frame: Frame,
        time: Timestamp,
        findings: &mut Vec<Finding>,
        given_up: &mut GivenUp,
    ) -> usize {
        let mut weight = 0;
        for claim in claims.drain(..) {
            if let Claim::ClientIs(client) = claim {
                self.hot.asked.get_or_insert(client);
                continue;
            }
            let evidence = Evidence { claim, frame, time };
            let concerns_others = matches!(
                evidence.claim,
                Claim::Mapped { .. }
                    | Claim::Exported { .. }
                    | Claim::Assigned { .. }
                    | Claim::Hosted { .. }
                    | Claim::Bound(_)
                    | Claim::Contested(_)
            );
            if concerns_others && self.is_disputed() {
                continue;
            }
            let is_its_own = !matches!(evidence.claim, Claim::Mapped { .. });
            if concerns_others {
                findings.push(Finding {
                    tuple: self.tuple(),
                    client: self.client(),
                    tunnel: self.tunnel().cloned(),
                    evidence: evidence.clone(),
                });
            }
            if is_its_own && self.rest.evidence.len() < MAX_EVIDENCE {
                if self.rest.evidence.len() < ROOM_FOR_EACH {
                    self.rest.evidence.reserve_exact(1);
                }
                weight += evidence.claim.weight();
                self.rest.evidence.push(evidence);
            } else if is_its_own {
                given_up.evidence += 1;
            }
        }
        weight
    }

    /// Whether the payload shows the other side as the client than the handshake did: whoever opened
    /// the connection speaks in the server's name, or the server is not what it seems.
    fn is_disputed(&self) -> bool {
        let (opened, asked) = (self.hot.tcp.client(), self.hot.asked);
        opened.is_some() && asked.is_some() && opened != asked
    }

    fn client(&self) -> Option<Direction> {
        self.hot.tcp.client().or(self.hot.asked)
    }

    /// What was said to be spoken was wrong.
    pub fn retract(&mut self) {
        (self.rest.evidence).retain(|known| !matches!(known.claim, Claim::Speaks(_)));
    }

    /// The flow as it ended: standing in `state`, or as its own end says.
    pub fn into_ended(self, state: Option<State>) -> EndedFlow {
        let state = match state {
            Some(State::Open) if self.is_tcp() => match self.hot.tcp.after_silence() {
                State::Idle => State::Open,
                known => known,
            },
            Some(state) => state,
            None if self.is_tcp() => self.hot.tcp.after_silence(),
            None => State::Idle,
        };
        let (client, tuple, first_frame) = (self.client(), self.tuple(), self.first_frame());
        let OpenFlow { hot, rest } = self;
        let answered = |way: usize| Elapsed::new(rest.answering[way].elapsed());
        let response = |way: usize| hot.was_answered[way].then(|| answered(way));
        let beside = rest.beside.as_deref();
        EndedFlow {
            client,
            handshake: rest.opening.handshake().map(Elapsed::new),
            tuple,
            first_frame,
            start: hot.start,
            end: hot.end,
            packets: hot.packets,
            bytes: hot.bytes,
            state,
            response: [response(0), response(1)],
            vlan: beside.and_then(|beside| beside.vlan),
            key_or_index: beside.and_then(|beside| beside.key_or_index),
            ttl: hot.ttl.map(|ttl| ttl.map(NonZeroU8::get)),
            tunnel: rest.beside.and_then(|beside| beside.tunnel),
            answer: rest.opening.answer(),
            evidence: rest.evidence,
        }
    }

    fn is_tcp(&self) -> bool {
        self.hot.key.protocol() == IpProtocol::TCP
    }
}

/// Too many flows have their payload followed: this one's is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_packet_needs_fits_two_cache_lines_and_the_rest_one_more() {
        assert_eq!(size_of::<Hot>(), 128);
        assert_eq!(size_of::<Option<OpenFlow>>(), 192);
        const { assert!(Ear::BYTES <= 128) };
    }
}
