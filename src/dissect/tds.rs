//! Tabular Data Stream (MS-TDS; of versions 4.2 and 5.0, Sybase's TDS 5.0 specification): SQL Server.
//! Its version, whether it encrypts, which instance and database server the client wants, and what
//! NTLM states in the logon, as far as that is said in clear.

use crate::dissect::messages::{Framing, Listener, Sayings, Stream};
use crate::dissect::read::{Reader, Short};
use crate::dissect::sql_browser::INSTANCE;
use crate::dissect::{
    Definition, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role, names, ntlm,
    probe_stream,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Tabular Data Stream (MS-TDS).
pub const PROTOCOL: Protocol = Protocol::new(&["tds", "TDS"]);

/// The server's version: `8.0.194`.
const VERSION: Field = Field::new(&["tds-version", "SQL Server version"]);

/// Whether the server encrypts: the login alone, all, or nothing.
const ENCRYPTION: Field = Field::new(&["tds-encryption", "encryption"]);

/// The host that the client wants to log on to.
const SERVER: Field = Field::new(&["tds-server", "logs on to"]);

/// The program of the client.
const APPLICATION: Field = Field::new(&["tds-application", "program"]);

/// The version of the protocol that an old client wants: `4.2`, `5.0`.
const OLD_LOGIN: Field = Field::new(&["tds-login", "login of TDS"]);

/// TDS over TCP.
pub const STREAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Stream,
    usual_ports: &[PORT],
    begins: FirstBytes::of(b"\x01\x02\x03\x04\x06\x07\x0e\x10\x12"),
    probe,
    follow: Some(|_| Box::new(Stream::new(&FRAMING, Logon::default()))),
    says: &[
        VERSION,
        ENCRYPTION,
        INSTANCE,
        SERVER,
        APPLICATION,
        OLD_LOGIN,
        ntlm::VERSION,
    ],
    examples: &[
        Example {
            port: 1433,
            client: b"\x12\x01\0\x1a\0\0\x01\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\0\0\0\0\0\0\0",
            server: b"",
        },
        Example {
            port: 5000,
            client: &OLD_EXAMPLE,
            server: b"",
        },
    ],
};

/// The first packet of a login of version 4.2, of nobody at no host.
const OLD_EXAMPLE: [u8; FIRST_OLD_PACKET] = {
    let mut bytes = [0; FIRST_OLD_PACKET];
    bytes[0] = kind::OLD_LOGIN;
    bytes[2] = 2; // 512 bytes
    bytes[HEADER_LEN + 458] = 4;
    bytes[HEADER_LEN + 459] = 2;
    bytes
};

const PORT: u16 = 1433;

fn probe(opening: &Opening) -> Probe {
    match probe_stream(opening, look) {
        Probe::No if opening.has_port(PORT) && !opening.from_start => probe_stream(opening, packet),
        // A login that names no version is little to go by, too.
        Probe::No if opening.has_port(PORT) => probe_stream(opening, |bytes| {
            let is_login = bytes.len() == FIRST_OLD_PACKET && is_old_login(bytes)?.is_some();
            Ok(match is_login {
                true => Look::By(Role::Client),
                false => Look::Other,
            })
        }),
        answer => answer,
    }
}

/// Packet types (MS-TDS 2.2.3.1.1).
mod kind {
    /// Of versions before 7.
    pub const OLD_LOGIN: u8 = 0x02;
    pub const RESULT: u8 = 0x04;
    pub const LOGIN7: u8 = 0x10;
    pub const SSPI: u8 = 0x11;
    pub const PRELOGIN: u8 = 0x12;
}

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let kind = r.u8()?;
    if kind == kind::OLD_LOGIN {
        return Ok(match is_old_login(bytes)? {
            Some([4, 0 | 2 | 6] | [5, 0]) => Look::By(Role::Client),
            _ => Look::Other,
        });
    }
    if !matches!(kind, kind::RESULT | kind::LOGIN7 | kind::PRELOGIN) || r.u8()? > 1 {
        return Ok(Look::Other);
    }
    let (len, _process, _number, window) = (r.u16()?, r.u16()?, r.u8()?, r.u8()?);
    if len < 8 + 6 || window != 0 {
        return Ok(Look::Other);
    }
    Ok(match kind {
        kind::LOGIN7 if is_login(&mut r, len)? => Look::By(Role::Client),
        kind::PRELOGIN if is_prelogin(&mut r)? => Look::By(Role::Client),
        kind::RESULT if is_prelogin(&mut r.clone())? || is_result(&mut r)? => {
            Look::By(Role::Server)
        }
        _ => Look::Other,
    })
}

/// Any packet that fills its segment, of a stream that was not seen from its start: that is little
/// to go by, so the port must agree.
fn packet(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let (kind, status, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
    let (_process, _number, window) = (r.u16()?, r.u8()?, r.u8()?);
    let fits = len == bytes.len() && status & !0x1f == 0 && window == 0;
    Ok(match kind {
        1..=3 | 6 | 7 | 14 if fits => Look::By(Role::Client),
        kind::RESULT if fits => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// A list of options that begins with VERSION, which is six bytes (MS-TDS 2.2.6.5).
fn is_prelogin(r: &mut Reader) -> Result<bool, Short> {
    Ok(r.u8()? == 0 && r.u16()? < 256 && r.u16()? == 6)
}

/// The length of all, and a version from 7.0 to 7.4 (MS-TDS 2.2.6.4).
fn is_login(r: &mut Reader, packet: u16) -> Result<bool, Short> {
    let len = u32::from_le_bytes(r.array()?);
    let [_, _, _, version] = r.array()?;
    Ok(
        (94..1 << 17).contains(&len)
            && len + 8 >= packet.into()
            && (0x70..=0x74).contains(&version),
    )
}

/// The first packet of an old login, which has 512 bytes since no other length is agreed on.
const FIRST_OLD_PACKET: usize = 512;

/// The version that the login of an old client wants; `None` if it is none. Texts stand in fields of
/// a fixed length with their own length after each: four of the client's, then types of numbers,
/// then the program and the server, a password for other servers, and the version.
fn is_old_login(bytes: &[u8]) -> Result<Option<[u8; 2]>, Short> {
    let mut r = Reader::big(bytes);
    let (kind, status, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
    if kind != kind::OLD_LOGIN || status > 1 || len != FIRST_OLD_PACKET {
        return Ok(None);
    }
    let (_process, _number, window) = (r.u16()?, r.u8()?, r.u8()?);
    if window != 0 {
        return Ok(None);
    }
    for _ in 0..4 {
        if old_text(&mut r)?.is_none() {
            return Ok(None);
        }
    }
    r.skip(16)?;
    if old_text(&mut r)?.is_none() || old_text(&mut r)?.is_none() {
        return Ok(None);
    }
    r.skip(255 + 1)?;
    r.array().map(Some)
}

/// A text in an old login: thirty bytes and how many of them count; `None` if more should.
fn old_text(r: &mut Reader) -> Result<Option<String>, Short> {
    let field = r.take(30)?;
    let len = usize::from(r.u8()?);
    Ok((len <= 30).then(|| names::text(Reader::big(field).up_to(len))))
}

/// The first token of an answer to a login, with a length that is not absurd.
fn is_result(r: &mut Reader) -> Result<bool, Short> {
    let is_token = matches!(r.u8()?, 0xaa | 0xab | 0xad | 0xe3);
    let len = u16::from_le_bytes(r.array()?);
    Ok(is_token && (4..4096).contains(&len))
}

/// Packets say how long they are (MS-TDS 2.2.3.1.3). What is told of stands in the first of a
/// message, which has 4,096 bytes until the login has settled another length.
const FRAMING: Framing = Framing {
    len: |mut r| {
        let (kind, _status, len) = (r.u8()?, r.u8()?, usize::from(r.u16()?));
        let fits = (1..=0x12).contains(&kind) && len >= HEADER_LEN;
        Ok(fits.then_some(len))
    },
    most: 4096,
    begins: |bytes| matches!(packet(bytes), Ok(Look::By(_))),
};

const HEADER_LEN: usize = 8;

/// The token of an answer that is a leg of a logon by SSPI (MS-TDS 2.2.7.22).
const SSPI_TOKEN: u8 = 0xed;

/// Options of a PRELOGIN (MS-TDS 2.2.6.5).
mod option {
    pub const VERSION: u8 = 0;
    pub const ENCRYPTION: u8 = 1;
    pub const INSTANCE: u8 = 2;
    pub const END: u8 = 0xff;
}

/// What the server's ENCRYPTION says, by its number.
const ENCRYPTIONS: &[&str] = &["login only", "all", "not supported", "required"];

/// How many options are looked at: nine are known.
const MAX_OPTIONS: usize = 16;

/// Reads the packets before what they agree on makes them unreadable, or of no interest.
#[derive(Default)]
struct Logon {
    said: Sayings,
    /// The instance that the client named, until the server says that it is its own.
    wanted: Option<String>,
    greeted: bool,
    /// The client has logged on by NTLM or Kerberos, whose legs are still to come.
    is_proving: bool,
}

impl Listener for Logon {
    fn hear(&mut self, from: Direction, message: &[u8], found: &mut Vec<Claim>) -> Progress {
        let mut r = Reader::big(message);
        let kind = r.u8().unwrap_or_default();
        r.up_to(HEADER_LEN - 1);
        let packet = r.rest();
        match kind {
            kind::PRELOGIN if is_prelogin(&mut Reader::big(packet)) == Ok(true) => {
                self.wanted = value(packet, option::INSTANCE).map(names::text);
                Progress::More
            }
            kind::RESULT if !self.greeted && is_prelogin(&mut Reader::big(packet)) == Ok(true) => {
                self.greeted = true;
                self.greeting(from, packet, found);
                Progress::More
            }
            kind::LOGIN7 => {
                // What is cut off says less, and nothing wrong.
                let _ = self.login(from, packet, found);
                match self.is_proving {
                    true => Progress::More,
                    false => Progress::Done,
                }
            }
            kind::OLD_LOGIN => {
                let _ = self.old_login(from, message, found);
                Progress::Done
            }
            kind::RESULT if self.is_proving => {
                let is_leg = packet.first() == Some(&SSPI_TOKEN);
                self.is_proving = is_leg;
                self.prove(packet, from, found);
                match is_leg {
                    true => Progress::More,
                    false => Progress::Done,
                }
            }
            kind::SSPI => {
                self.prove(packet, from, found);
                Progress::Done
            }
            // TLS wrapped in PRELOGIN, or the answers to what was seen.
            kind::PRELOGIN | kind::RESULT => Progress::More,
            _ => Progress::Done,
        }
    }
}

impl Logon {
    fn greeting(&mut self, from: Direction, packet: &[u8], found: &mut Vec<Claim>) {
        if let Some([major, minor, high, low, ..]) = value(packet, option::VERSION) {
            let build = u16::from_be_bytes([*high, *low]);
            self.said
                .say(VERSION, format!("{major}.{minor}.{build}"), from, found);
        }
        if let Some([encryption]) = value(packet, option::ENCRYPTION) {
            let name = ENCRYPTIONS.get(usize::from(*encryption)).unwrap_or(&"");
            self.said.say(ENCRYPTION, (*name).to_owned(), from, found);
        }
        // 0: the instance is the one that was named.
        if let (Some([0]), Some(wanted)) = (value(packet, option::INSTANCE), self.wanted.take()) {
            self.said.say(INSTANCE, wanted, from, found);
        }
    }

    /// Places and lengths, in characters, of what stands behind (MS-TDS 2.2.6.4).
    fn login(
        &mut self,
        from: Direction,
        login: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let mut r = Reader::little(login);
        r.skip(36)?; // lengths, versions, flags, time zone, locale
        let text = |at: u16, len: u16| {
            let mut there = Reader::little(login);
            there.skip(at.into())?;
            there.take(usize::from(len) * 2).map(names::utf16)
        };
        let mut field = || Ok::<_, Short>((r.u16()?, r.u16()?));
        let (_host, _user, _password) = (field()?, field()?, field()?);
        let (application, server) = (field()?, field()?);
        for _ in 0..4 {
            field()?; // extensions, library, language, database
        }
        r.skip(6)?; // the client's network card
        let (at, len) = (r.u16()?, r.u16()?);
        let application = text(application.0, application.1)?;
        self.said.say(APPLICATION, application, from, found);
        self.said
            .say(SERVER, text(server.0, server.1)?, from, found);
        self.is_proving = len > 0;
        let mut blob = Reader::little(login);
        blob.skip(at.into())?;
        self.prove(blob.up_to(len.into()), from, found);
        Ok(())
    }

    fn prove(&mut self, blob: &[u8], from: Direction, found: &mut Vec<Claim>) {
        let version = ntlm::version(blob).unwrap_or_default();
        self.said.say(ntlm::VERSION, version, from, found);
    }

    fn old_login(
        &mut self,
        from: Direction,
        packet: &[u8],
        found: &mut Vec<Claim>,
    ) -> Result<(), Short> {
        let Some([major, minor]) = is_old_login(packet)? else {
            return Ok(());
        };
        let mut r = Reader::big(packet);
        r.skip(HEADER_LEN + 4 * 31 + 16)?;
        let application = old_text(&mut r)?.unwrap_or_default();
        let server = old_text(&mut r)?.unwrap_or_default();
        self.said.say(APPLICATION, application, from, found);
        self.said.say(SERVER, server, from, found);
        if major > 0 {
            let version = format!("{major}.{minor}");
            self.said.say(OLD_LOGIN, version, from, found);
        }
        Ok(())
    }
}

/// The value of an option of a PRELOGIN: a list of kinds, places and lengths, then the values.
fn value(packet: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut r = Reader::big(packet);
    for _ in 0..MAX_OPTIONS {
        let kind = r.u8().ok().filter(|kind| *kind != option::END)?;
        let (at, len) = (r.u16().ok()?, r.u16().ok()?);
        if kind == wanted {
            let mut there = Reader::big(packet);
            there.skip(at.into()).ok()?;
            return there.take(len.into()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::dissect::messages::samples::{said, torn};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16 + 8).to_be_bytes();
        [&[kind, 1, len[0], len[1], 0, 0, 1, 0], body].concat()
    }

    fn prelogin(instance: &[u8]) -> Vec<u8> {
        let len = [0, instance.len() as u8];
        let list = [
            b"\0\0\x10\0\x06\x01\0\x16\0\x01\x02\0\x17",
            &len[..],
            b"\xff",
        ]
        .concat();
        [&list, &b"\x08\0\0\xc2\0\0\0"[..], instance].concat()
    }

    fn login() -> Vec<u8> {
        let mut login = [0; 94];
        login[..4].copy_from_slice(&110_u32.to_le_bytes());
        login[7] = 0x71;
        // At 94 a program of three characters, and at 100 a server of five.
        login[48..52].copy_from_slice(&[94, 0, 3, 0]);
        login[52..56].copy_from_slice(&[100, 0, 5, 0]);
        [&login[..], b"a\0p\0p\0s\0q\0l\0\x31\0!\0"].concat()
    }

    fn stream() -> Box<dyn Dissector> {
        Box::new(Stream::new(&FRAMING, Logon::default()))
    }

    const ALL: [&str; 5] = [
        "tds-version: 8.0.194",
        "tds-encryption: login only",
        "sql-instance: UDDI",
        "tds-application: app",
        "tds-server: sql1!",
    ];

    #[test]
    fn server_and_client_say_who_they_are_and_want() {
        let talk = [
            (Forward, packet(kind::PRELOGIN, &prelogin(b"UDDI\0"))),
            (Reverse, packet(kind::RESULT, &prelogin(b"\0"))),
            (Forward, packet(kind::LOGIN7, &login())),
        ];
        let talk: Vec<(_, &[u8])> = talk
            .iter()
            .map(|(from, bytes)| (*from, &bytes[..]))
            .collect();
        assert_eq!(said(stream().as_mut(), &talk), ALL);
        torn(&stream, &talk);
    }

    #[test]
    fn what_ntlm_states_in_a_logon_is_told() {
        let [negotiate, challenge, proof] =
            [19041, 17763, 19045].map(|build| ntlm::samples::challenge([10, 0], build));
        let mut login = login();
        login[78..82].copy_from_slice(&[110, 0, 80, 0]);
        let login = [&login[..], &negotiate].concat();
        let answer = [&[SSPI_TOKEN, 80, 0][..], &challenge].concat();
        let talk = [
            (Forward, packet(kind::LOGIN7, &login)),
            (Reverse, packet(kind::RESULT, &answer)),
            (Forward, packet(kind::SSPI, &proof)),
        ];
        let talk: Vec<(_, &[u8])> = (talk.iter())
            .map(|(from, bytes)| (*from, &bytes[..]))
            .collect();
        let all = [
            "tds-application: app",
            "tds-server: sql1!",
            "ntlm-version: 10.0.19041",
            "ntlm-version: 10.0.17763",
            "ntlm-version: 10.0.19045",
        ];
        assert_eq!(said(stream().as_mut(), &talk), all);
        torn(&stream, &talk);
    }

    /// The first packet of an old login by `isql` to `SQL65`.
    fn old_login() -> Vec<u8> {
        let mut bytes = OLD_EXAMPLE.to_vec();
        for (at, text) in [(140, &b"isql"[..]), (171, b"SQL65")] {
            let at = HEADER_LEN + at;
            bytes[at..at + text.len()].copy_from_slice(text);
            bytes[at + 30] = text.len() as u8;
        }
        bytes
    }

    #[test]
    fn an_old_client_says_what_it_is_and_whom_it_wants() {
        let all = [
            "tds-application: isql",
            "tds-server: SQL65",
            "tds-login: 4.2",
        ];
        assert_eq!(said(stream().as_mut(), &[(Forward, &old_login())]), all);
        torn(&stream, &[(Forward, &old_login())]);
    }

    #[test]
    fn a_login_of_no_known_version_is_one_on_its_port_only() {
        let mut login = OLD_EXAMPLE;
        login[HEADER_LEN + 458] = 0;
        let answer = |port, bytes: &[u8]| {
            probe(&Opening {
                forward: bytes,
                reverse: &[],
                ports: (50_123, port),
                from_start: true,
            })
        };
        assert_eq!(answer(1433, &login), Probe::Yes(Some(Forward)));
        assert_eq!(answer(5000, &login), Probe::No);
        login[HEADER_LEN + 30] = 31;
        assert_eq!(
            answer(1433, &login),
            Probe::No,
            "a text longer than its field"
        );
    }

    #[test]
    fn an_instance_that_the_server_is_not_is_not_told_of() {
        let asked = packet(kind::PRELOGIN, &prelogin(b"UDDI\0"));
        for answer in [&b"\x01"[..], b""] {
            let answer = packet(kind::RESULT, &prelogin(answer));
            assert_eq!(
                said(stream().as_mut(), &[(Forward, &asked), (Reverse, &answer)]),
                ALL[..2]
            );
        }
    }

    #[test]
    fn tls_within_says_nothing_and_other_bytes_end_it() {
        let hello = packet(kind::PRELOGIN, b"\x16\x03\x01\0\x05hello");
        let mut found = Vec::new();
        let mut dissector = stream();
        assert_eq!(dissector.feed(Forward, &hello, &mut found), Progress::More);
        assert_eq!(
            dissector.feed(Forward, b"\x17\x03\x03\0\x20", &mut found),
            Progress::Done
        );
        assert!(found.is_empty());
    }

    #[test]
    fn places_outside_of_the_packet_and_endless_lists_are_refused() {
        let mut far = login();
        far[48..52].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        assert!(said(stream().as_mut(), &[(Forward, &packet(kind::LOGIN7, &far))]).is_empty());
        let endless = [&b"\0\0\x10\0\x06"[..], &b"\x09\0\0\0\0".repeat(500)].concat();
        assert_eq!(value(&endless, option::INSTANCE), None);
        assert_eq!(value(b"\x02\xff\0\xff\0", option::INSTANCE), None);
    }
}
