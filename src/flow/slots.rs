//! The flows themselves, each in a slot that it keeps while it goes on.

use crate::flow::open::OpenFlow;

/// Slots in one piece: pieces are added one by one, so that nothing is moved when there are more
/// flows, and no memory is left behind.
const PIECE: usize = 128;

/// Flows by slot.
#[derive(Default)]
pub(super) struct Slots {
    pieces: Vec<Box<[Option<OpenFlow>]>>,
    /// Slots that were used before.
    free: Vec<u32>,
    /// The first slot that was never used.
    fresh: u32,
}

impl Slots {
    /// The flow in this slot, if it is in use.
    pub fn get(&self, slot: u32) -> Option<&OpenFlow> {
        let (piece, place) = split(slot);
        self.pieces.get(piece)?.get(place)?.as_ref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut OpenFlow> {
        let (piece, place) = split(slot);
        self.pieces.get_mut(piece)?.get_mut(place)?.as_mut()
    }

    /// Puts a flow into a free slot, and says which.
    pub fn put(&mut self, flow: OpenFlow) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.fresh += 1;
            self.fresh - 1
        });
        let (piece, place) = split(slot);
        if piece == self.pieces.len() {
            self.pieces.push((0..PIECE).map(|_| None).collect());
        }
        self.pieces[piece][place] = Some(flow);
        slot
    }

    /// Takes the flow out of a slot, if it is in use.
    pub fn take(&mut self, slot: u32) -> Option<OpenFlow> {
        let (piece, place) = split(slot);
        let flow = self.pieces.get_mut(piece)?.get_mut(place)?.take()?;
        self.free.push(slot);
        Some(flow)
    }

    /// How many bytes of memory they take, used or not.
    pub fn bytes(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<Option<OpenFlow>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// The slots that are in use.
    pub fn used(&self) -> Vec<u32> {
        (0..self.fresh)
            .filter(|slot| self.get(*slot).is_some())
            .collect()
    }
}

fn split(slot: u32) -> (usize, usize) {
    (slot as usize / PIECE, slot as usize % PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::FlowKey;
    use crate::flow::table::tests::packet;

    #[test]
    fn a_slot_is_used_again_and_pieces_are_added_as_they_are_needed() {
        let mut slots = Slots::default();
        let packet = packet();
        let (key, way) = FlowKey::of(&packet.tuple);
        let count = 2 * PIECE as u32 + 1;
        for serial in 0..count {
            assert_eq!(
                slots.put(OpenFlow::begin(key, way, serial, &packet)),
                serial
            );
        }
        assert_eq!(slots.pieces.len(), 3);
        assert_eq!(slots.take(7).map(|flow| flow.serial()), Some(7));
        assert!(slots.get(7).is_none() && slots.take(7).is_none());
        assert_eq!(slots.used().len() as u32, count - 1);
        assert_eq!(slots.put(OpenFlow::begin(key, way, 99, &packet)), 7);
        assert!(slots.get(count).is_none() && slots.get(u32::MAX).is_none());
    }
}
