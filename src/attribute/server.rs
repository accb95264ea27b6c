//! Who is the server of a flow: settled before anything is said about its service.

use crate::attribute::endpoints::EndpointMap;
use crate::attribute::networks::is_group;
use crate::catalog::Catalog;
use crate::dissect::Role;
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol};

/// The direction in which the client of a flow sends.
///
/// A handshake or the payload settles it (`flow.client`). Else the side that is known to listen:
/// a group address, an endpoint that the map knows, a port that the catalog lists on one side only.
/// Else the higher port is the client's, and of equal ports the side that spoke first is.
pub fn client_of(flow: &EndedFlow, catalog: &Catalog, map: &EndpointMap) -> Direction {
    flow.client
        .or_else(|| transfer_client(flow, map))
        .or_else(|| call_client(flow, map))
        .or_else(|| one_sided(|side| is_group(flow.sender(side).address)))
        .or_else(|| one_sided(|side| is_mapped(flow, side, map)))
        .unwrap_or_else(|| by_port(&flow.tuple, catalog))
}

/// The client by ports alone: of a flow whose payload says nothing and whose opening was not seen.
pub fn by_port(tuple: &FiveTuple, catalog: &Catalog) -> Direction {
    if !tuple.protocol.has_ports() {
        return Direction::Forward;
    }
    let ports = [tuple.source.port, tuple.destination.port];
    let is_listed = |side: Direction| {
        let uses = catalog.port(tuple.protocol, ports[side.index()]);
        uses.iter().any(|known| !known.quirk)
    };
    one_sided(is_listed).unwrap_or(if ports[0] < ports[1] {
        Direction::Reverse
    } else {
        Direction::Forward
    })
}

/// The client's direction, if exactly one side is a server's by this test.
fn one_sided(is_server: impl Fn(Direction) -> bool) -> Option<Direction> {
    match (is_server(Direction::Forward), is_server(Direction::Reverse)) {
        (true, false) => Some(Direction::Reverse),
        (false, true) => Some(Direction::Forward),
        _ => None,
    }
}

fn is_mapped(flow: &EndedFlow, side: Direction, map: &EndpointMap) -> bool {
    let protocol = flow.tuple.protocol;
    !(map.tenants(flow.sender(side), protocol, flow.start)).is_empty()
}

/// A transfer over UDP may come from the server, from a port that nobody knows before (RFC 1350 4):
/// the side that was announced as waiting for it is the client then.
fn transfer_client(flow: &EndedFlow, map: &EndpointMap) -> Option<Direction> {
    let is_request = |e: &Evidence| matches!(e.claim, Claim::Assigned { .. });
    if flow.tuple.protocol != IpProtocol::UDP || flow.evidence.iter().any(is_request) {
        return None;
    }
    [Direction::Forward, Direction::Reverse]
        .into_iter()
        .find(|side| {
            let guest = flow.sender(side.reversed()).address;
            let listener = flow.sender(*side);
            (map.appointments
                .find(guest, listener, flow.tuple.protocol, flow.start))
            .is_some_and(|a| a.awaited_by == Role::Client)
        })
}

/// A call is set up over a connection, whose server is the call's.
fn call_client(flow: &EndedFlow, map: &EndpointMap) -> Option<Direction> {
    let call = map.appointments.find_call(flow)?;
    one_sided(|side| flow.sender(side).address == call.server.address)
}
