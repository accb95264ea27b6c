//! BitTorrent peer protocol (BEP 3).

use crate::dissect::text::begins;
use crate::dissect::{Definition, Input, Look, probe_stream};
use crate::model::protocol::Protocol;

/// BitTorrent over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::BitTorrent,
    input: Input::Stream,
    usual_ports: &[6881],
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(match begins(bytes, b"\x13BitTorrent protocol")? {
                true => Look::ByEither,
                false => Look::Other,
            })
        })
    },
    follow: None,
};
