//! Arguments in, exit code out. What happens in between begins in `cli/`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Flows are made by one thread and let go by another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    wiretag::cli::run(std::env::args_os())
}
