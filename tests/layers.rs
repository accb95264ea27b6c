//! Imports go down only: `src/` is read, and every `use crate::` must lead to a lower layer.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of `src/`, lowest first; those of one rank do not see each other.
const RANKS: &[&[&str]] = &[
    &["model"],
    &["source", "catalog"],
    &["decode"],
    &["dissect", "stats"],
    &["flow"],
    &["attribute"],
    &["report"],
    &["run"],
    &["cli", "lib", "main"],
];

/// Crates whose types stop at one module.
const WRAPPED: &[(&str, &str)] = &[
    ("pcap", "source"),
    ("etherparse", "decode"),
    ("toml", "catalog"),
    ("clap", "cli"),
];

fn rank(module: &str) -> usize {
    (RANKS.iter().position(|modules| modules.contains(&module)))
        .unwrap_or_else(|| panic!("{module} has no rank: add it to the list, where it belongs"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every source file: the module that it belongs to, its path, and its lines without comments.
fn files() -> Vec<(String, PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 20, "src has more files than {}", found.len());
    (found.into_iter())
        .map(|path| {
            let inside = path
                .strip_prefix(&root)
                .expect("it was found below the root");
            let first = inside.components().next().expect("a file has a name");
            let module = first.as_os_str().to_string_lossy().replace(".rs", "");
            let text = fs::read_to_string(&path).expect("a source file is text");
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let lines = code.map(str::to_owned).collect();
            (module, path, lines)
        })
        .collect()
}

/// The name after each `prefix` in a line: `crate::` gives the modules that it names.
fn named<'l>(line: &'l str, prefix: &str) -> Vec<&'l str> {
    (line.split(prefix).skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn a_module_uses_lower_layers_only() {
    let mut faults = Vec::new();
    for (module, path, lines) in files() {
        for line in &lines {
            for used in named(line, "crate::")
                .into_iter()
                .filter(|used| !used.is_empty())
            {
                let is_own = used == module || module == "lib";
                if !is_own && rank(used) >= rank(&module) {
                    faults.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "imports that go up:\n{}",
        faults.join("\n")
    );
}

#[test]
fn a_wrapped_crate_is_named_in_its_own_module_only() {
    let mut faults = Vec::new();
    for (module, path, lines) in files() {
        for (wrapped, home) in WRAPPED.iter().filter(|(_, home)| *home != module) {
            for line in &lines {
                let used = line.trim_start().starts_with(&format!("use {wrapped}::"))
                    || line.contains(&format!(" {wrapped}::"));
                let local = line.contains("crate::") || line.contains("self::");
                if used && !local {
                    let place = format!("{}: {}", path.display(), line.trim());
                    faults.push(format!("{place} ({wrapped} belongs to {home})"));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "foreign types that leak:\n{}",
        faults.join("\n")
    );
}

#[test]
fn only_run_reads_the_clock_and_spawns_threads() {
    let mut faults = Vec::new();
    for (module, path, lines) in files() {
        let is_cli = ["run", "cli", "main"].contains(&module.as_str());
        for line in lines.iter().filter(|_| !is_cli) {
            let asks = [
                "Instant::now",
                "SystemTime::now",
                "thread::spawn",
                "thread::scope",
            ];
            if asks.iter().any(|ask| line.contains(ask)) {
                faults.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "clocks or threads outside run:\n{}",
        faults.join("\n")
    );
}
