//! How long to wait before connecting again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest first pause, and the longest at all: with the time that connecting takes, a store
/// that is back is found within a second.
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_millis(900);

/// Pauses that double, each drawn from the upper half of what it may last: so the connections of
/// a node, and the nodes of a store, do not come back all at once.
pub(super) struct Backoff {
    longest: Duration,
}

/// How often a connection that still works may be left for a new one.
pub(super) struct Pace {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { longest: FIRST }
    }

    /// The next pause, after a connection that was open for this long. One that had lasted for
    /// longer than any pause begins anew; one that breaks at once does not.
    pub(super) fn pause(&mut self, open: Duration) -> Duration {
        if open > LAST {
            self.longest = FIRST;
        }
        let longest = self.longest;
        self.longest = (longest * 2).min(LAST);
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

impl Pace {
    /// Once in `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: Mutex::default(),
        }
    }

    /// Whether it may be now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_over(*self.lock(), now)
    }

    /// The same, and it is done if so: of several that ask, one is told yes.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut last = self.lock();
        let is_due = self.is_over(*last, now);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    fn is_over(&self, last: Option<Instant>, now: Instant) -> bool {
        let since = last.map(|last| now.saturating_duration_since(last));
        since.is_none_or(|since| since >= self.interval)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_50_ms_and_stay_under_a_second() {
        let mut backoff = Backoff::new();
        let mut longest = FIRST;
        for _ in 0..100 {
            let pause = backoff.pause(Duration::ZERO);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
            longest = (longest * 2).min(LAST);
        }
        assert!(longest < Duration::from_secs(1));
    }

    #[test]
    fn a_pace_is_kept_from_the_first_time_on() {
        let (pace, start) = (Pace::new(Duration::from_secs(5)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.is_due(at(0)));
        assert!(pace.take(at(1)));
        assert!(!pace.take(at(0)));
        assert!(!pace.is_due(at(5)));
        assert!(!pace.take(at(5)));
        assert!(pace.is_due(at(6)));
        assert!(pace.take(at(6)));
        assert!(!pace.take(at(10)));
    }

    #[test]
    fn the_longest_pauses_differ_too() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause(Duration::ZERO)).collect();
        let (last, others) = pauses.split_last().unwrap();
        assert!(others[10..].iter().all(|pause| pause != last));
    }

    #[test]
    fn only_a_connection_that_lasted_begins_anew() {
        let mut backoff = Backoff::new();
        for _ in 0..10 {
            backoff.pause(Duration::from_millis(500));
        }
        assert!(backoff.pause(Duration::from_millis(500)) >= LAST / 2);
        assert!(backoff.pause(Duration::from_secs(60)) <= FIRST);
        assert!(backoff.pause(Duration::ZERO) <= FIRST * 2);
    }
}
