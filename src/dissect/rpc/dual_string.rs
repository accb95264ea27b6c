//! String bindings (MS-DCOM 2.2.19): at which ports an object exporter listens, and at which hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::dissect::read::{Reader, Short};
use crate::model::evidence::Endpoint;
use crate::model::five_tuple::IpProtocol;

/// The most endpoints that are kept of one array. An exporter has a port or two, at each name and
/// address of its host.
const MAX_ENDPOINTS: usize = 64;

/// The most hosts that are kept of one array: a name or two, and an address for each network.
const MAX_HOSTS: usize = 16;

/// The longest name of a host that is kept: what DNS allows (RFC 1035 2.3.4).
const MAX_NAME: usize = 255;

/// What an array says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// Ports with their addresses, each once. A host that is named by name has no address.
    pub endpoints: BTreeSet<Endpoint>,
    /// Names and addresses of the host alone, each once, as sent.
    pub hosts: BTreeSet<String>,
}

/// `ncacn_ip_tcp` (C706 appendix I).
const TCP: u16 = 0x07;
/// `ncadg_ip_udp`.
const UDP: u16 = 0x08;
/// `ncacn_http`.
const HTTP: u16 = 0x1f;

/// Reads a DUALSTRINGARRAY behind its referent, as a conformant structure: the ports among its
/// string bindings, and the bindings to the host alone. What is no port of TCP or UDP is left out.
///
/// # Errors
/// `Short` if the array does not agree with itself or ends early.
pub fn read(r: &mut Reader) -> Result<Bindings, Short> {
    r.align(4)?;
    let most = r.u32()?;
    let (entries, security) = (r.u16()?, r.u16()?);
    if most != u32::from(entries) || security > entries {
        return Err(Short);
    }
    let mut all = r.sub(usize::from(entries) * 2)?;
    let mut strings = all.sub(usize::from(security) * 2)?;
    let mut bindings = Bindings::default();
    let Bindings { endpoints, hosts } = &mut bindings;
    loop {
        let tower = strings.u16()?;
        if tower == 0 {
            break;
        }
        let address = text(&mut strings)?;
        if endpoints.len() < MAX_ENDPOINTS {
            endpoints.extend(endpoint(tower, &address));
        }
        if hosts.len() < MAX_HOSTS && is_host(tower, &address) {
            hosts.insert(address);
        }
    }
    // An empty list has a second terminator: the shortest array is four zeros.
    match strings.left() {
        0 => Ok(bindings),
        2 if endpoints.is_empty() && strings.u16() == Ok(0) => Ok(bindings),
        _ => Err(Short),
    }
}

/// UTF-16 up to its terminator.
fn text(r: &mut Reader) -> Result<String, Short> {
    let mut units = Vec::new();
    loop {
        match r.u16()? {
            0 => return Ok(String::from_utf16_lossy(&units)),
            unit => units.push(unit),
        }
    }
}

/// Whether a binding is to a host alone: a name or an address, without an endpoint.
fn is_host(tower: u16, address: &str) -> bool {
    let may_be = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    let is_name = !address.is_empty() && address.chars().all(may_be);
    tower == TCP && is_name && address.len() <= MAX_NAME
}

/// `host[port]` as an endpoint.
fn endpoint(tower: u16, address: &str) -> Option<Endpoint> {
    let protocol = match tower {
        TCP | HTTP => IpProtocol::TCP,
        UDP => IpProtocol::UDP,
        _ => return None,
    };
    let (host, port) = address.strip_suffix(']')?.rsplit_once('[')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    // A link-local address comes with its zone, which means something to its sender only.
    let (host, _zone) = host.split_once('%').unwrap_or((host, ""));
    Some(Endpoint::Port {
        address: host.parse::<IpAddr>().ok(),
        protocol,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::read::Order;
    use crate::dissect::rpc::samples::*;

    fn endpoints(bytes: &[u8]) -> Result<Vec<Endpoint>, Short> {
        let found = read(&mut Reader::little(bytes))?;
        Ok(found.endpoints.into_iter().collect())
    }

    fn at(address: Option<&str>, protocol: IpProtocol, port: u16) -> Endpoint {
        Endpoint::Port {
            address: address.map(|address| address.parse().expect("an address")),
            protocol,
            port,
        }
    }

    #[test]
    fn names_and_addresses_of_the_host_are_endpoints_with_their_port() {
        let array = dual_strings(&[
            (TCP, "SERVER[49670]"),
            (TCP, "192.0.2.1[49670]"),
            (TCP, "2001:db8::1[49670]"),
            (TCP, "fe80::1%12[49670]"),
            (UDP, "192.0.2.1[1050]"),
            (HTTP, "192.0.2.1[49671]"),
            (TCP, "192.0.2.1[49670]"),
        ]);
        let mut expected = [
            at(None, IpProtocol::TCP, 49670),
            at(Some("192.0.2.1"), IpProtocol::TCP, 49670),
            at(Some("2001:db8::1"), IpProtocol::TCP, 49670),
            at(Some("fe80::1"), IpProtocol::TCP, 49670),
            at(Some("192.0.2.1"), IpProtocol::UDP, 1050),
            at(Some("192.0.2.1"), IpProtocol::TCP, 49671),
        ];
        expected.sort();
        assert_eq!(endpoints(&array), Ok(expected.to_vec()));
        let big = dual_strings_in(Order::Big, &[(TCP, "192.0.2.1[49670]")]);
        let found = read(&mut Reader::big(&big)).expect("an array");
        let at = at(Some("192.0.2.1"), IpProtocol::TCP, 49670);
        assert!(found.endpoints.contains(&at));
    }

    #[test]
    fn a_binding_without_a_port_of_its_own_is_no_endpoint() {
        for address in [
            "192.0.2.1",
            r"\\SERVER[\PIPE\atsvc]",
            "192.0.2.1[]",
            "192.0.2.1[0]",
            "192.0.2.1[65536]",
            "192.0.2.1[+135]",
            "192.0.2.1[135",
        ] {
            let array = dual_strings(&[(TCP, address)]);
            assert_eq!(endpoints(&array), Ok(Vec::new()), "{address}");
        }
        let pipe = dual_strings(&[(0x0f, "SERVER[49670]")]);
        assert_eq!(endpoints(&pipe), Ok(Vec::new()));
        assert_eq!(endpoints(&dual_strings(&[])), Ok(Vec::new()));
    }

    #[test]
    fn a_binding_to_the_host_alone_names_the_host() {
        let array = dual_strings(&[
            (TCP, "SERVER"),
            (TCP, "192.0.2.1"),
            (TCP, "2001:db8::1"),
            (TCP, "192.0.2.1"),
            (TCP, "192.0.2.1[49670]"),
            (TCP, r"\\SERVER[\PIPE\atsvc]"),
            (TCP, ""),
            (TCP, "a b"),
            (UDP, "192.0.2.2"),
        ]);
        let found = read(&mut Reader::little(&array)).expect("an array");
        let hosts: Vec<_> = found.hosts.iter().map(String::as_str).collect();
        assert_eq!(hosts, ["192.0.2.1", "2001:db8::1", "SERVER"]);
    }

    #[test]
    fn an_array_that_disagrees_with_itself_is_refused() {
        let array = dual_strings(&[(TCP, "192.0.2.1[49670]")]);
        for (place, what) in [(0, "conformance"), (4, "entries"), (6, "security offset")] {
            for value in [0, 1, 0xff] {
                let mut broken = array.clone();
                broken[place] = value;
                assert_eq!(endpoints(&broken), Err(Short), "{what} {value}");
            }
        }
    }

    #[test]
    fn an_array_cut_anywhere_is_refused() {
        let array = dual_strings(&[(TCP, "192.0.2.1[49670]")]);
        for len in 0..array.len() {
            assert_eq!(endpoints(&array[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn no_more_is_kept_than_the_bounds() {
        let numbers = || 1..=2 * MAX_ENDPOINTS;
        let ports = numbers().map(|number| format!("192.0.2.1[{number}]"));
        let hosts = numbers().map(|number| format!("HOST{number}"));
        let addresses: Vec<String> = ports.chain(hosts).collect();
        let bindings: Vec<_> = addresses.iter().map(|a| (TCP, a.as_str())).collect();
        let array = dual_strings(&bindings);
        let found = read(&mut Reader::little(&array)).expect("an array");
        let kept = (found.endpoints.len(), found.hosts.len());
        assert_eq!(kept, (MAX_ENDPOINTS, MAX_HOSTS));
    }
}
