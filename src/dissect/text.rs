//! Protocols of lines and words: what their probes and greetings share.

use crate::dissect::lines::{GreetingLines, Lines, MAX_LINE};
use crate::dissect::messages::Sayings;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{Dissector, FirstBytes, Opening, Probe, Progress, names, ntlm};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;

/// The first line of a server that greets.
pub const BANNER: Field = Field::new(&["banner", "greeting"]);

/// Whether `bytes` begin with `with`.
///
/// # Errors
/// `Short` if they end before that is decided.
pub fn begins(bytes: &[u8], with: &[u8]) -> Result<bool, Short> {
    let fits = bytes.iter().zip(with).all(|(one, other)| one == other);
    decided(fits, bytes, with)
}

/// The same for letters of either case.
fn begins_in_any_case(bytes: &[u8], with: &[u8]) -> Result<bool, Short> {
    let mut pairs = bytes.iter().zip(with);
    let fits = pairs.all(|(one, other)| one.eq_ignore_ascii_case(other));
    decided(fits, bytes, with)
}

fn decided(fits: bool, bytes: &[u8], with: &[u8]) -> Result<bool, Short> {
    match fits {
        true if bytes.len() < with.len() => Err(Short),
        fits => Ok(fits),
    }
}

/// The first line, without its end.
///
/// # Errors
/// `Short` if it has none yet.
pub fn line(bytes: &[u8]) -> Result<&[u8], Short> {
    let line = Reader::big(bytes).until(b'\n')?;
    Ok(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether `name` stands in a line as a word of its own, in either case.
pub fn has_word(line: &[u8], name: &str) -> bool {
    line.split(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-'))
        .any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}

/// A protocol in which the server greets and the client then gives commands.
pub struct Manners {
    /// What a greeting may begin with.
    pub greetings: &'static [&'static str],
    /// Whether a greeting names the protocol, so that it is proof alone.
    pub names_itself: fn(&[u8]) -> bool,
    /// Commands with which a client may answer a greeting.
    pub commands: &'static [&'static str],
    /// Those that no other protocol has, so that they are proof alone.
    pub own_commands: &'static [&'static str],
}

impl Manners {
    /// What either side may begin with.
    pub const fn first_bytes(&self) -> FirstBytes {
        FirstBytes::of_words(self.greetings)
            .and(FirstBytes::of_words(self.commands))
            .and(FirstBytes::of_words(self.own_commands))
    }

    /// Looks at both sides: what one leaves open the other decides.
    pub fn probe(&self, opening: &Opening) -> Probe {
        let mut answer = Probe::No;
        for (from, bytes) in opening.sides() {
            let other = match from {
                Direction::Forward => opening.reverse,
                Direction::Reverse => opening.forward,
            };
            match self.greeting(bytes) {
                Ok(true) => match self.settle(bytes, other) {
                    Ok(true) => return Probe::Yes(Some(from.reversed())),
                    Ok(false) => {}
                    Err(Short) => answer = Probe::NeedMore,
                },
                Ok(false) => match self.command(bytes, self.own_commands) {
                    Ok(true) => return Probe::Yes(Some(from)),
                    Ok(false)
                        if other.is_empty() && self.command(bytes, self.commands) == Ok(true) =>
                    {
                        answer = Probe::NeedMore;
                    }
                    Ok(false) => {}
                    Err(Short) => answer = Probe::NeedMore,
                },
                Err(Short) => answer = Probe::NeedMore,
            }
        }
        answer
    }

    fn greeting(&self, bytes: &[u8]) -> Result<bool, Short> {
        any(self.greetings, |greeting| {
            begins(bytes, greeting.as_bytes())
        })
    }

    /// Whether a greeting is this protocol's, by its own words or by the client's answer to it.
    fn settle(&self, greeting: &[u8], client: &[u8]) -> Result<bool, Short> {
        let first = line(greeting)?;
        if first
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Ok(false);
        }
        if (self.names_itself)(first) {
            return Ok(true);
        }
        if client.is_empty() {
            return Err(Short);
        }
        self.command(client, self.commands)
    }

    fn command(&self, bytes: &[u8], commands: &[&str]) -> Result<bool, Short> {
        any(commands, |command| {
            if !begins_in_any_case(bytes, command.as_bytes())? {
                return Ok(false);
            }
            let mut r = Reader::big(bytes);
            r.skip(command.len())?;
            Ok(matches!(r.u8()?, b' ' | b'\r' | b'\n'))
        })
    }
}

/// Whether `test` is true of one of `list`.
///
/// # Errors
/// `Short` if it is true of none, and undecided of one.
fn any(list: &[&str], test: impl Fn(&str) -> Result<bool, Short>) -> Result<bool, Short> {
    let mut answer = Ok(false);
    for one in list {
        match test(one) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Short) => answer = Err(Short),
        }
    }
    answer
}

/// Announces the lines of the side that greets, then is done.
pub struct Greeting {
    begins_with: &'static [&'static str],
    sides: [Side; 2],
}

/// What one side has said.
struct Side {
    lines: Lines,
    greeting: GreetingLines,
    /// It does not greet, or not so that it counts.
    silent: bool,
}

impl Side {
    fn new(opening: &Opening) -> Side {
        Side {
            lines: Lines::default(),
            greeting: GreetingLines::default(),
            // Only what comes first can be a greeting: a later line may look like one.
            silent: !opening.from_start,
        }
    }
}

impl Greeting {
    /// For a protocol in which greetings begin with one of these.
    pub fn new(opening: &Opening, begins_with: &'static [&'static str]) -> Greeting {
        Greeting {
            begins_with,
            sides: [Side::new(opening), Side::new(opening)],
        }
    }

    /// For a protocol in which both sides greet: only who was called counts, which is the product.
    pub fn of_answer(opening: &Opening, begins_with: &'static [&'static str]) -> Greeting {
        let mut greeting = Greeting::new(opening, begins_with);
        greeting.sides[Direction::Forward.index()].silent = true;
        greeting
    }
}

impl Dissector for Greeting {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Greeting { begins_with, sides } = self;
        let greets = |line: &[u8]| any(begins_with, |one| begins(line, one.as_bytes()));
        let side = &mut sides[from.index()];
        let mut r = Reader::big(bytes);
        while !side.silent && r.left() > 0 {
            let line = side.lines.next(&mut r);
            let known = line.as_deref().unwrap_or(side.lines.pending());
            side.silent = side.greeting.is_first()
                && match greets(known) {
                    Ok(greets) => !greets,
                    Err(Short) => line.is_some() || known.len() >= MAX_LINE,
                };
            let Some(line) = line.filter(|_| !side.silent) else {
                continue;
            };
            if side.greeting.takes(&line) {
                found.push(Claim::Said {
                    field: BANNER,
                    text: names::text(&line),
                    by: from,
                });
            }
            if side.greeting.is_over() {
                return Progress::Done;
            }
        }
        match sides.iter().all(|side| side.silent) {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        // A greeting with a hole in it is no greeting.
        self.sides[from.index()].silent = true;
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// Announces a greeting, then what NTLM states while the client logs on: in the last word of a
/// line, bare in base64 (MS-SMTPNTLM, MS-POP3, MS-OXIMAP4 and, after `AUTHINFO GENERIC`, MS-NNTP).
pub struct Logon {
    greeting: Greeting,
    is_greeted: bool,
    lines: [Lines; 2],
    seen: usize,
    stated: Sayings,
}

/// How many lines of both sides are looked at: some twenty capabilities come before the client
/// logs on, and each try takes three.
const MAX_LOGON: usize = 64;

impl Logon {
    /// For a protocol in which greetings begin with one of these.
    pub fn new(opening: &Opening, begins_with: &'static [&'static str]) -> Logon {
        Logon {
            greeting: Greeting::new(opening, begins_with),
            is_greeted: false,
            lines: Default::default(),
            seen: 0,
            stated: Sayings::default(),
        }
    }
}

impl Dissector for Logon {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        if !self.is_greeted {
            self.is_greeted = self.greeting.feed(from, bytes, found) == Progress::Done;
        }
        let mut r = Reader::big(bytes);
        while let Some(line) = self.lines[from.index()].next(&mut r) {
            self.seen += 1;
            if self.seen > MAX_LOGON {
                return Progress::Done;
            }
            let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            if ntlm::is_base64(word) {
                let version = ntlm::version_in_base64(word).unwrap_or_default();
                self.stated.say(ntlm::VERSION, version, from, found);
            }
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.greeting.gap(from, missing);
        self.lines[from.index()].gap();
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// A request or status line of the HTTP family: `METHOD target NAME/version` or `NAME/version code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request with its method.
    Request(&'a [u8]),
    /// A status line.
    Status,
    /// Neither.
    Other,
}

/// The longest request line that is waited for: servers refuse longer ones (RFC 9112 3).
const MAX_START_LINE: usize = 8000;

/// Reads the first line of a message of the protocol that `version` begins: `HTTP/`, `RTSP/`, `SIP/`.
///
/// # Errors
/// `Short` if the line is not complete and could still become one.
pub fn start_line<'a>(bytes: &'a [u8], version: &str) -> Result<StartLine<'a>, Short> {
    let version = version.as_bytes();
    // A method that begins like the version is none: `begins` waits for the byte that tells.
    if begins(bytes, version)? {
        let mut r = Reader::big(bytes);
        r.skip(version.len())?;
        let [major, dot, minor, space] = match r.array() {
            Ok(digits) => digits,
            Err(Short) => return Err(Short),
        };
        let fits = major.is_ascii_digit() && dot == b'.' && minor.is_ascii_digit() && space == b' ';
        return Ok(if fits {
            StartLine::Status
        } else {
            StartLine::Other
        });
    }
    let is_method_byte = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let method_len = bytes.iter().take_while(|byte| is_method_byte(byte)).count();
    let rest = {
        let mut r = Reader::big(bytes);
        r.skip(method_len)?;
        r.rest()
    };
    let could_be = match rest.first() {
        Some(byte) => *byte == b' ' && (3..=20).contains(&method_len),
        None => method_len <= 20,
    };
    if !could_be {
        return Ok(StartLine::Other);
    }
    match line(bytes) {
        Ok(line) => {
            let method = Reader::big(line).up_to(method_len);
            let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let spaces = line.iter().filter(|byte| **byte == b' ').count();
            let fits = last.starts_with(version) && spaces >= 2;
            Ok(if fits {
                StartLine::Request(method)
            } else {
                StartLine::Other
            })
        }
        Err(Short) if bytes.len() > MAX_START_LINE => Ok(StartLine::Other),
        Err(Short) if bytes.iter().any(u8::is_ascii_control) && !bytes.ends_with(b"\r") => {
            Ok(StartLine::Other)
        }
        Err(Short) => Err(Short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn opening(from_start: bool) -> Opening<'static> {
        Opening {
            forward: &[],
            reverse: &[],
            ports: (50_000, 25),
            from_start,
        }
    }

    #[test]
    fn a_line_like_a_greeting_in_the_middle_of_a_talk_announces_nothing() {
        let mut greeting = Greeting::new(&opening(false), &["* BYE"]);
        let mut found = Vec::new();
        let progress = greeting.feed(Reverse, b"* BYE Logging out\r\n", &mut found);
        assert_eq!((progress, found), (Progress::Done, Vec::new()));
    }

    #[test]
    fn a_greeting_torn_at_every_byte_is_announced_once() {
        let mut greeting = Greeting::new(&opening(true), &["220"]);
        let mut found = Vec::new();
        for byte in b"220 mail Microsoft ESMTP\r" {
            let progress = greeting.feed(Reverse, &[*byte], &mut found);
            assert_eq!(progress, Progress::More);
        }
        assert_eq!(greeting.feed(Reverse, b"\n", &mut found), Progress::Done);
        let greeted = Claim::Said {
            field: BANNER,
            text: "220 mail Microsoft ESMTP".into(),
            by: Reverse,
        };
        assert_eq!(found, [greeted]);
    }

    #[test]
    fn every_line_of_a_greeting_is_announced() {
        let mut greeting = Greeting::new(&opening(true), &["220"]);
        let mut found = Vec::new();
        greeting.feed(Reverse, b"220-Microsoft FTP Service\r\n220 wel", &mut found);
        let progress = greeting.feed(Reverse, b"come\r\n230 in\r\n", &mut found);
        assert_eq!((progress, found.len()), (Progress::Done, 2));
    }

    #[test]
    fn a_greeting_without_end_is_given_up() {
        let mut greeting = Greeting::new(&opening(true), &["220"]);
        let mut found = Vec::new();
        for _ in 0..100 {
            greeting.feed(Forward, b"220", &mut found);
            greeting.feed(Forward, &[b'x'; 100], &mut found);
        }
        assert_eq!(greeting.sides[0].lines.pending().len(), MAX_LINE);
        greeting.feed(Reverse, &[b'2'; 100], &mut found);
        assert_eq!(greeting.sides[1].lines.pending().len(), 100);
        assert!(greeting.sides[1].silent);
        assert_eq!(found, []);
    }

    #[test]
    fn a_greeting_with_a_hole_is_not_announced() {
        let mut greeting = Greeting::new(&opening(true), &["220"]);
        let mut found = Vec::new();
        greeting.feed(Reverse, b"220 mi", &mut found);
        greeting.gap(Reverse, Some(10));
        greeting.feed(Reverse, b"ready\r\n", &mut found);
        greeting.feed(Forward, b"EHLO\r\n", &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn what_ntlm_states_in_a_logon_is_told_wherever_it_is_torn() {
        use crate::dissect::messages::samples::{said, torn};
        use base64::Engine as _;
        let encoded = |build| {
            let message = ntlm::samples::challenge([10, 0], build);
            base64::engine::general_purpose::STANDARD.encode(message)
        };
        let challenge = format!("334 {}\r\n", encoded(17763));
        let proof = format!("{}\r\n", encoded(19041));
        let talk: [(_, &[u8]); 6] = [
            (Reverse, b"220 mail ready\r\n"),
            (Forward, b"EHLO me\r\n"),
            (Reverse, b"250-mail\r\n250 AUTH NTLM\r\n"),
            (Forward, b"AUTH NTLM\r\n"),
            (Reverse, challenge.as_bytes()),
            (Forward, proof.as_bytes()),
        ];
        let logon = || -> Box<dyn Dissector> { Box::new(Logon::new(&opening(true), &["220"])) };
        let all = [
            "banner: 220 mail ready",
            "ntlm-version: 10.0.17763",
            "ntlm-version: 10.0.19041",
        ];
        assert_eq!(said(logon().as_mut(), &talk), all);
        torn(&logon, &talk);
    }

    #[test]
    fn a_logon_without_end_is_given_up() {
        let mut logon = Logon::new(&opening(true), &["220"]);
        let lines = b"x\r\n".repeat(MAX_LOGON);
        assert_eq!(logon.feed(Forward, &lines, &mut Vec::new()), Progress::More);
        assert_eq!(
            logon.feed(Forward, b"x\r\n", &mut Vec::new()),
            Progress::Done
        );
    }

    #[test]
    fn a_start_line_is_undecided_until_its_end() {
        let request = b"GET /index.html HTTP/1.1\r\n";
        for len in 0..request.len() {
            assert_eq!(start_line(&request[..len], "HTTP/"), Err(Short), "{len}");
        }
        assert_eq!(start_line(request, "HTTP/"), Ok(StartLine::Request(b"GET")));
        assert_eq!(start_line(request, "RTSP/"), Ok(StartLine::Other));
        assert_eq!(
            start_line(b"HTTP/1.1 200 OK", "HTTP/"),
            Ok(StartLine::Status)
        );
        assert_eq!(start_line(b"USER me\r\n", "HTTP/"), Ok(StartLine::Other));
        assert_eq!(start_line(&[b'A'; 21], "HTTP/"), Ok(StartLine::Other));
    }
}
