//! DCE/RPC (C706, MS-RPCE): who binds which interface, and what the endpoint mapper answers.
//!
//! Over connections: [`connection`] cuts the streams into PDUs, [`pdu`] reads their headers,
//! [`association`] keeps what they prove, with [`bind`] for offers and answers and [`epm`] and
//! [`tower`] for the endpoint mapper. Over datagrams: [`datagram`].

pub mod association;
pub mod bind;
pub mod connection;
pub mod datagram;
pub mod epm;
pub mod pdu;
#[cfg(test)]
pub(crate) mod samples;
pub mod tower;

use crate::dissect::rpc::connection::Connection;
use crate::dissect::rpc::pdu::{HEADER_LEN, Header, Role};
use crate::dissect::{Definition, Input, Opening, Probe};
use crate::model::protocol::Protocol;

/// RPC over TCP.
pub const CONNECTION: Definition = Definition {
    protocol: Protocol::Rpc,
    input: Input::Stream,
    usual_ports: &[
        135, 1025, 1026, 1027, 49152, 49153, 49154, 49155, 49156, 49157,
    ],
    probe,
    follow: Some(|| Box::new(Connection::default())),
};

/// RPC over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::RpcDatagram,
    input: Input::Datagram,
    usual_ports: &[135],
    probe: datagram::probe,
    follow: Some(|| Box::new(datagram::Calls::default())),
};

fn probe(opening: &Opening) -> Probe {
    let mut answer = Probe::No;
    for (from, bytes) in opening.sides() {
        match Header::recognise(bytes) {
            Some(header) => {
                return Probe::Yes(header.kind.sender().map(|role| match role {
                    Role::Client => from,
                    Role::Server => from.reversed(),
                }));
            }
            None if bytes.len() < HEADER_LEN && Header::may_begin(bytes) => {
                answer = Probe::NeedMore;
            }
            None => {}
        }
    }
    answer
}
