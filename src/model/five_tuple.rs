//! Who talks to whom: addresses, ports and IP protocol.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// Transmission Control Protocol, RFC 9293.
    pub const TCP: IpProtocol = IpProtocol(6);
    /// User Datagram Protocol, RFC 768.
    pub const UDP: IpProtocol = IpProtocol(17);
    /// Generic Routing Encapsulation, RFC 2784.
    pub const GRE: IpProtocol = IpProtocol(47);
    /// Encapsulating Security Payload, RFC 4303.
    pub const ESP: IpProtocol = IpProtocol(50);
    /// Authentication Header, RFC 4302.
    pub const AH: IpProtocol = IpProtocol(51);

    /// The name of those that have one in the rows: `tcp`, `udp`, `gre`, `esp`, `ah`.
    pub fn name(self) -> Option<&'static str> {
        match self {
            IpProtocol::TCP => Some("tcp"),
            IpProtocol::UDP => Some("udp"),
            IpProtocol::GRE => Some("gre"),
            IpProtocol::ESP => Some("esp"),
            IpProtocol::AH => Some("ah"),
            _ => None,
        }
    }

    /// Whether flows of this protocol have ports.
    pub fn has_ports(self) -> bool {
        self == IpProtocol::TCP || self == IpProtocol::UDP
    }
}

impl fmt::Display for IpProtocol {
    /// As in the rows: its name, or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// One side of a packet or flow: an address, and a port (0 where the protocol has none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The IP address. An IPv4-mapped IPv6 address stays IPv6: that is what was on the wire.
    pub address: IpAddr,
    /// The port, or 0 for protocols without ports.
    pub port: u16,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(v4) => write!(f, "{v4}:{}", self.port),
            IpAddr::V6(v6) => write!(f, "[{v6}]:{}", self.port),
        }
    }
}

/// The addresses, ports and IP protocol of one packet, in its own direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// Who sent the packet.
    pub source: Peer,
    /// Who it was sent to.
    pub destination: Peer,
    /// The IP protocol above which it ran.
    pub protocol: IpProtocol,
}

impl FiveTuple {
    /// The same conversation seen from the other side.
    pub fn reversed(self) -> FiveTuple {
        FiveTuple {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
        }
    }
}

/// What wraps an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TunnelKind {
    /// GRE (RFC 2784, RFC 2890), also with Ethernet, MPLS or ERSPAN inside.
    Gre,
    /// PPP in enhanced GRE, as PPTP uses it (RFC 2637).
    Pptp,
    /// IP in IP (RFC 2003, RFC 2473, RFC 4213), also below MPLS (RFC 4023).
    IpInIp,
    /// What an Authentication Header protects (RFC 4302).
    Ah,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// PPP in L2TP (RFC 2661).
    L2tp,
    /// IPv6 in Teredo (RFC 4380).
    Teredo,
    /// GTP user data (3GPP TS 29.281).
    Gtp,
}

/// The tunnel that an inner flow ran in: both directions are the same tunnel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// What wraps the inner packets.
    pub kind: TunnelKind,
    /// The ends of the tunnel, the lower address first.
    pub ends: (IpAddr, IpAddr),
    /// GRE key, or network identifier of VXLAN and Geneve. Numbers that differ by direction are
    /// left out: the call ids of PPTP, the identifiers of L2TP and GTP.
    pub key: Option<u32>,
    /// The tunnel that this tunnel runs in.
    pub within: Option<Arc<Tunnel>>,
}

impl fmt::Display for Tunnel {
    /// `gre 192.0.2.1-192.0.2.2 key 7`, the outermost tunnel first, joined by ` / `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = &self.within {
            write!(f, "{outer} / ")?;
        }
        let kind = match self.kind {
            TunnelKind::Gre => "gre",
            TunnelKind::Pptp => "pptp",
            TunnelKind::IpInIp => "ip-in-ip",
            TunnelKind::Ah => "ah",
            TunnelKind::Vxlan => "vxlan",
            TunnelKind::Geneve => "geneve",
            TunnelKind::L2tp => "l2tp",
            TunnelKind::Teredo => "teredo",
            TunnelKind::Gtp => "gtp",
        };
        write!(f, "{kind} {}-{}", self.ends.0, self.ends.1)?;
        match self.key {
            Some(key) => write!(f, " key {key}"),
            None => Ok(()),
        }
    }
}
