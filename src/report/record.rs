//! The row: the one definition of what is said of a flow, from which every format follows.

use crate::attribute::label::{Ground, LabelledFlow, Reached};
use crate::catalog::ServiceId;
use crate::flow::community_id::CommunityId;
use crate::model::five_tuple::Peer;
use crate::model::time::Elapsed;
use crate::model::uuid::Interface;
use crate::report::column::{Capture, Column, Value};

/// The columns of a flow's row, in order.
pub const FLOW: &[Column<LabelledFlow>] = &[
    Column {
        name: "start",
        about: "Time of the first packet, RFC 3339 in UTC, to the nanosecond",
        of: |_, row| Value::Time(row.flow.start),
    },
    Column {
        name: "end",
        about: "Time of the last packet, RFC 3339 in UTC, to the nanosecond",
        of: |_, row| Value::Time(row.flow.end),
    },
    Column {
        name: "duration",
        about: "Seconds from start to end",
        of: |_, row| Value::Seconds(row.flow.end.since(row.flow.start)),
    },
    Column {
        name: "protocol",
        about: "tcp, udp, gre, esp, ah, or the IP protocol number, as text",
        of: |_, row| {
            let protocol = row.flow.tuple.protocol;
            (protocol.name()).map_or_else(|| Value::Made(protocol.to_string()), Value::Text)
        },
    },
    Column {
        name: "client",
        about: "IP address of the side that asked",
        of: |_, row| Value::Address(row.client().address),
    },
    Column {
        name: "client_port",
        about: "Port of the client; null where the protocol has none",
        of: |_, row| port(row, row.client()),
    },
    Column {
        name: "server",
        about: "IP address of the side that listens",
        of: |_, row| Value::Address(row.server().address),
    },
    Column {
        name: "server_port",
        about: "Port of the server; null where the protocol has none",
        of: |_, row| port(row, row.server()),
    },
    Column {
        name: "packets_to_server",
        about: "Packets from client to server, a fragmented one once",
        of: |_, row| Value::Number(row.flow.packets[row.client.index()]),
    },
    Column {
        name: "packets_to_client",
        about: "Packets from server to client, a fragmented one once",
        of: |_, row| Value::Number(row.flow.packets[row.client.reversed().index()]),
    },
    Column {
        name: "bytes_to_server",
        about: "Bytes on the wire from client to server, from the IP header on",
        of: |_, row| Value::Number(row.flow.bytes[row.client.index()]),
    },
    Column {
        name: "bytes_to_client",
        about: "Bytes on the wire from server to client, from the IP header on",
        of: |_, row| Value::Number(row.flow.bytes[row.client.reversed().index()]),
    },
    Column {
        name: "state",
        about: "How the flow stood at its end: open, closed, reset, unanswered, idle or evicted",
        of: |_, row| Value::Text(row.flow.state.name()),
    },
    Column {
        name: "handshake_us",
        about: "Microseconds of the TCP handshake, from SYN to the client's ACK; null where unseen",
        of: |_, row| Value::micros(row.flow.handshake.map(Elapsed::duration)),
    },
    Column {
        name: "response_us",
        about: "Microseconds from the first request to the first answer; null where unseen",
        of: |_, row| Value::micros(row.response()),
    },
    Column {
        name: "service",
        about: "Catalog id (the Windows service name) of the service that listens; null if unknown",
        of: |context, row| Value::text(row.label.service.map(|id| context.service_id(id))),
    },
    Column {
        name: "service_name",
        about: "Display name of that service; null if unknown",
        of: |context, row| Value::text(row.label.service.map(|id| context.service_name(id))),
    },
    Column {
        name: "application",
        about: "Application protocol of the label, such as RPC, SMB or LDAP Server; null if unknown",
        of: |_, row| Value::text(row.label.application.as_deref()),
    },
    Column {
        name: "basis",
        about: "Ground of the label: content, endpoint, port, shared-port, ip-protocol or none",
        of: |_, row| Value::Text(row.label.basis.name()),
    },
    Column {
        name: "services",
        about: "Every service evidenced, the listener first",
        of: |_, row| Value::Reached(&row.label.services),
    },
    Column {
        name: "candidates",
        about: "Services that the catalog lists for the port and nothing decided between",
        of: |_, row| Value::Services(&row.label.candidates),
    },
    Column {
        name: "evidence",
        about: "What proves the label, in the order of the frames",
        of: |_, row| Value::Evidence(&row.label.evidence),
    },
    Column {
        name: "spi",
        about: "Security parameters index of the first packet, ESP and AH only",
        of: |_, row| Value::number(row.flow.spi()),
    },
    Column {
        name: "gre_key",
        about: "GRE key of the first packet; for PPTP its call id",
        of: |_, row| Value::number(row.flow.gre_key()),
    },
    Column {
        name: "vlan",
        about: "Outermost VLAN identifier of the first packet",
        of: |_, row| Value::number(row.flow.vlan),
    },
    Column {
        name: "tunnel",
        about: "Tunnels that the flow ran in, the outermost first, such as gre 192.0.2.1-192.0.2.2",
        of: |_, row| (row.flow.tunnel.as_ref()).map_or(Value::Null, |t| Value::Made(t.to_string())),
    },
    Column {
        name: "device",
        about: "Device that captured the first packet; null where it came from a file",
        of: |context, row| {
            let capture = context.capture(row.flow.first_frame.capture);
            Value::text(capture.and_then(Capture::device))
        },
    },
    Column {
        name: "community_id",
        about: "Community ID version 1, seed 0; null for ICMP, ICMPv6 and SCTP",
        of: |_, row| CommunityId::of(&row.flow.tuple).map_or(Value::Null, Value::CommunityId),
    },
    Column {
        name: "flow_id",
        about: "Number of the flow within the run, from 1",
        of: |_, row| Value::Number(row.id),
    },
    Column {
        name: "first_frame",
        about: "Frame of the first packet, numbered as tshark's frame.number",
        of: |_, row| Value::Number(row.flow.first_frame.number),
    },
    Column {
        name: "capture",
        about: "Capture file or device in which the frames of this row are counted",
        of: |context, row| {
            let capture = context.capture(row.flow.first_frame.capture);
            Value::text(capture.map(Capture::name))
        },
    },
];

/// The columns of an entry of `services`.
pub const REACHED: &[Column<Reached>] = &[
    Column {
        name: "service",
        about: "Catalog id; null for interfaces that the catalog ties to no service",
        of: |context, row| Value::text(row.service.map(|id| context.service_id(id))),
    },
    Column {
        name: "service_name",
        about: "Display name; null as above",
        of: |context, row| Value::text(row.service.map(|id| context.service_name(id))),
    },
    Column {
        name: "application",
        about: "Application protocol over which it was reached",
        of: |_, row| Value::Text(&row.application),
    },
    Column {
        name: "basis",
        about: "Ground on which it is named",
        of: |_, row| Value::Text(row.basis.name()),
    },
    Column {
        name: "via",
        about: "Protocol that carried it, such as smb; null where it was reached directly",
        of: |_, row| Value::text(row.via),
    },
    Column {
        name: "interfaces",
        about: "RPC interfaces that were reached",
        of: |_, row| Value::Interfaces(&row.interfaces),
    },
    Column {
        name: "pipes",
        about: "Pipes through which it was reached",
        of: |_, row| Value::Wires(&row.pipes),
    },
    Column {
        name: "bytes",
        about: "Bytes on the wire that were its; the whole flow's where it is alone",
        of: |_, row| Value::Number(row.bytes),
    },
];

/// The columns of an entry of `interfaces`.
pub const INTERFACE: &[Column<Interface>] = &[
    Column {
        name: "uuid",
        about: "UUID of the interface",
        of: |_, row| Value::Uuid(row.uuid),
    },
    Column {
        name: "version",
        about: "Major and minor version, such as 1.0",
        of: |_, row| Value::Version(row.major, row.minor),
    },
    Column {
        name: "name",
        about: "Name that the catalog has for it; null if unknown",
        of: |context, row| Value::text(context.interface_name(*row)),
    },
];

/// The columns of an entry of `candidates`.
pub const CANDIDATE: &[Column<ServiceId>] = &[
    Column {
        name: "service",
        about: "Catalog id",
        of: |context, row| Value::Text(context.service_id(*row)),
    },
    Column {
        name: "service_name",
        about: "Display name",
        of: |context, row| Value::Text(context.service_name(*row)),
    },
];

/// The columns of an entry of `evidence`.
pub const EVIDENCE: &[Column<Ground>] = &[
    Column {
        name: "kind",
        about: "Kind of evidence, such as rpc-interface, endpoint-map, smb-pipe or port",
        of: |_, row| Value::Text(row.kind.name()),
    },
    Column {
        name: "value",
        about: "What was seen: a UUID with version, 135/tcp, a pipe, a protocol's name",
        of: |_, row| Value::Wire(&row.value),
    },
    Column {
        name: "name",
        about: "Name that the catalog has for the value; null if none",
        of: |_, row| Value::text(row.name.as_deref()),
    },
    Column {
        name: "frame",
        about: "Frame that proves it; null where the flow as a whole does",
        of: |_, row| Value::number(row.frame.map(|frame| frame.number)),
    },
    Column {
        name: "capture",
        about: "Capture of that frame where it is not the row's own",
        of: |context, row| Value::text(context.other_capture(row.frame)),
    },
];

fn port(row: &LabelledFlow, peer: Peer) -> Value<'static> {
    match row.flow.tuple.protocol.has_ports() {
        true => Value::Number(peer.port.into()),
        false => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::label::{Basis, EvidenceKind};
    use crate::model::packet::{CaptureId, Frame};
    use crate::report::column::Context;
    use crate::report::ndjson::Ndjson;
    use crate::report::sample::{captures, catalog, frame, named, service, smb_session, unknown};
    use serde_json::{Value as Json, json};

    fn json(row: &LabelledFlow) -> Json {
        let (catalog, captures, mut line) = (catalog(), captures(), Vec::new());
        let context = Context::new(&catalog, &captures).within(row.flow.first_frame.capture);
        let mut ndjson = Ndjson::new(FLOW);
        (ndjson.row(&mut line, context, row)).expect("a vector takes all");
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(&line).expect("one JSON object")
    }

    #[test]
    fn the_columns_are_those_that_were_promised() {
        let names: Vec<_> = FLOW.iter().map(|column| column.name).collect();
        let promised = "start end duration protocol client client_port server server_port \
            packets_to_server packets_to_client bytes_to_server bytes_to_client state \
            handshake_us response_us service service_name application basis services candidates \
            evidence spi gre_key vlan tunnel device community_id flow_id first_frame capture";
        assert_eq!(
            names.join(" "),
            promised.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }

    #[test]
    fn every_column_says_what_it_means_in_a_line() {
        for (name, about) in FLOW.iter().map(|c| (c.name, c.about)) {
            assert!((10..=90).contains(&about.len()), "{name}: {about}");
            assert!(!about.ends_with('.'), "{name}: {about}");
        }
    }

    #[test]
    fn every_key_is_there_and_null_where_nothing_is_known() {
        let row = json(&unknown(2, 49_152));
        let object = row.as_object().expect("an object");
        assert_eq!(object.len(), FLOW.len());
        for column in FLOW {
            assert!(object.contains_key(column.name), "{}", column.name);
        }
        for name in [
            "service",
            "service_name",
            "application",
            "response_us",
            "vlan",
            "device",
        ] {
            assert_eq!(row[name], Json::Null, "{name}");
        }
        assert_eq!(
            (&row["basis"], &row["services"]),
            (&json!("none"), &json!([]))
        );
    }

    #[test]
    fn numbers_times_and_addresses_are_what_they_were() {
        let row = json(&unknown(2, 49_152));
        assert_eq!(row["start"], "2006-08-25T19:32:20.651502000Z");
        assert_eq!(row["duration"], 1.5);
        assert_eq!(
            (&row["client"], &row["server"]),
            (&json!("10.0.0.2"), &json!("10.0.0.1"))
        );
        assert_eq!(
            (&row["client_port"], &row["server_port"]),
            (&json!(50000), &json!(49152))
        );
        assert_eq!(row["handshake_us"], 1500);
        assert_eq!(row["capture"], "office.pcapng");
    }

    #[test]
    fn counts_go_with_the_side_that_is_the_client() {
        let mut flow = unknown(2, 49_152);
        let row = json(&flow);
        assert_eq!(
            (&row["packets_to_server"], &row["bytes_to_client"]),
            (&json!(3), &json!(2000))
        );
        flow.client = flow.client.reversed();
        let row = json(&flow);
        assert_eq!(
            (&row["packets_to_server"], &row["bytes_to_client"]),
            (&json!(2), &json!(300))
        );
        assert_eq!(row["client"], "10.0.0.1");
    }

    #[test]
    fn a_protocol_without_ports_has_null_ports() {
        let mut flow = unknown(2, 0);
        flow.flow.tuple.protocol = crate::model::five_tuple::IpProtocol::GRE;
        let row = json(&flow);
        assert_eq!(
            (&row["client_port"], &row["server_port"]),
            (&Json::Null, &Json::Null)
        );
        assert_eq!(row["protocol"], "gre");
    }

    #[test]
    fn a_service_that_was_reached_says_through_what() {
        let row = json(&smb_session(&catalog(), 2));
        let spooler = &row["services"][1];
        assert_eq!(spooler["service"], "Spooler");
        assert_eq!(
            (&spooler["via"], &spooler["pipes"]),
            (&json!("smb"), &json!(["spoolss"]))
        );
        assert_eq!(spooler["interfaces"][0]["version"], "1.0");
        assert_eq!(row["service"], row["services"][0]["service"]);
    }

    #[test]
    fn evidence_names_its_capture_only_where_it_is_another() {
        let mut flow = named(2, 49_152, service(&catalog(), "Spooler"), Basis::Content);
        flow.label.evidence.push(Ground {
            kind: EvidenceKind::EndpointMap,
            value: "49152/tcp".to_owned(),
            name: None,
            frame: Some(Frame {
                capture: CaptureId(1),
                ..frame(7)
            }),
        });
        let row = json(&flow);
        assert_eq!(
            (&row["evidence"][0]["capture"], &row["evidence"][0]["frame"]),
            (&Json::Null, &json!(16))
        );
        assert_eq!(
            (&row["evidence"][1]["capture"], &row["evidence"][1]["frame"]),
            (&json!("dc.pcap"), &json!(7))
        );
    }

    #[test]
    fn a_frame_of_a_capture_that_is_not_known_has_no_capture() {
        let mut flow = unknown(2, 1);
        flow.flow.first_frame.capture = CaptureId(9);
        assert_eq!(json(&flow)["capture"], Json::Null);
    }
}
