//! A pcap file as every program reads it: microseconds, Ethernet (draft-ietf-opsawg-pcap).

use std::io::{self, Write};

/// Where captures begin: 2024-01-01T00:00:00Z, in microseconds.
const BEGIN: u64 = 1_704_067_200_000_000;

const ETHERNET: u32 = 1;

/// Frames are never longer here.
const SNAP_LENGTH: u32 = 262_144;

/// Writes records.
pub struct Pcap<'a> {
    out: &'a mut dyn Write,
    packets: u64,
}

impl<'a> Pcap<'a> {
    /// Writes the file's header.
    pub fn begin(out: &'a mut dyn Write) -> io::Result<Pcap<'a>> {
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        out.write_all(&2_u16.to_le_bytes())?;
        out.write_all(&4_u16.to_le_bytes())?;
        out.write_all(&[0; 8])?;
        out.write_all(&SNAP_LENGTH.to_le_bytes())?;
        out.write_all(&ETHERNET.to_le_bytes())?;
        Ok(Pcap { out, packets: 0 })
    }

    /// Writes a frame captured `micros` after the beginning, `wire` bytes long on the wire.
    pub fn record(&mut self, micros: u64, frame: &[u8], wire: usize) -> io::Result<()> {
        let time = BEGIN + micros;
        let mut header = [0; 16];
        let fields = [
            (time / 1_000_000) as u32,
            (time % 1_000_000) as u32,
            frame.len() as u32,
            wire as u32,
        ];
        for (place, field) in header.chunks_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        self.packets += 1;
        self.out.write_all(&header)?;
        self.out.write_all(frame)
    }

    /// How many records were written.
    pub fn packets(&self) -> u64 {
        self.packets
    }
}
