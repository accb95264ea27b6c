//! Flows for the tests of this folder.

use std::time::Duration;

use crate::attribute::label::{Basis, EvidenceKind, Ground, Label, LabelledFlow, Reached};
use crate::catalog::{Catalog, ServiceId};
use crate::flow::ended::{EndedFlow, State};
use crate::model::evidence::Direction;
use crate::model::five_tuple::{FiveTuple, IpProtocol, Peer};
use crate::model::packet::{CaptureId, Frame};
use crate::model::time::{Elapsed, Timestamp};
use crate::model::uuid::{Interface, Uuid};
use crate::report::column::Capture;

/// The catalog that is compiled in.
pub fn catalog() -> Catalog {
    Catalog::built_in()
}

/// Two capture files.
pub fn captures() -> [Capture; 2] {
    ["office.pcapng", "dc.pcap"].map(|name| Capture::File(name.to_owned()))
}

/// The service of this id.
pub fn service(catalog: &Catalog, id: &str) -> ServiceId {
    catalog.find(id).expect(id)
}

/// A frame of the first capture.
pub fn frame(number: u64) -> Frame {
    Frame {
        capture: CaptureId(0),
        number,
    }
}

/// A TCP flow that nothing names: 10.0.0.`client`:50000 to 10.0.0.1:`port`, 3 packets and 300
/// bytes there, 2 packets and 2000 bytes back.
pub fn unknown(client: u8, port: u16) -> LabelledFlow {
    let peer = |host: u8, port: u16| Peer {
        address: [10, 0, 0, host].into(),
        port,
    };
    let start = Timestamp::from_nanos(1_156_534_340_651_502_000);
    let flow = EndedFlow {
        tuple: FiveTuple {
            source: peer(client, 50_000),
            destination: peer(1, port),
            protocol: IpProtocol::TCP,
        },
        first_frame: frame(1),
        start,
        end: start.after(Duration::from_millis(1500)),
        packets: [3, 2],
        bytes: [300, 2000],
        state: State::Closed,
        client: Some(Direction::Forward),
        handshake: Some(Elapsed::new(Duration::from_nanos(1_500_999))),
        response: [None; 2],
        vlan: None,
        tunnel: None,
        key_or_index: None,
        ttl: [Some(128), Some(64)],
        answer: None,
        evidence: Default::default(),
    };
    let label = Label {
        service: None,
        application: None,
        basis: Basis::None,
        services: Vec::new(),
        candidates: Vec::new(),
        evidence: Vec::new(),
    };
    LabelledFlow {
        id: 1,
        flow,
        client: Direction::Forward,
        label,
    }
}

/// The same, named for a service that the payload proves.
pub fn named(client: u8, port: u16, id: ServiceId, basis: Basis) -> LabelledFlow {
    let mut row = unknown(client, port);
    row.label.service = Some(id);
    row.label.application = Some("RPC".to_owned());
    row.label.basis = basis;
    row.label.services = vec![reached(id, basis, None)];
    row.label.evidence = vec![Ground {
        kind: EvidenceKind::RpcInterface,
        value: SAMR.to_string(),
        name: Some("samr".to_owned()),
        frame: Some(frame(16)),
    }];
    row
}

/// An SMB session on which the Spooler was reached.
pub fn smb_session(catalog: &Catalog, client: u8) -> LabelledFlow {
    let mut row = named(
        client,
        445,
        service(catalog, "lanmanserver"),
        Basis::Content,
    );
    row.label.application = Some("SMB".to_owned());
    let spooler = service(catalog, "Spooler");
    let mut carried = reached(spooler, Basis::Content, Some("smb"));
    carried.pipes = vec!["spoolss".to_owned()];
    carried.bytes = 900;
    row.label.services.push(carried);
    row
}

/// The Security Account Manager's interface (MS-SAMR 1.9).
pub const SAMR: Interface = Interface::new(
    Uuid::from_u128(0x12345778_1234_abcd_ef00_0123456789ac),
    1,
    0,
);

fn reached(service: ServiceId, basis: Basis, via: Option<&'static str>) -> Reached {
    Reached {
        service: Some(service),
        application: "RPC".to_owned(),
        basis,
        via,
        interfaces: vec![SAMR],
        pipes: Vec::new(),
        bytes: 2300,
    }
}
