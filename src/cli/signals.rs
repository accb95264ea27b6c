//! What signals do to a run: the first one asks for its end, the second one ends it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::output::Output;

/// How a shell tells of who was ended by an interrupt.
const INTERRUPTED: i32 = 128 + 2;

/// Is set by the first Ctrl-C (or TERM or HUP), which ends a run with everything reported. The second
/// one ends the program at once, and what was written of a file that is not yet in its place goes
/// away: the file is the older one or the whole new one. To be called before there are threads.
pub fn stop(output: &Output) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let (set, unplaced) = (stop.clone(), output.unplaced());
    let handler = move || {
        if set.swap(true, Ordering::Relaxed) {
            let _held = unplaced.give_up();
            std::process::exit(INTERRUPTED);
        }
    };
    keep_ignoring_hangup();
    // Where no handler can be set, Ctrl-C ends the program at once, as it does anywhere.
    let _ = ctrlc::set_handler(handler);
    stop
}

/// Has who was started with `nohup` outlive its terminal, although HUP gets a handler: it is never
/// delivered.
#[cfg(target_os = "linux")]
fn keep_ignoring_hangup() {
    use nix::sys::signal::{SigSet, Signal};

    if is_ignored(Signal::SIGHUP as u32) {
        let hangup: SigSet = [Signal::SIGHUP].into_iter().collect();
        // Should it not be blocked, a hangup ends the run with everything reported.
        let _ = hangup.thread_block();
    }
}

/// Elsewhere no system tells what is ignored, but to a call that is unsafe.
#[cfg(not(target_os = "linux"))]
fn keep_ignoring_hangup() {}

/// Whether whoever started the program had it ignore a signal (proc_pid_status(5), `SigIgn`).
#[cfg(target_os = "linux")]
fn is_ignored(signal: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
