//! The short way for what nearly every record is: Ethernet, IP without options or fragments, then
//! TCP or UDP. It reads the same fields as the long way and gives the same packet, or none: then
//! the record takes the long way.

use super::layer::clamped;
use super::udp_tunnel;
use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer};
use crate::model::packet::{LinkType, Packet, Part, Record, TcpHeader};
use crate::model::tcp_options::TcpOptions;

const ETHERNET: LinkType = LinkType(1);

/// Bytes of the headers that are passed over or looked at.
const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// What the IP header says.
struct Ip {
    hosts: [std::net::IpAddr; 2],
    protocol: u8,
    ttl: u8,
    header: usize,
    /// Length on the wire, header included.
    wire: usize,
}

/// The packet of a record, if it is a plain one.
pub(super) fn read(record: &Record, bytes: &[u8]) -> Option<Packet> {
    if record.link != ETHERNET {
        return None;
    }
    let (link, rest) = bytes.split_first_chunk::<ETHERNET_HEADER>()?;
    let ip = match [link[12], link[13]] {
        [0x08, 0x00] => ipv4(rest)?,
        [0x86, 0xdd] => ipv6(rest)?,
        _ => return None,
    };
    let above = rest.get(ip.header..rest.len().min(ip.wire))?;
    let wire = ip.wire.checked_sub(ip.header)?;
    let (ports, tcp, header, payload_wire) = match IpProtocol(ip.protocol) {
        IpProtocol::TCP => segment(above, wire)?,
        IpProtocol::UDP => datagram(above, wire)?,
        _ => return None,
    };
    let captured = (above.len() - header).min(payload_wire);
    let side = |which: usize| Peer {
        address: ip.hosts[which],
        port: ports[which],
    };
    Some(Packet {
        time: record.time,
        frame: record.frame,
        tuple: FiveTuple {
            source: side(0),
            destination: side(1),
            protocol: IpProtocol(ip.protocol),
        },
        wire_bytes: clamped(ip.wire),
        tcp,
        payload: (record.bytes).part(ETHERNET_HEADER + ip.header + header, captured),
        payload_missing: clamped(payload_wire - captured),
        reassembled: None,
        part: Part::Whole,
        ttl: ip.ttl,
        vlan: None,
        spi: None,
        gre_key: None,
        tunnel: None,
    })
}

/// RFC 791 3.1, without options, and whole.
fn ipv4(bytes: &[u8]) -> Option<Ip> {
    const MORE_AND_OFFSET: u16 = 0x3fff;
    let h: &[u8; IPV4_HEADER] = bytes.first_chunk()?;
    let is_part = u16::from_be_bytes([h[6], h[7]]) & MORE_AND_OFFSET != 0;
    (h[0] == 0x45 && !is_part).then(|| Ip {
        hosts: [
            [h[12], h[13], h[14], h[15]].into(),
            [h[16], h[17], h[18], h[19]].into(),
        ],
        protocol: h[9],
        ttl: h[8],
        header: IPV4_HEADER,
        wire: u16::from_be_bytes([h[2], h[3]]).into(),
    })
}

/// RFC 8200 3, without extension headers, and of a length that is told.
fn ipv6(bytes: &[u8]) -> Option<Ip> {
    let h: &[u8; IPV6_HEADER] = bytes.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([h[4], h[5]]));
    let (_, hosts) = h.split_first_chunk::<8>()?;
    let (source, destination) = hosts.split_first_chunk::<16>()?;
    let destination: &[u8; 16] = destination.first_chunk()?;
    (h[0] >> 4 == 6 && length > 0).then(|| Ip {
        hosts: [(*source).into(), (*destination).into()],
        protocol: h[6],
        ttl: h[7],
        header: IPV6_HEADER,
        wire: IPV6_HEADER + length,
    })
}

type Above = ([u16; 2], Option<TcpHeader>, usize, usize);

/// Ports, header, its length and the length of what follows on the wire (RFC 9293 3.1).
fn segment(bytes: &[u8], wire: usize) -> Option<Above> {
    const SYN_ACK: u8 = TcpHeader::SYN | TcpHeader::ACK;
    let h: &[u8; TCP_HEADER] = bytes.first_chunk()?;
    let header = usize::from(h[12] >> 4) * 4;
    let is_whole = (TCP_HEADER..=bytes.len()).contains(&header);
    let tcp = TcpHeader {
        sequence: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        acknowledgement: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        flags: h[13],
        answer: match h[13] & SYN_ACK {
            SYN_ACK => TcpOptions::read(bytes.get(TCP_HEADER..header)?),
            _ => None,
        },
    };
    let ports = ports([h[0], h[1], h[2], h[3]]);
    is_whole.then(|| (ports, Some(tcp), header, wire - header))
}

/// The same of a datagram that is no tunnel's (RFC 768).
fn datagram(bytes: &[u8], wire: usize) -> Option<Above> {
    let h: &[u8; UDP_HEADER] = bytes.first_chunk()?;
    let ports = ports([h[0], h[1], h[2], h[3]]);
    let length = usize::from(u16::from_be_bytes([h[4], h[5]])).checked_sub(UDP_HEADER)?;
    let may_be_a_tunnel = ports.iter().any(|port| udp_tunnel::has(*port));
    (!may_be_a_tunnel).then_some((ports, None, UDP_HEADER, length.min(wire - UDP_HEADER)))
}

fn ports(h: [u8; 4]) -> [u16; 2] {
    [
        u16::from_be_bytes([h[0], h[1]]),
        u16::from_be_bytes([h[2], h[3]]),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::Decoder;
    use crate::decode::samples::{IPV4, IPV6, SYN_ACK, ethernet, ipv4, ipv6, record, tcp, udp};

    /// Frames that take the short way as they are.
    fn plain() -> Vec<Vec<u8>> {
        let segment = tcp(49152, 445, SYN_ACK, b"hello");
        let datagram = udp(50000, 53, b"query");
        vec![
            ethernet(IPV4, &ipv4(6, &segment)),
            ethernet(IPV4, &ipv4(17, &datagram)),
            ethernet(IPV6, &ipv6(6, &segment)),
            ethernet(IPV6, &ipv6(17, &datagram)),
        ]
    }

    /// Says that the long way gives the packet that the short way gave; whether it gave any.
    fn agrees(frame: &[u8], wire_len: u32) -> bool {
        let mut record = record(ETHERNET, frame);
        record.wire_len = wire_len;
        let Some(short) = read(&record, frame) else {
            return false;
        };
        let mut long = Vec::new();
        let result = Decoder::new().decode_any(&record, frame, &mut long);
        assert_eq!(result, Ok(()), "{frame:x?}");
        assert_eq!(format!("{:?}", [short]), format!("{long:?}"), "{frame:x?}");
        true
    }

    #[test]
    fn plain_frames_take_the_short_way_and_give_the_same_packet() {
        for frame in plain() {
            assert!(agrees(&frame, frame.len() as u32), "{frame:x?}");
        }
    }

    #[test]
    fn a_frame_torn_at_every_byte_gives_the_same_packet_or_takes_the_long_way() {
        for frame in plain() {
            for len in 0..frame.len() {
                agrees(&frame[..len], frame.len() as u32);
            }
        }
    }

    #[test]
    fn padding_and_tags_and_tunnels_change_nothing() {
        for frame in plain() {
            assert!(agrees(&[&frame[..], &[0; 9]].concat(), 80));
        }
        let tunnel = ethernet(IPV4, &ipv4(17, &udp(50000, 4789, &[8; 40])));
        let tagged = [&plain()[0][..12], &[0x81, 0, 0, 7], &plain()[0][12..]].concat();
        assert!(!agrees(&tunnel, 100) && !agrees(&tagged, 100));
    }

    proptest! {
        /// Any byte of the headers may be any other.
        #[test]
        fn whatever_a_frame_holds_the_two_ways_agree(
            which in 0..4usize,
            changes in proptest::collection::vec((12..74usize, any::<u8>()), 0..4),
            cut in 0..90usize,
            wire_len in 0..100u32,
        ) {
            let mut frame = plain().swap_remove(which);
            for (at, byte) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            frame.truncate(cut.max(14));
            agrees(&frame, wire_len);
        }
    }
}
