//! A live run: a thread a device, and the clock, which tells flows how late it is while nothing
//! comes. What devices capture goes the way of files from the reader on.

use std::io;
use std::sync::atomic::{self, AtomicBool};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::attribute::collector::{Collector, Hold};
use crate::attribute::label::LabelledFlow;
use crate::catalog::Catalog;
use crate::model::time::Timestamp;
use crate::run::{Dealer, IN_FLIGHT, Outcome, Settings, run};
use crate::source::block::{Pool, Records};
use crate::source::device::{Device, DeviceError, DeviceStats};

/// When a live run ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After this many packets.
    pub packets: Option<u64>,
    /// After this long.
    pub duration: Option<Duration>,
}

/// Labels the flows of live devices, each as it ends, until a limit is reached, `stop` is set or no
/// device is left. What the kernel still holds then is labelled as well. Beside the outcome: what
/// ended devices before their time.
pub fn devices<'a>(
    devices: Vec<Device>,
    limits: Limits,
    catalog: &'a Catalog,
    settings: &'a Settings,
    stop: &AtomicBool,
    take: &mut dyn FnMut(&LabelledFlow) -> io::Result<()>,
) -> (Outcome<'a>, Vec<DeviceError>) {
    let mut failed = Vec::new();
    let failures = &mut failed;
    let read = move |deal: &mut Dealer| {
        let live = Live {
            over: AtomicBool::new(false),
            stop,
            deadline: limits.duration.map(|duration| Instant::now() + duration),
        };
        thread::scope(|scope| {
            let (send, records) = bounded(IN_FLIGHT);
            let captures: Vec<_> = (devices.into_iter())
                .map(|device| {
                    let (live, send) = (&live, send.clone());
                    scope.spawn(move || live.capture(device, &send))
                })
                .collect();
            drop(send);
            deal.live(&records, limits.packets);
            live.over.store(true, atomic::Ordering::Relaxed);
            drop(records);
            let mut came = 0;
            for capture in captures {
                let (device, result) = capture.join().expect("a capture thread does not panic");
                deal.stats.dropped_by_kernel += device.dropped_by_kernel;
                deal.stats.dropped_by_device += device.dropped_by_device;
                came += device.frames;
                failures.extend(result.err());
            }
            deal.stats.unread = came - deal.stats.captured;
        });
    };
    let collector = Collector::new(catalog, &settings.networks, Hold::Never);
    (run(read, collector, settings, take), failed)
}

impl Dealer {
    /// Deals out what devices capture, up to a number of packets. While they are silent, the
    /// clock tells the workers how late it is, so that flows end on time.
    fn live(&mut self, captured: &Receiver<Records>, packets: Option<u64>) {
        let mut left = packets.unwrap_or(u64::MAX);
        while left > 0 {
            let goes_on = match captured.recv_timeout(TICK) {
                Ok(mut records) => {
                    let wanted = usize::try_from(left).unwrap_or(usize::MAX);
                    records.records.truncate(wanted);
                    let count = records.records.len() as u64;
                    left -= count;
                    self.stats.captured += count;
                    self.records(&records)
                }
                Err(RecvTimeoutError::Timeout) => {
                    let hands = self.empty_hands();
                    self.send(hands, &[], clock())
                }
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// How often silent devices let flows end.
const TICK: Duration = Duration::from_millis(500);

/// The time of day, as capture time.
fn clock() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(since_epoch.as_nanos() as i128)
}

/// What the capture threads of a live run watch.
struct Live<'a> {
    /// No more packets are wanted.
    over: AtomicBool,
    /// The user has had enough.
    stop: &'a AtomicBool,
    deadline: Option<Instant>,
}

impl Live<'_> {
    /// Reads a device until the run is over, and then what the kernel still holds.
    fn capture(
        &self,
        mut device: Device,
        send: &Sender<Records>,
    ) -> (DeviceStats, Result<(), DeviceError>) {
        let pool = Pool::default();
        let result = self.deliver(&mut device, &pool, send);
        if result.is_ok() {
            count_the_rest(&mut device, &pool);
        }
        (device.stats(), result)
    }

    /// Hands on what comes, until nobody takes it, or the run is over and nothing comes any more.
    fn deliver(
        &self,
        device: &mut Device,
        pool: &Pool,
        send: &Sender<Records>,
    ) -> Result<(), DeviceError> {
        let mut last_orders = None;
        loop {
            if self.is_over() {
                let end = *last_orders.get_or_insert_with(|| Instant::now() + LAST_ORDERS);
                if Instant::now() >= end {
                    return Ok(());
                }
            }
            let Some(records) = device.next(pool)? else {
                if last_orders.is_some() {
                    return Ok(());
                }
                continue;
            };
            if send.send(records).is_err() {
                return Ok(());
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(atomic::Ordering::Relaxed)
            || self.stop.load(atomic::Ordering::Relaxed)
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// How long the kernel is read empty after a live run is over, at the most: a busy device never
/// runs dry. What is there after that is counted, for as long again.
const LAST_ORDERS: Duration = Duration::from_secs(1);

/// Reads what the kernel still holds of a device only to have it counted. Whoever reads rows slowly
/// may have left more there than [`LAST_ORDERS`] let through.
fn count_the_rest(device: &mut Device, pool: &Pool) {
    let end = Instant::now() + LAST_ORDERS;
    // A device that goes away now is missed by nobody.
    while Instant::now() < end && matches!(device.next(pool), Ok(Some(_))) {}
}
