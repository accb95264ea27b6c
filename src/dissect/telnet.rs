//! Telnet (RFC 854): what each side offers and asks for to begin with, the terminal, how the client
//! proves who it is, and the first lines that the server writes.

use crate::dissect::lines::Lines;
use crate::dissect::messages::Sayings;
use crate::dissect::read::{Reader, Short};
use crate::dissect::text::BANNER;
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Progress, names, ntlm,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Telnet (RFC 854).
pub const PROTOCOL: Protocol = Protocol::new(&["telnet", "Telnet"]);

/// The options that a side offers and asks for in its first segment, before it says anything else, in
/// its order: `do authentication, will echo`. What comes later may answer the other side.
const OFFER: Field = Field::new(&["telnet-offer", "Telnet options"]);

/// The client's terminal (RFC 1091).
const TERMINAL: Field = Field::new(&["telnet-terminal", "terminal"]);

/// The ways of proving who the client is: all that the server takes, the one that the client chose
/// (RFC 2941).
const AUTHENTICATION: Field = Field::new(&["telnet-authentication", "authentication"]);

/// Telnet over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[23],
    begins: FirstBytes::of(&[command::IAC]),
    probe: |opening| probe_stream(opening, look),
    follow: Some(|opening| Box::new(Terminal::new(opening))),
    says: &[OFFER, TERMINAL, AUTHENTICATION, BANNER, ntlm::VERSION],
    examples: &[Example {
        port: 23,
        client: b"",
        server: b"\xff\xfd\x18\xff\xfb\x01",
    }],
};

/// Bytes of commands (RFC 854).
mod command {
    /// "Interpret as command".
    pub const IAC: u8 = 255;
    pub const DONT: u8 = 254;
    pub const WILL: u8 = 251;
    /// What an option has to say begins here.
    pub const BEGIN: u8 = 250;
    pub const END: u8 = 240;
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    use command::{DONT, IAC, WILL};
    let mut r = Reader::big(bytes);
    // WILL, WON'T, DO, DON'T and an option: those below 50 are assigned, and 255 (RFC 861).
    let is_negotiation =
        r.u8()? == IAC && (WILL..=DONT).contains(&r.u8()?) && matches!(r.u8()?, 0..50 | 255);
    let goes_on = matches!(r.u8(), Err(Short) | Ok(IAC | b'\r' | b'\n' | 0x20..0x7f));
    Ok(match is_negotiation && goes_on {
        true => Look::ByEither,
        false => Look::Other,
    })
}

/// What WILL, WON'T, DO and DON'T are called, from 251 on.
const VERBS: &[&str] = &["will", "won't", "do", "don't"];

/// Options by their numbers (IANA, Telnet Options); others are told by the number.
const OPTIONS: &[(u8, &str)] = &[
    (0, "binary"),
    (1, "echo"),
    (3, "suppress go ahead"),
    (5, "status"),
    (6, "timing mark"),
    (24, "terminal type"),
    (31, "window size"),
    (32, "terminal speed"),
    (33, "flow control"),
    (34, "linemode"),
    (35, "X display"),
    (36, "environment"),
    (37, "authentication"),
    (38, "encryption"),
    (39, "new environment"),
];

/// The options that have more to say that is told.
mod option {
    pub const TERMINAL_TYPE: u8 = 24;
    pub const AUTHENTICATION: u8 = 37;
}

/// Types of authentication by their numbers (IANA, Telnet Authentication Types; MS-TNAP 2.2.2).
const AUTHENTICATIONS: &[(u8, &str)] = &[
    (0, "none"),
    (1, "Kerberos 4"),
    (2, "Kerberos 5"),
    (5, "SRP"),
    (6, "RSA"),
    (7, "SSL"),
    (15, "NTLM"),
];

/// How many options an offer is told with: servers begin with up to eight.
const MAX_OFFER: usize = 16;

/// The longest message of an option that is kept, in bytes: NTLM's, with all names of a domain.
const MAX_MESSAGE: usize = 4096;

/// How many lines of a server's are looked at for its greeting, those without text included.
const MAX_LINES: usize = 8;

/// What lines end with that wait for the user, and not for their end.
const PROMPTS: &[u8] = b":>$#%?";

/// How many bytes of a side are read: all is agreed on and greeted by then, and what follows is what
/// the user does.
const MAX_READ: usize = 16 * 1024;

/// Reads both directions command by command, up to the first of the user's words.
struct Terminal {
    sides: [Side; 2],
    said: Sayings,
    /// Who wrote the first text: the server, which greets or asks for a name.
    server: Option<Direction>,
}

/// What one side has said.
struct Side {
    at: Place,
    read: usize,
    /// The options so far, until something else is said.
    offer: Option<Vec<String>>,
    /// What an option has to say, as far as it came.
    message: Vec<u8>,
    lines: Lines,
    seen: usize,
    /// Its text says nothing: it was not all there, or it is over.
    silent: bool,
}

/// Where in the stream a side is.
#[derive(Clone, Copy)]
enum Place {
    /// Where text may stand.
    Text,
    /// After the byte that makes the next one a command.
    Command,
    /// Where an option is named.
    Option(u8),
    /// In the message of an option.
    Message,
    /// The same, where it may end.
    MessageCommand,
}

impl Side {
    fn new(from_start: bool) -> Side {
        Side {
            at: Place::Text,
            read: 0,
            offer: from_start.then(Vec::new),
            message: Vec::new(),
            lines: Lines::default(),
            seen: 0,
            silent: !from_start,
        }
    }
}

impl Dissector for Terminal {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        for byte in bytes {
            let side = &mut self.sides[from.index()];
            side.read += 1;
            if side.read > MAX_READ {
                return Progress::Done;
            }
            self.take(*byte, from, found);
        }
        self.end_offer(from, found);
        let side = &mut self.sides[from.index()];
        side.offer = None;
        // What stands behind a prompt is the echo of what the user writes.
        let is_prompt = side.lines.pending().trim_ascii_end().last();
        side.silent |= is_prompt.is_some_and(|last| PROMPTS.contains(last));
        self.said.progress()
    }

    fn gap(&mut self, from: Direction, _missing: Option<u64>) {
        // What is missing may have been text or the end of a message: the next command tells. It may
        // have been the greeting, too, and what looks like one then is the user's.
        let side = &mut self.sides[from.index()];
        side.at = Place::Text;
        side.message.clear();
        for side in &mut self.sides {
            side.offer = None;
            side.silent = true;
        }
    }

    fn finish(&mut self, _found: &mut Vec<Claim>) {}

    fn kept(&self) -> usize {
        self.sides.iter().map(|side| side.message.capacity()).sum()
    }
}

impl Terminal {
    fn new(opening: &Opening) -> Terminal {
        Terminal {
            sides: [Side::new(opening.from_start), Side::new(opening.from_start)],
            said: Sayings::default(),
            server: None,
        }
    }

    fn take(&mut self, byte: u8, from: Direction, found: &mut Vec<Claim>) {
        use command::{BEGIN, DONT, END, IAC, WILL};
        let side = &mut self.sides[from.index()];
        let next = match (side.at, byte) {
            (Place::Text, IAC) => Place::Command,
            (Place::Command, WILL..=DONT) => Place::Option(byte),
            (Place::Command, BEGIN) => {
                side.message.clear();
                self.end_offer(from, found);
                Place::Message
            }
            (Place::Option(verb), option) => {
                self.negotiate(verb, option, from, found);
                Place::Text
            }
            (Place::Message, IAC) => Place::MessageCommand,
            (Place::MessageCommand, END) => {
                let message = std::mem::take(&mut side.message);
                // What is cut off says less, and nothing wrong.
                let _ = self.message(&message, from, found);
                Place::Text
            }
            // Doubled, it is data (RFC 855).
            (Place::Message, _) | (Place::MessageCommand, IAC) => {
                if side.message.len() < MAX_MESSAGE {
                    side.message.push(byte);
                }
                Place::Message
            }
            (Place::MessageCommand, _) => Place::Text,
            // Doubled, it is text; the others are commands without more.
            (Place::Command, _) => Place::Text,
            (Place::Text, _) => {
                self.text(byte, from, found);
                Place::Text
            }
        };
        self.sides[from.index()].at = next;
    }

    fn negotiate(&mut self, verb: u8, option: u8, from: Direction, found: &mut Vec<Claim>) {
        let Some(offer) = &mut self.sides[from.index()].offer else {
            return;
        };
        let verb = VERBS
            .get(usize::from(verb).wrapping_sub(command::WILL.into()))
            .unwrap_or(&"");
        offer.push(format!("{verb} {}", named(OPTIONS, option)));
        if offer.len() >= MAX_OFFER {
            self.end_offer(from, found);
        }
    }

    /// A side says something else, or its first segment is over: what it offered so far is its offer.
    fn end_offer(&mut self, by: Direction, found: &mut Vec<Claim>) {
        if let Some(offer) = self.sides[by.index()]
            .offer
            .take_if(|offer| !offer.is_empty())
        {
            self.said.say(OFFER, offer.join(", "), by, found);
        }
    }

    fn message(
        &mut self,
        message: &[u8],
        from: Direction,
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        const IS: u8 = 0;
        const SEND: u8 = 1;
        let mut r = Reader::big(message);
        match (r.u8()?, r.u8()?) {
            (option::TERMINAL_TYPE, IS) => {
                self.said.say(TERMINAL, names::text(r.rest()), from, found);
            }
            (option::AUTHENTICATION, SEND) => {
                // Pairs of a type and how it is used (RFC 2941 2); a list is as long as its message.
                let pairs = std::iter::from_fn(|| r.array().ok());
                let kinds: Vec<String> = pairs
                    .map(|[kind, _how]| named(AUTHENTICATIONS, kind))
                    .take(MAX_OFFER)
                    .collect();
                self.said.say(AUTHENTICATION, kinds.join(", "), from, found);
            }
            (option::AUTHENTICATION, what) => {
                if what == IS {
                    let kind = named(AUTHENTICATIONS, r.u8()?);
                    self.said.say(AUTHENTICATION, kind, from, found);
                }
                let version = ntlm::version(r.rest()).unwrap_or_default();
                self.said.say(ntlm::VERSION, version, from, found);
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, byte: u8, from: Direction, found: &mut Vec<Claim>) {
        self.end_offer(from, found);
        let is_word = !byte.is_ascii_whitespace() && byte != 0;
        if self.server.is_none() && is_word {
            self.server = Some(from);
        }
        if self.server != Some(from) {
            // Once the user has answered, the server's text is about the user.
            if is_word {
                self.sides.iter_mut().for_each(|side| side.silent = true);
            }
            return;
        }
        let side = &mut self.sides[from.index()];
        if side.silent {
            return;
        }
        if let Some(line) = side.lines.next(&mut Reader::big(&[byte])) {
            side.seen += 1;
            side.silent = side.seen >= MAX_LINES;
            let line = names::text(line.trim_ascii());
            self.said.say(BANNER, line, from, found);
        }
    }
}

fn named(list: &[(u8, &str)], number: u8) -> String {
    let known = list.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::messages::samples::{said, texts, torn};
    use crate::model::evidence::Direction::{Forward, Reverse};

    const OFFERED: &[u8] =
        b"\xff\xfd\x25\xff\xfb\x01\xff\xfb\x03\xff\xfd\x27\xff\xfd\x1f\xff\xfd\0\xff\xfb\0";

    fn opening(from_start: bool) -> Opening<'static> {
        Opening {
            forward: b"",
            reverse: OFFERED,
            ports: (50_123, 23),
            from_start,
        }
    }

    fn terminal() -> Box<dyn Dissector> {
        Box::new(Terminal::new(&opening(true)))
    }

    /// A message of the option for authentication, in which NTLM's stands (MS-TNAP 2.2.2).
    fn ntlm(how: u8, command: u8, message: &[u8]) -> Vec<u8> {
        let message = [&[37, how, 15, 0, command, 0, 0, 0, 0, 2, 0, 0, 0], message].concat();
        let doubled: Vec<u8> = (message.iter())
            .flat_map(|byte| vec![*byte; if *byte == 255 { 2 } else { 1 }])
            .collect();
        [&b"\xff\xfa"[..], &doubled, b"\xff\xf0"].concat()
    }

    const ALL: [&str; 8] = [
        "telnet-offer: do authentication, will echo, will suppress go ahead, do new environment, \
         do window size, do binary, will binary",
        "telnet-offer: will authentication, do echo, won't 200",
        "telnet-authentication: NTLM",
        "ntlm-version: 6.1.7600",
        "ntlm-version: 5.1.2600",
        "telnet-terminal: VTNT",
        "banner: Welcome to Microsoft Telnet Service",
        "banner: second",
    ];

    #[test]
    fn what_is_offered_at_once_is_told_and_what_is_proved_and_greeted_wherever_it_is_torn() {
        let challenge = ntlm::samples::challenge([6, 1], 7600);
        let answer = ntlm::samples::challenge([5, 1], 2600);
        let (challenge, answer) = (ntlm(2, 1, &challenge), ntlm(0, 2, &answer));
        let talk: [(_, &[u8]); 7] = [
            (Reverse, OFFERED),
            (Forward, b"\xff\xfb\x25\xff\xfd\x01\xff\xfc\xc8"),
            (Reverse, b"\xff\xfa\x25\x01\x0f\0\xff\xf0"),
            (Reverse, &challenge),
            (Forward, &answer),
            (Forward, b"\xff\xfa\x18\0VTNT\xff\xf0"),
            (
                Reverse,
                b"Welcome to Microsoft Telnet Service \r\n\n\rsecond\r\nlogin: ",
            ),
        ];
        assert_eq!(said(terminal().as_mut(), &talk), ALL);
        torn(&terminal, &talk[2..]);
    }

    #[test]
    fn after_a_gap_on_either_side_nothing_is_an_offer_or_a_greeting() {
        for side in [Forward, Reverse] {
            let (mut terminal, mut found) = (terminal(), Vec::new());
            terminal.gap(side, Some(7));
            terminal.feed(Forward, b"guest\r\n", &mut found);
            terminal.feed(Reverse, OFFERED, &mut found);
            terminal.feed(Reverse, b"Last login: today\r\n", &mut found);
            assert_eq!(texts(&found), [""; 0]);
        }
    }

    #[test]
    fn what_is_written_after_the_user_is_not_told() {
        let talk: [(_, &[u8]); 4] = [
            (Reverse, b"\xff\xfd\x18login: "),
            (Forward, b"me\r\n"),
            (Reverse, b"me\r\nLast login: today\r\n"),
            (Forward, b"secret\r\n"),
        ];
        assert_eq!(
            said(terminal().as_mut(), &talk),
            ["telnet-offer: do terminal type"]
        );
    }

    #[test]
    fn of_a_stream_that_was_not_seen_from_its_start_only_messages_are_told() {
        let mut late = Terminal::new(&opening(false));
        let talk: [(_, &[u8]); 2] = [
            (Reverse, b"\xff\xfd\x18hello\r\n"),
            (Forward, b"\xff\xfa\x18\0ANSI\xff\xf0"),
        ];
        assert_eq!(said(&mut late, &talk), ["telnet-terminal: ANSI"]);
    }

    #[test]
    fn after_a_gap_the_next_command_leads_on() {
        let (mut terminal, mut found) = (terminal(), Vec::new());
        terminal.feed(Forward, b"\xff\xfa\x18\0VT", &mut found);
        terminal.gap(Forward, Some(2));
        terminal.feed(Forward, b"NT\xff\xf0\r\nhello\r\n", &mut found);
        terminal.feed(Forward, b"\xff\xfa\x18\0ANSI\xff\xf0", &mut found);
        assert_eq!(texts(&found), ["telnet-terminal: ANSI"]);
    }

    #[test]
    fn endless_offers_messages_and_text_are_bounded() {
        let offers = b"\xff\xfb\x01".repeat(1000);
        let told = said(terminal().as_mut(), &[(Reverse, &offers)]);
        assert_eq!(told[0].matches("will echo").count(), MAX_OFFER);
        let message = [&b"\xff\xfa\x18\0"[..], &[b'x'; 100_000]].concat();
        let (mut terminal, mut found) = (terminal(), Vec::new());
        assert_eq!(terminal.feed(Forward, &message, &mut found), Progress::Done);
        assert!(terminal.kept() <= 2 * MAX_MESSAGE);
        let lines: Vec<u8> = (0..100)
            .flat_map(|n| format!("{n}\r\n").into_bytes())
            .collect();
        let told = said(self::terminal().as_mut(), &[(Reverse, &lines)]);
        assert_eq!(told.len(), MAX_LINES);
    }
}
