//! The names in an X.509 certificate (RFC 5280 4.1): whose it is, who says so, and what else it is
//! good for. Nothing is verified.

use crate::dissect::ber;
use crate::dissect::names;
use crate::dissect::read::{Reader, Short};

/// What is read of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is: `CN=www.example.com`, or what else the name has; empty if nothing.
    pub subject: String,
    /// Who issued it, in the same way.
    pub issuer: String,
    /// The host names of its alternative names, at most [`MAX_NAMES`].
    pub hosts: Vec<String>,
}

/// Alternative names kept of a certificate: those of shared hosting have hundreds.
pub const MAX_NAMES: usize = 8;

/// Attributes of a name that are looked at. Names have a handful.
const MAX_ATTRIBUTES: usize = 32;

/// Extensions that are looked at. Certificates have about ten.
const MAX_EXTENSIONS: usize = 64;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// Reads a certificate in DER, of which the end may be missing: what is known by then is kept.
/// `None` if it does not begin like one, or ends before its names do.
pub fn read(der: &[u8]) -> Option<Certificate> {
    let mut whole = Reader::big(der);
    let mut r = enter(&mut whole, SEQUENCE)?;
    let mut r = enter(&mut r, SEQUENCE)?;
    optional(&mut r, VERSION)?;
    element(&mut r, INTEGER)?; // serial number
    element(&mut r, SEQUENCE)?; // signature algorithm
    let issuer = element(&mut r, SEQUENCE)?;
    element(&mut r, SEQUENCE)?; // validity
    let subject = element(&mut r, SEQUENCE)?;
    Some(Certificate {
        subject: name(subject),
        issuer: name(issuer),
        hosts: hosts(&mut r).unwrap_or_default(),
    })
}

/// The contents of the next element, which must have this tag and be whole.
fn element<'a>(r: &mut Reader<'a>, tag: u8) -> Option<Reader<'a>> {
    let (found, len) = ber::head(r).ok()?;
    (found == tag).then(|| r.sub(len?).ok())?
}

/// The same of an element whose end may be missing.
fn enter<'a>(r: &mut Reader<'a>, tag: u8) -> Option<Reader<'a>> {
    let (found, len) = ber::head(r).ok()?;
    (found == tag).then(|| len.map(|len| Reader::big(r.up_to(len))))?
}

/// Passes over an element that need not be there.
fn optional(r: &mut Reader, tag: u8) -> Option<()> {
    if r.clone().u8() == Ok(tag) {
        element(r, tag)?;
    }
    Some(())
}

/// A name for a reader: its common name, else its organisational unit, else its organisation.
fn name(mut r: Reader) -> String {
    let mut best: Option<(usize, String)> = None;
    for _ in 0..MAX_ATTRIBUTES {
        let Some((kind, text)) = attribute(&mut r) else {
            break;
        };
        let rank = NAMED.iter().position(|(id, _)| *id == kind);
        if let Some(rank) = rank
            && best.as_ref().is_none_or(|(known, _)| rank < *known)
        {
            best = Some((rank, text));
        }
    }
    let Some((rank, text)) = best else {
        return String::new();
    };
    let letters = NAMED.get(rank).map_or("", |(_, letters)| letters);
    format!("{letters}={text}")
}

/// The attributes that a name is told by, the best first: object identifier and letters
/// (RFC 4514 3).
const NAMED: [([u8; 3], &str); 3] = [
    ([0x55, 4, 3], "CN"),
    ([0x55, 4, 11], "OU"),
    ([0x55, 4, 10], "O"),
];

/// The first attribute of the next set of a name, with its object identifier where that has three
/// bytes, as all that matter have.
fn attribute(r: &mut Reader) -> Option<([u8; 3], String)> {
    let mut set = element(r, SET)?;
    let mut pair = element(&mut set, SEQUENCE)?;
    let kind = element(&mut pair, OBJECT_IDENTIFIER)?.rest();
    let (tag, len) = ber::head(&mut pair).ok()?;
    let value = pair.take(len?).ok()?;
    let text = match tag {
        BMP_STRING => names::utf16_big(value),
        _ => names::text(value),
    };
    Some((kind.try_into().unwrap_or_default(), text))
}

/// The host names among the alternative names (RFC 5280 4.2.1.6), from after the subject on.
fn hosts(r: &mut Reader) -> Option<Vec<String>> {
    element(r, SEQUENCE)?; // public key
    // Unique identifiers, which nobody uses (RFC 5280 4.1.2.8).
    optional(r, 0x81)?;
    optional(r, 0x82)?;
    let mut r = enter(r, EXTENSIONS)?;
    let mut list = enter(&mut r, SEQUENCE)?;
    for _ in 0..MAX_EXTENSIONS {
        let mut extension = element(&mut list, SEQUENCE)?;
        if element(&mut extension, OBJECT_IDENTIFIER)?.rest() != SUBJECT_ALT_NAME {
            continue;
        }
        optional(&mut extension, 1)?; // whether it is critical
        let mut value = element(&mut extension, OCTET_STRING)?;
        return Some(host_names(element(&mut value, SEQUENCE)?));
    }
    None
}

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

fn host_names(mut r: Reader) -> Vec<String> {
    let next = || -> Result<(u8, &[u8]), Short> {
        let (tag, len) = ber::head(&mut r)?;
        Ok((tag, r.take(len.ok_or(Short)?)?))
    };
    let names = std::iter::repeat_with(next).map_while(Result::ok);
    (names.filter(|(tag, _)| *tag == DNS_NAME))
        .map(|(_, name)| names::text(name))
        .take(MAX_NAMES)
        .collect()
}

#[cfg(test)]
pub mod samples {
    /// An element of DER with these contents.
    pub fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let len = u16::try_from(contents.len()).expect("a small sample");
        [&[tag, 0x82][..], &len.to_be_bytes(), &contents].concat()
    }

    fn attribute(id: u8, tag: u8, text: &[u8]) -> Vec<u8> {
        let id = der(0x06, &[&[0x55, 4, id]]);
        der(0x31, &[&der(0x30, &[&id, &der(tag, &[text])])])
    }

    /// A certificate of `subject` by `issuer`, with host names.
    pub fn certificate(subject: &str, issuer: &str, hosts: &[&str]) -> Vec<u8> {
        let country = attribute(6, 0x13, b"XX");
        let unit = attribute(11, 0x0c, b"Computers");
        let issuer = der(0x30, &[&country, &attribute(3, 0x0c, issuer.as_bytes())]);
        let subject = der(0x30, &[&unit, &attribute(3, 0x0c, subject.as_bytes())]);
        let hosts: Vec<u8> = (hosts.iter())
            .flat_map(|host| der(0x82, &[host.as_bytes()]))
            .collect();
        let address = der(0x87, &[&[192, 0, 2, 1]]);
        let other = der(
            0x30,
            &[&der(0x06, &[&[0x55, 0x1d, 0x0f]]), &der(4, &[&[0]])],
        );
        let alternatives = der(
            0x30,
            &[
                &der(0x06, &[&[0x55, 0x1d, 0x11]]),
                &[1, 1, 0xff],
                &der(0x04, &[&der(0x30, &[&address, &hosts])]),
            ],
        );
        let to_be_signed = der(
            0x30,
            &[
                &der(0xa0, &[&[2, 1, 2]]),
                &[2, 1, 77],
                &der(0x30, &[]),
                &issuer,
                &der(0x30, &[]),
                &subject,
                &der(0x30, &[&[0; 200]]),
                &der(0xa3, &[&der(0x30, &[&other, &alternatives])]),
            ],
        );
        der(0x30, &[&to_be_signed, &der(0x30, &[]), &[3, 1, 0]])
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{certificate, der};
    use super::*;

    #[test]
    fn the_names_in_a_certificate_are_read() {
        let der = certificate("web1", "Office CA", &["web1.example", "www.example"]);
        let expected = Certificate {
            subject: "CN=web1".into(),
            issuer: "CN=Office CA".into(),
            hosts: vec!["web1.example".into(), "www.example".into()],
        };
        assert_eq!(read(&der), Some(expected));
    }

    #[test]
    fn a_name_without_a_common_name_is_told_by_what_it_has() {
        let unit = der(6, &[&[0x55, 4, 11]]);
        let attribute = der(0x31, &[&der(0x30, &[&unit, &der(0x1e, &[b"\0R\0&\0D"])])]);
        assert_eq!(name(Reader::big(&attribute)), "OU=R&D");
        assert_eq!(name(Reader::big(&[])), "");
    }

    #[test]
    fn a_certificate_cut_anywhere_gives_what_it_has_or_nothing() {
        let der = certificate("web1", "Office CA", &["web1.example"]);
        let mut last = None;
        for len in 0..=der.len() {
            let now = read(Reader::big(&der).up_to(len));
            assert!(now.is_some() || last.is_none(), "{len}");
            if let Some(now) = &now {
                assert_eq!(now.subject, "CN=web1");
            }
            last = now;
        }
        assert_eq!(last.map(|known| known.hosts.len()), Some(1));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(read(b"\x30\x80\x30\x80"), None);
        assert_eq!(read(&der(0x30, &[&der(0x31, &[])])), None);
        assert_eq!(read(b"-----BEGIN CERTIFICATE-----"), None);
    }

    #[test]
    fn names_are_kept_up_to_their_bound() {
        let many = ["a.example"; 300];
        let known = read(&certificate("web1", "CA", &many)).expect("a certificate");
        assert_eq!(known.hosts.len(), MAX_NAMES);
        let attributes = der(0x31, &[&der(0x30, &[&der(6, &[&[1]]), &der(12, &[b"x"])])]);
        assert_eq!(name(Reader::big(&attributes.repeat(10_000))), "");
    }
}
