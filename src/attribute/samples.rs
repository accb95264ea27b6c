//! Ended flows with what they proved, for tests.

use crate::attribute::label::{Basis, Label, Reached};
use crate::catalog::Catalog;
use crate::flow::ended::{EndedFlow, State};
use crate::model::evidence::{Claim, Evidence};
use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer};
use crate::model::packet::{CaptureId, Frame};
use crate::model::time::Timestamp;

/// The claim, proved by frame 1 at time 0.
pub fn evidence(claim: Claim) -> Evidence {
    Evidence {
        claim,
        frame: Frame {
            capture: CaptureId(0),
            number: 1,
        },
        time: Timestamp::from_nanos(0),
    }
}

/// A flow of 300 bytes there and 200 back that proved these claims.
pub fn flow(claims: &[Claim]) -> EndedFlow {
    let peer = |address: &str| Peer {
        address: address.parse().expect("an address"),
        port: 138,
    };
    EndedFlow {
        tuple: FiveTuple {
            source: peer("10.0.0.1"),
            destination: peer("10.0.0.255"),
            protocol: IpProtocol::UDP,
        },
        first_frame: Frame {
            capture: CaptureId(0),
            number: 1,
        },
        start: Timestamp::from_nanos(0),
        end: Timestamp::from_nanos(0),
        packets: [1, 1],
        bytes: [300, 200],
        state: State::Open,
        client: None,
        handshake: None,
        response: [None; 2],
        vlan: None,
        tunnel: None,
        key_or_index: None,
        ttl: [None; 2],
        answer: None,
        evidence: claims.iter().cloned().map(evidence).collect(),
    }
}

/// The label that its port gives an SMB session of 500 bytes.
pub fn smb_session(catalog: &Catalog) -> Label {
    let listener = Reached {
        service: catalog.find("lanmanserver"),
        application: "SMB".to_owned(),
        basis: Basis::SharedPort,
        via: None,
        interfaces: Vec::new(),
        pipes: Vec::new(),
        bytes: 500,
    };
    Label {
        service: listener.service,
        application: Some("SMB".to_owned()),
        basis: Basis::SharedPort,
        services: vec![listener],
        candidates: Vec::new(),
        evidence: Vec::new(),
    }
}
