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
            EvidenceKind::RpcInterface,
            EvidenceKind::SmbPipe,
            EvidenceKind::Banner,
            EvidenceKind::Protocol,
            EvidenceKind::Port,
        ],
        Basis::Endpoint => &[
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
        EvidenceKind::RpcInterface => format!("BIND accepted ({named})"),
        EvidenceKind::RpcOffer => format!("BIND offered ({named})"),
        EvidenceKind::SmbPipe => format!("pipe {value} opened"),
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
