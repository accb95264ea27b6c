//! What is fuzzed: ordinary functions that take bytes and panic where a promise is broken.
//!
//! cargo-fuzz calls them from `fuzz_targets/`; `tests/fuzz_smoke.rs` calls the same ones with a
//! small mutator of its own, so that every test run has some of it. [`seeds`] makes their inputs
//! out of `pcaps/` and `catalog/`.

pub mod capture;
pub mod catalog;
pub mod decode;
pub mod dissect;
pub mod input;
pub mod rows;
pub mod seeds;

/// A function that is fuzzed, and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("capture", capture::run),
    ("decode", decode::run),
    ("dissect", dissect::run),
    ("rows", rows::run),
    ("catalog", catalog::run),
];
