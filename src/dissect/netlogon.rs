//! A domain controller's answer to who looks for one: over LDAP's datagrams and in mailslots
//! (MS-ADTS 6.3.1.8, 6.3.1.9).

use crate::dissect::domain_name;
use crate::dissect::messages::Sayings;
use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// The host that a domain controller says it is.
pub const CONTROLLER: Field = Field::new(&["domain-controller", "domain controller"]);

/// The domain that it says it serves.
pub const DOMAIN: Field = Field::new(&["ad-domain", "domain"]);

/// The site that it says it stands in.
pub const SITE: Field = Field::new(&["ad-site", "site of the domain controller"]);

/// Operation codes of answers (MS-ADTS 6.3.1.3).
mod operation {
    pub const RESPONSE: u16 = 19;
    pub const PAUSED: u16 = 20;
    pub const USER_UNKNOWN: u16 = 21;
    pub const RESPONSE_EX: u16 = 23;
    pub const PAUSED_EX: u16 = 24;
    pub const USER_UNKNOWN_EX: u16 = 25;
}

/// Claims what an answer says of the controller that sent it.
pub fn say_answer(answer: &[u8], by: Direction, said: &mut Sayings, found: &mut Vec<Claim>) {
    let Ok(Some(names)) = read(answer) else {
        return;
    };
    for (field, name) in [CONTROLLER, DOMAIN, SITE].into_iter().zip(names) {
        said.say(field, name, by, found);
    }
}

/// The controller's name, its domain's and its site's, as far as they are told.
fn read(answer: &[u8]) -> Result<Option<[String; 3]>, Short> {
    let mut r = Reader::little(answer);
    let operation = r.u16()?;
    match operation {
        operation::RESPONSE_EX | operation::PAUSED_EX | operation::USER_UNKNOWN_EX => {
            // A word of zeros, flags, the domain's GUID.
            r.skip(2 + 4 + 16)?;
            let mut name = || domain_name::read(answer, &mut r).map(Option::unwrap_or_default);
            let (_forest, domain, host) = (name()?, name()?, name()?);
            let (_netbios_domain, netbios_host, _user) = (name()?, name()?, name()?);
            let site = name()?;
            let host = if host.is_empty() { netbios_host } else { host };
            Ok(Some([host, domain, site]))
        }
        operation::RESPONSE | operation::PAUSED | operation::USER_UNKNOWN => {
            let mut name = || unicode(&mut r);
            let (host, _user, domain) = (name()?, name()?, name()?);
            let host = host.trim_start_matches('\\').to_owned();
            Ok(Some([host, domain, String::new()]))
        }
        _ => Ok(None),
    }
}

/// UTF-16 up to its NUL.
fn unicode(r: &mut Reader) -> Result<String, Short> {
    let mut ahead = r.clone();
    let mut len = 0;
    while ahead.u16()? != 0 {
        len += 2;
    }
    let text = names::utf16(r.take(len)?);
    r.skip(2)?;
    Ok(text)
}

/// An answer as a domain controller sends it.
#[cfg(test)]
pub mod samples {
    /// Of `dc1.lab.example` in the site `Main`, its names compressed.
    pub fn answer() -> Vec<u8> {
        let head = [&[23, 0, 0, 0, 0xfd, 0xf3, 3, 0][..], &[7; 16]].concat();
        let names: &[&[u8]] = &[
            b"\x03lab\x07example\0", // at 24
            b"\xc0\x18",
            b"\x03dc1\xc0\x18",
            b"\x03LAB\0",
            b"\x03DC1\0",
            b"\0",
            b"\x04Main\0",
            b"\x04Main\0",
        ];
        [
            &head[..],
            &names.concat(),
            &[5, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(answer: &[u8]) -> Option<[String; 3]> {
        read(answer).ok().flatten()
    }

    #[test]
    fn an_answer_tells_controller_domain_and_site() {
        let all = ["dc1.lab.example", "lab.example", "Main"].map(str::to_owned);
        assert_eq!(names(&samples::answer()), Some(all));
        let old = b"\x13\0\\\0\\\0D\0C\0\x31\0\0\0\0\0L\0A\0B\0\0\0";
        let all = ["DC1", "LAB", ""].map(str::to_owned);
        assert_eq!(names(old), Some(all));
    }

    #[test]
    fn what_is_no_answer_tells_nothing() {
        assert_eq!(names(b"\x12\0\0\0\0\0\0\0"), None);
        assert_eq!(names(b"\x17"), None);
    }

    #[test]
    fn an_answer_torn_anywhere_tells_nothing_wrong() {
        let answer = samples::answer();
        for len in 0..answer.len() - 8 {
            if let Some(told) = names(Reader::big(&answer).up_to(len)) {
                assert_eq!(Some(told), names(&answer));
            }
        }
    }

    #[test]
    fn names_in_a_circle_end() {
        let mut answer = samples::answer();
        answer.truncate(24);
        answer.extend(b"\xc0\x18");
        assert_eq!(names(&answer), None);
    }
}
