//! Names that strangers choose: with terminal escapes, HTML, formulas of spreadsheets, line ends,
//! characters that turn text around, and bytes that are no text. Whatever protocol tells one, and
//! whatever format shows it, it stays a piece of text in its place.

mod common;

use common::netbios;
use common::packets::{Capture, client, server};
use common::{Run, smb};

/// In each name, to find it again.
const MARK: &str = "evil";

const NAMES: &[&[u8]] = &[
    b"=evil|' /C calc'!A0",
    b"+evil|' /C calc'!A0",
    b"-evil+1",
    b"@evil(1+1)",
    "\u{ff1d}evil(1)".as_bytes(),
    b"evil;=cmd|' /C calc'!A0",
    b"evil,=cmd|' /C calc'!A0,",
    b"evil\t=cmd|' /C calc'!A0",
    b"evil\";=cmd|' /C calc'!A0;\"",
    b"evil\x1b[2J\x1b]0;owned\x07",
    "evil\u{9b}2J".as_bytes(),
    b"evil<script>alert(1)</script><img src=x onerror=alert(1)>",
    b"evil\r\n10.0.0.1,80,tcp,lies\r\n{\"service\":\"lies\"}\r\n",
    "evil\u{202e}fdp.exe\u{2066}\u{200b}".as_bytes(),
    b"evil\xff\xfe\xc3\x28\xed\xa0\x80\0",
];

/// What tells a name: how it is called here, and a capture with the name in it.
type Carrier = (&'static str, fn(&mut Capture, &[u8]));

const CARRIERS: &[Carrier] = &[
    ("FTP greeting", |capture, name| {
        let greeting = [b"220 ", name, b"\r\n"].concat();
        line_talk(capture, 21, &greeting, b"USER x\r\n");
    }),
    ("SMTP greeting", |capture, name| {
        let greeting = [b"220 ", name, b" ESMTP\r\n"].concat();
        line_talk(capture, 25, &greeting, b"EHLO x\r\n");
    }),
    ("SSH version", |capture, name| {
        let greeting = [b"SSH-2.0-", name, b"\r\n"].concat();
        line_talk(capture, 22, &greeting, b"SSH-2.0-x\r\n");
    }),
    ("HTTP host and agent", |capture, name| {
        let agent = [b"\r\nUser-Agent: ", name, b"\r\n\r\n"].concat();
        let request = [b"GET / HTTP/1.1\r\nHost: ", name, &agent].concat();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        capture.tcp(80, &[client(request), server(answer)]);
    }),
    ("HTTP server", |capture, name| {
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: ";
        let answer = [&head[..], name, b"\r\n\r\n"].concat();
        capture.tcp(80, &[client(request), server(answer)]);
    }),
    ("SMB pipe", |capture, name| {
        let pipe = String::from_utf8_lossy(name).into_owned();
        let talk = smb::through_pipe(&pipe, vec![client(b"?"), server(b"!")]);
        capture.tcp(445, &talk);
    }),
    ("mailslot", |capture, name| {
        let path = String::from_utf8_lossy(name).replace('\0', "");
        let path = format!("\\MAILSLOT\\{path}");
        let datagram = netbios::mailslot(&path, ("OFFICE", 0x1d), b"x");
        capture.udp(138, &[client(datagram)]);
    }),
    ("NetBIOS session", |capture, name| {
        let short: String = String::from_utf8_lossy(name).chars().take(5).collect();
        capture.tcp(139, &netbios::session_for(&short, 0x20));
    }),
    ("SQL Server instance", |capture, name| {
        let words = [
            b"ServerName;DC1;InstanceName;",
            name,
            b";IsClustered;No;Version;15.0.2000.5;tcp;1433;;",
        ];
        let words = words.concat();
        let length = (words.len() as u16).to_le_bytes();
        let answer = [&[5], &length[..], &words].concat();
        capture.udp(1434, &[client([3]), server(answer)]);
    }),
    ("DNS name", |capture, name| {
        let labels = [&b"\x05_ldap\x04_tcp"[..], &[name.len() as u8], name].concat();
        let question = [&labels[..], b"\0\0\x21\0\x01"].concat();
        let message = |flags: u16| {
            let head = [7, flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
            [head, question.clone()].concat()
        };
        capture.udp(53, &[client(message(0x0100)), server(message(0x8183))]);
    }),
    ("certificate", |capture, name| {
        let shown = [
            hello(2, &[]),
            handshake(11, &counted(3, &counted(3, &certificate(name)))),
        ];
        capture.tcp(
            8443,
            &[
                client(record(&hello(1, b"x"))),
                server(record(&shown.concat())),
            ],
        );
    }),
    ("TLS server name", |capture, name| {
        capture.tcp(
            8443,
            &[
                client(record(&hello(1, name))),
                server(record(&hello(2, &[]))),
            ],
        );
    }),
];

fn line_talk(capture: &mut Capture, port: u16, greeting: &[u8], answer: &[u8]) {
    capture.tcp(port, &[server(greeting), client(answer)]);
}

/// Bytes behind their length of so many bytes.
fn counted(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

/// A TLS record of the handshake, and a message in it (RFC 5246 6.2.1, 7.4).
fn record(messages: &[u8]) -> Vec<u8> {
    [&[22, 3, 3][..], &counted(2, messages)].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &counted(3, body)].concat()
}

/// The client's hello for a server of this name, or the server's (RFC 5246 7.4.1, RFC 6066 3).
fn hello(kind: u8, name: &[u8]) -> Vec<u8> {
    let begin = [&[3, 3][..], &[7; 32], &[0]].concat();
    let name = counted(2, &[&[0][..], &counted(2, name)].concat());
    let extension = [&[0, 0][..], &counted(2, &name)].concat();
    let rest = match kind {
        1 => [&[0, 2, 0x13, 1, 1, 0][..], &counted(2, &extension)].concat(),
        _ => vec![0x13, 1, 0, 0, 0],
    };
    handshake(kind, &[begin, rest].concat())
}

/// A certificate of and by whom this names (RFC 5280 4.1).
fn certificate(name: &[u8]) -> Vec<u8> {
    let der = |tag: u8, parts: &[&[u8]]| [&[tag, 0x82][..], &counted(2, &parts.concat())].concat();
    let common_name = [der(6, &[&[0x55, 4, 3]]), der(12, &[name])].concat();
    let name = der(0x30, &[&der(0x31, &[&der(0x30, &[&common_name])])]);
    let empty = der(0x30, &[]);
    let parts: [&[u8]; 6] = [&[2, 1, 77], &empty, &name, &empty, &name, &empty];
    der(0x30, &[&der(0x30, &parts), &empty, &[3, 1, 0]])
}

/// What the program makes of a capture in which `carry` tells every name.
fn label(carry: fn(&mut Capture, &[u8]), arguments: &[&str]) -> Run {
    let mut capture = Capture::new();
    NAMES.iter().for_each(|name| carry(&mut capture, name));
    let run = common::run_with(
        &[&["label", "--stats", "-"], arguments].concat(),
        &capture.pcap(),
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run
}

/// What may not stand anywhere in what people look at.
fn is_dangerous(c: char) -> bool {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    (c.is_control() && c != '\n') || turns || c == '\u{feff}'
}

const ROWS: [&str; 4] = ["service", "flow", "host", "endpoint"];

#[test]
fn every_carrier_carries_names_into_the_rows() {
    for (what, carry) in CARRIERS {
        let run = label(*carry, &["--by", "flow", "--format", "ndjson"]);
        let text = String::from_utf8(run.stdout).expect("NDJSON is UTF-8");
        assert!(text.contains(MARK), "{what}");
    }
}

#[test]
fn no_name_commands_a_terminal_or_turns_text_around() {
    for (what, carry) in CARRIERS {
        for by in ROWS {
            for format in ["table", "csv", "ndjson"] {
                let run = label(*carry, &["--by", by, "--format", format]);
                let text = String::from_utf8(run.stdout).expect("text") + &run.stderr;
                let found = text.chars().find(|c| is_dangerous(*c));
                assert_eq!(found, None, "{what} by {by} as {format}: {text}");
            }
        }
    }
}

#[test]
fn no_name_begins_a_row_of_its_own() {
    for (what, carry) in CARRIERS {
        let run = label(*carry, &["--by", "flow", "--format", "ndjson"]);
        let rows = run.rows();
        assert!(rows.iter().all(|row| row["flow_id"].is_u64()), "{what}");
        for (format, beside) in [("csv", 1), ("table", 1)] {
            let run = label(*carry, &["--by", "flow", "--format", format]);
            let lines = String::from_utf8(run.stdout).expect("text").lines().count();
            assert_eq!(lines, rows.len() + beside, "{what} as {format}");
        }
    }
}

#[test]
fn no_name_is_a_formula_however_a_spreadsheet_cuts_the_cells() {
    for (what, carry) in CARRIERS {
        for by in ROWS {
            let run = label(*carry, &["--by", by, "--format", "csv"]);
            // Comma is what is written; where it is the decimal sign, spreadsheets cut elsewhere.
            for separator in [b',', b';', b'\t'] {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(separator)
                    .flexible(true)
                    .from_reader(&run.stdout[..]);
                for row in reader.records() {
                    for cell in &row.expect("text") {
                        let formula = [
                            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
                        ];
                        // What was read from standard input is called so.
                        let is_formula = cell.starts_with(formula) && cell != "-";
                        assert!(!is_formula, "{what} by {by}: {cell}");
                    }
                }
            }
        }
    }
}
