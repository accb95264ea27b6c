//! Secure Shell (RFC 4253).

use crate::dissect::text::{BANNER, Greeting, begins};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, probe_stream};
use crate::model::protocol::Protocol;

/// Secure Shell (RFC 4253).
pub const PROTOCOL: Protocol = Protocol::new(&["ssh", "SSH"]);

/// SSH over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[22],
    begins: FirstBytes::of(b"S"),
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
    follow: Some(|opening| Box::new(Greeting::of_answer(opening, &["SSH-"]))),
    says: &[BANNER],
    examples: &[Example {
        port: 22,
        client: b"SSH-2.0-me\r\n",
        server: b"SSH-2.0-you\r\n",
    }],
};
