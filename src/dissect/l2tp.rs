//! Layer Two Tunneling Protocol, version 2 (RFC 2661).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, Input, Look, Opening, Probe, probe_datagram};
use crate::model::protocol::Protocol;

/// Layer Two Tunneling Protocol (RFC 2661).
pub const PROTOCOL: Protocol = Protocol::new("l2tp", "L2TP");

/// L2TP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    probe,
    follow: None,
    says: &[],
    examples: &[Example {
        port: 1701,
        client: b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01",
        server: b"",
    }],
};

const PORT: u16 = 1701;

fn probe(opening: &Opening) -> Probe {
    match probe_datagram(opening, control) {
        Probe::No if opening.has_port(PORT) => probe_datagram(opening, data),
        answer => answer,
    }
}

/// A control message: flags T, L and S with version 2, and a first AVP that names the message.
fn control(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u16()? != 0xc802 || usize::from(r.u16()?) != bytes.len() {
        return Ok(Look::Other);
    }
    r.skip(8)?; // tunnel, session and both sequence numbers
    if r.left() == 0 {
        return Ok(Look::ByEither); // an acknowledgement alone
    }
    let (flags_and_len, vendor, kind, message) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    let is_message_type =
        flags_and_len & 0x7fff == 8 && vendor == 0 && kind == 0 && (1..=16).contains(&message);
    Ok(match is_message_type {
        true => Look::ByEither,
        false => Look::Other,
    })
}

/// A data message, which has little to be told by: reserved bits zero, version 2, a tunnel.
fn data(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let flags = r.u16()?;
    let len_fits = flags & 0x4000 == 0 || usize::from(r.u16()?) == bytes.len();
    let (tunnel, session) = (r.u16()?, r.u16()?);
    let fits = flags & 0xb4ff == 0x0002 && len_fits && tunnel != 0 && session != 0;
    Ok(match fits {
        true => Look::ByEither,
        false => Look::Other,
    })
}
