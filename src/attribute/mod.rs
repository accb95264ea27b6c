//! Evidence, catalog and endpoint map to labels.

pub mod endpoint_row;
pub mod label;
