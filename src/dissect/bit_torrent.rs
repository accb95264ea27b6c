//! BitTorrent peer protocol (BEP 3).

use crate::dissect::text::begins;
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, probe_stream};
use crate::model::protocol::Protocol;

/// BitTorrent peer protocol (BEP 3).
pub const PROTOCOL: Protocol = Protocol::new(&["bittorrent", "BitTorrent"]);

/// BitTorrent over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[6881],
    begins: FirstBytes::of(b"\x13"),
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(match begins(bytes, b"\x13BitTorrent protocol")? {
                true => Look::ByEither,
                false => Look::Other,
            })
        })
    },
    follow: None,
    says: &[],
    examples: &[Example {
        port: 6881,
        client: b"\x13BitTorrent protocol",
        server: b"",
    }],
};
