//! Payload to claims: one protocol, one file. A dissector reports what it saw and judges nothing.
//!
//! In come the first payload bytes of a flow; [`ALL`] is walked until one definition knows them.
//! A definition with a [`Definition::follow`] then gets the rest of the flow, in order; the others
//! have said all they can say. Out come claims; the flow that fed the bytes adds frame and time.

pub mod names;
pub mod read;
pub mod rpc;

use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Protocol;

/// Every protocol that is looked for, those with the clearest signature first.
pub const ALL: &[Definition] = &[rpc::CONNECTION, rpc::DATAGRAM];

/// What the definitions together say of a flow's first bytes.
#[derive(Clone, Copy)]
pub enum Recognised {
    /// This protocol, with the direction of the client where the bytes tell.
    As(&'static Definition, Option<Direction>),
    /// Nobody yet; at least one definition wants more bytes, or the other side's.
    NotYet,
    /// None that is known.
    Unknown,
}

/// Asks every definition for this input, those with a usual port among the flow's first.
///
/// Ask again while it says `NotYet`, with all bytes so far, up to a bound. For a flow that was not
/// seen from its start a PDU may begin at any later segment: ask again with each of those alone
/// (`from_start` false), also after `Unknown`.
pub fn recognise(input: Input, opening: &Opening) -> Recognised {
    let fits = |definition: &&Definition| definition.input == input;
    let usual = |definition: &&Definition| {
        let ports = definition.usual_ports;
        ports.iter().any(|port| opening.has_port(*port))
    };
    let first = ALL.iter().filter(fits).filter(usual);
    let then = ALL.iter().filter(fits).filter(|one| !usual(one));
    let mut answer = Recognised::Unknown;
    for definition in first.chain(then) {
        match (definition.probe)(opening) {
            Probe::Yes(client) => return Recognised::As(definition, client),
            Probe::NeedMore => answer = Recognised::NotYet,
            Probe::No => {}
        }
    }
    answer
}

/// What carries the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// TCP: bytes in order.
    Stream,
    /// UDP: whole datagrams.
    Datagram,
}

/// The first payload bytes of a flow, or of one datagram, for a probe to look at.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The first bytes sent forward; empty if the other side spoke first.
    pub forward: &'a [u8],
    /// The first bytes sent back; empty until an answer was seen.
    pub reverse: &'a [u8],
    /// The ports: of the sender of the forward bytes, and of the other side.
    pub ports: (u16, u16),
    /// Whether the flow was seen from its start: if not, the bytes may begin anywhere.
    pub from_start: bool,
}

impl Opening<'_> {
    /// The first bytes of either side, forward first, with their direction; empty ones left out.
    pub fn sides(&self) -> impl Iterator<Item = (Direction, &[u8])> {
        [
            (Direction::Forward, self.forward),
            (Direction::Reverse, self.reverse),
        ]
        .into_iter()
        .filter(|(_, bytes)| !bytes.is_empty())
    }

    /// Whether one of the ports is `port`. Orders probes and settles close calls; proves nothing.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.0 == port || self.ports.1 == port
    }
}

/// What a probe says of the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol, and the sender in this direction is the client where the bytes tell.
    Yes(Option<Direction>),
    /// It may be; more bytes or the other side's are needed.
    NeedMore,
    /// It is not.
    No,
}

/// What a dissector wants after what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The bytes that follow.
    More,
    /// Nothing: it has said all that it can say of this flow.
    Done,
    /// Nothing: the flow turned out to be of another protocol.
    NotMine,
}

/// Follows one flow. Keeps what it needs, bounded, and adds claims to `found`.
pub trait Dissector: Send {
    /// Takes the next bytes of one direction: of a stream in order, of UDP one whole datagram.
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress;

    /// Says that `missing` bytes of one direction were not captured, or are of unknown number
    /// where `None`. The bytes fed next come after them.
    fn gap(&mut self, from: Direction, missing: Option<u64>);

    /// Says that the flow has ended: the last chance for claims.
    fn finish(&mut self, found: &mut Vec<Claim>);
}

/// A protocol that is looked for.
pub struct Definition {
    /// What is claimed once the probe says yes.
    pub protocol: Protocol,
    /// What carries it.
    pub input: Input,
    /// Ports on which it is tried first. They order the probes and decide nothing.
    pub usual_ports: &'static [u16],
    /// Looks at the first bytes. Must not say yes to another protocol's.
    pub probe: fn(&Opening) -> Probe,
    /// Follows the flow once the probe has said yes, if there is more to learn.
    pub follow: Option<fn() -> Box<dyn Dissector>>,
}
