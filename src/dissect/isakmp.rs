//! Internet Key Exchange, versions 1 and 2 (RFC 2408, RFC 7296).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, Input, Look, Role, filled, is_long_enough, probe_datagram,
};
use crate::model::protocol::Protocol;

/// Internet Key Exchange (RFC 7296, RFC 2408).
pub const PROTOCOL: Protocol = Protocol::new("isakmp", "ISAKMP");

/// IKE over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[500],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 500,
        client: &filled::<40>(
            b"\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0\0\0\0\0! \"\x08\0\0\0\0\0\0\0(",
            0,
        ),
        server: b"",
    }],
};

/// Looks at one message, which fills its datagram.
///
/// # Errors
/// `Short` if it is shorter than its header.
pub fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (initiator, responder) = (r.u64()?, r.u64()?);
    let [_next, version, exchange, flags] = r.array()?;
    let (_message, len) = (r.u32()?, r.u32()?);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if initiator == 0 || len < 28 || len < bytes.len() || !is_long_enough(bytes, len) {
        return Ok(Look::Other);
    }
    Ok(match (version, exchange, flags) {
        // Who answers has chosen a cookie of its own; later messages may come from either.
        (0x10, 1..=6 | 32..=35, 0..=7) if responder == 0 => Look::By(Role::Client),
        (0x10, 1..=6 | 32..=35, 0..=7) => Look::ByEither,
        (0x20, IKE_SA_INIT, 0x08) => Look::By(Role::Client),
        (0x20, IKE_SA_INIT, 0x20) => Look::By(Role::Server),
        (0x20, IKE_SA_INIT..=39 | 43 | 44, _) if flags & !0x38 == 0 => Look::ByEither,
        _ => Look::Other,
    })
}

const IKE_SA_INIT: u8 = 34;
