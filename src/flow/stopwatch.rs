//! How long something takes, in the room of one number: a flow times three things.

use std::time::Duration;

use crate::model::time::Timestamp;

/// Nanoseconds: the moment of the start until it is stopped, then how much later that was. Whoever
/// has it knows which.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopwatch(i64);

impl Stopwatch {
    /// One that runs since `now`.
    pub fn start(now: Timestamp) -> Stopwatch {
        Stopwatch(now.nanos())
    }

    /// Stops it. Time that runs backwards is no time.
    pub fn stop(&mut self, now: Timestamp) {
        let started = Timestamp::from_nanos(self.0.into());
        self.0 = i64::try_from(now.nanos_since(started)).unwrap_or(i64::MAX);
    }

    /// From its start to its stop, where it was stopped.
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elapsed(start: i128, stop: i128) -> Duration {
        let mut watch = Stopwatch::start(Timestamp::from_nanos(start));
        watch.stop(Timestamp::from_nanos(stop));
        watch.elapsed()
    }

    #[test]
    fn what_passes_is_told_in_nanoseconds_and_never_less_than_nothing() {
        assert_eq!(elapsed(5, 9), Duration::from_nanos(4));
        assert_eq!(elapsed(-5, 9), Duration::from_nanos(14));
        assert_eq!(elapsed(9, 5), Duration::ZERO);
        assert_eq!(
            elapsed(i64::MIN.into(), i64::MAX.into()),
            Duration::from_nanos(i64::MAX as u64)
        );
    }
}
