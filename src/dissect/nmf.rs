//! .NET Message Framing (MC-NMF) over TCP: which service of Windows Communication Foundation a
//! client wants, whether that one takes it, and what both say of themselves while they authenticate.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, nns, ntlm,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// .NET Message Framing (MC-NMF).
pub const PROTOCOL: Protocol = Protocol::new(&["nmf", ".NET Message Framing"]);

/// The URI of the service, which the server took (MC-NMF 2.2.3.3). Said by the server.
const VIA: Field = Field::new(&["nmf-via", "service taken"]);

/// The URI of the service that is asked for.
const ASKED: Field = Field::new(&["nmf-request", "service asked for"]);

/// .NET Message Framing over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[9389, 808],
    begins: FirstBytes::of(&[VERSION_RECORD]),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Preamble::default())),
    says: &[VIA, ASKED, ntlm::VERSION],
    examples: &[Example {
        port: 9389,
        client: b"\0\x01\0\x01\x02\x02\x0enet.tcp://a:1/\x03\x08\x0c",
        server: b"\x0b",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match via(bytes)? {
        Some(_) => Look::By(Role::Client),
        None => Look::Other,
    })
}

const VERSION_RECORD: u8 = 0;
const MODE_RECORD: u8 = 1;
const VIA_RECORD: u8 = 2;
const UPGRADE_RESPONSE_RECORD: u8 = 10;
const PREAMBLE_ACK_RECORD: u8 = 11;

/// The longest URI that is waited for, in bytes; servers refuse longer ones than 2048 by default.
const MAX_VIA: usize = 2048;

/// The URI in the records with which a client begins: version 1.0, a mode, and the service.
/// `None` if they are not that.
fn via(bytes: &[u8]) -> Result<Option<&[u8]>, Short> {
    let mut r = Reader::big(bytes);
    for expected in [VERSION_RECORD, 1, 0, MODE_RECORD] {
        if r.u8()? != expected {
            return Ok(None);
        }
    }
    let is_mode = matches!(r.u8()?, 1..=4);
    if !is_mode || r.u8()? != VIA_RECORD {
        return Ok(None);
    }
    let Some(len) = size(&mut r)?.filter(|len| (5..=MAX_VIA).contains(len)) else {
        return Ok(None);
    };
    let begins = r.clone().up_to(4);
    if !b"net.".starts_with(begins) {
        return Ok(None);
    }
    Ok(Some(r.take(len)?))
}

/// A size, seven bits a byte, the lowest first (MC-NMF 2.2.2.1); `None` if longer than it may be.
fn size(r: &mut Reader) -> Result<Option<usize>, Short> {
    let mut size = 0;
    for place in 0..3 {
        let byte = r.u8()?;
        size |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

/// The longest beginning of a client: records of fixed size, and the URI.
const MAX_PREAMBLE: usize = MAX_VIA + 16;

/// Waits for the service that is wanted, and for what the server says to that. What comes then is
/// binary XML, or an upgrade: TLS, or NegotiateStream, which is followed.
#[derive(Default)]
struct Preamble {
    client: Vec<u8>,
    asked: Option<(Direction, String)>,
    /// The client's direction is broken.
    is_lost: bool,
    /// Once the server has upgraded.
    upgraded: Option<Box<dyn Dissector>>,
}

impl Dissector for Preamble {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        if let Some(upgraded) = &mut self.upgraded {
            return upgraded.feed(from, bytes, found);
        }
        match &self.asked {
            None if self.is_lost => Progress::Done,
            None => {
                let room = MAX_PREAMBLE.saturating_sub(self.client.len());
                self.client
                    .extend_from_slice(Reader::big(bytes).up_to(room));
                match via(&self.client) {
                    Ok(Some(via)) => {
                        let text = names::text(via);
                        self.asked = Some((from, text.clone()));
                        let (field, by) = (ASKED, from);
                        found.push(Claim::Said { field, text, by });
                        Progress::More
                    }
                    Ok(None) => Progress::Done,
                    Err(Short) => Progress::More,
                }
            }
            Some((client, _)) if *client == from => Progress::More,
            Some(_) => {
                let is_taken = matches!(
                    bytes.first(),
                    Some(&(UPGRADE_RESPONSE_RECORD | PREAMBLE_ACK_RECORD))
                );
                if is_taken && let Some((client, text)) = self.asked.take() {
                    let (field, by) = (VIA, client.reversed());
                    found.push(Claim::Said { field, text, by });
                }
                match Reader::big(bytes).array() {
                    Ok([UPGRADE_RESPONSE_RECORD]) if !self.is_lost => {
                        self.upgrade(from, bytes, found)
                    }
                    _ => Progress::Done,
                }
            }
        }
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.is_lost = true;
        if let Some(upgraded) = &mut self.upgraded {
            upgraded.gap(from, missing);
        }
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Preamble {
    /// The server has taken an upgrade, and may have gone on at once.
    fn upgrade(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(bytes);
        let upgraded = self.upgraded.insert(nns::follow());
        match r.skip(1) {
            Ok(()) => upgraded.feed(from, r.rest(), found),
            Err(Short) => Progress::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    const WANTED: &str = "net.tcp://dc1:9389/ActiveDirectoryWebServices/Windows/Resource";

    fn begins(uri: &str) -> Vec<u8> {
        let len = u8::try_from(uri.len()).expect("a small sample");
        [&[0, 1, 0, 1, 2, 2, len][..], uri.as_bytes(), &[3, 8]].concat()
    }

    fn told(talk: &[(Direction, &[u8])]) -> Vec<(Field, String, Direction)> {
        let (mut preamble, mut found) = (Preamble::default(), Vec::new());
        for (from, bytes) in talk {
            if preamble.feed(*from, bytes, &mut found) == Progress::Done {
                break;
            }
        }
        preamble.finish(&mut found);
        let text = |claim| match claim {
            Claim::Said { field, text, by } => (field, text, by),
            other => panic!("{other:?}"),
        };
        found.into_iter().map(text).collect()
    }

    #[test]
    fn the_service_that_the_server_took_is_told_wherever_it_is_torn() {
        let client = begins(WANTED);
        for answer in [b"\x0b", b"\x0a"] {
            for cut in 0..client.len() {
                let (left, right) = client.split_at(cut);
                let talk = [(Forward, left), (Forward, right), (Reverse, answer)];
                let expected = [(ASKED, Forward), (VIA, Reverse)];
                let expected = expected.map(|(field, by)| (field, WANTED.to_owned(), by));
                assert_eq!(told(&talk), expected, "{cut}");
            }
        }
    }

    #[test]
    fn who_authenticates_states_its_version_of_ntlm() {
        let client = [begins(WANTED), b"\x09\x15application/negotiate".to_vec()].concat();
        let asked = nns::samples::frame(false, &ntlm::samples::challenge([10, 0], 19041));
        let answered = nns::samples::frame(false, &ntlm::samples::challenge([10, 0], 17763));
        let talk = [
            (Forward, &client[..]),
            (Reverse, b"\x0a"),
            (Forward, &asked),
            (Reverse, &answered),
        ];
        let expected = [
            (ASKED, WANTED, Forward),
            (VIA, WANTED, Reverse),
            (ntlm::VERSION, "10.0.19041", Forward),
            (ntlm::VERSION, "10.0.17763", Reverse),
        ];
        let expected = expected.map(|(field, text, by)| (field, text.to_owned(), by));
        assert_eq!(told(&talk), expected);
        // TLS, which shows itself otherwise.
        let records = [
            (Forward, &client[..]),
            (Reverse, b"\x0a"),
            (Forward, b"\x16\x03\x01\0\x05"),
        ];
        assert_eq!(told(&records).len(), 2);
    }

    #[test]
    fn a_service_that_was_refused_was_only_asked_for() {
        let client = begins(WANTED);
        let fault = [8, 3, b'b', b'a', b'd'];
        let asked = [(ASKED, WANTED.to_owned(), Forward)];
        assert_eq!(told(&[(Forward, &client), (Reverse, &fault)]), asked);
        assert_eq!(told(&[(Forward, &client)]), asked);
    }

    #[test]
    fn what_does_not_begin_like_it_is_refused() {
        for bytes in [
            &b"\0\x02\0\x01\x02\x02\x0enet.tcp://a:1/"[..],
            b"\0\x01\0\x01\x05\x02\x0enet.tcp://a:1/",
            b"\0\x01\0\x01\x02\x02\x04net.",
            b"\0\x01\0\x01\x02\x02\x0ehttp://a:1/abc",
            b"\0\x01\0\x01\x02\x02\xff\xff\xff\x01net.tcp://",
            b"\0\x01\0\0\0\x01\0\0",
        ] {
            assert_eq!(look(bytes), Ok(Look::Other), "{bytes:?}");
        }
    }

    #[test]
    fn a_uri_longer_than_servers_take_is_refused() {
        let long = [
            &b"\0\x01\0\x01\x02\x02\x81\x10net.tcp://"[..],
            &[b'a'; 3000],
        ]
        .concat();
        assert_eq!(look(&long), Ok(Look::Other));
        let whole = [
            &b"\0\x01\0\x01\x02\x02\x80\x10net.tcp://"[..],
            &[b'a'; 3000],
        ]
        .concat();
        assert_eq!(look(&whole), Ok(Look::By(Role::Client)));
        let mut preamble = Preamble::default();
        preamble.feed(Forward, &whole, &mut Vec::new());
        assert!(preamble.client.len() <= MAX_PREAMBLE);
    }

    #[test]
    fn after_a_gap_it_tells_nothing() {
        let (mut preamble, mut found) = (Preamble::default(), Vec::new());
        let client = begins(WANTED);
        preamble.feed(Forward, Reader::big(&client).up_to(9), &mut found);
        preamble.gap(Forward, Some(4));
        let progress = preamble.feed(Forward, &client, &mut found);
        preamble.finish(&mut found);
        assert_eq!((progress, found), (Progress::Done, Vec::new()));
    }
}
