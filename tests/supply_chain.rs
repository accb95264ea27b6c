//! What the project is built of: the oldest compiler that its dependencies allow, and no `unsafe`.
//! Licences, duplicates, sources and advisories are held by `deny.toml`.

use std::process::Command;

use serde_json::Value as Json;

/// What cargo knows of the packages that are built here.
fn packages() -> Vec<Json> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8_lossy(&host.stdout).into_owned();
    let host = (host.lines().find_map(|line| line.strip_prefix("host: "))).expect("a host");
    let metadata = Command::new(cargo)
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{said}");
    let all: Json = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let used = (all["resolve"]["nodes"].as_array().expect("a list").iter())
        .map(|node| node["id"].clone())
        .collect::<Vec<_>>();
    let packages = all["packages"].as_array().expect("a list").iter();
    packages
        .filter(|one| used.contains(&one["id"]))
        .cloned()
        .collect()
}

/// `1.88` or `1.88.0` as numbers.
fn version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().expect("a number"))
        .collect()
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_is_promised() {
    let promised = env!("CARGO_PKG_RUST_VERSION");
    let packages = packages();
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages {
        if let Some(needed) = package["rust_version"].as_str() {
            let fits = version(needed)[..2] <= version(promised)[..2];
            assert!(fits, "{} needs {needed}", package["name"]);
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_in_the_program_and_in_the_fuzz_targets() {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
        let text = std::fs::read_to_string(path).expect("it is there");
        assert!(text.contains("unsafe_code = \"forbid\""), "{manifest}");
    }
}

#[test]
fn the_versions_that_were_tested_are_part_of_the_project() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(lock);
        assert!(path.is_file(), "{lock}");
    }
}
