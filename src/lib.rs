//! wiretag: packets in, flows out, each flow named by the Windows service behind it, with the
//! reason.
//!
//! A packet passes through the modules in this order, and each knows only those before it:
//!
//! 1. [`source`] reads capture files and devices: blocks of records, never copied.
//! 2. [`decode`] makes packets of records: link headers, IP, fragments, tunnels.
//! 3. [`flow`] puts packets into flows and their streams in order, and hands the payload to
//! 4. [`dissect`], which says what it proves, protocol by protocol, and judges nothing.
//! 5. [`attribute`] judges: claims, the [`catalog`] of facts, and the endpoint map become labels.
//! 6. [`report`] writes labelled flows as a table, NDJSON or CSV.
//!
//! [`model`] has the words that all of them share; [`run`] has the threads, and [`stats`] what they
//! count; [`cli`] is the command line over it all.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use wiretag::attribute::networks::Networks;
//! use wiretag::catalog::Catalog;
//! use wiretag::run::{self, Settings};
//! use wiretag::source::files::Files;
//!
//! let catalog = Catalog::built_in();
//! let settings = Settings {
//!     workers: 2,
//!     max_flows: 100_000,
//!     networks: Networks::default(),
//!     after_batch: run::no_load,
//! };
//! let mut files = Files::open(&["pcaps/rpc_mapped_ports.pcapng".into()], None);
//! let stop = AtomicBool::new(false);
//! let mut named = 0;
//! run::files(&mut files, &catalog, &settings, &stop, &|_| {}, &mut |flow| {
//!     named += u32::from(flow.label.service.is_some());
//!     Ok(())
//! });
//! assert!(files.errors().is_empty());
//! assert!(named > 0);
//! ```

pub mod attribute;
pub mod catalog;
pub mod cli;
pub mod decode;
pub mod dissect;
pub mod flow;
pub mod model;
pub mod report;
pub mod run;
pub mod source;
pub mod stats;
