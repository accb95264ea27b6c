//! What makes two packets the same flow.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;

use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer};

/// A five-tuple without its direction: both ways of a flow have the same key. The lower peer goes
/// first, as its address and then its port are lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// Addresses in two halves each: a `u128` would be kept at a multiple of sixteen bytes.
    low: [u64; 2],
    high: [u64; 2],
    ports: (u16, u16),
    protocol: IpProtocol,
    is_v6: bool,
}

/// Which way a packet goes, told by the peers of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the lower peer to the higher one.
    Up,
    /// From the higher peer to the lower one.
    Down,
}

/// Into how many parts the flows are divided. A part's bounds do not depend on how many workers
/// there are, so what is given up does not either; and 64 parts keep up to 64 workers busy.
pub const PARTS: usize = 64;

impl FlowKey {
    /// The key of a packet, and which way the packet goes.
    pub fn of(tuple: &FiveTuple) -> (FlowKey, Way) {
        let (source, destination) = (wide(tuple.source), wide(tuple.destination));
        let (low, high, way) = match source <= destination {
            true => (source, destination, Way::Up),
            false => (destination, source, Way::Down),
        };
        let key = FlowKey {
            low: low.0,
            high: high.0,
            ports: (low.1, high.1),
            protocol: tuple.protocol,
            is_v6: tuple.source.address.is_ipv6(),
        };
        (key, way)
    }

    /// The five-tuple of a packet that goes this way.
    pub fn tuple(&self, way: Way) -> FiveTuple {
        let peer = |address: [u64; 2], port| Peer {
            address: narrow(address, self.is_v6),
            port,
        };
        let up = FiveTuple {
            source: peer(self.low, self.ports.0),
            destination: peer(self.high, self.ports.1),
            protocol: self.protocol,
        };
        match way {
            Way::Up => up,
            Way::Down => up.reversed(),
        }
    }

    /// The IP protocol.
    pub fn protocol(&self) -> IpProtocol {
        self.protocol
    }
}

/// Where the packets of a flow go, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part of the flows: below [`PARTS`].
    pub part: u8,
    /// By what the flow is found among those of its part.
    pub tag: u32,
}

/// Tells where packets go. Its tags are other ones in each run, and nobody can make many flows of
/// one tag.
#[derive(Clone, Default)]
pub struct Places(RandomState);

impl Places {
    /// Where a packet goes.
    pub fn of(&self, tuple: &FiveTuple) -> Place {
        Place {
            part: part(tuple) as u8,
            tag: self.tag(&FlowKey::of(tuple).0),
        }
    }

    /// The tag of a flow.
    pub fn tag(&self, key: &FlowKey) -> u32 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u128(joined(key.low));
        hasher.write_u128(joined(key.high));
        let ports = u64::from(key.ports.0) << 16 | u64::from(key.ports.1);
        hasher.write_u64(ports << 16 | u64::from(key.protocol.0) << 1 | u64::from(key.is_v6));
        hasher.finish() as u32
    }
}

/// The part of the flows that a packet belongs to: the same in every run and both ways. Who means
/// to can fill one part, and reaches that part's bounds; within it, tags are keyed.
fn part(tuple: &FiveTuple) -> usize {
    let side = |peer: Peer| {
        let ([upper, lower], port) = wide(peer);
        mixed(upper ^ lower.rotate_left(16) ^ u64::from(port))
    };
    let both = side(tuple.source).wrapping_add(side(tuple.destination));
    mixed(both ^ u64::from(tuple.protocol.0)) as usize % PARTS
}

/// Each bit of the result depends on all bits that are given.
fn mixed(bits: u64) -> u64 {
    // The fraction of the golden ratio: odd, and without a pattern.
    let product = u128::from(bits) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

/// A peer as numbers: an IPv4 address in its IPv6-mapped form (RFC 4291 2.5.5.2), and the port.
fn wide(peer: Peer) -> ([u64; 2], u16) {
    let halves = match peer.address {
        IpAddr::V4(v4) => [0, 0xffff << 32 | u64::from(v4.to_bits())],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    };
    (halves, peer.port)
}

fn narrow(halves: [u64; 2], is_v6: bool) -> IpAddr {
    match is_v6 {
        true => Ipv6Addr::from_bits(joined(halves)).into(),
        false => Ipv4Addr::from_bits(halves[1] as u32).into(),
    }
}

fn joined(halves: [u64; 2]) -> u128 {
    u128::from(halves[0]) << 64 | u128::from(halves[1])
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
        let ((key, up), (back, down)) = (FlowKey::of(&there), FlowKey::of(&there.reversed()));
        assert_eq!((key, up, down), (back, Way::Up, Way::Down));
        assert_eq!(part(&there), part(&there.reversed()));
    }

    #[test]
    fn a_key_and_a_way_tell_the_five_tuple() {
        for there in [
            tuple("192.0.2.1:50000", "192.0.2.9:135"),
            tuple("[2001:db8::9]:135", "[2001:db8::1]:50000"),
            tuple("192.0.2.1:7", "192.0.2.1:7"),
        ] {
            let (key, way) = FlowKey::of(&there);
            assert_eq!(key.tuple(way), there);
        }
    }

    #[test]
    fn an_ipv4_address_is_not_its_ipv6_mapped_form() {
        let v4 = FlowKey::of(&tuple("192.0.2.1:1", "192.0.2.9:2"));
        let v6 = FlowKey::of(&tuple("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.9]:2"));
        assert_ne!(v4, v6);
    }

    #[test]
    fn the_flows_of_a_network_are_spread_over_all_parts() {
        let mut flows = [0; PARTS];
        for client in 0..64 * PARTS {
            let source = format!("10.0.{}.{}:{}", client / 200, client % 200, 49152 + client);
            flows[part(&tuple(&source, "10.0.0.1:445"))] += 1;
        }
        let spread = (flows.iter().min(), flows.iter().max());
        assert!(spread.0 > Some(&32) && spread.1 < Some(&128), "{spread:?}");
    }
}
