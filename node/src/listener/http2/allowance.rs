//! How much of something a client may do: a store that time refills.

use std::time::Instant;

/// What is left of an allowance.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    most: u32,
    per_second: u32,
    refilled: Instant,
}

impl Allowance {
    /// Full, with `most`.
    pub(super) fn new(most: u32, per_second: u32) -> Self {
        Self {
            left: most,
            most,
            per_second,
            refilled: Instant::now(),
        }
    }

    /// `false` when there is not that much. The clock is read only when little is left.
    pub(super) fn take(&mut self, amount: u32) -> bool {
        if self.left < amount {
            self.refill(Instant::now());
        }
        match self.left.checked_sub(amount) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// What was earned.
    pub(super) fn give(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(self.most);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.duration_since(self.refilled).as_millis();
        let earned = passed * u128::from(self.per_second) / 1000;
        if earned > 0 {
            self.give(u32::try_from(earned).unwrap_or(u32::MAX));
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_taken_comes_back_with_time_and_by_giving_and_never_beyond_the_most() {
        let mut allowance = Allowance::new(3, 1);
        assert!(allowance.take(3) && !allowance.take(1));
        allowance.give(1);
        assert!(allowance.take(1) && !allowance.take(1));
        allowance.refill(Instant::now() + Duration::from_secs(2));
        assert_eq!(allowance.left, 2);
        allowance.refill(Instant::now() + Duration::from_secs(3600));
        allowance.give(u32::MAX);
        assert_eq!(allowance.left, 3);
    }
}
