//! Transport headers: from what IP carries to ports and payload.

use super::gre;
use super::layer::Layer;
use super::undecoded::Undecoded;
use crate::model::five_tuple::IpProtocol;
use crate::model::packet::TcpHeader;
use crate::model::tcp_options::TcpOptions;

/// What the transport header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transport<'a> {
    /// Source and destination port; 0 for protocols without.
    pub(super) ports: (u16, u16),
    /// The TCP header, if it is TCP and was captured up to its flags.
    pub(super) tcp: Option<TcpHeader>,
    /// Security parameters index of ESP and AH.
    pub(super) spi: Option<u32>,
    /// GRE key or PPTP call id.
    pub(super) gre_key: Option<u32>,
    /// What is above TCP and UDP; of other protocols, all that is above IP.
    pub(super) payload: Layer<'a>,
}

/// Reads the header of `protocol`.
///
/// Read field by field: etherparse's slices refuse a header whose end or options were cut.
///
/// # Errors
///
/// TCP or UDP was cut before its ports, or its header cannot be right.
pub(super) fn read(protocol: IpProtocol, layer: Layer) -> Result<Transport, Undecoded> {
    let bare = Transport {
        ports: (0, 0),
        tcp: None,
        spi: None,
        gre_key: None,
        payload: layer,
    };
    let ports = || match (layer.u16(0), layer.u16(2)) {
        (Some(from), Some(to)) => Ok((from, to)),
        _ => Err(Undecoded::CutTransport),
    };
    Ok(match protocol {
        IpProtocol::TCP => Transport {
            payload: tcp_payload(layer)?,
            ports: ports()?,
            tcp: tcp_header(layer),
            ..bare
        },
        IpProtocol::UDP => Transport {
            payload: udp_payload(layer)?,
            ports: ports()?,
            ..bare
        },
        IpProtocol::ESP => Transport {
            spi: layer.u32(0),
            ..bare
        },
        IpProtocol::AH => Transport {
            spi: layer.u32(4),
            ..bare
        },
        IpProtocol::GRE => Transport {
            gre_key: gre::read(layer).and_then(|header| header.key),
            ..bare
        },
        _ => bare,
    })
}

/// RFC 9293 3.1, up to the flags.
fn tcp_header(layer: Layer) -> Option<TcpHeader> {
    Some(TcpHeader {
        sequence: layer.u32(4)?,
        acknowledgement: layer.u32(8)?,
        flags: layer.u8(13)?,
        answer: answer(layer),
    })
}

/// The options of a SYN-ACK, if all of them were captured.
fn answer(layer: Layer) -> Option<TcpOptions> {
    const SYN_ACK: u8 = TcpHeader::SYN | TcpHeader::ACK;
    let header = usize::from(layer.u8(12)? >> 4) * 4;
    match layer.u8(13)? & SYN_ACK {
        SYN_ACK => TcpOptions::read(layer.bytes().get(TCP_HEADER..header)?),
        _ => None,
    }
}

/// Bytes in a TCP header without options.
const TCP_HEADER: usize = 20;

/// What follows the TCP header; nothing where its length was cut away.
fn tcp_payload(layer: Layer) -> Result<Layer, Undecoded> {
    let header = match layer.u8(12) {
        Some(byte) => usize::from(byte >> 4) * 4,
        None => TCP_HEADER,
    };
    // Lengths on the wire: what the capture cut is not the header's fault.
    match header {
        TCP_HEADER.. if header <= layer.wire() => Ok(layer.after(header)),
        _ => Err(Undecoded::BadTransport),
    }
}

/// Bytes in a UDP header.
const UDP_HEADER: usize = 8;

/// What follows the UDP header (RFC 768). The length field ends it where it can be right: it is
/// beyond the packet in a first fragment, and 0 in jumbograms alone (RFC 2675 4).
fn udp_payload(layer: Layer) -> Result<Layer, Undecoded> {
    let payload = layer.after(UDP_HEADER);
    match layer.u16(4).map(usize::from) {
        None => Ok(payload),
        Some(length @ UDP_HEADER..) => Ok(payload.at_most(length - UDP_HEADER)),
        Some(0) if layer.wire() > usize::from(u16::MAX) => Ok(payload),
        Some(_) => Err(Undecoded::BadTransport),
    }
}
