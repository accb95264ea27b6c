//! What a payload proved: claims, and claims with the frame that proves them.

use std::net::IpAddr;

use thin_vec::ThinVec;

use crate::model::five_tuple::IpProtocol;
use crate::model::netbios::{NameKind, NameUse, NetbiosName};
use crate::model::packet::Frame;
use crate::model::protocol::{Field, Protocol};
use crate::model::time::Timestamp;
use crate::model::uuid::{Interface, Uuid};

/// One way of a flow, told by the packet that opened it, before it is known who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The way of the flow's first packet.
    Forward,
    /// The way back.
    Reverse,
}

impl Direction {
    /// The other way.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Forward => Direction::Reverse,
            Direction::Reverse => Direction::Forward,
        }
    }

    /// 0 or 1, to index a pair kept for both ways.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Where something listens, as a negotiation named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A port. Without an address, or with an unspecified one, it is the answering server's own.
    Port {
        /// The address that the answer named, if any.
        address: Option<IpAddr>,
        /// TCP or UDP; GRE for a call of PPTP.
        protocol: IpProtocol,
        /// The port, never 0; of GRE the call id.
        port: u16,
    },
    /// A named pipe, lower case, without `\PIPE\`.
    Pipe(Box<str>),
}

/// A kind of negotiation that assigns an endpoint to a flow that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    /// Its short name, lower case with hyphens, which is the kind of its evidence: `ftp-data`.
    pub name: &'static str,
    /// What the flow that follows is called: `FTP data`.
    pub application: &'static str,
    /// The words that tell a reader of it: `FTP assigned the port`.
    pub lead: &'static str,
    /// The protocol that negotiates, and whose service the flow that follows belongs to.
    pub protocol: Protocol,
}

/// A pipe, and what was done in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipeUse {
    /// The pipe, as it was opened; none where its opening was not captured.
    pub pipe: Option<Box<str>>,
    /// The interface bound in it; none where none was.
    pub interface: Option<Interface>,
}

/// What a payload proved. Names no protocol's inner workings and no service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The payload is of this protocol.
    Speaks(Protocol),
    /// The sender in this direction is the client: it asked, or was answered.
    ClientIs(Direction),
    /// A presentation context for this interface was offered; nothing yet says it was accepted.
    Offered(Interface),
    /// The server accepted a presentation context for this interface, or answers calls to it.
    Bound(Interface),
    /// The endpoint mapper said that this interface listens there.
    Mapped {
        /// The interface that was asked for or listed.
        interface: Interface,
        /// Where it listens.
        at: Box<Endpoint>,
    },
    /// The server said where the exporter of an object listens: any client may go there.
    Exported {
        /// The class of the object, where it was activated and not only looked up.
        class: Option<Uuid>,
        /// The interfaces that were asked of it, cut to a bound.
        interfaces: ThinVec<Uuid>,
        /// Where it listens.
        at: Box<Endpoint>,
    },
    /// The peers agreed that a flow of this kind will reach this endpoint.
    Assigned {
        /// By which negotiation.
        by: &'static Assignment,
        /// Where the next flow goes; without an address, to the listener's own.
        at: Endpoint,
        /// Who listens there: the sender in this direction of the negotiating flow. For TFTP that
        /// is the client: the server answers from a port that only its first packet tells.
        listener: Direction,
    },
    /// This many bytes of PDUs belonged to this interface, both ways; said once, at the end.
    Carried {
        /// The interface of the presentation context.
        interface: Interface,
        /// Bytes of its PDUs, headers included.
        bytes: u64,
    },
    /// A pipe was asked for by this name, lower case and without `\PIPE\`; what became of that is
    /// not known.
    AskedForPipe(String),
    /// The server refused to open a pipe by this name.
    RefusedPipe(String),
    /// A pipe was opened by this name: lower case, without `\PIPE\`.
    OpenedPipe(String),
    /// In a pipe, the server accepted a presentation context for this interface, or answers calls
    /// to it.
    BoundInPipe {
        /// The interface.
        interface: Interface,
        /// The pipe, as it was opened; none where its opening was not captured.
        pipe: Option<Box<str>>,
    },
    /// This many bytes of messages were about a pipe, both ways; said once for each pipe and
    /// interface, at the end.
    CarriedInPipe {
        /// Of which.
        of: Box<PipeUse>,
        /// Bytes of the messages, headers included; what opened and closed the pipe, too.
        bytes: u64,
    },
    /// The sender in this direction used a NetBIOS name.
    NetbiosName {
        /// The name.
        name: NetbiosName,
        /// Whose it is, where the message says so.
        kind: Option<NameKind>,
        /// What was done with it.
        used: NameUse,
        /// Who did it.
        by: Direction,
    },
    /// A mailslot was written to: lower case, without `\MAILSLOT\`.
    SentToMailslot(String),
    /// This many bytes of datagrams were written to this mailslot; said once, at the end.
    CarriedToMailslot {
        /// The mailslot, as it was claimed.
        mailslot: String,
        /// Bytes of its datagrams, NetBIOS headers included.
        bytes: u64,
    },
    /// A peer said what it is or whom it wants.
    Said {
        /// Where it is said.
        field: Field,
        /// What, as sent, cut to a bound.
        text: String,
        /// Who said it: the sender in this direction.
        by: Direction,
    },
    /// This many bytes of messages asked for what was said in a field, and granted it; said once for
    /// each text, at the end.
    CarriedFor {
        /// Where it was said.
        field: Field,
        /// What, as it was claimed.
        text: Box<str>,
        /// Bytes of the messages, headers included.
        bytes: u64,
    },
    /// An instance of a server, by this name, listens there: any client may go there.
    Hosted {
        /// Where the name was told.
        field: Field,
        /// The name of the instance, as sent, cut to a bound.
        name: Box<str>,
        /// Where it listens.
        at: Box<Endpoint>,
    },
    /// Two answers to one call differ in this, which one of them said: neither is believed, and what
    /// was claimed of it before is taken back.
    Contested(Box<Claim>),
}

impl Claim {
    /// The claim, contested.
    pub fn contested(self) -> Claim {
        Claim::Contested(Box::new(self))
    }

    /// What a claim weighs in memory: 1, and 1 more for every 128 bytes of text and lists in it. With
    /// the frame and the time that prove it, 1 is about 80 bytes.
    pub fn weight(&self) -> usize {
        const UNIT: usize = 128;
        let text = match self {
            Claim::Exported { interfaces, .. } => size_of_val(&interfaces[..]),
            Claim::AskedForPipe(text)
            | Claim::RefusedPipe(text)
            | Claim::OpenedPipe(text)
            | Claim::SentToMailslot(text) => text.len(),
            Claim::BoundInPipe { pipe, .. } => pipe.as_deref().map_or(0, str::len),
            Claim::CarriedInPipe { of, .. } => of.pipe.as_deref().map_or(0, str::len),
            Claim::CarriedToMailslot { mailslot, .. } => mailslot.len(),
            Claim::Said { text, .. } => text.len(),
            Claim::CarriedFor { text, .. } => text.len(),
            Claim::Hosted { name, .. } => name.len(),
            Claim::Contested(claim) => return 1 + claim.weight(),
            Claim::Speaks(_)
            | Claim::ClientIs(_)
            | Claim::Offered(_)
            | Claim::Bound(_)
            | Claim::Mapped { .. }
            | Claim::Assigned { .. }
            | Claim::Carried { .. }
            | Claim::NetbiosName { .. } => 0,
        };
        1 + text.div_ceil(UNIT)
    }
}

/// A claim with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was proved.
    pub claim: Claim,
    /// The frame that completed the proof.
    pub frame: Frame,
    /// When that frame was captured.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_something_takes_no_more_than_it_must_as_flows_keep_millions() {
        assert_eq!((size_of::<Claim>(), size_of::<Evidence>()), (40, 64));
    }
}
