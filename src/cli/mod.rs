//! The command line: every flag once, one file a command.
//!
//! Arguments come in as they were typed; each command makes of them what was meant, hands that to
//! `run.rs`, and says at the end how it went.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::escape::escape;

mod catalog;
mod colour;
mod devices;
mod label;
mod options;
mod output;
mod progress;
mod sandbox;
mod signals;
mod watch;

use colour::When;

/// Names the Windows service behind every flow of a capture, with the reason.
#[derive(Debug, Parser)]
#[command(name = "wiretag", version, max_term_width = 100, after_help = AFTER)]
struct Arguments {
    /// Colour: auto, always or never; auto heeds NO_COLOR and CLICOLOR
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    color: When,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Label(label::Arguments),
    Watch(watch::Arguments),
    Devices(devices::Arguments),
    Catalog(catalog::Arguments),
}

const AFTER: &str = "\
Exit codes: 0 all was read; 1 a capture was damaged, what was read is reported;
2 the command line or a file that it names is wrong; 3 nothing could be read or found.

Examples:
  wiretag label office.pcapng              who is talking, by service
  wiretag label --by flow office.pcapng    every flow, and why it is called so
  wiretag label captures/ -o flows.ndjson  the same for programs
  wiretag watch -i eth0                    live
  wiretag catalog port 135                 what the catalog knows of a port";

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All was read.
    Well,
    /// A capture was damaged; what was read is reported.
    Damaged,
    /// The command line, or a file that it names, is wrong.
    Usage,
    /// Nothing could be read or found.
    Nothing,
}

/// Why a command came to no end.
#[derive(Debug)]
enum Failure {
    /// What the user can mend: a line for each fault.
    Usage(String),
    /// The output was refused.
    Output(io::Error),
    /// There was nothing to read, or to find.
    Nothing(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

/// Runs the command that these arguments name, the program's name among them.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell if even this cannot be written.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    arguments.color.settle();
    let done = match arguments.command {
        Command::Label(arguments) => label::run(arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::Devices(arguments) => devices::run(arguments),
        Command::Catalog(arguments) => catalog::run(arguments),
    };
    exit_code(done)
}

fn exit_code(done: Result<Exit, Failure>) -> ExitCode {
    let exit = match done {
        Ok(exit) => exit,
        Err(Failure::Usage(what)) => {
            say(&what);
            Exit::Usage
        }
        Err(Failure::Nothing(what)) => {
            say(&what);
            Exit::Nothing
        }
        // Whoever reads has seen enough, as with `| head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Well,
        Err(Failure::Output(error)) => {
            say(&format!("the output could not be written: {error}"));
            Exit::Nothing
        }
    };
    ExitCode::from(match exit {
        Exit::Well => 0,
        Exit::Damaged => 1,
        Exit::Usage => 2,
        Exit::Nothing => 3,
    })
}

/// Says something to the user, on stderr: a line for each line.
fn say(what: &str) {
    let mut stderr = anstream::stderr().lock();
    for line in what.lines() {
        // Nobody is left to tell if even this cannot be written.
        let _ = writeln!(stderr, "wiretag: {}", escape(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
