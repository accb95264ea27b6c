//! Capture files for tests, built from words.

/// A number as it is written in a byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Little,
    Big,
}

impl Written {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Written::Little => value.to_le_bytes(),
            Written::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Written::Little => value.to_le_bytes(),
            Written::Big => value.to_be_bytes(),
        }
    }
}

/// A pcap file header with this magic, version and network field.
pub(crate) fn pcap_header(w: Written, magic: u32, version: (u16, u16), network: u32) -> Vec<u8> {
    let mut bytes = w.u32(magic).to_vec();
    bytes.extend(w.u16(version.0));
    bytes.extend(w.u16(version.1));
    bytes.extend([0; 8]);
    bytes.extend(w.u32(65535));
    bytes.extend(w.u32(network));
    bytes
}

/// A pcap record header.
pub(crate) fn pcap_record_header(w: Written, time: (u32, u32), lengths: (u32, u32)) -> Vec<u8> {
    [time.0, time.1, lengths.0, lengths.1]
        .iter()
        .flat_map(|field| w.u32(*field))
        .collect()
}

/// A whole pcap record of 100 bytes on the wire.
pub(crate) fn pcap_record(w: Written, time: (u32, u32), data: &[u8]) -> Vec<u8> {
    let mut bytes = pcap_record_header(w, time, (data.len() as u32, 100));
    bytes.extend(data);
    bytes
}

/// A usual pcap file: little-endian, microseconds, Ethernet; a record for each second and letter.
pub(crate) fn pcap(records: &[(u32, &[u8])]) -> Vec<u8> {
    let w = Written::Little;
    let mut bytes = pcap_header(w, 0xa1b2_c3d4, (2, 4), 1);
    for (seconds, data) in records {
        bytes.extend(pcap_record(w, (*seconds, 0), data));
    }
    bytes
}

/// A pcapng block: its body is padded.
pub(crate) fn block(w: Written, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = w.u32(padded as u32 + 12);
    let mut bytes = w.u32(kind).to_vec();
    bytes.extend(length);
    bytes.extend(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

/// A section header of version 1.0 and unknown length.
pub(crate) fn section(w: Written) -> Vec<u8> {
    let mut body = w.u32(0x1a2b_3c4d).to_vec();
    body.extend(w.u16(1));
    body.extend(w.u16(0));
    body.extend([0xff; 8]);
    block(w, 0x0a0d_0d0a, &body)
}

/// An interface description with options (code, value).
pub(crate) fn interface(w: Written, link: u16, snap: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = w.u16(link).to_vec();
    body.extend([0, 0]);
    body.extend(w.u32(snap));
    for (code, value) in options {
        body.extend(w.u16(*code));
        body.extend(w.u16(value.len() as u16));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(w, 1, &body)
}

/// An enhanced packet block; 100 bytes on the wire.
pub(crate) fn enhanced(w: Written, interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
    let mut body = w.u32(interface).to_vec();
    body.extend(packet_fields(w, units, data));
    block(w, 6, &body)
}

/// An obsolete packet block; 100 bytes on the wire.
pub(crate) fn obsolete(w: Written, interface: u16, units: u64, data: &[u8]) -> Vec<u8> {
    let mut body = w.u16(interface).to_vec();
    body.extend([0, 9]);
    body.extend(packet_fields(w, units, data));
    block(w, 2, &body)
}

fn packet_fields(w: Written, units: u64, data: &[u8]) -> Vec<u8> {
    let mut fields = w.u32((units >> 32) as u32).to_vec();
    fields.extend(w.u32(units as u32));
    fields.extend(w.u32(data.len() as u32));
    fields.extend(w.u32(100));
    fields.extend(data);
    fields
}

/// A simple packet block with this wire length.
pub(crate) fn simple(w: Written, wire_len: u32, data: &[u8]) -> Vec<u8> {
    let mut body = w.u32(wire_len).to_vec();
    body.extend(data);
    block(w, 3, &body)
}
