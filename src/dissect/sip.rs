//! Session Initiation Protocol (RFC 3261).

use crate::dissect::read::Short;
use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Role, probe_datagram, probe_stream,
};
use crate::model::protocol::Protocol;

/// Session Initiation Protocol (RFC 3261).
pub const PROTOCOL: Protocol = Protocol::new(&["sip", "SIP"]);

/// SIP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[5060],
    begins: FirstBytes::WORD,
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 5060,
        client: b"INVITE sip:a@b SIP/2.0\r\n",
        server: b"SIP/2.0 100 Trying\r\n",
    }],
};

/// SIP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[5060],
    begins: FirstBytes::WORD,
    probe: |opening| probe_stream(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 5060,
        client: b"INVITE sip:a@b SIP/2.0\r\n",
        server: b"SIP/2.0 100 Trying\r\n",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, "SIP/")? {
        StartLine::Request(_) => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        StartLine::Other => Look::Other,
    })
}
