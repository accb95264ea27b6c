//! Packets to flows: who belongs together, in which order, until when.

pub mod community_id;
pub mod ended;
mod index;
pub mod key;
mod open;
mod slots;
mod stopwatch;
pub mod stream;
pub mod table;
pub mod talk;
pub mod tcp;
