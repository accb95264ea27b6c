//! Flags that several commands share, each defined once.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use crate::attribute::networks::Networks;
use crate::catalog::Catalog;
use crate::cli::Failure;
use crate::cli::output::{Readers, is_stdout};
use crate::report::sink::{self, By};
use crate::run::{DEFAULT_MAX_FLOWS, Settings, no_load};
use crate::stats::Stats;

/// What flows are judged by.
#[derive(Args, Debug)]
#[command(next_help_heading = "Knowledge")]
pub struct Knowledge {
    /// Add a catalog file; its entries replace those of the same name. May be given several times
    #[arg(long, value_name = "FILE")]
    pub catalog: Vec<PathBuf>,
    /// A network where a port alone names a service. May be given several times [default:
    /// private, link-local and loopback addresses]
    #[arg(long, value_name = "CIDR")]
    internal: Vec<IpNet>,
}

impl Knowledge {
    /// The catalog, with the files that were added.
    pub fn catalog(&self) -> Result<Catalog, Failure> {
        load(&self.catalog)
    }
}

/// The built-in catalog with these files added.
pub fn load(files: &[PathBuf]) -> Result<Catalog, Failure> {
    let words = crate::dissect::vocabulary();
    Catalog::load(files, Some(&words)).map_err(|faults| Failure::Usage(faults.to_string()))
}

/// How much work goes on at once.
#[derive(Args, Debug)]
#[command(next_help_heading = "Resources")]
pub struct Resources {
    /// Threads that follow flows [default: one for each processor]. The output is the same with
    /// any number
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Flows followed at a time; beyond, the one longest silent is given up and counted
    #[arg(long, value_name = "N", default_value_t = default_flows())]
    max_flows: NonZeroUsize,
}

fn default_flows() -> NonZeroUsize {
    NonZeroUsize::new(DEFAULT_MAX_FLOWS).expect("it is not zero")
}

impl Resources {
    /// The settings of a run.
    pub fn settings(&self, knowledge: &Knowledge) -> Settings {
        let workers = self
            .workers
            .or_else(|| thread::available_parallelism().ok());
        Settings {
            workers: workers.map_or(1, NonZeroUsize::get),
            max_flows: self.max_flows.get(),
            networks: Networks::new(knowledge.internal.clone()),
            after_batch: no_load,
        }
    }
}

/// What is written, how and where.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct Writing {
    /// What a row stands for
    #[arg(long, value_name = "ROW")]
    by: Option<Rows>,
    /// How rows are written [default: by the name of -o, else table]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write to FILE: it is there whole, or not at all
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What a row stands for, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// Who is talking
    Service,
    /// Each flow with its reason
    Flow,
    /// What each host offers and uses
    Host,
    /// What listens where, as learned on the wire
    Endpoint,
}

/// How rows are written, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON object a line
    Ndjson,
    /// With a header, for spreadsheets
    Csv,
}

impl Writing {
    /// How rows are written: as was said, else as the output's name ends.
    pub fn format(&self) -> Format {
        self.format
            .unwrap_or_else(|| named_format(self.output.as_deref()))
    }

    /// What a row stands for, if it was said.
    pub fn by(&self) -> Option<By> {
        self.by.map(|rows| match rows {
            Rows::Service => By::Service,
            Rows::Flow => By::Flow,
            Rows::Host => By::Host,
            Rows::Endpoint => By::Endpoint,
        })
    }

    /// Whether the rows go to standard output.
    pub fn is_to_stdout(&self) -> bool {
        self.output.as_deref().is_none_or(is_stdout)
    }

    /// Who reads rows of this format.
    pub fn readers(&self) -> Readers {
        match self.format() {
            Format::Table => Readers::People,
            Format::Ndjson | Format::Csv => Readers::Programs,
        }
    }

    /// The format as the sink takes it, for an output of this width.
    pub fn sink_format(&self, width: sink::Width) -> sink::Format {
        match self.format() {
            Format::Table => sink::Format::Table(width),
            Format::Ndjson => sink::Format::Ndjson,
            Format::Csv => sink::Format::Csv,
        }
    }

    /// Writes what was read and dropped to stderr, in the way of the rows.
    pub fn write_stats(&self, stats: &Stats, catalog: &Catalog) -> io::Result<()> {
        let mut stderr = anstream::stderr().lock();
        match self.format() {
            Format::Ndjson => stats.write_json(&mut stderr, catalog),
            Format::Table | Format::Csv => stats.write_text(&mut stderr, catalog),
        }?;
        stderr.flush()
    }
}

fn named_format(output: Option<&Path>) -> Format {
    let ending = output.and_then(Path::extension).and_then(OsStr::to_str);
    match ending {
        Some("ndjson" | "jsonl" | "json") => Format::Ndjson,
        Some("csv") => Format::Csv,
        _ => Format::Table,
    }
}
