//! The part of ASN.1's Basic Encoding Rules (X.690) that probes need: tags, lengths, small integers.

use crate::dissect::read::{Reader, Short};

/// A tag of one byte, with the length of its contents, which need not all be there. An indefinite
/// length, or one that takes more than four bytes, is `None`.
///
/// # Errors
/// `Short` if the bytes end before the contents begin.
pub fn head(r: &mut Reader) -> Result<(u8, Option<usize>), Short> {
    let (tag, first) = (r.u8()?, r.u8()?);
    if first < 0x80 {
        return Ok((tag, Some(first.into())));
    }
    let size = first & 0x7f;
    if !(1..=4).contains(&size) {
        return Ok((tag, None));
    }
    let mut len: usize = 0;
    for _ in 0..size {
        len = (len << 8) | usize::from(r.u8()?);
    }
    Ok((tag, Some(len)))
}

/// The contents of an INTEGER of at most five bytes that is not negative; `None` if it is
/// something else.
///
/// # Errors
/// `Short` if the bytes end before it does.
pub fn integer(r: &mut Reader) -> Result<Option<u64>, Short> {
    let (tag, len) = head(r)?;
    let Some(len) = len.filter(|len| tag == 2 && (1..=5).contains(len)) else {
        return Ok(None);
    };
    let bytes = r.take(len)?;
    let value = bytes
        .iter()
        .fold(0, |value: u64, byte| (value << 8) | u64::from(*byte));
    let is_negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    Ok((!is_negative).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_in_one_byte_or_up_to_five() {
        let head = |bytes: &[u8]| head(&mut Reader::big(bytes));
        assert_eq!(head(&[0x30, 0x7f]), Ok((0x30, Some(127))));
        assert_eq!(head(&[0x30, 0x82, 1, 2]), Ok((0x30, Some(258))));
        assert_eq!(
            head(&[0x30, 0x84, 0xff, 0, 0, 0]),
            Ok((0x30, Some(0xff00_0000)))
        );
        assert_eq!(head(&[0x30, 0x80]), Ok((0x30, None)), "indefinite");
        assert_eq!(head(&[0x30, 0x85, 0, 0, 0, 0, 1]), Ok((0x30, None)));
        assert_eq!(head(&[0x30, 0x84, 0]), Err(Short));
    }

    #[test]
    fn only_small_integers_are_read() {
        let integer = |bytes: &[u8]| integer(&mut Reader::big(bytes));
        assert_eq!(integer(&[2, 1, 5]), Ok(Some(5)));
        assert_eq!(
            integer(&[2, 5, 0, 0xff, 0xff, 0xff, 0xff]),
            Ok(Some(0xffff_ffff))
        );
        assert_eq!(integer(&[2, 1, 0xff]), Ok(None), "negative");
        assert_eq!(integer(&[4, 1, 5]), Ok(None), "an octet string");
        assert_eq!(integer(&[2, 2, 5]), Err(Short));
    }
}
