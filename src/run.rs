//! The threads, their channels, the end. The only file that spawns, and that reads the clock.
//!
//! One reader decodes and deals packets out, workers own the flows, and the collector (the thread
//! that called) owns the endpoint map, labels, and hands every flow to the caller in one order:
//!
//! ```text
//! reader ──► worker 1..n ──► collector ──► the caller's sink
//! ```
//!
//! Every batch goes to every worker, also where it holds nothing for it, and every worker answers
//! every batch. So the collector knows without clock or chance what belongs together, and the
//! output is the same with any number of workers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::attribute::collector::{Collector, Hold};
use crate::attribute::endpoint_row::EndpointRow;
use crate::attribute::label::LabelledFlow;
use crate::attribute::networks::Networks;
use crate::catalog::Catalog;
use crate::decode::{Decoder, Undecoded};
use crate::flow::ended::EndedFlow;
use crate::flow::key::{FlowKey, PARTS};
use crate::flow::table::{Bounds, Finding, FlowTable, GivenUp};
use crate::model::packet::Packet;
use crate::model::time::Timestamp;
use crate::source::block::{Block, Pool, Records};
use crate::source::device::{Device, DeviceError, DeviceStats};
use crate::source::files::{Files, Progress};
use crate::stats::Stats;

/// Batches on their way to one worker, and answers on their way back. A few keep both sides busy
/// while one waits; each holds its blocks, so more would only cost memory.
const IN_FLIGHT: usize = 4;

/// Flows at a time, unless the user says otherwise: about a kilobyte each while their payload is
/// followed, a third of that afterwards.
pub const DEFAULT_MAX_FLOWS: usize = 1_000_000;

/// How many flows may have their payload followed at a time, of those there may be. Most flows
/// are done with within a few packets.
const TALKS: usize = 4;

/// Bytes that may wait behind holes in streams, all flows together.
const MAX_WAITING: usize = 128 * 1024 * 1024;

/// How many packets ahead a worker looks for their flows: more than the processor can wait for at
/// once, few enough to stay in its first cache.
const AHEAD: usize = 32;

/// How often silent devices let flows end.
const TICK: Duration = Duration::from_millis(500);

/// How long the kernel is read empty after a live run is over, at the most: a busy device never
/// runs dry.
const LAST_ORDERS: Duration = Duration::from_secs(1);

/// How a run goes.
pub struct Settings {
    /// How many workers: at least one, at most [`PARTS`].
    pub workers: usize,
    /// How many flows at a time.
    pub max_flows: usize,
    /// Where a port alone names a service.
    pub networks: Networks,
}

/// What a run came to, beside the flows.
pub struct Outcome {
    /// What was read and what was given up.
    pub stats: Stats,
    /// The endpoint map as it was at the end.
    pub endpoints: Vec<EndpointRow>,
    /// What the caller's sink said when it would take no more flows.
    pub output: io::Result<()>,
}

/// Packets for one worker, with the blocks that they lie in.
struct Batch {
    bytes: Records,
    packets: Vec<(u8, Packet)>,
    /// The time of capture that the reader has come to.
    now: Timestamp,
}

/// What a worker makes of a batch.
#[derive(Default)]
struct Answer {
    ended: Vec<EndedFlow>,
    findings: Vec<Finding>,
    given_up: GivenUp,
}

/// Labels the flows of capture files. Gives each to `take`, in one order; stops early when `take`
/// fails or `stop` is set. `progress` is told now and then how far the reading is.
pub fn files(
    files: &mut Files,
    catalog: &Catalog,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> Outcome {
    let read = |deal: &mut Dealer| {
        let mut delivered = 0;
        while !stop.load(Ordering::Relaxed) {
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

/// When a live run ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After this many packets.
    pub packets: Option<u64>,
    /// After this long.
    pub duration: Option<Duration>,
}

/// Labels the flows of live devices, each as it ends, until a limit is reached, `stop` is set or no
/// device is left. What the kernel still holds then is labelled as well. Beside the outcome: what
/// ended devices before their time.
pub fn devices(
    devices: Vec<Device>,
    limits: Limits,
    catalog: &Catalog,
    settings: &Settings,
    stop: &AtomicBool,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> (Outcome, Vec<DeviceError>) {
    let mut failed = Vec::new();
    let failures = &mut failed;
    let read = move |deal: &mut Dealer| {
        let live = Live {
            over: AtomicBool::new(false),
            stop,
            deadline: limits.duration.map(|duration| Instant::now() + duration),
        };
        thread::scope(|scope| {
            let (send, records) = bounded(IN_FLIGHT);
            let captures: Vec<_> = (devices.into_iter())
                .map(|device| {
                    let (live, send) = (&live, send.clone());
                    scope.spawn(move || live.capture(device, &send))
                })
                .collect();
            drop(send);
            deal.live(&records, limits.packets);
            live.over.store(true, Ordering::Relaxed);
            drop(records);
            for capture in captures {
                let (stats, result) = capture.join().expect("a capture thread does not panic");
                deal.stats.dropped_by_kernel += stats.dropped_by_kernel;
                deal.stats.dropped_by_device += stats.dropped_by_device;
                failures.extend(result.err());
            }
        });
    };
    let collector = Collector::new(catalog, &settings.networks, Hold::Never);
    (run(read, collector, settings, take), failed)
}

/// What the capture threads of a live run watch.
struct Live<'a> {
    /// No more packets are wanted.
    over: AtomicBool,
    /// The user has had enough.
    stop: &'a AtomicBool,
    deadline: Option<Instant>,
}

impl Live<'_> {
    /// Reads a device until the run is over, and then what the kernel still holds.
    fn capture(
        &self,
        mut device: Device,
        send: &Sender<Records>,
    ) -> (DeviceStats, Result<(), DeviceError>) {
        let pool = Pool::default();
        let mut last_orders = None;
        let result = loop {
            if self.is_over() {
                let end = *last_orders.get_or_insert_with(|| Instant::now() + LAST_ORDERS);
                if Instant::now() >= end {
                    break Ok(());
                }
            }
            match device.next(&pool) {
                Ok(Some(records)) => {
                    if send.send(records).is_err() {
                        break Ok(());
                    }
                }
                Ok(None) if last_orders.is_some() => break Ok(()),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        (device.stats(), result)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
            || self.stop.load(Ordering::Relaxed)
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Runs the reader, the workers and the collector until the reader is through.
fn run(
    read: impl FnOnce(&mut Dealer) + Send,
    mut collector: Collector,
    settings: &Settings,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> Outcome {
    let workers = settings.workers.clamp(1, PARTS);
    let bounds = Bounds {
        flows: (settings.max_flows / PARTS).max(1),
        talks: (settings.max_flows / PARTS / TALKS).max(1),
        waiting: MAX_WAITING / PARTS,
    };
    let mut stats = Stats::default();
    let mut output = Ok(());
    thread::scope(|scope| {
        let mut to_workers = Vec::new();
        let mut from_workers = Vec::new();
        let (spent, reuse) = bounded(IN_FLIGHT * workers);
        for _ in 0..workers {
            let (send_batch, batches) = bounded(IN_FLIGHT);
            let (send_answer, answers) = bounded(IN_FLIGHT);
            let worker = Worker::new(workers, bounds);
            let spent = spent.clone();
            scope.spawn(move || worker.work(&batches, &send_answer, &spent));
            to_workers.push(send_batch);
            from_workers.push(answers);
        }
        let reader = scope.spawn(move || {
            let mut dealer = Dealer::new(to_workers, reuse);
            read(&mut dealer);
            dealer.finish()
        });
        output = collect(&from_workers, &mut collector, &mut stats, take);
        // Without anyone to answer to, the workers end, and so does the reader.
        drop(from_workers);
        let read = reader.join().expect("the reader does not panic");
        stats.add(&read);
    });
    let (released, unlearned) = collector.given_up();
    stats.given_up("flows labelled before the end of the input", released);
    stats.given_up("endpoints", unlearned);
    Outcome {
        stats,
        endpoints: collector.endpoints(),
        output,
    }
}

/// Takes the workers' answers batch by batch; in each, what was learned comes before the flows
/// that ended, and both are in the order of the capture.
fn collect(
    from_workers: &[Receiver<Answer>],
    collector: &mut Collector,
    stats: &mut Stats,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> io::Result<()> {
    let mut result = Ok(());
    let mut give = |flow: LabelledFlow| {
        stats.flow(flow.label.service, flow.flow.handshake, flow.response());
        if result.is_ok() {
            result = take(&flow);
        }
        result.is_ok()
    };
    let mut given_up = GivenUp::default();
    let mut is_taking = true;
    while is_taking {
        let answers: Vec<Answer> = from_workers.iter().map_while(|w| w.recv().ok()).collect();
        if answers.len() < from_workers.len() {
            break;
        }
        let (mut ended, mut findings) = (Vec::new(), Vec::new());
        for answer in answers {
            ended.extend(answer.ended);
            findings.extend(answer.findings);
            given_up.add(answer.given_up);
        }
        findings.sort_by_key(|f: &Finding| (f.evidence.time, f.evidence.frame, f.tuple));
        ended.sort_by(EndedFlow::order);
        findings
            .into_iter()
            .for_each(|finding| collector.learn(finding));
        for flow in ended {
            collector.ended(flow, &mut |flow| is_taking &= give(flow));
        }
    }
    if is_taking {
        collector.finish(&mut |flow| {
            give(flow);
        });
    }
    stats.given_up("flows", given_up.flows);
    stats.given_up("flows whose payload was not followed", given_up.talks);
    stats.given_up("holes in streams", given_up.holes);
    stats.given_up("claims of one flow", given_up.evidence);
    result
}

/// Decodes records and deals their packets out to the workers.
struct Dealer {
    decoder: Decoder,
    to_workers: Vec<Sender<Batch>>,
    reuse: Receiver<Vec<(u8, Packet)>>,
    decoded: Vec<Packet>,
    undecoded: BTreeMap<Undecoded, u64>,
    stats: Stats,
}

impl Dealer {
    fn new(to_workers: Vec<Sender<Batch>>, reuse: Receiver<Vec<(u8, Packet)>>) -> Dealer {
        Dealer {
            decoder: Decoder::new(),
            to_workers,
            reuse,
            decoded: Vec::new(),
            undecoded: BTreeMap::new(),
            stats: Stats::default(),
        }
    }

    /// Decodes and deals; false once nobody takes packets any more.
    fn records(&mut self, records: &Records) -> bool {
        let mut dealt = self.empty_hands();
        for record in &records.records {
            self.stats.wire_bytes += u64::from(record.wire_len);
            match self
                .decoder
                .decode(record, records.bytes(record.bytes), &mut self.decoded)
            {
                Ok(()) => self.stats.labelled += 1,
                Err(reason) => *self.undecoded.entry(reason).or_default() += 1,
            }
            self.deal(&mut dealt);
        }
        let now = records
            .records
            .last()
            .map_or(Timestamp::MIN, |last| last.time);
        self.send(dealt, &records.blocks, now)
    }

    /// Deals out what devices capture, up to a number of packets. While they are silent, the
    /// clock tells the workers how late it is, so that flows end on time.
    fn live(&mut self, captured: &Receiver<Records>, packets: Option<u64>) {
        let mut left = packets.unwrap_or(u64::MAX);
        while left > 0 {
            let goes_on = match captured.recv_timeout(TICK) {
                Ok(mut records) => {
                    let wanted = usize::try_from(left).unwrap_or(usize::MAX);
                    records.records.truncate(wanted);
                    let count = records.records.len() as u64;
                    left -= count;
                    self.stats.captured += count;
                    self.records(&records)
                }
                Err(RecvTimeoutError::Timeout) => {
                    let hands = self.empty_hands();
                    self.send(hands, &[], clock())
                }
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn empty_hands(&self) -> Vec<Vec<(u8, Packet)>> {
        let hand = |_: &Sender<Batch>| self.reuse.try_recv().unwrap_or_default();
        self.to_workers.iter().map(hand).collect()
    }

    fn deal(&mut self, dealt: &mut [Vec<(u8, Packet)>]) {
        let workers = dealt.len();
        for packet in self.decoded.drain(..) {
            let part = FlowKey::of(&packet.tuple).part();
            dealt[part % workers].push((part as u8, packet));
        }
    }

    fn send(
        &mut self,
        dealt: Vec<Vec<(u8, Packet)>>,
        blocks: &[Arc<Block>],
        now: Timestamp,
    ) -> bool {
        self.to_workers.iter().zip(dealt).all(|(worker, packets)| {
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

/// The time of day, as capture time.
fn clock() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(since_epoch.as_nanos() as i128)
}

/// Owns the flows of some parts.
struct Worker {
    tables: Vec<FlowTable>,
    workers: usize,
}

impl Worker {
    /// One of `workers`. A worker has every `workers`-th part.
    fn new(workers: usize, bounds: Bounds) -> Worker {
        let parts = PARTS.div_ceil(workers);
        Worker {
            tables: (0..parts).map(|_| FlowTable::new(bounds)).collect(),
            workers,
        }
    }

    fn work(
        mut self,
        batches: &Receiver<Batch>,
        answers: &Sender<Answer>,
        spent: &Sender<Vec<(u8, Packet)>>,
    ) {
        for mut batch in batches {
            let mut answer = Answer::default();
            for few in batch.packets.chunks(AHEAD) {
                for (part, packet) in few {
                    self.tables[usize::from(*part) / self.workers].expect(packet);
                }
                for (part, packet) in few {
                    let payload = match &packet.reassembled {
                        Some(whole) => whole,
                        None => batch.bytes.bytes(packet.payload),
                    };
                    let table = &mut self.tables[usize::from(*part) / self.workers];
                    table.packet(packet, payload, &mut answer.ended, &mut answer.findings);
                }
            }
            batch.packets.clear();
            for table in &mut self.tables {
                table.sweep(batch.now, &mut answer.ended, &mut answer.findings);
            }
            // A full return channel only means that the reader has enough to write in.
            let _ = spent.try_send(batch.packets);
            if answers.send(answer).is_err() {
                return;
            }
        }
        let mut answer = Answer::default();
        for table in &mut self.tables {
            table.finish(&mut answer.ended, &mut answer.findings);
            answer.given_up.add(table.given_up());
        }
        // The collector may have gone because nobody takes its flows any more.
        let _ = answers.send(answer);
    }
}
