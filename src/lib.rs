//! wiretag: packets in, flows out, each flow named by the Windows service behind it, with the reason.

pub mod dissect;
pub mod flow;
pub mod model;
pub mod source;
