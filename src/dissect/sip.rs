//! Session Initiation Protocol (RFC 3261).

use crate::dissect::read::Short;
use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{Definition, Input, Look, Role, probe_datagram, probe_stream};
use crate::model::protocol::Protocol;

/// SIP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::Sip,
    input: Input::Datagram,
    usual_ports: &[5060],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
};

/// SIP over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Sip,
    input: Input::Stream,
    usual_ports: &[5060],
    probe: |opening| probe_stream(opening, look),
    follow: None,
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, "SIP/")? {
        StartLine::Request(_) => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        StartLine::Other => Look::Other,
    })
}
