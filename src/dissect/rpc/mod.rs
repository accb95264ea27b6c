//! DCE/RPC (C706, MS-RPCE): who binds which interface, and what the endpoint mapper answers.
//!
//! Over connections: [`connection`] cuts the streams into PDUs, [`pdu`] reads their headers,
//! [`association`] keeps what they prove, with [`bind`] for offers and answers, [`stubs`] for calls
//! in fragments, [`epm`] and [`tower`] for the endpoint mapper, [`dcom`], [`activation`] and
//! [`dual_string`] for activation and object exporters. Over datagrams: [`datagram`].

pub mod activation;
pub mod association;
pub mod bind;
pub mod connection;
pub mod datagram;
pub mod dcom;
pub mod dual_string;
pub mod epm;
pub mod pdu;
#[cfg(test)]
pub(crate) mod samples;
pub mod stubs;
pub mod tower;

use crate::dissect::read::Short;
use crate::dissect::rpc::connection::Connection;
use crate::dissect::rpc::pdu::{HEADER_LEN, Header};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Opening, Probe, ntlm, rpc_http, text,
};
use crate::model::protocol::Protocol;

/// DCE/RPC, connection-oriented (C706, MS-RPCE).
pub const PROTOCOL: Protocol = Protocol::new(&["rpc", "RPC"]);

/// DCE/RPC, connectionless (C706).
pub const CONNECTIONLESS: Protocol = Protocol::new(&["rpc-datagram", "RPC"]);

/// RPC over TCP.
pub const CONNECTION: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[
        135, 1025, 1026, 1027, 49152, 49153, 49154, 49155, 49156, 49157,
    ],
    begins: FirstBytes::of(&[5]),
    probe,
    follow: Some(|_| Box::new(Connection::default())),
    says: &[ntlm::VERSION, dcom::HOST],
    examples: &[
        Example {
            port: 49154,
            client: b"\x05\0\x0b\x03\x10\0\0\0H\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\0\0\0\0\x01\0\0\0\
        \0\0\x01\0xW4\x124\x12\xcd\xab\xef\0\x01#Eg\x89\xac\x01\0\0\0\x04]\x88\x8a\
        \xeb\x1c\xc9\x11\x9f\xe8\x08\0+\x10H`\x02\0\0\0",
            server: b"\x05\0\x0c\x03\x10\0\0\0<\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\x01\x02\x03\x04\
        \x06\x0049154\0\x01\0\0\0\0\0\0\0\x04]\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0+\
        \x10H`\x02\0\0\0",
        },
        Example {
            port: 135,
            client: b"",
            server: b"\x05\0\x0c\x03\x10\0\0\0<\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\x01\x02\x03\x04\
        \x06\x0049154\0\x01\0\0\0\0\0\0\0\x04]\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0+\
        \x10H`\x02\0\0\0",
        },
    ],
};

/// RPC over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: CONNECTIONLESS,
    input: Input::Datagram,
    usual_ports: &[135],
    begins: FirstBytes::of(&[4]),
    probe: datagram::probe,
    follow: Some(|_| Box::new(datagram::Calls::default())),
    says: &[],
    examples: &[Example {
        port: 135,
        client: b"\x04\0\0\0\x10\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0",
        server: b"\x04\x02\0\0\x10\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\
        \x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0",
    }],
};

fn probe(opening: &Opening) -> Probe {
    let mut answer = Probe::No;
    // A server that greets speaks RPC over HTTP.
    match text::begins(opening.reverse, rpc_http::GREETING) {
        Err(Short) if !opening.reverse.is_empty() => return Probe::NeedMore,
        Ok(true) => return Probe::No,
        _ => {}
    }
    for (from, bytes) in opening.sides() {
        match Header::recognise(bytes) {
            Some(header) => {
                return Probe::Yes(header.kind.sender().map(|role| role.client(from)));
            }
            None if bytes.len() < HEADER_LEN && Header::may_begin(bytes) => {
                answer = Probe::NeedMore;
            }
            None => {}
        }
    }
    answer
}
