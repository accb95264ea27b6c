//! What clients of Remote Installation Services say to the Boot Information Negotiation Layer after
//! they were booted: screens of the setup wizard, logons, network cards. Microsoft has published no
//! specification; the words are those that ris-linux's BINL server answers.

use crate::dissect::messages::{Datagrams, Listener, Sayings};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Progress, Role, is_long_enough, names,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Boot Information Negotiation Layer.
pub const PROTOCOL: Protocol = Protocol::new(&["binl", "BINL"]);

/// The word of a message.
const MESSAGE: Field = Field::new(&["binl-message", "BINL message"]);

/// BINL over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[4011],
    begins: FirstBytes::of(&[OF_CLIENT, OF_SERVER]),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Datagrams(Words::default()))),
    says: &[MESSAGE],
    examples: &[Example {
        port: 4011,
        client: b"\x81NCQ\x04\0\0\0card",
        server: b"\x82NCR\x04\0\0\0file",
    }],
};

const OF_CLIENT: u8 = 0x81;
const OF_SERVER: u8 = 0x82;

/// Words of the client: to negotiate and to log on, for a screen, for a network card, for a
/// machine's account, and that it goes.
const ASKED: &[&[u8; 3]] = &[b"NEG", b"AUT", b"RQU", b"NCQ", b"REQ", b"OFF"];

/// Words of the server: a challenge and the result, a screen, a network card's files, and errors.
const ANSWERED: &[&[u8; 3]] = &[b"CHL", b"RES", b"RSU", b"NCR", b"RSP", b"UNR"];

const HEADER_LEN: usize = 8;

/// A side, a word of three letters, and the length of what follows.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let (side, word) = (r.u8()?, r.array()?);
    let len = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    let fits = is_long_enough(bytes, len.saturating_add(HEADER_LEN));
    Ok(match side {
        OF_CLIENT if fits && ASKED.contains(&&word) => Look::By(Role::Client),
        OF_SERVER if fits && ANSWERED.contains(&&word) => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// Tells of the words.
#[derive(Default)]
struct Words {
    said: Sayings,
}

impl Listener for Words {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::little(message);
        if let (Ok(Look::By(_)), Ok(_), Ok(word)) = (look(message), r.u8(), r.take(3)) {
            self.said.say(MESSAGE, names::text(word), from, found);
        }
        Progress::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::said;
    use crate::model::evidence::Direction::{Forward, Reverse};

    #[test]
    fn the_words_of_both_sides_are_told_of() {
        let talk: [(_, &[u8]); 3] = [
            (Forward, b"\x81NEG\x08\0\0\0NTLMSSP\0"),
            (Reverse, b"\x82CHL\x08\0\0\0NTLMSSP\0"),
            (Forward, b"\x81NEG\x08\0\0\0NTLMSSP\0"),
        ];
        let told = said(&mut Datagrams(Words::default()), &talk);
        assert_eq!(told, ["binl-message: NEG", "binl-message: CHL"]);
    }

    #[test]
    fn other_words_and_lengths_are_refused() {
        for other in [
            &b"\x81CHL\0\0\0\0"[..],
            b"\x82NEG\0\0\0\0",
            b"\x81ABC\0\0\0\0",
            b"\x81NEG\x09\0\0\0NTLM",
        ] {
            assert_eq!(look(other), Ok(Look::Other), "{other:x?}");
        }
        assert_eq!(
            look(b"\x81NEG\xff\xff\xff\xff"),
            Ok(Look::Other),
            "more than there can be"
        );
    }

    #[test]
    fn a_torn_head_is_short() {
        for len in 0..8 {
            assert_eq!(look(Reader::big(b"\x81NEG\0\0\0\0").up_to(len)), Err(Short));
        }
    }
}
