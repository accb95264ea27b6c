//! `wiretag watch`: live.

use std::io::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::cli::options::{Knowledge, Resources, Writing};
use crate::cli::output::{Output, Readers};
use crate::cli::signals::stop;
use crate::cli::{Exit, Failure, sandbox, say};
use crate::model::packet::CaptureId;
use crate::report::column::{Capture, Context};
use crate::report::sink::{By, Format, Pace, Sink};
use crate::run::live::{self, Limits};
use crate::source::device::{Device, DeviceError, DeviceOptions};
use crate::source::link::link_name;

/// Label flows live, as they end, and show who is talking at the end.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A capture filter in tcpdump's language
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    /// A device to capture on, or any; may be given several times. See wiretag devices
    #[arg(short = 'i', long = "device", value_name = "DEVICE", required = true)]
    devices: Vec<String>,
    /// Stop after so many packets
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// Stop after so long: 90, 90s, 15m, 2h
    #[arg(long, value_name = "TIME")]
    duration: Option<Span>,
    /// Bytes captured of each packet
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = SNAP_LENGTH)]
    snap_length: NonZeroU32,
    /// Size of the kernel's buffer for each device, in KiB
    #[arg(short = 'B', long, value_name = "KIB", default_value_t = BUFFER)]
    buffer: NonZeroU32,
    /// Do not put the devices into promiscuous mode
    #[arg(short = 'p', long)]
    no_promiscuous: bool,
    /// Have packets delivered one by one as they arrive: sooner, at a higher cost
    #[arg(long)]
    immediate: bool,
    /// Become this user once the devices and outputs are open, where it was started by root [default:
    /// nobody]
    #[arg(long, value_name = "USER", conflicts_with = "no_sandbox")]
    user: Option<String>,
    /// Keep all privileges: for systems where giving them up fails
    #[arg(long)]
    no_sandbox: bool,
    /// Resolve no names: nothing ever is, the flag is there for habit's sake
    #[arg(short = 'n', hide = true)]
    _no_names: bool,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    knowledge: Knowledge,
    #[command(flatten)]
    resources: Resources,
}

/// Whole packets, offloaded ones too, as tcpdump captures them.
const SNAP_LENGTH: NonZeroU32 =
    NonZeroU32::new(DeviceOptions::MAX_SNAP_LENGTH).expect("it is not zero");

/// KiB: 10 ms at 10 Gbit/s. libpcap's own default of 2 MiB drops in bursts.
const BUFFER: NonZeroU32 = NonZeroU32::new(16 * 1024).expect("it is not zero");

/// Bytes.
const KIB: u32 = 1024;

const AFTER: &str = "\
Ctrl-C ends the capture and reports everything.

Examples:
  wiretag watch -i eth0
  wiretag watch -i eth0 --duration 15m tcp port 135 or portrange 49152-65535
  wiretag watch -i any -c 100000 --format ndjson";

/// A span of time, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match &text[digits.len()..] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(NOT_A_SPAN.to_owned()),
        };
        let number: u64 = digits.parse().map_err(|_| NOT_A_SPAN)?;
        match number.checked_mul(unit) {
            Some(seconds) if seconds > 0 => Ok(Span(Duration::from_secs(seconds))),
            _ => Err(NOT_A_SPAN.to_owned()),
        }
    }
}

const NOT_A_SPAN: &str = "not a span of time; one looks like 90, 90s, 15m or 2h";

/// Labels the flows of the devices that the arguments name, until it is told to stop.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let catalog = arguments.knowledge.catalog()?;
    let settings = arguments.resources.settings(&arguments.knowledge);
    let devices = arguments.open()?;
    let captures: Vec<_> = (arguments.devices.iter())
        .map(|name| Capture::Device(name.clone()))
        .collect();
    let context = Context::new(&catalog, &captures);
    let limits = Limits {
        packets: arguments.count.map(NonZeroU64::get),
        duration: arguments.duration.map(|span| span.0),
    };

    let writing = &arguments.writing;
    let (output, mut sinks) = sinks(writing)?;
    // Rows of hours are looked at as they come, and later there may be no right to.
    output.place_now()?;
    // Before there are threads, of which the signals' is the first.
    let lack = arguments.give_up_privileges()?;

    // Before anybody is told that Ctrl-C ends it.
    let stop = stop(&output);
    for device in &devices {
        let link = link_name(device.link());
        say(&format!(
            "capturing on {} ({link}); Ctrl-C ends",
            device.name()
        ));
    }
    if let Some(lack) = lack {
        say(&format!("not all privileges could be given up: {lack}"));
    }
    let (outcome, failures) =
        live::devices(devices, limits, &catalog, &settings, &stop, &mut |flow| {
            sinks
                .iter_mut()
                .try_for_each(|sink| sink.flow(context, flow))
        });
    let written = outcome.output.and_then(|()| {
        (sinks.into_iter()).try_for_each(|sink| sink.finish(context, &outcome.learned))
    });
    // Whatever became of the rows, what was captured and dropped is told.
    failures.iter().for_each(|error| say(&error.to_string()));
    writing.write_stats(&outcome.stats, &catalog)?;
    written?;
    output.finish()?;
    match failures.is_empty() {
        true => Ok(Exit::Well),
        false => Ok(Exit::Damaged),
    }
}

impl Arguments {
    /// Gives up what is no longer needed, and says what could not be.
    fn give_up_privileges(&self) -> Result<Option<String>, Failure> {
        match self.no_sandbox {
            true => Ok(None),
            false => sandbox::enter(self.user.as_deref()).map_err(|error| {
                Failure::Nothing(format!("{error}; or capture as you are, with --no-sandbox"))
            }),
        }
    }

    fn open(&self) -> Result<Vec<Device>, Failure> {
        let filter = (!self.filter.is_empty()).then(|| self.filter.join(" "));
        let options = DeviceOptions {
            snap_length: self.snap_length.get(),
            buffer_bytes: self.buffer.get().saturating_mul(KIB),
            promiscuous: !self.no_promiscuous,
            immediate: self.immediate,
            filter,
        };
        let open = |(number, name): (u32, &String)| {
            Device::open(name, &options, CaptureId(number)).map_err(|error| match error {
                DeviceError::Filter { .. } => Failure::Usage(error.to_string()),
                _ => Failure::Nothing(error.to_string()),
            })
        };
        (0..).zip(&self.devices).map(open).collect()
    }
}

/// The output, and what writes to it: a line a flow as flows end and services at the end, or only
/// what was asked for.
fn sinks(writing: &Writing) -> Result<(Output, Vec<Sink>), Failure> {
    let (output, out) = Output::open(writing.output.as_deref(), writing.readers())?;
    let format = writing.sink_format(output.width());
    if let Some(by) = writing.by().filter(|by| *by != By::Flow) {
        return Ok((output, vec![Sink::new(out, by, format, Pace::Whole)]));
    }
    let lines = Sink::new(out, By::Flow, format, Pace::Live);
    // A table among rows for a program would break them.
    let is_free = matches!(format, Format::Table(_)) || !writing.is_to_stdout();
    let (width, at_end): (_, Box<dyn Write + Send>) = match is_free {
        true => {
            let (output, out) = Output::standard(Readers::People);
            (output.width(), out)
        }
        false => (None, Box::new(anstream::stderr())),
    };
    let services = Sink::new(at_end, By::Service, Format::Table(width), Pace::Whole);
    Ok((output, vec![lines, services]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_may_be_in_seconds_minutes_and_hours() {
        let cases = [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)];
        for (text, seconds) in cases {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))));
        }
    }

    #[test]
    fn what_is_no_span_of_time_is_refused() {
        for text in [
            "",
            "0",
            "s",
            "-1",
            "1d",
            "1 h",
            "1é",
            "99999999999999999999",
            "9999999999999999h",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
