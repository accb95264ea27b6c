//! Real-Time Streaming Protocol (RFC 2326).

use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{Definition, Example, Input, Look, Role, probe_stream};
use crate::model::protocol::Protocol;

/// Real-Time Streaming Protocol (RFC 2326).
pub const PROTOCOL: Protocol = Protocol::new("rtsp", "RTSP");

/// RTSP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[554],
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(match start_line(bytes, "RTSP/")? {
                StartLine::Request(_) => Look::By(Role::Client),
                StartLine::Status => Look::By(Role::Server),
                StartLine::Other => Look::Other,
            })
        })
    },
    follow: None,
    says: &[],
    examples: &[Example {
        port: 554,
        client: b"DESCRIBE rtsp://h/v RTSP/1.0\r\n",
        server: b"RTSP/1.0 200 OK\r\n",
    }],
};
