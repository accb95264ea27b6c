//! What a flow is called, and why.

use std::time::Duration;

use crate::catalog::ServiceId;
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Assignment, Direction};
use crate::model::five_tuple::Peer;
use crate::model::packet::Frame;
use crate::model::protocol::Field;
use crate::model::time::Elapsed;
use crate::model::uuid::Interface;

/// The ground of a label, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The payload names the service.
    Content,
    /// The port was assigned to the service in a negotiation seen on the wire.
    Endpoint,
    /// A catalog port, and the payload speaks that port's protocol or is unreadable.
    Port,
    /// A catalog port that several services list: its listener is named.
    SharedPort,
    /// IP protocol 47, 50 or 51.
    IpProtocol,
    /// Nothing.
    None,
}

impl Basis {
    /// As in the rows: `content`, `shared-port`, …
    pub fn name(self) -> &'static str {
        match self {
            Basis::Content => "content",
            Basis::Endpoint => "endpoint",
            Basis::Port => "port",
            Basis::SharedPort => "shared-port",
            Basis::IpProtocol => "ip-protocol",
            Basis::None => "none",
        }
    }
}

/// What kind of thing a line of evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// A catalog port on the server's side.
    Port,
    /// The IP protocol number.
    IpProtocol,
    /// An endpoint mapper's answer, or an accepted BIND on the same endpoint.
    EndpointMap,
    /// What a host said of an endpoint of another, which it cannot know. Names no service.
    EndpointClaim,
    /// What one answer said of an endpoint, and another answer to the same call did not. Names no
    /// service.
    EndpointContested,
    /// DCOM's answer that an object exporter listens there.
    ObjectExporter,
    /// An accepted presentation context.
    RpcInterface,
    /// A presentation context that was offered but not seen accepted. Names no service.
    RpcOffer,
    /// A pipe that was opened.
    SmbPipe,
    /// A pipe that was asked for, without an answer that was seen. Names no service.
    SmbPipeAsked,
    /// A pipe that the server refused to open. Names no service.
    SmbPipeRefused,
    /// A mailslot that was written to.
    Mailslot,
    /// A NetBIOS name that was used.
    NetbiosName,
    /// A negotiation that assigned the port.
    Assigned(&'static Assignment),
    /// What the payload speaks.
    Protocol,
    /// The payload is not what the port is for.
    Mismatch,
    /// What a peer said of itself, or whom it asked for.
    Said(Field),
    /// What the server's host, or whoever listens on its port, was seen to be.
    HostSystem,
}

impl EvidenceKind {
    /// As in the rows: `rpc-interface`, `endpoint-map`, …
    pub fn name(self) -> &'static str {
        match self {
            EvidenceKind::Port => "port",
            EvidenceKind::IpProtocol => "ip-protocol",
            EvidenceKind::EndpointMap => "endpoint-map",
            EvidenceKind::EndpointClaim => "endpoint-claim",
            EvidenceKind::EndpointContested => "endpoint-contested",
            EvidenceKind::ObjectExporter => "object-exporter",
            EvidenceKind::RpcInterface => "rpc-interface",
            EvidenceKind::RpcOffer => "rpc-offer",
            EvidenceKind::SmbPipe => "smb-pipe",
            EvidenceKind::SmbPipeAsked => "smb-pipe-asked",
            EvidenceKind::SmbPipeRefused => "smb-pipe-refused",
            EvidenceKind::Mailslot => "mailslot",
            EvidenceKind::NetbiosName => "netbios-name",
            EvidenceKind::Assigned(by) => by.name,
            EvidenceKind::Protocol => "protocol",
            EvidenceKind::Mismatch => "mismatch",
            EvidenceKind::Said(field) => field.name(),
            EvidenceKind::HostSystem => "host-system",
        }
    }
}

/// One line of evidence, ready for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// What kind of thing it is.
    pub kind: EvidenceKind,
    /// What was seen: a UUID with version, `135/tcp`, a protocol's name. May hold bytes from the
    /// wire: escape before showing.
    pub value: String,
    /// The name that the catalog has for the value, where it has one.
    pub name: Option<String>,
    /// The frame that proves it; none where the flow as a whole does (its port).
    pub frame: Option<Frame>,
}

/// A service that a flow reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which; none for an RPC interface that the catalog ties to no service.
    pub service: Option<ServiceId>,
    /// The application protocol over which it was reached: `RPC`, `SMB`, `LDAP Server`.
    pub application: String,
    /// Why it is named.
    pub basis: Basis,
    /// What carried it, where that is another service's protocol: `smb`. None where direct.
    pub via: Option<&'static str>,
    /// The RPC interfaces that were reached.
    pub interfaces: Vec<Interface>,
    /// The pipes through which.
    pub pipes: Vec<String>,
    /// Bytes on the wire that were its; the whole flow's where it is alone.
    pub bytes: u64,
}

/// A flow's name: its service or services, and the ground for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The service that listens there, if one could be named.
    pub service: Option<ServiceId>,
    /// The application protocol of the label, if anything is known of it.
    pub application: Option<String>,
    /// Why.
    pub basis: Basis,
    /// Every service evidenced, `service` first.
    pub services: Vec<Reached>,
    /// Services that the catalog lists and nothing decided between.
    pub candidates: Vec<ServiceId>,
    /// What proves it, in the order of the frames.
    pub evidence: Vec<Ground>,
}

/// A flow with its label: what every report is made from.
#[derive(Clone, Debug)]
pub struct LabelledFlow {
    /// Its number within the run, from 1 in the order in which flows are reported.
    pub id: u64,
    /// The flow.
    pub flow: EndedFlow,
    /// The direction in which the client sends.
    pub client: Direction,
    /// What it is called, and why.
    pub label: Label,
}

impl LabelledFlow {
    /// Who asked.
    pub fn client(&self) -> Peer {
        self.flow.sender(self.client)
    }

    /// Who listens.
    pub fn server(&self) -> Peer {
        self.flow.sender(self.client.reversed())
    }

    /// From the client's first payload to the server's first payload after it.
    pub fn response(&self) -> Option<Duration> {
        self.flow.response[self.client.index()].map(Elapsed::duration)
    }
}
