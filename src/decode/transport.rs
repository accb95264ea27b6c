//! Transport headers: from what IP carries to ports and payload.

use super::gre;
use super::layer::Layer;
use crate::model::five_tuple::IpProtocol;
use crate::model::packet::TcpHeader;

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

/// Reads the header of `protocol`. `None` where TCP or UDP was cut before its ports.
///
/// Read field by field: etherparse's slices refuse a header whose end or options were cut.
pub(super) fn read(protocol: IpProtocol, layer: Layer) -> Option<Transport> {
    let bare = Transport {
        ports: (0, 0),
        tcp: None,
        spi: None,
        gre_key: None,
        payload: layer,
    };
    let ports = || Some((layer.u16(0)?, layer.u16(2)?));
    Some(match protocol {
        IpProtocol::TCP => Transport {
            ports: ports()?,
            tcp: tcp_header(layer),
            payload: tcp_payload(layer),
            ..bare
        },
        IpProtocol::UDP => Transport {
            ports: ports()?,
            payload: udp_payload(layer),
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
    })
}

/// What follows the TCP header. Nothing where its length cannot be right, or was cut away.
fn tcp_payload(layer: Layer) -> Layer {
    match layer.u8(12).map(|byte| usize::from(byte >> 4) * 4) {
        Some(header @ 20..) => layer.after(header),
        _ => layer.at_most(0),
    }
}

/// What follows the UDP header (RFC 768). The length field ends it where it can be right: it is 0
/// in jumbograms and with segmentation offload, and beyond the packet in a first fragment.
fn udp_payload(layer: Layer) -> Layer {
    let payload = layer.after(8);
    match layer.u16(4) {
        Some(length @ 8..) => payload.at_most(usize::from(length) - 8),
        _ => payload,
    }
}
