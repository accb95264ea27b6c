//! Community ID version 1: a hash of the five-tuple, by which rows join those of Zeek, Suricata,
//! Arkime and others (<https://github.com/corelight/community-id-spec>).

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::model::five_tuple::{FiveTuple, IpProtocol};

/// The seed that every tool uses unless told otherwise.
const SEED: [u8; 2] = [0, 0];

/// Protocols whose hash takes in what a five-tuple here does not hold: the type and code of ICMP
/// and ICMPv6, the ports of SCTP. Hashed without, they would match no other tool's.
const NOT_HELD: &[IpProtocol] = &[IpProtocol(1), IpProtocol(58), IpProtocol(132)];

/// The longest that is hashed: the seed, two IPv6 addresses, the protocol and a pad, two ports.
const LONGEST: usize = 2 + 2 * 16 + 2 + 2 * 2;

/// The Community ID of a flow, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityId([u8; 20]);

impl CommunityId {
    /// Of the flow of this five-tuple.
    ///
    /// None for ICMP, ICMPv6 and SCTP, which cannot be hashed from addresses and ports alone.
    pub fn of(tuple: &FiveTuple) -> Option<CommunityId> {
        if NOT_HELD.contains(&tuple.protocol) {
            return None;
        }
        let (low, high) = match tuple.source <= tuple.destination {
            true => (tuple.source, tuple.destination),
            false => (tuple.destination, tuple.source),
        };
        let mut hashed = Hashed::default();
        hashed.add(&SEED);
        hashed.address(low.address);
        hashed.address(high.address);
        hashed.add(&[tuple.protocol.0, 0]);
        if tuple.protocol.has_ports() {
            hashed.add(&low.port.to_be_bytes());
            hashed.add(&high.port.to_be_bytes());
        }
        let hash = Sha1::digest(&hashed.bytes[..hashed.len]);
        Some(CommunityId(hash.into()))
    }

    /// As it is written: `1:` and a base64 SHA-1.
    pub fn text(self) -> [u8; 30] {
        let mut text = *b"1:----------------------------";
        (STANDARD.encode_slice(self.0, &mut text[2..])).expect("20 bytes are 28 digits of base64");
        text
    }
}

/// What is hashed, in one piece: it fits into one block of SHA-1.
struct Hashed {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Default for Hashed {
    fn default() -> Hashed {
        Hashed {
            bytes: [0; LONGEST],
            len: 0,
        }
    }
}

impl Hashed {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.add(&v4.octets()),
            IpAddr::V6(v6) => self.add(&v6.octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::five_tuple::Peer;

    fn tuple(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> FiveTuple {
        let peer = |(address, port): (&str, u16)| Peer {
            address: address.parse().expect("an address"),
            port,
        };
        FiveTuple {
            source: peer(source),
            destination: peer(destination),
            protocol: IpProtocol(protocol),
        }
    }

    fn community_id(tuple: &FiveTuple) -> Option<String> {
        let text = CommunityId::of(tuple)?.text();
        Some(String::from_utf8(text.into()).expect("digits are text"))
    }

    /// `baseline/baseline_deflt.json` of the specification, its flows that have an ID here.
    fn baseline() -> Vec<(FiveTuple, &'static str)> {
        let mail = (
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            "2607:f8b0:400c:c03::1a",
        );
        vec![
            (
                tuple(6, (mail.0, 63943), (mail.1, 25)),
                "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            ),
            (
                tuple(6, ("128.232.110.120", 34855), ("66.35.250.204", 80)),
                "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            ),
            (
                tuple(17, ("192.168.1.52", 54585), ("8.8.8.8", 53)),
                "1:d/FP5EW3wiY1vCndhwleRRKHowQ=",
            ),
            (
                tuple(46, ("10.1.12.1", 0), ("10.1.12.2", 0)),
                "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=",
            ),
        ]
    }

    #[test]
    fn the_ids_are_those_of_the_specification() {
        for (tuple, id) in baseline() {
            assert_eq!(community_id(&tuple).as_deref(), Some(id));
        }
    }

    #[test]
    fn both_directions_have_one_id() {
        for (tuple, id) in baseline() {
            assert_eq!(community_id(&tuple.reversed()).as_deref(), Some(id));
        }
    }

    #[test]
    fn between_the_same_addresses_the_ports_decide_the_order() {
        let there = tuple(6, ("127.0.0.1", 80), ("127.0.0.1", 1234));
        assert_eq!(community_id(&there), community_id(&there.reversed()));
    }

    #[test]
    fn what_a_port_of_gre_or_esp_would_be_does_not_count() {
        for protocol in [47, 50, 51] {
            let plain = tuple(protocol, ("10.0.0.1", 0), ("10.0.0.2", 0));
            let marked = tuple(protocol, ("10.0.0.1", 7), ("10.0.0.2", 9));
            assert_eq!(community_id(&plain), community_id(&marked));
        }
    }

    #[test]
    fn icmp_has_no_id_because_its_type_is_not_known() {
        assert_eq!(
            community_id(&tuple(1, ("192.168.0.89", 0), ("192.168.0.1", 0))),
            None
        );
    }
}
