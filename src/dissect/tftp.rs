//! Trivial File Transfer Protocol (RFC 1350): a request, which the server answers from another port.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Dissector, Example, Input, Look, Progress, Role, probe_datagram};
use crate::model::evidence::{Assignment, Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::Protocol;

/// Trivial File Transfer Protocol (RFC 1350).
pub const PROTOCOL: Protocol = Protocol::new("tftp", "TFTP");

/// The transfer leaves from a port of its own (RFC 1350 4).
const TRANSFER: Assignment = Assignment {
    name: "tftp-transfer",
    application: "TFTP",
    lead: "TFTP request",
    protocol: PROTOCOL,
};

/// TFTP requests over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[69],
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|opening| {
        Box::new(Requests {
            ports: opening.ports,
        })
    }),
    says: &[],
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
    let fits = !file.is_empty()
        && !file.iter().any(u8::is_ascii_control)
        && modes.iter().any(|one| mode.eq_ignore_ascii_case(one));
    Ok(match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    })
}

/// Claims where each request's transfer goes: to the port that the request came from.
struct Requests {
    ports: (u16, u16),
}

impl Dissector for Requests {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let port = match from {
            Direction::Forward => self.ports.0,
            Direction::Reverse => self.ports.1,
        };
        if look(bytes) == Ok(Look::By(Role::Client)) && port != 0 {
            // The server chooses its port with its first answer; known is only the client's. So the
            // client is the one that "listens", with an address that is its own.
            found.push(Claim::Assigned {
                by: TRANSFER,
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
    use crate::model::evidence::Direction::Forward;

    #[test]
    fn a_transfer_goes_to_the_port_that_the_request_came_from() {
        let (mut requests, mut found) = (Requests { ports: (2000, 69) }, Vec::new());
        requests.feed(
            Forward,
            b"\0\x01boot\\x64\\wdsnbp.com\0OCTET\0tsize\x000\0",
            &mut found,
        );
        requests.feed(Forward, b"\0\x03\0\x01data", &mut found);
        let at = Endpoint::Port {
            address: None,
            protocol: IpProtocol::UDP,
            port: 2000,
        };
        let by = TRANSFER;
        let listener = Forward;
        assert_eq!(found, [Claim::Assigned { by, at, listener }]);
    }
}
