//! What dissectors that follow a flow are held to, for tests.

use crate::dissect::{Definition, Dissector, Opening, Progress};
use crate::model::evidence::{Claim, Direction};

/// What was sent, piece by piece.
pub type Talk<'a> = [(Direction, &'a [u8])];

/// The definition's dissector, for a flow of which nothing is known yet.
pub fn follow(definition: &Definition) -> Box<dyn Dissector> {
    definition.follow.expect("it follows its flows")(&Opening {
        forward: b"",
        reverse: b"",
        ports: (50_000, definition.examples[0].port),
        from_start: true,
    })
}

/// What the definition's dissector claims of this talk; it is fed until it is done.
pub fn claims(definition: &Definition, talk: &Talk) -> Vec<Claim> {
    let first = |from| talk.iter().find(|piece| piece.0 == from);
    let bytes = |from| first(from).map_or(&[][..], |piece| piece.1);
    let opening = Opening {
        forward: bytes(Direction::Forward),
        reverse: bytes(Direction::Reverse),
        ports: (50_000, definition.examples[0].port),
        from_start: true,
    };
    let follow = definition.follow.expect("it follows its flows");
    let (mut dissector, mut found) = (follow(&opening), Vec::new());
    for (from, bytes) in talk {
        if dissector.feed(*from, bytes, &mut found) != Progress::More {
            break;
        }
    }
    dissector.finish(&mut found);
    found
}

/// Holds a stream's dissector to the same claims wherever a piece is torn in two.
pub fn assert_torn_is_whole(definition: &Definition, talk: &Talk) {
    let whole = claims(definition, talk);
    assert!(!whole.is_empty());
    for (place, (from, bytes)) in talk.iter().enumerate() {
        for cut in 0..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            let mut torn = talk.to_vec();
            torn.splice(place..=place, [(*from, left), (*from, right)]);
            assert_eq!(claims(definition, &torn), whole, "piece {place} at {cut}");
        }
    }
}

/// Holds a dissector of datagrams to claim nothing that the whole did not, where one is cut.
pub fn assert_cut_claims_no_other(definition: &Definition, talk: &Talk) {
    let whole = claims(definition, talk);
    assert!(!whole.is_empty());
    for (place, (from, bytes)) in talk.iter().enumerate() {
        for cut in 0..bytes.len() {
            let mut torn = talk.to_vec();
            torn[place] = (*from, bytes.split_at(cut).0);
            for claim in claims(definition, &torn) {
                assert!(whole.contains(&claim), "{claim:?}, piece {place} at {cut}");
            }
        }
    }
}
