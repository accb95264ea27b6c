//! Domain Name System (RFC 1035), multicast and link-local names included.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, Input, Look, Role, netbios_name, probe_datagram, probe_stream,
};
use crate::model::protocol::Protocol;

/// Domain Name System (RFC 1035).
pub const PROTOCOL: Protocol = Protocol::new("dns", "DNS");

/// DNS over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[53, 5353, 5355],
    probe: |opening| probe_datagram(opening, |bytes| message(Reader::big(bytes))),
    follow: None,
    says: &[],
    examples: &[
        Example {
            port: 53,
            client: b"\x124\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01",
            server: b"\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\0\
        \x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
        },
        Example {
            port: 53,
            client: b"",
            server: b"\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\0\
        \x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
        },
    ],
};

/// DNS over TCP: each message after its length (RFC 1035 4.2.2).
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[53],
    probe: |opening| probe_stream(opening, framed),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 53,
        client: b"\0\x1d\x124\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01",
        server: b"\0-\x124\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\
        \0\x01\0\x01\0\0\0<\0\x04\n\0\0\x01",
    }],
};

/// Bytes in a header.
const HEADER_LEN: usize = 12;

fn framed(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = usize::from(r.u16()?);
    if len < HEADER_LEN + 5 {
        return Ok(Look::Other);
    }
    match r.left() < len {
        true => message(Reader::big(r.rest())),
        // A question that runs over its own message is none: nothing more would mend it.
        false => Ok(message(r.sub(len)?).unwrap_or(Look::Other)),
    }
}

fn message(mut r: Reader) -> Result<Look, Short> {
    let (_id, flags) = (r.u16()?, r.u16()?);
    let (questions, answers, authorities, more) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    let opcode = flags >> 11 & 0xf;
    // Bit 6 is reserved; an opcode of 3 was never assigned.
    if flags & 0x0040 != 0 || !matches!(opcode, 0 | 1 | 2 | 4 | 5) || questions > 64 {
        return Ok(Look::Other);
    }
    if questions == 0 && answers == 0 {
        return Ok(Look::Other);
    }
    let mut start = r.clone();
    if netbios_name::encoded(&mut start)?.is_some() && matches!(start.u16(), Ok(0x20 | 0x21)) {
        return Ok(Look::Other);
    }
    if !name(&mut r)? {
        return Ok(Look::Other);
    }
    let (kind, class) = (r.u16()?, r.u16()?);
    // The top bit is multicast DNS's (RFC 6762 10.2 and 5.4); an update may say NONE or ANY.
    if kind == 0 || !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) {
        return Ok(Look::Other);
    }
    let is_question_alone = questions == 1 && answers == 0 && authorities == 0 && more == 0;
    if is_question_alone && r.left() > 0 {
        return Ok(Look::Other);
    }
    Ok(Look::By(match flags & 0x8000 {
        0 => Role::Client,
        _ => Role::Server,
    }))
}

/// Passes over a name; false if it is none.
fn name(r: &mut Reader) -> Result<bool, Short> {
    let mut len = 0;
    loop {
        match r.u8()? {
            0 => return Ok(true),
            label @ 1..=63 => {
                let label = r.take(label.into())?;
                len += label.len() + 1;
                if len > 255 || label.iter().any(|byte| *byte < 0x20) {
                    return Ok(false);
                }
            }
            // A pointer to an earlier name ends this one (RFC 1035 4.1.4).
            0xc0.. => return r.u8().map(|_| true),
            _ => return Ok(false),
        }
    }
}
