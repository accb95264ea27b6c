//! Tunnels: which packets carry others, and the names of the tunnels that they run in.

use std::net::IpAddr;
use std::sync::Arc;

use etherparse::IpAuthHeaderSlice;
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::gre;
use super::ip::Ip;
use super::layer::Layer;
use super::link::Shape;
use super::transport::Transport;
use super::udp_tunnel;
use crate::model::five_tuple::{IpProtocol, Tunnel, TunnelKind};

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner<'a> {
    /// What wraps it.
    pub(super) kind: TunnelKind,
    /// GRE key, or network identifier of VXLAN and Geneve.
    pub(super) key: Option<u32>,
    /// What it is.
    pub(super) content: Content<'a>,
}

/// What can be in a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// A packet with headers of its own.
    Frame(Shape, Layer<'a>),
    /// What AH protects: it shares the IP header of AH.
    Protected(IpProtocol, Layer<'a>),
}

/// What `ip` carries, if it is a tunnel that is entered. `transport` is what was read of its header.
pub(super) fn inner<'a>(ip: &Ip<'a>, transport: &Transport<'a>) -> Option<Inner<'a>> {
    match ip.protocol {
        IpProtocol::TCP => None,
        IpProtocol::UDP => udp_tunnel::inner(transport.ports, transport.payload),
        IpProtocol::GRE => gre::read(ip.payload)?.carried(),
        IpProtocol::AH => protected(ip.payload),
        IPV4_IN_IP | IPV6_IN_IP => Some(in_ip(Shape::Ip, ip.payload)),
        MPLS_IN_IP => Some(in_ip(Shape::Mpls, ip.payload)),
        _ => None,
    }
}

const IPV4_IN_IP: IpProtocol = IpProtocol(4);
const IPV6_IN_IP: IpProtocol = IpProtocol(41);
/// MPLS in IP (RFC 4023).
const MPLS_IN_IP: IpProtocol = IpProtocol(137);

fn in_ip(shape: Shape, layer: Layer) -> Inner {
    Inner {
        kind: TunnelKind::IpInIp,
        key: None,
        content: Content::Frame(shape, layer),
    }
}

fn protected(layer: Layer) -> Option<Inner> {
    let header = IpAuthHeaderSlice::from_slice(layer.bytes()).ok()?;
    let protocol = IpProtocol(header.next_header().0);
    Some(Inner {
        kind: TunnelKind::Ah,
        key: None,
        content: Content::Protected(protocol, layer.after(header.slice().len())),
    })
}

/// Tunnels seen, so that all the packets of one share its name.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    known: HashSet<Arc<Tunnel>, RandomState>,
}

impl Tunnels {
    /// Many times what a busy gateway ends. The names live on with their flows, so that forgetting
    /// them here costs only memory.
    const MAX_KNOWN: usize = 4096;

    /// The tunnel of `inner` between two hosts, itself in the tunnel `within`.
    pub(super) fn name(
        &mut self,
        inner: &Inner,
        hosts: (IpAddr, IpAddr),
        within: Option<Arc<Tunnel>>,
    ) -> Arc<Tunnel> {
        let tunnel = Tunnel {
            kind: inner.kind,
            ends: (hosts.0.min(hosts.1), hosts.0.max(hosts.1)),
            key: inner.key,
            within,
        };
        if let Some(known) = self.known.get(&tunnel) {
            return known.clone();
        }
        if self.known.len() >= Self::MAX_KNOWN {
            self.known.clear();
        }
        let tunnel = Arc::new(tunnel);
        self.known.insert(tunnel.clone());
        tunnel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoder;
    use crate::decode::samples::{
        ETHERNET, IPV4, IPV6, SYN_ACK, authenticated, decode, ethernet, ipv4, ipv6, payload,
        record, tcp, text, udp,
    };

    fn datagram() -> Vec<u8> {
        ipv4(17, &udp(1000, 53, b"query"))
    }

    /// The packets of one that holds `inner` above IP.
    fn carried(protocol: u8, inner: &[u8]) -> Vec<String> {
        let frame = ethernet(IPV4, &ipv4(protocol, inner));
        let packets = decode(ETHERNET, &frame).expect("it is IP");
        packets.iter().map(text).collect()
    }

    /// Says that the outer packet is put out, then the inner one in this tunnel.
    fn enters(protocol: u8, header: &[u8], outer: &str, tunnel: &str) {
        let inner = format!("udp 10.0.0.1:1000 > 10.0.0.2:53 in {tunnel}");
        let outer = format!("{outer} 10.0.0.1:0 > 10.0.0.2:0");
        let packet = [header, &datagram()].concat();
        assert_eq!(carried(protocol, &packet), [outer, inner], "{header:x?}");
    }

    fn stays_outside(protocol: u8, inner: &[u8]) {
        assert_eq!(carried(protocol, inner).len(), 1, "{inner:x?}");
    }

    #[test]
    fn ip_in_ip_is_entered() {
        enters(4, &[], "4", "ip-in-ip 10.0.0.1-10.0.0.2");
        enters(137, &[0, 1, 0x11, 64], "137", "ip-in-ip 10.0.0.1-10.0.0.2");
        let six = ipv6(17, &udp(1, 2, b""));
        assert_eq!(
            carried(41, &six)[1],
            "udp [2001:db8::1]:1 > [2001:db8::2]:2 in ip-in-ip 10.0.0.1-10.0.0.2"
        );
    }

    #[test]
    fn gre_is_entered_whatever_its_flags() {
        let plain = "gre 10.0.0.1-10.0.0.2";
        enters(47, &[0, 0, 8, 0], "gre", plain);
        enters(47, &[0x80, 0, 8, 0, 1, 2, 0, 0], "gre", plain);
        enters(47, &[0x10, 0, 8, 0, 0, 0, 0, 1], "gre", plain);
        let keyed = [0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
        enters(47, &keyed, "gre", "gre 10.0.0.1-10.0.0.2 key 7");
        let routed = [
            0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0,
        ];
        enters(47, &routed, "gre", plain);
    }

    #[test]
    fn gre_with_ethernet_or_labels_inside_is_entered() {
        let plain = "gre 10.0.0.1-10.0.0.2";
        let frame = ethernet(IPV4, &[]);
        enters(47, &[&[0, 0, 0x65, 0x58], &*frame].concat(), "gre", plain);
        enters(47, &[0, 0, 0x88, 0x47, 0, 1, 0x11, 64], "gre", plain);
    }

    #[test]
    fn mirrored_frames_are_entered_in_all_three_types() {
        let plain = "gre 10.0.0.1-10.0.0.2";
        let frame = ethernet(IPV4, &[]);
        let one = [&[0, 0, 0x88, 0xbe][..], &frame].concat();
        let two = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10; 8], &frame].concat();
        let three = [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0; 12], &frame].concat();
        let mut longer = [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0; 20], &frame].concat();
        longer[19] = 1;
        for header in [one, two, three, longer] {
            enters(47, &header, "gre", plain);
        }
    }

    #[test]
    fn the_key_of_gre_and_the_call_of_pptp_stand_on_the_outer_flow() {
        let key = |header: &[u8]| {
            let frame = ethernet(IPV4, &ipv4(47, header));
            decode(ETHERNET, &frame).expect("it is IP")[0].gre_key
        };
        assert_eq!(key(&[0x20, 0, 8, 0, 0, 0, 0, 7]), Some(7));
        assert_eq!(
            key(&[0x20, 0x01, 0x88, 0x0b, 0, 0, 0x12, 0x34]),
            Some(0x1234)
        );
        assert_eq!(key(&[0, 0, 8, 0]), None);
    }

    #[test]
    fn ppp_in_pptp_is_entered_with_its_fields_compressed_or_not() {
        let pptp = "pptp 10.0.0.1-10.0.0.2";
        for ppp in [&[0xff, 3, 0, 0x21][..], &[0, 0x21], &[0x21]] {
            let length = (ppp.len() + datagram().len()) as u8;
            let header = [
                0x30, 0x81, 0x88, 0x0b, 0, length, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1,
            ];
            enters(47, &[&header, ppp].concat(), "gre", pptp);
        }
    }

    #[test]
    fn what_pptp_negotiates_compresses_or_encrypts_has_no_inner_packet() {
        for ppp in [[0xc0, 0x21], [0x80, 0xfd], [0x00, 0xfd]] {
            let header = [0x30, 0x01, 0x88, 0x0b, 0, 4, 0, 9, 0, 0, 0, 1];
            stays_outside(47, &[&header[..], &ppp, &[0x45, 0]].concat());
        }
        stays_outside(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1]);
    }

    #[test]
    fn ah_is_a_flow_with_its_index_and_so_is_what_it_protects() {
        let frame = ethernet(
            IPV4,
            &ipv4(51, &authenticated(6, &tcp(1, 445, SYN_ACK, b"x"))),
        );
        let packets = decode(ETHERNET, &frame).expect("it is IP");
        let texts: Vec<String> = packets.iter().map(text).collect();
        let inner = "tcp 10.0.0.1:1 > 10.0.0.2:445 in ah 10.0.0.1-10.0.0.2";
        assert_eq!(texts, ["ah 10.0.0.1:0 > 10.0.0.2:0", inner]);
        assert_eq!((packets[0].spi, packets[1].spi), (Some(0x5678), None));
        assert_eq!(payload(&frame, &packets[1]), b"x");
        assert_eq!(packets[1].wire_bytes, packets[0].wire_bytes);
    }

    #[test]
    fn ah_in_ipv6_stops_the_walk_of_extension_headers() {
        let frame = ethernet(IPV6, &ipv6(51, &authenticated(17, &udp(1, 2, b""))));
        let packets = decode(ETHERNET, &frame).expect("it is IP");
        assert_eq!(packets[0].tuple.protocol, IpProtocol::AH);
        assert_eq!(packets[1].tuple.protocol, IpProtocol::UDP);
    }

    #[test]
    fn inner_tunnels_say_what_they_run_in() {
        let inner = ipv4(4, &datagram());
        let texts = carried(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 7], &*inner].concat());
        let tunnel = "gre 10.0.0.1-10.0.0.2 key 7 / ip-in-ip 10.0.0.1-10.0.0.2";
        assert_eq!(
            texts[2],
            format!("udp 10.0.0.1:1000 > 10.0.0.2:53 in {tunnel}")
        );
    }

    #[test]
    fn tunnels_beyond_the_bound_are_not_entered() {
        let mut nested = datagram();
        for _ in 0..2 * Decoder::MAX_TUNNELS {
            nested = ipv4(4, &nested);
        }
        let frame = ethernet(IPV4, &nested);
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        assert_eq!(
            decoder.decode(&record(ETHERNET, &frame), &frame, &mut out),
            Ok(())
        );
        assert_eq!(
            (out.len(), decoder.losses().too_deep),
            (1 + Decoder::MAX_TUNNELS, 1)
        );
    }

    #[test]
    fn the_packets_of_one_tunnel_share_its_name_in_both_directions() {
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let inner = in_ip(Shape::Ip, Layer::new(&[], 0));
        let mut tunnels = Tunnels::default();
        let there = tunnels.name(&inner, (one, two), None);
        let back = tunnels.name(&inner, (two, one), None);
        assert!(Arc::ptr_eq(&there, &back));
    }

    #[test]
    fn more_tunnels_than_the_bound_are_forgotten() {
        let inner = in_ip(Shape::Ip, Layer::new(&[], 0));
        let mut tunnels = Tunnels::default();
        for number in 0..=Tunnels::MAX_KNOWN as u32 {
            let end = IpAddr::from(number.to_be_bytes());
            tunnels.name(&inner, (end, end), None);
        }
        assert_eq!(tunnels.known.len(), 1);
    }
}
