//! The reason for a label, in one short line for a reader.

use crate::attribute::label::{Basis, EvidenceKind, Ground, LabelledFlow};
use crate::report::column::Context;
use crate::report::escape::escape;

/// Characters shown of a value from the wire.
const MAX_VALUE: usize = 40;

/// Why the flow is called what it is called. Safe to look at.
pub fn why(context: Context, flow: &LabelledFlow) -> String {
    let context = context.within(flow.flow.first_frame.capture);
    let grounds = &flow.label.evidence;
    let found = (telling(flow.label.basis).iter())
        .find_map(|kind| grounds.iter().find(|ground| ground.kind == *kind));
    let reason = found.map(|ground| reason(context, ground));
    match (flow.label.basis, reason) {
        (Basis::None, None) => unknown(context, flow),
        (Basis::None, Some(reason)) => format!("{reason}; {}", unknown(context, flow)),
        (Basis::SharedPort, Some(reason)) => format!("{reason}, its listener"),
        (_, Some(reason)) => reason,
        (basis, None) => basis.name().to_owned(),
    }
}

/// The kinds of evidence that carry a label of this basis, the most telling first.
fn telling(basis: Basis) -> &'static [EvidenceKind] {
    match basis {
        Basis::Content => &[
            EvidenceKind::Mailslot,
            EvidenceKind::NetbiosName,
            EvidenceKind::RpcInterface,
            EvidenceKind::SmbPipe,
            EvidenceKind::Banner,
            EvidenceKind::Protocol,
            EvidenceKind::Port,
        ],
        Basis::Endpoint => &[
            EvidenceKind::ObjectExporter,
            EvidenceKind::EndpointMap,
            EvidenceKind::FtpData,
            EvidenceKind::TftpTransfer,
        ],
        Basis::Port | Basis::SharedPort => &[EvidenceKind::Port],
        Basis::IpProtocol => &[EvidenceKind::IpProtocol],
        Basis::None => &[
            EvidenceKind::RpcInterface,
            EvidenceKind::RpcOffer,
            EvidenceKind::Banner,
            EvidenceKind::Protocol,
        ],
    }
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
        EvidenceKind::RpcInterface => format!("BIND accepted ({named})"),
        EvidenceKind::RpcOffer => format!("BIND offered ({named})"),
        EvidenceKind::SmbPipe => format!("pipe {value} opened"),
        EvidenceKind::Mailslot => format!("mailslot {value} written to"),
        EvidenceKind::NetbiosName => format!("NetBIOS name {value} ({named})"),
        EvidenceKind::FtpData => "FTP assigned the port".to_owned(),
        EvidenceKind::TftpTransfer => "TFTP request".to_owned(),
        EvidenceKind::Protocol => format!("speaks {value}"),
        EvidenceKind::Banner => format!("says \"{value}\""),
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
    use crate::model::packet::{CaptureId, Frame};
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
    fn what_a_peer_sent_is_escaped_and_cut() {
        let text = said(|flow| {
            flow.label.evidence[0].kind = EvidenceKind::Banner;
            flow.label.evidence[0].value = format!("\u{1b}[31m{}", "x".repeat(1000));
        });
        assert!(text.starts_with(r#"says "\u{1b}[31mxxx"#), "{text}");
        assert!(text.chars().count() < 80, "{text}");
    }
}
