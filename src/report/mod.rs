//! Labels out: one definition of each kind of row, one file a format.
//!
//! In come labelled flows, in their order; [`sink::Sink`] passes each to the rows that were asked
//! for. `record.rs` says what the columns of a flow are, `summary/` those of services, hosts and
//! endpoints; `ndjson.rs`, `csv.rs` and `table.rs` write them.

pub mod column;
pub mod csv;
pub mod escape;
pub mod ndjson;
pub mod plain;
pub mod record;
#[cfg(test)]
mod sample;
pub mod sink;
pub mod summary;
pub mod table;
pub mod why;
