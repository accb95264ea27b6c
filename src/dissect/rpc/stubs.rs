//! Stubs of calls, put together from the fragments of their PDUs.

use std::collections::BTreeMap;

use crate::dissect::rpc::pdu::Header;

/// Bytes of stubs that wait for their last fragment. A listing of 500 entries of the endpoint
/// mapper, the most that clients ask for, has about 100 kB; an activation a few.
const MAX_STUBS: usize = 256 * 1024;

/// What came so far of the stubs that are wanted, by call.
#[derive(Default)]
pub struct Stubs {
    begun: BTreeMap<u32, Vec<u8>>,
}

impl Stubs {
    /// Whether the next fragment of this PDU's call continues, or could begin, a stub.
    pub fn may_take(&self, header: &Header) -> bool {
        header.has(Header::FIRST) || self.begun.contains_key(&header.call_id)
    }

    /// Takes a fragment; the whole stub if it was the last. `is_wanted` judges a stub by its first
    /// fragment. One that no longer fits the bound is given up.
    pub fn take(
        &mut self,
        header: &Header,
        pdu: &[u8],
        is_wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        if pdu.len() != usize::from(header.len) {
            return None;
        }
        let begun = self.begun.remove(&header.call_id);
        let mut stub = match header.has(Header::FIRST) {
            true => Vec::new(),
            false => begun?,
        };
        let fragment = header.stub(pdu)?;
        if stub.is_empty() && !is_wanted(fragment) {
            return None;
        }
        stub.extend_from_slice(fragment);
        if header.has(Header::LAST) {
            return Some(stub);
        }
        if self.len() + stub.len() <= MAX_STUBS {
            self.begun.insert(header.call_id, stub);
        }
        None
    }

    /// Gives up everything that was begun.
    pub fn clear(&mut self) {
        self.begun.clear();
    }

    fn len(&self) -> usize {
        self.begun.values().map(Vec::len).sum()
    }

    /// Whether it keeps no more than it may.
    #[cfg(test)]
    pub fn is_within_bounds(&self) -> bool {
        self.len() <= MAX_STUBS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::rpc::samples::*;

    fn take(stubs: &mut Stubs, said: &Said) -> Option<Vec<u8>> {
        let header = Header::read(&said.bytes).expect("a header");
        stubs.take(&header, &said.bytes, |_| true)
    }

    #[test]
    fn a_stub_is_whole_with_its_last_fragment() {
        let mut stubs = Stubs::default();
        assert_eq!(
            take(&mut stubs, &response(1, 0, b"whole")).as_deref(),
            Some(&b"whole"[..])
        );
        assert_eq!(
            take(&mut stubs, &fragment(2, 0, b"in ", Place::First)),
            None
        );
        assert_eq!(
            take(&mut stubs, &fragment(3, 0, b"other", Place::First)),
            None
        );
        let last = fragment(2, 0, b"two", Place::Last);
        assert_eq!(take(&mut stubs, &last).as_deref(), Some(&b"in two"[..]));
        assert_eq!(
            take(&mut stubs, &last),
            None,
            "it has no beginning any more"
        );
    }

    #[test]
    fn a_stub_that_is_not_wanted_or_cut_is_not_begun() {
        let mut stubs = Stubs::default();
        let said = fragment(1, 0, b"begun", Place::First);
        let header = Header::read(&said.bytes).expect("a header");
        assert_eq!(stubs.take(&header, &said.bytes, |_| false), None);
        assert_eq!(stubs.take(&header, &said.bytes[..26], |_| true), None);
        assert_eq!(take(&mut stubs, &fragment(1, 0, b"end", Place::Last)), None);
    }

    #[test]
    fn what_no_longer_fits_the_bound_is_given_up() {
        let mut stubs = Stubs::default();
        let long = vec![0; 60_000];
        for call_id in 0..10 {
            take(&mut stubs, &fragment(call_id, 0, &long, Place::First));
            assert!(stubs.is_within_bounds());
        }
        assert!(take(&mut stubs, &fragment(0, 0, b"", Place::Last)).is_some());
        assert!(take(&mut stubs, &fragment(9, 0, b"", Place::Last)).is_none());
    }
}
