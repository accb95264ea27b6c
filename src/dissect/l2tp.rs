//! Layer Two Tunneling Protocol, version 2 (RFC 2661): who sets up a tunnel.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role, names,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Layer Two Tunneling Protocol (RFC 2661).
pub const PROTOCOL: Protocol = Protocol::new(&["l2tp", "L2TP"]);

/// The Host Name AVP (RFC 2661 4.4.3).
const HOST: Field = Field::new(&["l2tp-host", "L2TP host name"]);
/// The Vendor Name AVP (RFC 2661 4.4.3).
const VENDOR: Field = Field::new(&["l2tp-vendor", "L2TP vendor"]);
/// The Assigned Tunnel ID AVP (RFC 2661 4.4.3).
const TUNNEL: Field = Field::new(&["l2tp-tunnel", "L2TP tunnel ID"]);

/// L2TP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    begins: FirstBytes::ANY,
    probe,
    follow: Some(|_| Box::new(Control::default())),
    says: &[HOST, VENDOR, TUNNEL],
    examples: &[Example {
        port: 1701,
        client: b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01",
        server: b"",
    }],
};

const PORT: u16 = 1701;

fn probe(opening: &Opening) -> Probe {
    match probe_datagram(opening, control) {
        Probe::No if opening.has_port(PORT) => probe_datagram(opening, data),
        answer => answer,
    }
}

/// A control message: flags T, L and S with version 2, and a first AVP that names the message.
fn control(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    if r.u16()? != 0xc802 || usize::from(r.u16()?) != bytes.len() {
        return Ok(Look::Other);
    }
    r.skip(8)?; // tunnel, session and both sequence numbers
    if r.left() == 0 {
        return Ok(Look::ByEither); // an acknowledgement alone
    }
    let (flags_and_len, vendor, kind, message) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    let is_message_type =
        flags_and_len & 0x7fff == 8 && vendor == 0 && kind == 0 && (1..=16).contains(&message);
    Ok(match message {
        _ if !is_message_type => Look::Other,
        START_REQUEST => Look::By(Role::Client),
        START_REPLY => Look::By(Role::Server),
        _ => Look::ByEither,
    })
}

/// Start-Control-Connection-Request (RFC 2661 3.2).
const START_REQUEST: u16 = 1;
/// Start-Control-Connection-Reply.
const START_REPLY: u16 = 2;

/// How many control messages are waited for: each side's first describes it.
const MAX_MESSAGES: u32 = 16;

/// Claims what each side says of itself as it starts a control connection.
#[derive(Default)]
struct Control {
    started: [bool; 2],
    messages: u32,
}

impl Dissector for Control {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.messages += 1;
        let starts = matches!(control(bytes), Ok(Look::By(_)));
        if starts && !self.started[from.index()] {
            self.started[from.index()] = true;
            // What comes before a broken attribute stands.
            let _ = attributes(bytes, |field, text| {
                found.push(Claim::Said {
                    field,
                    text,
                    by: from,
                });
            });
        }
        match self.started == [true, true] || self.messages >= MAX_MESSAGES {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Gives the attributes of a control message that are said (RFC 2661 4.1), each once.
fn attributes(message: &[u8], mut say: impl FnMut(Field, String)) -> Result<(), Short> {
    let mut r = Reader::big(message);
    r.skip(12)?;
    let mut wanted = vec![(7, HOST), (8, VENDOR), (9, TUNNEL)];
    while r.left() > 0 {
        let flags_and_len = r.u16()?;
        let len = usize::from(flags_and_len & 0x03ff);
        let mut body = r.sub(len.checked_sub(2).ok_or(Short)?)?;
        let (vendor, kind) = (body.u16()?, body.u16()?);
        if vendor != 0 || flags_and_len & HIDDEN != 0 {
            continue;
        }
        if let Some(place) = wanted.iter().position(|(wanted, _)| *wanted == kind) {
            let (_, field) = wanted.remove(place);
            let text = match field {
                TUNNEL => body.u16()?.to_string(),
                _ => names::text(body.rest()),
            };
            if !text.is_empty() {
                say(field, text);
            }
        }
    }
    Ok(())
}

/// The value is encrypted with a secret of both sides (RFC 2661 4.3).
const HIDDEN: u16 = 0x4000;

/// A data message, which has little to be told by: reserved bits zero, version 2, a tunnel.
fn data(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let flags = r.u16()?;
    let len_fits = flags & 0x4000 == 0 || usize::from(r.u16()?) == bytes.len();
    let (tunnel, session) = (r.u16()?, r.u16()?);
    let fits = flags & 0xb4ff == 0x0002 && len_fits && tunnel != 0 && session != 0;
    Ok(match fits {
        true => Look::ByEither,
        false => Look::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_cut_claims_no_other, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    /// A control message of these attributes: flags, kind and value.
    fn message(kind: u16, attributes: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0xc8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let kind = kind.to_be_bytes();
        let first: (u16, u16, &[u8]) = (0x8000, 0, &kind);
        for (flags, kind, value) in [&[first], attributes].concat() {
            bytes.extend((flags | (value.len() as u16 + 6)).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend_from_slice(value);
        }
        let len = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&len);
        bytes
    }

    fn said(field: Field, text: &str, by: Direction) -> Claim {
        let text = text.to_owned();
        Claim::Said { field, text, by }
    }

    #[test]
    fn both_ends_of_a_tunnel_say_who_they_are() {
        let asks = message(
            1,
            &[(0, 8, b"Microsoft"), (0x8000, 7, b"pc1"), (0, 9, &[0, 12])],
        );
        let answers = message(2, &[(0x8000, 7, b"lns"), (0, 8, b"xelerance.com")]);
        let talk = [(Forward, &asks[..]), (Reverse, &answers)];
        let expected = [
            said(VENDOR, "Microsoft", Forward),
            said(HOST, "pc1", Forward),
            said(TUNNEL, "12", Forward),
            said(HOST, "lns", Reverse),
            said(VENDOR, "xelerance.com", Reverse),
        ];
        assert_eq!(claims(&DATAGRAM, &talk), expected);
        assert_cut_claims_no_other(&DATAGRAM, &talk);
    }

    #[test]
    fn hidden_attributes_and_other_messages_say_nothing() {
        for bytes in [
            message(1, &[(HIDDEN, 8, b"Microsoft")]),
            message(3, &[(0, 8, b"Microsoft")]),
            message(1, &[(0, 8, b"")]),
            b"\0\x02\0\x01\0\x01data".to_vec(),
        ] {
            assert_eq!(claims(&DATAGRAM, &[(Forward, &bytes)]), []);
        }
    }

    #[test]
    fn an_attribute_counts_once_and_a_tunnel_of_data_is_left_alone() {
        let many = vec![(0, 8, &b"Microsoft"[..]); 60];
        let found = claims(&DATAGRAM, &[(Forward, &message(1, &many))]);
        assert_eq!(found, [said(VENDOR, "Microsoft", Forward)]);
        let (mut control, mut found) = (Control::default(), Vec::new());
        let data = b"\0\x02\0\x01\0\x01data";
        let more = |_: &u32| control.feed(Forward, data, &mut found) == Progress::More;
        assert_eq!((0..100).take_while(more).count(), MAX_MESSAGES as usize - 1);
    }
}
