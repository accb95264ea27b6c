//! A line of the endpoint map, for readers: what listens where, and how that is known.

use std::net::IpAddr;

use crate::attribute::label::EvidenceKind;
use crate::catalog::ServiceId;
use crate::model::five_tuple::IpProtocol;
use crate::model::packet::Frame;
use crate::model::time::Timestamp;
use crate::model::uuid::Interface;

/// What listened at one endpoint for one span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// The server.
    pub server: IpAddr,
    /// TCP or UDP; for a pipe TCP, which carries SMB.
    pub protocol: IpProtocol,
    /// The port; 0 for a pipe that is known by name alone.
    pub port: u16,
    /// The pipe, lower case, without `\PIPE\`, where the endpoint is one. As on the wire: escape
    /// before showing.
    pub pipe: Option<String>,
    /// The interfaces that listen there; empty where another negotiation assigned the port.
    pub interfaces: Vec<Interface>,
    /// The services behind them, as far as the catalog knows.
    pub services: Vec<ServiceId>,
    /// The frame that taught it.
    pub learned: Frame,
    /// What kind of thing that frame said.
    pub how: EvidenceKind,
    /// Who said so, where that names nothing: another host, which cannot know, or the server, where
    /// its answers differ. None where the server said so.
    pub said_by: Option<IpAddr>,
    /// From when on this held: when it was learned, not when the service started.
    pub since: Timestamp,
    /// When the port was assigned anew; none while it still holds.
    pub until: Option<Timestamp>,
}
