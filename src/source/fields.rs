//! Integers out of bytes, in either byte order. The only place of this folder that slices headers.

/// The byte order of a file's integers: that of the machine that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The two bytes at `at` as a number; `None` if they are not all there.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = array(bytes, at)?;
        Some(match self {
            Order::Little => u16::from_le_bytes(field),
            Order::Big => u16::from_be_bytes(field),
        })
    }

    /// The four bytes at `at` as a number; `None` if they are not all there.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = array(bytes, at)?;
        Some(match self {
            Order::Little => u32::from_le_bytes(field),
            Order::Big => u32::from_be_bytes(field),
        })
    }

    /// The eight bytes at `at` as a number with a sign; `None` if they are not all there.
    pub(super) fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let field = array(bytes, at)?;
        Some(match self {
            Order::Little => i64::from_le_bytes(field),
            Order::Big => i64::from_be_bytes(field),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
