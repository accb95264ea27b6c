//! Domain names as DNS writes them, and others after it (RFC 1035 3.1, 4.1.4).

use crate::dissect::read::{Reader, Short};

/// The longest name, in bytes of its labels with their lengths (RFC 1035 2.3.4).
const MAX_NAME: usize = 255;

/// How many pointers lead on from one name at most: each label that it may have takes two bytes,
/// and a writer points once for each at most.
const MAX_POINTERS: usize = 128;

/// The name at the cursor, which then stands behind it: its labels with dots between them, and
/// empty for the root. `None` if it is no name. Pointers count from the start of `message`.
///
/// # Errors
/// `Short` if the bytes end before the name does.
pub fn read<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Result<Option<String>, Short> {
    let (mut name, mut len, mut pointers) = (String::new(), 0, 0);
    let mut elsewhere: Option<Reader> = None;
    loop {
        let r = elsewhere.as_mut().unwrap_or(r);
        match r.u8()? {
            0 => return Ok(Some(name)),
            label @ 1..=63 => {
                let label = r.take(label.into())?;
                len += label.len() + 1;
                if len > MAX_NAME || label.iter().any(u8::is_ascii_control) {
                    return Ok(None);
                }
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label));
            }
            high @ 0xc0.. => {
                let place = usize::from(high & 0x3f) << 8 | usize::from(r.u8()?);
                pointers += 1;
                if pointers > MAX_POINTERS {
                    return Ok(None);
                }
                let mut there = Reader::big(message);
                there.skip(place)?;
                elsewhere = Some(there);
            }
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &[u8], place: usize) -> Result<Option<String>, Short> {
        let mut r = Reader::big(message);
        r.skip(place).expect("a place in the message");
        read(message, &mut r)
    }

    #[test]
    fn labels_are_joined_through_pointers() {
        let message = b"\x07example\0\x03www\xc0\x00!";
        assert_eq!(at(message, 0), Ok(Some("example".into())));
        let mut r = Reader::big(message);
        r.skip(9).expect("a place in the message");
        assert_eq!(read(message, &mut r), Ok(Some("www.example".into())));
        assert_eq!(r.rest(), b"!", "the cursor stands behind the pointer");
        assert_eq!(at(b"\0", 0), Ok(Some(String::new())));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(
            at(b"\x40abc\0", 0),
            Ok(None),
            "a label of more than 63 bytes"
        );
        assert_eq!(at(b"\x02a\x07\0", 0), Ok(None), "a control character");
        assert_eq!(at(b"\xc0\x00", 0), Ok(None), "a circle");
        assert_eq!(at(b"\xc0\x63", 0), Err(Short), "nowhere");
    }

    #[test]
    fn a_torn_name_is_short() {
        let message = b"\x03www\x07example\0";
        for len in 0..message.len() {
            assert_eq!(at(Reader::big(message).up_to(len), 0), Err(Short));
        }
    }

    #[test]
    fn a_name_is_cut_at_its_bound() {
        let long = [&b"\x3f"[..], &[b'x'; 63]].concat().repeat(4);
        assert_eq!(at(&[&long[..], b"\0"].concat(), 0), Ok(None));
        let fits = [&long[..192], b"\x3d", &[b'x'; 61], b"\0"].concat();
        assert!(matches!(at(&fits, 0), Ok(Some(name)) if name.len() == 253));
    }
}
