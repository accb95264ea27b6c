//! The bytes of one datagram in parts: kept as its parts come, given whole when none is missing.

use std::collections::BTreeMap;

use super::ip::Fragment;

/// The longest datagram that fragments can make (RFC 791 3.1, RFC 8200 4.5).
const MAX_DATAGRAM: usize = 65_535;

/// What is done with a part that holds bytes which another part held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// IPv4: the bytes that came first stay.
    FirstWins,
    /// IPv6: the datagram is spoiled (RFC 5722 4), unless it is the same part once more (RFC 8200
    /// 4.5).
    Spoils,
}

/// What there is of a datagram.
#[derive(Debug)]
pub(super) enum Gathered {
    /// Some of its parts.
    Some(Pieces),
    /// It was given.
    All,
    /// It can never be whole: a part of it was cut by the capture or contradicts the others.
    Spoiled,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new() -> Gathered {
        Gathered::Some(Pieces::default())
    }

    /// Takes a part. Gives all that IP carried, extension headers included, once nothing is
    /// missing: one time.
    pub(super) fn take(&mut self, part: &Fragment, overlap: Overlap) -> Option<Vec<u8>> {
        let Gathered::Some(pieces) = self else {
            return None;
        };
        if pieces.take(part, overlap).is_none() {
            *self = Gathered::Spoiled;
            return None;
        }
        let whole = pieces.whole()?;
        *self = Gathered::All;
        Some(whole)
    }

    /// How many bytes it holds in memory.
    pub(super) fn held(&self) -> usize {
        match self {
            Gathered::Some(pieces) => {
                pieces.bytes + pieces.by_offset.len() * Pieces::BYTES_TO_KEEP_ONE
            }
            Gathered::All | Gathered::Spoiled => 0,
        }
    }

    /// Whether this is how the datagram begins, as far as is known and not given yet.
    pub(super) fn begins_with(&self, part: &Fragment) -> bool {
        match self {
            Gathered::Some(pieces) => {
                let first = pieces.by_offset.get(&0);
                first.is_some_and(|first| **first == *part.bytes.bytes())
            }
            Gathered::All | Gathered::Spoiled => false,
        }
    }
}

/// Parts of a datagram, none of which overlap.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    by_offset: BTreeMap<usize, Box<[u8]>>,
    /// How many bytes they have together.
    bytes: usize,
    /// Where the last byte seen ends.
    seen: usize,
    /// Where the datagram ends, once its last part has come.
    end: Option<usize>,
}

impl Pieces {
    /// What a piece costs beside its bytes: its place in the map, and its allocation. Otherwise
    /// pieces of eight bytes would hold many times what is counted.
    const BYTES_TO_KEEP_ONE: usize = 64;

    /// `None` if the datagram can never be whole.
    fn take(&mut self, part: &Fragment, overlap: Overlap) -> Option<()> {
        let bytes = part.bytes.bytes();
        let end = part.offset + bytes.len();
        self.seen = self.seen.max(end);
        if part.is_last {
            self.end.get_or_insert(end);
        }
        let contradicts = part.is_last && self.end != Some(end);
        let is_beyond = self.end.is_some_and(|end| self.seen > end);
        if part.bytes.missing() > 0 || contradicts || is_beyond || end > MAX_DATAGRAM {
            return None;
        }
        let before = self.by_offset.range(..end).next_back();
        if let (Some((at, known)), Overlap::Spoils) = (before, overlap)
            && at + known.len() > part.offset
        {
            return (*at == part.offset && known.len() == bytes.len()).then_some(());
        }
        self.fill(part.offset, bytes);
        Some(())
    }

    /// Keeps of `bytes` what was not there before.
    fn fill(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = self.by_offset.range(..=at).next_back();
            let known = before.map_or(0, |(from, known)| (from + known.len()).saturating_sub(at));
            at += known;
            bytes = bytes.get(known..).unwrap_or_default();
            let next = self.by_offset.range(at..).next();
            let free = next.map_or(usize::MAX, |(from, _)| from - at);
            let (fresh, rest) = bytes.split_at(free.min(bytes.len()));
            if !fresh.is_empty() {
                self.by_offset.insert(at, fresh.into());
                self.bytes += fresh.len();
            }
            at += fresh.len();
            bytes = rest;
        }
    }

    fn whole(&self) -> Option<Vec<u8>> {
        // No piece overlaps another or lies beyond the end: so many bytes are all of them.
        let is_whole = self.end == Some(self.bytes);
        is_whole.then(|| self.by_offset.values().flatten().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::layer::Layer;
    use crate::model::five_tuple::IpProtocol;

    /// These bytes from `offset` on; `more` says whether more follow.
    fn part(offset: usize, bytes: &[u8], more: bool) -> Fragment<'_> {
        Fragment {
            id: 1,
            protocol: IpProtocol::UDP,
            offset,
            is_last: !more,
            bytes: Layer::new(bytes, bytes.len() as u32),
        }
    }

    /// What comes of these parts: each the datagram, or nothing.
    fn all(overlap: Overlap, parts: &[Fragment]) -> Vec<Option<String>> {
        let mut gathered = Gathered::new();
        let mut take = |part| {
            let whole = gathered.take(part, overlap)?;
            Some(String::from_utf8(whole).expect("it is text"))
        };
        parts.iter().map(&mut take).collect()
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    const BOTH: [Overlap; 2] = [Overlap::FirstWins, Overlap::Spoils];

    #[test]
    fn parts_in_any_order_are_whole_with_the_last_that_comes() {
        let [a, b, c] = [
            part(0, b"abcdefgh", true),
            part(8, b"ijklmnop", true),
            part(16, b"qr", false),
        ];
        for order in [
            [a, b, c],
            [a, c, b],
            [b, a, c],
            [b, c, a],
            [c, a, b],
            [c, b, a],
        ] {
            for overlap in BOTH {
                assert_eq!(
                    all(overlap, &order),
                    [None, None, text("abcdefghijklmnopqr")]
                );
            }
        }
    }

    #[test]
    fn what_was_given_is_not_given_again() {
        let parts = [part(0, b"abcdefgh", true), part(8, b"i", false)];
        let twice = [parts[0], parts[1], parts[1], parts[0]];
        for overlap in BOTH {
            assert_eq!(all(overlap, &twice), [None, text("abcdefghi"), None, None]);
        }
    }

    #[test]
    fn a_part_that_comes_twice_does_no_harm() {
        let parts = [
            part(8, b"i", false),
            part(8, b"i", false),
            part(0, b"abcdefgh", true),
        ];
        for overlap in BOTH {
            assert_eq!(all(overlap, &parts), [None, None, text("abcdefghi")]);
        }
    }

    #[test]
    fn overlapping_bytes_are_those_that_came_first_or_spoil_the_datagram() {
        let parts = [
            part(8, b"ijklmnop", true),
            part(24, b"yz", false),
            part(0, b"ABCDEFGHIJKLMNOPQRSTUVWXY", true),
        ];
        let mixed = text("ABCDEFGHijklmnopQRSTUVWXyz");
        assert_eq!(all(Overlap::FirstWins, &parts), [None, None, mixed]);
        assert_eq!(all(Overlap::Spoils, &parts), [None, None, None]);
    }

    #[test]
    fn a_spoiled_datagram_stays_so() {
        let parts = [
            part(0, b"abcdefgh", true),
            part(4, b"efgh", true),
            part(8, b"i", false),
        ];
        assert_eq!(all(Overlap::Spoils, &parts), [None, None, None]);
    }

    #[test]
    fn parts_that_contradict_each_other_about_the_end_are_never_whole() {
        let beyond = [
            part(0, b"abcdefgh", true),
            part(16, b"q", true),
            part(8, b"i", false),
        ];
        let sooner = [
            part(8, b"ij", false),
            part(8, b"i", false),
            part(0, b"abcdefgh", true),
        ];
        let later = [
            part(8, b"i", false),
            part(8, b"ij", true),
            part(0, b"abcdefgh", true),
        ];
        for parts in [beyond, sooner, later] {
            for overlap in BOTH {
                assert_eq!(all(overlap, &parts), [None, None, None]);
            }
        }
    }

    #[test]
    fn a_part_that_the_capture_cut_is_never_filled() {
        let cut = Fragment {
            bytes: Layer::new(b"abcd", 8),
            ..part(0, b"", true)
        };
        let parts = [cut, part(8, b"i", false), part(0, b"abcdefgh", true)];
        assert_eq!(all(Overlap::FirstWins, &parts), [None, None, None]);
    }

    #[test]
    fn a_datagram_longer_than_ip_allows_is_never_whole() {
        let (most, rest) = (vec![b'a'; 65_528], [b'b'; 8]);
        let longest = [part(0, &most, true), part(65_528, &rest[..7], false)];
        assert!(all(Overlap::FirstWins, &longest)[1].is_some());
        let too_long = [part(0, &most, true), part(65_528, &rest, false)];
        assert_eq!(all(Overlap::FirstWins, &too_long), [None, None]);
    }

    #[test]
    fn nothing_is_held_of_what_is_whole_or_spoiled() {
        let mut gathered = Gathered::new();
        gathered.take(&part(0, b"abcdefgh", true), Overlap::Spoils);
        assert!(gathered.held() > 8);
        gathered.take(&part(8, b"i", false), Overlap::Spoils);
        assert_eq!(gathered.held(), 0);
        let mut gathered = Gathered::new();
        gathered.take(&part(0, b"abcdefgh", true), Overlap::Spoils);
        gathered.take(&part(0, b"abcd", true), Overlap::Spoils);
        assert_eq!(gathered.held(), 0);
    }

    proptest! {
        #[test]
        fn any_parts_of_one_text_give_that_text_or_nothing(
            text in prop::collection::vec(any::<u8>(), 1..100),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize), 0..20),
        ) {
            let mut gathered = Gathered::new();
            let whole = [(0, text.len())];
            let cuts: Vec<_> = cuts.iter().map(|(at, len)| (at.index(text.len()), *len)).collect();
            for (at, len) in cuts.into_iter().chain(whole) {
                let end = text.len().min(at + len);
                let part = part(at, &text[at..end], end < text.len());
                if let Some(given) = gathered.take(&part, Overlap::FirstWins) {
                    prop_assert_eq!(&given, &text);
                }
            }
            prop_assert!(matches!(gathered, Gathered::All));
        }
    }
}
