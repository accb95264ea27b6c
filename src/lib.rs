//! wiretag: packets in, flows out, each flow named by the Windows service behind it, with the reason.

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
