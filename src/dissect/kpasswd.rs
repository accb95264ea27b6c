//! Kerberos password change and set (RFC 3244).

use crate::dissect::kerberos;
use crate::dissect::messages::{Datagrams, Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, is_long_enough, probe_datagram,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Kerberos password change (RFC 3244).
pub const PROTOCOL: Protocol = Protocol::new(&["kpasswd", "Kerberos Password Change"]);

const SAYS: &[Field] = &[kerberos::REALM, kerberos::PRINCIPAL];

/// Password change over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[464],
    begins: FirstBytes::ANY,
    probe: |opening| probe_datagram(opening, datagram),
    follow: Some(|_| Box::new(Datagrams(Changes::default()))),
    says: SAYS,
    examples: &[Example {
        port: 464,
        client: b"\0\x1e\0\x01\0\x10n\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e........\
        \xa2\0",
        server: b"",
    }],
};

/// Password change over TCP: each message after its length.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[464],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_stream(opening, framed),
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Changes::default()))),
    says: SAYS,
    examples: &[Example {
        port: 464,
        client: b"\0\0\0\x1e\0\x1e\0\x01\0\x10n\x0e0\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\
        \x0e........\xa2\0",
        server: b"",
    }],
};

fn datagram(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = usize::from(r.u16()?);
    match len >= bytes.len() && is_long_enough(bytes, len) {
        true => message(r, len),
        false => Ok(Look::Other),
    }
}

fn framed(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let outer = r.u32()?;
    let len = r.u16()?;
    match outer == u32::from(len) {
        true => message(r, len.into()),
        false => Ok(Look::Other),
    }
}

fn message(mut r: Reader, len: usize) -> Result<Look, Short> {
    // Change (1) and set (0xff80).
    if !matches!(r.u16()?, 1 | 0xff80) {
        return Ok(Look::Other);
    }
    let ticket = usize::from(r.u16()?);
    if ticket + 6 > len {
        return Ok(Look::Other);
    }
    Ok(match (ticket, r.u8()?) {
        (0, 0x7e) => Look::By(Role::Server),   // KRB-ERROR
        (1.., 0x6e) => Look::By(Role::Client), // AP-REQ
        (1.., 0x6f) => Look::By(Role::Server), // AP-REP
        _ => Look::Other,
    })
}

/// Each message after its length, which its own repeats in 16 bits.
const FRAMING: Framing = Framing {
    len: |mut r| {
        let len = r.u32()?;
        Ok((len <= u16::MAX.into()).then(|| len as usize + LENGTH_LEN))
    },
    most: LENGTH_LEN + u16::MAX as usize,
    begins: |bytes| matches!(framed(bytes), Ok(Look::By(_))),
};

const LENGTH_LEN: usize = 4;

/// Reads the tickets that are shown.
#[derive(Default)]
struct Changes {
    said: Sayings,
}

impl Listener for Changes {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let shown = shown(Reader::big(message)).or_else(|Short| {
            let mut r = Reader::big(message);
            r.skip(LENGTH_LEN)?;
            shown(r)
        });
        if let Ok((realm, principal)) = shown {
            self.said.say(kerberos::REALM, realm, from, found);
            self.said.say(kerberos::PRINCIPAL, principal, from, found);
        }
        Progress::More
    }
}

/// What the ticket of a message is for.
fn shown(mut r: Reader) -> Result<(String, String), Short> {
    // Its length, its version, and the length of what shows the ticket.
    r.skip(6)?;
    kerberos::shown(&mut r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::{said, torn};
    use crate::dissect::samples::follow;
    use crate::model::evidence::Direction::Forward;

    fn request() -> Vec<u8> {
        let shown = kerberos::samples::ap_request("kadmin/changepw");
        let len = (6 + shown.len() + 50) as u16;
        let lens = [len, 0xff80, shown.len() as u16]
            .map(u16::to_be_bytes)
            .concat();
        [&lens[..], &shown, &[b'x'; 50]].concat()
    }

    const SHOWN: [&str; 2] = [
        "kerberos-realm: LAB.EXAMPLE",
        "kerberos-principal: kadmin/changepw",
    ];

    #[test]
    fn the_ticket_that_is_shown_is_told_of() {
        let message = request();
        assert_eq!(
            said(follow(&DATAGRAM).as_mut(), &[(Forward, &message)]),
            SHOWN
        );
        let stream = [&(message.len() as u32).to_be_bytes()[..], &message].concat();
        assert_eq!(said(follow(&STREAM).as_mut(), &[(Forward, &stream)]), SHOWN);
        torn(&|| follow(&STREAM), &[(Forward, &stream)]);
    }

    #[test]
    fn an_answer_shows_none_and_what_is_too_long_is_given_up() {
        let answer = b"\0\x0a\0\x01\0\x02\x6f\0ok";
        assert!(said(follow(&DATAGRAM).as_mut(), &[(Forward, answer)]).is_empty());
        let mut stream = follow(&STREAM);
        assert_eq!(
            stream.feed(Forward, b"\0\x01\0\0", &mut Vec::new()),
            Progress::Done
        );
    }
}
