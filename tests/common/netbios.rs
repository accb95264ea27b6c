//! NetBIOS over TCP/IP for tests, built from words (RFC 1002, MS-MAIL).

use super::packets::{Said, client, server};

/// A name and its suffix in first-level encoding (RFC 1001 14.1).
fn encoded(name: &str, suffix: u8) -> Vec<u8> {
    let mut bytes = vec![0x20];
    let name = format!("{name:<15}").into_bytes();
    for byte in name.into_iter().chain([suffix]) {
        bytes.extend([b'A' + (byte >> 4), b'A' + (byte & 15)]);
    }
    bytes.push(0);
    bytes
}

/// A session on port 139 for this name of the server, which accepts.
pub fn session_for(name: &str, suffix: u8) -> Vec<Said> {
    let names = [encoded(name, suffix), encoded("PC1", 0)].concat();
    let request = [&[0x81, 0, 0, names.len() as u8][..], &names].concat();
    vec![client(request), server([0x82, 0, 0, 0])]
}

/// A datagram to port 138 that writes `data` to the mailslot at `path`.
pub fn mailslot(path: &str, to: (&str, u8), data: &[u8]) -> Vec<u8> {
    let names = [encoded("PC1", 0), encoded(to.0, to.1)].concat();
    let mut smb = b"\xffSMB\x25".to_vec();
    smb.resize(32, 0);
    let data_at = (32 + 1 + 34 + 2 + path.len() + 1) as u16;
    smb.push(17);
    let length = data.len() as u16;
    for word in [
        0, length, 0, 0, 0, 0, 0, 0, 0, 0, 0, length, data_at, 3, 1, 1, 2,
    ] {
        smb.extend(word.to_le_bytes());
    }
    smb.extend((path.len() as u16 + 1 + length).to_le_bytes());
    smb.extend(path.as_bytes());
    smb.push(0);
    smb.extend(data);
    let mut datagram = vec![0x10, 0x02, 0, 1, 10, 20, 0, 101, 0, 138];
    datagram.extend(((names.len() + smb.len()) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    [datagram, names, smb].concat()
}
