//! Records to packets: link headers, IP, fragments, tunnels, and transport headers.
//!
//! In comes a record with its bytes; [`Decoder::decode`] walks `link` to the IP header, `ip` to the
//! transport header, `transport` to the payload, and `tunnel` to what is inside, where it begins
//! again. Out come packets, whose payload still lies in the record. What has nothing special about
//! it goes the short way through `plain` instead. Next is `flow`.
//!
//! Nothing that a cut record can still tell is lost, and checksums are not looked at: offloading
//! leaves them wrong. All of etherparse stays here. Its header slices check what is whole; around
//! them lengths are taken as they come.

mod fragment;
mod gre;
mod ip;
mod layer;
mod link;
mod plain;
mod reassembly;
#[cfg(test)]
mod samples;
mod transport;
mod tunnel;
mod udp_tunnel;
mod undecoded;

use std::net::IpAddr;
use std::sync::Arc;

pub use link::link_types;
pub use undecoded::Undecoded;

use crate::model::five_tuple::{FiveTuple, Peer, Tunnel};
use crate::model::packet::{Packet, Part, Record, Span};
use fragment::{First, Fragments, Key};
use ip::{Fragment, Ip};
use layer::Layer;
use transport::Transport;
use tunnel::{Content, Inner, Tunnels};

/// Makes packets of records. Remembers only datagrams in parts and the names of tunnels, bounded.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    tunnels: Tunnels,
    losses: Losses,
}

/// What a decoder could not do, counted in packets unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Later fragments that became no packets, because their first was not seen. Outermost ones:
    /// those in tunnels are among `inner_undecoded`.
    pub orphan_fragments: u64,
    /// Fragmented datagrams forgotten before they were whole because there were too many, or too
    /// many bytes of them.
    pub datagrams_given_up: u64,
    /// Packets whose inner packet was not looked at: more tunnels in each other than the bound.
    pub too_deep: u64,
    /// Packets of a tunnel whose inside became no packet: no IP, cut, or compressed or encrypted.
    pub inner_undecoded: u64,
}

impl Decoder {
    /// Tunnels in each other that are entered; real networks nest three (PPTP in AH in VXLAN).
    const MAX_TUNNELS: usize = 8;

    /// A decoder that has seen nothing yet.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Adds to `out` the packet of this record, then each packet that it carries, outermost first.
    /// `bytes` are those that `record.bytes` names.
    ///
    /// The first fragment of a datagram is put out at once with what it holds; the fragment that
    /// comes last, be it the first, brings the whole as [`Packet::reassembled`]. Behind a first
    /// fragment stand packets of earlier frames: later fragments that had waited for it and its
    /// ports. A record that is such a waiting fragment adds nothing, and never will if no first
    /// fragment comes: that is counted in [`Decoder::losses`].
    ///
    /// # Errors
    ///
    /// The reason, where the outermost packet cannot be told. `out` is then as it was, but for such
    /// fragments.
    pub fn decode(
        &mut self,
        record: &Record,
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) -> Result<(), Undecoded> {
        self.fragments.expire(record.time);
        if let Some(packet) = plain::read(record, bytes) {
            out.push(packet);
            return Ok(());
        }
        self.decode_any(record, bytes, out)
    }

    /// The long way, which any record can take.
    fn decode_any(
        &mut self,
        record: &Record,
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) -> Result<(), Undecoded> {
        let shape = link::shape(record.link).ok_or(Undecoded::LinkType(record.link))?;
        let mut layer = Layer::new(bytes, record.wire_len);
        let around = Around {
            vlan: link::find_ip(shape, &mut layer)?,
            tunnel: None,
        };
        // Left where it is: to move so large a value costs as much as to read it.
        let ip = ip::read(layer);
        let ip = ip.as_ref().map_err(|reason| *reason)?;
        if let Some(inner) = self.put_out(record, ip, &around, out)? {
            self.enter_all(record, *ip, around, inner, out);
        }
        Ok(())
    }

    /// Gives up the fragments that still wait for their first: none will come.
    pub fn finish(&mut self) {
        self.fragments.finish();
    }

    /// What could not be done so far.
    pub fn losses(&self) -> Losses {
        Losses {
            orphan_fragments: self.fragments.orphans,
            datagrams_given_up: self.fragments.given_up,
            inner_undecoded: self.losses.inner_undecoded + self.fragments.inner_orphans,
            ..self.losses
        }
    }

    /// Adds the packet with this IP header, unless it is a fragment that waits; says what it carries.
    fn put_out<'a>(
        &mut self,
        record: &Record,
        ip: &Ip<'a>,
        around: &Around,
        out: &mut Vec<Packet>,
    ) -> Result<Option<Inner<'a>>, Undecoded> {
        if let Some(part) = ip.fragment
            && !part.is_first()
        {
            let packet = around.later_part(record, ip);
            match part.hides_ports() {
                true => (self.fragments).later(around.key(ip, &part), &part, packet, out),
                false => out.push(packet),
            }
            return Ok(None);
        }
        let transport = transport::read(ip.protocol, ip.payload)?;
        let packet = around.packet(record, ip, &transport);
        match ip.fragment {
            Some(part) if part.hides_ports() => {
                let first = First {
                    protocol: ip.protocol,
                    ports: transport.ports,
                    extensions: part.bytes.wire().saturating_sub(ip.payload.wire()),
                };
                (self.fragments).first(around.key(ip, &part), &part, first, packet, out);
            }
            _ => out.push(packet),
        }
        Ok(tunnel::inner(ip, &transport))
    }

    /// Adds what a packet carries, what that carries, and so on.
    fn enter_all<'a>(
        &mut self,
        record: &Record,
        mut ip: Ip<'a>,
        mut around: Around,
        mut inner: Inner<'a>,
        out: &mut Vec<Packet>,
    ) {
        for _ in 0..Self::MAX_TUNNELS {
            let entered = self.enter(&inner, &ip, &around).and_then(|next| {
                (ip, around) = next;
                self.put_out(record, &ip, &around, out)
            });
            inner = match entered {
                Ok(Some(next)) => next,
                Ok(None) => return,
                Err(_) => {
                    self.losses.inner_undecoded += 1;
                    return;
                }
            };
        }
        self.losses.too_deep += 1;
    }

    /// Reads the headers of what a packet carries, up to its IP header.
    fn enter<'a>(
        &mut self,
        inner: &Inner<'a>,
        outer: &Ip<'a>,
        around: &Around,
    ) -> Result<(Ip<'a>, Around), Undecoded> {
        let (ip, vlan) = match inner.content {
            Content::Frame(shape, mut layer) => {
                let vlan = link::find_ip(shape, &mut layer)?;
                (ip::read(layer)?, around.vlan.or(vlan))
            }
            Content::Protected(protocol, payload) => {
                let ip = Ip {
                    protocol,
                    payload,
                    ..*outer
                };
                (ip, around.vlan)
            }
        };
        let hosts = (outer.source, outer.destination);
        let tunnel = Some(self.tunnels.name(inner, hosts, around.tunnel.clone()));
        Ok((ip, Around { vlan, tunnel }))
    }
}

/// What is around an IP header.
#[derive(Clone, Debug)]
struct Around {
    vlan: Option<u16>,
    tunnel: Option<Arc<Tunnel>>,
}

impl Around {
    fn packet(&self, record: &Record, ip: &Ip, transport: &Transport) -> Packet {
        Packet {
            time: record.time,
            frame: record.frame,
            tuple: FiveTuple {
                source: peer(ip.source, transport.ports.0),
                destination: peer(ip.destination, transport.ports.1),
                protocol: ip.protocol,
            },
            wire_bytes: ip.wire_bytes,
            tcp: transport.tcp,
            payload: transport.payload.span(record.bytes),
            payload_missing: transport.payload.missing(),
            reassembled: None,
            part: match ip.fragment {
                Some(_) => Part::First,
                None => Part::Whole,
            },
            ttl: ip.ttl,
            vlan: self.vlan,
            spi: transport.spi,
            gre_key: transport.gre_key,
            tunnel: self.tunnel.clone(),
        }
    }

    /// A later fragment: counted with its bytes, its payload kept for the whole datagram.
    fn later_part(&self, record: &Record, ip: &Ip) -> Packet {
        Packet {
            time: record.time,
            frame: record.frame,
            tuple: FiveTuple {
                source: peer(ip.source, 0),
                destination: peer(ip.destination, 0),
                protocol: ip.protocol,
            },
            wire_bytes: ip.wire_bytes,
            tcp: None,
            payload: Span::default(),
            payload_missing: 0,
            reassembled: None,
            part: Part::Later,
            ttl: ip.ttl,
            vlan: self.vlan,
            spi: None,
            gre_key: None,
            tunnel: self.tunnel.clone(),
        }
    }

    fn key(&self, ip: &Ip, part: &Fragment) -> Key {
        Key {
            source: ip.source,
            destination: ip.destination,
            id: part.id,
            protocol: part.protocol,
            tunnel: self.tunnel.clone(),
        }
    }
}

fn peer(address: IpAddr, port: u16) -> Peer {
    Peer { address, port }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::{
        ETHERNET, IPV4, IPV6, SYN_ACK, authenticated, decode, ethernet, first_fragment, ipv4, ipv6,
        only, payload, record, tcp, text, udp, vxlan,
    };
    use super::*;
    use crate::model::five_tuple::IpProtocol;
    use crate::model::packet::{LinkType, TcpHeader};

    #[test]
    fn a_segment_has_its_ports_flags_and_the_place_of_its_payload() {
        let frame = ethernet(IPV4, &ipv4(6, &tcp(49152, 445, SYN_ACK, b"hello")));
        let packet = only(decode(ETHERNET, &frame));
        assert_eq!(text(&packet), "tcp 10.0.0.1:49152 > 10.0.0.2:445");
        let expected = TcpHeader {
            sequence: 1000,
            acknowledgement: 2000,
            flags: SYN_ACK,
            answer: None,
        };
        assert_eq!(packet.tcp, Some(expected));
        assert_eq!(payload(&frame, &packet), b"hello");
        assert_eq!((packet.wire_bytes, packet.payload_missing), (45, 0));
        assert_eq!(
            (packet.ttl, packet.frame),
            (128, record(ETHERNET, &frame).frame)
        );
    }

    #[test]
    fn the_padding_of_a_short_frame_is_not_payload() {
        let mut frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, TcpHeader::ACK, b"")));
        frame.resize(60, 0);
        let packet = only(decode(ETHERNET, &frame));
        assert_eq!((packet.payload.len, packet.wire_bytes), (0, 40));
    }

    #[test]
    fn an_offloaded_segment_with_length_zero_ends_with_the_frame() {
        let mut frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, TcpHeader::ACK, &[7; 3000])));
        frame[16..18].fill(0);
        let packet = only(decode(ETHERNET, &frame));
        assert_eq!((packet.payload.len, packet.wire_bytes), (3000, 3040));
    }

    #[test]
    fn an_ipv6_packet_with_length_zero_ends_with_the_frame() {
        let mut frame = ethernet(IPV6, &ipv6(6, &tcp(1, 2, TcpHeader::ACK, &[7; 3000])));
        frame[18..20].fill(0);
        let packet = only(decode(ETHERNET, &frame));
        assert_eq!((packet.payload.len, packet.wire_bytes), (3000, 3060));
    }

    /// What is made of a frame of which so many bytes were captured.
    fn decode_cut(frame: &[u8], captured: usize) -> Result<Vec<Packet>, Undecoded> {
        let bytes = &frame[..captured];
        let record = Record {
            wire_len: frame.len() as u32,
            ..record(ETHERNET, bytes)
        };
        let mut out = Vec::new();
        Decoder::new().decode(&record, bytes, &mut out)?;
        Ok(out)
    }

    #[test]
    fn what_the_snap_length_cut_is_missing_and_not_lost() {
        let frame = ethernet(IPV4, &ipv4(17, &udp(1000, 2000, &[7; 500])));
        let packet = only(decode_cut(&frame, 96));
        assert_eq!((packet.payload.len, packet.payload_missing), (54, 446));
        assert_eq!(packet.wire_bytes, 528);
    }

    #[test]
    fn a_tcp_header_whose_options_are_cut_still_has_its_flags() {
        let mut segment = tcp(1, 2, TcpHeader::SYN, &[1; 20]);
        segment[12] = 10 << 4;
        let frame = ethernet(IPV4, &ipv4(6, &segment));
        let packet = only(decode_cut(&frame, frame.len() - 20));
        assert!(packet.tcp.is_some_and(|tcp| tcp.has(TcpHeader::SYN)));
        assert_eq!(packet.payload.len, 0);
    }

    #[test]
    fn a_tcp_header_cut_before_its_flags_still_has_its_ports() {
        let frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, TcpHeader::SYN, b"")));
        let packet = only(decode_cut(&frame, 14 + 20 + 13));
        assert_eq!(text(&packet), "tcp 10.0.0.1:1 > 10.0.0.2:2");
        assert_eq!(packet.tcp, None);
    }

    #[test]
    fn a_tcp_header_of_impossible_length_makes_no_packet() {
        let mut segment = tcp(1, 2, TcpHeader::ACK, b"secret");
        for words in [4, 7] {
            segment[12] = words << 4;
            let decoded = decode(ETHERNET, &ethernet(IPV4, &ipv4(6, &segment)));
            assert_eq!(
                decoded.err(),
                Some(Undecoded::BadTransport),
                "{words} words"
            );
        }
    }

    #[test]
    fn a_segment_too_short_for_a_tcp_header_makes_no_packet() {
        let segment = &tcp(1, 2, TcpHeader::ACK, b"")[..15];
        let decoded = decode(ETHERNET, &ethernet(IPV4, &ipv4(6, segment)));
        assert_eq!(decoded.err(), Some(Undecoded::BadTransport));
    }

    #[test]
    fn a_udp_length_shorter_than_its_header_makes_no_packet() {
        let mut datagram = udp(1, 2, b"hello");
        for length in [0_u16, 7] {
            datagram[4..6].copy_from_slice(&length.to_be_bytes());
            let decoded = decode(ETHERNET, &ethernet(IPV4, &ipv4(17, &datagram)));
            assert_eq!(decoded.err(), Some(Undecoded::BadTransport), "{length}");
        }
    }

    #[test]
    fn a_udp_length_beyond_the_packet_is_not_believed() {
        let mut datagram = udp(1, 2, b"hello");
        datagram[4..6].copy_from_slice(&9999_u16.to_be_bytes());
        let packet = only(decode(ETHERNET, &ethernet(IPV4, &ipv4(17, &datagram))));
        assert_eq!(packet.payload.len, 5);
    }

    #[test]
    fn a_jumbogram_has_length_zero_and_all_its_payload() {
        let mut frame = ethernet(IPV6, &ipv6(17, &udp(1, 2, &[])));
        frame[18..20].fill(0);
        frame[58..60].fill(0);
        frame.resize(54 + 8 + 70_000, 7);
        assert_eq!(only(decode(ETHERNET, &frame)).payload.len, 70_000);
    }

    #[test]
    fn esp_is_a_flow_of_its_own_with_its_index() {
        let esp = [0, 0, 0x12, 0x34, 0, 0, 0, 1, 9, 9];
        let packet = only(decode(ETHERNET, &ethernet(IPV4, &ipv4(50, &esp))));
        assert_eq!(text(&packet), "esp 10.0.0.1:0 > 10.0.0.2:0");
        assert_eq!(packet.spi, Some(0x1234));
    }

    #[test]
    fn another_ip_protocol_is_a_flow_without_ports() {
        let packet = only(decode(ETHERNET, &ethernet(IPV4, &ipv4(1, &[8, 0, 1, 2]))));
        assert_eq!(packet.tuple.protocol, IpProtocol(1));
        assert_eq!((packet.tuple.source.port, packet.payload.len), (0, 4));
    }

    #[test]
    fn extension_headers_are_walked_to_the_transport() {
        let inner = udp(1000, 53, b"q");
        let options = |next: u8, rest: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0], rest].concat();
        let frame = ethernet(IPV6, &ipv6(0, &options(60, &options(17, &inner))));
        let packet = only(decode(ETHERNET, &frame));
        assert_eq!(text(&packet), "udp [2001:db8::1]:1000 > [2001:db8::2]:53");
        assert_eq!(packet.wire_bytes, 40 + 16 + 9);
    }

    #[test]
    fn extension_headers_without_end_are_given_up() {
        let endless = [60, 0, 1, 4, 0, 0, 0, 0].repeat(100);
        let frame = ethernet(IPV6, &ipv6(60, &endless));
        assert_eq!(decode(ETHERNET, &frame).err(), Some(Undecoded::BadIp));
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        let bare = ipv4(17, &udp(1, 2, b""));
        for (at, value) in [(0, 0x44), (0, 0x54), (3, 19)] {
            let mut broken = bare.clone();
            broken[at] = value;
            let refused = decode(ETHERNET, &ethernet(IPV4, &broken)).err();
            assert_eq!(refused, Some(Undecoded::BadIp), "{at} {value}");
        }
    }

    /// One packet of each kind that has something to cut.
    fn one_of_each() -> Vec<Vec<u8>> {
        let datagram = udp(1000, 2000, b"payload");
        let segment = tcp(1000, 2000, SYN_ACK, b"payload");
        let inner = ipv4(6, &segment);
        vec![
            ethernet(IPV4, &ipv4(17, &datagram)),
            ethernet(0x8100, &[&[0, 5, 0x86, 0xdd], &*ipv6(6, &segment)].concat()),
            ethernet(IPV4, &ipv4(4, &inner)),
            ethernet(
                IPV4,
                &ipv4(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 7], &*inner].concat()),
            ),
            ethernet(IPV4, &ipv4(51, &authenticated(6, &segment))),
            ethernet(IPV4, &first_fragment(17, 1, &datagram)),
            ethernet(
                IPV4,
                &ipv4(17, &udp(1000, 4789, &vxlan(7, &ethernet(IPV4, &inner)))),
            ),
        ]
    }

    #[test]
    fn torn_anywhere_a_record_tells_true_ports_or_none() {
        for frame in one_of_each() {
            for length in 0..frame.len() {
                for packet in decode(ETHERNET, &frame[..length]).unwrap_or_default() {
                    let ports = (packet.tuple.source.port, packet.tuple.destination.port);
                    let has_ports = packet.tuple.protocol.has_ports();
                    let is_true = matches!(ports, (1000, 2000) | (1000, 4789));
                    assert_eq!(is_true, has_ports, "{length}: {packet:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_any_link_type_make_it_panic(
            link in prop::sample::select(vec![0_u16, 1, 9, 10, 12, 50, 51, 100, 101, 104, 113, 276]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode(LinkType(link), &bytes);
        }

        #[test]
        fn a_packet_with_wrong_bytes_in_it_does_not_make_it_panic(
            which in 0..7_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut frame = one_of_each().swap_remove(which);
            for (at, value) in changes {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            for packet in decode(ETHERNET, &frame).unwrap_or_default() {
                prop_assert!(packet.payload.start + packet.payload.len <= frame.len() as u32);
            }
        }
    }
}
