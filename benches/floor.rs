//! The floor: a bare loop over a capture, against which everything else is measured.
//!
//! It reads a pcap file in large pieces, walks the record headers, decodes with lax etherparse,
//! and counts packets and bytes in a hash table of five-tuples. It follows no stream, looks at no
//! payload and labels nothing. `cargo bench --bench floor -- FILE...`

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Instant;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use foldhash::fast::RandomState;

/// Bytes read at once.
const BLOCK: usize = 1024 * 1024;

/// Bytes of a pcap file's header, and of each record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

type Key = ((IpAddr, u16), (IpAddr, u16), u8);

/// What the loop came to.
#[derive(Default)]
struct Counted {
    packets: u64,
    flows: HashMap<Key, [u64; 4], RandomState>,
}

fn main() -> io::Result<()> {
    // Cargo tells every benchmark that it is one.
    for file in env::args().skip(1).filter(|word| word != "--bench") {
        let begin = Instant::now();
        let counted = count(File::open(&file)?)?;
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{seconds:.3} s, {} packets, {} flows, {file}",
            counted.packets,
            counted.flows.len()
        );
    }
    Ok(())
}

fn count(mut file: File) -> io::Result<Counted> {
    let mut counted = Counted::default();
    let mut block = vec![0; BLOCK];
    let (mut filled, mut skip) = (0, FILE_HEADER);
    loop {
        let read = file.read(&mut block[filled..])?;
        filled += read;
        let used = counted.block(&block[..filled], skip);
        skip = 0;
        block.copy_within(used..filled, 0);
        filled -= used;
        if read == 0 {
            return Ok(counted);
        }
    }
}

impl Counted {
    /// Counts the whole records from `at` on; says where the first one begins that is not whole.
    fn block(&mut self, block: &[u8], mut at: usize) -> usize {
        while let Some(header) = block.get(at..at + RECORD_HEADER) {
            let length = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
            let start = at + RECORD_HEADER;
            let Some(frame) = block.get(start..start + length as usize) else {
                break;
            };
            self.frame(frame);
            at = start + frame.len();
        }
        at
    }

    fn frame(&mut self, frame: &[u8]) {
        self.packets += 1;
        let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
            return;
        };
        let (source, destination, protocol): (IpAddr, IpAddr, _) = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    ip.payload_ip_number().0,
                )
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    ip.payload().ip_number.0,
                )
            }
            _ => return,
        };
        let ports = match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            _ => (0, 0),
        };
        let (from, to) = ((source, ports.0), (destination, ports.1));
        let (key, way) = match from <= to {
            true => ((from, to, protocol), 0),
            false => ((to, from, protocol), 2),
        };
        let counts = self.flows.entry(key).or_default();
        counts[way] += 1;
        counts[way + 1] += frame.len() as u64;
    }
}
