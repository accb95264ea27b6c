//! Evidence, catalog and endpoint map to labels.

pub mod label;
