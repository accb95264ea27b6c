//! The part of ASN.1's Basic Encoding Rules (X.690) that is needed: tags, lengths, small integers,
//! object identifiers.

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

/// The length of an element with its head; `None` if it cannot be told.
///
/// # Errors
/// `Short` if the bytes end before the contents begin.
pub fn element_len(mut r: Reader) -> Result<Option<usize>, Short> {
    let before = r.position();
    let (_, len) = head(&mut r)?;
    Ok(len.and_then(|len| len.checked_add(r.position() - before)))
}

/// The tag and the contents of the next element, which the cursor passes over. Where the bytes are
/// the beginning of a longer message, so may the contents be.
///
/// # Errors
/// `Short` if the bytes end before the contents begin, or if their length cannot be told.
pub fn element<'a>(r: &mut Reader<'a>) -> Result<(u8, Reader<'a>), Short> {
    let (tag, len) = head(r)?;
    Ok((tag, Reader::big(r.up_to(len.ok_or(Short)?))))
}

/// The contents of the next element, if it has this tag; the cursor passes over it only then.
///
/// # Errors
/// `Short` as for [`element`], or if the tag is another.
pub fn expect<'a>(r: &mut Reader<'a>, tag: u8) -> Result<Reader<'a>, Short> {
    let mut ahead = r.clone();
    let (found, contents) = element(&mut ahead)?;
    if found != tag {
        return Err(Short);
    }
    *r = ahead;
    Ok(contents)
}

/// All the contents of the next element, if it has this tag; the cursor passes over it only then.
///
/// # Errors
/// `Short` if the bytes end before the contents do, or if the tag is another.
pub fn whole<'a>(r: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], Short> {
    let mut ahead = r.clone();
    let (found, len) = head(&mut ahead)?;
    if found != tag {
        return Err(Short);
    }
    let contents = ahead.take(len.ok_or(Short)?)?;
    *r = ahead;
    Ok(contents)
}

/// The most parts of an object identifier that are read: SNMP allows 128 (RFC 3416 4.1).
const MAX_PARTS: usize = 128;

/// The contents of an OBJECT IDENTIFIER as text: `1.3.6.1`; `None` if it is none (X.690 8.19).
pub fn object_id(mut contents: Reader) -> Option<String> {
    let mut parts: Vec<u64> = Vec::new();
    while contents.left() > 0 {
        let mut part: u64 = 0;
        loop {
            let byte = contents.u8().ok()?;
            part = part.checked_mul(128)? + u64::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
        if parts.is_empty() {
            let first = (part / 40).min(2);
            parts.push(first);
            part -= first * 40;
        }
        parts.push(part);
        if parts.len() > MAX_PARTS {
            return None;
        }
    }
    let parts: Vec<String> = parts.iter().map(u64::to_string).collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_passed_over_whole_or_as_far_as_it_came() {
        let mut r = Reader::big(&[0x30, 3, 2, 1, 5, 4, 9, b'x']);
        let (tag, contents) = element(&mut r).expect("a sequence");
        assert_eq!((tag, contents.left()), (0x30, 3));
        assert!(expect(&mut r, 0x30).is_err(), "another tag");
        assert_eq!(expect(&mut r, 4).map(|mut r| r.rest()), Ok(&b"x"[..]));
        assert_eq!(r.left(), 0);
        let mut r = Reader::big(&[4, 2, b'h', b'i', 4, 2, b'h']);
        assert_eq!(whole(&mut r, 4), Ok(&b"hi"[..]));
        assert_eq!(whole(&mut r, 4), Err(Short), "cut off");
        assert_eq!(r.left(), 3);
        assert!(element(&mut Reader::big(&[0x30, 0x80, 0])).is_err());
        assert_eq!(element_len(Reader::big(&[0x30, 0x81, 200])), Ok(Some(203)));
    }

    #[test]
    fn an_object_identifier_is_read_as_numbers() {
        let text = |bytes: &[u8]| object_id(Reader::big(bytes));
        assert_eq!(text(&[0x2b, 6, 1, 2, 1]), Some("1.3.6.1.2.1".into()));
        assert_eq!(text(&[0x2a, 0x86, 0x48]), Some("1.2.840".into()));
        assert_eq!(text(&[0x88, 0x37]), Some("2.999".into()));
        assert_eq!(text(&[0x2b, 0x86]), None, "torn");
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[0xff; 11]), None, "more than 64 bits");
        assert_eq!(text(&[1; 200]), None, "more than the bound");
    }

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
