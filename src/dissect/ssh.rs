//! Secure Shell (RFC 4253).

use crate::dissect::text::{Greeting, begins};
use crate::dissect::{Definition, Input, Look, probe_stream};
use crate::model::protocol::Protocol;

/// SSH over TCP.
pub const STREAM: Definition = Definition {
    protocol: Protocol::Ssh,
    input: Input::Stream,
    usual_ports: &[22],
    probe: |opening| {
        probe_stream(opening, |bytes| {
            Ok(
                match begins(bytes, b"SSH-2.0-")? || begins(bytes, b"SSH-1.")? {
                    true => Look::ByEither,
                    false => Look::Other,
                },
            )
        })
    },
    follow: Some(|_| Box::new(Greeting::of_answer(&["SSH-"]))),
};
