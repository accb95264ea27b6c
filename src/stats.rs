//! What a run read, what it gave up, and how fast services answered.
//!
//! Every captured record comes to one of three ends, and [`Stats::adds_up`] holds them to it:
//! labelled (it is counted in a flow's row), undecoded for a named reason, or filtered out. What
//! was dropped before it could be captured, or came and was not looked at before the end, is counted
//! beside them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::catalog::{Catalog, ServiceId};

/// Services whose times are kept: more than Windows has services that talk over a network. A
/// pair of histograms is some 30 KiB at most.
const MAX_SERVICES: usize = 512;

/// The longest time told apart, in microseconds: an hour. Longer ones count as this long.
const LONGEST: u64 = 3_600_000_000;

/// Digits that a percentile is right to: within a hundredth.
const DIGITS: u8 = 2;

/// Counters of a run, or of one worker's part of it.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records that the reader took from files and devices.
    pub captured: u64,
    /// Records that a capture filter left out.
    pub filtered: u64,
    /// Records whose packets are counted in flows.
    pub labelled: u64,
    /// Records that no flow could be made of, by reason.
    pub undecoded: BTreeMap<String, u64>,
    /// Packets that the kernel dropped because the program was not fast enough.
    pub dropped_by_kernel: u64,
    /// Packets that a device or its driver dropped.
    pub dropped_by_device: u64,
    /// Packets that a device had captured and nobody looked at before the end of the run: the output
    /// was refused or too slow, or as many as were asked for had come.
    pub unread: u64,
    /// Captures that were damaged; what came before the damage is counted.
    pub damaged: u64,
    /// Bytes on the wire of all captured records.
    pub wire_bytes: u64,
    /// Flows that were reported.
    pub flows: u64,
    /// Flows that were going on at a time, at most.
    pub most_flows: u64,
    /// Bytes of memory that the tables of flows took then: without what dissectors keep of payload
    /// and without evidence.
    pub most_bytes: u64,
    /// What was given up, by what it was: at a bound flows, endpoints, stream bytes; without a bound
    /// endpoints about which answers differ.
    pub given_up: BTreeMap<&'static str, u64>,
    /// Handshake and response times by service; none: flows without one.
    times: BTreeMap<Option<ServiceId>, Times>,
}

#[derive(Clone, Debug, Default)]
struct Times {
    handshake: Spread,
    response: Spread,
}

/// A distribution of times. Its maximum is exact, the rest right to [`DIGITS`].
#[derive(Clone, Debug, Default)]
struct Spread {
    histogram: Option<Histogram<u32>>,
    max: u64,
}

/// Percentiles of one kind of time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half were no slower.
    pub p50: u64,
    /// Nine in ten were no slower.
    pub p90: u64,
    /// Ninety-nine in a hundred were no slower.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

/// The times of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceTimes {
    /// Its catalog id; none for flows without a service.
    pub service: Option<String>,
    /// TCP handshakes; none if none was seen.
    pub handshake_us: Option<Percentiles>,
    /// First request to first answer; none if none was seen.
    pub response_us: Option<Percentiles>,
}

impl Stats {
    /// Counts records that no flow could be made of.
    pub fn undecoded(&mut self, reason: impl ToString, how_many: u64) {
        *self.undecoded.entry(reason.to_string()).or_default() += how_many;
    }

    /// Counts what was given up at a bound.
    pub fn given_up(&mut self, what: &'static str, how_many: u64) {
        if how_many > 0 {
            *self.given_up.entry(what).or_default() += how_many;
        }
    }

    /// Counts a reported flow and its times.
    pub fn flow(
        &mut self,
        service: Option<ServiceId>,
        handshake: Option<Duration>,
        response: Option<Duration>,
    ) {
        self.flows += 1;
        if handshake.is_none() && response.is_none() {
            return;
        }
        if self.times.len() >= MAX_SERVICES && !self.times.contains_key(&service) {
            return self.given_up("services timed", 1);
        }
        let times = self.times.entry(service).or_default();
        times.handshake.add(handshake);
        times.response.add(response);
    }

    /// Adds another part of the same run.
    pub fn add(&mut self, other: &Stats) {
        self.captured += other.captured;
        self.filtered += other.filtered;
        self.labelled += other.labelled;
        self.dropped_by_kernel += other.dropped_by_kernel;
        self.dropped_by_device += other.dropped_by_device;
        self.unread += other.unread;
        self.damaged += other.damaged;
        self.wire_bytes += other.wire_bytes;
        self.flows += other.flows;
        self.most_flows += other.most_flows;
        self.most_bytes += other.most_bytes;
        for (reason, count) in &other.undecoded {
            self.undecoded(reason, *count);
        }
        for (what, count) in &other.given_up {
            self.given_up(what, *count);
        }
        for (service, times) in &other.times {
            let mine = self.times.entry(*service).or_default();
            mine.handshake.merge(&times.handshake);
            mine.response.merge(&times.response);
        }
    }

    /// Records that no flow could be made of, for whatever reason.
    pub fn undecoded_in_all(&self) -> u64 {
        self.undecoded.values().sum()
    }

    /// Bytes of memory for each of the flows that were going on when the most were.
    pub fn bytes_a_flow(&self) -> u64 {
        self.most_bytes.checked_div(self.most_flows).unwrap_or(0)
    }

    /// Whether every captured record has come to one end.
    pub fn adds_up(&self) -> bool {
        self.captured == self.labelled + self.undecoded_in_all() + self.filtered
    }

    /// The times by service, in the order of the catalog, unknown flows first.
    pub fn times(&self, catalog: &Catalog) -> Vec<ServiceTimes> {
        let of = |(service, times): (&Option<ServiceId>, &Times)| ServiceTimes {
            service: service.map(|id| catalog.service(id).id.clone()),
            handshake_us: times.handshake.percentiles(),
            response_us: times.response.percentiles(),
        };
        self.times.iter().map(of).collect()
    }

    /// Writes one line of JSON: `{"stats":{…}}`.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn write_json(&self, out: &mut impl Write, catalog: &Catalog) -> io::Result<()> {
        let line = Line {
            stats: Body {
                captured: self.captured,
                labelled: self.labelled,
                undecoded: &self.undecoded,
                filtered: self.filtered,
                dropped_by_kernel: self.dropped_by_kernel,
                dropped_by_device: self.dropped_by_device,
                unread: self.unread,
                damaged: self.damaged,
                wire_bytes: self.wire_bytes,
                flows: self.flows,
                most_flows: self.most_flows,
                bytes_a_flow: self.bytes_a_flow(),
                given_up: &self.given_up,
                times: self.times(catalog),
            },
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }

    /// Writes the same as text, at most 80 columns wide.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn write_text(&self, out: &mut impl Write, catalog: &Catalog) -> io::Result<()> {
        let mut line = |name: &str, count: u64| writeln!(out, "{name:<36}{count:>16}");
        line("packets captured", self.captured)?;
        line("  labelled", self.labelled)?;
        line("  undecoded", self.undecoded_in_all())?;
        for (reason, count) in &self.undecoded {
            line(&format!("    {reason}"), *count)?;
        }
        line("  filtered out", self.filtered)?;
        line("packets dropped by the kernel", self.dropped_by_kernel)?;
        line("packets dropped by the device", self.dropped_by_device)?;
        line("packets unread at the end", self.unread)?;
        line("bytes on the wire", self.wire_bytes)?;
        line("flows", self.flows)?;
        line("  at a time, at most", self.most_flows)?;
        line("  bytes of memory for each of these", self.bytes_a_flow())?;
        for (what, count) in &self.given_up {
            line(&format!("  given up: {what}"), *count)?;
        }
        if self.damaged > 0 {
            line("captures damaged", self.damaged)?;
        }
        self.write_times(out, catalog)
    }

    fn write_times(&self, out: &mut impl Write, catalog: &Catalog) -> io::Result<()> {
        let times = self.times(catalog);
        let of_kind = |of: fn(&ServiceTimes) -> Option<Percentiles>| {
            let row = |times| Some((of(times)?, times.service.as_deref()));
            let mut rows: Vec<_> = times.iter().filter_map(row).collect();
            rows.sort_by_key(|(spread, _)| std::cmp::Reverse(spread.count));
            rows
        };
        write_spreads(out, "handshake, µs", &of_kind(|times| times.handshake_us))?;
        write_spreads(out, "response, µs", &of_kind(|times| times.response_us))
    }
}

fn write_spreads(
    out: &mut impl Write,
    title: &str,
    rows: &[(Percentiles, Option<&str>)],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    write!(out, "\n{title:<25}")?;
    for (head, width) in ["count", "p50", "p90", "p99", "max"].iter().zip(WIDTHS) {
        write!(out, "{head:>width$}")?;
    }
    writeln!(out)?;
    for (spread, service) in rows {
        write!(out, "  {:<23}", service.unwrap_or("(unknown)"))?;
        let numbers = [spread.count, spread.p50, spread.p90, spread.p99, spread.max];
        for (number, width) in numbers.iter().zip(WIDTHS) {
            write!(out, "{number:>width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The columns of the times: a count, then microseconds of up to an hour.
const WIDTHS: [usize; 5] = [9, 11, 11, 11, 12];

#[derive(Serialize)]
struct Line<'a> {
    stats: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    captured: u64,
    labelled: u64,
    undecoded: &'a BTreeMap<String, u64>,
    filtered: u64,
    dropped_by_kernel: u64,
    dropped_by_device: u64,
    unread: u64,
    damaged: u64,
    wire_bytes: u64,
    flows: u64,
    most_flows: u64,
    bytes_a_flow: u64,
    given_up: &'a BTreeMap<&'static str, u64>,
    times: Vec<ServiceTimes>,
}

impl Spread {
    fn add(&mut self, time: Option<Duration>) {
        let Some(time) = time else { return };
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.max = self.max.max(micros);
        self.histogram().saturating_record(micros);
    }

    fn merge(&mut self, other: &Spread) {
        let Some(theirs) = &other.histogram else {
            return;
        };
        self.max = self.max.max(other.max);
        self.histogram()
            .add(theirs)
            .expect("both have the same bounds");
    }

    fn histogram(&mut self) -> &mut Histogram<u32> {
        self.histogram.get_or_insert_with(|| {
            Histogram::new_with_max(LONGEST, DIGITS).expect("an hour in two digits is allowed")
        })
    }

    fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.histogram.as_ref()?;
        let at = |quantile| histogram.value_at_quantile(quantile).min(self.max);
        Some(Percentiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: self.max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Option<Duration> {
        Some(Duration::from_millis(n))
    }

    #[test]
    fn every_record_comes_to_one_end() {
        let mut stats = Stats {
            captured: 10,
            labelled: 7,
            filtered: 1,
            ..Stats::default()
        };
        assert!(!stats.adds_up());
        stats.undecoded("arp", 2);
        assert!(stats.adds_up());
        assert_eq!(stats.undecoded_in_all(), 2);
    }

    #[test]
    fn the_parts_of_a_run_add_up_to_the_whole() {
        let (mut one, mut other, mut whole) =
            (Stats::default(), Stats::default(), Stats::default());
        for n in 1..=100 {
            let part = if n % 3 == 0 { &mut one } else { &mut other };
            for stats in [part, &mut whole] {
                stats.captured += n;
                stats.undecoded("arp", 1);
                stats.given_up("flows", n);
                stats.flow(None, millis(n), None);
            }
        }
        one.add(&other);
        assert_eq!(one.captured, whole.captured);
        assert_eq!(one.undecoded, whole.undecoded);
        assert_eq!(one.given_up, whole.given_up);
        let spread = |stats: &Stats| stats.times[&None].handshake.percentiles();
        assert_eq!(spread(&one), spread(&whole));
    }

    #[test]
    fn percentiles_are_right_to_two_digits_and_the_maximum_exactly() {
        let mut stats = Stats::default();
        (1..=1000).for_each(|n| stats.flow(None, None, millis(n)));
        let spread = (stats.times[&None].response.percentiles()).expect("there are times");
        assert_eq!((spread.count, spread.max), (1000, 1_000_000));
        assert!((495_000..=505_000).contains(&spread.p50), "{spread:?}");
        assert!((980_000..=1_000_000).contains(&spread.p99), "{spread:?}");
    }

    #[test]
    fn a_time_beyond_the_bound_counts_as_the_longest() {
        let mut stats = Stats::default();
        stats.flow(None, Some(Duration::MAX), None);
        let spread = (stats.times[&None].handshake.percentiles()).expect("there is one");
        assert_eq!((spread.count, spread.max), (1, u64::MAX));
        assert!(spread.p50 >= LONGEST);
    }
}
