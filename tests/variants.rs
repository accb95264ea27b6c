//! Ways to negotiate that no capture at hand shows, as the specifications have them: where the traffic
//! goes then, and whose it is.

mod common;

use std::fs;

use common::packets::{Capture, Said, client, server};
use common::smb;
use serde_json::Value as Json;
use tempfile::TempDir;

/// A port that nobody lists, which some server says is its.
const HIGH: u16 = 49_900;

fn rows(capture: &Capture) -> Vec<Json> {
    let folder = TempDir::new().expect("there is room");
    let path = folder.path().join("built.pcap");
    fs::write(&path, capture.pcap()).expect("there is room");
    let run = common::label([path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.rows()
}

/// The row of the flow to or from this port.
fn row(capture: &Capture, port: u16) -> Json {
    let rows = rows(capture).into_iter();
    let mut meant = rows.filter(|row| row["client_port"] == port || row["server_port"] == port);
    meant.next().expect("there is such a flow")
}

fn has_evidence(row: &Json, kind: &str, value: &str) -> bool {
    let evidence = row["evidence"].as_array().expect("it is a list");
    evidence.iter().any(|one| {
        let text = one["value"].as_str().expect("it is text");
        one["kind"] == kind && text.contains(value)
    })
}

/// Whether a row is named by what another flow agreed on.
fn assert_agreed(row: &Json, service: &str, kind: &str) {
    let named = (&row["service"], &row["basis"]);
    assert_eq!(named, (&service.into(), &"endpoint".into()), "{row:#}");
    assert!(has_evidence(row, kind, ""), "{row:#}");
}

/// What a client and a server of FTP say before data are sent, and the lines that agree on where.
fn ftp(lines: &[Said]) -> Capture {
    let mut capture = Capture::over_ipv6();
    let greeting = [
        server(b"220 Microsoft FTP Service\r\n"),
        client(b"USER ftp\r\n"),
        server(b"230 User logged in.\r\n"),
    ];
    capture.tcp(21, &[&greeting, lines].concat());
    capture
}

#[test]
fn ftp_over_ipv6_opens_its_data_connection_where_epsv_says() {
    for answer in ["(|||49900|)", "(!!!49900!)", "(|||49900|)."] {
        let answer = format!("229 Entering Extended Passive Mode {answer}\r\n");
        let mut capture = ftp(&[client(b"EPSV 2\r\n"), server(answer)]);
        capture.tcp(HIGH, &[server(b"file1\r\n")]);
        assert_agreed(&row(&capture, HIGH), "MSFtpSvc", "ftp-data");
    }
}

#[test]
fn ftp_over_ipv6_opens_its_data_connection_where_eprt_says() {
    for eprt in [
        "EPRT |2|fd00::65|49900|",
        "EPRT !2!FD00:0:0:0:0:0:0:65!49900!",
    ] {
        let mut capture = ftp(&[
            client(format!("{eprt}\r\n")),
            server(b"200 EPRT command successful.\r\n"),
            client(b"LIST\r\n"),
            server(b"150 Opening ASCII mode data connection.\r\n"),
        ]);
        capture.tcp_back(20, HIGH, &[server(b"file1\r\n")]);
        assert_agreed(&row(&capture, HIGH), "MSFtpSvc", "ftp-data");
    }
}

#[test]
fn media_within_an_rtsp_connection_agree_on_no_port() {
    let mut capture = Capture::new();
    let setup =
        |transport: &str| format!("SETUP rtsp://media/a/1 RTSP/1.0\r\nCSeq: 2\r\n{transport}");
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=5a\r\n\r\n";
    let asks = setup(
        "Transport: RTP/AVP/UDP;unicast;client_port=6970-6971,RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    );
    let answer =
        format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\nServer: WMServer/9.1.1.3814\r\n{transport}");
    let media = server(b"$\0\0\x04rtp.$\x01\0\x04rtcp");
    capture.tcp(554, &[client(asks), server(answer), media]);
    capture.udp_from(6970, 6970, &[server([0x80; 40])]);
    let session = row(&capture, 554);
    assert_eq!(session["service"], "WMServer", "{session:#}");
    let other = row(&capture, 6970);
    assert!(!has_evidence(&other, "rtsp-media", ""), "{other:#}");
    assert_ne!(other["service"], "WMServer", "{other:#}");
}

#[test]
fn a_transfer_of_tftp_is_told_whatever_the_server_begins_it_with() {
    let acknowledged = b"\0\x06tsize\x0031124\0blksize\x001456\0windowsize\x004\0";
    let ways: [&[Said]; 4] = [
        &[
            server(acknowledged),
            client(b"\0\x04\0\0"),
            server(b"\0\x03\0\x01MZ"),
            client(b"\0\x04\0\x01"),
        ],
        // A client that wanted to know the size alone.
        &[server(acknowledged), client(b"\0\x05\0\x08TFTP aborted\0")],
        &[server(b"\0\x05\0\x01File not found\0")],
        &[server(b"\0\x05\0\0")],
    ];
    for way in ways {
        let mut capture = Capture::new();
        let request = b"\0\x01boot\\x64\\wdsnbp.com\0octet\0tsize\x000\0blksize\x001456\0";
        capture.udp_from(2070, 69, &[client(request)]);
        capture.udp_from(2070, HIGH, way);
        assert_agreed(&row(&capture, HIGH), "tftpd", "tftp-transfer");
    }
}

/// A browser's answer to who asks for all instances (MC-SQLR 2.2.5).
fn instances(list: &str) -> Said {
    let len = (list.len() as u16).to_le_bytes();
    server([&[5], &len[..], list.as_bytes()].concat())
}

#[test]
fn of_several_instances_each_is_found_at_its_own_port_or_pipe() {
    let list = format!(
        "ServerName;SQL1;InstanceName;PAYROLL;IsClustered;No;Version;9.00.1399.06;\
        np;\\\\SQL1\\pipe\\MSSQL$PAYROLL\\sql\\query;;\
        ServerName;SQL1;InstanceName;UDDI;IsClustered;No;Version;8.00.194;tcp;{HIGH};;\
        ServerName;SQL1;InstanceName;IDLE;IsClustered;No;Version;8.00.194;;"
    );
    let mut capture = Capture::new();
    capture.udp(1434, &[client(b"\x03"), instances(&list)]);
    capture.tcp(HIGH, &[]);
    capture.tcp(
        445,
        &smb::through_pipe(r"MSSQL$PAYROLL\sql\query", Vec::new()),
    );
    let at_port = row(&capture, HIGH);
    assert_agreed(&at_port, "MSSQL$UDDI", "sql-instance");
    assert!(
        has_evidence(&at_port, "sql-instance", "UDDI"),
        "{at_port:#}"
    );
    assert!(!has_evidence(&at_port, "sql-instance", "PAYROLL"));
    let at_pipe = row(&capture, 445);
    let mut reached = at_pipe["services"].as_array().expect("a list").iter();
    let named = |one: &Json| one["service"] == "MSSQL$NAME" && one["basis"] == "content";
    assert!(reached.any(named), "{at_pipe:#}");
}

/// A datagram that opens RDP over UDP, with what stands behind its header.
fn opening(flags: u16, acknowledged: u32, extra: &[u8]) -> Vec<u8> {
    let mut datagram = acknowledged.to_be_bytes().to_vec();
    for half in [0x40, flags, 0x1234, 0x5678, 1232, 1232] {
        datagram.extend(half.to_be_bytes());
    }
    datagram.extend(extra);
    datagram.resize(1232, 0);
    datagram
}

#[test]
fn rdp_over_udp_is_known_with_its_identifier_its_version_and_its_cookie() {
    // A correlation identifier with its reserve, then a version and the hash of a cookie.
    let (identifier, version) = (
        [&[0x5a; 16][..], &[0; 16]].concat(),
        [&[0, 1, 1, 1][..], &[7; 32]].concat(),
    );
    for (beside, extra) in [
        (0x0000, Vec::new()),
        (0x0200, Vec::new()),
        (0x0800, identifier.clone()),
        (0x1000, version.clone()),
        (0x1a00, [identifier, version].concat()),
    ] {
        let mut capture = Capture::new();
        let asks = opening(0x0001 | beside, u32::MAX, &extra);
        let answers = opening(0x0005 | beside & 0x1000, 0x1234_5678, &[]);
        capture.udp(3389, &[client(asks), server(answers)]);
        let row = row(&capture, 3389);
        assert_eq!(row["service"], "TermService", "{beside:#x}: {row:#}");
        assert!(has_evidence(&row, "protocol", "rdp-udp"), "{row:#}");
    }
}

#[test]
fn keepalives_are_of_nat_traversal_on_its_port_alone() {
    let keepalives = [client(b"\xff"), client(b"\xff")];
    let mut capture = Capture::new();
    capture.udp(4500, &keepalives);
    assert!(has_evidence(&row(&capture, 4500), "protocol", "nat-t"));
    let mut capture = Capture::new();
    capture.udp(HIGH, &keepalives);
    let elsewhere = row(&capture, HIGH);
    assert!(!has_evidence(&elsewhere, "protocol", ""), "{elsewhere:#}");
    let esp = [b"\x12\x34\x56\x78\0\0\0\x01".as_slice(), &[0xa5; 40]].concat();
    let mut capture = Capture::new();
    capture.udp(4500, &[client(b"\xff"), client(&esp), server(&esp)]);
    let behind = row(&capture, 4500);
    assert!(
        has_evidence(&behind, "esp-in-udp", "0x12345678"),
        "{behind:#}"
    );
}
