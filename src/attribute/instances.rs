//! Instances of servers, by name, and where they listen: what SQL Server's browser answers.
//!
//! Unlike a transfer that two hosts agree on, an instance is there for every client, and stays.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::catalog::ServiceId;
use crate::model::five_tuple::{IpProtocol, Peer};
use crate::model::packet::Frame;
use crate::model::protocol::Field;
use crate::model::time::Timestamp;

/// How many places are kept: a network of a thousand hosts with ten instances each fits ten times.
pub const MAX_INSTANCES: usize = 100_000;

/// An instance of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where its name was told.
    pub field: Field,
    /// Its name, as sent. Escape before showing.
    pub name: String,
    /// The service that it is, as far as the catalog knows.
    pub service: Option<ServiceId>,
    /// The frame that told it first.
    pub frame: Frame,
    /// When that was captured.
    pub since: Timestamp,
}

type Place = (IpAddr, IpProtocol, u16);

/// Instances by where they listen. The first that is told of a place stays there: a port changes
/// hands only when an administrator moves it, and whoever lies later moves nothing.
#[derive(Debug)]
pub struct Instances {
    /// How many are kept.
    bound: usize,
    places: BTreeMap<Place, Instance>,
    /// Instances that did not fit the bound.
    pub given_up: u64,
}

impl Instances {
    /// At most so many.
    pub fn within(bound: usize) -> Instances {
        Instances {
            bound,
            places: BTreeMap::new(),
            given_up: 0,
        }
    }

    /// Learns that an instance listens there.
    pub fn learn(&mut self, at: Peer, protocol: IpProtocol, instance: Instance) {
        let place = (at.address, protocol, at.port);
        if self.places.len() < self.bound || self.places.contains_key(&place) {
            self.places.entry(place).or_insert(instance);
        } else {
            self.given_up += 1;
        }
    }

    /// The instance that listens there.
    pub fn find(&self, at: Peer, protocol: IpProtocol) -> Option<&Instance> {
        self.places.get(&(at.address, protocol, at.port))
    }

    /// Every instance, by server, protocol and port.
    pub fn all(&self) -> impl Iterator<Item = (IpAddr, IpProtocol, u16, &Instance)> {
        (self.places.iter()).map(|((host, protocol, port), known)| (*host, *protocol, *port, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::packet::CaptureId;

    fn instance(number: u64) -> Instance {
        Instance {
            field: Field::new(&["instance", "instance"]),
            name: number.to_string(),
            service: None,
            frame: Frame {
                capture: CaptureId(0),
                number,
            },
            since: Timestamp::from_nanos(0),
        }
    }

    fn peer(number: u32) -> Peer {
        Peer {
            address: std::net::Ipv4Addr::from(number).into(),
            port: 1433,
        }
    }

    #[test]
    fn the_first_that_is_told_of_a_place_stays() {
        let mut instances = Instances::within(MAX_INSTANCES);
        instances.learn(peer(1), IpProtocol::TCP, instance(1));
        instances.learn(peer(1), IpProtocol::TCP, instance(2));
        let found = instances.find(peer(1), IpProtocol::TCP);
        assert_eq!(found.map(|known| known.frame.number), Some(1));
        assert_eq!(instances.find(peer(1), IpProtocol::UDP), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_counted() {
        let mut instances = Instances::within(MAX_INSTANCES);
        for number in 0..MAX_INSTANCES as u32 + 5 {
            instances.learn(peer(number), IpProtocol::TCP, instance(1));
        }
        assert_eq!(
            (instances.all().count(), instances.given_up),
            (MAX_INSTANCES, 5)
        );
    }
}
