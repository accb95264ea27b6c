//! Transfers that two hosts agreed on: FTP data connections, TFTP transfers, calls of PPTP.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::dissect::Role;
use crate::flow::ended::EndedFlow;
use crate::model::evidence::Assignment;
use crate::model::five_tuple::{IpProtocol, Peer};
use crate::model::packet::Frame;
use crate::model::time::Timestamp;

/// How many are kept; then the oldest is forgotten. Their connections come within seconds.
pub const MAX_APPOINTMENTS: usize = 200_000;

/// How many are kept of one endpoint: a client may name the same port for every transfer.
pub const MAX_AT_ONE_PLACE: usize = 64;

/// How long after the negotiation a data connection may come: FTP servers of Windows wait this
/// long for one, and TFTP clients repeat themselves well within it.
const VALID: Duration = Duration::from_secs(120);

/// How long a call may last: until who dialled in hangs up. A day is what administrators allow.
const CALL_VALID: Duration = Duration::from_secs(24 * 3600);

/// How much earlier than the words that arranged it a connection may be captured.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// A transfer that two hosts agreed on.
#[derive(Clone, Debug)]
pub struct Appointment {
    /// By which negotiation.
    pub by: &'static Assignment,
    /// The frame that proves it.
    pub frame: Frame,
    /// The server of the negotiating flow.
    pub server: Peer,
    /// What carried the negotiation: TCP or UDP.
    pub over: IpProtocol,
    /// The host that will connect to the endpoint.
    pub guest: IpAddr,
    /// Who waits at the endpoint: the client or the server of the negotiating flow.
    pub awaited_by: Role,
    time: Timestamp,
}

impl Appointment {
    /// An agreement proved by `frame`, on a flow of `server`, that `guest` will connect to the
    /// side that waits.
    pub fn new(
        by: &'static Assignment,
        frame: Frame,
        server: (Peer, IpProtocol),
        guest: Peer,
        awaited_by: Role,
        time: Timestamp,
    ) -> Appointment {
        let (server, over) = server;
        Appointment {
            by,
            frame,
            server,
            over,
            guest: guest.address,
            awaited_by,
            time,
        }
    }
}

type Place = (IpAddr, IpProtocol, u16);

/// The transfers that were agreed on, by where they will arrive.
#[derive(Debug)]
pub struct Appointments {
    /// How many are kept.
    bound: usize,
    places: HashMap<Place, VecDeque<Appointment>, RandomState>,
    /// The place of each that is kept, in the order in which they were made.
    order: VecDeque<Place>,
}

impl Default for Appointments {
    fn default() -> Appointments {
        Appointments::within(MAX_APPOINTMENTS)
    }
}

impl Appointments {
    /// At most so many.
    pub fn within(bound: usize) -> Appointments {
        Appointments {
            bound,
            places: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    /// Learns that a transfer will reach `listener`.
    pub fn make(&mut self, listener: Peer, protocol: IpProtocol, appointment: Appointment) {
        let place = (listener.address, protocol, listener.port);
        let here = self.places.entry(place).or_default();
        here.push_back(appointment);
        if here.len() > MAX_AT_ONE_PLACE {
            // Its turn in the order now stands for the new one.
            here.pop_front();
            return;
        }
        self.order.push_back(place);
        if self.order.len() > self.bound {
            self.forget_oldest();
        }
    }

    /// The transfer that was agreed on for a connection from `guest` to `listener`.
    pub fn find(
        &self,
        guest: IpAddr,
        listener: Peer,
        protocol: IpProtocol,
        moment: Timestamp,
    ) -> Option<&Appointment> {
        self.find_within(VALID, guest, listener, protocol, moment)
    }

    /// The call that a flow of GRE began with: its first packet carries the id that the receiver
    /// chose, which stands in the place of a port.
    pub fn find_call(&self, flow: &EndedFlow) -> Option<&Appointment> {
        let id = u16::try_from(flow.gre_key()?).ok()?;
        let listener = Peer {
            port: id,
            ..flow.tuple.destination
        };
        let (guest, protocol) = (flow.tuple.source.address, flow.tuple.protocol);
        self.find_within(CALL_VALID, guest, listener, protocol, flow.start)
    }

    fn find_within(
        &self,
        valid: Duration,
        guest: IpAddr,
        listener: Peer,
        protocol: IpProtocol,
        moment: Timestamp,
    ) -> Option<&Appointment> {
        let here = self
            .places
            .get(&(listener.address, protocol, listener.port))?;
        here.iter().rev().find(|made| {
            made.guest == guest
                && moment.since(made.time) <= valid
                && made.time.since(moment) <= OVERTAKEN
        })
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else {
            return;
        };
        if let Some(here) = self.places.get_mut(&place) {
            here.pop_front();
            if here.is_empty() {
                self.places.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::packet::CaptureId;
    use crate::model::protocol::Protocol;

    const DATA: Assignment = Assignment {
        name: "data",
        application: "data",
        lead: "assigned",
        protocol: Protocol::new(&["talk", "Talk"]),
    };

    fn peer(last: u8, port: u16) -> Peer {
        Peer {
            address: [192, 0, 2, last].into(),
            port,
        }
    }

    fn seconds(count: i128) -> Timestamp {
        Timestamp::from_nanos(count * 1_000_000_000)
    }

    fn made_at(second: i128) -> Appointment {
        let frame = Frame {
            capture: CaptureId(0),
            number: second as u64,
        };
        Appointment::new(
            &DATA,
            frame,
            (peer(9, 21), IpProtocol::TCP),
            peer(1, 50_000),
            Role::Server,
            seconds(second),
        )
    }

    fn found(appointments: &Appointments, guest: Peer, second: i128) -> Option<u64> {
        let listener = peer(9, 1025);
        let moment = seconds(second);
        (appointments.find(guest.address, listener, IpProtocol::TCP, moment))
            .map(|found| found.frame.number)
    }

    #[test]
    fn a_transfer_is_expected_from_the_guest_alone_and_for_a_while() {
        let mut appointments = Appointments::default();
        appointments.make(peer(9, 1025), IpProtocol::TCP, made_at(100));
        assert_eq!(found(&appointments, peer(1, 7), 101), Some(100));
        assert_eq!(found(&appointments, peer(2, 7), 101), None);
        assert_eq!(found(&appointments, peer(1, 7), 221), None);
        assert_eq!(found(&appointments, peer(1, 7), 90), None);
    }

    #[test]
    fn the_latest_of_several_is_meant() {
        let mut appointments = Appointments::default();
        for second in [100, 110] {
            appointments.make(peer(9, 1025), IpProtocol::TCP, made_at(second));
        }
        assert_eq!(found(&appointments, peer(1, 7), 111), Some(110));
    }

    #[test]
    fn what_is_kept_is_bounded_at_a_place_and_in_all() {
        let mut appointments = Appointments::default();
        for second in 0..1000 {
            appointments.make(peer(9, 1025), IpProtocol::TCP, made_at(second));
        }
        assert_eq!(appointments.order.len(), MAX_AT_ONE_PLACE);
        for port in 0..MAX_APPOINTMENTS {
            let listener = peer((port >> 16) as u8, port as u16);
            appointments.make(listener, IpProtocol::UDP, made_at(0));
        }
        assert_eq!(appointments.order.len(), MAX_APPOINTMENTS);
        assert_eq!(found(&appointments, peer(1, 7), 999), None);
    }
}
