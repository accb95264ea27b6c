//! Remote Desktop over UDP (MS-RDPEUDP): its first datagrams, padded with zeros to show how long
//! datagrams may be.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Example, FirstBytes, Input, Look, Role, filled, probe_datagram};
use crate::model::protocol::Protocol;

/// Remote Desktop over UDP (MS-RDPEUDP).
pub const PROTOCOL: Protocol = Protocol::new(&["rdp-udp", "RDP over UDP"]);

/// RDP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[3389],
    begins: FirstBytes::ANY,
    probe: |opening| probe_datagram(opening, look),
    follow: None,
    says: &[],
    examples: &[Example {
        port: 3389,
        client: &filled::<1232>(
            b"\xff\xff\xff\xff\0\x40\0\x01\x12\x34\x56\x78\x04\xd0\x04\xd0",
            0,
        ),
        server: &filled::<1232>(
            b"\x12\x34\x56\x78\0\x40\0\x05\x9a\xbc\xde\xf0\x04\xd0\x04\xd0",
            0,
        ),
    }],
};

/// Flags (MS-RDPEUDP 2.2.2.1).
mod flag {
    pub const SYN: u16 = 0x0001;
    pub const SYN_ACK: u16 = 0x0005;
    /// A best-effort connection; an identifier of the connection; a version.
    pub const BESIDE_SYN: u16 = 0x0200 | 0x0800 | 0x1000;
}

/// What either side may say that datagrams hold (MS-RDPEUDP 2.2.2.5).
const SIZES: std::ops::RangeInclusive<u16> = 1132..=1232;

/// How many bytes at the end are zero at least: a version and a cookie's hash may stand before.
const PADDING: usize = 512;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (acknowledged, window, flags) = (r.u32()?, r.u16()?, r.u16()?);
    let (_sequence, up, down) = (r.u32()?, r.u16()?, r.u16()?);
    let is_padded = bytes.iter().rev().take(PADDING).all(|byte| *byte == 0);
    let fits = window != 0
        && SIZES.contains(&up)
        && SIZES.contains(&down)
        && bytes.len() >= usize::from(*SIZES.start())
        && bytes.len() <= usize::from(*SIZES.end())
        && is_padded;
    Ok(match flags & !flag::BESIDE_SYN {
        // Nothing was received yet (MS-RDPEUDP 3.1.5.1.1).
        flag::SYN if fits && acknowledged == u32::MAX => Look::By(Role::Client),
        flag::SYN_ACK if fits => Look::By(Role::Server),
        _ => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(head: &[u8], len: usize) -> Vec<u8> {
        let mut datagram = head.to_vec();
        datagram.resize(len, 0);
        datagram
    }

    const SYN: &[u8] = b"\xff\xff\xff\xff\0\x40\x12\x01\x12\x34\x56\x78\x04\xd0\x04\xd0";

    #[test]
    fn both_sides_open_with_padded_datagrams() {
        assert_eq!(look(&datagram(SYN, 1232)), Ok(Look::By(Role::Client)));
        let answer = [b"\x12\x34\x56\x78\0\x40\0\x05", &SYN[8..]].concat();
        assert_eq!(look(&datagram(&answer, 1232)), Ok(Look::By(Role::Server)));
    }

    #[test]
    fn without_padding_sizes_or_flags_it_is_refused() {
        let mut late = datagram(SYN, 1232);
        late[1000] = 1;
        let data = [&SYN[..6], b"\0\x09", &SYN[8..]].concat();
        let sizes = [&SYN[..12], b"\x05\xdc\x05\xdc"].concat();
        for other in [
            datagram(SYN, 200),
            datagram(SYN, 1233),
            late,
            datagram(&data, 1232),
            datagram(&sizes, 1232),
            datagram(&[0; 16], 1232),
        ] {
            assert_eq!(look(&other), Ok(Look::Other));
        }
    }

    #[test]
    fn a_torn_datagram_is_short_or_refused() {
        let whole = datagram(SYN, 1232);
        for len in 0..1132 {
            assert!(
                !matches!(look(Reader::big(&whole).up_to(len)), Ok(Look::By(_))),
                "{len}"
            );
        }
    }
}
