//! `wiretag watch` and `wiretag devices`: live.

use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::cli::options::{Knowledge, Resources, Writing};
use crate::cli::{Exit, Failure};

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

/// tcpdump's default: whole packets, offloaded ones too.
const SNAP_LENGTH: NonZeroU32 = NonZeroU32::new(262_144).expect("it is not zero");

/// Holds a tenth of a second at 2.5 Gbit/s; libpcap's own default of 2 MiB drops in bursts.
const BUFFER: NonZeroU32 = NonZeroU32::new(32 * 1024).expect("it is not zero");

const AFTER: &str = "\
Ctrl-C ends the capture and reports everything.

Examples:
  wiretag watch -i eth0
  wiretag watch -i eth0 --duration 15m tcp port 135 or portrange 49152-65535
  wiretag watch -i any -c 100000 --format ndjson";

/// Show which devices can be captured on, and why the others cannot.
#[derive(Args, Debug)]
pub struct DevicesArguments {}

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

/// Labels flows live.
pub fn run(_: Arguments) -> Result<Exit, Failure> {
    Err(Failure::Usage("devices cannot be watched yet".to_owned()))
}

/// Lists the devices.
pub fn devices(_: DevicesArguments) -> Result<Exit, Failure> {
    Err(Failure::Usage("devices cannot be listed yet".to_owned()))
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
