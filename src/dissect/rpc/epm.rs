//! The endpoint mapper's answers (C706 appendix O): which interface listens where.

use std::collections::BTreeSet;

use crate::dissect::read::{Order, Reader, Short};
use crate::dissect::rpc::bind::Syntax;
use crate::dissect::rpc::tower;
use crate::model::evidence::Claim;
use crate::model::uuid::Uuid;

/// The endpoint mapper's own interface, in whatever version.
pub const INTERFACE: Uuid = Uuid::from_u128(0xe1af8308_5d1f_11c9_91a4_08002b14a0fa);

/// The most entries that are read from one answer. Clients ask for 500 at most; a listing of all
/// that Windows runs has a few hundred.
const MAX_ENTRIES: usize = 4096;

/// The calls whose answers hold towers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `ept_lookup`: everything, or all of one kind.
    Lookup,
    /// `ept_map`: where one interface listens.
    Map,
}

impl Operation {
    /// The operation of this number, if it is one of them.
    pub fn of(opnum: u16) -> Option<Operation> {
        match opnum {
            2 => Some(Operation::Lookup),
            3 => Some(Operation::Map),
            _ => None,
        }
    }
}

/// What is known of an answer before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The call that it answers.
    pub operation: Operation,
    /// How its context's stubs are written, where that was seen.
    pub syntax: Option<Syntax>,
    /// The order of its integers.
    pub order: Order,
    /// Who it is from. If nobody knows, it must parse to its end.
    pub origin: Origin,
}

/// Who an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The endpoint mapper: its context was seen to be bound.
    Mapper,
    /// Nobody knows: the BIND was not captured.
    Unknown,
}

/// Reads the stub of an answer and claims every endpoint in it, each once.
pub fn claim(stub: &[u8], expected: &Expected, found: &mut Vec<Claim>) {
    let operation = expected.operation;
    let readings =
        syntaxes(expected).map(|syntax| Listing::read(stub, expected.order, operation, syntax));
    let mut first = None;
    for listing in readings {
        if listing.whole {
            return listing.claim(found);
        }
        first.get_or_insert(listing);
    }
    // A listing cut short by the capture, or with a tower that cannot be read, keeps the rest; but
    // only if nothing about it was guessed.
    if let Some(listing) = first.filter(|_| expected.origin == Origin::Mapper) {
        listing.claim(found);
    }
}

/// Whether a stub's first bytes could be those of an answer, to decide if its rest is worth keeping.
pub fn may_be_answer(stub: &[u8], expected: &Expected) -> bool {
    syntaxes(expected).any(|syntax| {
        let mut body = Body::new(stub, expected.order, syntax);
        body.opening(expected.operation).is_ok()
    })
}

/// The syntaxes in which an answer of which this much is known may be written.
fn syntaxes(expected: &Expected) -> impl Iterator<Item = Syntax> {
    let syntax = expected.syntax;
    let both = [Syntax::Ndr, Syntax::Ndr64].into_iter();
    both.filter(move |one| syntax.is_none_or(|known| known == *one))
}

/// The entries of an answer.
#[derive(Default)]
struct Listing {
    claims: Vec<Claim>,
    /// Whether every tower could be read and nothing but padding was left.
    whole: bool,
}

impl Listing {
    fn read(stub: &[u8], order: Order, operation: Operation, syntax: Syntax) -> Listing {
        let mut listing = Listing::default();
        let mut body = Body::new(stub, order, syntax);
        let towers_fit = listing.entries(&mut body, operation);
        let end_fits = body.r.align(4).and_then(|()| body.r.u32()).is_ok() && body.r.left() < 8;
        listing.whole = towers_fit == Ok(true) && end_fits;
        listing
    }

    /// Whether every tower could be read.
    fn entries(&mut self, body: &mut Body, operation: Operation) -> Result<bool, Short> {
        let count = body.opening(operation)?;
        let mut towers = 0;
        for _ in 0..count {
            match operation {
                Operation::Map if body.word()? != 0 => towers += 1,
                Operation::Map => {}
                Operation::Lookup => towers += usize::from(body.entry()?),
            }
        }
        let mut all_readable = true;
        for _ in 0..towers {
            let octets = body.tower()?;
            match tower::read(octets) {
                Ok(tower) => {
                    all_readable &= Syntax::of(tower.syntax).is_some();
                    self.claims.extend(tower.at.map(|at| Claim::Mapped {
                        interface: tower.interface,
                        at: Box::new(at),
                    }));
                }
                Err(Short) => all_readable = false,
            }
        }
        Ok(all_readable)
    }

    fn claim(self, found: &mut Vec<Claim>) {
        // ept_lookup repeats a tower for every object that the interface has there.
        let mut said = BTreeSet::new();
        for claim in self.claims {
            let Claim::Mapped { interface, at, .. } = &claim else {
                continue;
            };
            if said.insert((*interface, at.clone())) {
                found.push(claim);
            }
        }
    }
}

/// A stub, read in one of the two syntaxes: they differ in the size of counts and pointers.
struct Body<'a> {
    r: Reader<'a>,
    syntax: Syntax,
}

impl<'a> Body<'a> {
    fn new(stub: &'a [u8], order: Order, syntax: Syntax) -> Body<'a> {
        Body {
            r: Reader::new(stub, order),
            syntax,
        }
    }

    /// A count or a pointer's referent, at its alignment.
    fn word(&mut self) -> Result<u64, Short> {
        match self.syntax {
            Syntax::Ndr => {
                self.r.align(4)?;
                Ok(self.r.u32()?.into())
            }
            Syntax::Ndr64 => {
                self.r.align(8)?;
                self.r.u64()
            }
        }
    }

    /// The number of entries, from behind the context handle. The head of their array must agree.
    fn opening(&mut self, operation: Operation) -> Result<usize, Short> {
        // ndr_context_handle: attributes, always 0, and a UUID.
        if self.r.u32()? != 0 {
            return Err(Short);
        }
        self.r.skip(16)?;
        let count = self.r.u32()?;
        let (most, offset, actual) = (self.word()?, self.word()?, self.word()?);
        let agrees = offset == 0 && actual == u64::from(count) && actual <= most;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let shortest = match operation {
            Operation::Map => 4,
            Operation::Lookup => 28,
        };
        if !agrees || count > MAX_ENTRIES || (count > 0 && self.r.left() < shortest) {
            return Err(Short);
        }
        Ok(count)
    }

    /// An `ept_entry_t`: whether it has a tower.
    fn entry(&mut self) -> Result<bool, Short> {
        self.r.align(match self.syntax {
            Syntax::Ndr => 4,
            Syntax::Ndr64 => 8,
        })?;
        self.r.skip(16)?; // the object
        let tower = self.word()?;
        // `[string] char annotation[64]`: a varying array.
        let (_offset, len) = (self.word()?, self.word()?);
        self.r.skip(usize::try_from(len).map_err(|_| Short)?)?;
        Ok(tower != 0)
    }

    /// The octets of a `twr_t`.
    fn tower(&mut self) -> Result<&'a [u8], Short> {
        let most = self.word()?;
        let len = self.r.u32()?;
        if most < u64::from(len) {
            return Err(Short);
        }
        self.r.take(usize::try_from(len).map_err(|_| Short)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::samples::*;
    use crate::model::evidence::Endpoint;

    const MAPPER: Expected = Expected {
        operation: Operation::Map,
        syntax: None,
        order: Order::Little,
        origin: Origin::Mapper,
    };

    fn claims(stub: &[u8], expected: Expected) -> Vec<Claim> {
        let mut found = Vec::new();
        claim(stub, &expected, &mut found);
        found
    }

    #[test]
    fn every_tower_of_an_answer_is_claimed() {
        let towers = [
            tcp_tower(SAMR, 49154, [10, 0, 0, 1]),
            tcp_tower(SAMR, 49155, [0, 0, 0, 0]),
            tower_of(SAMR, &[(0x0f, b"\\pipe\\SAMR\0"), (0x11, b"\\\\DC1\0")]),
        ];
        let expected = [
            mapped_tcp(SAMR, 49154, [10, 0, 0, 1]),
            mapped_tcp(SAMR, 49155, [0, 0, 0, 0]),
            mapped(SAMR, Endpoint::Pipe("samr".into())),
        ];
        for syntax in [Syntax::Ndr, Syntax::Ndr64] {
            for order in [Order::Little, Order::Big] {
                let stub = map_answer_in(order, &towers, syntax);
                let known = Expected {
                    syntax: Some(syntax),
                    order,
                    ..MAPPER
                };
                assert_eq!(claims(&stub, known), expected, "{syntax:?} {order:?}");
                let guessed = Expected {
                    operation: Operation::Map,
                    syntax: None,
                    order,
                    origin: Origin::Unknown,
                };
                assert_eq!(claims(&stub, guessed), expected, "{syntax:?} {order:?}");
            }
        }
    }

    #[test]
    fn an_answer_without_towers_claims_nothing() {
        for syntax in [Syntax::Ndr, Syntax::Ndr64] {
            assert_eq!(claims(&map_answer(&[], syntax), MAPPER), []);
        }
    }

    #[test]
    fn a_listing_comes_with_each_endpoint_once() {
        let samr = tcp_tower(SAMR, 49154, [10, 0, 0, 1]);
        let drsuapi = tcp_tower(DRSUAPI, 49155, [10, 0, 0, 1]);
        let entries = [
            (samr.clone(), ""),
            (drsuapi, "MS NT Directory DRS"),
            (samr, ""),
        ];
        for syntax in [Syntax::Ndr, Syntax::Ndr64] {
            let expected = Expected {
                operation: Operation::Lookup,
                ..MAPPER
            };
            let found = claims(&lookup_answer(&entries, syntax), expected);
            let drsuapi = mapped_tcp(DRSUAPI, 49155, [10, 0, 0, 1]);
            assert_eq!(found, [mapped_tcp(SAMR, 49154, [10, 0, 0, 1]), drsuapi]);
        }
    }

    #[test]
    fn a_broken_tower_does_not_hide_the_others() {
        let broken = vec![5, 0, 99, 99];
        let towers = [broken, tcp_tower(SAMR, 49154, [10, 0, 0, 1])];
        let stub = map_answer(&towers, Syntax::Ndr);
        let known = Expected {
            syntax: Some(Syntax::Ndr),
            ..MAPPER
        };
        assert_eq!(
            claims(&stub, known),
            [mapped_tcp(SAMR, 49154, [10, 0, 0, 1])]
        );
        let guessed = Expected {
            origin: Origin::Unknown,
            ..MAPPER
        };
        assert_eq!(claims(&stub, guessed), []);
    }

    #[test]
    fn an_answer_cut_anywhere_claims_no_more_than_it_holds() {
        let stub = map_answer(&[tcp_tower(SAMR, 49154, [10, 0, 0, 1])], Syntax::Ndr);
        for len in 0..stub.len() {
            assert!(claims(&stub[..len], MAPPER).len() <= 1, "{len}");
        }
        assert_eq!(claims(&stub[..40], MAPPER), []);
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_is_refused() {
        let mut stub = Stub::new(Syntax::Ndr, Order::Little);
        stub.u32(0);
        stub.bytes.extend([0; 16]);
        for count in [u32::MAX, u32::MAX, 0, u32::MAX, 3, 3, 3] {
            stub.u32(count);
        }
        assert_eq!(claims(&stub.bytes, MAPPER), []);
        assert!(!may_be_answer(&stub.bytes, &MAPPER));
    }

    #[test]
    fn another_protocols_stub_is_not_an_answer() {
        for stub in [&[0u8; 64][..], &[7; 200], b"", &[0xff; 64]] {
            assert_eq!(claims(stub, MAPPER), []);
        }
    }
}
