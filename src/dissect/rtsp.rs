//! Real-Time Streaming Protocol (RFC 2326).

use crate::dissect::text::{StartLine, start_line};
use crate::dissect::{Definition, Input, Look, Role, probe_stream};
use crate::model::protocol::Protocol;

/// RTSP over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Rtsp,
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
};
