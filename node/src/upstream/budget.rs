//! How many requests of an upstream may be sent once more, so that failures are not answered with
//! a multiple of the load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What counts is the last so many seconds.
const WINDOW: u64 = 10;
/// One in so many requests may be sent again.
const SHARE: u64 = 5;
/// What may be sent again in any window, so that upstreams with little traffic can retry at all:
/// three a second.
const LEAST: u64 = 3 * WINDOW;

/// Requests and retries of the last seconds. Without locks: where a second begins, threads may
/// miscount by one.
#[derive(Debug)]
pub struct Budget {
    since: Instant,
    requests: Counts,
    retries: Counts,
}

#[derive(Debug, Default)]
struct Counts([Slot; WINDOW as usize]);

/// Which second it is, in the upper half, and how many there were in it.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

const COUNT: u64 = u32::MAX as u64;

// === impl Budget ===

impl Default for Budget {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            requests: Counts::default(),
            retries: Counts::default(),
        }
    }
}

impl Budget {
    /// Counts a request that comes from a client.
    pub fn count(&self, now: Instant) {
        self.requests.add(self.second(now));
    }

    /// Whether one more may be sent again; if so, it counts as sent.
    pub fn take(&self, now: Instant) -> bool {
        self.take_at(self.second(now))
    }

    fn take_at(&self, second: u64) -> bool {
        self.retries.add(second);
        let allowed = LEAST.max(self.requests.sum(second) / SHARE);
        let fits = self.retries.sum(second) <= allowed;
        if !fits {
            self.retries.remove(second);
        }
        fits
    }

    /// From 1 on: 0 is in slots that were never used.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs() + 1
    }
}

// === impl Counts ===

impl Counts {
    fn add(&self, second: u64) {
        self.slot(second).update(second, |count| count + 1);
    }

    fn remove(&self, second: u64) {
        self.slot(second)
            .update(second, |count| count.saturating_sub(1));
    }

    /// Of the window that ends with this second.
    fn sum(&self, second: u64) -> u64 {
        let counted = self.0.iter().map(|slot| slot.0.load(Ordering::Relaxed));
        let recent = counted.filter(|slot| slot >> 32 != 0 && (slot >> 32) + WINDOW > second);
        recent.map(|slot| slot & COUNT).sum()
    }

    fn slot(&self, second: u64) -> &Slot {
        &self.0[(second % WINDOW) as usize]
    }
}

impl Slot {
    /// A slot of an earlier second begins anew.
    fn update(&self, second: u64, change: impl Fn(u64) -> u64) {
        let next = |slot: u64| {
            let count = if slot >> 32 == second {
                slot & COUNT
            } else {
                0
            };
            Some(second << 32 | change(count).min(COUNT))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(budget: &Budget, second: u64, asked: u64) -> u64 {
        (0..asked).map(|_| u64::from(budget.take_at(second))).sum()
    }

    #[test]
    fn with_little_traffic_three_a_second_are_granted() {
        let budget = Budget::default();
        budget.requests.add(1);
        assert_eq!(granted(&budget, 1, 1000), LEAST);
        assert_eq!(granted(&budget, WINDOW, 1000), 0, "the window is the same");
        assert_eq!(granted(&budget, WINDOW + 1, 1000), LEAST, "it has moved on");
    }

    #[test]
    fn with_much_traffic_a_fifth_of_the_requests_is_granted() {
        let budget = Budget::default();
        for second in 1..=WINDOW {
            (0..1000).for_each(|_| budget.requests.add(second));
        }
        assert_eq!(granted(&budget, WINDOW, 10_000), 2000);
        // The requests of the first five seconds have gone, the retries have not.
        let later = WINDOW + 5;
        assert_eq!(granted(&budget, later, 10_000), 0);
        assert_eq!(granted(&budget, 2 * WINDOW, 10_000), LEAST);
    }

    #[test]
    fn many_threads_are_not_granted_more() {
        let budget = Budget::default();
        std::thread::scope(|scope| {
            let ask = || granted(&budget, 1, 10_000);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            let sum: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
            assert!((LEAST - 4..=LEAST).contains(&sum), "{sum}");
        });
    }
}
