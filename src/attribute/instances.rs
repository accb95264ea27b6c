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
/// hands only when an administrator moves it, and whoever lies later moves nothing. Where answers
/// differ about a place, nothing is believed of it any more.
#[derive(Debug)]
pub struct Instances {
    /// How many are kept.
    bound: usize,
    /// None is there where answers differ.
    places: BTreeMap<Place, Option<Instance>>,
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
        if self.has_room_for(&place) {
            self.places.entry(place).or_insert(Some(instance));
        } else {
            self.given_up += 1;
        }
    }

    /// Learns that answers differ in what listens there; says whether that is new.
    pub fn contest(&mut self, at: Peer, protocol: IpProtocol) -> bool {
        let place = (at.address, protocol, at.port);
        let is_new = !matches!(self.places.get(&place), Some(None));
        if self.has_room_for(&place) {
            self.places.insert(place, None);
        }
        is_new
    }

    fn has_room_for(&self, place: &Place) -> bool {
        self.places.len() < self.bound || self.places.contains_key(place)
    }

    /// The instance that listens there.
    pub fn find(&self, at: Peer, protocol: IpProtocol) -> Option<&Instance> {
        self.places.get(&(at.address, protocol, at.port))?.as_ref()
    }

    /// Every instance, by server, protocol and port.
    pub fn all(&self) -> impl Iterator<Item = (IpAddr, IpProtocol, u16, &Instance)> {
        self.places
            .iter()
            .filter_map(|((host, protocol, port), known)| {
                Some((*host, *protocol, *port, known.as_ref()?))
            })
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
    fn where_answers_differ_nothing_is_believed_any_more() {
        let mut instances = Instances::within(MAX_INSTANCES);
        instances.learn(peer(1), IpProtocol::TCP, instance(1));
        assert!(instances.contest(peer(1), IpProtocol::TCP));
        instances.learn(peer(1), IpProtocol::TCP, instance(2));
        assert_eq!(instances.find(peer(1), IpProtocol::TCP), None);
        assert_eq!(instances.all().count(), 0);
        assert!(!instances.contest(peer(1), IpProtocol::TCP), "it is known");
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
