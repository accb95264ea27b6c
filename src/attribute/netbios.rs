//! NetBIOS names and mailslots to labels: what tells apart the services that share ports 137 to
//! 139.
//!
//! A name that is looked up or announced is evidence, not a service: the flow is name resolution
//! all the same. What a datagram is written to, and whom a session was accepted for, names the
//! service; so does an answer that only a name server gives.

use crate::attribute::label::{Basis, EvidenceKind, Ground, Label, Reached};
use crate::catalog::{Catalog, ServiceId};
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Evidence};
use crate::model::netbios::NameUse;
use crate::model::protocol::Protocol;

/// The label of a flow that speaks this NetBIOS protocol, if names or mailslots tell its service.
/// Its evidence is left to the caller.
pub fn label(flow: &EndedFlow, spoken: Option<Protocol>, catalog: &Catalog) -> Option<Label> {
    let spoken = spoken?;
    let mut services = reached(flow, spoken, catalog);
    if let [only] = &mut services[..] {
        only.bytes = flow.bytes.iter().sum();
    }
    let first = services.first()?;
    Some(Label {
        service: first.service,
        application: Some(first.application.clone()),
        basis: Basis::Content,
        candidates: Vec::new(),
        evidence: Vec::new(),
        services,
    })
}

/// The line of evidence that a name or a mailslot makes.
pub fn ground(evidence: &Evidence, catalog: &Catalog) -> Option<Ground> {
    let (kind, value, name) = match &evidence.claim {
        Claim::NetbiosName {
            name, kind, used, ..
        } => {
            let known = catalog.netbios_name(*name, *kind);
            let said = match known {
                Some(known) => format!("{}, {}", known.meaning, used.words()),
                None => used.words().to_owned(),
            };
            (EvidenceKind::NetbiosName, name.to_string(), Some(said))
        }
        Claim::SentToMailslot(mailslot) => {
            let about = catalog
                .mailslot(mailslot)
                .and_then(|known| known.about.clone());
            (EvidenceKind::Mailslot, mailslot.clone(), about)
        }
        _ => return None,
    };
    Some(Ground {
        kind,
        value,
        name,
        frame: Some(evidence.frame),
    })
}

/// Every service that is told, in the order in which it was, with the bytes of its mailslots.
fn reached(flow: &EndedFlow, spoken: Protocol, catalog: &Catalog) -> Vec<Reached> {
    let claims = || flow.evidence.iter().map(|evidence| &evidence.claim);
    let has_mailslot = claims().any(|claim| matches!(claim, Claim::SentToMailslot(_)));
    let mut reached: Vec<Reached> = Vec::new();
    for claim in claims() {
        let told = match claim {
            // Where mailslots are written to, the receiver's name says only whose they are.
            Claim::NetbiosName {
                used: NameUse::SentTo,
                ..
            } if has_mailslot => None,
            claim => service_of(claim, catalog),
        };
        let Some(service) = told else {
            continue;
        };
        if reached.iter().all(|known| known.service != Some(service)) {
            reached.push(Reached {
                service: Some(service),
                application: spoken.title().to_owned(),
                basis: Basis::Content,
                via: None,
                interfaces: Vec::new(),
                pipes: Vec::new(),
                bytes: carried(flow, service, catalog),
            });
        }
    }
    reached
}

/// The service that a claim tells.
fn service_of(claim: &Claim, catalog: &Catalog) -> Option<ServiceId> {
    match claim {
        Claim::SentToMailslot(mailslot) => catalog.mailslot(mailslot)?.service,
        Claim::NetbiosName {
            name, kind, used, ..
        } => match used {
            NameUse::Decided => catalog.name_registrar(),
            NameUse::SentTo | NameUse::Accepted => catalog.netbios_name(*name, *kind)?.service,
            _ => None,
        },
        _ => None,
    }
}

fn carried(flow: &EndedFlow, service: ServiceId, catalog: &Catalog) -> u64 {
    let carried = flow.evidence.iter().map(|e| match &e.claim {
        Claim::CarriedToMailslot { mailslot, bytes }
            if (catalog.mailslot(mailslot)).is_some_and(|m| m.service == Some(service)) =>
        {
            *bytes
        }
        _ => 0,
    });
    carried.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::samples::{evidence, flow};
    use crate::dissect::{netbios_datagram, netbios_name, netbios_session};
    use crate::model::evidence::Direction;
    use crate::model::netbios::{NameKind, NetbiosName};

    fn written(mailslot: &str, bytes: u64) -> [Claim; 2] {
        let mailslot = mailslot.to_owned();
        [
            Claim::SentToMailslot(mailslot.clone()),
            Claim::CarriedToMailslot { mailslot, bytes },
        ]
    }

    fn named(suffix: u8, used: NameUse) -> Claim {
        let mut name = *b"OFFICE          ";
        name[15] = suffix;
        Claim::NetbiosName {
            name: NetbiosName(name),
            kind: None,
            used,
            by: Direction::Forward,
        }
    }

    /// The ids of the services with their bytes, and the application.
    fn told(spoken: Protocol, claims: &[Claim]) -> Option<(Vec<(String, u64)>, String)> {
        let catalog = Catalog::built_in();
        let label = label(&flow(claims), Some(spoken), &catalog)?;
        let services = label.services.iter().map(|reached| {
            let service = catalog.service(reached.service.expect("each is known"));
            (service.id.clone(), reached.bytes)
        });
        Some((services.collect(), label.application.expect("it has one")))
    }

    fn service(spoken: Protocol, claims: &[Claim]) -> Option<String> {
        told(spoken, claims).map(|(services, _)| services[0].0.clone())
    }

    #[test]
    fn each_known_mailslot_names_its_service() {
        for (mailslot, expected) in [
            ("browse", "Browser"),
            ("lanman", "Browser"),
            ("net\\netlogon", "Netlogon"),
            ("net\\ntlogon", "Netlogon"),
            ("net\\getdc52eaa8c0", "Netlogon"),
            ("temp\\netlogon", "Netlogon"),
            ("messngr", "Messenger"),
        ] {
            let told = told(netbios_datagram::PROTOCOL, &written(mailslot, 90));
            let whole = (
                vec![(expected.to_owned(), 500)],
                "NetBIOS Datagram Service".to_owned(),
            );
            assert_eq!(told, Some(whole), "{mailslot}");
        }
    }

    #[test]
    fn a_mailslot_that_nobody_knows_names_nothing_and_nor_does_its_receiver() {
        for mailslot in ["mssp", "net\\getdc", "browse2"] {
            let mut claims = vec![named(0x1d, NameUse::SentTo)];
            claims.extend(written(mailslot, 90));
            assert_eq!(
                service(netbios_datagram::PROTOCOL, &claims),
                None,
                "{mailslot}"
            );
        }
    }

    #[test]
    fn several_mailslots_name_a_service_each_with_the_bytes_of_its_own() {
        let claims = [
            written("browse", 90),
            written("net\\ntlogon", 40),
            written("lanman", 7),
        ];
        let (services, _) = told(netbios_datagram::PROTOCOL, &claims.concat()).expect("it is told");
        assert_eq!(
            services,
            [("Browser".to_owned(), 97), ("Netlogon".to_owned(), 40)]
        );
    }

    #[test]
    fn without_a_mailslot_the_receivers_suffix_names_the_service() {
        let spoken = netbios_datagram::PROTOCOL;
        let to = |suffix| service(spoken, &[named(suffix, NameUse::SentTo)]);
        assert_eq!(to(0x1e).as_deref(), Some("Browser"));
        assert_eq!(to(0x1c).as_deref(), Some("Netlogon"));
        // A host's or a group's: the datagram does not say.
        assert_eq!(to(0x00), None);
        assert_eq!(service(spoken, &[named(0x1e, NameUse::SentFrom)]), None);
    }

    #[test]
    fn names_that_are_looked_up_or_announced_name_no_service() {
        for used in [
            NameUse::AskedFor,
            NameUse::Resolved,
            NameUse::Listed,
            NameUse::Registered,
            NameUse::Released,
        ] {
            assert_eq!(service(netbios_name::PROTOCOL, &[named(0x20, used)]), None);
        }
    }

    #[test]
    fn who_decides_on_registrations_is_wins() {
        let claims = [
            named(0x20, NameUse::Registered),
            named(0x20, NameUse::Decided),
        ];
        let wins = service(netbios_name::PROTOCOL, &claims);
        assert_eq!(wins.as_deref(), Some("WINS"));
    }

    #[test]
    fn an_accepted_session_belongs_to_the_service_that_was_called() {
        let session = |suffix, used| service(netbios_session::PROTOCOL, &[named(suffix, used)]);
        assert_eq!(
            session(0x20, NameUse::Accepted).as_deref(),
            Some("lanmanserver")
        );
        assert_eq!(
            session(0x03, NameUse::Accepted).as_deref(),
            Some("Messenger")
        );
        assert_eq!(session(0x1f, NameUse::Accepted).as_deref(), Some("NetDDE"));
        assert_eq!(session(0x03, NameUse::Called), None);
        assert_eq!(session(0x77, NameUse::Accepted), None);
    }

    #[test]
    fn evidence_says_what_the_name_means_and_what_was_done_with_it() {
        let catalog = Catalog::built_in();
        let shown = |suffix, kind| {
            let Claim::NetbiosName { name, used, by, .. } = named(suffix, NameUse::Listed) else {
                unreachable!("it is a name");
            };
            let claim = Claim::NetbiosName {
                name,
                kind,
                used,
                by,
            };
            let ground = ground(&evidence(claim), &catalog).expect("it is evidence");
            (ground.value, ground.name.expect("it has one"))
        };
        let pair = |value: &str, name: &str| (value.to_owned(), name.to_owned());
        let group = Some(NameKind::Group);
        assert_eq!(
            shown(0x20, None),
            pair("OFFICE<20>", "file server service, listed")
        );
        assert_eq!(
            shown(0x00, group),
            pair("OFFICE<00>", "domain or workgroup, listed")
        );
        assert_eq!(shown(0x77, group), pair("OFFICE<77>", "listed"));
    }
}
