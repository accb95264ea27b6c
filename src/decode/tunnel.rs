//! Tunnels: which packets carry others, and the names of the tunnels that they run in.

use std::net::IpAddr;
use std::sync::Arc;

use etherparse::IpAuthHeaderSlice;
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::gre::{self, Gre};
use super::ip::Ip;
use super::layer::Layer;
use super::link::Shape;
use super::transport::Transport;
use crate::model::five_tuple::{IpProtocol, Tunnel, TunnelKind};

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner<'a> {
    /// What wraps it.
    pub(super) kind: TunnelKind,
    /// GRE key or VXLAN network identifier.
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
        IpProtocol::UDP => in_udp(transport),
        IpProtocol::GRE => in_gre(gre::read(ip.payload)?),
        IpProtocol::AH => protected(ip.payload),
        IPV4 | IPV6 => Some(Inner {
            kind: TunnelKind::IpInIp,
            key: None,
            content: Content::Frame(Shape::Ip, ip.payload),
        }),
        MPLS => Some(Inner {
            kind: TunnelKind::IpInIp,
            key: None,
            content: Content::Frame(Shape::Mpls, ip.payload),
        }),
        _ => None,
    }
}

const IPV4: IpProtocol = IpProtocol(4);
const IPV6: IpProtocol = IpProtocol(41);
/// MPLS in IP (RFC 4023).
const MPLS: IpProtocol = IpProtocol(137);

fn in_gre(header: Gre) -> Option<Inner> {
    let (shape, layer) = header.inner?;
    let (kind, key) = match header.is_pptp {
        true => (TunnelKind::Pptp, None),
        false => (TunnelKind::Gre, header.key),
    };
    Some(Inner {
        kind,
        key,
        content: Content::Frame(shape, layer),
    })
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

/// RFC 7348 5.
const VXLAN_PORT: u16 = 4789;
/// RFC 8086 3.
const GRE_IN_UDP_PORT: u16 = 4754;

fn in_udp<'a>(transport: &Transport<'a>) -> Option<Inner<'a>> {
    match transport.ports.1 {
        VXLAN_PORT => in_vxlan(transport.payload),
        GRE_IN_UDP_PORT => in_gre(gre::read(transport.payload)?),
        _ => None,
    }
}

/// Only the flag of a valid network identifier may be set (RFC 7348 5). The reserved fields are not
/// looked at: there are senders that use them.
fn in_vxlan(layer: Layer) -> Option<Inner> {
    let identifier = layer.u32(4)? >> 8;
    (layer.u8(0)? == 0x08).then(|| Inner {
        kind: TunnelKind::Vxlan,
        key: Some(identifier),
        content: Content::Frame(Shape::Ethernet, layer.after(8)),
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
