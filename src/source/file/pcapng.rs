//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng). Each section has its byte order and its
//! interfaces; each interface its link type, snap length, time resolution and offset.
//!
//! The section's own length is not used: blocks say themselves where the next one begins.

use crate::model::packet::LinkType;
use crate::model::time::Timestamp;
use crate::source::error::Fault;
use crate::source::fields::Order;
use crate::source::file::{Found, MAX_KEPT, Step};
use crate::source::link;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// Obsolete, but written by early dumpcaps.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Blocks that tshark (4.0, tried) gives a `frame.number` although they hold no packet: systemd
/// journal entries, custom blocks (two types), and sysdig events (three types).
const NUMBERED: &[u32] = &[
    0x0000_0009,
    0x0000_0bad,
    0x4000_0bad,
    0x0000_0204,
    0x0000_0216,
    0x0000_0221,
];

/// Blocks up to this length are read as one: it holds the longest packet with as much again for
/// its options. Of longer ones, the rest is passed over without being kept.
const MAX_WHOLE: u32 = 2 * MAX_KEPT;

/// More interfaces than any machine has; a hostile file could declare one every twenty bytes.
const MAX_INTERFACES: usize = 65_536;

/// Type and length stand before what a block holds.
const BLOCK_HEAD: usize = 8;

/// Where the byte-order magic stands in a section header.
const ORDER_AT: usize = 8;

/// Of a section header, what tells the byte order.
const ORDER_END: usize = 12;

/// The only major version there is. Minor versions add and change nothing that is read here.
const MAJOR: u16 = 1;

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// The time's unit where no `if_tsresol` says otherwise: microseconds.
const MICROSECONDS: u8 = 6;

/// What a section has said of an interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// 0 is no limit.
    snap_length: u32,
    /// As in `if_tsresol`: a power of ten or, with the highest bit set, of two.
    resolution: u8,
    /// Seconds to add.
    offset: i64,
}

impl Interface {
    /// The moment that a count of this interface's units is.
    fn time(&self, units: u64) -> Timestamp {
        let power = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            // 94 bits at most, and a shift of at most 127.
            (u128::from(units) * 1_000_000_000) >> power
        } else if power <= 9 {
            u128::from(units) * 10_u128.pow(9 - power)
        } else {
            // A unit so small that its power does not fit is no time at all.
            let divisor = 10_u128.checked_pow(power - 9);
            divisor.map_or(0, |divisor| u128::from(units) / divisor)
        };
        Timestamp::from_nanos(nanos as i128 + i128::from(self.offset) * 1_000_000_000)
    }
}

/// Where a pcapng file stands: its section so far.
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// The length that must stand at the end of a block whose rest was passed over.
    owed: Option<u32>,
}

impl Default for Pcapng {
    /// Before the first section.
    fn default() -> Pcapng {
        Pcapng {
            order: Order::Little,
            interfaces: Vec::new(),
            owed: None,
        }
    }
}

/// A block as far as it is looked at.
struct Body<'a> {
    order: Order,
    /// Its whole length, as it says.
    length: u32,
    /// From its type on; without its trailing length if it is whole.
    bytes: &'a [u8],
}

impl Body<'_> {
    fn u16(&self, at: usize) -> Result<u16, Fault> {
        self.order.u16(self.bytes, at).ok_or(self.short())
    }

    fn u32(&self, at: usize) -> Result<u32, Fault> {
        self.order.u32(self.bytes, at).ok_or(self.short())
    }

    /// The fault of a block that is too short for its fields. [`minimum`] has settled it before.
    fn short(&self) -> Fault {
        Fault::BlockLength {
            length: self.length,
            minimum: self.length.saturating_add(4),
        }
    }
}

/// The least length of a block of this type.
fn minimum(kind: u32) -> u32 {
    match kind {
        SECTION_HEADER => 28,
        INTERFACE => 20,
        PACKET | ENHANCED_PACKET => 32,
        SIMPLE_PACKET => 16,
        _ => 12,
    }
}

impl Pcapng {
    /// Whether a file with these first bytes is a pcapng file. The type of the section header
    /// reads the same in both byte orders.
    pub(super) fn is_magic(ahead: &[u8]) -> bool {
        Order::Big.u32(ahead, 0) == Some(SECTION_HEADER)
    }

    /// Whether the file may end at the end of the bytes that were seen.
    pub(super) fn may_end(&self) -> bool {
        self.owed.is_none()
    }

    /// Looks at the block ahead.
    pub(super) fn step(&mut self, ahead: &[u8]) -> Result<Step, Fault> {
        if let Some(length) = self.owed {
            return self.settle(length, ahead);
        }
        if Pcapng::is_magic(ahead) {
            if ahead.len() < ORDER_END {
                return Ok(Step::Need(ORDER_END));
            }
            self.order = order_of(ahead)?;
        }
        let order = self.order;
        let (Some(kind), Some(length)) = (order.u32(ahead, 0), order.u32(ahead, 4)) else {
            return Ok(Step::Need(BLOCK_HEAD));
        };
        let minimum = minimum(kind);
        if length % 4 != 0 || length < minimum {
            return Err(Fault::BlockLength { length, minimum });
        }
        let held = length.min(MAX_WHOLE) as usize;
        let Some(bytes) = ahead.get(..held) else {
            return Ok(Step::Need(held));
        };
        let bytes = match length <= MAX_WHOLE {
            true => checked(order, bytes, length)?,
            false => bytes,
        };
        let body = Body {
            order,
            length,
            bytes,
        };
        let step = self.block(kind, &body)?;
        Ok(match length <= MAX_WHOLE {
            true => step,
            false => self.owe(step, length),
        })
    }

    fn block(&mut self, kind: u32, body: &Body) -> Result<Step, Fault> {
        let mut frames = 0;
        match kind {
            SECTION_HEADER => self.section(body)?,
            INTERFACE => self.declare(body)?,
            ENHANCED_PACKET => return self.packet(body, body.u32(8)?),
            PACKET => return self.packet(body, body.u16(8)?.into()),
            SIMPLE_PACKET => return self.simple_packet(body),
            _ if NUMBERED.contains(&kind) => frames = 1,
            _ => {}
        }
        Ok(Step::Pass {
            length: body.length.into(),
            frames,
        })
    }

    fn section(&mut self, body: &Body) -> Result<(), Fault> {
        let (major, minor) = (body.u16(12)?, body.u16(14)?);
        if major != MAJOR {
            return Err(Fault::Version {
                format: "pcapng",
                major,
                minor,
            });
        }
        self.interfaces.clear();
        Ok(())
    }

    fn declare(&mut self, body: &Body) -> Result<(), Fault> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Fault::TooManyInterfaces {
                bound: MAX_INTERFACES as u32,
            });
        }
        let mut interface = Interface {
            link: link::from_dlt(body.u16(8)?),
            snap_length: body.u32(12)?,
            resolution: MICROSECONDS,
            offset: 0,
        };
        for (code, value) in options(body.order, body.bytes.get(16..).unwrap_or_default()) {
            match code {
                IF_TSRESOL => interface.resolution = *value.first().unwrap_or(&MICROSECONDS),
                IF_TSOFFSET => interface.offset = body.order.i64(value, 0).unwrap_or(0),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// An enhanced or an obsolete packet block: the same but for how they name the interface.
    fn packet(&self, body: &Body, interface: u32) -> Result<Step, Fault> {
        const DATA_AT: u32 = 28;
        let interface = self.interface(interface)?;
        let units = u64::from(body.u32(12)?) << 32 | u64::from(body.u32(16)?);
        let captured = body.u32(20)?;
        let bound = link::max_captured(interface.link).min(body.length - DATA_AT - 4);
        if captured > bound {
            return Err(Fault::CapturedLength { captured, bound });
        }
        Ok(Step::Record(Found {
            length: body.length.into(),
            start: DATA_AT as usize,
            captured,
            time: Some(interface.time(units)),
            link: interface.link,
            wire_len: body.u32(24)?,
        }))
    }

    /// A simple packet block: from the first interface, cut to its snap length, without a time.
    fn simple_packet(&self, body: &Body) -> Result<Step, Fault> {
        const DATA_AT: u32 = 12;
        let interface = self.interface(0)?;
        let wire_len = body.u32(8)?;
        let snap_length = match interface.snap_length {
            0 => u32::MAX,
            limit => limit,
        };
        // The block's length counts the padding, so it is no exact measure of its own.
        let captured = wire_len.min(snap_length).min(body.length - DATA_AT - 4);
        let bound = link::max_captured(interface.link);
        if captured > bound {
            return Err(Fault::CapturedLength { captured, bound });
        }
        Ok(Step::Record(Found {
            length: body.length.into(),
            start: DATA_AT as usize,
            captured,
            time: None,
            link: interface.link,
            wire_len,
        }))
    }

    fn interface(&self, number: u32) -> Result<Interface, Fault> {
        let interface = self.interfaces.get(number as usize);
        interface.copied().ok_or(Fault::UndeclaredInterface {
            interface: number,
            declared: self.interfaces.len() as u32,
        })
    }

    /// Leaves the trailing length of a block that is not read whole for the next step.
    fn owe(&mut self, step: Step, length: u32) -> Step {
        self.owed = Some(length);
        let rest = u64::from(length) - 4;
        match step {
            Step::Record(found) => Step::Record(Found {
                length: rest,
                ..found
            }),
            Step::Pass { frames, .. } => Step::Pass {
                length: rest,
                frames,
            },
            Step::Need(needed) => Step::Need(needed),
        }
    }

    fn settle(&mut self, length: u32, ahead: &[u8]) -> Result<Step, Fault> {
        match self.order.u32(ahead, 0) {
            None => Ok(Step::Need(4)),
            Some(trailer) if trailer == length => {
                self.owed = None;
                Ok(Step::Pass {
                    length: 4,
                    frames: 0,
                })
            }
            Some(trailer) => Err(Fault::Trailer { length, trailer }),
        }
    }
}

/// The byte order that a section header announces.
fn order_of(ahead: &[u8]) -> Result<Order, Fault> {
    match Order::Big.u32(ahead, ORDER_AT) {
        Some(0x1a2b_3c4d) => Ok(Order::Big),
        Some(0x4d3c_2b1a) => Ok(Order::Little),
        magic => Err(Fault::ByteOrder {
            magic: magic.unwrap_or_default(),
        }),
    }
}

/// The block without its trailing length, which must be the same as the one at its start.
fn checked(order: Order, bytes: &[u8], length: u32) -> Result<&[u8], Fault> {
    let end = bytes.len().saturating_sub(4);
    let trailer = order.u32(bytes, end).unwrap_or_default();
    if trailer != length {
        return Err(Fault::Trailer { length, trailer });
    }
    Ok(bytes.get(..end).unwrap_or_default())
}

/// The options of a block up to their end, or to the first that does not fit.
fn options(order: Order, mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let code = order.u16(bytes, 0)?;
        let length = usize::from(order.u16(bytes, 2)?);
        let value = bytes.get(4..4 + length)?;
        // Code 0 ends the list. The last value's padding may be missing.
        bytes = bytes
            .get(4 + length.next_multiple_of(4)..)
            .unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}
