//! The names of RPC: UUIDs, and interfaces (a UUID with its version).

use std::fmt;
use std::str::FromStr;

/// A universally unique identifier (C706 appendix A), kept in the order in which it is printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID of all zeros, which names nothing.
    pub const NIL: Uuid = Uuid([0; 16]);

    /// From its sixteen bytes in printed order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// From its value in printed order, for constants.
    pub const fn from_u128(value: u128) -> Uuid {
        Uuid(value.to_be_bytes())
    }

    /// From the wire where integers are big-endian (C706 14.1, `drep[0]` 0x00).
    pub const fn from_wire_be(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// From the wire where integers are little-endian: the first three fields are swapped.
    pub const fn from_wire_le(b: [u8; 16]) -> Uuid {
        Uuid([
            b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
            b[14], b[15],
        ])
    }

    /// As it is printed. In one piece: rows have millions of them.
    pub fn text(self) -> [u8; 36] {
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let mut text = [b'-'; 36];
        for (byte, place) in self.0.iter().zip(PLACES) {
            text[place] = HEX[usize::from(byte >> 4)];
            text[place + 1] = HEX[usize::from(byte & 0x0f)];
        }
        text
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("digits and dashes are text"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID of the form `e1af8308-5d1f-11c9-91a4-08002b14a0fa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUuid;

impl fmt::Display for NotAUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID; one looks like e1af8308-5d1f-11c9-91a4-08002b14a0fa")
    }
}

impl std::error::Error for NotAUuid {}

impl FromStr for Uuid {
    type Err = NotAUuid;

    /// Reads the printed form, in either case, with or without braces.
    fn from_str(text: &str) -> Result<Uuid, NotAUuid> {
        let text = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(NotAUuid)?,
            None => text,
        };
        let dashes_fit = text.len() == 36
            && (text.bytes().enumerate())
                .all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23));
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        if !dashes_fit || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAUuid);
        }
        let value = u128::from_str_radix(&digits, 16).map_err(|_| NotAUuid)?;
        Ok(Uuid(value.to_be_bytes()))
    }
}

/// An RPC interface: what a presentation context names (C706 12.6.3.1 `p_syntax_id_t`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    /// Which interface.
    pub uuid: Uuid,
    /// Its major version: another major version is another interface.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
}

impl Interface {
    /// The interface `uuid` in version `major.minor`.
    pub const fn new(uuid: Uuid, major: u16, minor: u16) -> Interface {
        Interface { uuid, major, minor }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.fmt(f)?;
        f.write_str(" v")?;
        f.write_str(itoa::Buffer::new().format(self.major))?;
        f.write_str(".")?;
        f.write_str(itoa::Buffer::new().format(self.minor))
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPM: &str = "e1af8308-5d1f-11c9-91a4-08002b14a0fa";

    #[test]
    fn a_printed_uuid_reads_back_as_itself() {
        let uuid: Uuid = EPM.parse().expect("well formed");
        assert_eq!(uuid.to_string(), EPM);
        assert_eq!(format!("{{{}}}", EPM.to_uppercase()).parse(), Ok(uuid));
    }

    #[test]
    fn a_little_endian_uuid_has_its_first_three_fields_swapped() {
        let wire = [
            0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14,
            0xa0, 0xfa,
        ];
        assert_eq!(Uuid::from_wire_le(wire).to_string(), EPM);
    }

    #[test]
    fn what_only_resembles_a_uuid_is_refused() {
        for text in [
            "",
            "e1af8308",
            &EPM.replace('-', "_"),
            &EPM[1..],
            "{e1af8308-5d1f-11c9-91a4-08002b14a0fa",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(NotAUuid), "{text}");
        }
        assert!(
            "é1af8308-5d1f-11c9-91a4-08002b14a0f"
                .parse::<Uuid>()
                .is_err()
        );
    }
}
