//! Trivial File Transfer Protocol (RFC 1350): a request, which the server answers from another port.

use crate::dissect::messages::Sayings;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, probe_datagram,
};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::{Field, Protocol};

/// Trivial File Transfer Protocol (RFC 1350).
pub const PROTOCOL: Protocol = Protocol::new(&["tftp", "TFTP"]);

/// The transfer leaves from a port of its own (RFC 1350 4).
const TRANSFER: Assignment = Assignment {
    name: "tftp-transfer",
    application: "TFTP",
    lead: "TFTP request",
    protocol: PROTOCOL,
};

/// The file that is asked for or brought.
const FILE: Field = Field::new(&["tftp-file", "file"]);

/// TFTP requests over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[69],
    begins: FirstBytes::of(b"\0"),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|opening| {
        Box::new(Requests {
            ports: opening.ports,
            said: Sayings::default(),
        })
    }),
    says: &[FILE],
    examples: &[Example {
        port: 69,
        client: b"\0\x01boot.0\0octet\0",
        server: b"",
    }],
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    // Read and write requests: a file name and a mode, both ended by NUL.
    if !matches!(r.u16()?, 1 | 2) {
        return Ok(Look::Other);
    }
    let (file, mode) = (r.until(0)?, r.until(0)?);
    let modes: [&[u8]; 3] = [b"octet", b"netascii", b"mail"];
    // Some ask for no file, to see who is there.
    let fits = !file.iter().any(u8::is_ascii_control)
        && modes.iter().any(|one| mode.eq_ignore_ascii_case(one));
    Ok(match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    })
}

/// Claims where each request's transfer goes: to the port that the request came from.
struct Requests {
    ports: (u16, u16),
    said: Sayings,
}

impl Dissector for Requests {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let port = match from {
            Direction::Forward => self.ports.0,
            Direction::Reverse => self.ports.1,
        };
        if look(bytes) == Ok(Look::By(Role::Client)) && port != 0 {
            let mut r = Reader::big(bytes);
            r.up_to(2);
            let file = r.until(0).map(names::text);
            self.said.say(FILE, file.unwrap_or_default(), from, found);
            // The server chooses its port with its first answer; known is only the client's. So the
            // client is the one that "listens", with an address that is its own.
            found.push(Claim::Assigned {
                by: &TRANSFER,
                at: Endpoint::Port {
                    address: None,
                    protocol: IpProtocol::UDP,
                    port,
                },
                listener: from,
            });
        }
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    use crate::dissect::messages::MAX_SAYINGS;
    use crate::dissect::messages::samples::texts;

    fn found(talk: &[(Direction, &[u8])]) -> Vec<Claim> {
        let mut found = Vec::new();
        let mut requests = Requests {
            ports: (2000, 69),
            said: Sayings::default(),
        };
        for (from, bytes) in talk {
            requests.feed(*from, bytes, &mut found);
        }
        found
    }

    fn agreed(found: &[Claim]) -> usize {
        let at = Endpoint::Port {
            address: None,
            protocol: IpProtocol::UDP,
            port: 2000,
        };
        let (by, listener) = (&TRANSFER, Forward);
        let expected = Claim::Assigned { by, at, listener };
        found.iter().filter(|claim| **claim == expected).count()
    }

    const REQUEST: &[u8] = b"\0\x01boot\\x64\\wdsnbp.com\0OCTET\0tsize\x000\0";

    #[test]
    fn a_transfer_goes_to_the_port_that_the_request_came_from() {
        let found = found(&[(Forward, REQUEST)]);
        assert_eq!(agreed(&found), 1);
        assert_eq!(texts(&found), ["tftp-file: boot\\x64\\wdsnbp.com"]);
    }

    #[test]
    fn every_request_from_one_port_is_a_transfer_and_a_repeated_one_is_told_of_again() {
        // The transfer's time runs from the last of them.
        let found = found(&[
            (Forward, REQUEST),
            (Forward, REQUEST),
            (Forward, b"\0\x02b\0mail\0"),
        ]);
        assert_eq!(agreed(&found), 3);
        assert_eq!(texts(&found)[1..], ["tftp-file: b"]);
    }

    #[test]
    fn a_server_that_answers_from_the_port_of_requests_agrees_on_nothing() {
        let answers: [(_, &[u8]); 4] = [
            (Reverse, b"\0\x06tsize\x0010\0"),
            (Forward, b"\0\x04\0\0"),
            (Reverse, b"\0\x03\0\x01data"),
            (Reverse, b"\0\x05\0\x01not found\0"),
        ];
        assert!(found(&answers).is_empty());
    }

    #[test]
    fn a_request_for_a_file_without_a_name_agrees_on_a_transfer_too() {
        let found = found(&[(Forward, b"\0\x01\0octet\0")]);
        assert_eq!((agreed(&found), texts(&found)), (1, Vec::new()));
    }

    #[test]
    fn a_request_torn_anywhere_before_its_mode_is_none() {
        for len in 0..b"\0\x01boot\\x64\\wdsnbp.com\0OCTET\0".len() {
            let cut = Reader::big(REQUEST).up_to(len);
            assert!(found(&[(Forward, cut)]).is_empty(), "{len}");
        }
    }

    #[test]
    fn files_are_told_of_up_to_a_bound() {
        let asked: Vec<_> = (0..100)
            .map(|n| format!("\0\x01{n}\0octet\0").into_bytes())
            .collect();
        let talk: Vec<(_, &[u8])> = asked.iter().map(|one| (Forward, &one[..])).collect();
        assert_eq!(texts(&found(&talk)).len(), MAX_SAYINGS);
    }
}
