//! Arguments in, exit code out. What happens in between begins in `cli/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wiretag::cli::run(std::env::args_os())
}
