//! Bytes in: capture files and devices become blocks of records. The first stop of a packet.
//!
//! In come files, folders, standard input ([`files`]) and devices ([`device`]); out come
//! [`block::Records`]: up to some thousand records whose bytes still lie where they were read.
//! Next is `decode`, which makes packets of records.
//!
//! libpcap's own reader of files is not used: it gives up on a pcapng file at the second packet
//! with another link type or snap length, and copies every packet. libpcap serves devices and
//! compiles capture filters ([`filter`]); its types do not leave this folder.

pub mod block;
pub mod device;
pub mod error;
pub mod files;
pub mod filter;
pub mod link;

mod fields;
mod file;
