//! Pipes to services: who was reached through an SMB session, and how many of its bytes were whose.
//!
//! An interface that was bound in a pipe says more than the pipe's name: a process answers for all
//! its interfaces on each of its pipes. The name counts where no BIND was seen.

use std::collections::BTreeMap;

use crate::attribute::label::{Basis, EvidenceKind, Ground, Label, Reached};
use crate::catalog::{Catalog, InterfaceEntry};
use crate::flow::ended::EndedFlow;
use crate::model::evidence::{Claim, Evidence, PipeUse};
use crate::model::uuid::Interface;

/// Adds what was reached through the pipes of a flow, each with the bytes that were its; the
/// listener, who stands first if there is one, keeps the others. Together they have no more bytes
/// than the flow.
pub fn add(flow: &EndedFlow, catalog: &Catalog, label: &mut Label) {
    let mut left: u64 = flow.bytes.iter().sum();
    for mut reached in reached(flow, catalog) {
        // More may be announced than the capture holds.
        reached.bytes = reached.bytes.min(left);
        left -= reached.bytes;
        label.services.push(reached);
    }
    let mut direct = (label.services.iter_mut()).filter(|reached| reached.via.is_none());
    if let (Some(listener), None) = (direct.next(), direct.next()) {
        listener.bytes = listener.bytes.min(left);
    }
}

/// The interfaces that were bound in pipes.
pub fn bound(flow: &EndedFlow) -> impl Iterator<Item = Interface> {
    flow.evidence.iter().filter_map(|e| match &e.claim {
        Claim::BoundInPipe { interface, .. } => Some(*interface),
        _ => None,
    })
}

/// The line of evidence that a pipe or what was bound in it makes.
pub fn ground(evidence: &Evidence, catalog: &Catalog) -> Option<Ground> {
    let (kind, value, name) = match &evidence.claim {
        Claim::OpenedPipe(pipe) => (EvidenceKind::SmbPipe, pipe.clone(), None),
        Claim::AskedForPipe(pipe) => (EvidenceKind::SmbPipeAsked, pipe.clone(), None),
        Claim::RefusedPipe(pipe) => (EvidenceKind::SmbPipeRefused, pipe.clone(), None),
        Claim::BoundInPipe { interface, pipe } => {
            let known = entry(catalog, *interface, pipe);
            let name = known.and_then(|known| known.name.clone());
            (EvidenceKind::RpcInterface, interface.to_string(), name)
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

/// One UUID may mean two services, which the pipe tells apart.
fn entry<'c>(
    catalog: &'c Catalog,
    interface: Interface,
    pipe: &Option<Box<str>>,
) -> Option<&'c InterfaceEntry> {
    catalog.interface(interface, pipe.as_deref())
}

/// Every service, in the order in which it was first reached; one without for what the catalog ties
/// to no service.
fn reached(flow: &EndedFlow, catalog: &Catalog) -> Vec<Reached> {
    let mut all: Vec<Reached> = Vec::new();
    let mut carried = carried(flow);
    let claims = flow.evidence.iter().map(|evidence| &evidence.claim);
    for claim in claims {
        let (pipe, interface, service) = match claim {
            Claim::BoundInPipe { interface, pipe } => {
                let known = entry(catalog, *interface, pipe);
                (pipe, Some(*interface), known.and_then(|e| e.service))
            }
            Claim::OpenedPipe(name) if !has_bind(flow, name) => {
                let service = catalog.pipe(name).and_then(|known| known.service);
                (&Some(name.as_str().into()), None, service)
            }
            _ => continue,
        };
        let this = PipeUse {
            pipe: pipe.clone(),
            interface,
        };
        let bytes = carried.remove(&this).unwrap_or(0);
        let place = (all.iter().position(|known| known.service == service)).unwrap_or(all.len());
        if place == all.len() {
            all.push(Reached {
                service,
                application: "RPC".to_owned(),
                basis: Basis::Content,
                via: Some("smb"),
                interfaces: Vec::new(),
                pipes: Vec::new(),
                bytes: 0,
            });
        }
        let Some(reached) = all.get_mut(place) else {
            continue;
        };
        reached.bytes = reached.bytes.saturating_add(bytes);
        if let Some(interface) = interface.filter(|one| !reached.interfaces.contains(one)) {
            reached.interfaces.push(interface);
        }
        let is_new = |pipe: &&str| reached.pipes.iter().all(|known| known != pipe);
        if let Some(pipe) = pipe.as_deref().filter(is_new) {
            reached.pipes.push(pipe.to_owned());
        }
    }
    all
}

/// The bytes by pipe and interface. What was carried by an opening in which no BIND was seen goes
/// to the first interface that was bound in another of the same pipe.
fn carried(flow: &EndedFlow) -> BTreeMap<PipeUse, u64> {
    let mut carried: BTreeMap<PipeUse, u64> = BTreeMap::new();
    for evidence in &flow.evidence {
        let Claim::CarriedInPipe { of, bytes } = &evidence.claim else {
            continue;
        };
        let first_bound = || first_bound(flow, of.pipe.as_deref());
        let by_first = PipeUse {
            pipe: of.pipe.clone(),
            interface: of.interface.or_else(first_bound),
        };
        let all = carried.entry(by_first).or_default();
        *all = all.saturating_add(*bytes);
    }
    carried
}

fn has_bind(flow: &EndedFlow, pipe: &str) -> bool {
    first_bound(flow, Some(pipe)).is_some()
}

fn first_bound(flow: &EndedFlow, name: Option<&str>) -> Option<Interface> {
    flow.evidence.iter().find_map(|e| match &e.claim {
        Claim::BoundInPipe { interface, pipe } if pipe.as_deref() == name => Some(*interface),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::samples;
    use crate::model::uuid::Uuid;

    /// The Service Control Manager's interface (MS-SCMR 1.9).
    const SVCCTL: Interface = Interface::new(
        Uuid::from_u128(0x367abb81_9844_35f1_ad32_98f038001003),
        2,
        0,
    );

    /// The Spooler's (MS-RPRN 1.9), and the IPsec policy agent's.
    const SPOOLSS: Interface = Interface::new(
        Uuid::from_u128(0x12345678_1234_abcd_ef00_0123456789ab),
        1,
        0,
    );

    /// Nobody's.
    const STRANGE: Interface = Interface::new(Uuid::from_u128(0x5770_4e67), 1, 0);

    fn opened(pipe: &str) -> Claim {
        Claim::OpenedPipe(pipe.to_owned())
    }

    fn bound(interface: Interface, pipe: Option<&str>) -> Claim {
        let pipe = pipe.map(Into::into);
        Claim::BoundInPipe { interface, pipe }
    }

    fn carried(pipe: Option<&str>, interface: Option<Interface>, bytes: u64) -> Claim {
        Claim::CarriedInPipe {
            of: Box::new(PipeUse {
                pipe: pipe.map(Into::into),
                interface,
            }),
            bytes,
        }
    }

    /// The label of an SMB session of 500 bytes that proved these claims.
    fn label(catalog: &Catalog, claims: &[Claim]) -> Label {
        let mut label = samples::smb_session(catalog);
        add(&samples::flow(claims), catalog, &mut label);
        label
    }

    /// Each service with its pipes and its bytes.
    fn told(claims: &[Claim]) -> Vec<(String, String, u64)> {
        let catalog = Catalog::built_in();
        let label = label(&catalog, claims);
        let one = |reached: &Reached| {
            let id = reached.service.map(|id| catalog.service(id).id.clone());
            let id = id.unwrap_or_else(|| "-".to_owned());
            (id, reached.pipes.join(","), reached.bytes)
        };
        label.services.iter().map(one).collect()
    }

    fn expect(claims: &[Claim], expected: &[(&str, &str, u64)]) {
        let expected: Vec<_> = (expected.iter())
            .map(|(id, pipes, bytes)| ((*id).to_owned(), (*pipes).to_owned(), *bytes))
            .collect();
        assert_eq!(told(claims), expected);
    }

    #[test]
    fn each_service_has_the_bytes_of_its_pipes_and_the_listener_the_rest() {
        let claims = [
            opened("svcctl"),
            bound(SVCCTL, Some("svcctl")),
            opened("spoolss"),
            bound(SPOOLSS, Some("spoolss")),
            carried(Some("spoolss"), Some(SPOOLSS), 120),
            carried(Some("svcctl"), Some(SVCCTL), 200),
        ];
        let expected = [
            ("lanmanserver", "", 180),
            ("SCM", "svcctl", 200),
            ("Spooler", "spoolss", 120),
        ];
        expect(&claims, &expected);
    }

    #[test]
    fn what_is_bound_in_a_pipe_goes_before_its_name() {
        let claims = [
            opened("lsass"),
            bound(SVCCTL, Some("lsass")),
            carried(Some("lsass"), Some(SVCCTL), 100),
            carried(Some("lsass"), None, 30),
        ];
        expect(&claims, &[("lanmanserver", "", 370), ("SCM", "lsass", 130)]);
    }

    #[test]
    fn the_name_of_a_pipe_counts_where_no_bind_was_seen() {
        let claims = [opened("svcctl"), carried(Some("svcctl"), None, 100)];
        expect(
            &claims,
            &[("lanmanserver", "", 400), ("SCM", "svcctl", 100)],
        );
    }

    #[test]
    fn one_uuid_is_two_services_on_two_pipes() {
        let claims = |pipe| [opened(pipe), bound(SPOOLSS, Some(pipe))];
        expect(
            &claims("spoolss"),
            &[("lanmanserver", "", 500), ("Spooler", "spoolss", 0)],
        );
        expect(
            &claims("ipsec"),
            &[("lanmanserver", "", 500), ("PolicyAgent", "ipsec", 0)],
        );
        let catalog = Catalog::built_in();
        let bound = samples::evidence(bound(SPOOLSS, Some("ipsec")));
        let name = ground(&bound, &catalog).and_then(|ground| ground.name);
        assert_eq!(name.as_deref(), Some("winipsec"));
    }

    #[test]
    fn what_nobody_knows_is_shown_without_a_service() {
        let claims = [
            opened("psexesvc"),
            carried(Some("psexesvc"), None, 100),
            bound(STRANGE, None),
            carried(None, Some(STRANGE), 50),
        ];
        expect(
            &claims,
            &[("lanmanserver", "", 350), ("-", "psexesvc", 150)],
        );
        let catalog = Catalog::built_in();
        let label = label(&catalog, &claims);
        assert_eq!(label.services[1].interfaces, [STRANGE]);
    }

    #[test]
    fn bytes_never_add_up_to_more_than_the_flow_has() {
        let claims = [
            opened("svcctl"),
            carried(Some("svcctl"), None, 400),
            opened("spoolss"),
            carried(Some("spoolss"), None, u64::MAX),
        ];
        let expected = [
            ("lanmanserver", "", 0),
            ("SCM", "svcctl", 400),
            ("Spooler", "spoolss", 100),
        ];
        expect(&claims, &expected);
    }
}
