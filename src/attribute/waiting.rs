//! Flows that wait for what may still name them, first come, first gone.

use std::collections::VecDeque;

use crate::flow::ended::EndedFlow;
use crate::model::evidence::Evidence;

/// A queue of flows.
#[derive(Default)]
pub(super) struct Waiting {
    flows: VecDeque<Box<EndedFlow>>,
    /// What the claims of all of them weigh.
    claims: usize,
}

impl Waiting {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// What the claims of all of them weigh, as [`Claim::weight`] has it.
    ///
    /// [`Claim::weight`]: crate::model::evidence::Claim::weight
    pub fn claims(&self) -> usize {
        self.claims
    }

    /// Adds one behind the others.
    pub fn push(&mut self, flow: Box<EndedFlow>) {
        self.claims += weight(&flow);
        self.flows.push_back(flow);
    }

    /// Takes out the first.
    pub fn pop(&mut self) -> Option<Box<EndedFlow>> {
        let flow = self.flows.pop_front()?;
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
    use crate::dissect::smb;
    use crate::model::evidence::Claim;

    #[test]
    fn flows_leave_as_they_came_and_take_the_weight_of_their_claims_with_them() {
        let mut waiting = Waiting::default();
        let (mut came, mut gone) = (0, 0);
        for _ in 0..100 {
            for _ in 0..3 {
                let mut flow = samples::flow(&[Claim::Speaks(smb::PROTOCOL)]);
                flow.first_frame.number = came;
                waiting.push(Box::new(flow));
                came += 1;
            }
            let first = waiting.pop().expect("some wait");
            assert_eq!(first.first_frame.number, gone);
            gone += 1;
            assert_eq!(waiting.len() as u64, came - gone);
            assert_eq!(waiting.claims() as u64, came - gone);
        }
        while let Some(flow) = waiting.pop() {
            assert_eq!(flow.first_frame.number, gone);
            gone += 1;
        }
        assert_eq!((gone, waiting.len(), waiting.claims()), (came, 0, 0));
    }
}
