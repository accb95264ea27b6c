//! Live devices through libpcap: one [`Device`] is one capture, and gives its records as they come.
//!
//! libpcap lends one packet at a time, so here each is copied, once, into a block.

use std::fmt;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use pcap::{Active, Capture, Precision, Stat};

use crate::model::packet::{CaptureId, Frame, LinkType, Record};
use crate::model::time::Timestamp;
use crate::source::block::{Filling, MAX_RECORDS, Pool, Records};
use crate::source::error::shown;
use crate::source::filter::{FilterError, message_of};
use crate::source::link;

/// Linux's name for all devices at once. It cannot be promiscuous.
const ANY: &str = "any";

/// How long the kernel may gather packets before it hands them over (except with immediate
/// delivery), and how long [`Device::next`] waits for the first one.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to leave a silent device alone. At 10 Gbit/s, what comes meanwhile fits into the
/// buffer; a device that is not silent is never left alone.
const POLL: Duration = Duration::from_millis(2);

/// Packets after which the kernel's counters are looked at: often enough that none of its 32 bits
/// runs over twice, seldom enough to cost nothing.
const LOOK: u64 = 1 << 20;

/// The device's times are in nanoseconds where the system can: elsewhere libpcap keeps to
/// microseconds and does not say so.
const NANOSECONDS: bool = cfg!(target_os = "linux");

/// How a device is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Bytes of each packet to capture, at most [`DeviceOptions::MAX_SNAP_LENGTH`].
    pub snap_length: u32,
    /// Bytes that the kernel keeps for packets that were not yet read.
    pub buffer_bytes: u32,
    /// Whether to capture what is for other machines, too, where the device can.
    pub promiscuous: bool,
    /// Whether each packet is handed over at once, at some cost, instead of within 100 ms.
    pub immediate: bool,
    /// A capture filter in tcpdump's language.
    pub filter: Option<String>,
}

impl DeviceOptions {
    /// libpcap captures no more of a packet (`MAXIMUM_SNAPLEN`).
    pub const MAX_SNAP_LENGTH: u32 = link::MAX_CAPTURED;
}

impl Default for DeviceOptions {
    /// Whole packets, promiscuous, and a buffer for 10 ms at 10 Gbit/s.
    fn default() -> DeviceOptions {
        DeviceOptions {
            snap_length: DeviceOptions::MAX_SNAP_LENGTH,
            buffer_bytes: 16 * 1024 * 1024,
            promiscuous: true,
            immediate: false,
            filter: None,
        }
    }
}

/// Why a device gives no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// There is none of this name.
    Missing {
        /// As the user wrote it.
        device: String,
    },
    /// This process may not capture.
    NotPermitted {
        /// On which device.
        device: String,
    },
    /// The device went down or away while it was captured, or was not up.
    Down {
        /// Which.
        device: String,
    },
    /// The filter does not compile for this device.
    Filter {
        /// Which.
        device: String,
        /// What is wrong with it.
        error: FilterError,
    },
    /// libpcap says something else; in its words.
    Other {
        /// Of which device.
        device: String,
        /// What it says.
        message: String,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceError::Missing { device } => write!(
                f,
                "{}: there is no such device. See what there is with: wiretag devices",
                shown(device)
            ),
            DeviceError::NotPermitted { device } => write!(
                f,
                "{}: no permission to capture. Run as root, or allow the program once: \
                 sudo setcap cap_net_raw=eip \"$(command -v wiretag)\"",
                shown(device)
            ),
            DeviceError::Down { device } => write!(
                f,
                "{}: the device is down. Bring it up: sudo ip link set dev NAME up",
                shown(device)
            ),
            DeviceError::Filter { device, error } => {
                write!(f, "{}: {error}", shown(device))
            }
            DeviceError::Other { device, message } => write!(
                f,
                "{}: cannot be captured: {}. See what can with: wiretag devices",
                shown(device),
                shown(message)
            ),
        }
    }
}

impl std::error::Error for DeviceError {}

impl DeviceError {
    /// libpcap has no codes left by the time its errors arrive here, only words, and those of the
    /// operating system inside them.
    fn of(device: &str, error: pcap::Error) -> DeviceError {
        let device = device.to_owned();
        let message = message_of(error);
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["ermission", "not permitted"]) {
            DeviceError::NotPermitted { device }
        } else if says(&[
            "No such device",
            "oesn't exist",
            "BIOCSETIF: Device not configured",
        ]) {
            DeviceError::Missing { device }
        } else if says(&["not up", "went down", "is down", "disappeared", "no longer"]) {
            DeviceError::Down { device }
        } else {
            DeviceError::Other { device, message }
        }
    }

    /// Who may not capture is told so even for a device that does not exist; the name is what to
    /// mend first.
    fn or_missing(self) -> DeviceError {
        match self {
            DeviceError::NotPermitted { device } if is_missing(&device) => {
                DeviceError::Missing { device }
            }
            other => other,
        }
    }
}

fn is_missing(name: &str) -> bool {
    let known = pcap::Device::list();
    known.is_ok_and(|known| known.iter().all(|device| device.name != name))
}

/// What a device and the kernel counted since the capture began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStats {
    /// Packets that were read.
    pub frames: u64,
    /// Packets that came through the filter.
    pub received: u64,
    /// Packets lost because the buffer was full.
    pub dropped_by_kernel: u64,
    /// Packets lost by the device or its driver, where it says.
    pub dropped_by_device: u64,
}

/// A device being captured.
pub struct Device {
    name: String,
    capture: Capture<Active>,
    id: CaptureId,
    link: LinkType,
    snap_length: u32,
    stats: DeviceStats,
    last: Stat,
    /// How many packets had been read when the kernel's counters were looked at.
    looked_at: u64,
    /// What ended the capture, while there are still packets to give first.
    failure: Option<DeviceError>,
}

impl Device {
    /// Opens a device by its name, or `any`. Its frames bear the number of `id`.
    ///
    /// Where the device cannot be promiscuous, it is captured as it is.
    ///
    /// # Errors
    ///
    /// Why the device cannot be captured, or the filter does not compile.
    pub fn open(name: &str, options: &DeviceOptions, id: CaptureId) -> Result<Self, DeviceError> {
        let snap_length = options.snap_length.clamp(1, DeviceOptions::MAX_SNAP_LENGTH);
        let fault = |error| DeviceError::of(name, error).or_missing();
        let attempt = |promiscuous| activate(name, options, snap_length, promiscuous);
        let capture = match options.promiscuous && name != ANY {
            true => attempt(true).or_else(|_| attempt(false)),
            false => attempt(false),
        };
        let mut capture = capture.and_then(Capture::setnonblock).map_err(fault)?;
        if let Some(filter) = &options.filter {
            capture
                .filter(filter, true)
                .map_err(|error| DeviceError::Filter {
                    device: name.to_owned(),
                    error: FilterError {
                        filter: filter.clone(),
                        message: message_of(error),
                    },
                })?;
        }
        Ok(Device {
            name: name.to_owned(),
            link: link_of(&capture),
            capture,
            id,
            snap_length,
            stats: DeviceStats::default(),
            last: Stat {
                received: 0,
                dropped: 0,
                if_dropped: 0,
            },
            looked_at: 0,
            failure: None,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its records begin with.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// The packets that have come, as far as one block and [`MAX_RECORDS`] hold them. Waits up to
    /// 100 ms for the first, and for no second: `None` if none came, so that the caller can see
    /// to other things.
    ///
    /// # Errors
    ///
    /// The device went down or away. What came before has been given.
    pub fn next(&mut self, pool: &Pool) -> Result<Option<Records>, DeviceError> {
        let mut filling = pool.take(self.snap_length as usize);
        let mut records = Vec::new();
        let mut waited = Duration::ZERO;
        let room = filling.room() - self.snap_length as usize;
        while records.len() < MAX_RECORDS && filling.len() <= room {
            match self.capture.next_packet() {
                Ok(packet) => {
                    self.stats.frames += 1;
                    let frame = Frame {
                        capture: self.id,
                        number: self.stats.frames,
                    };
                    records.extend(copied(&packet, frame, self.link, &mut filling));
                    continue;
                }
                Err(pcap::Error::TimeoutExpired) => {}
                // The kernel still has what came before: it is given first.
                Err(error) => {
                    let failure = DeviceError::of(&self.name, error);
                    self.failure.get_or_insert(failure);
                }
            }
            if !records.is_empty() {
                break;
            }
            if waited >= READ_TIMEOUT {
                return self.failure.take().map_or(Ok(None), Err);
            }
            // libpcap would wait without end where Linux's TPACKET_V3 has nothing to
            // hand over, timeout or not, so the waiting is done here.
            thread::sleep(POLL);
            waited += POLL;
        }
        if self.stats.frames - self.looked_at >= LOOK {
            self.looked_at = self.stats.frames;
            self.stats();
        }
        Ok(Some(Records {
            blocks: vec![filling.freeze()],
            records,
        }))
    }

    /// What the device and the kernel have counted so far; what they said last if they no longer
    /// say anything.
    pub fn stats(&mut self) -> DeviceStats {
        if let Ok(now) = self.capture.stats() {
            // The counters are 32 bits wide and run over on a busy day; see LOOK.
            let since = |now: u32, last: u32| u64::from(now.wrapping_sub(last));
            self.stats.received += since(now.received, self.last.received);
            self.stats.dropped_by_kernel += since(now.dropped, self.last.dropped);
            self.stats.dropped_by_device += since(now.if_dropped, self.last.if_dropped);
            self.last = now;
        }
        self.stats
    }
}

fn activate(
    name: &str,
    options: &DeviceOptions,
    snap_length: u32,
    promiscuous: bool,
) -> Result<Capture<Active>, pcap::Error> {
    let capture = Capture::from_device(name)?
        .snaplen(snap_length as i32)
        .buffer_size(options.buffer_bytes.try_into().unwrap_or(i32::MAX))
        .promisc(promiscuous)
        .immediate_mode(options.immediate)
        .timeout(READ_TIMEOUT.as_millis() as i32);
    match NANOSECONDS {
        true => capture.precision(Precision::Nano).open(),
        false => capture.open(),
    }
}

fn link_of(capture: &Capture<Active>) -> LinkType {
    link::from_dlt(capture.get_datalink().0.try_into().unwrap_or(u16::MAX))
}

/// The record of a packet, its bytes copied into `filling`, which has room for the snap length.
fn copied(
    packet: &pcap::Packet,
    frame: Frame,
    link: LinkType,
    filling: &mut Filling,
) -> Option<Record> {
    let unit = if NANOSECONDS { 1 } else { 1000 };
    let nanos = i128::from(packet.header.ts.tv_sec) * 1_000_000_000
        + i128::from(packet.header.ts.tv_usec) * unit;
    Some(Record {
        time: Timestamp::from_nanos(nanos),
        frame,
        link,
        wire_len: packet.header.len,
        bytes: filling.push(packet.data)?,
    })
}

/// A device that this machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What to give to `-i`.
    pub name: String,
    /// What libpcap says it is.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// What its records begin with, if it can be captured now; else why not.
    pub capture: Result<LinkType, DeviceError>,
}

/// The devices of this machine. Each is opened for a moment to see whether it can be captured.
///
/// # Errors
///
/// libpcap cannot list devices.
pub fn list() -> Result<Vec<Listed>, DeviceError> {
    let devices = pcap::Device::list().map_err(|error| DeviceError::Other {
        device: "devices".to_owned(),
        message: message_of(error),
    })?;
    let options = DeviceOptions {
        buffer_bytes: 64 * 1024,
        promiscuous: false,
        ..DeviceOptions::default()
    };
    let listed = devices.into_iter().map(|device| Listed {
        capture: activate(&device.name, &options, 1, false)
            .map(|capture| link_of(&capture))
            .map_err(|error| DeviceError::of(&device.name, error)),
        addresses: device
            .addresses
            .iter()
            .map(|address| address.addr)
            .collect(),
        description: device.desc,
        name: device.name,
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_device_that_does_not_exist_is_named_with_the_way_to_those_that_do() {
        let opened = Device::open("wiretag-none", &DeviceOptions::default(), CaptureId(0));
        let text = opened.err().expect("there is none").to_string();
        assert!(text.starts_with("wiretag-none: "), "{text}");
        assert!(text.contains("wiretag devices"), "{text}");
    }

    #[test]
    fn without_permission_the_capability_is_named() {
        let refused = pcap::Error::PcapError("Operation not permitted".to_owned());
        let text = DeviceError::of("eth0", refused).to_string();
        assert!(text.contains("setcap cap_net_raw=eip"), "{text}");
    }

    /// Opens the loopback device for one UDP port, where this machine lets the test capture.
    fn loopback(port: u16) -> Option<Device> {
        let options = DeviceOptions {
            filter: Some(format!("udp dst port {port}")),
            immediate: true,
            ..DeviceOptions::default()
        };
        Device::open("lo", &options, CaptureId(7)).ok()
    }

    /// Ten seconds of silence: packets on loopback do not take that long.
    const MAX_TRIES: usize = 100;

    #[test]
    fn packets_on_loopback_are_records_in_order() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = socket.local_addr().expect("bound");
        let Some(mut device) = loopback(to.port()) else {
            return;
        };
        for payload in [b"one", b"two"] {
            socket.send_to(payload, to).expect("sent");
        }
        let pool = Pool::default();
        let mut seen = Vec::new();
        for _ in 0..MAX_TRIES {
            let next = device.next(&pool).expect("loopback stays up");
            let records = next.unwrap_or_default();
            for record in &records.records {
                let bytes = records.bytes(record.bytes);
                seen.push((record.frame.number, bytes[bytes.len() - 3..].to_vec()));
            }
            if seen.len() == 2 {
                break;
            }
        }
        assert_eq!(seen, [(1, b"one".to_vec()), (2, b"two".to_vec())]);
        assert_eq!(device.stats().dropped_by_kernel, 0);
        assert_eq!(device.link(), LinkType(1));
    }

    #[test]
    fn a_filter_that_does_not_compile_names_device_and_filter() {
        let options = DeviceOptions {
            filter: Some("tcp prot 135".to_owned()),
            ..DeviceOptions::default()
        };
        match Device::open("lo", &options, CaptureId(0)).err() {
            Some(DeviceError::Filter { device, error }) => {
                assert_eq!(
                    (device.as_str(), error.filter.as_str()),
                    ("lo", "tcp prot 135")
                );
            }
            // Where the test may not capture, it never comes to the filter.
            other => assert!(other.is_some()),
        }
    }
}
