//! The reason for a label, in one short line for a reader.

use crate::attribute::label::{Basis, EvidenceKind, Ground, LabelledFlow, Reached};
use crate::report::column::Context;
use crate::report::escape::escape;

/// Characters shown of a value from the wire.
const MAX_VALUE: usize = 40;

/// Why the flow is called what it is called. Safe to look at.
pub fn why(context: Context, flow: &LabelledFlow) -> String {
    let context = context.within(flow.flow.first_frame.capture);
    let grounds = &flow.label.evidence;
    let telling = (grounds.iter().enumerate())
        .filter(|(_, ground)| is_its(flow, ground))
        .filter_map(|(at, ground)| Some((rank(flow.label.basis, ground.kind)?, at, ground)));
    let found = telling.min_by_key(|(rank, at, _)| (*rank, *at));
    let found = found.map(|(_, _, ground)| ground);
    let reason = found.map(|ground| reason(context, ground));
    let why = match (flow.label.basis, reason) {
        (Basis::None, None) => unknown(context, flow),
        (Basis::None, Some(reason)) => format!("{reason}; {}", unknown(context, flow)),
        (Basis::SharedPort, Some(reason)) => format!("{reason}, its listener"),
        (_, Some(reason)) => reason,
        (basis, None) => basis.name().to_owned(),
    };
    match through(context, flow) {
        Some(through) => format!("{why}; {through}"),
        None => why,
    }
}

/// Whether a ground is one of the service that is named: a flow may have bound interfaces of
/// others, and those that every object has.
fn is_its(flow: &LabelledFlow, ground: &Ground) -> bool {
    let label = &flow.label;
    if ground.kind != EvidenceKind::RpcInterface || label.service.is_none() {
        return true;
    }
    let own = (label.services.iter()).filter(|reached| reached.service == label.service);
    (own.flat_map(|reached| &reached.interfaces)).any(|known| known.to_string() == ground.value)
}

/// The services that were reached through the one that listens.
fn through(context: Context, flow: &LabelledFlow) -> Option<String> {
    let others = |reached: &&Reached| reached.service != flow.label.service;
    let reached = flow
        .label
        .services
        .iter()
        .filter(others)
        .filter_map(|reached| {
            let via = reached.via?.to_ascii_uppercase();
            Some((context.service_id(reached.service?), via))
        });
    let (ids, via): (Vec<_>, Vec<_>) = reached.unzip();
    (via.first()).map(|via| format!("{} via {via}", ids.join(", ")))
}

/// How well evidence of this kind tells why a label has this basis, the best first; none if it does
/// not carry it.
fn rank(basis: Basis, kind: EvidenceKind) -> Option<u8> {
    use EvidenceKind as Kind;
    let rank = match (basis, kind) {
        (Basis::Content, Kind::Mailslot) => 0,
        (Basis::Content, Kind::NetbiosName) => 1,
        (Basis::Content, Kind::RpcInterface) => 2,
        (Basis::Content, Kind::SmbPipe) => 3,
        (Basis::Content, Kind::Said(_)) => 4,
        (Basis::Content, Kind::Protocol) => 5,
        (Basis::Content, Kind::Port) => 6,
        (Basis::Endpoint, Kind::ObjectExporter) => 0,
        (Basis::Endpoint, Kind::EndpointMap) => 1,
        (Basis::Endpoint, Kind::Assigned(_)) => 2,
        (Basis::Port | Basis::SharedPort, Kind::Port) => 0,
        (Basis::IpProtocol, Kind::IpProtocol) => 0,
        (Basis::None, Kind::Mismatch) => 0,
        (Basis::None, Kind::HostSystem) => 1,
        (Basis::None, Kind::RpcInterface) => 2,
        (Basis::None, Kind::RpcOffer) => 3,
        (Basis::None, Kind::EndpointClaim | Kind::EndpointContested) => 4,
        (Basis::None, Kind::Said(_)) => 5,
        (Basis::None, Kind::Protocol) => 6,
        _ => return None,
    };
    Some(rank)
}

fn reason(context: Context, ground: &Ground) -> String {
    let value = short(&ground.value);
    let named = ground.name.as_deref().map_or(value.clone(), short);
    let what = match ground.kind {
        EvidenceKind::Port => format!("port {value}"),
        EvidenceKind::IpProtocol => format!("IP protocol {value}"),
        EvidenceKind::EndpointMap => "endpoint mapper said so".to_owned(),
        EvidenceKind::ObjectExporter => match ground.name {
            Some(_) => format!("object exporter ({named})"),
            None => "object exporter".to_owned(),
        },
        EvidenceKind::EndpointClaim => format!("claimed by another host: {value}"),
        EvidenceKind::EndpointContested => format!("contested by another answer: {value}"),
        EvidenceKind::RpcInterface => format!("BIND accepted ({named})"),
        EvidenceKind::RpcOffer => format!("BIND offered ({named})"),
        EvidenceKind::SmbPipe => format!("pipe {value} opened"),
        EvidenceKind::SmbPipeAsked => format!("pipe {value} asked for"),
        EvidenceKind::SmbPipeRefused => format!("pipe {value} refused"),
        EvidenceKind::Mailslot => format!("mailslot {value} written to"),
        EvidenceKind::NetbiosName => format!("NetBIOS name {value} ({named})"),
        EvidenceKind::Assigned(by) => by.lead.to_owned(),
        EvidenceKind::Protocol => format!("speaks {value}"),
        EvidenceKind::Mismatch => format!("port {value}, but the payload is another's"),
        EvidenceKind::HostSystem => format!("shows itself as {value} ({named})"),
        EvidenceKind::Said(field) => format!("{} \"{value}\"", field.lead()),
    };
    let frame = ground.frame.map(|frame| frame.number);
    match (frame, context.other_capture(ground.frame)) {
        (None, _) => what,
        (Some(frame), None) => format!("{what}, frame {frame}"),
        (Some(frame), Some(capture)) => format!("{what}, frame {frame} of {}", escape(capture)),
    }
}

fn unknown(context: Context, flow: &LabelledFlow) -> String {
    let ids: Vec<_> = (flow.label.candidates.iter())
        .map(|id| context.service_id(*id))
        .collect();
    match ids.is_empty() {
        true => "no service named".to_owned(),
        false => format!("could be {}", ids.join(", ")),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", escape(&text[..end])),
        None => escape(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::text::BANNER;
    use crate::model::packet::{CaptureId, Frame};
    use crate::model::uuid::{Interface, Uuid};
    use crate::report::sample::{captures, catalog, frame, named, service, unknown};

    fn said(change: impl Fn(&mut LabelledFlow)) -> String {
        let (catalog, captures) = (catalog(), captures());
        let mut flow = named(2, 49_152, service(&catalog, "LSASS"), Basis::Content);
        change(&mut flow);
        why(Context::new(&catalog, &captures), &flow)
    }

    #[test]
    fn a_binding_is_named_with_its_frame() {
        assert_eq!(said(|_| ()), "BIND accepted (samr), frame 16");
    }

    #[test]
    fn an_interface_without_a_name_is_named_by_its_uuid() {
        let text = said(|flow| flow.label.evidence[0].name = None);
        assert!(
            text.starts_with("BIND accepted (12345778-1234-abcd-"),
            "{text}"
        );
    }

    #[test]
    fn an_answer_in_another_capture_names_it() {
        let text = said(|flow| {
            flow.label.basis = Basis::Endpoint;
            flow.label.evidence[0].kind = EvidenceKind::EndpointMap;
            flow.label.evidence[0].frame = Some(Frame {
                capture: CaptureId(1),
                ..frame(11)
            });
        });
        assert_eq!(text, "endpoint mapper said so, frame 11 of dc.pcap");
    }

    #[test]
    fn the_listener_of_a_shared_port_is_called_that() {
        let text = said(|flow| {
            flow.label.basis = Basis::SharedPort;
            flow.label.evidence[0].kind = EvidenceKind::Port;
            flow.label.evidence[0].value = "445/tcp".to_owned();
            flow.label.evidence[0].frame = None;
        });
        assert_eq!(text, "port 445/tcp, its listener");
    }

    #[test]
    fn an_unknown_flow_says_what_it_could_be() {
        let (catalog, captures) = (catalog(), captures());
        let mut flow = unknown(2, 443);
        let context = Context::new(&catalog, &captures);
        assert_eq!(why(context, &flow), "no service named");
        flow.label.candidates = vec![service(&catalog, "W3SVC")];
        assert_eq!(why(context, &flow), "could be W3SVC");
    }

    #[test]
    fn a_product_that_keeps_a_name_back_is_not_called_another_system() {
        let text = said(|flow| {
            flow.label.basis = Basis::None;
            flow.label.evidence[0].kind = EvidenceKind::HostSystem;
            flow.label.evidence[0].value = "nginx".to_owned();
            flow.label.evidence[0].name = Some("the product that listens there".to_owned());
        });
        let expected = "shows itself as nginx (the product that listens there), frame 16";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_a_peer_sent_is_escaped_and_cut() {
        let text = said(|flow| {
            flow.label.evidence[0].kind = EvidenceKind::Said(BANNER);
            flow.label.evidence[0].value = format!("\u{1b}[31m{}", "x".repeat(1000));
        });
        assert!(text.starts_with(r#"greeting "\u{1b}[31mxxx"#), "{text}");
        assert!(text.chars().count() < 80, "{text}");
    }

    #[test]
    fn the_bind_that_is_told_is_one_of_the_service_that_is_named() {
        let other = Interface::new(Uuid::from_u128(7), 1, 0);
        let told = said(|flow| {
            let own = flow.label.evidence[0].clone();
            let first = Ground {
                value: other.to_string(),
                name: Some("common".to_owned()),
                ..own
            };
            flow.label.evidence.insert(0, first);
        });
        assert!(
            told.starts_with("BIND accepted") && !told.contains("common"),
            "{told}"
        );
    }

    #[test]
    fn services_reached_through_another_are_told_with_it() {
        let catalog = catalog();
        let spooler = service(&catalog, "Spooler");
        let told = said(|flow| {
            let own = flow.label.services[0].clone();
            flow.label.services.push(Reached {
                service: Some(spooler),
                via: Some("smb"),
                ..own
            });
        });
        assert!(told.ends_with("; Spooler via SMB"), "{told}");
    }
}
