//! Labels bytes in-process, where the program would have to be started thousands of times.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use wiretag::attribute::endpoint_row::EndpointRow;
use wiretag::attribute::networks::Networks;
use wiretag::catalog::Catalog;
use wiretag::report::column::{Capture, Context};
use wiretag::report::ndjson::Ndjson;
use wiretag::report::record::FLOW;
use wiretag::run::{self, DEFAULT_MAX_FLOWS, Settings};
use wiretag::source::error::SourceError;
use wiretag::source::files::Files;
use wiretag::stats::Stats;

/// Numbers that look random and are the same in every run (splitmix64, Vigna 2015).
#[derive(Clone)]
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % bound.max(1)
    }
}

/// Labels bytes as a file, again and again by the same name.
pub struct Bench {
    _folder: TempDir,
    pub path: PathBuf,
    catalog: Catalog,
}

/// What came of a file.
pub struct Labelled {
    pub rows: Vec<u8>,
    pub endpoints: Vec<EndpointRow>,
    pub errors: Vec<SourceError>,
    pub stats: Stats,
}

impl Bench {
    pub fn new() -> Bench {
        let folder = tempfile::tempdir().expect("there is room");
        Bench {
            path: folder.path().join("torn.pcapng"),
            _folder: folder,
            catalog: Catalog::built_in(),
        }
    }

    pub fn label(&self, bytes: &[u8]) -> Labelled {
        self.label_with(bytes, 1)
    }

    pub fn label_with(&self, bytes: &[u8], workers: usize) -> Labelled {
        fs::write(&self.path, bytes).expect("there is room");
        let mut files = Files::open(std::slice::from_ref(&self.path), None);
        let captures = [Capture::File("torn.pcapng".to_owned())];
        let context = Context::new(&self.catalog, &captures);
        let settings = Settings {
            workers,
            max_flows: DEFAULT_MAX_FLOWS,
            networks: Networks::new(Vec::new()),
            after_batch: run::no_load,
        };
        let (mut rows, mut ndjson) = (Vec::new(), Ndjson::new(FLOW));
        let outcome = run::files(
            &mut files,
            &self.catalog,
            &settings,
            &AtomicBool::new(false),
            &|_| {},
            &mut |flow| ndjson.row(&mut rows, context, flow),
        );
        assert!(outcome.stats.adds_up(), "{:?}", outcome.stats);
        Labelled {
            rows,
            endpoints: outcome.learned.endpoints(),
            errors: files.errors().to_vec(),
            stats: outcome.stats,
        }
    }
}
