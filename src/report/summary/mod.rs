//! Rows that stand for many flows. Flows are added one by one and let go; what is kept is bounded
//! by what there is to tell apart, not by their number.

pub mod endpoint;
pub mod host;
pub mod service;
