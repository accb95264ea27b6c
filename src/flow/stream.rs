//! One direction of a TCP connection, put in order.
//!
//! Segments come in as captured; bytes go out in order, with the gaps said aloud. Nothing is kept of
//! a stream that arrives in order.

use std::collections::BTreeMap;

/// How many bytes may wait behind a hole: a few of the largest windows that Windows offers by
/// default, so that reordering is mended and a lost segment does not hold a stream up for long.
pub const MAX_WAITING: usize = 256 * 1024;

/// How many segments may wait behind a hole, however small they are.
pub const MAX_WAITING_SEGMENTS: usize = 256;

/// What a stream gives, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// This many bytes were on the wire but not in the capture.
    Gap(u64),
}

/// One direction's bytes in order.
#[derive(Debug, Default)]
pub struct Stream {
    /// The sequence number expected next; none before the first segment.
    next: Option<u32>,
    /// How far `next` is from where the stream began: sequence numbers wrap, this does not.
    position: u64,
    /// What few streams have: segments behind a hole. None where there are none.
    waiting: Option<Box<Waiting>>,
}

/// Segments behind a hole.
#[derive(Debug, Default)]
struct Waiting {
    /// By their distance from where the stream began.
    segments: BTreeMap<u64, Segment>,
    bytes: usize,
}

/// A segment that waits: its captured bytes, and how many more were on the wire.
#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    missing: u32,
}

impl Segment {
    /// Bytes of it on the wire.
    fn len(&self) -> usize {
        self.bytes.len() + self.missing as usize
    }
}

impl Waiting {
    fn is_too_much(&self) -> bool {
        self.bytes > MAX_WAITING || self.segments.len() > MAX_WAITING_SEGMENTS
    }

    /// Adds what of a segment has not come yet.
    fn add(&mut self, mut at: u64, mut bytes: &[u8], missing: u32) {
        while let Some((known, end)) = self.next_known(at, bytes.len()) {
            let (fresh, rest) = bytes.split_at(known.saturating_sub(at) as usize);
            self.put(at, fresh, 0);
            let skipped = (end - known.max(at)).min(rest.len() as u64);
            at = known.max(at) + skipped;
            bytes = &rest[skipped as usize..];
        }
        self.put(at, bytes, missing);
    }

    /// Where the first bytes begin and end that wait and are of a segment of this length, too.
    fn next_known(&self, at: u64, len: usize) -> Option<(u64, u64)> {
        let end = |(known, segment): (&u64, &Segment)| (*known, known + segment.bytes.len() as u64);
        let before = self.segments.range(..=at).next_back().map(end);
        let before = before.filter(|(_, end)| *end > at && len > 0);
        let is_bytes = |(known, end): &(u64, u64)| end > known;
        let within = || {
            self.segments
                .range(at..at + len as u64)
                .map(end)
                .find(is_bytes)
        };
        before.or_else(within)
    }

    /// Puts a segment where no bytes wait, or one of which nothing was captured.
    fn put(&mut self, at: u64, bytes: &[u8], missing: u32) {
        if bytes.is_empty() && missing == 0 {
            return;
        }
        let segment = self.segments.entry(at).or_default();
        let end = segment.len().max(bytes.len() + missing as usize);
        if segment.bytes.is_empty() {
            self.bytes += bytes.len();
            segment.bytes = bytes.to_vec();
        }
        segment.missing = (end - segment.bytes.len()) as u32;
    }
}

impl Stream {
    /// Says where the stream begins: the sequence number after a SYN's.
    /// Ignored once the stream has begun.
    pub fn begin(&mut self, sequence: u32) {
        self.next.get_or_insert(sequence);
    }

    /// Whether `sequence` is the next expected one, or nothing is expected yet.
    pub fn expects(&self, sequence: u32) -> bool {
        self.next.is_none_or(|next| next == sequence)
    }

    /// Takes a segment: `bytes` from `sequence` on, and `missing` bytes after them that were on
    /// the wire but not captured. Gives to `out` what is now in order.
    ///
    /// What was given before is not given again, whatever a retransmission holds. Nor does a segment
    /// behind a hole rewrite bytes that wait there; only one in order comes before them.
    pub fn segment(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        missing: u32,
        out: &mut dyn FnMut(Piece<'_>),
    ) {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        match u32::try_from(ahead) {
            Ok(0) => {
                self.give(bytes, missing, out);
                self.drain(out);
            }
            Ok(ahead) => self.wait(self.position + u64::from(ahead), bytes, missing),
            Err(_) => {
                let known = ahead.unsigned_abs() as usize;
                if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                    self.give(fresh, missing, out);
                    self.drain(out);
                } else if known < bytes.len() + missing as usize {
                    let rest = bytes.len() + missing as usize - known;
                    self.give(&[], rest as u32, out);
                    self.drain(out);
                }
            }
        }
        while self.waiting.as_ref().is_some_and(|w| w.is_too_much()) {
            self.skip_hole(out);
        }
    }

    /// Says that the receiver has everything before `acknowledged`: a hole before it was not lost
    /// on the way but missed by the capture, and waiting for it is in vain.
    pub fn acknowledge(&mut self, acknowledged: u32, out: &mut dyn FnMut(Piece<'_>)) {
        let Some(next) = self.next else { return };
        let Ok(ahead) = u32::try_from(acknowledged.wrapping_sub(next) as i32) else {
            return;
        };
        let limit = self.position + u64::from(ahead);
        while self.first_waiting().is_some_and(|first| first < limit) {
            self.skip_hole(out);
        }
    }

    /// Gives what still waits, each hole said aloud: the flow has ended.
    pub fn flush(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while self.waiting.is_some() {
            self.skip_hole(out);
        }
    }

    /// How many bytes wait behind a hole.
    pub fn waiting(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Where the first segment behind a hole begins.
    fn first_waiting(&self) -> Option<u64> {
        let (first, _) = self.waiting.as_ref()?.segments.first_key_value()?;
        Some(*first)
    }

    fn give(&mut self, bytes: &[u8], missing: u32, out: &mut dyn FnMut(Piece<'_>)) {
        if !bytes.is_empty() {
            out(Piece::Bytes(bytes));
        }
        if missing > 0 {
            out(Piece::Gap(missing.into()));
        }
        let length = bytes.len() as u64 + u64::from(missing);
        self.position += length;
        self.next = self.next.map(|next| next.wrapping_add(length as u32));
    }

    fn wait(&mut self, at: u64, bytes: &[u8], missing: u32) {
        if bytes.is_empty() && missing == 0 {
            return;
        }
        let waiting = self.waiting.get_or_insert_default();
        waiting.add(at, bytes, missing);
    }

    /// Gives the waiting segments that are in order by now.
    fn drain(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while let Some((at, segment)) = self.take_waiting() {
            let known = (self.position - at) as usize;
            let whole = segment.len();
            if known >= whole {
                continue;
            }
            let fresh = segment.bytes.get(known..).unwrap_or(&[]);
            self.give(fresh, (whole - known - fresh.len()) as u32, out);
        }
    }

    /// Takes out the first waiting segment, and where it begins, if no hole is before it.
    fn take_waiting(&mut self) -> Option<(u64, Segment)> {
        let waiting = self.waiting.as_mut()?;
        let first = waiting.segments.first_entry()?;
        if *first.key() > self.position {
            return None;
        }
        let (at, segment) = first.remove_entry();
        waiting.bytes -= segment.bytes.len();
        if waiting.segments.is_empty() {
            self.waiting = None;
        }
        Some((at, segment))
    }

    /// Gives up the hole before the first waiting segment.
    fn skip_hole(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let Some(first) = self.first_waiting() else {
            return;
        };
        let hole = first.saturating_sub(self.position);
        if hole > 0 {
            out(Piece::Gap(hole));
            self.position = first;
            self.next = self.next.map(|next| next.wrapping_add(hole as u32));
        }
        self.drain(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what a stream gives; a gap shows as `-`.
    fn into(text: &mut String) -> impl FnMut(Piece<'_>) {
        |piece| match piece {
            Piece::Bytes(bytes) => text.push_str(std::str::from_utf8(bytes).expect("ascii")),
            Piece::Gap(missing) => text.extend(std::iter::repeat_n('-', missing as usize)),
        }
    }

    /// What a stream that begins at `start` gives for these segments.
    fn text_of(start: u32, segments: &[(u32, &str)]) -> String {
        let mut stream = Stream::default();
        stream.begin(start);
        let mut text = String::new();
        let mut write = into(&mut text);
        for (sequence, bytes) in segments {
            stream.segment(*sequence, bytes.as_bytes(), 0, &mut write);
        }
        stream.flush(&mut write);
        drop(write);
        text
    }

    #[test]
    fn segments_out_of_order_are_put_in_order() {
        assert_eq!(text_of(10, &[(13, "lo"), (10, "hel"), (15, "!")]), "hello!");
    }

    #[test]
    fn a_retransmission_is_not_given_twice() {
        assert_eq!(
            text_of(10, &[(10, "hel"), (10, "hel"), (13, "lo")]),
            "hello"
        );
        assert_eq!(text_of(10, &[(10, "hel"), (10, "hello")]), "hello");
        assert_eq!(text_of(10, &[(13, "lo"), (13, "lo"), (10, "hel")]), "hello");
    }

    #[test]
    fn overlapping_data_keeps_what_came_first() {
        assert_eq!(text_of(10, &[(10, "hel"), (11, "XXlo")]), "hello");
    }

    #[test]
    fn what_waits_behind_a_hole_is_not_rewritten_by_what_overlaps_it() {
        let first = (10, "h");
        for (others, expected) in [
            (&[(11, "ello"), (11, "XXXX")][..], "hello"),
            (&[(11, "ello"), (11, "XXXX!")], "hello!"),
            (&[(11, "ello"), (12, "X")], "hello"),
            (&[(11, "ello"), (13, "XX!")], "hello!"),
            (&[(12, "l"), (11, "eXlo")], "hello"),
            (&[(12, "l"), (14, "o"), (11, "eXlX!")], "hello!"),
            (&[(11, "e"), (13, "lo"), (11, "XlXX")], "hello"),
        ] {
            let segments = [others, &[first]].concat();
            assert_eq!(text_of(10, &segments), expected, "{others:?}");
        }
    }

    #[test]
    fn what_comes_in_order_comes_before_what_waits() {
        assert_eq!(text_of(10, &[(11, "hello"), (10, "hello")]), "helloo");
    }

    #[test]
    fn bytes_that_were_not_captured_are_a_gap_behind_a_hole_too() {
        let mut stream = Stream::default();
        let mut text = String::new();
        let mut note = into(&mut text);
        stream.begin(10);
        for (sequence, bytes, missing) in [(14, "", 2), (11, "e", 1), (11, "X", 1), (14, "o", 0)] {
            stream.segment(sequence, bytes.as_bytes(), missing, &mut note);
        }
        stream.segment(10, b"h", 0, &mut note);
        stream.segment(13, b"l", 0, &mut note);
        drop(note);
        assert_eq!(text, "he-lo-");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let start = u32::MAX - 1;
        assert_eq!(text_of(start, &[(start, "hel"), (1, "lo")]), "hello");
        assert_eq!(text_of(start, &[(1, "lo"), (start, "hel")]), "hello");
    }

    #[test]
    fn a_hole_that_never_fills_is_said_aloud_at_the_end() {
        assert_eq!(text_of(10, &[(10, "he"), (14, "o")]), "he--o");
    }

    #[test]
    fn a_hole_that_the_receiver_acknowledged_is_given_up_at_once() {
        let mut stream = Stream::default();
        let mut pieces = Vec::new();
        stream.begin(10);
        stream.segment(12, b"llo", 0, &mut |_| panic!("nothing is in order yet"));
        stream.acknowledge(15, &mut |piece| {
            pieces.push(match piece {
                Piece::Bytes(bytes) => bytes.len() as u64,
                Piece::Gap(missing) => missing,
            });
        });
        assert_eq!(pieces, [2, 3]);
    }

    #[test]
    fn bytes_beyond_the_snap_length_are_a_gap() {
        let mut stream = Stream::default();
        let mut pieces = Vec::new();
        let mut note = |piece: Piece| pieces.push(format!("{piece:?}"));
        stream.segment(10, b"he", 3, &mut note);
        stream.segment(15, b"!", 0, &mut note);
        assert_eq!(pieces, ["Bytes([104, 101])", "Gap(3)", "Bytes([33])"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = Stream::default();
        stream.begin(0);
        let mut given = 0;
        for step in 1..3000u32 {
            stream.segment(step * 2000, &[7; 1000], 0, &mut |piece| {
                if let Piece::Bytes(bytes) = piece {
                    given += bytes.len();
                }
            });
            assert!(stream.waiting() <= MAX_WAITING);
        }
        assert!(given > 2_000_000);
    }
}
