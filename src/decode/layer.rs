//! The part of a record that one protocol layer sees: what was captured of it, and how long it was.
//!
//! Every look at the bytes goes through here and is answered with `None` where they were cut.

use crate::model::packet::Span;

/// One layer's bytes. Captured bytes and length on the wire differ where the capture was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    bytes: &'a [u8],
    /// Where `bytes` begins in the record.
    start: usize,
    /// How long this layer was on the wire; at least as long as `bytes`.
    wire: usize,
}

impl<'a> Layer<'a> {
    /// The whole record. A wire length below the captured length is a fault of the capture.
    pub(super) fn new(bytes: &'a [u8], wire_len: u32) -> Layer<'a> {
        Layer {
            bytes,
            start: 0,
            wire: bytes.len().max(wire_len as usize),
        }
    }

    /// The captured bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The length on the wire.
    pub(super) fn wire(&self) -> usize {
        self.wire
    }

    /// How many bytes were on the wire after those captured.
    pub(super) fn missing(&self) -> u32 {
        clamped(self.wire.saturating_sub(self.bytes.len()))
    }

    /// Where the captured bytes lie, told from where the record's lie.
    pub(super) fn span(&self, record: Span) -> Span {
        record.part(self.start, self.bytes.len())
    }

    /// What comes after the first `header` bytes; empty where the capture or the layer ends sooner.
    pub(super) fn after(self, header: usize) -> Layer<'a> {
        let captured = header.min(self.bytes.len());
        Layer {
            bytes: self.bytes.get(captured..).unwrap_or_default(),
            start: self.start + captured,
            wire: self.wire.saturating_sub(header),
        }
    }

    /// This layer as its header's length field tells it. A field that claims more than there is
    /// is believed: the rest was cut from the record.
    pub(super) fn told(self, wire: usize) -> Layer<'a> {
        Layer {
            bytes: self.bytes.get(..wire).unwrap_or(self.bytes),
            wire,
            ..self
        }
    }

    /// This layer without what lies beyond `wire` bytes: padding, or a trailer.
    pub(super) fn at_most(self, wire: usize) -> Layer<'a> {
        self.told(wire.min(self.wire))
    }

    /// `N` bytes from `at` on.
    pub(super) fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    /// The byte at `at`.
    pub(super) fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The big-endian number at `at`.
    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// The big-endian number at `at`.
    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }
}

/// A length as rows hold it. A record is at most `u32::MAX` bytes long, so nothing is lost.
pub(super) fn clamped(len: usize) -> u32 {
    len.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_capture_are_missing_and_not_there() {
        let layer = Layer::new(&[1, 2, 3], 10).after(2);
        assert_eq!((layer.bytes(), layer.missing()), (&[3][..], 7));
        assert_eq!(layer.u16(0), None);
        let beyond = layer.after(4);
        assert_eq!((beyond.bytes(), beyond.wire()), (&[][..], 4));
        assert_eq!(beyond.after(usize::MAX).wire(), 0);
    }

    #[test]
    fn padding_is_cut_off_and_a_length_beyond_the_record_is_believed() {
        let layer = Layer::new(&[1, 2, 3, 4], 4);
        assert_eq!(layer.told(2).bytes(), [1, 2]);
        assert_eq!(layer.told(9).missing(), 5);
        assert_eq!(layer.at_most(9).missing(), 0);
    }
}
