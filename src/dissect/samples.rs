//! The first bytes of every protocol, for tests: what each probe must know, and all others refuse.

use crate::dissect::{Input, rpc};
use crate::model::protocol::Protocol;

/// How a flow of a protocol begins.
pub struct Sample {
    pub protocol: Protocol,
    pub input: Input,
    /// What the client sends, then what the server does; either may be empty.
    pub talk: [Vec<u8>; 2],
    /// The server's port.
    pub port: u16,
}

fn stream(protocol: Protocol, port: u16, client: &[u8], server: &[u8]) -> Sample {
    Sample {
        protocol,
        input: Input::Stream,
        talk: [client.to_vec(), server.to_vec()],
        port,
    }
}

fn datagram(protocol: Protocol, port: u16, client: &[u8], server: &[u8]) -> Sample {
    Sample {
        input: Input::Datagram,
        ..stream(protocol, port, client, server)
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const QUESTION: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\
    \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
/// `*` in first-level encoding.
const STAR: &[u8] = b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0";
const AS_REQ: &[u8] =
    b"\x6a\x81\x80\x30\x7e\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa3\x72\x30\x70";
const KRB_ERROR: &[u8] = b"\x7e\x0e\x30\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa4\x00";
const SEARCH: &[u8] = b"\x30\x84\0\0\0\x1d\x02\x01\x07\x63\x84\0\0\0\x14\x04\0\x0a\x01\0\x0a\x01\0\
    \x02\x01\0\x02\x01\0\x01\x01\0\x87\0";
const FOUND: &[u8] = b"\x30\x0c\x02\x01\x07\x64\x07\x04\x01x\x30\0\0\0";
const COOKIE: &[u8] = &[0x1a, 0x2b, 0x3c, 0x4d];

fn as_req() -> Vec<u8> {
    let mut bytes = AS_REQ.to_vec();
    bytes.resize(0x83, 0);
    bytes
}

fn client_hello() -> Vec<u8> {
    let mut bytes = vec![22, 3, 1, 0, 0x54, 1, 0, 0, 0x50, 3, 3];
    bytes.resize(5 + 0x54, 0xab);
    bytes
}

fn bootp(operation: u8) -> Vec<u8> {
    let mut bytes = vec![operation, 1, 6, 0];
    bytes.resize(236, 0);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    bytes
}

fn ntp(mode: u8) -> Vec<u8> {
    let mut bytes = vec![0x18 | mode, 2, 6, 0xe9];
    bytes.resize(40, 0);
    bytes.extend([0xd0, 1, 2, 3, 4, 5, 6, 7]);
    bytes
}

fn radius(code: u8) -> Vec<u8> {
    let mut bytes = vec![code, 7, 0, 25];
    bytes.extend([0x5a; 16]);
    bytes.extend(*b"\x01\x05bob");
    bytes
}

fn ike() -> Vec<u8> {
    let mut bytes = vec![0x11; 8];
    bytes.extend([0; 8]);
    bytes.extend([33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 40]);
    bytes.extend([0; 12]);
    bytes
}

fn quic() -> Vec<u8> {
    let mut bytes = vec![0xc3, 0, 0, 0, 1, 1, 7, 0];
    bytes.resize(1200, 0x42);
    bytes
}

fn session_request() -> Vec<u8> {
    joined(&[&[0x81, 0, 0, 68], STAR, STAR])
}

fn negotiate() -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0x66, 0xfe, b'S', b'M', b'B', 64, 0];
    bytes.resize(4 + 0x66, 0);
    bytes
}

fn prelogin() -> Vec<u8> {
    let mut bytes = vec![
        0x12, 1, 0, 26, 0, 0, 1, 0, 0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff,
    ];
    bytes.resize(26, 0);
    bytes
}

fn call(kind: u8) -> Vec<u8> {
    let mut bytes = vec![4, kind, 0, 0, 0x10, 0, 0, 0];
    bytes.resize(80, 0x11);
    bytes.splice(74..80, [0; 6]);
    bytes
}

/// One sample or more of every protocol there is.
pub fn all() -> Vec<Sample> {
    let bind = rpc::samples::bind(1, &[(0, rpc::samples::SAMR)]).bytes;
    let ack = rpc::samples::bind_ack(1, &[rpc::samples::ACCEPT]).bytes;
    let framed_question = joined(&[&[0, QUESTION.len() as u8], QUESTION]);
    let framed_answer = joined(&[&[0, ANSWER.len() as u8], ANSWER]);
    let as_req = as_req();
    let framed_as_req = joined(&[&[0, 0, 0, 0x83], &as_req]);
    let name_query = joined(&[b"\0\x01\x01\x10\0\x01\0\0\0\0\0\0", STAR, b"\0\x20\0\x01"]);
    let name_answer = joined(&[
        b"\0\x01\x85\0\0\0\0\x01\0\0\0\0",
        STAR,
        b"\0\x20\0\x01\0\0\0\0\0\x06\0\0\x0a\0\0\x01",
    ]);
    let broadcast = joined(&[
        b"\x11\x0a\0\x01\x0a\0\0\x01\0\x8a\0\xaa\0\0",
        STAR,
        STAR,
        b"\xffSMB",
    ]);
    let change = b"\x00\x1e\0\x01\0\x10\x6e\x0e\x30\x0c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\
        ........\xa2\0";
    let framed_change = joined(&[&[0, 0, 0, 30], change]);
    let pptp = joined(&[&[0, 156, 0, 1], COOKIE, &[0, 1, 0, 0], &[0; 144]]);
    let stun = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    let stun_answer = b"\x01\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    let l2tp = b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01";
    let snmp = b"\x30\x1d\x02\x01\0\x04\x06public\xa0\x10\x02\x01\x01\x02\x01\0\x02\x01\0\
        \x30\x05\x30\x03\x06\x01\x2b";
    let snmp3 = b"\x30\x14\x02\x01\x03\x30\x0d\x02\x01\x01\x02\x02\x05\xdc\x04\x01\x04\x02\x01\
        \x03\x04\0";
    let browser = joined(&[&[5, 23, 0], b"ServerName;SQL1;tcp;1;;"]);
    use Protocol::*;
    vec![
        stream(Rpc, 49154, &bind, &ack),
        stream(Rpc, 135, &[], &ack),
        datagram(RpcDatagram, 135, &call(0), &call(2)),
        stream(RpcHttp, 593, &bind, b"ncacn_http/1.0"),
        stream(
            RpcHttp,
            80,
            b"RPC_IN_DATA /rpc/rpcproxy.dll HTTP/1.1\r\n\r\n",
            b"",
        ),
        stream(Smb, 445, &negotiate(), &[]),
        stream(NetbiosSession, 139, &session_request(), &[0x82, 0, 0, 0]),
        stream(
            NetbiosSession,
            139,
            &session_request(),
            &[0x83, 0, 0, 1, 0x82],
        ),
        datagram(NetbiosName, 137, &name_query, &name_answer),
        datagram(NetbiosDatagram, 138, &broadcast, &[]),
        datagram(Dns, 53, QUESTION, ANSWER),
        datagram(Dns, 53, &[], ANSWER),
        stream(Dns, 53, &framed_question, &framed_answer),
        datagram(Kerberos, 88, &as_req, KRB_ERROR),
        stream(Kerberos, 88, &framed_as_req, &[]),
        datagram(Kpasswd, 464, change, &[]),
        stream(Kpasswd, 464, &framed_change, &[]),
        stream(Ldap, 389, SEARCH, FOUND),
        stream(
            Ldap,
            389,
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
            b"",
        ),
        datagram(Ldap, 389, SEARCH, FOUND),
        stream(Http, 80, b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"),
        stream(Http, 5985, b"POST /wsman HTTP/1.1\r\n", b""),
        stream(Http, 80, b"", b"HTTP/1.0 404 No\r\n"),
        stream(Tls, 443, &client_hello(), &[]),
        stream(Smtp, 25, b"EHLO me\r\n", b"220 mail ready\r\n"),
        stream(Smtp, 25, b"", b"220 mail Microsoft ESMTP MAIL Service\r\n"),
        stream(Pop3, 110, b"USER me\r\n", b"+OK ready\r\n"),
        stream(Pop3, 110, b"", b"+OK Dovecot POP3 ready\r\n"),
        stream(Imap, 143, b"a1 CAPABILITY\r\n", b"* OK ready\r\n"),
        stream(
            Nntp,
            119,
            b"GROUP comp.lang\r\n",
            b"200 posting allowed\r\n",
        ),
        stream(Nntp, 119, b"", b"201 Leafnode NNTP daemon\r\n"),
        stream(Ftp, 21, b"USER me\r\n", b"220 ready\r\n"),
        stream(Ftp, 4131, b"", b"220 Microsoft FTP Service\r\n"),
        datagram(Tftp, 69, b"\0\x01boot.0\0octet\0", &[]),
        stream(Telnet, 23, &[], &[255, 253, 24, 255, 251, 1]),
        stream(Ssh, 22, b"SSH-2.0-me\r\n", b"SSH-2.0-you\r\n"),
        stream(
            Rdp,
            3389,
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
        ),
        stream(
            Rdp,
            3390,
            b"\x03\0\0\x24\x1f\xe0\0\0\0\0\0Cookie: mstshash=me\r\n\r\n",
            b"",
        ),
        datagram(Dhcp, 67, &bootp(1), &bootp(2)),
        datagram(Ntp, 123, &ntp(3), &ntp(4)),
        datagram(Snmp, 161, snmp, &[]),
        datagram(Snmp, 161, snmp3, &[]),
        datagram(Radius, 1812, &radius(1), &radius(2)),
        datagram(Isakmp, 500, &ike(), &[]),
        datagram(NatT, 4500, &joined(&[&[0; 4], &ike()]), &[0xff]),
        datagram(L2tp, 1701, l2tp, &[]),
        stream(Pptp, 1723, &pptp, &[]),
        stream(
            Rtsp,
            554,
            b"DESCRIBE rtsp://h/v RTSP/1.0\r\n",
            b"RTSP/1.0 200 OK\r\n",
        ),
        stream(
            Sip,
            5060,
            b"INVITE sip:a@b SIP/2.0\r\n",
            b"SIP/2.0 100 Trying\r\n",
        ),
        datagram(
            Sip,
            5060,
            b"INVITE sip:a@b SIP/2.0\r\n",
            b"SIP/2.0 100 Trying\r\n",
        ),
        datagram(
            Ssdp,
            1900,
            b"M-SEARCH * HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ),
        stream(Tds, 1433, &prelogin(), &[]),
        datagram(SqlBrowser, 1434, &[3], &browser),
        datagram(SqlBrowser, 1434, b"\x04MSSQL\0", &[]),
        stream(Lpd, 515, b"\x02queue\n", &[0]),
        datagram(Stun, 3478, stun, stun_answer),
        stream(Stun, 3478, stun, stun_answer),
        datagram(Quic, 443, &quic(), &[]),
        stream(BitTorrent, 6881, b"\x13BitTorrent protocol", &[]),
    ]
}
