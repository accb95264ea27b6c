//! `wiretag label`: capture files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::options::{Knowledge, Resources, Writing};
use crate::cli::output::Output;
use crate::cli::progress::Bar;
use crate::cli::signals::stop;
use crate::cli::{Exit, Failure, say};
use crate::report::column::{Capture, Context};
use crate::report::sink::{self, By, Pace, Sink};
use crate::run;
use crate::source::files::Files;
use crate::source::filter::Filter;

/// Label the flows of capture files: who is talking, and how that is known.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Capture files, folders, or - for standard input; pcap and pcapng, also as .gz, .zst, .xz
    #[arg(value_name = "CAPTURE", required_unless_present = "read")]
    captures: Vec<String>,
    /// A capture file, as tcpdump takes it: what follows is then the capture filter
    #[arg(short, long, value_name = "FILE")]
    read: Vec<PathBuf>,
    /// A capture filter in tcpdump's language; or write it last, after --
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "last_filter")]
    filter: Option<String>,
    /// A capture filter in tcpdump's language
    #[arg(last = true, value_name = "FILTER")]
    last_filter: Vec<String>,
    /// Resolve no names: nothing ever is, the flag is there for habit's sake
    #[arg(short = 'n', hide = true)]
    _no_names: bool,
    /// Say on stderr what was read and dropped, and how fast services answered
    #[arg(long)]
    stats: bool,
    /// Show no progress bar
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    knowledge: Knowledge,
    #[command(flatten)]
    resources: Resources,
}

const AFTER: &str = "\
Examples:
  wiretag label office.pcapng
  wiretag label --by host office.pcapng dc.pcap.gz
  wiretag label --by endpoint office.pcapng -- tcp port 135
  wiretag label -r office.pcapng host 192.0.2.1
  tcpdump -w - | wiretag label --format ndjson -";

/// Labels the flows of the captures that the arguments name.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let (paths, filter) = arguments.meant()?;
    let catalog = arguments.knowledge.catalog()?;
    let settings = arguments.resources.settings(&arguments.knowledge);
    let mut files = Files::open(&paths, filter);
    let captures: Vec<_> = (files.captures().iter())
        .map(|capture| Capture::File(capture.name()))
        .collect();
    let context = Context::new(&catalog, &captures);

    let writing = &arguments.writing;
    let (output, out) = Output::open(writing.output.as_deref(), writing.readers())?;
    let stop = stop(&output);
    let format = writing.sink_format(output.width());
    // People ask first who is talking, programs for everything.
    let by = writing.by().unwrap_or(match format {
        sink::Format::Table(_) => By::Service,
        sink::Format::Ndjson | sink::Format::Csv => By::Flow,
    });
    let mut sink = Sink::new(out, by, format, Pace::Whole);
    let bar = Bar::new(!arguments.no_progress);
    let outcome = run::files(
        &mut files,
        &catalog,
        &settings,
        &stop,
        &|progress| bar.show(progress),
        &mut |flow| sink.flow(context, flow),
    );
    bar.finish();
    outcome.output?;

    let exit = match (outcome.stats.captured, files.errors().is_empty()) {
        (_, true) => Exit::Well,
        (0, false) => Exit::Nothing,
        (_, false) => Exit::Damaged,
    };
    if exit != Exit::Nothing {
        sink.finish(context, &outcome.learned)?;
        output.finish()?;
    }
    files
        .errors()
        .iter()
        .for_each(|error| say(&error.to_string()));
    files.notes().for_each(|note| say(&note.to_string()));
    if arguments.stats {
        writing.write_stats(&outcome.stats, &catalog)?;
    }
    Ok(exit)
}

impl Arguments {
    /// The captures and the filter that were meant.
    fn meant(&self) -> Result<(Vec<PathBuf>, Option<Filter>), Failure> {
        let named = self.captures.iter().map(PathBuf::from);
        let (paths, trailing): (Vec<_>, _) = match self.read.is_empty() {
            true => (named.collect(), self.last_filter.join(" ")),
            false => {
                let words = [&self.captures[..], &self.last_filter[..]].concat();
                (self.read.clone(), words.join(" "))
            }
        };
        if self.filter.is_some() && !trailing.is_empty() {
            return Err(Failure::Usage(format!(
                "two capture filters: --filter and \"{trailing}\"; leave one of them out"
            )));
        }
        let text = (self.filter.clone()).or((!trailing.is_empty()).then_some(trailing));
        let filter = text.map(|text| Filter::new(&text)).transpose();
        Ok((
            paths,
            filter.map_err(|error| Failure::Usage(error.to_string()))?,
        ))
    }
}
