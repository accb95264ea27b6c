//! Point-to-Point Tunneling Protocol, control connection (RFC 2637): who talks, and the call ids
//! by which their packets in GRE are known.

use crate::dissect::cutter::Cutter;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, filled, names,
    probe_stream,
};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::{Field, Protocol};

/// Point-to-Point Tunneling Protocol, control connection (RFC 2637).
pub const PROTOCOL: Protocol = Protocol::new(&["pptp", "PPTP"]);

/// Host Name of the messages that start a control connection (RFC 2637 2.1, 2.2).
const HOST: Field = Field::new(&["pptp-host", "PPTP host name"]);
/// Vendor String of the same.
const VENDOR: Field = Field::new(&["pptp-vendor", "PPTP vendor"]);

/// A call (RFC 2637 4.1): its packets carry the id that their receiver chose.
pub const CALL: Assignment = Assignment {
    name: "pptp-call",
    application: "GRE",
    lead: "PPTP call set up",
    protocol: PROTOCOL,
};

/// PPTP over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[1723],
    begins: FirstBytes::range(0, 2),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|_| Box::new(Control::default())),
    says: &[HOST, VENDOR],
    examples: &[Example {
        port: 1723,
        client: &filled::<156>(b"\0\x9c\0\x01\x1a+<M\0\x01", 0),
        server: b"",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let len = r.u16()?;
    if !LEN.contains(&len) || r.u16()? != 1 || r.u32()? != MAGIC {
        return Ok(Look::Other);
    }
    Ok(match r.u16()? {
        START_REQUEST | OUTGOING_REQUEST => Look::By(Role::Client),
        START_REPLY | OUTGOING_REPLY => Look::By(Role::Server),
        3..=15 => Look::ByEither,
        _ => Look::Other,
    })
}

/// RFC 2637 2: "magic cookie".
const MAGIC: u32 = 0x1a2b_3c4d;

/// The length of a message: the longest that RFC 2637 has is 220 bytes, its shortest 12.
const LEN: std::ops::RangeInclusive<u16> = 12..=512;

const START_REQUEST: u16 = 1;
const START_REPLY: u16 = 2;
const OUTGOING_REQUEST: u16 = 7;
const OUTGOING_REPLY: u16 = 8;
const INCOMING_REQUEST: u16 = 9;
const INCOMING_REPLY: u16 = 10;

/// Follows both sides, message by message.
#[derive(Default)]
struct Control {
    ways: [Cutter; 2],
}

impl Dissector for Control {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let cutter = &mut self.ways[from.index()];
        let mut r = Reader::big(bytes);
        while let Some(message) = next_message(cutter, &mut r) {
            // A message too short for its kind says nothing.
            let _ = read(&message, from, found);
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.ways[from.index()].gap(missing);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// The next whole message; `None` if more bytes are needed.
fn next_message(cutter: &mut Cutter, r: &mut Reader) -> Option<Vec<u8>> {
    loop {
        let leads_on = |mut r: Reader| look(r.rest()).is_ok_and(|look| look != Look::Other);
        cutter.find_boundary(r, HEAD, leads_on)?;
        cutter.fill(HEAD, r)?;
        let len = Reader::big(&cutter.pending).u16().unwrap_or(0);
        if look(&cutter.pending).is_ok_and(|look| look != Look::Other) {
            cutter.fill(usize::from(len), r)?;
            return Some(std::mem::take(&mut cutter.pending));
        }
        cutter.lose();
    }
}

/// How many bytes tell a message: up to its type.
const HEAD: usize = 10;

/// Claims what a message says: of its sender, or of a call.
fn read(message: &[u8], from: Direction, found: &mut Vec<Claim>) -> Result<(), Short> {
    let mut r = Reader::big(message);
    r.skip(8)?;
    let kind = r.u16()?;
    r.skip(2)?;
    match kind {
        START_REQUEST | START_REPLY => {
            r.skip(16)?;
            for field in [HOST, VENDOR] {
                let text = names::text(r.take(64)?);
                if !text.is_empty() {
                    found.push(Claim::Said {
                        field,
                        text,
                        by: from,
                    });
                }
            }
        }
        OUTGOING_REQUEST | INCOMING_REQUEST => found.push(call(r.u16()?, from)),
        OUTGOING_REPLY | INCOMING_REPLY => {
            let (id, _peers_id, result) = (r.u16()?, r.u16()?, r.u8()?);
            if result == CONNECTED {
                found.push(call(id, from));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Result code of the replies (RFC 2637 2.8, 2.10).
const CONNECTED: u8 = 1;

/// Packets in GRE with this id come to who chose it. There are clients that choose 0.
fn call(id: u16, from: Direction) -> Claim {
    Claim::Assigned {
        by: &CALL,
        at: Endpoint::Port {
            address: None,
            protocol: IpProtocol::GRE,
            port: id,
        },
        listener: from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_torn_is_whole, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let len = body.len() as u16 + 12;
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.extend([0, 1, 0x1a, 0x2b, 0x3c, 0x4d]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn start(kind: u16, host: &str, vendor: &str) -> Vec<u8> {
        let mut body = vec![0; 16];
        for (text, end) in [(host, 16 + 64), (vendor, 16 + 2 * 64)] {
            body.extend_from_slice(text.as_bytes());
            body.resize(end, 0);
        }
        message(kind, &body)
    }

    fn said(field: Field, text: &str, by: Direction) -> Claim {
        let text = text.to_owned();
        Claim::Said { field, text, by }
    }

    #[test]
    fn the_peers_name_themselves_and_their_calls() {
        let asks = [
            start(1, "", "Microsoft Windows NT"),
            message(7, &[0x40, 1, 0, 1]),
        ];
        let answers = [
            start(2, "local", "linux"),
            message(8, &[0, 7, 0x40, 1, 1, 0]),
        ];
        let talk = [
            (Forward, &asks[0][..]),
            (Reverse, &answers[0]),
            (Forward, &asks[1]),
            (Reverse, &answers[1]),
        ];
        let expected = [
            said(VENDOR, "Microsoft Windows NT", Forward),
            said(HOST, "local", Reverse),
            said(VENDOR, "linux", Reverse),
            call(0x4001, Forward),
            call(7, Reverse),
        ];
        assert_eq!(claims(&STREAM, &talk), expected);
        assert_torn_is_whole(&STREAM, &talk);
    }

    #[test]
    fn a_refused_call_and_a_short_message_claim_nothing() {
        for bytes in [
            message(8, &[0, 7, 0x40, 1, 4, 0]),
            message(8, &[0, 7, 0x40]),
            message(7, &[0]),
            message(2, &[0; 20]),
            message(5, &[0; 4]),
        ] {
            assert_eq!(claims(&STREAM, &[(Reverse, &bytes)]), []);
        }
    }

    #[test]
    fn after_a_gap_the_next_message_is_found() {
        let (mut control, mut found) = (Control::default(), Vec::new());
        control.feed(Forward, &start(1, "", "Microsoft")[..100], &mut found);
        control.gap(Forward, Some(9));
        control.feed(Forward, b"the rest of it", &mut found);
        control.feed(Forward, &message(7, &[0, 9]), &mut found);
        assert_eq!(found, [call(9, Forward)]);
    }

    #[test]
    fn no_more_than_one_message_is_kept() {
        let mut control = Control::default();
        let mut longest = message(7, &[0; 500]);
        for _ in 0..100 {
            longest.truncate(511);
            control.feed(Forward, &longest, &mut Vec::new());
            assert!(control.ways[0].pending.len() <= usize::from(*LEN.end()));
        }
    }
}
