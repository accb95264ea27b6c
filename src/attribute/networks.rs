//! Which addresses are the user's own: only there does a port alone name a service.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The user's networks.
#[derive(Clone, Debug)]
pub struct Networks(Vec<IpNet>);

/// Private (RFC 1918, RFC 4193), link-local (RFC 3927, RFC 4291 2.5.6) and loopback addresses.
const OWN: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

impl Default for Networks {
    /// Private, link-local, loopback and unique local addresses.
    fn default() -> Networks {
        let parse = |net: &&str| net.parse().expect("the built-in networks are well formed");
        Networks(OWN.iter().map(parse).collect())
    }
}

impl Networks {
    /// These networks; the default ones if there are none.
    pub fn new(networks: Vec<IpNet>) -> Networks {
        if networks.is_empty() {
            return Networks::default();
        }
        Networks(networks)
    }

    /// Whether the address is the user's. An address of a group of hosts (multicast, the limited
    /// broadcast) does not leave the network it is sent in, and counts as the user's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_group(address) || self.0.iter().any(|net| net.contains(&address))
    }
}

/// Whether the address names many hosts: it never sends, so it is never a client.
pub fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn private_addresses_are_the_users_and_public_ones_are_not() {
        let networks = Networks::new(Vec::new());
        for own in [
            "10.1.2.3",
            "192.168.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "239.255.255.250",
        ] {
            assert!(networks.contains(address(own)), "{own}");
        }
        for public in ["8.8.8.8", "2001:db8::1", "172.32.0.1"] {
            assert!(!networks.contains(address(public)), "{public}");
        }
    }

    #[test]
    fn named_networks_replace_the_default() {
        let networks = Networks::new(vec!["198.51.100.0/24".parse().expect("a network")]);
        assert!(networks.contains(address("198.51.100.7")));
        assert!(!networks.contains(address("10.1.2.3")));
    }
}
