//! Delivery Optimization between computers: Windows Update's files, from peer to peer.

use crate::dissect::text::begins;
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, filled, probe_stream};
use crate::model::protocol::Protocol;

/// Delivery Optimization.
pub const PROTOCOL: Protocol = Protocol::new(&["delivery-optimization", "Delivery Optimization"]);

/// Delivery Optimization over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[7680],
    begins: FirstBytes::of(b"\x0e"),
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(match begins(bytes, HANDSHAKE)? {
                true => Look::ByEither,
                false => Look::Other,
            })
        })
    },
    follow: None,
    says: &[],
    examples: &[Example {
        port: 7680,
        client: &filled::<75>(HANDSHAKE, 0x5a),
        server: &filled::<75>(HANDSHAKE, 0x5a),
    }],
};

/// Both sides begin like BitTorrent's, with a name of their own and its length.
const HANDSHAKE: &[u8] = b"\x0eSwarm protocol";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::{Opening, Probe};

    fn probe(forward: &[u8]) -> Probe {
        (STREAM.probe)(&Opening {
            forward,
            reverse: b"",
            ports: (50_000, 50_001),
            from_start: true,
        })
    }

    #[test]
    fn the_handshake_is_known_whole_on_any_port() {
        assert_eq!(probe(HANDSHAKE), Probe::Yes(None));
        assert_eq!(probe(&HANDSHAKE.repeat(1000)), Probe::Yes(None));
        for len in 1..HANDSHAKE.len() {
            assert_eq!(probe(&HANDSHAKE[..len]), Probe::NeedMore, "{len}");
        }
    }

    #[test]
    fn another_swarm_is_not_its() {
        assert_eq!(probe(b"\x13BitTorrent protocol"), Probe::No);
        assert_eq!(probe(b"\x0eSwarm Protocol"), Probe::No);
    }
}
