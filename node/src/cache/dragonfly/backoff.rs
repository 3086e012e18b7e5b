//! How long to wait before connecting again.

use std::time::Duration;

/// The longest first pause, and the longest at all: with the time that connecting takes, a store
/// that is back is found within a second.
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_millis(900);

/// Pauses that double, each drawn from the upper half of what it may last: so the connections of
/// a node, and the nodes of a store, do not come back all at once.
pub(super) struct Backoff {
    longest: Duration,
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
