//! The collector by its behaviour: what was learned, and what flows are called.

use super::*;
use crate::attribute::label::Basis;
use crate::dissect::{ftp, pptp, rpc, ssh, tls};
use crate::flow::ended::State;
use crate::model::evidence::{Assignment, Evidence};
use crate::model::five_tuple::IpProtocol;
use crate::model::packet::{CaptureId, Frame};
use crate::model::time::Timestamp;

const SERVER: &str = "192.168.0.2";
const CLIENT: &str = "192.168.0.173";
const OTHER: &str = "192.168.0.129";
const SAMR: Interface = Interface::new(
    Uuid::from_u128(0x12345778_1234_abcd_ef00_0123456789ac),
    1,
    0,
);
const DRSUAPI: Interface = Interface::new(
    Uuid::from_u128(0xe3514235_4b06_11d1_ab04_00c04fc2dcd2),
    4,
    0,
);
const DNSSERVER: Interface = Interface::new(
    Uuid::from_u128(0x50abc2a4_574d_40b3_9d66_ee4fd5fba076),
    5,
    0,
);
const STRANGE: Interface = Interface::new(
    Uuid::from_u128(0x11112222_3333_4444_5555_666677778888),
    1,
    0,
);

fn seconds(count: u64) -> Timestamp {
    Timestamp::from_nanos(i128::from(count) * 1_000_000_000)
}

fn frame(number: u64) -> Frame {
    Frame {
        capture: CaptureId(0),
        number,
    }
}

fn tuple(protocol: IpProtocol, client: (&str, u16), server: (&str, u16)) -> FiveTuple {
    let peer = |(address, port): (&str, u16)| Peer {
        address: address.parse().expect("an address"),
        port,
    };
    FiveTuple {
        source: peer(client),
        destination: peer(server),
        protocol,
    }
}

/// A TCP flow from `client` to a port of the server, at that second, proving these claims.
fn flow(at: u64, client: &str, port: u16, claims: &[Claim]) -> EndedFlow {
    flow_to(at, (client, 50_000), (SERVER, port), claims)
}

fn flow_to(at: u64, client: (&str, u16), server: (&str, u16), claims: &[Claim]) -> EndedFlow {
    let evidence = claims.iter().map(|claim| Evidence {
        claim: claim.clone(),
        frame: frame(at),
        time: seconds(at),
    });
    EndedFlow {
        tuple: tuple(IpProtocol::TCP, client, server),
        first_frame: frame(at),
        start: seconds(at),
        end: seconds(at),
        packets: [1, 1],
        bytes: [40, 40],
        state: State::Open,
        client: Some(Direction::Forward),
        handshake: None,
        response: [None; 2],
        vlan: None,
        tunnel: None,
        key_or_index: None,
        ttl: [None; 2],
        answer: None,
        evidence: evidence.collect(),
    }
}

/// The server tells the client, in the frame of that second, where interfaces listen.
fn answer(at: u64, towers: &[(Interface, Option<&str>, u16)]) -> Vec<Finding> {
    let mapped = towers
        .iter()
        .map(|(interface, address, port)| Claim::Mapped {
            interface: *interface,
            at: Box::new(Endpoint::Port {
                address: address.map(|address| address.parse().expect("an address")),
                protocol: IpProtocol::TCP,
                port: *port,
            }),
        });
    mapped.map(|claim| finding(at, 135, claim)).collect()
}

fn finding(at: u64, port: u16, claim: Claim) -> Finding {
    Finding {
        tuple: tuple(IpProtocol::TCP, (CLIENT, 40_000), (SERVER, port)),
        client: Some(Direction::Forward),
        tunnel: None,
        evidence: Evidence {
            claim,
            frame: frame(at),
            time: seconds(at),
        },
    }
}

/// The labels of `flows` after everything was learned: service id, basis, candidate ids.
fn labels(findings: Vec<Finding>, flows: Vec<EndedFlow>) -> Vec<(String, Basis, Vec<String>)> {
    let catalog = Catalog::built_in();
    let networks = Networks::default();
    let mut collector = Collector::new(&catalog, &networks, Hold::ToTheEnd);
    let mut labelled = Vec::new();
    for flow in flows {
        collector.ended(flow, &mut |flow| labelled.push(flow));
    }
    findings
        .into_iter()
        .for_each(|finding| collector.learn(finding));
    collector.finish(&mut |flow| labelled.push(flow));
    labelled.sort_by_key(|labelled| labelled.flow.first_frame);
    let id = |id| catalog.service(id).id.clone();
    (labelled.iter())
        .map(|labelled| {
            let label = &labelled.label;
            let candidates = label.candidates.iter().map(|c| id(*c)).collect();
            let service = label.service.map_or_else(|| "-".to_owned(), id);
            (service, label.basis, candidates)
        })
        .collect()
}

fn services(findings: Vec<Finding>, flows: Vec<EndedFlow>) -> Vec<String> {
    labels(findings, flows)
        .into_iter()
        .map(|(service, ..)| service)
        .collect()
}

#[test]
fn what_one_client_was_told_names_the_flows_of_every_client_before_and_after() {
    let flows = vec![flow(1, OTHER, 1032, &[]), flow(9, CLIENT, 1032, &[])];
    let labels = labels(answer(5, &[(SAMR, None, 1032)]), flows);
    let named = ("LSASS".to_owned(), Basis::Endpoint, Vec::new());
    assert_eq!(labels, [named.clone(), named]);
}

#[test]
fn an_answer_names_no_flow_to_another_port_or_host() {
    let flows = vec![
        flow(6, CLIENT, 1033, &[]),
        flow_to(7, (CLIENT, 50_000), (OTHER, 1032), &[]),
    ];
    assert_eq!(
        services(answer(5, &[(SAMR, None, 1032)]), flows),
        ["-", "-"]
    );
}

#[test]
fn an_answer_without_an_address_means_the_server_that_gave_it() {
    let findings = answer(5, &[(SAMR, Some("0.0.0.0"), 1032)]);
    assert_eq!(
        services(findings, vec![flow(6, CLIENT, 1032, &[])]),
        ["LSASS"]
    );
}

#[test]
fn an_answer_that_names_another_address_counts_for_who_gave_it_and_of_the_other_it_is_hearsay() {
    let findings = answer(5, &[(SAMR, Some("10.9.9.9"), 1032)]);
    let flows = vec![
        flow(6, CLIENT, 1032, &[]),
        flow_to(7, (CLIENT, 50_000), ("10.9.9.9", 1032), &[]),
    ];
    assert_eq!(
        labels(findings, flows),
        [
            ("LSASS".to_owned(), Basis::Endpoint, vec![]),
            ("-".to_owned(), Basis::None, vec!["LSASS".to_owned()]),
        ]
    );
}

#[test]
fn nobody_but_an_endpoint_mapper_is_asked_where_interfaces_live() {
    let mut findings = answer(5, &[(SAMR, None, 1032)]);
    findings[0].tuple.destination.port = 8080;
    assert_eq!(services(findings, vec![flow(6, CLIENT, 1032, &[])]), ["-"]);
}

#[test]
fn what_is_said_in_a_tunnel_names_nothing_outside_of_it() {
    let mut findings = answer(5, &[(SAMR, None, 1032)]);
    let tunnel = Arc::new(Tunnel {
        kind: TunnelKind::Gre,
        ends: ([192, 0, 2, 1].into(), [192, 0, 2, 2].into()),
        key: None,
        within: None,
    });
    findings[0].tunnel = Some(tunnel.clone());
    let mut inside = flow(7, OTHER, 1032, &[]);
    inside.tunnel = Some(tunnel);
    let flows = vec![flow(6, CLIENT, 1032, &[]), inside];
    assert_eq!(services(findings, flows), ["-", "LSASS"]);
}

#[test]
fn a_binding_makes_no_endpoint_of_a_port_that_the_catalog_gives_to_another() {
    let bound = finding(5, 3306, Claim::Bound(SAMR));
    let taken = finding(5, 7, Claim::Bound(SAMR));
    let flows = vec![flow(6, OTHER, 3306, &[]), flow(7, OTHER, 7, &[])];
    assert_eq!(services(vec![bound, taken], flows), ["LSASS", "SimpTcp"]);
}

#[test]
fn a_service_that_moves_leaves_its_old_port_from_then_on() {
    let mut findings = answer(10, &[(SAMR, None, 1032)]);
    findings.extend(answer(20, &[(SAMR, None, 1044)]));
    let flows = vec![
        flow(5, OTHER, 1032, &[]),
        flow(15, OTHER, 1032, &[]),
        flow(25, OTHER, 1032, &[]),
        flow(26, OTHER, 1044, &[]),
    ];
    assert_eq!(services(findings, flows), ["LSASS", "LSASS", "-", "LSASS"]);
}

#[test]
fn the_ports_of_one_answer_stand_side_by_side() {
    let mut findings = answer(10, &[(SAMR, None, 1032), (SAMR, None, 1044)]);
    findings.extend(answer(20, &[(SAMR, None, 1032), (SAMR, None, 1044)]));
    let flows = vec![flow(25, OTHER, 1032, &[]), flow(26, OTHER, 1044, &[])];
    assert_eq!(services(findings, flows), ["LSASS", "LSASS"]);
}

#[test]
fn a_port_assigned_anew_ends_the_old_claim_and_a_flow_is_judged_by_its_own_start() {
    let mut findings = answer(10, &[(SAMR, None, 1032)]);
    findings.extend(answer(20, &[(DNSSERVER, None, 1032)]));
    let flows = vec![
        flow(5, OTHER, 1032, &[]),
        flow(15, OTHER, 1032, &[]),
        flow(25, OTHER, 1032, &[]),
    ];
    let labels = labels(findings, flows);
    assert_eq!(labels[0].0, "LSASS");
    assert_eq!(labels[1].0, "LSASS");
    assert_eq!(labels[2].0, "DNS");
    assert_eq!(
        labels[2].2,
        ["LSASS"],
        "who lived there before may live there still"
    );
}

#[test]
fn two_services_that_are_both_seen_at_a_port_leave_candidates() {
    let mut findings = answer(10, &[(DRSUAPI, None, 1032)]);
    findings.extend(answer(20, &[(DNSSERVER, None, 1032)]));
    findings.push(finding(30, 1032, Claim::Bound(DRSUAPI)));
    let labels = labels(findings, vec![flow(35, OTHER, 1032, &[])]);
    let (service, basis, mut candidates) = labels[0].clone();
    candidates.sort();
    assert_eq!((service.as_str(), basis), ("-", Basis::Endpoint));
    assert_eq!(candidates, ["DNS", "LSASS"]);
}

#[test]
fn interfaces_of_one_service_at_a_port_name_it() {
    let mut findings = answer(10, &[(DRSUAPI, None, 1032)]);
    findings.extend(answer(20, &[(SAMR, None, 1032)]));
    assert_eq!(
        services(findings, vec![flow(25, OTHER, 1032, &[])]),
        ["LSASS"]
    );
}

#[test]
fn the_bind_on_the_flow_is_stronger_than_the_map() {
    let findings = answer(10, &[(SAMR, None, 1032)]);
    let bound = [Claim::Speaks(rpc::PROTOCOL), Claim::Bound(DNSSERVER)];
    let labels = labels(findings, vec![flow(25, OTHER, 1032, &bound)]);
    assert_eq!((labels[0].0.as_str(), labels[0].1), ("DNS", Basis::Content));
}

#[test]
fn an_accepted_bind_names_the_flows_of_others_to_that_port() {
    let findings = vec![finding(10, 1032, Claim::Bound(SAMR))];
    let labels = labels(findings, vec![flow(3, OTHER, 1032, &[])]);
    assert_eq!(
        (labels[0].0.as_str(), labels[0].1),
        ("LSASS", Basis::Endpoint)
    );
}

#[test]
fn an_interface_that_the_catalog_does_not_know_keeps_its_uuid_and_names_nothing() {
    let catalog = Catalog::built_in();
    let networks = Networks::default();
    let mut collector = Collector::new(&catalog, &networks, Hold::Never);
    let bound = [Claim::Speaks(rpc::PROTOCOL), Claim::Bound(STRANGE)];
    let mut labels = Vec::new();
    let strange = flow(1, CLIENT, 1032, &bound);
    collector.ended(strange, &mut |flow| labels.push(flow.label));
    assert_eq!(labels[0].service, None);
    assert_eq!(labels[0].application.as_deref(), Some("RPC"));
    assert_eq!(labels[0].services[0].interfaces, [STRANGE]);
    assert!(
        labels[0]
            .evidence
            .iter()
            .any(|g| g.value == STRANGE.to_string())
    );
}

#[test]
fn rpc_without_bind_or_answer_says_rpc_and_stays_without_a_service() {
    let catalog = Catalog::built_in();
    let networks = Networks::default();
    let mut collector = Collector::new(&catalog, &networks, Hold::Never);
    let mut labels = Vec::new();
    let rpc = flow(1, CLIENT, 1032, &[Claim::Speaks(rpc::PROTOCOL)]);
    collector.ended(rpc, &mut |flow| labels.push(flow.label));
    assert_eq!(labels[0].service, None);
    assert_eq!(labels[0].basis, Basis::None);
    assert_eq!(labels[0].application.as_deref(), Some("RPC"));
}

#[test]
fn a_port_names_a_service_only_inside_the_users_networks() {
    let flows = vec![
        flow_to(1, (CLIENT, 50_000), (SERVER, 88), &[]),
        flow_to(2, (CLIENT, 50_000), ("8.8.8.8", 88), &[]),
    ];
    let labels = labels(Vec::new(), flows);
    assert_eq!((labels[0].0.as_str(), labels[0].1), ("kdc", Basis::Port));
    assert_eq!(
        labels[1],
        ("-".to_owned(), Basis::None, vec!["kdc".to_owned()])
    );
}

#[test]
fn a_shared_port_names_its_listener_and_keeps_the_others_as_candidates() {
    let labels = labels(Vec::new(), vec![flow(1, CLIENT, 445, &[])]);
    assert_eq!(
        (labels[0].0.as_str(), labels[0].1),
        ("lanmanserver", Basis::SharedPort)
    );
    assert!(
        labels[0].2.contains(&"Spooler".to_owned()),
        "{:?}",
        labels[0].2
    );
    assert!(!labels[0].2.contains(&"lanmanserver".to_owned()));
}

#[test]
fn a_port_whose_payload_speaks_something_else_is_not_labelled_by_port() {
    let ssh = flow(1, CLIENT, 88, &[Claim::Speaks(ssh::PROTOCOL)]);
    let labels = labels(Vec::new(), vec![ssh]);
    assert_eq!((labels[0].0.as_str(), labels[0].1), ("-", Basis::None));
}

const WMI_CLASS: Uuid = Uuid::from_u128(0x8bc3f05e_d86b_11d0_a075_00c04fb68820);
const WBEM_LOGIN: Uuid = Uuid::from_u128(0xf309ad18_d86a_11d0_a075_00c04fb68820);
const MMC_CLASS: Uuid = Uuid::from_u128(0x49b2791a_b1ae_4c90_9b8e_e860ba07f889);
const DISPATCH: Uuid = Uuid::from_u128(0x00020400_0000_0000_c000_000000000046);
const REM_UNKNOWN: Interface = Interface::new(
    Uuid::from_u128(0x00000143_0000_0000_c000_000000000046),
    0,
    0,
);

/// The server tells the client that objects live at a port.
#[test]
fn a_row_that_counts_only_if_spoken_names_no_flow_that_cannot_be_read() {
    let to = |claims: &[Claim]| flow_to(1, (CLIENT, 51000), (SERVER, 49443), claims);
    let read = labels(Vec::new(), vec![to(&[Claim::Speaks(tls::PROTOCOL)])]);
    assert_eq!((read[0].0.as_str(), read[0].1), ("adfssrv", Basis::Port));
    let unread = labels(Vec::new(), vec![to(&[])]);
    assert_eq!((unread[0].0.as_str(), unread[0].1), ("-", Basis::None));
}

fn exported(at: u64, class: Option<Uuid>, interfaces: &[Uuid], port: u16) -> Finding {
    let claim = Claim::Exported {
        class,
        interfaces: interfaces.into(),
        at: Box::new(Endpoint::Port {
            address: None,
            protocol: IpProtocol::TCP,
            port,
        }),
    };
    finding(at, 135, claim)
}

#[test]
fn the_class_that_was_activated_names_the_service_of_its_exporter() {
    let findings = vec![exported(5, Some(WMI_CLASS), &[DISPATCH], 49_777)];
    let bind = [Claim::Speaks(rpc::PROTOCOL), Claim::Bound(REM_UNKNOWN)];
    let flows = vec![
        flow(6, CLIENT, 49_777, &[]),
        flow(7, OTHER, 49_777, &bind),
        flow(8, CLIENT, 49_778, &[]),
    ];
    let labels = labels(findings, flows);
    for label in &labels[..2] {
        assert_eq!((label.0.as_str(), label.1), ("Winmgmt", Basis::Endpoint));
    }
    assert_eq!((labels[2].0.as_str(), labels[2].1), ("-", Basis::None));
}

#[test]
fn the_interface_that_was_asked_for_names_it_where_the_class_does_not() {
    let unknown = STRANGE.uuid;
    let findings = vec![exported(5, Some(unknown), &[DISPATCH, WBEM_LOGIN], 49_777)];
    let labels = labels(findings, vec![flow(6, CLIENT, 49_777, &[])]);
    assert_eq!(
        (labels[0].0.as_str(), labels[0].1),
        ("Winmgmt", Basis::Endpoint)
    );
}

#[test]
fn an_exporter_of_no_known_service_is_an_endpoint_all_the_same() {
    for class in [None, Some(MMC_CLASS), Some(STRANGE.uuid)] {
        let findings = vec![exported(5, class, &[DISPATCH], 49_777)];
        let flows = vec![
            flow(6, CLIENT, 49_777, &[]),
            flow(7, CLIENT, 49_777, &[Claim::Bound(REM_UNKNOWN)]),
            flow(8, CLIENT, 49_777, &[Claim::Bound(SAMR)]),
        ];
        let labels = labels(findings, flows);
        let nothing = ("-".to_owned(), Basis::Endpoint, Vec::new());
        assert_eq!(labels[..2], [nothing.clone(), nothing], "{class:?}");
        assert_eq!(
            (labels[2].0.as_str(), labels[2].1),
            ("LSASS", Basis::Content)
        );
    }
}

#[test]
fn a_port_that_everyone_shares_is_nobodys_exporter() {
    let findings = vec![exported(5, Some(WMI_CLASS), &[], 135)];
    let labels = labels(findings, vec![flow(6, CLIENT, 135, &[])]);
    assert_eq!(
        (labels[0].0.as_str(), labels[0].1),
        ("RpcSs", Basis::SharedPort)
    );
}

const DATA: Assignment = Assignment {
    name: "ftp-data",
    application: "FTP data",
    lead: "FTP assigned the port",
    protocol: ftp::PROTOCOL,
};

#[test]
fn a_data_connection_that_ftp_arranged_belongs_to_ftp() {
    let passive = Claim::Assigned {
        by: &DATA,
        at: Endpoint::Port {
            address: None,
            protocol: IpProtocol::TCP,
            port: 50_021,
        },
        listener: Direction::Reverse,
    };
    let flows = vec![flow(6, CLIENT, 50_021, &[]), flow(7, OTHER, 50_021, &[])];
    let labels = labels(vec![finding(5, 21, passive)], flows);
    assert_eq!(
        (labels[0].0.as_str(), labels[0].1),
        ("MSFtpSvc", Basis::Endpoint)
    );
    assert_eq!(labels[1].0, "-", "nobody else was invited");
}

/// A flow of GRE between the same hosts as those of CLIENT, whose first packet, from the client or
/// the server, carries this call id.
fn call(number: u64, from: Direction, id: u32) -> EndedFlow {
    let mut flow = flow(number, CLIENT, 0, &[]);
    flow.tuple.protocol = IpProtocol::GRE;
    flow.tuple.source.port = 0;
    flow.client = None;
    flow.key_or_index = Some(id);
    if from == Direction::Reverse {
        flow.tuple = flow.tuple.reversed();
    }
    flow
}

#[test]
fn a_flow_of_gre_belongs_to_the_call_whose_id_its_first_packet_carries() {
    let chosen = |id: u16, listener: Direction| Claim::Assigned {
        by: &pptp::CALL,
        at: Endpoint::Port {
            address: None,
            protocol: IpProtocol::GRE,
            port: id,
        },
        listener,
    };
    // Two calls between the same hosts, with an id for each way.
    let findings = vec![
        finding(1, 1723, chosen(16, Direction::Forward)),
        finding(2, 1723, chosen(7, Direction::Reverse)),
        finding(3, 1723, chosen(17, Direction::Forward)),
        finding(4, 1723, chosen(8, Direction::Reverse)),
    ];
    let calls = [
        (Direction::Forward, 7),
        (Direction::Reverse, 16),
        (Direction::Forward, 8),
        (Direction::Reverse, 17),
        // The id of the other way, and one of nobody.
        (Direction::Forward, 16),
        (Direction::Forward, 99),
    ];
    let catalog = Catalog::built_in();
    let networks = Networks::default();
    let mut collector = Collector::new(&catalog, &networks, Hold::ToTheEnd);
    findings
        .into_iter()
        .for_each(|finding| collector.learn(finding));
    let mut labelled = Vec::new();
    for (from, id) in calls {
        collector.ended(call(9, from, id), &mut |flow| labelled.push(flow));
    }
    collector.finish(&mut |flow| labelled.push(flow));
    let mut found: Vec<_> = (labelled.iter())
        .map(|flow| {
            let proof = flow.label.evidence.first().and_then(|ground| ground.frame);
            let proof = proof.map(|frame| frame.number);
            (flow.flow.gre_key(), flow.label.basis, proof)
        })
        .collect();
    found.sort_by_key(|(id, basis, _)| (*basis != Basis::Endpoint, *id));
    let expected = [
        (Some(7), Basis::Endpoint, Some(2)),
        (Some(8), Basis::Endpoint, Some(4)),
        (Some(16), Basis::Endpoint, Some(1)),
        (Some(17), Basis::Endpoint, Some(3)),
        (Some(16), Basis::IpProtocol, None),
        (Some(99), Basis::IpProtocol, None),
    ];
    assert_eq!(found, expected);
    for flow in &labelled {
        let client = flow.flow.sender(flow.client).address.to_string();
        assert_eq!(client, CLIENT, "who dialled in is the client");
    }
}

#[test]
fn live_flows_are_labelled_at_once() {
    let catalog = Catalog::built_in();
    let networks = Networks::default();
    let mut collector = Collector::new(&catalog, &networks, Hold::Never);
    let mut ids = Vec::new();
    let mut take = |flow: LabelledFlow| ids.push(flow.id);
    collector.ended(flow(1, CLIENT, 1032, &[]), &mut take);
    collector.ended(flow(2, CLIENT, 1033, &[]), &mut take);
    assert_eq!(ids, [1, 2]);
}
