//! Flows that wait for what may still name them, first come, first gone.

use std::collections::VecDeque;

use crate::flow::ended::EndedFlow;
use crate::model::evidence::Evidence;

/// Flows in one piece. A queue of hundreds of thousands in one would be moved whole as it grows, and
/// be there twice meanwhile.
const PIECE: usize = 256;

/// A queue of flows, in pieces.
#[derive(Default)]
pub(super) struct Waiting {
    /// All but the first and the last are full; none is empty.
    pieces: VecDeque<VecDeque<EndedFlow>>,
    len: usize,
    /// What the claims of all of them weigh.
    claims: usize,
}

impl Waiting {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the claims of all of them weigh, as [`Claim::weight`] has it.
    ///
    /// [`Claim::weight`]: crate::model::evidence::Claim::weight
    pub fn claims(&self) -> usize {
        self.claims
    }

    /// Adds one behind the others.
    pub fn push(&mut self, flow: EndedFlow) {
        self.len += 1;
        self.claims += weight(&flow);
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.push_back(flow),
            _ => {
                let mut piece = VecDeque::with_capacity(PIECE);
                piece.push_back(flow);
                self.pieces.push_back(piece);
            }
        }
    }

    /// Takes out the first.
    pub fn pop(&mut self) -> Option<EndedFlow> {
        let piece = self.pieces.front_mut()?;
        let flow = piece.pop_front()?;
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.len -= 1;
        self.claims -= weight(&flow);
        Some(flow)
    }
}

/// What the claims of a flow weigh.
fn weight(flow: &EndedFlow) -> usize {
    let weight = |known: &Evidence| known.claim.weight();
    flow.evidence.iter().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::samples;

    #[test]
    fn flows_leave_as_they_came_also_where_some_leave_before_others_come() {
        let mut waiting = Waiting::default();
        let (mut came, mut gone) = (0, 0);
        for _ in 0..4 * PIECE {
            for _ in 0..3 {
                let mut flow = samples::flow(&[]);
                flow.first_frame.number = came;
                waiting.push(flow);
                came += 1;
            }
            let first = waiting.pop().expect("some wait");
            assert_eq!(first.first_frame.number, gone);
            gone += 1;
            assert_eq!(waiting.len() as u64, came - gone);
        }
        while let Some(flow) = waiting.pop() {
            assert_eq!(flow.first_frame.number, gone);
            gone += 1;
        }
        assert_eq!((gone, waiting.len(), waiting.claims()), (came, 0, 0));
        assert!(waiting.pieces.is_empty());
    }
}
