//! The life of a TCP connection, as far as a listener on the wire can tell (RFC 9293 3.3.2).

use std::time::Duration;

use crate::flow::ended::State;
use crate::flow::stopwatch::Stopwatch;
use crate::model::evidence::Direction;
use crate::model::packet::TcpHeader;
use crate::model::tcp_options::TcpOptions;
use crate::model::time::Timestamp;

/// What was seen of a connection's beginning and end: what every segment needs of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpLife {
    /// Who sent the SYN that opened it.
    opener: Option<Direction>,
    /// That SYN's sequence number.
    sequence: u32,
    /// Whether the SYN was answered with SYN and ACK.
    answered: bool,
    /// Whether the ACK of that answer is still to come, to end the handshake's time.
    timing: bool,
    /// Which directions have said FIN.
    finished: [bool; 2],
    reset: bool,
    /// Whether anything but a SYN was sent by either side.
    went_on: bool,
}

/// What a connection's opening tells beside: segments after it do not need it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    /// Runs from the SYN until its answer is acknowledged, as `handshake` says.
    watch: Stopwatch,
    handshake: Handshake,
    /// The sequence number with which each direction's bytes begin, where its SYN was seen.
    begins: [u32; 2],
    was_seen: [bool; 2],
    answer: Option<TcpOptions>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Handshake {
    #[default]
    Unseen,
    Asked,
    Took,
}

impl Opening {
    /// From SYN to the ACK that answers the SYN-ACK.
    pub fn handshake(&self) -> Option<Duration> {
        matches!(self.handshake, Handshake::Took).then(|| self.watch.elapsed())
    }

    /// The sequence number with which the bytes of each direction begin, where that was seen.
    pub fn begins(&self) -> [Option<u32>; 2] {
        let begin = |way: usize| self.was_seen[way].then_some(self.begins[way]);
        [begin(0), begin(1)]
    }

    /// The options of the first SYN-ACK.
    pub fn answer(&self) -> Option<TcpOptions> {
        self.answer
    }

    fn begin(&mut self, way: Direction, sequence: u32) {
        if !self.was_seen[way.index()] {
            self.was_seen[way.index()] = true;
            self.begins[way.index()] = sequence;
        }
    }

    fn end_handshake(&mut self, now: Timestamp) {
        if matches!(self.handshake, Handshake::Asked) {
            self.watch.stop(now);
            self.handshake = Handshake::Took;
        }
    }
}

impl TcpLife {
    /// Whether this segment cannot belong to the connection so far and opens another: a SYN with
    /// another sequence number than the one that opened this, or after its end.
    pub fn is_over_with(&self, way: Direction, tcp: &TcpHeader) -> bool {
        if !tcp.has(TcpHeader::SYN) || tcp.has(TcpHeader::ACK) {
            return false;
        }
        match self.opener {
            Some(opener) if opener == way => {
                self.sequence != tcp.sequence || self.reset || self.finished[way.index()]
            }
            // Both sides opening at once is one connection (RFC 9293 3.5).
            Some(_) => self.answered || self.went_on,
            None => self.went_on,
        }
    }

    /// Takes a segment's flags into account.
    pub fn segment(
        &mut self,
        way: Direction,
        tcp: &TcpHeader,
        now: Timestamp,
        opening: &mut Opening,
    ) {
        match tcp.has(TcpHeader::SYN) {
            true => self.synchronise(way, tcp, now, opening),
            false => {
                self.went_on = true;
                let ends = self.timing && self.answered && tcp.has(TcpHeader::ACK);
                if ends && self.opener == Some(way) {
                    self.timing = false;
                    opening.end_handshake(now);
                }
            }
        }
        self.finished[way.index()] |= tcp.has(TcpHeader::FIN);
        self.reset |= tcp.has(TcpHeader::RST);
    }

    fn synchronise(
        &mut self,
        way: Direction,
        tcp: &TcpHeader,
        now: Timestamp,
        opening: &mut Opening,
    ) {
        opening.begin(way, tcp.sequence.wrapping_add(1));
        let is_answer = tcp.has(TcpHeader::ACK);
        self.answered |= is_answer;
        if is_answer && self.opener != Some(way) {
            opening.answer = opening.answer.or(tcp.answer);
        }
        if self.opener.is_some() {
            return;
        }
        if is_answer {
            // The SYN before it was not captured: its sender and number still follow.
            opening.begin(way.reversed(), tcp.acknowledgement);
            self.opener = Some(way.reversed());
            self.sequence = tcp.acknowledgement.wrapping_sub(1);
        } else {
            self.opener = Some(way);
            self.sequence = tcp.sequence;
            self.timing = true;
            opening.handshake = Handshake::Asked;
            opening.watch = Stopwatch::start(now);
        }
    }

    /// Who asked, if the opening was seen.
    pub fn client(&self) -> Option<Direction> {
        self.opener
    }

    /// Whether the SYN was never answered.
    pub fn is_unanswered(&self) -> bool {
        self.opener.is_some() && !self.answered && !self.went_on && !self.reset
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
            answer: None,
        }
    }

    fn life(segments: &[(Direction, u8, u32, u32)]) -> TcpLife {
        life_and_opening(segments).0
    }

    fn life_and_opening(segments: &[(Direction, u8, u32, u32)]) -> (TcpLife, Opening) {
        let (mut life, mut opening) = (TcpLife::default(), Opening::default());
        for (at, (way, flags, sequence, acknowledgement)) in segments.iter().enumerate() {
            let now = Timestamp::from_nanos(at as i128 * 1000);
            let header = header(*flags, *sequence, *acknowledgement);
            life.segment(*way, &header, now, &mut opening);
        }
        (life, opening)
    }

    const SYN: u8 = TcpHeader::SYN;
    const ACK: u8 = TcpHeader::ACK;
    const FIN: u8 = TcpHeader::FIN;
    const RST: u8 = TcpHeader::RST;

    #[test]
    fn a_handshake_is_timed_from_syn_to_the_last_ack() {
        let (life, opening) = life_and_opening(&[
            (Forward, SYN, 10, 0),
            (Reverse, SYN | ACK, 90, 11),
            (Forward, ACK, 11, 91),
            (Forward, ACK, 11, 91),
        ]);
        assert_eq!(opening.handshake(), Some(Duration::from_micros(2)));
        assert_eq!(opening.begins(), [Some(11), Some(91)]);
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
    fn the_answer_to_a_syn_that_was_not_captured_tells_where_both_sides_begin() {
        let (_, opening) = life_and_opening(&[(Forward, SYN | ACK, 90, 11)]);
        assert_eq!(opening.begins(), [Some(91), Some(11)]);
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
