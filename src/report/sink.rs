//! Where labelled flows go: one sink for every format and every way to sum flows up.

use std::io::{self, Write};

use crate::attribute::collector::Collector;
use crate::attribute::label::LabelledFlow;
use crate::report::column::{Column, Context};
use crate::report::csv;
use crate::report::ndjson::Ndjson;
use crate::report::record::FLOW;
use crate::report::summary::endpoint::ENDPOINT;
use crate::report::summary::host::{ByHost, HOST};
use crate::report::summary::service::{ByService, SERVICE};
use crate::report::table::{self, FlowCells};

pub use crate::report::table::Width;

/// Flows in one table. A column is as wide as the widest cell of its table, so a table has to be
/// held until it is full; the next one begins with the names of the columns again.
const PAGE: usize = 1000;

/// What a row stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// A service.
    #[default]
    Service,
    /// A flow.
    Flow,
    /// A host.
    Host,
    /// An endpoint that was negotiated.
    Endpoint,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, no wider than this.
    Table(Width),
    /// For programs: one JSON object a line.
    Ndjson,
    /// For spreadsheets.
    Csv,
}

/// When rows by flow are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As it suits the format.
    Whole,
    /// Each as its flow ends, and flushed.
    Live,
}

/// Takes labelled flows in, in their order, and writes rows.
pub struct Sink {
    out: Box<dyn Write + Send>,
    format: Format,
    pace: Pace,
    rows: Rows,
}

enum Rows {
    Flows(Flows),
    Services(ByService),
    Hosts(ByHost),
    Endpoints,
}

struct Flows {
    ndjson: Ndjson<LabelledFlow>,
    page: Vec<FlowCells>,
    begun: bool,
}

impl Sink {
    /// A sink that writes to `out`, which should be buffered.
    pub fn new(out: Box<dyn Write + Send>, by: By, format: Format, pace: Pace) -> Sink {
        let rows = match by {
            By::Flow => Rows::Flows(Flows::default()),
            By::Service => Rows::Services(ByService::default()),
            By::Host => Rows::Hosts(ByHost::default()),
            By::Endpoint => Rows::Endpoints,
        };
        Sink {
            out,
            format,
            pace,
            rows,
        }
    }

    /// Takes the next flow.
    ///
    /// # Errors
    ///
    /// What the output says; of the kind `BrokenPipe` once its reader has gone.
    pub fn flow(&mut self, context: Context, flow: &LabelledFlow) -> io::Result<()> {
        match &mut self.rows {
            Rows::Flows(rows) => rows.add(&mut self.out, self.format, self.pace, context, flow),
            Rows::Services(rows) => {
                rows.add(flow);
                Ok(())
            }
            Rows::Hosts(rows) => {
                rows.add(flow);
                Ok(())
            }
            Rows::Endpoints => Ok(()),
        }
    }

    /// Writes what only the end can tell, by what was learned, and flushes.
    ///
    /// # Errors
    ///
    /// As for [`Sink::flow`].
    pub fn finish(mut self, context: Context, learned: &Collector) -> io::Result<()> {
        let (out, format) = (&mut self.out, self.format);
        match self.rows {
            Rows::Flows(mut rows) => rows.finish(out, format, context),
            Rows::Services(by) => all(out, format, context, SERVICE, &by.rows(), table::services),
            Rows::Hosts(by) => {
                let rows = by.rows(&learned.hosts());
                all(out, format, context, HOST, &rows, table::hosts)
            }
            Rows::Endpoints => {
                let rows = learned.endpoints();
                all(out, format, context, ENDPOINT, &rows, table::endpoints)
            }
        }?;
        self.out.flush()
    }
}

impl Default for Flows {
    fn default() -> Flows {
        Flows {
            ndjson: Ndjson::new(FLOW),
            page: Vec::new(),
            begun: false,
        }
    }
}

impl Flows {
    fn add(
        &mut self,
        out: &mut impl Write,
        format: Format,
        pace: Pace,
        context: Context,
        flow: &LabelledFlow,
    ) -> io::Result<()> {
        let context = context.within(flow.flow.first_frame.capture);
        match (format, pace) {
            (Format::Ndjson, _) => self.ndjson.row(out, context, flow)?,
            (Format::Csv, _) => {
                self.begin(out)?;
                csv::row(out, context, FLOW, flow)?;
            }
            (Format::Table(_), Pace::Live) => {
                if !std::mem::replace(&mut self.begun, true) {
                    writeln!(out, "{}", table::line_heads())?;
                }
                writeln!(out, "{}", FlowCells::new(context, flow).line())?;
            }
            (Format::Table(width), Pace::Whole) => {
                self.page.push(FlowCells::new(context, flow));
                if self.page.len() == PAGE {
                    self.turn(out, width)?;
                }
            }
        }
        match pace {
            Pace::Live => out.flush(),
            Pace::Whole => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut impl Write, format: Format, _: Context) -> io::Result<()> {
        match format {
            Format::Csv => self.begin(out),
            Format::Table(width) if !self.page.is_empty() => self.turn(out, width),
            Format::Ndjson | Format::Table(_) => Ok(()),
        }
    }

    /// Writes the names of the columns, once.
    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        match std::mem::replace(&mut self.begun, true) {
            true => Ok(()),
            false => csv::header(out, FLOW),
        }
    }

    fn turn(&mut self, out: &mut impl Write, width: Width) -> io::Result<()> {
        let page = std::mem::take(&mut self.page);
        out.write_all(table::flows(width, &page).as_bytes())
    }
}

fn all<R>(
    out: &mut impl Write,
    format: Format,
    context: Context,
    columns: &'static [Column<R>],
    rows: &[R],
    table: fn(Context, Width, &[R]) -> String,
) -> io::Result<()> {
    match format {
        Format::Ndjson => {
            let mut ndjson = Ndjson::new(columns);
            (rows.iter()).try_for_each(|row| ndjson.row(out, context, row))
        }
        Format::Csv => {
            csv::header(out, columns)?;
            (rows.iter()).try_for_each(|row| csv::row(out, context, columns, row))
        }
        Format::Table(_) if rows.is_empty() => out.write_all(b"nothing to show\n"),
        Format::Table(width) => out.write_all(table(context, width, rows).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::attribute::collector::Hold;
    use crate::attribute::networks::Networks;
    use crate::report::sample::{captures, catalog, unknown};

    /// An output that hands on what is flushed to it.
    struct Lent {
        written: Vec<u8>,
        flushed: Sender<Vec<u8>>,
    }

    impl Write for Lent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            let all = std::mem::take(&mut self.written);
            self.flushed
                .send(all)
                .map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
    }

    /// What is flushed by each flow, and at the end.
    fn flushed(by: By, format: Format, pace: Pace, flows: u8) -> Vec<String> {
        let (catalog, captures) = (catalog(), captures());
        let context = Context::new(&catalog, &captures);
        let (send, receive) = channel();
        let lent = Lent {
            written: Vec::new(),
            flushed: send,
        };
        let mut sink = Sink::new(Box::new(lent), by, format, pace);
        for client in 2..2 + flows {
            sink.flow(context, &unknown(client, 445))
                .expect("it takes all");
        }
        let networks = Networks::new(Vec::new());
        let learned = Collector::new(&catalog, &networks, Hold::Never);
        sink.finish(context, &learned).expect("it takes all");
        receive
            .iter()
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect()
    }

    #[test]
    fn every_format_writes_every_kind_of_row() {
        for by in [By::Service, By::Flow, By::Host] {
            for format in [Format::Table(Some(80)), Format::Ndjson, Format::Csv] {
                let text = flushed(by, format, Pace::Whole, 2).concat();
                assert!(text.lines().count() >= 1, "{by:?} {format:?}");
            }
        }
    }

    #[test]
    fn without_a_flow_csv_still_has_its_header_and_ndjson_nothing() {
        for by in [By::Service, By::Flow, By::Host, By::Endpoint] {
            assert_eq!(
                flushed(by, Format::Csv, Pace::Whole, 0)
                    .concat()
                    .lines()
                    .count(),
                1
            );
            assert_eq!(flushed(by, Format::Ndjson, Pace::Whole, 0).concat(), "");
        }
    }

    #[test]
    fn live_each_flow_is_flushed_as_it_ends() {
        for format in [Format::Table(None), Format::Ndjson, Format::Csv] {
            let parts = flushed(By::Flow, format, Pace::Live, 3);
            assert_eq!(parts.len(), 3 + 1, "{format:?}");
            assert!(
                parts[..3].iter().all(|part| part.ends_with('\n')),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_table_of_flows_goes_out_page_by_page() {
        let (catalog, captures) = (catalog(), captures());
        let context = Context::new(&catalog, &captures);
        let mut flows = Flows::default();
        let mut out = Vec::new();
        let flow = unknown(2, 445);
        for _ in 0..PAGE + 1 {
            let format = Format::Table(Some(120));
            (flows.add(&mut out, format, Pace::Whole, context, &flow)).expect("it takes all");
        }
        assert_eq!(flows.page.len(), 1);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), PAGE + 1);
    }

    #[test]
    fn a_reader_that_has_gone_is_an_error_of_that_kind() {
        let (catalog, captures) = (catalog(), captures());
        let (send, receive) = channel();
        drop(receive);
        let lent = Lent {
            written: Vec::new(),
            flushed: send,
        };
        let mut sink = Sink::new(Box::new(lent), By::Flow, Format::Ndjson, Pace::Live);
        let error = sink.flow(Context::new(&catalog, &captures), &unknown(2, 445));
        assert_eq!(
            error.map_err(|error| error.kind()),
            Err(io::ErrorKind::BrokenPipe)
        );
    }
}
