//! Where flows are, by their hash: a table of places that is searched, and grows, without a look
//! at the flows themselves. A search mostly ends at the first place, in one cache line.

/// No place.
const NOWHERE: Place = Place {
    tag: 0,
    slot: u32::MAX,
};

/// Places of the smallest table.
const LEAST: usize = 16;

/// A flow's slot, and what is known of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tag: u32,
    slot: u32,
}

/// Places by tag. A tag is a keyed hash, so that nobody can fill a stretch of the table on purpose;
/// different flows may have the same one.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two; at least a quarter of them are [`NOWHERE`], so that searches end.
    places: Vec<Place>,
    used: usize,
}

impl Index {
    /// How many places are used.
    pub fn len(&self) -> usize {
        self.used
    }

    /// How many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// Reads the place where a search for `tag` begins, so that it is in the cache by then.
    pub fn touch(&self, tag: u32) {
        std::hint::black_box(self.places.get(self.home(tag)).copied());
    }

    /// The first slot under this tag for which `is_it` is true.
    pub fn find(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let is_its = |place: &Place| place.tag == tag && is_it(place.slot);
        self.search(tag, is_its).map(|at| self.places[at].slot)
    }

    /// Adds a slot, which must not be there yet.
    pub fn insert(&mut self, tag: u32, slot: u32) {
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.put(Place { tag, slot });
        self.used += 1;
    }

    /// Takes a slot out, if it is there.
    pub fn remove(&mut self, tag: u32, slot: u32) {
        let Some(mut hole) = self.search(tag, |place| *place == Place { tag, slot }) else {
            return;
        };
        self.used -= 1;
        // Those behind it that would no longer be found move up.
        let mut at = hole;
        loop {
            at = self.after(at);
            let place = self.places[at];
            if place == NOWHERE {
                break;
            }
            let mask = self.places.len() - 1;
            let from_home = at.wrapping_sub(self.home(place.tag)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole] = NOWHERE;
    }

    /// Where the first place is that `is_it`, of those that a search for `tag` comes by.
    fn search(&self, tag: u32, is_it: impl Fn(&Place) -> bool) -> Option<usize> {
        let mut at = self.home(tag);
        loop {
            match self.places.get(at)? {
                place if *place == NOWHERE => return None,
                place if is_it(place) => return Some(at),
                _ => at = self.after(at),
            }
        }
    }

    fn put(&mut self, place: Place) {
        let mut at = self.home(place.tag);
        while self.places[at] != NOWHERE {
            at = self.after(at);
        }
        self.places[at] = place;
    }

    fn grow(&mut self) {
        let larger = vec![NOWHERE; (self.places.len() * 2).max(LEAST)];
        for place in std::mem::replace(&mut self.places, larger) {
            if place != NOWHERE {
                self.put(place);
            }
        }
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.places.len().wrapping_sub(1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_has_nothing() {
        let mut index = Index::default();
        index.touch(7);
        index.remove(7, 0);
        assert_eq!((index.find(7, |_| true), index.len()), (None, 0));
    }

    #[test]
    fn of_several_with_one_tag_the_one_asked_for_is_found() {
        let mut index = Index::default();
        (0..100).for_each(|slot| index.insert(7, slot));
        assert_eq!(index.find(7, |slot| slot == 42), Some(42));
        assert_eq!(index.find(7, |slot| slot == 100), None);
    }

    proptest! {
        /// Tags of a few bits, which lie at the end of the table, too, and get into each other's way.
        #[test]
        fn what_was_added_and_not_taken_out_is_there(
            steps in proptest::collection::vec((any::<bool>(), 0..12u32, 0..6u32), 0..200),
        ) {
            let (mut index, mut known) = (Index::default(), BTreeSet::new());
            for (adds, tag, slot) in steps {
                let tag = tag.wrapping_sub(6);
                match adds {
                    true if known.insert((tag, slot)) => index.insert(tag, slot),
                    true => {}
                    false => {
                        known.remove(&(tag, slot));
                        index.remove(tag, slot);
                    }
                }
                prop_assert_eq!(index.len(), known.len());
                for tag in (0..12u32).map(|tag| tag.wrapping_sub(6)) {
                    for slot in 0..6 {
                        let found = index.find(tag, |one| one == slot);
                        prop_assert_eq!(found.is_some(), known.contains(&(tag, slot)));
                    }
                }
            }
        }
    }
}
