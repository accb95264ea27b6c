//! `wiretag devices`: what can be captured, and why the rest cannot.

use std::io::{BufWriter, Write};
use std::net::IpAddr;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::{Exit, Failure};
use crate::report::escape::escape;
use crate::source::device::{DeviceError, Listed, list};
use crate::source::link::link_name;

/// Show which devices can be captured on, and why the others cannot.
#[derive(Args, Debug)]
pub struct Arguments {
    /// How to write it: text or ndjson
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Ndjson,
}

/// A device, as NDJSON has it.
#[derive(Serialize)]
struct Line<'a> {
    device: &'a str,
    description: Option<&'a str>,
    addresses: &'a [IpAddr],
    /// The link type; null where it cannot be captured.
    link: Option<String>,
    /// Why it cannot be captured; null where it can.
    error: Option<String>,
}

/// Lists the devices.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let devices = list().map_err(|error| Failure::Nothing(error.to_string()))?;
    if devices.is_empty() {
        return Err(Failure::Nothing("this machine shows no devices".to_owned()));
    }
    let mut out = BufWriter::new(anstream::stdout().lock());
    for device in &devices {
        match arguments.format {
            Format::Ndjson => {
                serde_json::to_writer(&mut out, &line(device)).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Format::Text => text(&mut out, device)?,
        }
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn line(device: &Listed) -> Line<'_> {
    Line {
        device: &device.name,
        description: device.description.as_deref(),
        addresses: &device.addresses,
        link: device.capture.as_ref().ok().map(|link| link_name(*link)),
        error: device
            .capture
            .as_ref()
            .err()
            .map(|error| reason(device, error)),
    }
}

/// Why it cannot be captured, without its name, which stands beside it.
fn reason(device: &Listed, error: &DeviceError) -> String {
    let text = error.to_string();
    let rest = text
        .strip_prefix(&device.name)
        .and_then(|rest| rest.strip_prefix(": "));
    rest.map(str::to_owned).unwrap_or(text)
}

fn text(out: &mut impl Write, device: &Listed) -> std::io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let line = line(device);
    let description = line.description.map(|text| format!("  {text}"));
    writeln!(
        out,
        "{bold}{}{bold:#}{}",
        escape(line.device),
        escape(&description.unwrap_or_default())
    )?;
    if !line.addresses.is_empty() {
        let addresses: Vec<_> = line.addresses.iter().map(IpAddr::to_string).collect();
        writeln!(out, "    {}", addresses.join(", "))?;
    }
    match (&line.link, &line.error) {
        (Some(link), _) => writeln!(out, "    can be captured, as {}", escape(link)),
        (None, error) => writeln!(out, "    {}", escape(error.as_deref().unwrap_or(""))),
    }
}
