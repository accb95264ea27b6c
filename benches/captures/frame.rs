//! Ethernet frames of IPv4 with TCP and UDP, with all checksums right.

/// FIN, RFC 9293 3.1.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// PSH.
pub const PUSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;

/// An IPv4 address and a port.
pub type Side = (u32, u16);

/// Bytes of the headers of a TCP segment, from Ethernet on.
pub const TCP_HEADERS: usize = 54;

/// Bytes of the headers of a UDP datagram, from Ethernet on.
pub const UDP_HEADERS: usize = 42;

/// Puts a TCP segment into `frame`. `numbers` are sequence and acknowledgement number.
pub fn tcp(
    frame: &mut Vec<u8>,
    from: Side,
    to: Side,
    numbers: (u32, u32),
    flags: u8,
    payload: &[u8],
) {
    begin(frame, 6, from.0, to.0, 20 + payload.len());
    let start = frame.len();
    frame.extend_from_slice(&from.1.to_be_bytes());
    frame.extend_from_slice(&to.1.to_be_bytes());
    frame.extend_from_slice(&numbers.0.to_be_bytes());
    frame.extend_from_slice(&numbers.1.to_be_bytes());
    frame.extend_from_slice(&[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    frame.extend_from_slice(payload);
    finish(frame, 6, (from.0, to.0), start, 16);
}

/// Puts a UDP datagram into `frame`.
pub fn udp(frame: &mut Vec<u8>, from: Side, to: Side, payload: &[u8]) {
    let length = 8 + payload.len();
    begin(frame, 17, from.0, to.0, length);
    let start = frame.len();
    frame.extend_from_slice(&from.1.to_be_bytes());
    frame.extend_from_slice(&to.1.to_be_bytes());
    frame.extend_from_slice(&(length as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    finish(frame, 17, (from.0, to.0), start, 6);
}

/// Ethernet and IPv4 headers before `length` bytes.
fn begin(frame: &mut Vec<u8>, protocol: u8, from: u32, to: u32, length: usize) {
    frame.clear();
    for host in [to, from] {
        frame.extend_from_slice(&[2, 0]);
        frame.extend_from_slice(&host.to_be_bytes());
    }
    frame.extend_from_slice(&[0x08, 0x00]);
    let total = (20 + length) as u16;
    let mut header = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 128, protocol, 0, 0];
    header[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = add(&header, 0) + add(&from.to_be_bytes(), 0) + add(&to.to_be_bytes(), 0);
    header[10..12].copy_from_slice(&folded(sum).to_be_bytes());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&from.to_be_bytes());
    frame.extend_from_slice(&to.to_be_bytes());
}

/// Puts in the checksum of the transport layer, which lies `at` bytes after `start`.
fn finish(frame: &mut [u8], protocol: u8, hosts: (u32, u32), start: usize, at: usize) {
    let length = (frame.len() - start) as u64;
    let pseudo = add(&hosts.0.to_be_bytes(), 0) + add(&hosts.1.to_be_bytes(), 0);
    let sum = add(&frame[start..], pseudo + u64::from(protocol) + length);
    // RFC 768: a checksum of zero is sent as all ones.
    let sum = match folded(sum) {
        0 => u16::MAX,
        sum => sum,
    };
    frame[start + at..start + at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Adds the words of `bytes` to a sum (RFC 1071).
pub fn add(bytes: &[u8], sum: u64) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let whole: u64 = (words.by_ref())
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let odd = words.remainder().first();
    sum + whole + odd.map_or(0, |last| u64::from(*last) << 8)
}

/// The checksum that a sum comes to (RFC 1071).
pub fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
