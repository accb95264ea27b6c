//! ONC RPC (RFC 5531), which carries NFS: by its calls, and the programs that are called.

use crate::dissect::cutter::Cutter;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, filled,
    probe_datagram, probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// ONC RPC (RFC 5531).
pub const PROTOCOL: Protocol = Protocol::new(&["onc-rpc", "ONC RPC"]);

/// Number and version of a program that was called (RFC 5531 8.1).
const PROGRAM: Field = Field::new(&["onc-program", "ONC RPC program called"]);

/// ONC RPC over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[2049, 111],
    begins: FirstBytes::of(b"\0\x80"),
    probe: |opening| probe_stream(opening, |bytes| Ok(when(record(bytes)?.is_some()))),
    follow: Some(|_| Box::new(Records::default())),
    says: &[PROGRAM],
    examples: &[Example {
        port: 2049,
        client: &filled::<44>(
            b"\x80\0\0\x28\x12\x34\x56\x78\0\0\0\0\0\0\0\x02\0\x01\x86\xa3\0\0\0\x04",
            0,
        ),
        server: b"",
    }],
};

/// ONC RPC over UDP.
pub const DATAGRAM: Definition = Definition {
    input: Input::Datagram,
    usual_ports: &[111, 2049],
    begins: FirstBytes::ANY,
    probe: |opening| probe_datagram(opening, |bytes| Ok(when(call(bytes)?.is_some()))),
    follow: Some(|_| Box::new(Datagrams::default())),
    examples: &[Example {
        port: 111,
        client: &filled::<40>(
            b"\x12\x34\x56\x78\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\0\0\x02",
            0,
        ),
        server: b"",
    }],
    ..STREAM
};

fn when(fits: bool) -> Look {
    match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    }
}

/// A program and its version.
type Program = (u32, u32);

/// The program that a message calls; `None` if it is no call.
fn call(bytes: &[u8]) -> Result<Option<Program>, Short> {
    let mut r = Reader::big(bytes);
    let (_id, kind, rpc_version) = (r.u32()?, r.u32()?, r.u32()?);
    if kind != 0 || rpc_version != 2 {
        return Ok(None);
    }
    let (program, version, procedure) = (r.u32()?, r.u32()?, r.u32()?);
    let (credential, len) = (r.u32()?, r.u32()?);
    let fits = PROGRAMS.contains(&program)
        && (1..=MAX_NUMBER).contains(&version)
        && procedure <= MAX_NUMBER
        && CREDENTIALS.contains(&credential)
        && len <= MAX_CREDENTIAL;
    Ok(fits.then_some((program, version)))
}

/// Assigned by IANA, and by whoever runs them (RFC 5531 8.3).
const PROGRAMS: std::ops::Range<u32> = 100_000..0x6000_0000;
/// Versions and procedures are numbered from 0 or 1; no program has so many.
const MAX_NUMBER: u32 = 100;
/// Kinds of credentials: none, UNIX, short, Diffie-Hellman, GSS (RFC 5531 8.2, RFC 2203).
const CREDENTIALS: [u32; 5] = [0, 1, 2, 3, 6];
/// RFC 5531 8.2.
const MAX_CREDENTIAL: u32 = 400;

/// The same of a record's first fragment (RFC 5531 11).
fn record(bytes: &[u8]) -> Result<Option<Program>, Short> {
    let mut r = Reader::big(bytes);
    // A record of several megabytes is the largest write that is offered; a call has 40 bytes.
    let len = r.u32()? & 0x7fff_ffff;
    if !(40..0x0100_0000).contains(&len) {
        return Ok(None);
    }
    call(r.rest())
}

/// How many bytes of a record tell its program: mark, and header up to the credential's length.
const HEAD: usize = 4 + 32;

/// How many programs are said of a flow. Clients call one or two.
const MAX_PROGRAMS: usize = 8;

/// Programs, each said once.
#[derive(Default)]
struct Programs(Vec<Program>);

impl Programs {
    fn say(&mut self, program: Option<Program>, by: Direction, found: &mut Vec<Claim>) {
        let Some(program) = program.filter(|one| !self.0.contains(one)) else {
            return;
        };
        if self.0.len() < MAX_PROGRAMS {
            self.0.push(program);
            found.push(Claim::Said {
                field: PROGRAM,
                text: format!("{} version {}", program.0, program.1),
                by,
            });
        }
    }
}

/// Follows a stream by its records.
#[derive(Default)]
struct Records {
    ways: [Cutter; 2],
    programs: Programs,
}

impl Dissector for Records {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let cutter = &mut self.ways[from.index()];
        let mut r = Reader::big(bytes);
        loop {
            cutter.pass_over(&mut r);
            let leads_on = |mut r: Reader| matches!(record(r.rest()), Ok(Some(_)));
            let next = (cutter.find_boundary(&mut r, HEAD, leads_on))
                .and_then(|()| cutter.fill(4, &mut r));
            if next.is_none() {
                return Progress::More;
            }
            let mark = Reader::big(&cutter.pending).u32().unwrap_or(0);
            let len = usize::try_from(mark & 0x7fff_ffff).unwrap_or(usize::MAX);
            let len = len.saturating_add(4);
            if cutter.fill(len.min(HEAD), &mut r).is_none() {
                return Progress::More;
            }
            let program = record(&cutter.pending).ok().flatten();
            self.programs.say(program, from, found);
            cutter.skip_rest(len);
            cutter.pending.clear();
        }
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.ways[from.index()].gap(missing);
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Follows datagrams.
#[derive(Default)]
struct Datagrams {
    programs: Programs,
}

impl Dissector for Datagrams {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let program = call(bytes).ok().flatten();
        self.programs.say(program, from, found);
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_torn_is_whole, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn message(program: u32, version: u32, rest: usize) -> Vec<u8> {
        let words = [0x1234_5678, 0, 2, program, version, 1, 0, 0, 0, 0];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        bytes.resize(bytes.len() + rest, 0xa5);
        bytes
    }

    fn marked(message: &[u8]) -> Vec<u8> {
        let mark = 0x8000_0000 | message.len() as u32;
        [&mark.to_be_bytes()[..], message].concat()
    }

    fn said(text: &str) -> Claim {
        Claim::Said {
            field: PROGRAM,
            text: text.into(),
            by: Forward,
        }
    }

    #[test]
    fn every_program_that_is_called_is_said_once() {
        let calls = [
            marked(&message(100_003, 3, 1000)),
            marked(&message(100_003, 3, 3)),
            marked(&message(100_005, 3, 0)),
        ];
        let talk = [
            (Forward, &calls.concat()[..]),
            (Reverse, &marked(&[0; 60])[..]),
        ];
        let expected = [said("100003 version 3"), said("100005 version 3")];
        assert_eq!(claims(&STREAM, &talk), expected);
        assert_torn_is_whole(&STREAM, &talk);
        let asks = message(100_000, 2, 16);
        assert_eq!(
            claims(&DATAGRAM, &[(Forward, &asks)]),
            [said("100000 version 2")]
        );
    }

    #[test]
    fn answers_and_other_bytes_are_no_calls() {
        let whole = message(100_003, 3, 8);
        for (place, byte) in [
            (7, 1),
            (11, 3),
            (12, 0x70),
            (16, 1),
            (20, 1),
            (27, 9),
            (28, 1),
        ] {
            let mut other = whole.clone();
            other[place] = byte;
            assert_eq!(call(&other), Ok(None), "{place}");
        }
        for len in 0..32 {
            assert_eq!(call(&whole[..len]), Err(Short), "{len}");
        }
    }

    #[test]
    fn after_a_gap_the_next_call_is_found() {
        let (mut records, mut found) = (Records::default(), Vec::new());
        records.feed(Forward, &marked(&message(100_003, 3, 60))[..20], &mut found);
        records.gap(Forward, Some(5));
        let next = marked(&message(100_021, 4, 60));
        records.feed(Forward, &[&[0xa5; 30][..], &next].concat(), &mut found);
        assert_eq!(found, [said("100021 version 4")]);
    }

    #[test]
    fn no_more_programs_are_said_than_the_bound() {
        let (mut records, mut found) = (Records::default(), Vec::new());
        for program in 0..100 {
            let one = marked(&message(200_000 + program, 1, 5000));
            records.feed(Forward, &one, &mut found);
            assert!(records.ways[0].pending.len() <= HEAD);
        }
        assert_eq!(found.len(), MAX_PROGRAMS);
    }
}
