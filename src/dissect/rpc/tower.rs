//! A protocol tower: an interface and where it listens, floor by floor (C706 appendix L, MS-RPCE
//! 2.2.1.2).

use std::net::{IpAddr, Ipv4Addr};

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::model::evidence::Endpoint;
use crate::model::five_tuple::IpProtocol;
use crate::model::uuid::{Interface, Uuid};

/// What a tower says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tower {
    /// The interface of its first floor.
    pub interface: Interface,
    /// The syntax of its second floor.
    pub syntax: Uuid,
    /// Where it listens; `None` where no other host can reach it (local calls), or by protocols
    /// that are not followed.
    pub at: Option<Endpoint>,
}

/// Towers have five floors or six; what claims many more is not read.
const MAX_FLOORS: u16 = 16;

/// Protocol identifiers of floors (C706 appendix I, MS-RPCE 2.2.1.2).
mod id {
    pub const TCP: u8 = 0x07;
    pub const UDP: u8 = 0x08;
    pub const IP: u8 = 0x09;
    pub const UUID: u8 = 0x0d;
    pub const PIPE: u8 = 0x0f;
    pub const HTTP: u8 = 0x1f;
}

/// Reads a tower from its octets.
///
/// # Errors
/// `Short` if the octets end early, or if the first two floors name no interface and syntax.
pub fn read(octets: &[u8]) -> Result<Tower, Short> {
    // Counts are little-endian whatever the PDU says; ports and addresses are big-endian.
    let mut r = Reader::little(octets);
    let floors = r.u16()?;
    if !(3..=MAX_FLOORS).contains(&floors) {
        return Err(Short);
    }
    let interface = identifier(&mut r)?;
    let syntax = identifier(&mut r)?.uuid;
    let (mut port, mut pipe, mut address) = (None, None, None);
    for _ in 2..floors {
        let (protocol, value) = floor(&mut r)?;
        match protocol {
            id::TCP | id::HTTP => port = Some((IpProtocol::TCP, Reader::big(value).u16()?)),
            id::UDP => port = Some((IpProtocol::UDP, Reader::big(value).u16()?)),
            id::IP => {
                let bytes: [u8; 4] = Reader::big(value).array()?;
                address = Some(IpAddr::V4(Ipv4Addr::from(bytes)));
            }
            id::PIPE => pipe = names::pipe(&String::from_utf8_lossy(value)),
            _ => {}
        }
    }
    let at = match (port, pipe) {
        (Some((_, 0)), _) => None,
        (Some((protocol, port)), _) => Some(Endpoint::Port {
            address,
            protocol,
            port,
        }),
        (None, pipe) => pipe.map(|pipe| Endpoint::Pipe(pipe.into())),
    };
    Ok(Tower {
        interface,
        syntax,
        at,
    })
}

/// One floor: its protocol identifier (0xff where it has none), and its right-hand side.
fn floor<'a>(r: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Short> {
    let left = r.u16()?;
    let left = r.take(left.into())?;
    let right = r.u16()?;
    let right = r.take(right.into())?;
    Ok((left.first().copied().unwrap_or(0xff), right))
}

/// A floor that holds a UUID and its version: the major number left, the minor right.
fn identifier(r: &mut Reader) -> Result<Interface, Short> {
    let left = r.u16()?;
    let mut left = r.sub(left.into())?;
    let right = r.u16()?;
    let mut right = r.sub(right.into())?;
    if left.u8()? != id::UUID {
        return Err(Short);
    }
    let uuid = Uuid::from_wire_le(left.array()?);
    Ok(Interface::new(uuid, left.u16()?, right.u16()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::samples::*;

    #[test]
    fn each_transport_gives_its_endpoint() {
        let ip: &[u8] = &[10, 0, 0, 1];
        let tcp = tower_of(SAMR, &[(0x07, &[0xc0, 0x02]), (0x09, ip)]);
        let udp = tower_of(SAMR, &[(0x08, &[0xc0, 0x02]), (0x09, ip)]);
        let http = tower_of(SAMR, &[(0x1f, &[0xc0, 0x02]), (0x09, ip)]);
        let at = |octets: &[u8]| read(octets).expect("a tower").at;
        let port = |protocol| Some(port_at(protocol, 49154, [10, 0, 0, 1]));
        assert_eq!(at(&tcp), port(IpProtocol::TCP));
        assert_eq!(at(&udp), port(IpProtocol::UDP));
        assert_eq!(at(&http), port(IpProtocol::TCP));
        let pipe = tower_of(SAMR, &[(0x0f, b"\\PIPE\\lsass\0"), (0x11, b"\\\\DC1\0")]);
        assert_eq!(at(&pipe), Some(Endpoint::Pipe("lsass".into())));
    }

    #[test]
    fn what_no_other_host_can_reach_has_no_endpoint() {
        for lower in [(0x10, &b"LRPC-1234\0"[..]), (0x07, &[0, 0]), (0x99, b"?")] {
            assert_eq!(read(&tower_of(SAMR, &[lower])).map(|t| t.at), Ok(None));
        }
    }

    #[test]
    fn a_port_without_an_address_keeps_its_port() {
        let tower = read(&tower_of(SAMR, &[(0x07, &[0xc0, 0x02])])).expect("a tower");
        assert_eq!(
            tower.at,
            Some(Endpoint::Port {
                address: None,
                protocol: IpProtocol::TCP,
                port: 49154
            })
        );
        assert_eq!(tower.interface, SAMR);
    }

    #[test]
    fn a_tower_cut_anywhere_is_refused() {
        let octets = tcp_tower(SAMR, 49154, [10, 0, 0, 1]);
        for len in 0..octets.len() {
            assert_eq!(read(&octets[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn a_tower_of_too_many_floors_is_refused() {
        let mut octets = tcp_tower(SAMR, 49154, [10, 0, 0, 1]);
        octets[0] = 200;
        octets.extend([0; 4 * 200]);
        assert_eq!(read(&octets), Err(Short));
    }
}
