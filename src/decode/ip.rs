//! IPv4 and IPv6 headers: from the IP header to the transport header.

use std::net::IpAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
};

use super::layer::{Layer, clamped};
use super::undecoded::Undecoded;
use crate::model::five_tuple::IpProtocol;

/// An IP packet, its header read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip<'a> {
    /// Who sent it.
    pub(super) source: IpAddr,
    /// Who it was sent to.
    pub(super) destination: IpAddr,
    /// What comes first above IP and its extension headers: the header's own number, 51 for AH.
    pub(super) protocol: IpProtocol,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
    /// Length on the wire from the IP header on.
    pub(super) wire_bytes: u32,
    /// What is above, without the padding of the frame.
    pub(super) payload: Layer<'a>,
    /// Set where this is a part of a datagram.
    pub(super) fragment: Option<Fragment<'a>>,
}

/// Which part of which datagram an IP packet holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    /// The datagram's identification, the same in all its parts.
    pub(super) id: u32,
    /// The protocol number that all its parts bear; in IPv6 it may be an extension header's.
    pub(super) protocol: IpProtocol,
    /// Where in the datagram this part begins, in bytes.
    pub(super) offset: usize,
    /// Whether the datagram ends with this part.
    pub(super) is_last: bool,
    /// The part: what follows the IPv4 header, or IPv6's fragment header.
    pub(super) bytes: Layer<'a>,
}

impl Fragment<'_> {
    /// Whether this part is the first and so has the ports.
    pub(super) fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether only the first part tells the five-tuple: the others lack ports, or in IPv6 the
    /// protocol itself.
    pub(super) fn hides_ports(&self) -> bool {
        self.protocol.has_ports() || WRAPPERS.contains(&self.protocol)
    }
}

/// Reads an IP header of either version, with IPv6's extension headers.
///
/// The header's length field says where the packet ends, not the frame, except where it says 0:
/// then the packet ends with the frame (segmentation offload, jumbograms).
pub(super) fn read(layer: Layer) -> Result<Ip, Undecoded> {
    match layer.u8(0).ok_or(Undecoded::CutIp)? >> 4 {
        4 => read_v4(layer),
        6 => read_v6(layer),
        _ => Err(Undecoded::BadIp),
    }
}

fn read_v4(layer: Layer) -> Result<Ip, Undecoded> {
    let header = Ipv4HeaderSlice::from_slice(layer.bytes()).map_err(|fault| match fault {
        ipv4::HeaderSliceError::Len(_) => Undecoded::CutIp,
        ipv4::HeaderSliceError::Content(_) => Undecoded::BadIp,
    })?;
    let header_len = header.slice().len();
    let layer = match usize::from(header.total_len()) {
        0 => layer,
        total if total < header_len => return Err(Undecoded::BadIp),
        total => layer.told(total),
    };
    // The header's own number: etherparse's packet slicing reads through AH and reports what AH
    // protects.
    let protocol = IpProtocol(header.protocol().0);
    let payload = layer.after(header_len);
    Ok(Ip {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol,
        ttl: header.ttl(),
        wire_bytes: clamped(layer.wire()),
        payload,
        fragment: header.is_fragmenting_payload().then(|| Fragment {
            id: header.identification().into(),
            protocol,
            offset: header.fragments_offset().byte_offset().into(),
            is_last: !header.more_fragments(),
            bytes: payload,
        }),
    })
}

/// IPv6's own header length, RFC 8200 3.
const IPV6_HEADER: usize = 40;

fn read_v6(layer: Layer) -> Result<Ip, Undecoded> {
    let header = Ipv6HeaderSlice::from_slice(layer.bytes()).map_err(|fault| match fault {
        ipv6::HeaderSliceError::Len(_) => Undecoded::CutIp,
        ipv6::HeaderSliceError::Content(_) => Undecoded::BadIp,
    })?;
    let next = IpProtocol(header.next_header().0);
    let layer = match usize::from(header.payload_length()) {
        // No next header: so the packet really is empty, and what follows is padding.
        0 if next == NO_NEXT_HEADER => layer.told(IPV6_HEADER),
        0 => layer,
        length => layer.told(IPV6_HEADER + length),
    };
    let above = skip_extensions(next, layer.after(IPV6_HEADER))?;
    Ok(Ip {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol: above.protocol,
        ttl: header.hop_limit(),
        wire_bytes: clamped(layer.wire()),
        payload: above.payload,
        fragment: above.fragment,
    })
}

/// What stands above IPv6's extension headers.
struct Above<'a> {
    protocol: IpProtocol,
    payload: Layer<'a>,
    fragment: Option<Fragment<'a>>,
}

/// More extension headers than RFC 8200 4.1 allows in one packet (eight), even with the newer ones.
const MAX_EXTENSIONS: usize = 12;

const FRAGMENT: IpProtocol = IpProtocol(44);
const NO_NEXT_HEADER: IpProtocol = IpProtocol(59);

/// Hop-by-hop options, routing, destination options, shim6: all that only wrap what comes after.
const WRAPPERS: [IpProtocol; 4] = [
    IpProtocol(0),
    IpProtocol(43),
    IpProtocol(60),
    IpProtocol(140),
];

/// Walks the extension headers (RFC 8200 4). AH and ESP are no wrappers here: they are flows.
fn skip_extensions(mut protocol: IpProtocol, mut payload: Layer) -> Result<Above, Undecoded> {
    let mut fragment = None;
    for _ in 0..MAX_EXTENSIONS {
        if WRAPPERS.contains(&protocol) {
            let header =
                Ipv6RawExtHeaderSlice::from_slice(payload.bytes()).map_err(|_| Undecoded::CutIp)?;
            protocol = IpProtocol(header.next_header().0);
            payload = payload.after(header.slice().len());
        } else if protocol == FRAGMENT {
            let header = Ipv6FragmentHeaderSlice::from_slice(payload.bytes())
                .map_err(|_| Undecoded::CutIp)?;
            protocol = IpProtocol(header.next_header().0);
            payload = payload.after(header.slice().len());
            // A fragment header on a whole datagram (RFC 6946) says nothing.
            if header.is_fragmenting_payload() {
                let part = Fragment {
                    id: header.identification(),
                    protocol,
                    offset: header.fragment_offset().byte_offset().into(),
                    is_last: !header.more_fragments(),
                    bytes: payload,
                };
                fragment = Some(part);
                if !part.is_first() {
                    break;
                }
            }
        } else {
            break;
        }
    }
    let whole = fragment.is_none_or(|part| part.is_first());
    if whole && (WRAPPERS.contains(&protocol) || protocol == FRAGMENT) {
        return Err(Undecoded::BadIp);
    }
    Ok(Above {
        protocol,
        payload,
        fragment,
    })
}
