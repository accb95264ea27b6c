//! Packets to flows.

pub mod ended;
