//! What makes two packets the same flow.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;

use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer};

/// A five-tuple without its direction: both ways of a flow have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    low: u128,
    high: u128,
    ports: (u16, u16),
    protocol: IpProtocol,
    is_v6: bool,
}

/// Into how many parts the flows are divided. A part's bounds do not depend on how many workers
/// there are, so what is given up does not either; and 64 parts keep up to 64 workers busy.
pub const PARTS: usize = 64;

impl FlowKey {
    /// The key of a packet.
    pub fn of(tuple: &FiveTuple) -> FlowKey {
        let (source, destination) = (wide(tuple.source), wide(tuple.destination));
        let (low, high) = match source <= destination {
            true => (source, destination),
            false => (destination, source),
        };
        FlowKey {
            low: low.0,
            high: high.0,
            ports: (low.1, high.1),
            protocol: tuple.protocol,
            is_v6: tuple.source.address.is_ipv6(),
        }
    }

    /// Whether a packet of this key goes from the lower peer to the higher one.
    pub fn is_up(&self, tuple: &FiveTuple) -> bool {
        (self.low, self.ports.0) == wide(tuple.source)
    }

    /// The IP protocol.
    pub fn protocol(&self) -> IpProtocol {
        self.protocol
    }

    /// The part of the flows that it belongs to: the same in every run.
    pub fn part(&self) -> usize {
        (self.hash(&FixedState::with_seed(0x7769_7265)) >> 32) as usize % PARTS
    }

    /// Its hash under `state`.
    pub fn hash(&self, state: &impl BuildHasher) -> u64 {
        let mut hasher = state.build_hasher();
        hasher.write_u128(self.low);
        hasher.write_u128(self.high);
        let ports = u64::from(self.ports.0) << 16 | u64::from(self.ports.1);
        hasher.write_u64(ports << 16 | u64::from(self.protocol.0) << 1 | u64::from(self.is_v6));
        hasher.finish()
    }
}

/// A peer as numbers: an IPv4 address in its IPv6-mapped form (RFC 4291 2.5.5.2), and the port.
fn wide(peer: Peer) -> (u128, u16) {
    let address = match peer.address {
        IpAddr::V4(v4) => 0xffff << 32 | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (address, peer.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str) -> FiveTuple {
        let peer = |text: &str| {
            let socket: std::net::SocketAddr = text.parse().expect("an address and port");
            Peer {
                address: socket.ip(),
                port: socket.port(),
            }
        };
        FiveTuple {
            source: peer(source),
            destination: peer(destination),
            protocol: IpProtocol::TCP,
        }
    }

    #[test]
    fn both_ways_of_a_flow_have_one_key_and_one_part() {
        let there = tuple("192.0.2.1:50000", "192.0.2.9:135");
        let (key, back) = (FlowKey::of(&there), FlowKey::of(&there.reversed()));
        assert_eq!(key, back);
        assert_eq!(key.part(), back.part());
    }

    #[test]
    fn an_ipv4_address_is_not_its_ipv6_mapped_form() {
        let v4 = FlowKey::of(&tuple("192.0.2.1:1", "192.0.2.9:2"));
        let v6 = FlowKey::of(&tuple("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.9]:2"));
        assert_ne!(v4, v6);
    }
}
