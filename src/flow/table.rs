//! Packets in, flows out: one part of all flows, owned by one worker.
//!
//! The packets of a flow always come to the same table. Nothing here asks a clock: a flow is silent
//! by capture time. What a flow proves is kept with it; what concerns other flows (an assigned
//! endpoint) is handed out at once as a [`Finding`]. Next in line: `attribute`.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::dissect::Input;
use crate::flow::ended::{EndedFlow, State};
use crate::flow::key::FlowKey;
use crate::flow::open::{CLOSED, OpenFlow, SILENCES};
use crate::flow::talk::{Interest, Talk};
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol};
use crate::model::packet::{Packet, TcpHeader};
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
    index: HashTable<u32>,
    flows: Vec<Option<OpenFlow>>,
    free: Vec<u32>,
    /// Flows by when to look whether they have fallen silent, one queue for each length of silence.
    /// A flow that has not is put back: nothing is moved when a packet comes.
    queues: [VecDeque<Due>; 4],
    next_serial: u64,
    talks: usize,
    waiting: usize,
    bounds: Bounds,
    given_up: GivenUp,
    claims: Vec<Claim>,
}

/// A flow in line to be looked at.
#[derive(Clone, Copy)]
struct Due {
    /// When the flow had last been heard as it was put in line.
    heard: Timestamp,
    slot: u32,
    serial: u64,
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
            talks: 0,
            waiting: 0,
            bounds,
            given_up: GivenUp::default(),
            claims: Vec::new(),
        }
    }

    /// Adds a packet whose captured payload is `payload`. Flows that end by it go to `ended`, what
    /// concerns other flows to `findings`.
    pub fn packet(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        ended: &mut Vec<EndedFlow>,
        findings: &mut Vec<Finding>,
    ) {
        let key = FlowKey::of(&packet.tuple);
        let hash = key.hash(&self.hash);
        let slot = match self.find(hash, &key, packet) {
            Some(slot) if self.goes_on(slot, packet) => slot,
            Some(slot) => {
                self.end(slot, None, ended, findings);
                self.open(hash, key, packet, ended, findings)
            }
            None => self.open(hash, key, packet, ended, findings),
        };
        self.add(slot, packet, payload, findings);
    }

    /// Looks at the flow of a packet that is about to come, so that it is in the cache by then. Of
    /// several packets in a row the processor waits for all flows at once instead of one by one.
    pub fn expect(&self, packet: &Packet) {
        let key = FlowKey::of(&packet.tuple);
        let slot = self.find(key.hash(&self.hash), &key, packet);
        std::hint::black_box(slot);
    }

    /// Ends the flows that have fallen silent by `now`.
    pub fn sweep(
        &mut self,
        now: Timestamp,
        ended: &mut Vec<EndedFlow>,
        findings: &mut Vec<Finding>,
    ) {
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
                    self.end(due.slot, None, ended, findings);
                } else {
                    self.put_in_line(due.slot);
                }
            }
        }
    }

    /// Ends every flow, in the order in which they began: the capture is over.
    pub fn finish(&mut self, ended: &mut Vec<EndedFlow>, findings: &mut Vec<Finding>) {
        let mut slots: Vec<(u64, u32)> = (self.flows.iter().enumerate())
            .filter_map(|(slot, flow)| flow.as_ref().map(|flow| (flow.serial, slot as u32)))
            .collect();
        slots.sort_unstable();
        for (_, slot) in slots {
            self.end(slot, Some(State::Open), ended, findings);
        }
    }

    /// What had to be given up so far.
    pub fn given_up(&self) -> GivenUp {
        self.given_up
    }

    fn find(&self, hash: u64, key: &FlowKey, packet: &Packet) -> Option<u32> {
        let same = |slot: &u32| {
            let flow = self.flow(*slot);
            flow.is_of(key, packet)
        };
        self.index.find(hash, same).copied()
    }

    fn flow(&self, slot: u32) -> &OpenFlow {
        self.flows[slot as usize]
            .as_ref()
            .expect("an indexed slot is in use until its flow ends")
    }

    /// Whether a packet belongs to the flow in `slot`, or comes too late or opens another.
    fn goes_on(&self, slot: u32, packet: &Packet) -> bool {
        let flow = self.flow(slot);
        let way = flow.way(&packet.tuple);
        let opens = (packet.tcp.as_ref()).is_some_and(|tcp| flow.tcp.is_over_with(way, tcp));
        !opens && packet.time.since(flow.end) <= flow.silence()
    }

    fn open(
        &mut self,
        hash: u64,
        key: FlowKey,
        packet: &Packet,
        ended: &mut Vec<EndedFlow>,
        findings: &mut Vec<Finding>,
    ) -> u32 {
        if self.index.len() >= self.bounds.flows {
            self.give_one_up(packet.time, ended, findings);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let mut flow = OpenFlow::begin(key, serial, packet);
        flow.talk = self.start_talk(packet);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            u32::try_from(self.flows.len() - 1).expect("the bound on flows is far below 2^32")
        });
        self.flows[slot as usize] = Some(flow);
        self.put_in_line(slot);
        let (flows, state) = (&self.flows, &self.hash);
        self.index.insert_unique(hash, slot, |slot| {
            let flow = flows[*slot as usize].as_ref();
            flow.expect("an indexed slot is in use").key.hash(state)
        });
        slot
    }

    fn start_talk(&mut self, packet: &Packet) -> Option<Box<Talk>> {
        let input = match packet.tuple.protocol {
            IpProtocol::TCP => Input::Stream,
            IpProtocol::UDP => Input::Datagram,
            _ => return None,
        };
        if self.talks >= self.bounds.talks {
            self.given_up.talks += 1;
            return None;
        }
        self.talks += 1;
        let from_start = (packet.tcp.as_ref()).is_none_or(|tcp| tcp.has(TcpHeader::SYN));
        let ports = (packet.tuple.source.port, packet.tuple.destination.port);
        Some(Box::new(Talk::new(input, ports, from_start)))
    }

    fn add(&mut self, slot: u32, packet: &Packet, payload: &[u8], findings: &mut Vec<Finding>) {
        let flow = self.flows[slot as usize]
            .as_mut()
            .expect("the slot was found or opened for this packet");
        let way = flow.way(&packet.tuple);
        let waits_in = flow.queue();
        flow.count(way, packet);
        let waited = flow.waiting();
        let interest = flow.listen(way, packet, payload, &mut self.claims);
        self.waiting = self.waiting + flow.waiting() - waited;
        if self.waiting > self.bounds.waiting && flow.waiting() > 0 {
            self.given_up.holes += 1;
            self.waiting -= flow.waiting();
            flow.give_up_holes(&mut self.claims);
        }
        flow.note(
            &mut self.claims,
            packet.frame,
            packet.time,
            findings,
            &mut self.given_up,
        );
        if interest == Interest::Mistaken {
            flow.retract();
        }
        if interest != Interest::More && flow.talk.is_some() {
            self.talks -= 1;
            self.waiting -= flow.waiting();
            flow.talk = None;
        }
        if flow.queue() == CLOSED && waits_in != CLOSED {
            self.put_in_line(slot);
        }
    }

    /// Reports the flow in `slot`, as standing in `state`, or as its own end says.
    fn end(
        &mut self,
        slot: u32,
        state: Option<State>,
        ended: &mut Vec<EndedFlow>,
        findings: &mut Vec<Finding>,
    ) {
        let mut flow = self.flows[slot as usize]
            .take()
            .expect("only flows in use are ended");
        let hash = flow.key.hash(&self.hash);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.waiting -= flow.waiting();
        if let Some(talk) = flow.talk.take() {
            self.talks -= 1;
            talk.finish(&mut self.claims);
        }
        let (frame, time) = (flow.last_frame(), flow.end);
        flow.note(&mut self.claims, frame, time, findings, &mut self.given_up);
        ended.push(flow.into_ended(state));
    }

    /// Whether the flow that was put in line is still going on.
    fn is_current(&self, due: &Due) -> bool {
        (self.flows[due.slot as usize].as_ref()).is_some_and(|flow| flow.serial == due.serial)
    }

    /// Puts a flow in line behind those that were heard before it.
    fn put_in_line(&mut self, slot: u32) {
        let flow = self.flow(slot);
        let due = Due {
            heard: flow.end,
            slot,
            serial: flow.serial,
        };
        let queue = flow.queue();
        self.queues[queue].push_back(due);
    }

    /// Makes room: ends the flow that was heard least recently. Flows that were heard since they
    /// were put in line are put back, so a flow is passed over once for each time it spoke at most.
    fn give_one_up(
        &mut self,
        now: Timestamp,
        ended: &mut Vec<EndedFlow>,
        findings: &mut Vec<Finding>,
    ) {
        while let Some(due) = self.first_in_line() {
            if !self.is_current(&due) {
                continue;
            }
            let flow = self.flow(due.slot);
            if flow.end > due.heard {
                self.put_in_line(due.slot);
                continue;
            }
            let state = (flow.due() >= now).then_some(State::Evicted);
            self.given_up.flows += u64::from(state.is_some());
            self.end(due.slot, state, ended, findings);
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
