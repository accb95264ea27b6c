//! The threads, their channels, the end. Only here and in [`live`] are threads spawned and is the
//! clock read.
//!
//! One reader decodes and deals packets out, workers own the flows, the collector owns the endpoint
//! map and labels, and the thread that called hands every flow to the caller's sink in one order:
//!
//! ```text
//! reader ──► worker 1..n ──► collector ──► the caller's sink
//! ```
//!
//! Every batch goes to every worker, also where it holds nothing for it, and every worker answers
//! every batch. So the collector knows without clock or chance what belongs together, and the
//! output is the same with any number of workers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::iter::{self, Peekable};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicBool};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::vec::IntoIter;

use crossbeam_channel::{Receiver, SendError, Sender, bounded};

use crate::attribute::collector::{Collector, Hold};
use crate::attribute::label::LabelledFlow;
use crate::attribute::networks::Networks;
use crate::catalog::Catalog;
use crate::decode::{Decoder, Undecoded};
use crate::flow::ended::EndedFlow;
use crate::flow::key::{PARTS, Place, Places};
use crate::flow::table::{Bounds, Expected, Finding, FlowTable, GivenUp, Held, Outcome as Ended};
use crate::model::packet::Packet;
use crate::model::time::{Elapsed, Timestamp};
use crate::source::block::{Block, Records};
use crate::source::files::{Files, Progress};
use crate::stats::Stats;

pub mod live;

/// Batches on their way to one worker, and answers on their way back. A few keep both sides busy
/// while one waits; each holds its blocks, so more would only cost memory.
const IN_FLIGHT: usize = 4;

/// Flows at a time, unless the user says otherwise: some 220 bytes each, and half a kilobyte more
/// while their payload is followed.
pub const DEFAULT_MAX_FLOWS: usize = 1_000_000;

/// How many flows may have their payload followed at a time, of those there may be. Most flows
/// are done with within a few packets.
const TALKS: usize = 4;

/// Bytes that may be kept of payloads, all flows together: behind holes in streams, and by those
/// that follow them. A busy office's thousand sessions keep some ten MiB.
const MAX_KEPT: usize = 64 * 1024 * 1024;

/// What claims may weigh, all flows together, at some 80 bytes for 1: real flows prove two or three
/// things, and only long sessions dozens.
const MAX_CLAIMS: usize = 500_000;

/// How many packets ahead a worker looks for their flows: more than the processor can wait for at
/// once, few enough to stay in its first cache.
const AHEAD: usize = 32;

/// How a run goes.
pub struct Settings {
    /// How many workers: at least one, at most [`PARTS`].
    pub workers: usize,
    /// How many flows at a time.
    pub max_flows: usize,
    /// Where a port alone names a service.
    pub networks: Networks,
    /// Called by a worker after each batch, with the number of its packets. [`no_load`], but where
    /// a heavier load is simulated.
    pub after_batch: fn(usize),
}

/// Does nothing.
pub fn no_load(_packets: usize) {}

/// What a run came to, beside the flows.
pub struct Outcome<'a> {
    /// What was read and what was given up.
    pub stats: Stats,
    /// What was learned to the end: the endpoint map, and what hosts showed of their systems.
    pub learned: Collector<'a>,
    /// What the caller's sink said when it would take no more flows.
    pub output: io::Result<()>,
}

/// Packets for one worker, with the blocks that they lie in.
struct Batch {
    bytes: Records,
    packets: Hand,
    /// The time of capture that the reader has come to.
    now: Timestamp,
}

/// Packets, and where each of them goes: for a part of the flows, which of the worker's tables has it.
#[derive(Default)]
struct Hand {
    packets: Vec<Packet>,
    places: Vec<Place>,
}

/// What a worker says.
enum Answer {
    /// What it makes of a batch, and what it holds then.
    Batch(Ended, Held),
    /// After the last batch: flows that the end of the capture has left, in order.
    Left(Vec<EndedFlow>),
    /// After the last of those.
    GivenUp(GivenUp),
}

/// Flows that are handed over together: enough that the hand-over costs little, few enough that a
/// million flows are not held twice, and that the allocator hands out and takes back their memory
/// without putting its own in order each time (in glibc from 64 KiB on).
const FLOWS_AT_A_TIME: usize = 128;

/// Labels the flows of capture files. Gives each to `take`, in one order; stops early when `take`
/// fails or `stop` is set. `progress` is told now and then how far the reading is.
pub fn files<'a>(
    files: &mut Files,
    catalog: &'a Catalog,
    settings: &'a Settings,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> Outcome<'a> {
    let read = |deal: &mut Dealer| {
        let mut delivered = 0;
        while !stop.load(atomic::Ordering::Relaxed) {
            let Some(records) = files.next() else { break };
            delivered += records.records.len() as u64;
            if !deal.records(&records) {
                break;
            }
            progress(files.progress());
        }
        let frames: u64 = files.captures().iter().map(|capture| capture.frames).sum();
        deal.stats.captured = frames.max(delivered);
        deal.stats.filtered = frames.saturating_sub(delivered);
        deal.stats.damaged = files.errors().len() as u64;
    };
    let collector = Collector::new(catalog, &settings.networks, Hold::ToTheEnd);
    run(read, collector, settings, take)
}

/// Runs the reader, the workers and the collector until the reader is through.
fn run<'a>(
    read: impl FnOnce(&mut Dealer) + Send,
    mut collector: Collector<'a>,
    settings: &Settings,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> Outcome<'a> {
    let workers = settings.workers.clamp(1, PARTS);
    let bounds = Bounds {
        flows: (settings.max_flows / PARTS).max(1),
        talks: (settings.max_flows / PARTS / TALKS).max(1),
        kept: MAX_KEPT / PARTS,
        claims: MAX_CLAIMS / PARTS,
    };
    let places = Places::default();
    let mut stats = Stats::default();
    let mut output = Ok(());
    let collector = thread::scope(|scope| {
        let mut to_workers = Vec::new();
        let mut from_workers = Vec::new();
        let (spent, reuse) = bounded(IN_FLIGHT * workers);
        for number in 0..workers {
            let (send_batch, batches) = bounded(IN_FLIGHT);
            let (send_answer, answers) = bounded(IN_FLIGHT);
            let worker = Worker::new(workers, &places, bounds, settings.after_batch);
            let spent = spent.clone();
            let work = move || worker.work(&batches, &send_answer, &spent);
            spawn(scope, &format!("worker {number}"), work);
            to_workers.push(send_batch);
            from_workers.push(answers);
        }
        let reader = spawn(scope, "reader", move || {
            let mut dealer = Dealer::new(places, to_workers, reuse);
            read(&mut dealer);
            dealer.finish()
        });
        let (send_labelled, labelled) = bounded(IN_FLIGHT);
        let collecting = spawn(scope, "collector", move || {
            let mut spent = Spent::default();
            // Without anyone to answer to, the workers end, and so does the reader.
            collect(&from_workers, &mut collector, &send_labelled, &mut spent);
            (collector, spent)
        });
        output = hand_over(&labelled, &mut stats, take);
        // Nor does the collector go on without anyone to label for.
        drop(labelled);
        let (collector, spent) = (collecting.join()).expect("the collector does not panic");
        stats.add(&reader.join().expect("the reader does not panic"));
        stats.most_flows = spent.most.flows;
        stats.most_bytes = spent.most.bytes;
        let given_up = spent.given_up;
        stats.given_up("flows", given_up.flows);
        stats.given_up("flows whose payload was not followed", given_up.talks);
        stats.given_up("holes in streams", given_up.holes);
        stats.given_up("claims of one flow", given_up.evidence);
        collector
    });
    let (released, unlearned) = collector.given_up();
    stats.given_up("flows labelled before the end of the input", released);
    stats.given_up("endpoints", unlearned);
    stats.given_up("endpoints contested", collector.contested());
    Outcome {
        stats,
        learned: collector,
        output,
    }
}

/// A thread with a name, which debuggers and profilers show.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let thread = thread::Builder::new().name(name.to_owned());
    (thread.spawn_scoped(scope, work)).expect("the system has room for a few more threads")
}

/// Gives every labelled flow to the caller, until the caller takes no more.
fn hand_over(
    labelled: &Receiver<Vec<LabelledFlow>>,
    stats: &mut Stats,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> io::Result<()> {
    for flow in labelled.iter().flatten() {
        let handshake = flow.flow.handshake.map(Elapsed::duration);
        stats.flow(flow.label.service, handshake, flow.response());
        take(&flow)?;
    }
    Ok(())
}

/// What the workers held and gave up.
#[derive(Default)]
struct Spent {
    /// After the batch when the most flows were going on.
    most: Held,
    given_up: GivenUp,
}

/// Takes the workers' answers batch by batch; in each, what was learned comes before the flows
/// that ended, and both are in the order of the capture. Then takes the flows that are left.
fn collect(
    from_workers: &[Receiver<Answer>],
    collector: &mut Collector,
    out: &Sender<Vec<LabelledFlow>>,
    spent: &mut Spent,
) {
    let left = loop {
        let (mut batch, mut held) = (Ended::default(), Held::default());
        let mut left = Vec::new();
        for worker in from_workers {
            match worker.recv() {
                Ok(Answer::Batch(part, its)) => {
                    held.add(its);
                    append(&mut batch.ended, part.ended);
                    append(&mut batch.findings, part.findings);
                }
                Ok(Answer::Left(flows)) => left.push(Left::new(worker, flows)),
                Ok(Answer::GivenUp(_)) | Err(_) => return,
            }
        }
        if !left.is_empty() {
            break left;
        }
        if held.flows > spent.most.flows {
            spent.most = held;
        }
        in_order(batch.findings).for_each(|finding| collector.learn(finding));
        batch.ended.sort_unstable_by(EndedFlow::order);
        if !label(collector, batch.ended.into_iter(), out) {
            return;
        }
    };
    let mut left = left;
    loop {
        let next = iter::from_fn(|| take_first(&mut left)).take(FLOWS_AT_A_TIME);
        let flows: Vec<EndedFlow> = next.collect();
        if flows.is_empty() {
            break;
        }
        if !label(collector, flows.into_iter(), out) {
            return;
        }
    }
    (left.iter()).for_each(|worker| spent.given_up.add(worker.given_up));
    while let Some(held) = collector.finish_some(FLOWS_AT_A_TIME) {
        if out.send(held).is_err() {
            return;
        }
    }
}

/// Puts some behind others, and where there are none before them does not move them.
fn append<T>(to: &mut Vec<T>, mut more: Vec<T>) {
    match to.is_empty() {
        true => *to = more,
        false => to.append(&mut more),
    }
}

/// Findings by the frames that prove them, and those of one frame as its flows made them. Of the many
/// that the end of a capture brings only the numbers are moved about, not they themselves.
fn in_order(findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    let key = |finding: &Finding| {
        let evidence = &finding.evidence;
        (evidence.time, evidence.frame, finding.tuple)
    };
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_unstable_by_key(|place| (key(&findings[*place]), *place));
    let mut findings: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(move |place| findings[place].take())
}

/// Labels what can be labelled now; whether anyone is there to take it.
fn label(
    collector: &mut Collector,
    ended: impl Iterator<Item = EndedFlow>,
    out: &Sender<Vec<LabelledFlow>>,
) -> bool {
    let mut labelled = Vec::with_capacity(ended.size_hint().0.min(FLOWS_AT_A_TIME));
    for flow in ended {
        collector.ended(flow, &mut |flow| labelled.push(flow));
        let is_enough = labelled.len() >= FLOWS_AT_A_TIME;
        if is_enough && out.send(std::mem::take(&mut labelled)).is_err() {
            return false;
        }
    }
    labelled.is_empty() || out.send(labelled).is_ok()
}

/// The flows that a worker has left at the end of the capture, as they come in.
struct Left<'a> {
    from: &'a Receiver<Answer>,
    flows: Peekable<IntoIter<EndedFlow>>,
    given_up: GivenUp,
}

impl<'a> Left<'a> {
    fn new(from: &'a Receiver<Answer>, flows: Vec<EndedFlow>) -> Left<'a> {
        let mut left = Left {
            from,
            flows: flows.into_iter().peekable(),
            given_up: GivenUp::default(),
        };
        left.refill();
        left
    }

    fn refill(&mut self) {
        while self.flows.len() == 0 {
            match self.from.recv() {
                Ok(Answer::Left(flows)) => self.flows = flows.into_iter().peekable(),
                Ok(Answer::GivenUp(given_up)) => self.given_up = given_up,
                Ok(Answer::Batch(..)) | Err(_) => return,
            }
        }
    }
}

/// Takes the first of the flows that all workers have left.
fn take_first(left: &mut [Left]) -> Option<EndedFlow> {
    let first = (left.iter_mut())
        .filter_map(|worker| worker.flows.peek().is_some().then_some(worker))
        .reduce(|one, other| match (one.flows.peek(), other.flows.peek()) {
            (Some(a), Some(b)) if b.order(a) == Ordering::Less => other,
            _ => one,
        })?;
    let flow = first.flows.next();
    first.refill();
    flow
}

/// Decodes records and deals their packets out to the workers.
struct Dealer {
    decoder: Decoder,
    places: Places,
    to_workers: Vec<Sender<Batch>>,
    reuse: Receiver<Hand>,
    decoded: Vec<Packet>,
    undecoded: BTreeMap<Undecoded, u64>,
    stats: Stats,
}

impl Dealer {
    fn new(places: Places, to_workers: Vec<Sender<Batch>>, reuse: Receiver<Hand>) -> Dealer {
        Dealer {
            decoder: Decoder::new(),
            places,
            to_workers,
            reuse,
            decoded: Vec::new(),
            undecoded: BTreeMap::new(),
            stats: Stats::default(),
        }
    }

    /// Decodes and deals; false once nobody takes packets any more.
    fn records(&mut self, records: &Records) -> bool {
        let mut hands = self.empty_hands();
        match &mut hands[..] {
            [only] => {
                self.decode(records, &mut only.packets);
                let places = only
                    .packets
                    .iter()
                    .map(|packet| self.places.of(&packet.tuple));
                only.places.extend(places);
            }
            _ => {
                let mut decoded = std::mem::take(&mut self.decoded);
                self.decode(records, &mut decoded);
                self.deal(&mut decoded, &mut hands);
                self.decoded = decoded;
            }
        }
        let now = records
            .records
            .last()
            .map_or(Timestamp::MIN, |last| last.time);
        self.send(hands, &records.blocks, now)
    }

    fn decode(&mut self, records: &Records, packets: &mut Vec<Packet>) {
        for record in &records.records {
            self.stats.wire_bytes += u64::from(record.wire_len);
            match self
                .decoder
                .decode(record, records.bytes(record.bytes), packets)
            {
                Ok(()) => self.stats.labelled += 1,
                Err(reason) => *self.undecoded.entry(reason).or_default() += 1,
            }
        }
    }

    /// Deals packets out: each worker has every so many-th part, one table for each.
    fn deal(&self, packets: &mut Vec<Packet>, hands: &mut [Hand]) {
        let workers = hands.len();
        for packet in packets.drain(..) {
            let Place { part, tag } = self.places.of(&packet.tuple);
            let (part, worker) = (usize::from(part) / workers, usize::from(part) % workers);
            let part = part as u8;
            hands[worker].places.push(Place { part, tag });
            hands[worker].packets.push(packet);
        }
    }

    fn empty_hands(&self) -> Vec<Hand> {
        let hand = |_: &Sender<Batch>| self.reuse.try_recv().unwrap_or_default();
        self.to_workers.iter().map(hand).collect()
    }

    fn send(&mut self, hands: Vec<Hand>, blocks: &[Arc<Block>], now: Timestamp) -> bool {
        self.to_workers.iter().zip(hands).all(|(worker, packets)| {
            let bytes = Records {
                blocks: blocks.to_vec(),
                records: Vec::new(),
            };
            let batch = Batch {
                bytes,
                packets,
                now,
            };
            worker.send(batch).is_ok()
        })
    }

    /// Deals out what the decoder still held back.
    fn finish(mut self) -> Stats {
        self.decoder.finish();
        let losses = self.decoder.losses();
        // They were taken as labelled while a first fragment could still come.
        let orphans = losses.orphan_fragments;
        if orphans > 0 {
            self.stats.labelled -= orphans;
            self.undecoded.insert(Undecoded::OrphanFragment, orphans);
        }
        for (reason, count) in self.undecoded {
            self.stats.undecoded(reason, count);
        }
        self.stats
            .given_up("fragmented datagrams", losses.datagrams_given_up);
        self.stats.given_up("tunnels too deep", losses.too_deep);
        self.stats.given_up(
            "packets in tunnels that could not be read",
            losses.inner_undecoded,
        );
        self.stats
    }
}

/// Owns the flows of some parts.
struct Worker {
    tables: Vec<FlowTable>,
    /// The packets at hand, looked up.
    expected: Vec<Expected>,
    after_batch: fn(usize),
}

impl Worker {
    /// One of `workers`. A worker has every `workers`-th part.
    fn new(workers: usize, places: &Places, bounds: Bounds, after_batch: fn(usize)) -> Worker {
        let parts = PARTS.div_ceil(workers);
        let table = |_| FlowTable::new(places.clone(), bounds);
        Worker {
            tables: (0..parts).map(table).collect(),
            expected: Vec::with_capacity(AHEAD),
            after_batch,
        }
    }

    fn work(mut self, batches: &Receiver<Batch>, answers: &Sender<Answer>, spent: &Sender<Hand>) {
        for mut batch in batches {
            let mut out = Ended::default();
            let packets = batch.packets.packets.len();
            self.batch(&mut batch, &mut out);
            (self.after_batch)(packets);
            // A full return channel only means that the reader has enough to write in.
            let _ = spent.try_send(batch.packets);
            if answers.send(Answer::Batch(out, self.held())).is_err() {
                return;
            }
        }
        // The collector may have gone because nobody takes its flows any more.
        let _ = self.finish(answers);
    }

    fn held(&self) -> Held {
        let mut held = Held::default();
        self.tables.iter().for_each(|table| held.add(table.held()));
        held
    }

    fn batch(&mut self, batch: &mut Batch, out: &mut Ended) {
        let Batch {
            bytes,
            packets: hand,
            now,
        } = batch;
        for (packets, places) in (hand.packets.chunks(AHEAD)).zip(hand.places.chunks(AHEAD)) {
            self.few(bytes, packets, places, out);
        }
        hand.packets.clear();
        hand.places.clear();
        for table in &mut self.tables {
            table.sweep(*now, out);
        }
    }

    /// A few packets: all of their places are read, then all of their flows, before any is added. So
    /// the processor waits for many flows at once instead of for each in turn.
    fn few(&mut self, bytes: &Records, packets: &[Packet], places: &[Place], out: &mut Ended) {
        let table_of = |place: &Place| usize::from(place.part);
        self.expected.clear();
        let expected = places.iter().map(|place| Expected::new(place.tag));
        self.expected.extend(expected);
        for (expected, place) in self.expected.iter().zip(places) {
            self.tables[table_of(place)].touch_place(expected);
        }
        for (expected, place) in self.expected.iter_mut().zip(places) {
            self.tables[table_of(place)].look_up(expected);
        }
        for ((packet, place), expected) in packets.iter().zip(places).zip(&self.expected) {
            let payload = match &packet.reassembled {
                Some(whole) => whole,
                None => bytes.bytes(packet.payload),
            };
            self.tables[table_of(place)].packet(packet, payload, expected, out);
        }
    }

    /// Hands on what is left at the end of the capture: first what it still teaches, then flow by
    /// flow in their order.
    fn finish(mut self, answers: &Sender<Answer>) -> Result<(), SendError<Answer>> {
        let mut out = Ended::default();
        let flows = self.held().flows as usize;
        let mut left: Vec<(Timestamp, u32, u8)> = Vec::with_capacity(flows);
        for (number, table) in (0..).zip(&mut self.tables) {
            let slots = table.finish(&mut out).into_iter();
            left.extend(slots.map(|(end, slot)| (end, slot, number)));
        }
        answers.send(Answer::Batch(out, Held::default()))?;
        let table_of = |number: u8| usize::from(number);
        left.sort_unstable_by(|(one, slot, table), (other, its, its_table)| {
            let (table, its_table) = (table_of(*table), table_of(*its_table));
            let order = || self.tables[table].order(*slot, &self.tables[its_table], *its);
            one.cmp(other).then_with(order)
        });
        let mut chunks = left.chunks(FLOWS_AT_A_TIME);
        loop {
            // Also an empty one: it says that no batch follows.
            let slots = chunks.next().unwrap_or_default().iter();
            let take =
                |(_, slot, table): &(Timestamp, u32, u8)| self.tables[table_of(*table)].take(*slot);
            let flows: Vec<EndedFlow> = slots.map(take).collect();
            let is_last = flows.is_empty();
            answers.send(Answer::Left(flows))?;
            if is_last {
                break;
            }
        }
        let mut given_up = GivenUp::default();
        (self.tables.iter()).for_each(|table| given_up.add(table.given_up()));
        answers.send(Answer::GivenUp(given_up))
    }
}
