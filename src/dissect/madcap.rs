//! Multicast Address Dynamic Client Allocation Protocol (RFC 2730), which Windows' DHCP server
//! speaks, too.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// Multicast Address Dynamic Client Allocation Protocol (RFC 2730).
pub const PROTOCOL: Protocol = Protocol::new(&["madcap", "MADCAP"]);

/// MADCAP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[2535],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 2535,
        client: b"\0\x01\0\x01\x12\x34\x56\x78\0\x03\0\x05\0me-1\0\x01\0\x04\0\0\x0e\x10\0\0\0\0",
        server:
            b"\0\x05\0\x01\x12\x34\x56\x78\0\x03\0\x05\0me-1\0\x02\0\x06\0\x01\n\0\0\x01\0\0\0\0",
    }],
};

/// Options (RFC 2730 3).
mod option {
    pub const END: u16 = 0;
    pub const LEASE_ID: u16 = 3;
    /// The last that the document has.
    pub const LAST: u16 = 16;
}

/// Options by rising or any number, each once, which lead to the end of the message; one of them
/// says whose lease it is about.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (version, kind, family) = (r.u8()?, r.u8()?, r.u16()?);
    let role = match kind {
        1 | 3 | 4 | 7 | 8 => Role::Client, // discover, request, renew, release, get information
        2 | 5 | 6 => Role::Server,         // offer, acknowledge, refuse
        _ => return Ok(Look::Other),
    };
    let transaction = r.u32()?;
    if version != 0 || !matches!(family, 1 | 2) || transaction == 0 {
        return Ok(Look::Other);
    }
    let mut seen = [false; option::LAST as usize + 1];
    loop {
        let (code, len) = (r.u16()?, r.u16()?);
        if code == option::END {
            break;
        }
        r.skip(len.into())?;
        match seen.get_mut(usize::from(code)) {
            Some(before) if !*before => *before = true,
            _ => return Ok(Look::Other),
        }
    }
    Ok(match seen[usize::from(option::LEASE_ID)] && r.left() == 0 {
        true => Look::By(role),
        false => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: &[u8] = b"\0\x03\0\x02me";
    const END: &[u8] = b"\0\0\0\0";

    fn message(kind: u8, options: &[&[u8]]) -> Vec<u8> {
        [&[0, kind, 0, 1, 9, 9, 9, 9], &options.concat()[..]].concat()
    }

    #[test]
    fn each_message_tells_who_sends_it() {
        for (kind, role) in [(1, Role::Client), (2, Role::Server), (8, Role::Client)] {
            assert_eq!(look(&message(kind, &[LEASE, END])), Ok(Look::By(role)));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for other in [
            message(9, &[LEASE, END]),
            message(1, &[END]),
            message(1, &[LEASE, LEASE, END]),
            message(1, &[LEASE, END, b"more"]),
            message(1, &[LEASE, b"\0\x63\0\0", END]),
        ] {
            assert_eq!(look(&other), Ok(Look::Other), "{other:x?}");
        }
    }

    #[test]
    fn a_torn_message_is_short() {
        let whole = message(1, &[LEASE, END]);
        for len in 0..whole.len() {
            assert_eq!(look(Reader::big(&whole).up_to(len)), Err(Short));
        }
    }

    #[test]
    fn more_options_than_there_are_is_no_message() {
        let many: Vec<_> = (1..=17u8).flat_map(|code| [0, code, 0, 0]).collect();
        assert_eq!(look(&message(1, &[&many, END])), Ok(Look::Other));
    }
}
