//! Entries by key, of which there are few unless a peer makes them many.
//!
//! Nearly every connection has one presentation context and one call at a time. A tree's first node
//! has room for eleven, which for such entries is most of what following a connection takes.

use std::collections::BTreeMap;

/// Entries up to this many stand in a row, where adding one moves those behind it.
const MAX_ROW: usize = 16;

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub enum Few<K, V> {
    /// In order.
    Row(Vec<(K, V)>),
    /// Once they were more than [`MAX_ROW`].
    Tree(BTreeMap<K, V>),
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Few<K, V> {
        Few::Row(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Few::Row(row) => row.len(),
            Few::Tree(tree) => tree.len(),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self {
            Few::Row(row) => place(row, key).ok().map(|at| &row[at].1),
            Few::Tree(tree) => tree.get(key),
        }
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Few::Row(row) => place(row, key).ok().map(|at| &mut row[at].1),
            Few::Tree(tree) => tree.get_mut(key),
        }
    }

    /// Whether there is an entry of this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Gives a key this value, instead of the one that it may have.
    pub fn insert(&mut self, key: K, value: V) {
        match self {
            Few::Row(row) => match place(row, &key) {
                Ok(at) => row[at].1 = value,
                Err(at) if row.len() < MAX_ROW => {
                    // Most have one entry and never another.
                    row.reserve_exact(usize::from(row.is_empty()));
                    row.insert(at, (key, value));
                }
                Err(_) => {
                    let mut tree: BTreeMap<K, V> = std::mem::take(row).into_iter().collect();
                    tree.insert(key, value);
                    *self = Few::Tree(tree);
                }
            },
            Few::Tree(tree) => {
                tree.insert(key, value);
            }
        }
    }

    /// Takes the entry of a key out, if there is one.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Few::Row(row) => place(row, key).ok().map(|at| row.remove(at).1),
            Few::Tree(tree) => tree.remove(key),
        }
    }

    /// Takes the entry of the lowest key out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        match self {
            Few::Row(row) => (!row.is_empty()).then(|| row.remove(0)),
            Few::Tree(tree) => tree.pop_first(),
        }
    }

    /// Takes all entries, in order.
    pub fn take(&mut self) -> Vec<(K, V)> {
        match std::mem::take(self) {
            Few::Row(row) => row,
            Few::Tree(tree) => tree.into_iter().collect(),
        }
    }
}

/// Where the entry of a key is, or belongs.
fn place<K: Ord, V>(row: &[(K, V)], key: &K) -> Result<usize, usize> {
    row.binary_search_by(|(known, _)| known.cmp(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn more_entries_than_stand_in_a_row_go_into_a_tree() {
        let mut few = Few::default();
        (0..MAX_ROW).rev().for_each(|key| few.insert(key, ()));
        assert!(matches!(few, Few::Row(_)));
        few.insert(MAX_ROW, ());
        assert!(matches!(few, Few::Tree(_)) && few.len() == MAX_ROW + 1);
    }

    proptest! {
        #[test]
        fn it_is_a_map_like_another(
            steps in proptest::collection::vec((0..4u8, 0..24u16, any::<u8>()), 0..120),
        ) {
            let (mut few, mut other) = (Few::default(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 => prop_assert_eq!(few.remove(&key), other.remove(&key)),
                    1 if value < 8 => prop_assert_eq!(few.pop_first(), other.pop_first()),
                    _ => {
                        few.insert(key, value);
                        other.insert(key, value);
                    }
                }
                prop_assert_eq!(few.len(), other.len());
                prop_assert_eq!(few.get(&key), other.get(&key));
                prop_assert_eq!(few.get_mut(&key), other.get_mut(&key));
            }
            prop_assert_eq!(few.take(), other.into_iter().collect::<Vec<_>>());
        }
    }
}
