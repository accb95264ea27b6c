//! Port rows of all services to who listens where, and whose the socket is.

use std::collections::HashMap;

use crate::catalog::entry::{Listens, PortRow, PortUse, ServiceId};
use crate::catalog::fault::{Fault, FaultKind, Place};

/// Rows by what they name, in the order in which they came.
#[derive(Default)]
pub(super) struct Listeners {
    found: Vec<(Listens, Vec<Claim>)>,
    places: HashMap<Listens, usize>,
}

/// A service's row, not yet compared with the others of its port.
struct Claim {
    port_use: PortUse,
    layer: usize,
    place: Place,
}

impl Listeners {
    pub fn add(&mut self, service: ServiceId, row: &PortRow, layer: usize, place: &Place) {
        let slot = *self.places.entry(row.at).or_insert_with(|| {
            self.found.push((row.at, Vec::new()));
            self.found.len() - 1
        });
        self.found[slot].1.push(Claim {
            port_use: PortUse {
                service,
                application: row.application.clone(),
                speaks: row.speaks.clone(),
                listener: row.listener,
                shared: false,
                only_if_spoken: row.only_if_spoken,
                quirk: row.quirk,
            },
            layer,
            place: place.clone(),
        });
    }

    /// What the rows name, who lists it, in the order that the lookups promise, and what is
    /// wrong with their marks. Nobody owns dynamic ports: their rows are as they came.
    pub fn settle(self) -> impl Iterator<Item = (Listens, Vec<PortUse>, Option<Fault>)> {
        self.found.into_iter().map(|(listens, mut claims)| {
            let fault = match listens {
                Listens::Dynamic(_) => None,
                Listens::Port(..) | Listens::Ip(_) => settle(listens, &mut claims),
            };
            let uses = claims.into_iter().map(|claim| claim.port_use);
            (listens, uses.collect(), fault)
        })
    }
}

fn settle(listens: Listens, claims: &mut [Claim]) -> Option<Fault> {
    let real: Vec<&Claim> = claims.iter().filter(|c| !c.port_use.quirk).collect();
    let first = real.first()?.port_use.service;
    let shared = real.iter().any(|c| c.port_use.service != first);
    let mark = last_mark(&real);
    let fault = match mark {
        Some(mark) => rival(&real, mark).map(|rival| {
            let what = format!("listener of {listens}");
            let first = rival.place.clone();
            (mark, FaultKind::Duplicate { what, first })
        }),
        None if shared => {
            (real.last()).map(|last| (*last, FaultKind::NoListener(listens.to_string())))
        }
        None => None,
    };
    let fault = fault.map(|(claim, kind)| Fault {
        place: claim.place.clone(),
        kind,
    });
    let owner = mark.map_or(first, |mark| mark.port_use.service);
    for Claim { port_use, .. } in claims.iter_mut() {
        port_use.listener = !port_use.quirk && port_use.service == owner;
        port_use.shared = shared;
    }
    claims.sort_by_key(|c| (c.port_use.quirk, !c.port_use.listener));
    fault
}

/// The mark that counts: of the latest layer, and there the last.
fn last_mark<'c>(claims: &[&'c Claim]) -> Option<&'c Claim> {
    let marked = claims.iter().copied().filter(|c| c.port_use.listener);
    marked.max_by_key(|c| c.layer)
}

/// Another service that is marked in the same layer.
fn rival<'c>(claims: &[&'c Claim], mark: &Claim) -> Option<&'c Claim> {
    claims.iter().copied().find(|c| {
        c.port_use.listener && c.layer == mark.layer && c.port_use.service != mark.port_use.service
    })
}
