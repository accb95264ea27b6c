//! What the tests that set the program against others share: the captures outside the project, and
//! flows by their five-tuples. `WIRETAG_SHARED` names the folder that holds the captures under
//! `captures/`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value as Json;

/// Captures read at a time.
const THREADS: usize = 2;

/// Either side of a flow, the lower first.
pub type Pair = (String, (IpAddr, u16), (IpAddr, u16));

/// What tshark says of a capture with these options: of each packet these fields, in columns.
pub fn tshark(capture: &Path, options: &[&str], fields: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "occurrence=a"]);
    command.args(options);
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.arg("-r").arg(capture).output();
    let said = output.expect("tshark is on the PATH").stdout;
    String::from_utf8_lossy(&said).into_owned()
}

/// The same, packet by packet: gives `packet` the columns of each.
pub fn packets<const N: usize>(
    capture: &Path,
    options: &[&str],
    fields: &[&str],
    mut packet: impl FnMut([&str; N]),
) {
    for line in tshark(capture, options, fields).lines() {
        let columns: Vec<_> = line.split('\t').collect();
        if let Ok(columns) = columns.try_into() {
            packet(columns);
        }
    }
}

/// The values of one of tshark's columns.
pub fn all(column: &str) -> impl Iterator<Item = &str> {
    column.split(',').filter(|value| !value.is_empty())
}

/// The last value: of several headers, the innermost one's.
pub fn innermost<T: FromStr>(column: &str) -> Option<T> {
    all(column).last()?.parse().ok()
}

/// The pair of these sides.
pub fn pair(protocol: &str, one: (IpAddr, u16), other: (IpAddr, u16)) -> Pair {
    (protocol.to_owned(), one.min(other), one.max(other))
}

/// The side of a row that is called so; none where the protocol has no ports.
pub fn side(row: &Json, which: &str) -> Option<(IpAddr, u16)> {
    let port = row[format!("{which}_port")].as_u64()?;
    let address = row[which].as_str()?.parse().ok()?;
    Some((address, u16::try_from(port).ok()?))
}

/// The pair of a row; none where the protocol has no ports.
pub fn pair_of(row: &Json) -> Option<Pair> {
    let protocol = row["protocol"].as_str()?;
    Some(pair(protocol, side(row, "client")?, side(row, "server")?))
}

/// The captures below the folder that the environment names, and the project's own.
pub fn captures() -> Vec<PathBuf> {
    let shared = std::env::var_os("WIRETAG_SHARED").expect("WIRETAG_SHARED is set");
    let mut found = Vec::new();
    let folder = fs::canonicalize(shared)
        .expect("it is there")
        .join("captures");
    for project in fs::read_dir(folder).expect("captures can be read") {
        let project = project.expect("captures can be read").path();
        if !project.is_dir() {
            continue;
        }
        let files = fs::read_dir(project).expect("captures can be read");
        found.extend(files.map(|file| file.expect("captures can be read").path()));
    }
    found.retain(|path| path.is_file() && path.extension().is_none_or(|ending| ending != "md"));
    found.sort();
    assert!(found.len() > 100, "only {} captures", found.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    found.extend(super::pcaps().iter().map(|pcap| root.join(pcap)));
    found
}

/// What `work` makes of each capture, in their order.
pub fn of_each<T: Send>(captures: &[PathBuf], work: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = captures.get(place) else {
                return done;
            };
            done.push((place, work(path)));
        }
    };
    let mut all: Vec<(usize, T)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
        let join = |thread: thread::ScopedJoinHandle<Vec<_>>| thread.join().expect("read");
        threads.into_iter().flat_map(join).collect()
    });
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, made)| made).collect()
}
