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

/// The Community ID of a flow, the same for both directions: `1:` and a base64 SHA-1.
///
/// None for ICMP, ICMPv6 and SCTP, which cannot be hashed from addresses and ports alone.
pub fn community_id(tuple: &FiveTuple) -> Option<String> {
    if NOT_HELD.contains(&tuple.protocol) {
        return None;
    }
    let (low, high) = match tuple.source <= tuple.destination {
        true => (tuple.source, tuple.destination),
        false => (tuple.destination, tuple.source),
    };
    let mut hash = Sha1::new();
    hash.update(SEED);
    add_address(&mut hash, low.address);
    add_address(&mut hash, high.address);
    hash.update([tuple.protocol.0, 0]);
    if tuple.protocol.has_ports() {
        hash.update(low.port.to_be_bytes());
        hash.update(high.port.to_be_bytes());
    }
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    STANDARD.encode_string(hash.finalize(), &mut text);
    Some(text)
}

fn add_address(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
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
