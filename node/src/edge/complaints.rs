//! How often a function's failures are told of in the log.
//!
//! Clients can make a function fail as often as they like, so what is told in detail is
//! one failure per cause and minute. The access log has every one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::Fault;

/// Between two complaints about one cause.
const INTERVAL: Duration = Duration::from_secs(60);

/// Of one function.
#[derive(Debug)]
pub(super) struct Complaints {
    since: Instant,
    causes: [Cause; Fault::ALL.len()],
    logs: Cause,
}

#[derive(Debug, Default)]
struct Cause {
    /// Nanoseconds from `since` to when the next one is due.
    due: AtomicU64,
    withheld: AtomicU64,
}

impl Default for Complaints {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            causes: Default::default(),
            logs: Cause::default(),
        }
    }
}

impl Complaints {
    /// Whether this failure is to be told of now, and how many were not since the last.
    pub(super) fn due(&self, fault: Fault) -> Option<u64> {
        self.due_at(fault, self.since.elapsed())
    }

    /// The same for log records that were dropped.
    pub(super) fn logs_due(&self) -> Option<u64> {
        self.logs.due_at(self.since.elapsed())
    }

    fn due_at(&self, fault: Fault, now: Duration) -> Option<u64> {
        self.causes.get(fault as usize)?.due_at(now)
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
        let complaints = Complaints::default();
        let at = |fault, seconds| complaints.due_at(fault, Duration::from_secs(seconds));
        assert_eq!(at(Fault::Trap, 0), Some(0));
        assert_eq!(at(Fault::Trap, 1), None);
        assert_eq!(at(Fault::Time, 1), Some(0), "another cause");
        assert_eq!(at(Fault::Trap, 59), None);
        assert_eq!(at(Fault::Trap, 61), Some(2));
        assert_eq!(at(Fault::Trap, 62), None);
    }
}
