//! Capture time. The clock of this machine is never asked here: time comes with each record.

use std::num::NonZeroU64;
use std::time::Duration;

/// A moment of a capture: nanoseconds since 1970-01-01T00:00:00Z, negative before.
///
/// Reaches from 1677 to 2262; a capture that claims another moment is clamped to that range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment there is.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment there is.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From nanoseconds since the epoch, clamped to what can be held.
    pub fn from_nanos(nanos: i128) -> Timestamp {
        Timestamp(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// Nanoseconds since the epoch.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds.
    pub fn nanos_since(self, earlier: Timestamp) -> u64 {
        match self > earlier {
            true => self.0.abs_diff(earlier.0),
            false => 0,
        }
    }

    /// The moment `later` after this one, clamped to what can be held.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp::from_nanos(i128::from(self.0) + later.as_nanos().min(u64::MAX.into()) as i128)
    }
}

/// How long something took, in the room of one number also where it may not have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(NonZeroU64);

impl Elapsed {
    /// Of this length; of 584 years where it is longer.
    pub fn new(span: Duration) -> Elapsed {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Elapsed(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// How long it was.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_no_time_is_not_what_was_not_seen() {
        assert_eq!(size_of::<Option<Elapsed>>(), 8);
        for nanos in [0, 1, u64::MAX - 1] {
            let span = Duration::from_nanos(nanos);
            assert_eq!(Elapsed::new(span).duration(), span);
        }
        let longest = Duration::from_nanos(u64::MAX - 1);
        assert_eq!(Elapsed::new(Duration::MAX).duration(), longest);
    }

    #[test]
    fn time_that_runs_backwards_is_no_time() {
        let (early, late) = (Timestamp::from_nanos(5), Timestamp::from_nanos(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_nanos(4));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        assert_eq!(Timestamp::MAX.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::MAX.since(Timestamp::MIN),
            Duration::from_nanos(u64::MAX)
        );
        assert_eq!(Timestamp::from_nanos(i128::MAX), Timestamp::MAX);
    }
}
