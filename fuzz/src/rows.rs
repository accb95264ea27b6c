//! The whole path: bytes of a capture to rows in every format.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use wiretag::attribute::networks::Networks;
use wiretag::catalog::Catalog;
use wiretag::report::column::{Capture, Context};
use wiretag::report::sink::{By, Format, Pace, Sink};
use wiretag::run::{self, Outcome, Settings};
use wiretag::source::files::Files;

use super::decode::link;
use super::input::{self, Input, as_file};

/// Flows at a time where they are to be few: one for each part of them.
const FEW_FLOWS: usize = 64;

/// The first byte chooses: bit 0, the rest is a capture file as it is, else `LINK` and frames as
/// [`input::frames`] has them; bit 1, few flows fit.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.byte();
    let file = match flags & 1 {
        1 => input.0.to_vec(),
        _ => {
            let link = link(input.byte());
            input::pcap(link.0, &input::frames(&mut input))
        }
    };
    let max_flows = if flags & 2 == 0 { 100_000 } else { FEW_FLOWS };
    let path = as_file(&file);
    thread_local! {
        static CATALOG: Catalog = Catalog::built_in();
    }
    CATALOG.with(|catalog| {
        let one = label(catalog, &path, 1, max_flows);
        let two = label(catalog, &path, 2, max_flows);
        assert!(
            one == two,
            "the rows are the same with any number of workers"
        );
        let text = std::str::from_utf8(&one).expect("NDJSON is UTF-8");
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            assert_eq!(row["service"].is_null(), row["service_name"].is_null());
        }
    });
}

/// The rows by flow of a capture; the other formats are made and looked through.
fn label(catalog: &Catalog, path: &PathBuf, workers: usize, max_flows: usize) -> Vec<u8> {
    let captures = [Capture::File("fuzzed".to_owned())];
    let context = Context::new(catalog, &captures);
    let settings = Settings {
        workers,
        max_flows,
        networks: Networks::default(),
        after_batch: run::no_load,
    };
    let table = Format::Table(None);
    let ways = [
        (By::Flow, table),
        (By::Flow, Format::Csv),
        (By::Service, table),
        (By::Host, Format::Ndjson),
        (By::Endpoint, table),
    ];
    let mut sinks = ways.map(|(by, format)| {
        let colours = format == table;
        Sink::new(Box::new(Shown { colours }), by, format, Pace::Whole)
    });
    let mut rows = Vec::new();
    let mut ndjson = wiretag::report::ndjson::Ndjson::new(wiretag::report::record::FLOW);
    let mut files = Files::open(std::slice::from_ref(path), None);
    let outcome: Outcome = run::files(
        &mut files,
        catalog,
        &settings,
        &AtomicBool::new(false),
        &|_| {},
        &mut |flow| {
            for sink in &mut sinks {
                sink.flow(context, flow)?;
            }
            ndjson.row(&mut rows, context, flow)
        },
    );
    outcome.output.expect("nothing refuses rows here");
    assert!(outcome.stats.adds_up(), "{:?}", outcome.stats);
    for sink in sinks {
        let finished = sink.finish(context, &outcome.learned);
        finished.expect("nothing refuses rows here");
    }
    outcome
        .stats
        .write_json(&mut Shown { colours: false }, catalog)
        .expect("nothing refuses them here");
    rows
}

/// An output that bears no byte that would make a terminal do anything, but for our own colours
/// where it is one for people.
struct Shown {
    colours: bool,
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_plain = |byte: &u8| match byte {
            b'\n' => true,
            0x1b => self.colours,
            byte => !byte.is_ascii_control(),
        };
        let text = String::from_utf8_lossy(bytes);
        assert!(bytes.iter().all(is_plain), "{text:?}");
        for sequence in text.split('\u{1b}').skip(1) {
            // Select graphic rendition (ECMA-48 8.3.117) is all that we ever send.
            let end = sequence.trim_start_matches(|c: char| "[;0123456789".contains(c));
            assert!(end.starts_with('m'), "{text:?}");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
