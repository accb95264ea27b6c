//! The words that all of wiretag shares: plain values, no input or output, no verdicts.

pub mod evidence;
pub mod five_tuple;
pub mod netbios;
pub mod packet;
pub mod protocol;
pub mod tcp_options;
pub mod time;
pub mod uuid;
