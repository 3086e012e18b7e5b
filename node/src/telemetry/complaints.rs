//! How often the log tells of what clients can cause as often as they like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two complaints about one cause.
const INTERVAL: Duration = Duration::from_secs(60);

/// Lets one complaint per cause and minute through, and counts the others. There are `N`
/// causes.
#[derive(Debug)]
pub(crate) struct Complaints<const N: usize> {
    since: Instant,
    causes: [Cause; N],
}

#[derive(Debug, Default)]
struct Cause {
    /// Nanoseconds from `since` to when the next one is due.
    due: AtomicU64,
    withheld: AtomicU64,
}

impl<const N: usize> Default for Complaints<N> {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            causes: std::array::from_fn(|_| Cause::default()),
        }
    }
}

impl<const N: usize> Complaints<N> {
    /// Whether this cause is to be told of now, and how many times it was not since the last.
    pub(crate) fn due(&self, cause: usize) -> Option<u64> {
        self.due_at(cause, self.since.elapsed())
    }

    fn due_at(&self, cause: usize, now: Duration) -> Option<u64> {
        self.causes.get(cause)?.due_at(now)
    }
}

impl Cause {
    fn due_at(&self, now: Duration) -> Option<u64> {
        let due = self.due.load(Ordering::Relaxed);
        let next = nanos(now + INTERVAL);
        let is_due = nanos(now) >= due
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            return Some(self.withheld.swap(0, Ordering::Relaxed));
        }
        self.withheld.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_per_cause_and_minute_is_told_and_the_others_counted() {
        let complaints = Complaints::<2>::default();
        let at = |cause, seconds| complaints.due_at(cause, Duration::from_secs(seconds));
        assert_eq!(at(0, 0), Some(0));
        assert_eq!(at(0, 1), None);
        assert_eq!(at(1, 1), Some(0), "another cause");
        assert_eq!(at(0, 59), None);
        assert_eq!(at(0, 61), Some(2));
        assert_eq!(at(0, 62), None);
        assert_eq!(at(2, 0), None, "no such cause");
    }
}
