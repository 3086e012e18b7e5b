//! How a backend stands: whether checks find it up, how requests fare on it, and what share it
//! gets. Read for every choice, so it is all numbers that are read without a lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Ejection;

/// The longest pause, but for those that are configured longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// What a backend gets of its weight at least: enough for its failures to show.
const LEAST_SHARE: f64 = 0.1;

/// Instants are milliseconds from `epoch`, and 0 is none.
pub(super) struct Standing {
    epoch: Instant,
    down: AtomicBool,
    /// In a row.
    failures: AtomicU32,
    ejected_until: AtomicU64,
    /// Ejections each soon after the last.
    repeats: AtomicU32,
    /// An ejection later than this is the first again.
    forgiven: AtomicU64,
    /// Since when the share rises.
    rising: AtomicU64,
}

/// Whether a backend is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ejected {
    No,
    Yes,
    /// No more, and this is told once.
    Over,
}

// === impl Standing ===

impl Standing {
    /// Up, with its whole share.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            down: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            repeats: AtomicU32::new(0),
            forgiven: AtomicU64::new(0),
            rising: AtomicU64::new(0),
        }
    }

    /// Whether checks do not find it down.
    pub(super) fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }

    pub(super) fn set_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// It begins anew, with a share that rises.
    pub(super) fn set_up(&self, now: Instant) {
        self.failures.store(0, Ordering::Relaxed);
        self.ejected_until.store(0, Ordering::Relaxed);
        self.rise(now);
        self.down.store(false, Ordering::Relaxed);
    }

    /// From now on its share rises from little to all.
    pub(super) fn rise(&self, now: Instant) {
        self.rising.store(self.at(now), Ordering::Relaxed);
    }

    /// A request went well.
    pub(super) fn succeeded(&self) {
        // Written seldom: threads share it.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed; how many have in a row.
    pub(super) fn failed(&self) -> u32 {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        before.saturating_add(1)
    }

    /// Whether it is passed over. An ejection that is over makes its share rise.
    pub(super) fn ejected(&self, now: Instant) -> Ejected {
        let until = self.ejected_until.load(Ordering::Relaxed);
        if until == 0 {
            return Ejected::No;
        }
        if self.at(now) < until {
            return Ejected::Yes;
        }
        let ended =
            self.ejected_until
                .compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        match ended {
            Ok(_) => {
                self.rise(now);
                Ejected::Over
            }
            Err(_) => Ejected::No,
        }
    }

    /// Passes it over for the pause that it gets. `None` if it is passed over already.
    pub(super) fn eject(&self, now: Instant, rule: Ejection) -> Option<Duration> {
        let at = self.at(now);
        let soon = at < self.forgiven.load(Ordering::Relaxed);
        let repeats = match soon {
            true => self.repeats.load(Ordering::Relaxed),
            false => 0,
        };
        let pause = pause(rule.pause, repeats);
        let until = at.saturating_add(millis(pause));
        let begun =
            self.ejected_until
                .compare_exchange(0, until, Ordering::Relaxed, Ordering::Relaxed);
        begun.ok()?;
        self.repeats
            .store(repeats.saturating_add(1), Ordering::Relaxed);
        let forgiven = until.saturating_add(millis(pause).saturating_mul(2));
        self.forgiven.store(forgiven, Ordering::Relaxed);
        // On its return the next failure is enough, until a request has gone well.
        let almost = rule.failures.saturating_sub(1);
        self.failures.store(almost, Ordering::Relaxed);
        Some(pause)
    }

    /// Ends an ejection, as if it had not been.
    pub(super) fn readmit(&self) {
        self.ejected_until.store(0, Ordering::Relaxed);
    }

    /// The part of its weight that counts, above 0 and at most 1.
    pub(super) fn share(&self, now: Instant, slow_start: Duration) -> f64 {
        let since = self.rising.load(Ordering::Relaxed);
        if since == 0 {
            return 1.0;
        }
        let (elapsed, whole) = (self.at(now).saturating_sub(since), millis(slow_start));
        if elapsed >= whole {
            self.rising.store(0, Ordering::Relaxed);
            return 1.0;
        }
        (elapsed as f64 / whole as f64).max(LEAST_SHARE)
    }

    fn at(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.epoch)).saturating_add(1)
    }
}

fn pause(first: Duration, repeats: u32) -> Duration {
    let doubled = first.saturating_mul(1u32.checked_shl(repeats).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE.max(first))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Ejection = Ejection {
        failures: 3,
        pause: Duration::from_secs(10),
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_ejection_ends_by_itself_and_that_is_told_once() {
        let start = Instant::now();
        let standing = Standing::new(start);
        assert_eq!(standing.eject(start, RULE), Some(seconds(10)));
        assert_eq!(standing.eject(start, RULE), None, "it is out already");
        assert_eq!(standing.ejected(start + seconds(9)), Ejected::Yes);
        assert_eq!(standing.ejected(start + seconds(10)), Ejected::Over);
        assert_eq!(standing.ejected(start + seconds(10)), Ejected::No);
    }

    #[test]
    fn each_ejection_soon_after_the_last_is_twice_as_long_up_to_a_bound() {
        let mut now = Instant::now();
        let standing = Standing::new(now);
        let mut eject = |after: Duration| {
            now += after;
            let pause = standing.eject(now, RULE).expect("it is not out");
            now += pause;
            assert_eq!(standing.ejected(now), Ejected::Over);
            pause.as_secs()
        };
        let pauses = [(); 7].map(|()| eject(seconds(1)));
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(eject(seconds(600)), 10, "it did well for long");
    }

    #[test]
    fn a_pause_that_is_configured_longer_than_the_bound_is_kept() {
        assert_eq!(pause(seconds(3600), 0), seconds(3600));
        assert_eq!(pause(seconds(3600), 40), seconds(3600));
    }

    #[test]
    fn after_its_return_one_failure_is_enough_until_a_success() {
        let now = Instant::now();
        let standing = Standing::new(now);
        assert_eq!([(); 3].map(|()| standing.failed()), [1, 2, 3]);
        standing.eject(now, RULE);
        assert_eq!(standing.failed(), 3);
        standing.succeeded();
        assert_eq!(standing.failed(), 1);
    }

    #[test]
    fn the_share_of_one_that_came_back_rises_to_all() {
        let start = Instant::now();
        let standing = Standing::new(start);
        let share = |after: u64| standing.share(start + seconds(after), seconds(10));
        assert_eq!(share(0), 1.0, "a start is no return");
        standing.set_down();
        standing.set_up(start + seconds(100));
        let shares = [100, 101, 105, 109].map(share);
        assert_eq!(shares, [0.1, 0.1, 0.5, 0.9]);
        assert_eq!(share(110), 1.0);
    }

    #[test]
    fn without_slow_start_the_share_is_whole_at_once() {
        let now = Instant::now();
        let standing = Standing::new(now);
        standing.rise(now);
        assert_eq!(standing.share(now, Duration::ZERO), 1.0);
    }
}
