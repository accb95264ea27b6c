//! Evidence, catalog and endpoint map to labels.

pub mod appointments;
pub mod collector;
pub mod endpoint_row;
pub mod endpoints;
pub mod hosts;
pub mod instances;
pub mod label;
pub mod ladder;
pub mod netbios;
pub mod networks;
pub mod pipes;
#[cfg(test)]
mod samples;
pub mod server;
mod signs;
mod waiting;
