//! Each stage of the pipeline by itself, and the whole path, over the captures of `pcaps/`:
//! `cargo bench --bench stages [-- STAGE]`. Rates are in packets, or in flows after the table.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use wiretag::attribute::collector::{Collector, Hold};
use wiretag::attribute::label::LabelledFlow;
use wiretag::attribute::networks::Networks;
use wiretag::catalog::Catalog;
use wiretag::decode::Decoder;
use wiretag::dissect::Input;
use wiretag::flow::ended::EndedFlow;
use wiretag::flow::key::Places;
use wiretag::flow::stream::Stream;
use wiretag::flow::table::{Bounds, Expected, Finding, FlowTable, Outcome};
use wiretag::flow::talk::{Interest, Talk};
use wiretag::model::evidence::{Claim, Direction};
use wiretag::model::five_tuple::{FiveTuple, IpProtocol};
use wiretag::model::packet::{Packet, TcpHeader};
use wiretag::model::protocol::Protocol;
use wiretag::report::column::{Capture, Context};
use wiretag::report::sink::{By, Format, Pace, Sink};
use wiretag::run::{self, Settings};
use wiretag::source::block::Records;
use wiretag::source::files::Files;

/// As many as a worker of a run has for each of its parts, or more.
const BOUNDS: Bounds = Bounds {
    flows: 100_000,
    talks: 100_000,
    kept: 16 * 1024 * 1024,
    claims: 1_000_000,
};

/// Bytes of the segments that a stream is measured with.
const SEGMENT: usize = 1400;

fn recorded() -> Files {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    Files::open(&[folder], None)
}

/// The captures as each stage hands them on.
struct Stages {
    units: Vec<Records>,
    packets: Vec<(Packet, Vec<u8>)>,
    ended: Vec<EndedFlow>,
    findings: Vec<Finding>,
}

impl Stages {
    fn new() -> Stages {
        let mut files = recorded();
        let units: Vec<Records> = std::iter::from_fn(|| files.next()).collect();
        let mut packets = Vec::new();
        let mut decoder = Decoder::new();
        for unit in &units {
            let mut decoded = Vec::new();
            decode(&mut decoder, unit, &mut decoded);
            let payload = |packet: &Packet| match &packet.reassembled {
                Some(whole) => whole.to_vec(),
                None => unit.bytes(packet.payload).to_vec(),
            };
            packets.extend((decoded.into_iter()).map(|packet| {
                let payload = payload(&packet);
                (packet, payload)
            }));
        }
        let Outcome { ended, findings } = follow(&packets);
        Stages {
            units,
            packets,
            ended,
            findings,
        }
    }

    fn labelled(&self, catalog: &Catalog, networks: &Networks) -> Vec<LabelledFlow> {
        let mut labelled = Vec::new();
        let collector = Collector::new(catalog, networks, Hold::ToTheEnd);
        label(collector, &self.findings, self.ended.clone(), &mut |flow| {
            labelled.push(flow);
        });
        labelled
    }

    /// The packets of a flow of each protocol: the one with the most of them.
    fn by_protocol(&self) -> BTreeMap<&'static str, Vec<&(Packet, Vec<u8>)>> {
        let spoken = |flow: &EndedFlow| {
            (flow.evidence.iter()).find_map(|evidence| match evidence.claim {
                Claim::Speaks(protocol) => Some(protocol),
                _ => None,
            })
        };
        let of = |tuple: FiveTuple| {
            let is_of = move |(packet, _): &&(Packet, Vec<u8>)| {
                packet.tuple == tuple || packet.tuple == tuple.reversed()
            };
            self.packets.iter().filter(is_of).collect::<Vec<_>>()
        };
        let mut longest: BTreeMap<&'static str, &EndedFlow> = BTreeMap::new();
        for flow in &self.ended {
            let Some(protocol) = spoken(flow) else {
                continue;
            };
            let known = longest.entry(Protocol::name(protocol)).or_insert(flow);
            if known.packets < flow.packets {
                *known = flow;
            }
        }
        (longest.into_iter())
            .map(|(name, flow)| (name, of(flow.tuple)))
            .collect()
    }
}

fn decode(decoder: &mut Decoder, unit: &Records, packets: &mut Vec<Packet>) {
    for record in &unit.records {
        // What cannot be decoded costs its time, too.
        let _ = decoder.decode(record, unit.bytes(record.bytes), packets);
    }
}

fn follow(packets: &[(Packet, Vec<u8>)]) -> Outcome {
    let places = Places::default();
    let mut table = FlowTable::new(places.clone(), BOUNDS);
    let mut out = Outcome::default();
    for (packet, payload) in packets {
        let expected = Expected::new(places.of(&packet.tuple).tag);
        table.packet(packet, payload, &expected, &mut out);
    }
    for (_, slot) in table.finish(&mut out) {
        out.ended.push(table.take(slot));
    }
    out
}

/// Puts the payload of one flow through the probes and the dissector that knows it.
fn dissect(packets: &[&(Packet, Vec<u8>)], found: &mut Vec<Claim>) {
    let Some((first, _)) = packets.first() else {
        return;
    };
    let input = match first.tuple.protocol {
        IpProtocol::TCP => Input::Stream,
        _ => Input::Datagram,
    };
    let ports = (first.tuple.source.port, first.tuple.destination.port);
    let from_start = (first.tcp.as_ref()).is_none_or(|tcp| tcp.has(TcpHeader::SYN));
    let mut talk = Talk::new(input, ports, from_start);
    for (packet, payload) in packets {
        let way = match packet.tuple == first.tuple {
            true => Direction::Forward,
            false => Direction::Reverse,
        };
        let interest = match &packet.tcp {
            Some(tcp) => talk.segment(way, tcp, payload, packet.payload_missing, found),
            None => talk.datagram(way, payload, found),
        };
        if interest != Interest::More {
            break;
        }
    }
    talk.finish(found);
}

fn label(
    mut collector: Collector,
    findings: &[Finding],
    ended: Vec<EndedFlow>,
    take: &mut dyn FnMut(LabelledFlow),
) {
    for finding in findings {
        collector.learn(finding.clone());
    }
    for flow in ended {
        collector.ended(flow, take);
    }
    collector.finish(take);
}

fn stages(c: &mut Criterion) {
    let stages = Stages::new();
    packets(c, &stages);
    stream(c);
    dissectors(c, &stages);
    flows(c, &stages);
    whole(c, &stages);
}

/// What is done by the packet.
fn packets(c: &mut Criterion, stages: &Stages) {
    let mut group = c.benchmark_group("packets");
    let records: usize = stages.units.iter().map(|unit| unit.records.len()).sum();
    group.throughput(Throughput::Elements(records as u64));
    group.bench_function("records", |b| {
        b.iter(|| {
            let mut files = recorded();
            while let Some(records) = files.next() {
                black_box(records);
            }
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let (mut decoder, mut packets) = (Decoder::new(), Vec::new());
            for unit in &stages.units {
                packets.clear();
                decode(&mut decoder, unit, &mut packets);
            }
            packets
        });
    });
    group.throughput(Throughput::Elements(stages.packets.len() as u64));
    let bare: Vec<_> = (stages.packets.iter())
        .map(|(packet, _)| (packet.clone(), Vec::new()))
        .collect();
    group.bench_function("table", |b| b.iter(|| follow(&bare)));
    group.bench_function("table and dissectors", |b| {
        b.iter(|| follow(&stages.packets));
    });
    group.finish();
}

/// Putting in order what is, and what is not.
fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream");
    let bytes = [7; SEGMENT];
    let in_order: Vec<u32> = (0..1000).map(|place| place * SEGMENT as u32).collect();
    let mut swapped = in_order.clone();
    swapped.chunks_mut(2).for_each(|pair| pair.swap(0, 1));
    group.throughput(Throughput::Elements(in_order.len() as u64));
    for (name, order) in [("in order", in_order), ("each two swapped", swapped)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut stream = Stream::default();
                stream.begin(0);
                for sequence in &order {
                    stream.segment(*sequence, &bytes, 0, &mut |piece| {
                        black_box(piece);
                    });
                }
            });
        });
    }
    group.finish();
}

fn dissectors(c: &mut Criterion, stages: &Stages) {
    let mut group = c.benchmark_group("dissect");
    for (name, packets) in stages.by_protocol() {
        group.throughput(Throughput::Elements(packets.len() as u64));
        group.bench_function(name, |b| {
            let mut found = Vec::new();
            b.iter(|| {
                found.clear();
                dissect(black_box(&packets), &mut found);
            });
        });
    }
    group.finish();
}

/// What is done by the flow.
fn flows(c: &mut Criterion, stages: &Stages) {
    let mut group = c.benchmark_group("flows");
    group.throughput(Throughput::Elements(stages.ended.len() as u64));
    let (catalog, networks) = (Catalog::built_in(), Networks::default());
    group.bench_function("label", |b| {
        b.iter_batched(
            || stages.ended.clone(),
            |ended| {
                let collector = Collector::new(&catalog, &networks, Hold::ToTheEnd);
                label(collector, &stages.findings, ended, &mut |flow| {
                    black_box(flow);
                });
            },
            BatchSize::LargeInput,
        );
    });
    let labelled = stages.labelled(&catalog, &networks);
    let captures: Vec<_> = (recorded().captures().iter())
        .map(|capture| Capture::File(capture.name()))
        .collect();
    let context = Context::new(&catalog, &captures);
    let learned = Collector::new(&catalog, &networks, Hold::Never);
    let formats = [
        ("ndjson", Format::Ndjson),
        ("csv", Format::Csv),
        ("table", Format::Table(Some(120))),
    ];
    for (name, format) in formats {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut sink = Sink::new(Box::new(io::sink()), By::Flow, format, Pace::Whole);
                for flow in &labelled {
                    sink.flow(context, flow).expect("it takes all");
                }
                sink.finish(context, &learned).expect("it takes all");
            });
        });
    }
    group.finish();
}

/// From the files to the labels.
fn whole(c: &mut Criterion, stages: &Stages) {
    let mut group = c.benchmark_group("whole");
    group.throughput(Throughput::Elements(stages.packets.len() as u64));
    let catalog = Catalog::built_in();
    for workers in [1, 2] {
        let settings = Settings {
            workers,
            max_flows: run::DEFAULT_MAX_FLOWS,
            networks: Networks::default(),
            after_batch: run::no_load,
        };
        group.bench_function(format!("{workers} workers"), |b| {
            b.iter(|| {
                let stop = AtomicBool::new(false);
                let mut take = |flow: &LabelledFlow| {
                    black_box(flow);
                    Ok(())
                };
                run::files(
                    &mut recorded(),
                    &catalog,
                    &settings,
                    &stop,
                    &|_| {},
                    &mut take,
                )
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = stages
}
criterion_main!(benches);
