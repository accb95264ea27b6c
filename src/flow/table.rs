//! Packets in, flows out: one part of all flows, owned by one worker.
//!
//! The packets of a flow always come to the same table. Nothing here asks a clock: a flow is silent
//! by capture time. What a flow proves is kept with it; what concerns other flows (an assigned
//! endpoint) is handed out at once as a [`Finding`]. Next in line: `attribute`.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::flow::ended::{EndedFlow, State};
use crate::flow::index::Index;
use crate::flow::key::{FlowKey, Places, Way};
use crate::flow::open::{Allowance, CLOSED, Ear, OpenFlow, SILENCES, TooMany};
use crate::flow::slots::Slots;
use crate::flow::talk::Interest;
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, Tunnel};
use crate::model::packet::Packet;
use crate::model::time::Timestamp;

/// What a flow proved that concerns other flows.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The five-tuple of the flow's first packet.
    pub tuple: FiveTuple,
    /// Which direction the client of the flow sends in, where that is known.
    pub client: Option<Direction>,
    /// The tunnel that the flow ran in: addresses mean something within it only.
    pub tunnel: Option<Arc<Tunnel>>,
    /// What was proved, and by which frame.
    pub evidence: Evidence,
}

/// How much a table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many flows at a time.
    pub flows: usize,
    /// How many of them may have their payload followed at a time.
    pub talks: usize,
    /// How many bytes may be kept of their payloads, all flows together: behind holes of streams,
    /// and by those that follow.
    pub kept: usize,
    /// What the claims that are kept may weigh ([`Claim::weight`]), all flows together; beyond, flows
    /// with many are cut to [`FEW_CLAIMS`], and beyond twice that, flows are given up.
    pub claims: usize,
}

/// Claims that a flow may keep where there is no room: what it speaks, and what it says first.
pub const FEW_CLAIMS: usize = 2;

/// How many of those that are followed longest are looked at to find whom to give up.
const LOOKED_AT: usize = 32;

/// How many of those that were looked at for their payload are given up together: where there is no
/// room, each new flow would have others looked at otherwise.
const GIVEN_UP_AT_A_TIME: usize = 8;

/// A queue of up to so many is not looked through for flows that have ended.
const QUEUE: usize = 1024;

/// What a table has had to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Flows reported before they fell silent, because there were more than the bound.
    pub flows: u64,
    /// Flows whose payload was not followed to its end, because too many were, or too much was kept.
    pub talks: u64,
    /// Holes in streams that were given up early, because too much waited behind holes.
    pub holes: u64,
    /// Claims of a flow beyond what it keeps.
    pub evidence: u64,
}

impl GivenUp {
    /// Adds what another table gave up.
    pub fn add(&mut self, other: GivenUp) {
        self.flows += other.flows;
        self.talks += other.talks;
        self.holes += other.holes;
        self.evidence += other.evidence;
    }
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Flows that are going on.
    pub flows: u64,
    /// Bytes of memory that they take: all of the table, and the streams whose payload is followed.
    /// What dissectors keep of the payload, and evidence, come on top.
    pub bytes: u64,
}

impl Held {
    /// Adds what another table holds.
    pub fn add(&mut self, other: Held) {
        self.flows += other.flows;
        self.bytes += other.bytes;
    }
}

/// One part of all flows.
pub struct FlowTable {
    places: Places,
    index: Index,
    flows: Slots,
    /// Flows by when to look whether they have fallen silent, one queue for each length of silence.
    /// A flow that has not is put back: nothing is moved when a packet comes.
    queues: [VecDeque<Due>; 4],
    /// How long each queue may get before those that have ended are taken out of it.
    longest: [usize; 4],
    next_serial: u32,
    allowance: Allowance,
    /// Flows that are followed, by since when; some may have ended.
    followed: VecDeque<(u32, u32)>,
    /// What the claims of all flows weigh.
    evidence: usize,
    /// How heavy they may be before it is looked again for whose to give up.
    looked_at: usize,
    bounds: Bounds,
    given_up: GivenUp,
    claims: Vec<Claim>,
}

/// A packet that is about to come. To have its flow in the cache by then, its place is to be
/// [touched](FlowTable::touch_place), then the flow itself [looked up](FlowTable::look_up).
///
/// If each of these is done for several packets in a row, the processor waits for all of their
/// places at once, then for all of their flows, instead of for one after the other.
#[derive(Clone, Copy)]
pub struct Expected {
    tag: u32,
    /// Where its flow is, if that was looked up.
    slot: Option<u32>,
}

impl Expected {
    /// A packet whose flow has this tag.
    pub fn new(tag: u32) -> Expected {
        Expected { tag, slot: None }
    }
}

/// A flow in line to be looked at.
#[derive(Clone, Copy)]
struct Due {
    /// When the flow had last been heard as it was put in line.
    heard: Timestamp,
    slot: u32,
    serial: u32,
}

/// What ended, and what was learned, by the packets of a while.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Flows that have ended.
    pub ended: Vec<EndedFlow>,
    /// What concerns other flows.
    pub findings: Vec<Finding>,
}

impl FlowTable {
    /// An empty table of flows whose tags `places` tells.
    pub fn new(places: Places, bounds: Bounds) -> FlowTable {
        FlowTable {
            places,
            index: Index::default(),
            flows: Slots::default(),
            queues: Default::default(),
            longest: [QUEUE; 4],
            next_serial: 0,
            allowance: Allowance {
                talks: bounds.talks,
                kept: 0,
            },
            followed: VecDeque::new(),
            evidence: 0,
            looked_at: 0,
            bounds,
            given_up: GivenUp::default(),
            claims: Vec::new(),
        }
    }

    /// Reads where the flow's place is.
    pub fn touch_place(&self, expected: &Expected) {
        self.index.touch(expected.tag);
    }

    /// Looks the flow up by its hash alone, and reads it.
    pub fn look_up(&self, expected: &mut Expected) {
        expected.slot = self.index.find(expected.tag, |_| true);
        if let Some(flow) = expected.slot.and_then(|slot| self.flows.get(slot)) {
            flow.touch();
        }
    }

    /// Adds a packet that was expected, whose captured payload is `payload`.
    pub fn packet(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        expected: &Expected,
        out: &mut Outcome,
    ) {
        let (key, way) = FlowKey::of(&packet.tuple);
        let slot = match self.find(&key, packet, expected) {
            Some(slot) if self.goes_on(slot, packet, way) => slot,
            found => {
                if let Some(slot) = found {
                    self.end(slot, None, out);
                }
                self.make_room(packet.time, out);
                let flow = OpenFlow::begin(key, way, self.next_serial, packet);
                self.open(flow, expected.tag)
            }
        };
        self.add(slot, packet, payload, way, out);
    }

    /// Ends the flows that have fallen silent by `now`.
    pub fn sweep(&mut self, now: Timestamp, out: &mut Outcome) {
        for (queue, silence) in SILENCES.into_iter().enumerate() {
            while let Some(due) = self.queues[queue].front().copied() {
                if due.heard.after(silence) >= now {
                    break;
                }
                self.queues[queue].pop_front();
                if !self.is_current(&due) {
                    continue;
                }
                if self.flow(due.slot).due() < now {
                    self.end(due.slot, None, out);
                } else {
                    self.put_in_line(due.slot);
                }
            }
        }
    }

    /// The capture is over: what payload still proves goes to `out`. Gives back which flows are
    /// left, each to be [taken](FlowTable::take) once, and when their last packets were captured.
    pub fn finish(&mut self, out: &mut Outcome) -> Vec<(Timestamp, u32)> {
        // There are many flows now in other places at once; these are not needed any more.
        self.index = Index::default();
        self.queues = Default::default();
        (self.flows.used().into_iter())
            .map(|slot| {
                self.stop_listening(slot, out);
                (self.flow(slot).end(), slot)
            })
            .collect()
    }

    /// How the flow in `slot` is to be ordered beside one in `its` slot of another table.
    pub fn order(&self, slot: u32, other: &FlowTable, its: u32) -> Ordering {
        self.flow(slot).order(other.flow(its))
    }

    /// Takes out a flow that the end of the capture has left, as it stands.
    ///
    /// # Panics
    ///
    /// If it is taken twice.
    pub fn take(&mut self, slot: u32) -> EndedFlow {
        let flow = self.flows.take(slot);
        let flow = flow.expect("each is taken once");
        self.evidence -= flow.evidence_weight();
        flow.into_ended(Some(State::Open))
    }

    /// What it holds at the moment.
    pub fn held(&self) -> Held {
        let in_line: usize = self.queues.iter().map(VecDeque::capacity).sum();
        let talks = self.bounds.talks.saturating_sub(self.allowance.talks);
        let bytes = self.flows.bytes()
            + self.index.bytes()
            + in_line * size_of::<Due>()
            + talks * Ear::BYTES
            + self.allowance.kept;
        Held {
            flows: self.index.len() as u64,
            bytes: bytes as u64,
        }
    }

    /// What had to be given up so far.
    pub fn given_up(&self) -> GivenUp {
        self.given_up
    }

    fn find(&self, key: &FlowKey, packet: &Packet, expected: &Expected) -> Option<u32> {
        let is_it = |slot: u32| {
            let flow = self.flows.get(slot);
            flow.is_some_and(|flow| flow.is_of(key, packet))
        };
        // Nearly always it is the one. Else another has the same hash, or it began or ended since.
        (expected.slot.filter(|slot| is_it(*slot))).or_else(|| self.index.find(expected.tag, is_it))
    }

    fn flow(&self, slot: u32) -> &OpenFlow {
        (self.flows.get(slot)).expect("a slot in the index is in use until its flow ends")
    }

    /// Whether a packet belongs to the flow in `slot`, or comes too late or opens another.
    fn goes_on(&self, slot: u32, packet: &Packet, way: Way) -> bool {
        let flow = self.flow(slot);
        flow.goes_on(flow.direction(way), packet)
    }

    /// Gives a flow up where there is no room for another.
    fn make_room(&mut self, now: Timestamp, out: &mut Outcome) {
        // Claims of flows that are no longer followed go with their flows.
        let is_laden = self.evidence > 2 * self.bounds.claims;
        if self.index.len() >= self.bounds.flows || is_laden {
            self.give_one_up(now, out);
        }
    }

    fn open(&mut self, flow: OpenFlow, tag: u32) -> u32 {
        self.next_serial = self.next_serial.wrapping_add(1);
        let slot = self.flows.put(flow);
        self.put_in_line(slot);
        self.index.insert(tag, slot);
        slot
    }

    fn add(&mut self, slot: u32, packet: &Packet, payload: &[u8], way: Way, out: &mut Outcome) {
        let flow = (self.flows.get_mut(slot)).expect("it was found or opened for this packet");
        let way = flow.direction(way);
        let waits_in = flow.queue();
        flow.count(way, packet);
        if flow.is_of_interest(packet, payload) {
            self.listen(slot, packet, payload, way, out);
        }
        if waits_in != CLOSED && self.flow(slot).queue() == CLOSED {
            self.put_in_line(slot);
            if self.flow(slot).has_said_all() {
                self.stop_listening(slot, out);
            }
        }
    }

    /// Hands the payload of the flow in `slot` on, and keeps what it proves.
    fn listen(
        &mut self,
        slot: u32,
        packet: &Packet,
        payload: &[u8],
        way: Direction,
        out: &mut Outcome,
    ) {
        if self.allowance.talks == 0 && !self.flow(slot).is_listened_to() {
            self.give_up_talks(|(is_probing, kept)| (is_probing, kept), out);
        }
        let flow = (self.flows.get_mut(slot)).expect("it was found or opened for this packet");
        let was_listened_to = flow.is_listened_to();
        let (allowance, claims) = (&mut self.allowance, &mut self.claims);
        let interest = match flow.listen(way, packet, payload, allowance, claims) {
            Ok(interest) => interest,
            Err(TooMany) => {
                self.given_up.talks += 1;
                return;
            }
        };
        if allowance.kept > self.bounds.kept && flow.waiting() > 0 {
            self.given_up.holes += 1;
            flow.give_up_holes(allowance, claims);
        }
        let (frame, time) = (packet.frame, packet.time);
        let (findings, given_up) = (&mut out.findings, &mut self.given_up);
        self.evidence += flow.note(claims, frame, time, findings, given_up);
        if interest == Interest::Mistaken {
            let before = flow.evidence_weight();
            flow.retract();
            self.evidence -= before - flow.evidence_weight();
        }
        if interest != Interest::More {
            flow.stop_listening(allowance);
        } else if !was_listened_to {
            self.followed.push_back((slot, flow.serial()));
        }
        self.looked_at = self.looked_at.min(self.evidence + LOOKED_AT);
        if self.evidence > self.bounds.claims.max(self.looked_at) {
            self.give_up_claims();
        }
        if self.allowance.kept > self.bounds.kept {
            self.give_up_talks(|(_, kept)| (false, kept), out);
        }
        if self.followed.len() > 2 * self.bounds.talks + LOOKED_AT {
            self.forget_ended();
        }
    }

    /// Cuts the claims of one of the flows that are followed longest: the one that has most. Looks
    /// again only once as much has come as it looked at: what nothing can be cut of stays.
    fn give_up_claims(&mut self) {
        let claims = |flow: &OpenFlow| Some(flow.evidence_len()).filter(|claims| *claims > 0);
        let looked_at = self.take_followed(claims);
        // Of equal ones the first.
        let heaviest = looked_at.iter().rev().max_by_key(|(claims, ..)| claims);
        if let Some((claims, slot, _)) = heaviest
            && *claims > FEW_CLAIMS
        {
            let flow = self.flows.get_mut(*slot).expect("it has claims");
            let before = flow.evidence_weight();
            self.given_up.evidence += flow.cut_evidence(FEW_CLAIMS) as u64;
            self.evidence -= before - flow.evidence_weight();
        }
        let others = looked_at.iter().map(|(_, slot, serial)| (*slot, *serial));
        self.followed.extend(others);
        self.looked_at = self.evidence + LOOKED_AT;
    }

    /// Stops following some of the flows that are followed longest: those that weigh most. A flood
    /// of beginnings gives up its own, and not a session that goes on beside it.
    fn give_up_talks<W: Ord>(&mut self, weigh: impl Fn((bool, usize)) -> W, out: &mut Outcome) {
        let mut looked_at = self.take_followed(|flow| flow.burden().map(&weigh));
        // Of equal ones the first.
        looked_at.sort_by(|(one, ..), (other, ..)| other.cmp(one));
        let given_up = GIVEN_UP_AT_A_TIME.min(looked_at.len().div_ceil(2));
        let kept = looked_at.split_off(given_up);
        (self.followed).extend(kept.iter().map(|(_, slot, serial)| (*slot, *serial)));
        self.given_up.talks += given_up as u64;
        for (_, slot, _) in looked_at {
            self.stop_listening(slot, out);
        }
    }

    /// Takes some of those that are followed longest out of their line, each with its weight; those
    /// that have none for good.
    fn take_followed<W>(&mut self, weigh: impl Fn(&OpenFlow) -> Option<W>) -> Vec<(W, u32, u32)> {
        let mut taken = Vec::with_capacity(LOOKED_AT);
        while taken.len() < LOOKED_AT
            && let Some((slot, serial)) = self.followed.pop_front()
        {
            let weight = self.current(slot, serial).and_then(&weigh);
            taken.extend(weight.map(|weight| (weight, slot, serial)));
        }
        taken
    }

    /// The flow in `slot`, if it is still the one of this serial number.
    fn current(&self, slot: u32, serial: u32) -> Option<&OpenFlow> {
        (self.flows.get(slot)).filter(|flow| flow.serial() == serial)
    }

    fn forget_ended(&mut self) {
        let mut followed = std::mem::take(&mut self.followed);
        followed.retain(|(slot, serial)| {
            self.current(*slot, *serial)
                .is_some_and(OpenFlow::is_listened_to)
        });
        self.followed = followed;
    }

    /// Takes what the payload of the flow in `slot` still proves, and follows it no more.
    fn stop_listening(&mut self, slot: u32, out: &mut Outcome) {
        let flow = self.flows.get_mut(slot).expect("it is in use");
        let Some(ear) = flow.stop_listening(&mut self.allowance) else {
            return;
        };
        let frame = ear.finish(&mut self.claims);
        let time = flow.end();
        let claims = &mut self.claims;
        let (findings, given_up) = (&mut out.findings, &mut self.given_up);
        self.evidence += flow.note(claims, frame, time, findings, given_up);
    }

    /// Reports the flow in `slot`, as standing in `state`, or as its own end says.
    fn end(&mut self, slot: u32, state: Option<State>, out: &mut Outcome) {
        self.stop_listening(slot, out);
        let flow = self.flows.take(slot).expect("only flows in use are ended");
        let tag = self.places.tag(flow.key());
        self.index.remove(tag, slot);
        self.evidence -= flow.evidence_weight();
        out.ended.push(flow.into_ended(state));
    }

    /// Whether the flow that was put in line is still going on.
    fn is_current(&self, due: &Due) -> bool {
        self.current(due.slot, due.serial).is_some()
    }

    /// Puts a flow in line behind those that were heard before it.
    fn put_in_line(&mut self, slot: u32) {
        let flow = self.flow(slot);
        let due = Due {
            heard: flow.end(),
            slot,
            serial: flow.serial(),
        };
        let queue = flow.queue();
        self.queues[queue].push_back(due);
        if self.queues[queue].len() > self.longest[queue] {
            self.forget_ended_in_line(queue);
        }
    }

    /// Takes out of a queue those that have ended, or wait in line as closed: they would stand there
    /// as long as a flow may be silent, however many come by. As many may come again as are left.
    fn forget_ended_in_line(&mut self, queue: usize) {
        let mut line = std::mem::take(&mut self.queues[queue]);
        line.retain(|due| {
            self.is_current(due) && (queue == CLOSED || self.flow(due.slot).queue() != CLOSED)
        });
        self.longest[queue] = 2 * line.len() + QUEUE;
        line.shrink_to(self.longest[queue]);
        self.queues[queue] = line;
    }

    /// Makes room: of the flows that may be silent equally long and that are most, ends the one that
    /// was heard least recently: a flood of one kind drives out its own. Flows that were heard since they
    /// were put in line are put back, so a flow is passed over once for each time it spoke at most.
    fn give_one_up(&mut self, now: Timestamp, out: &mut Outcome) {
        while let Some(due) = self.first_in_line() {
            if !self.is_current(&due) {
                continue;
            }
            let flow = self.flow(due.slot);
            if flow.end() > due.heard {
                self.put_in_line(due.slot);
                continue;
            }
            let state = (flow.due() >= now).then_some(State::Evicted);
            self.given_up.flows += u64::from(state.is_some());
            self.end(due.slot, state, out);
            return;
        }
    }

    /// Takes the one that was heard first out of the longest queue.
    fn first_in_line(&mut self) -> Option<Due> {
        let longest = (self.queues.iter_mut()).max_by_key(|queue| queue.len())?;
        longest.pop_front()
    }
}

#[cfg(test)]
pub(in crate::flow) mod tests;
