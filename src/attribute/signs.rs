//! What peers say to labels: a server that names itself, a request that names whom it is for.

use crate::attribute::label::{Basis, Label, Reached};
use crate::catalog::{Catalog, Listens, ServiceId, SignEntry};
use crate::dissect::{netbios_session, smb};
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Direction, Evidence};
use crate::model::protocol::Protocol;

/// Something said that the catalog knows.
#[derive(Clone, Copy)]
pub struct Told<'c> {
    /// What it knows of it.
    pub sign: &'c SignEntry,
    /// Whether it names services here: some words count from a server or about itself only.
    pub counts: bool,
}

/// The label of a flow in which a service named itself, or was named as the one that is meant. Its
/// evidence is left to the caller.
pub fn label(
    flow: &EndedFlow,
    told: &[Option<Told>],
    spoken: Option<Protocol>,
    catalog: &Catalog,
) -> Option<Label> {
    let own = |sign: &SignEntry| sign.service.filter(|_| !sign.through);
    let service = counting(told).find_map(own)?;
    let application = application(catalog, flow, service, spoken);
    Some(Label {
        service: Some(service),
        services: vec![Reached {
            service: Some(service),
            application: application.clone(),
            basis: Basis::Content,
            via: None,
            interfaces: Vec::new(),
            pipes: Vec::new(),
            bytes: flow.bytes.iter().sum(),
        }],
        application: Some(application),
        basis: Basis::Content,
        candidates: Vec::new(),
        evidence: Vec::new(),
    })
}

/// Adds the services that were reached through the one that listens. Where none listens that is
/// known, the first of them is the label's own, unless another maker's product listens.
pub fn add(
    flow: &EndedFlow,
    told: &[Option<Told>],
    spoken: Option<Protocol>,
    catalog: &Catalog,
    label: &mut Label,
) {
    let mut products = counting(told).filter_map(|sign| sign.product.as_ref());
    if products.next().is_some() {
        return;
    }
    // Files are the file server's, whosesoever the share is that they lie in.
    let carries_files =
        spoken.is_some_and(|spoken| [smb::PROTOCOL, netbios_session::PROTOCOL].contains(&spoken));
    let through = counting(told).filter(|sign| sign.through);
    for service in through.filter_map(|sign| sign.service) {
        if label
            .services
            .iter()
            .any(|known| known.service == Some(service))
        {
            continue;
        }
        let application = application(catalog, flow, service, spoken);
        let carrier = match carries_files {
            true => Some(smb::PROTOCOL),
            false => spoken,
        };
        let via = label.service.and(carrier).map(Protocol::name);
        let bytes = match &mut label.services[..] {
            // The whole conversation is the one's that was asked for; the listener only carried it.
            [listener] if via.is_some() && listener.via.is_none() && !carries_files => {
                std::mem::take(&mut listener.bytes)
            }
            [] => flow.bytes.iter().sum(),
            [listener, ..] if carries_files && listener.via.is_none() => {
                // Of a share, that is what connected it.
                let bytes = carried(flow, service, catalog).min(listener.bytes);
                listener.bytes -= bytes;
                bytes
            }
            _ => 0,
        };
        if label.service.is_none() {
            label.service = Some(service);
            label.application = Some(application.clone());
            label.basis = Basis::Content;
        }
        label.services.push(Reached {
            service: Some(service),
            application,
            basis: Basis::Content,
            via,
            interfaces: Vec::new(),
            pipes: Vec::new(),
            bytes,
        });
    }
}

/// The bytes of messages that asked for what is this service's.
fn carried(flow: &EndedFlow, service: ServiceId, catalog: &Catalog) -> u64 {
    let carried = flow.evidence.iter().map(|evidence| match &evidence.claim {
        Claim::CarriedFor { field, text, bytes } => match catalog.sign(*field, text) {
            Some(sign) if sign.through && sign.service == Some(service) => *bytes,
            _ => 0,
        },
        _ => 0,
    });
    carried.fold(0, u64::saturating_add)
}

/// What the catalog knows of a text by its sign, for a reader.
pub fn meaning(sign: &SignEntry, catalog: &Catalog) -> Option<String> {
    let service = || {
        sign.service
            .map(|service| catalog.service(service).name.clone())
    };
    let system = || sign.system.as_ref().map(|system| system.name.clone());
    (sign.about.clone())
        .or_else(|| sign.product.clone())
        .or_else(service)
        .or_else(system)
}

/// Of each piece of evidence, what was said that the catalog knows, where the sender in the direction
/// `client` is the client.
pub fn told<'c>(
    flow: &EndedFlow,
    client: Direction,
    catalog: &'c Catalog,
) -> Vec<Option<Told<'c>>> {
    let sign = |evidence: &Evidence| match &evidence.claim {
        Claim::Said { field, text, by } => {
            let sign = catalog.sign(*field, text)?;
            let is_own = || text.parse() == Ok(flow.sender(*by).address);
            let counts = (!sign.by_server || *by != client) && (!sign.own_address || is_own());
            Some(Told { sign, counts })
        }
        _ => None,
    };
    flow.evidence.iter().map(sign).collect()
}

/// What counts of it.
fn counting<'c>(told: &[Option<Told<'c>>]) -> impl Iterator<Item = &'c SignEntry> {
    let counting = told.iter().flatten().filter(|told| told.counts);
    counting.map(|told| told.sign)
}

/// What the service's own rows call the protocol that is spoken, or what that is called otherwise. Of
/// several rows it is that of a port of the flow; elsewhere that of the port which the service owns.
fn application(
    catalog: &Catalog,
    flow: &EndedFlow,
    service: ServiceId,
    spoken: Option<Protocol>,
) -> String {
    let Some(spoken) = spoken else {
        return catalog.service(service).name.clone();
    };
    let tuple = &flow.tuple;
    let ports = [tuple.source.port, tuple.destination.port];
    let here = ports.map(|port| Listens::Port(tuple.protocol, port));
    let rows = catalog.service(service).ports.iter();
    let speaking = rows.filter(|row| row.may_speak(spoken));
    let row = speaking.min_by_key(|row| (!here.contains(&row.at), !row.listener));
    row.map_or_else(|| spoken.title().to_owned(), |row| row.application.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::samples;
    use crate::dissect::vocabulary;
    use crate::model::protocol::Field;

    fn read_field(name: &'static str) -> Field {
        assert!(vocabulary().fields.contains(&name), "{name} is read");
        let mut known = crate::dissect::ALL.iter().flat_map(|one| one.says);
        *(known.find(|one| one.name() == name)).expect("it is read")
    }

    /// The services of an SMB session of 500 bytes in which this was said, each with its bytes.
    fn reached(field: &'static str, text: &str) -> Vec<(String, Option<&'static str>, u64)> {
        let catalog = Catalog::built_in();
        let field = read_field(field);
        let text = text.to_owned();
        let carried = Claim::CarriedFor {
            field,
            text: text.as_str().into(),
            bytes: 120,
        };
        let by = Direction::Forward;
        let said = Claim::Said { field, text, by };
        let mut label = samples::smb_session(&catalog);
        let flow = samples::flow(&[said, carried]);
        let told = told(&flow, Direction::Forward, &catalog);
        add(&flow, &told, Some(smb::PROTOCOL), &catalog, &mut label);
        let one = |reached: &Reached| {
            let service = reached.service.expect("each is known");
            (
                catalog.service(service).id.clone(),
                reached.via,
                reached.bytes,
            )
        };
        label.services.iter().map(one).collect()
    }

    #[test]
    fn who_is_reached_through_an_smb_session_has_the_bytes_that_asked_for_it() {
        for (field, text, service) in [
            ("smb-share", r"\\dc1.office.example\sysvol", "Netlogon"),
            ("smb-share", r"\\DC1\NETLOGON", "Netlogon"),
            ("dfs-referral", r"\office.example\dfs", "Dfs"),
            ("rap-function", "104", "Browser"),
            ("rap-function", "69", "Spooler"),
        ] {
            let expected = [
                ("lanmanserver".to_owned(), None, 380),
                (service.to_owned(), Some("smb"), 120),
            ];
            assert_eq!(reached(field, text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_that_must_be_the_senders_own_counts_from_nobody_else() {
        let catalog = Catalog::built_in();
        let field = read_field("radius-class");
        for (text, by, counts) in [
            ("10.0.0.255", Direction::Reverse, true),
            ("10.0.0.255", Direction::Forward, false),
            ("10.0.0.2", Direction::Reverse, false),
        ] {
            let text = text.to_owned();
            let flow = samples::flow(&[Claim::Said { field, text, by }]);
            let told = told(&flow, Direction::Forward, &catalog);
            assert_eq!(counting(&told).count() == 1, counts, "{by:?}");
        }
    }

    #[test]
    fn what_clients_say_too_names_a_service_where_the_server_says_it() {
        let catalog = Catalog::built_in();
        let field = read_field("pptp-vendor");
        let text = || "Microsoft Windows NT".to_owned();
        for client in [Direction::Forward, Direction::Reverse] {
            let (text, by) = (text(), Direction::Reverse);
            let flow = samples::flow(&[Claim::Said { field, text, by }]);
            let told = told(&flow, client, &catalog);
            assert_eq!(counting(&told).count() == 1, by != client);
        }
    }

    #[test]
    fn what_is_spoken_is_called_as_the_rows_of_its_port_do() {
        let catalog = Catalog::built_in();
        let ldap = (crate::dissect::ALL.iter()).find(|one| one.protocol.name() == "ldap");
        let lsass = catalog.find("LSASS").expect("it is known");
        let called = |port: u16| {
            let mut flow = samples::flow(&[]);
            flow.tuple.protocol = crate::model::five_tuple::IpProtocol::TCP;
            flow.tuple.destination.port = port;
            application(&catalog, &flow, lsass, ldap.map(|one| one.protocol))
        };
        assert_eq!(called(389), "LDAP Server");
        assert_eq!(called(3268), "Global Catalog Server");
        assert_eq!(called(50_389), "LDAP Server");
    }

    #[test]
    fn a_share_of_files_and_a_function_of_the_file_server_reach_nobody_else() {
        for (field, text) in [
            ("smb-share", r"\\fs1\netlogon$"),
            ("smb-share", r"\\fs1\IPC$"),
            ("rap-function", "0"),
            ("rap-function", "10"),
        ] {
            assert_eq!(reached(field, text).len(), 1, "{text}");
        }
    }
}
