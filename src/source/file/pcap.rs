//! pcap: a header, then records of one link type (draft-ietf-opsawg-pcap), and the variants of it
//! that libpcap's `sf-pcap.c` and Wireshark's wiretap know.

use crate::model::packet::LinkType;
use crate::model::time::Timestamp;
use crate::source::error::Fault;
use crate::source::fields::Order;
use crate::source::file::{Found, MAX_KEPT, Step};
use crate::source::link;

/// A kind of pcap file, told by its magic.
struct Variant {
    magic: u32,
    /// Nanoseconds a unit of the time's fraction.
    nanos: u32,
    /// Length of the file's header.
    file_header: usize,
    /// Length of a record's header.
    record_header: usize,
}

const VARIANTS: &[Variant] = &[
    // Microseconds, as ever.
    Variant {
        magic: 0xa1b2_c3d4,
        nanos: 1000,
        file_header: 24,
        record_header: 16,
    },
    // Nanoseconds.
    Variant {
        magic: 0xa1b2_3c4d,
        nanos: 1,
        file_header: 24,
        record_header: 16,
    },
    // Kuznetzov's patch: records also have interface, protocol and packet type.
    Variant {
        magic: 0xa1b2_cd34,
        nanos: 1000,
        file_header: 24,
        record_header: 24,
    },
    // Ixia hardware and software captures: the file's length follows the header.
    Variant {
        magic: 0x1c00_01ac,
        nanos: 1000,
        file_header: 28,
        record_header: 16,
    },
    Variant {
        magic: 0x1c00_01ab,
        nanos: 1000,
        file_header: 28,
        record_header: 16,
    },
];

/// The magic with which AIX writes, too.
const PLAIN_MAGIC: u32 = 0xa1b2_c3d4;

/// The least version that is known, as libpcap has it. Later ones have changed nothing yet.
const MIN_MAJOR: u16 = 2;

/// DG/UX's tcpdump writes this version, with the order of lengths of before 2.3.
const DG_UX_MAJOR: u16 = 543;

/// AIX writes interface types (RFC 1573 `ifType`) instead of link types: Ethernet, token ring,
/// FDDI, loopback.
const AIX_LINKS: &[(u32, u16)] = &[(6, 1), (9, 6), (15, 10), (24, 0)];

/// In which order a record's two lengths stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Before version 2.3.
    WireFirst,
    /// Version 2.3 has been written both ways: the smaller is what was captured.
    Either,
}

/// What a pcap file's header says of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    order: Order,
    nanos: u32,
    record_header: usize,
    lengths: Lengths,
    link: LinkType,
}

impl Pcap {
    /// Reads the file's header and says how long it is; `None` if the magic is none of pcap's.
    pub(super) fn open(ahead: &[u8]) -> Result<Option<(Pcap, usize)>, Fault> {
        let Some((order, variant)) = variant_of(ahead) else {
            return Ok(None);
        };
        let header = Header::read(order, ahead, variant).ok_or(Fault::CutHeader {
            needed: variant.file_header as u64,
            present: ahead.len() as u64,
        })?;
        if header.major < MIN_MAJOR {
            return Err(Fault::Version {
                format: "pcap",
                major: header.major,
                minor: header.minor,
            });
        }
        let aix = header.aix_link(variant);
        let pcap = Pcap {
            order,
            // AIX's fraction is in nanoseconds.
            nanos: if aix.is_some() { 1 } else { variant.nanos },
            record_header: variant.record_header,
            lengths: header.lengths(),
            link: aix.unwrap_or_else(|| header.link()),
        };
        Ok(Some((pcap, variant.file_header)))
    }

    /// Looks at the record ahead.
    pub(super) fn step(&self, ahead: &[u8]) -> Result<Step, Fault> {
        let Some((seconds, fraction, captured, wire_len)) = self.record_header(ahead) else {
            return Ok(Step::Need(self.record_header));
        };
        let bound = link::max_captured(self.link);
        if captured > bound {
            return Err(Fault::CapturedLength { captured, bound });
        }
        let needed = self.record_header + captured.min(MAX_KEPT) as usize;
        if ahead.len() < needed {
            return Ok(Step::Need(needed));
        }
        let nanos =
            i128::from(seconds) * 1_000_000_000 + i128::from(fraction) * i128::from(self.nanos);
        Ok(Step::Record(Found {
            length: self.record_header as u64 + u64::from(captured),
            start: self.record_header,
            captured,
            time: Some(Timestamp::from_nanos(nanos)),
            link: self.link,
            wire_len,
        }))
    }

    /// Seconds, their fraction, captured length and wire length; `None` if not all is there.
    fn record_header(&self, ahead: &[u8]) -> Option<(u32, u32, u32, u32)> {
        let header = ahead.get(..self.record_header)?;
        let first = self.order.u32(header, 8)?;
        let second = self.order.u32(header, 12)?;
        let swapped = match self.lengths {
            Lengths::CapturedFirst => false,
            Lengths::WireFirst => true,
            Lengths::Either => first > second,
        };
        let (captured, wire_len) = match swapped {
            true => (second, first),
            false => (first, second),
        };
        Some((
            self.order.u32(header, 0)?,
            self.order.u32(header, 4)?,
            captured,
            wire_len,
        ))
    }
}

fn variant_of(ahead: &[u8]) -> Option<(Order, &'static Variant)> {
    [Order::Little, Order::Big].into_iter().find_map(|order| {
        let magic = order.u32(ahead, 0)?;
        let variant = VARIANTS.iter().find(|variant| variant.magic == magic)?;
        Some((order, variant))
    })
}

/// The fields of a file's header that are used.
struct Header {
    major: u16,
    minor: u16,
    network: u32,
}

impl Header {
    fn read(order: Order, ahead: &[u8], variant: &Variant) -> Option<Header> {
        let header = ahead.get(..variant.file_header)?;
        Some(Header {
            major: order.u16(header, 4)?,
            minor: order.u16(header, 6)?,
            network: order.u32(header, 20)?,
        })
    }

    /// The link type, without the length of the frame check sequence in the upper bits.
    fn link(&self) -> LinkType {
        link::from_dlt(self.network as u16)
    }

    fn aix_link(&self, variant: &Variant) -> Option<LinkType> {
        if variant.magic != PLAIN_MAGIC || (self.major, self.minor) != (2, 2) {
            return None;
        }
        let (_, link) = AIX_LINKS.iter().find(|(kind, _)| *kind == self.network)?;
        Some(LinkType(*link))
    }

    fn lengths(&self) -> Lengths {
        match (self.major, self.minor) {
            (2, 0..=2) | (DG_UX_MAJOR, _) => Lengths::WireFirst,
            (2, 3) => Lengths::Either,
            _ => Lengths::CapturedFirst,
        }
    }
}
