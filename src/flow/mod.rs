//! Packets to flows.

pub mod community_id;
pub mod ended;
