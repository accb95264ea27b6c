//! What a flow's payload is put through: probes until one knows it, then its dissector.

use crate::dissect::{self, Dissector, Input, Opening, Progress, Recognised};
use crate::flow::stream::{Piece, Stream};
use crate::model::evidence::{Claim, Direction};
use crate::model::packet::TcpHeader;
use crate::model::protocol::Protocol;

/// How many first bytes of a direction are kept while the probes want more. Greetings, handshakes
/// and RPC headers end well before.
const OPENING_BYTES: usize = 2048;

/// How many pieces of payload the probes look at before the flow is left alone. A flow whose start
/// was not captured may begin in the middle of a long message: each of its segments is tried.
const MAX_TRIES: u32 = 12;

/// The same for datagrams, each of which is whole.
const MAX_DATAGRAMS: u32 = 6;

/// Follows the payload of one flow. Dropped as soon as nothing more is to be learned.
pub struct Talk {
    input: Input,
    /// The ports of the flow's first packet: of its sender, and of the other side.
    ports: (u16, u16),
    /// Whether the first packet opened the flow: a SYN, or any datagram.
    from_start: bool,
    streams: [Stream; 2],
    /// The sequence number after the last byte of each direction that has said FIN.
    ends: [Option<u32>; 2],
    stage: Stage,
}

enum Stage {
    /// No probe has said yes.
    Probing(Heard),
    /// A dissector follows.
    Following(Box<dyn Dissector>),
    /// Nothing more is to be learned.
    Done,
    /// The flow is not what a probe took it for.
    Mistaken,
}

/// What was heard so far.
#[derive(Default)]
struct Heard {
    /// What the probes want more of; most know at once, and nothing is kept.
    kept: Option<Box<Kept>>,
    tries: u32,
    /// Which sides have been heard at all.
    sides: [bool; 2],
    /// Some of the stream was not captured: what follows may begin anywhere.
    lost: bool,
}

/// The first bytes of each side, kept while the probes want more.
#[derive(Default)]
struct Kept {
    first: [Vec<u8>; 2],
    /// In which order they came: direction and number of bytes.
    order: Vec<(Direction, usize)>,
}

/// Whether anything more is to be learned from a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Later payload is wanted.
    More,
    /// No payload is wanted any more.
    Over,
    /// No payload is wanted any more, and what the flow was said to speak was wrong.
    Mistaken,
}

impl Talk {
    /// For a flow whose first packet was sent between `ports`; `from_start` if that packet opened it.
    pub fn new(input: Input, ports: (u16, u16), from_start: bool) -> Talk {
        Talk {
            input,
            ports,
            from_start,
            streams: Default::default(),
            ends: [None; 2],
            stage: Stage::Probing(Heard::default()),
        }
    }

    /// Says with which sequence numbers the bytes of each direction begin, where that is known.
    pub fn begin(&mut self, sequences: [Option<u32>; 2]) {
        for (stream, sequence) in self.streams.iter_mut().zip(sequences) {
            if let Some(sequence) = sequence {
                stream.begin(sequence);
            }
        }
    }

    /// Takes the payload of a datagram; `cut` if some of it was not captured.
    pub fn datagram(
        &mut self,
        from: Direction,
        payload: &[u8],
        found: &mut Vec<Claim>,
    ) -> Interest {
        if !payload.is_empty() {
            self.stage.bytes(from, payload, &self.context(), found);
        }
        self.stage.interest()
    }

    /// Takes a TCP segment: its payload, and how much of it was not captured.
    pub fn segment(
        &mut self,
        from: Direction,
        tcp: &TcpHeader,
        payload: &[u8],
        missing: u32,
        found: &mut Vec<Claim>,
    ) -> Interest {
        let context = self.context();
        let Talk {
            streams,
            stage,
            ends,
            ..
        } = self;
        let mut take = |from: Direction, piece: Piece<'_>| match piece {
            Piece::Bytes(bytes) => stage.bytes(from, bytes, &context, found),
            Piece::Gap(missing) => stage.gap(from, missing),
        };
        if tcp.has(TcpHeader::ACK) {
            let back = from.reversed();
            streams[back.index()].acknowledge(tcp.acknowledgement, &mut |p| take(back, p));
        }
        let stream = &mut streams[from.index()];
        if tcp.has(TcpHeader::SYN) {
            stream.begin(tcp.sequence.wrapping_add(1));
        }
        let sequence = tcp
            .sequence
            .wrapping_add(u32::from(tcp.has(TcpHeader::SYN)));
        if tcp.has(TcpHeader::FIN) {
            let length = payload.len() as u32;
            ends[from.index()] = Some(sequence.wrapping_add(length).wrapping_add(missing));
        }
        if !payload.is_empty() || missing > 0 {
            stream.segment(sequence, payload, missing, &mut |p| take(from, p));
        }
        self.stage.interest()
    }

    /// Whether all bytes of a connection that both sides have closed were taken.
    pub fn has_said_all(&self) -> bool {
        (self.streams.iter().zip(self.ends))
            .all(|(stream, end)| end.is_some_and(|end| stream.expects(end)))
            && self.waiting() == 0
    }

    /// Bytes that it keeps, about: behind holes of its streams, of the opening while probes want
    /// more, in its dissector, and for itself.
    pub fn kept(&self) -> usize {
        /// What following any flow takes.
        const ITSELF: usize = 512;
        let stage = match &self.stage {
            Stage::Probing(heard) => heard.kept(),
            Stage::Following(dissector) => dissector.kept(),
            Stage::Done | Stage::Mistaken => 0,
        };
        ITSELF + self.waiting() + stage
    }

    /// Whether no probe has known its payload yet.
    pub fn is_probing(&self) -> bool {
        matches!(self.stage, Stage::Probing(_))
    }

    /// How many bytes wait behind holes of its streams.
    pub fn waiting(&self) -> usize {
        self.streams.iter().map(Stream::waiting).sum()
    }

    /// Gives up the holes: what waits behind them is taken now.
    pub fn give_up_holes(&mut self, found: &mut Vec<Claim>) {
        let context = self.context();
        for from in [Direction::Forward, Direction::Reverse] {
            let stage = &mut self.stage;
            self.streams[from.index()].flush(&mut |piece| match piece {
                Piece::Bytes(bytes) => stage.bytes(from, bytes, &context, found),
                Piece::Gap(missing) => stage.gap(from, missing),
            });
        }
    }

    /// The flow has ended: what still waits is given, and the last claims are made.
    pub fn finish(mut self, found: &mut Vec<Claim>) {
        self.give_up_holes(found);
        if let Stage::Following(mut dissector) = self.stage {
            dissector.finish(found);
        }
    }

    fn context(&self) -> Context {
        Context {
            input: self.input,
            ports: self.ports,
            from_start: self.from_start,
        }
    }
}

/// What the probes are told beside the bytes.
struct Context {
    input: Input,
    ports: (u16, u16),
    from_start: bool,
}

impl Stage {
    fn interest(&self) -> Interest {
        match self {
            Stage::Done => Interest::Over,
            Stage::Mistaken => Interest::Mistaken,
            _ => Interest::More,
        }
    }

    fn bytes(&mut self, from: Direction, bytes: &[u8], context: &Context, found: &mut Vec<Claim>) {
        match self {
            Stage::Probing(heard) => match heard.probe(from, bytes, context) {
                Verdict::Known(protocol, client, next) => {
                    found.push(Claim::Speaks(protocol));
                    found.extend(client.map(Claim::ClientIs));
                    let heard = std::mem::take(heard);
                    *self = next;
                    heard.replay(from, bytes, |from, bytes| self.feed(from, bytes, found));
                }
                Verdict::Undecided => {}
                Verdict::GiveUp => *self = Stage::Done,
            },
            Stage::Following(_) => self.feed(from, bytes, found),
            Stage::Done | Stage::Mistaken => {}
        }
    }

    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) {
        let Stage::Following(dissector) = self else {
            return;
        };
        match dissector.feed(from, bytes, found) {
            Progress::More => {}
            Progress::Done => {
                dissector.finish(found);
                *self = Stage::Done;
            }
            Progress::NotMine => *self = Stage::Mistaken,
        }
    }

    fn gap(&mut self, from: Direction, missing: u64) {
        match self {
            Stage::Probing(heard) => {
                heard.kept = None;
                heard.lost = true;
            }
            Stage::Following(dissector) => dissector.gap(from, Some(missing)),
            Stage::Done | Stage::Mistaken => {}
        }
    }
}

enum Verdict {
    Known(Protocol, Option<Direction>, Stage),
    Undecided,
    GiveUp,
}

impl Heard {
    /// Asks the probes about what was heard before with `bytes` added.
    fn probe(&mut self, from: Direction, bytes: &[u8], context: &Context) -> Verdict {
        self.tries += 1;
        self.sides[from.index()] = true;
        let fresh = &bytes[..bytes.len().min(OPENING_BYTES)];
        let has_kept = |kept: &Kept| kept.has(from);
        if context.input == Input::Datagram && self.kept.as_deref().is_some_and(has_kept) {
            // A datagram is whole: the later one is what the other side answers.
            self.kept = None;
        }
        let waits = self.kept.as_deref().is_some_and(has_kept);
        if waits && let Some(kept) = &mut self.kept {
            kept.first[from.index()].extend_from_slice(fresh);
        }
        let first = |side: usize| match &self.kept {
            Some(kept) => &kept.first[side][..],
            None => &[],
        };
        let mut sides = [first(0), first(1)];
        if !waits {
            sides[from.index()] = fresh;
        }
        let opening = Opening {
            forward: sides[0],
            reverse: sides[1],
            ports: context.ports,
            from_start: context.from_start && !self.lost,
        };
        let opening_is_known = context.input == Input::Stream && opening.from_start;
        match dissect::recognise(context.input, &opening) {
            Recognised::As(definition, client) => {
                let next = match definition.follow {
                    Some(follow) => Stage::Following(follow(&opening)),
                    None => Stage::Done,
                };
                if waits && let Some(kept) = &mut self.kept {
                    // The replay adds `bytes` itself.
                    let len = kept.first[from.index()].len() - fresh.len();
                    kept.first[from.index()].truncate(len);
                }
                return Verdict::Known(definition.protocol, client, next);
            }
            Recognised::NotYet => {
                let kept = self.kept.get_or_insert_default();
                if !waits {
                    kept.first[from.index()].extend_from_slice(fresh);
                }
                kept.order.push((from, fresh.len()));
                if kept.first[from.index()].len() > OPENING_BYTES || fresh.len() < bytes.len() {
                    return Verdict::GiveUp;
                }
            }
            // It led nowhere: the next bytes are looked at by themselves.
            Recognised::Unknown => self.kept = None,
        }
        let max_tries = match context.input {
            Input::Stream => MAX_TRIES,
            Input::Datagram => MAX_DATAGRAMS,
        };
        // Nobody knows how this stream began, on either side: nobody will know how it goes on.
        let is_strange = opening_is_known && self.kept.is_none() && self.sides == [true, true];
        match is_strange || self.tries >= max_tries {
            true => Verdict::GiveUp,
            false => Verdict::Undecided,
        }
    }

    /// How many bytes are kept.
    fn kept(&self) -> usize {
        let kept = |kept: &Kept| size_of::<Kept>() + kept.first.iter().map(Vec::len).sum::<usize>();
        self.kept.as_deref().map_or(0, kept)
    }

    /// Gives what was kept in the order in which it came, and `bytes` last.
    fn replay(&self, from: Direction, bytes: &[u8], mut feed: impl FnMut(Direction, &[u8])) {
        if let Some(kept) = &self.kept {
            let mut left = [&kept.first[0][..], &kept.first[1][..]];
            for &(direction, len) in &kept.order {
                let side = &mut left[direction.index()];
                let (next, rest) = side.split_at(len);
                *side = rest;
                feed(direction, next);
            }
        }
        feed(from, bytes);
    }
}

impl Kept {
    /// Whether anything of this side is kept.
    fn has(&self, side: Direction) -> bool {
        self.order.iter().any(|(direction, _)| *direction == side)
    }
}
