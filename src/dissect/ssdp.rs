//! Simple Service Discovery Protocol (UPnP Device Architecture 1.3): HTTP's lines over UDP.

use crate::dissect::read::Short;
use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{Definition, Example, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// Simple Service Discovery Protocol (UPnP Device Architecture).
pub const PROTOCOL: Protocol = Protocol::new("ssdp", "SSDP");

/// SSDP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[1900],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1900,
        client: b"M-SEARCH * HTTP/1.1\r\n",
        server: b"HTTP/1.1 200 OK\r\n",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match start_line(bytes, "HTTP/")? {
        StartLine::Request(b"M-SEARCH" | b"NOTIFY") => Look::By(Role::Client),
        StartLine::Status => Look::By(Role::Server),
        _ => Look::Other,
    })
}
