//! The life of a TCP connection, as far as a listener on the wire can tell (RFC 9293 3.3.2).

use std::time::Duration;

use crate::flow::ended::State;
use crate::model::evidence::Direction;
use crate::model::packet::TcpHeader;
use crate::model::time::Timestamp;

/// What was seen of a connection's beginning and end.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpLife {
    /// Who sent the SYN that opened it, and its sequence number.
    opened: Option<(Direction, u32)>,
    /// When that SYN was sent.
    asked: Option<Timestamp>,
    /// Whether the SYN was answered with SYN and ACK.
    answered: bool,
    /// From SYN to the ACK of the SYN-ACK.
    handshake: Option<Duration>,
    /// Which directions have said FIN.
    finished: [bool; 2],
    reset: bool,
    /// Whether anything but a SYN was sent by either side.
    went_on: bool,
}

impl TcpLife {
    /// Whether this segment cannot belong to the connection so far and opens another: a SYN with
    /// another sequence number than the one that opened this, or after its end.
    pub fn is_over_with(&self, way: Direction, tcp: &TcpHeader) -> bool {
        if !tcp.has(TcpHeader::SYN) || tcp.has(TcpHeader::ACK) {
            return false;
        }
        match self.opened {
            Some((opener, sequence)) if opener == way => {
                sequence != tcp.sequence || self.reset || self.finished[way.index()]
            }
            // Both sides opening at once is one connection (RFC 9293 3.5).
            Some(_) => self.answered || self.went_on,
            None => self.went_on,
        }
    }

    /// Takes a segment's flags into account.
    pub fn segment(&mut self, way: Direction, tcp: &TcpHeader, now: Timestamp) {
        match (tcp.has(TcpHeader::SYN), tcp.has(TcpHeader::ACK)) {
            (true, false) => {
                if self.opened.is_none() {
                    self.opened = Some((way, tcp.sequence));
                    self.asked = Some(now);
                }
            }
            (true, true) => {
                self.answered = true;
                // The SYN before it was not captured: its sender and number still follow.
                let first = tcp.acknowledgement.wrapping_sub(1);
                self.opened.get_or_insert((way.reversed(), first));
            }
            (false, acknowledges) => {
                self.went_on = true;
                if acknowledges && self.answered && self.is_client(way) {
                    let asked = self.asked.take();
                    self.handshake = self.handshake.or(asked.map(|asked| now.since(asked)));
                }
            }
        }
        self.finished[way.index()] |= tcp.has(TcpHeader::FIN);
        self.reset |= tcp.has(TcpHeader::RST);
    }

    /// Who asked, if the opening was seen.
    pub fn client(&self) -> Option<Direction> {
        self.opened.map(|(client, _)| client)
    }

    /// From SYN to the ACK that answers the SYN-ACK.
    pub fn handshake(&self) -> Option<Duration> {
        self.handshake
    }

    /// Whether the SYN was never answered.
    pub fn is_unanswered(&self) -> bool {
        self.opened.is_some() && !self.answered && !self.went_on && !self.reset
    }

    /// How it ended by its own words, if it has: nothing but stragglers follows.
    pub fn ended(&self) -> Option<State> {
        if self.reset {
            Some(State::Reset)
        } else {
            (self.finished == [true, true]).then_some(State::Closed)
        }
    }

    /// How it stands after it fell silent.
    pub fn after_silence(&self) -> State {
        match self.ended() {
            Some(state) => state,
            None if self.finished != [false, false] => State::Closed,
            None if self.is_unanswered() => State::Unanswered,
            None => State::Idle,
        }
    }

    fn is_client(&self, way: Direction) -> bool {
        self.client() == Some(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Forward, Reverse};

    fn header(flags: u8, sequence: u32, acknowledgement: u32) -> TcpHeader {
        TcpHeader {
            sequence,
            acknowledgement,
            flags,
        }
    }

    fn life(segments: &[(Direction, u8, u32, u32)]) -> TcpLife {
        let mut life = TcpLife::default();
        for (at, (way, flags, sequence, acknowledgement)) in segments.iter().enumerate() {
            let now = Timestamp::from_nanos(at as i128 * 1000);
            life.segment(*way, &header(*flags, *sequence, *acknowledgement), now);
        }
        life
    }

    const SYN: u8 = TcpHeader::SYN;
    const ACK: u8 = TcpHeader::ACK;
    const FIN: u8 = TcpHeader::FIN;
    const RST: u8 = TcpHeader::RST;

    #[test]
    fn a_handshake_is_timed_from_syn_to_the_last_ack() {
        let life = life(&[
            (Forward, SYN, 10, 0),
            (Reverse, SYN | ACK, 90, 11),
            (Forward, ACK, 11, 91),
            (Forward, ACK, 11, 91),
        ]);
        assert_eq!(life.handshake(), Some(Duration::from_micros(2)));
        assert_eq!(life.client(), Some(Forward));
        assert_eq!(life.after_silence(), State::Idle);
    }

    #[test]
    fn the_answer_to_a_syn_that_was_not_captured_tells_the_client() {
        assert_eq!(
            life(&[(Forward, SYN | ACK, 90, 11)]).client(),
            Some(Reverse)
        );
    }

    #[test]
    fn a_syn_sent_again_is_the_same_connection_and_another_syn_is_not() {
        let life = life(&[(Forward, SYN, 10, 0)]);
        assert!(!life.is_over_with(Forward, &header(SYN, 10, 0)));
        assert!(life.is_over_with(Forward, &header(SYN, 99, 0)));
    }

    #[test]
    fn a_syn_that_was_captured_after_its_answer_belongs_to_it() {
        let life = life(&[(Forward, SYN | ACK, 90, 11)]);
        assert!(!life.is_over_with(Reverse, &header(SYN, 10, 0)));
    }

    #[test]
    fn a_syn_after_the_end_opens_another_connection() {
        let reset = life(&[(Forward, SYN, 10, 0), (Reverse, RST | ACK, 0, 11)]);
        assert!(reset.is_over_with(Forward, &header(SYN, 10, 0)));
        assert_eq!(reset.ended(), Some(State::Reset));
        let midstream = life(&[(Forward, ACK, 10, 0)]);
        assert!(midstream.is_over_with(Forward, &header(SYN, 10, 0)));
    }

    #[test]
    fn a_connection_is_closed_by_both_or_by_one_and_silence() {
        let half = life(&[(Forward, FIN | ACK, 1, 1)]);
        assert_eq!(half.ended(), None);
        assert_eq!(half.after_silence(), State::Closed);
        let both = life(&[(Forward, FIN | ACK, 1, 1), (Reverse, FIN | ACK, 1, 2)]);
        assert_eq!(both.ended(), Some(State::Closed));
    }

    #[test]
    fn a_syn_without_answer_is_unanswered() {
        assert_eq!(
            life(&[(Forward, SYN, 1, 0)]).after_silence(),
            State::Unanswered
        );
    }
}
