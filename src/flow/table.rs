//! Packets in, flows out: one part of all flows, owned by one worker.
//!
//! The packets of a flow always come to the same table. Nothing here asks a clock: a flow is silent
//! by capture time. What a flow proves is kept with it; what concerns other flows (an assigned
//! endpoint) is handed out at once as a [`Finding`]. Next in line: `attribute`.

use std::cmp::Ordering;
use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::flow::ended::{EndedFlow, Rank, State};
use crate::flow::key::{FlowKey, Way};
use crate::flow::open::{Allowance, CLOSED, OpenFlow, SILENCES, TooMany};
use crate::flow::talk::Interest;
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::FiveTuple;
use crate::model::packet::Packet;
use crate::model::time::Timestamp;

/// What a flow proved that concerns other flows.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The five-tuple of the flow's first packet.
    pub tuple: FiveTuple,
    /// Which direction the client of the flow sends in, where that is known.
    pub client: Option<Direction>,
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
    /// How many bytes may wait behind holes of their streams, all flows together.
    pub waiting: usize,
}

/// What a table has had to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Flows reported before they fell silent, because there were more than the bound.
    pub flows: u64,
    /// Flows whose payload was not followed, because too many were.
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

/// One part of all flows.
pub struct FlowTable {
    hash: RandomState,
    index: HashTable<Place>,
    flows: Vec<Option<OpenFlow>>,
    free: Vec<u32>,
    /// Flows by when to look whether they have fallen silent, one queue for each length of silence.
    /// A flow that has not is put back: nothing is moved when a packet comes.
    queues: [VecDeque<Due>; 4],
    next_serial: u32,
    allowance: Allowance,
    bounds: Bounds,
    given_up: GivenUp,
    claims: Vec<Claim>,
}

/// Where a flow is: the index grows and is searched without a look at the flows themselves.
#[derive(Clone, Copy)]
struct Place {
    tag: u32,
    slot: u32,
}

impl Place {
    /// What the index knows of the hash of a flow. It takes bits from both ends of what it is
    /// given, so both ends get all that is known.
    fn spread(tag: u32) -> u64 {
        u64::from(tag) << 32 | u64::from(tag)
    }

    fn hash(&self) -> u64 {
        Place::spread(self.tag)
    }
}

/// A packet that is about to come, looked up.
#[derive(Clone, Copy)]
pub struct Expected {
    key: FlowKey,
    way: Way,
    tag: u32,
    slot: Option<u32>,
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
    /// An empty table.
    pub fn new(bounds: Bounds) -> FlowTable {
        FlowTable {
            hash: RandomState::default(),
            index: HashTable::new(),
            flows: Vec::new(),
            free: Vec::new(),
            queues: Default::default(),
            next_serial: 0,
            allowance: Allowance {
                talks: bounds.talks,
                waiting: 0,
            },
            bounds,
            given_up: GivenUp::default(),
            claims: Vec::new(),
        }
    }

    /// Looks for the flow of a packet that is about to come, by its hash alone.
    ///
    /// Of several packets in a row the processor then waits for all places at once instead of one
    /// by one, and likewise for the flows, if all of them are [touched](FlowTable::touch) next.
    pub fn expect(&self, packet: &Packet) -> Expected {
        let (key, way) = FlowKey::of(&packet.tuple);
        let tag = key.hash(&self.hash) as u32;
        let place = (self.index).find(Place::spread(tag), |place| place.tag == tag);
        Expected {
            key,
            way,
            tag,
            slot: place.map(|place| place.slot),
        }
    }

    /// Looks at the flow that is expected, so that it is in the cache once its packet comes.
    pub fn touch(&self, expected: &Expected) {
        if let Some(slot) = expected.slot {
            let flow = self.flows[slot as usize].as_ref();
            std::hint::black_box(flow.map(|flow| (flow.end(), flow.is_listened_to())));
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
        let slot = match self.find(packet, expected) {
            Some(slot) if self.goes_on(slot, packet, expected.way) => slot,
            Some(slot) => {
                self.end(slot, None, out);
                self.open(packet, expected, out)
            }
            None => self.open(packet, expected, out),
        };
        self.add(slot, packet, payload, expected.way, out);
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
    /// left, each to be [taken](FlowTable::take) once.
    pub fn finish(&mut self, out: &mut Outcome) -> Vec<(Rank, u32)> {
        let slots = 0..self.flows.len() as u32;
        let left: Vec<u32> = slots.filter(|slot| self.is_used(*slot)).collect();
        (left.into_iter())
            .map(|slot| {
                self.stop_listening(slot, out);
                (self.flow(slot).rank(), slot)
            })
            .collect()
    }

    /// How the flow in `slot` is to be ordered beside one in `its` slot of another table, where
    /// their ranks are the same.
    pub fn tie(&self, slot: u32, other: &FlowTable, its: u32) -> Ordering {
        self.flow(slot).tie(other.flow(its))
    }

    /// Takes out a flow that the end of the capture has left, as it stands.
    ///
    /// # Panics
    ///
    /// If it is taken twice.
    pub fn take(&mut self, slot: u32) -> EndedFlow {
        let flow = self.flows[slot as usize].take();
        flow.expect("each is taken once")
            .into_ended(Some(State::Open))
    }

    /// What had to be given up so far.
    pub fn given_up(&self) -> GivenUp {
        self.given_up
    }

    fn find(&self, packet: &Packet, expected: &Expected) -> Option<u32> {
        let is_it = |slot: u32| {
            let flow = self.flows[slot as usize].as_ref();
            flow.is_some_and(|flow| flow.is_of(&expected.key, packet))
        };
        // Nearly always it is the one. Else another has the same hash, or it began or ended since.
        if let Some(slot) = expected.slot.filter(|slot| is_it(*slot)) {
            return Some(slot);
        }
        let is_its = |place: &Place| place.tag == expected.tag && is_it(place.slot);
        let place = (self.index).find(Place::spread(expected.tag), is_its)?;
        Some(place.slot)
    }

    fn flow(&self, slot: u32) -> &OpenFlow {
        self.flows[slot as usize]
            .as_ref()
            .expect("an indexed slot is in use until its flow ends")
    }

    fn is_used(&self, slot: u32) -> bool {
        self.flows[slot as usize].is_some()
    }

    /// Whether a packet belongs to the flow in `slot`, or comes too late or opens another.
    fn goes_on(&self, slot: u32, packet: &Packet, way: Way) -> bool {
        let flow = self.flow(slot);
        flow.goes_on(flow.direction(way), packet)
    }

    fn open(&mut self, packet: &Packet, expected: &Expected, out: &mut Outcome) -> u32 {
        if self.index.len() >= self.bounds.flows {
            self.give_one_up(packet.time, out);
        }
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let flow = OpenFlow::begin(expected.key, expected.way, serial, packet);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            u32::try_from(self.flows.len() - 1).expect("the bound on flows is far below 2^32")
        });
        self.flows[slot as usize] = Some(flow);
        self.put_in_line(slot);
        let tag = expected.tag;
        (self.index).insert_unique(Place::spread(tag), Place { tag, slot }, Place::hash);
        slot
    }

    fn add(&mut self, slot: u32, packet: &Packet, payload: &[u8], way: Way, out: &mut Outcome) {
        let flow = self.flows[slot as usize]
            .as_mut()
            .expect("the slot was found or opened for this packet");
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
        let flow = self.flows[slot as usize]
            .as_mut()
            .expect("the slot was found or opened for this packet");
        let (allowance, claims) = (&mut self.allowance, &mut self.claims);
        let interest = match flow.listen(way, packet, payload, allowance, claims) {
            Ok(interest) => interest,
            Err(TooMany) => {
                self.given_up.talks += 1;
                return;
            }
        };
        if allowance.waiting > self.bounds.waiting && flow.waiting() > 0 {
            self.given_up.holes += 1;
            flow.give_up_holes(allowance, claims);
        }
        let (frame, time) = (packet.frame, packet.time);
        flow.note(claims, frame, time, &mut out.findings, &mut self.given_up);
        if interest == Interest::Mistaken {
            flow.retract();
        }
        if interest != Interest::More {
            flow.stop_listening(allowance);
        }
    }

    /// Takes what the payload of the flow in `slot` still proves, and follows it no more.
    fn stop_listening(&mut self, slot: u32, out: &mut Outcome) {
        let flow = self.flows[slot as usize]
            .as_mut()
            .expect("only flows in use are listened to");
        let Some(ear) = flow.stop_listening(&mut self.allowance) else {
            return;
        };
        let frame = ear.finish(&mut self.claims);
        let time = flow.end();
        let claims = &mut self.claims;
        flow.note(claims, frame, time, &mut out.findings, &mut self.given_up);
    }

    /// Reports the flow in `slot`, as standing in `state`, or as its own end says.
    fn end(&mut self, slot: u32, state: Option<State>, out: &mut Outcome) {
        self.stop_listening(slot, out);
        let flow = self.flows[slot as usize]
            .take()
            .expect("only flows in use are ended");
        let tag = flow.key().hash(&self.hash) as u32;
        let is_it = |place: &Place| place.slot == slot;
        if let Ok(entry) = self.index.find_entry(Place::spread(tag), is_it) {
            entry.remove();
        }
        self.free.push(slot);
        out.ended.push(flow.into_ended(state));
    }

    /// Whether the flow that was put in line is still going on.
    fn is_current(&self, due: &Due) -> bool {
        (self.flows[due.slot as usize].as_ref()).is_some_and(|flow| flow.serial() == due.serial)
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
    }

    /// Makes room: ends the flow that was heard least recently. Flows that were heard since they
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

    /// Takes the one that was heard first out of all queues.
    fn first_in_line(&mut self) -> Option<Due> {
        let heard = |queue: &VecDeque<Due>| queue.front().map(|due| due.heard);
        let queue = (self.queues.iter_mut())
            .filter(|queue| !queue.is_empty())
            .min_by_key(|queue| heard(queue))?;
        queue.pop_front()
    }
}

#[cfg(test)]
mod tests;
