//! Rates that a key is held to: the generic cell rate algorithm with a burst of the whole limit,
//! in whole numbers, so that it is exact and every store computes the same.

use std::time::Duration;

use super::{Argument, CacheError, MAX_TTL};

/// So many calls in so much time. They may come all at once; from then on one is allowed whenever
/// the limit's part of the window has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    limit: u32,
    /// In microseconds.
    window: u64,
}

/// When a key will have made up for all the calls it was allowed: in microseconds on the store's
/// clock, and parts of one more, of which the limit's number is a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) micros: u64,
    pub(super) parts: u32,
}

// === impl Rate ===

impl Rate {
    /// # Errors
    ///
    /// When limit or window is zero, or the window longer than one year.
    pub fn new(limit: u32, window: Duration) -> Result<Self, CacheError> {
        let micros = u64::try_from(window.as_micros()).map_err(|_| Argument::Rate)?;
        if limit == 0 || micros == 0 || window > MAX_TTL {
            return Err(Argument::Rate.into());
        }
        Ok(Self {
            limit,
            window: micros,
        })
    }

    /// The number of calls in a window.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The window, in microseconds.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.window
    }

    /// What one call takes of the window.
    pub(super) fn step(&self) -> Pace {
        let limit = u64::from(self.limit);
        let parts = u32::try_from(self.window % limit).unwrap_or_default(); // less than the limit
        Pace {
            micros: self.window / limit,
            parts,
        }
    }

    /// The pace after one more call at `now`; the wait, when it is refused.
    ///
    /// A pace ahead of the whole window can only come from another rate, or from a clock that was
    /// set back: it counts as the whole window, so that no key is refused for longer than that.
    pub(super) fn allow(&self, pace: Option<Pace>, now: u64) -> Result<Pace, Duration> {
        let end = now + self.window;
        let Pace { micros, parts } = match pace {
            Some(pace) if pace.micros >= end => Pace::at(end),
            Some(pace) if pace.micros >= now && pace.parts < self.limit => pace,
            Some(pace) if pace.micros >= now => Pace::at(pace.micros),
            _ => Pace::at(now),
        };
        let step = self.step();
        let (limit, parts) = (
            u64::from(self.limit),
            u64::from(parts) + u64::from(step.parts),
        );
        let next = Pace {
            micros: micros + step.micros + parts / limit,
            parts: u32::try_from(parts % limit).unwrap_or_default(), // less than the limit
        };
        match next.whole_micros().saturating_sub(end) {
            0 => Ok(next),
            early => Err(wait(early)),
        }
    }
}

/// How long to wait when a call came so many microseconds too early: in whole milliseconds, so
/// that a call after it is in time.
pub(super) fn wait(early: u64) -> Duration {
    Duration::from_millis(early.div_ceil(1_000))
}

// === impl Pace ===

impl Pace {
    pub(super) fn at(micros: u64) -> Self {
        Self { micros, parts: 0 }
    }

    /// Rounded up.
    pub(super) fn whole_micros(&self) -> u64 {
        self.micros + u64::from(self.parts > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const YEAR: u64 = 365 * 24 * 60 * 60;

    fn rate(limit: u32, seconds: u64) -> Rate {
        Rate::new(limit, Duration::from_secs(seconds)).unwrap()
    }

    /// A key and the rate it is held to.
    struct Key {
        rate: Rate,
        pace: Option<Pace>,
    }

    impl Key {
        fn at_rate(rate: Rate) -> Self {
            Self { rate, pace: None }
        }

        fn ask(&mut self, now: u64) -> Option<Duration> {
            let allowed = self.rate.allow(self.pace, now);
            allowed.map(|pace| self.pace = Some(pace)).err()
        }

        fn allowed_of(&mut self, calls: u32, now: u64) -> u32 {
            (0..calls).map(|_| u32::from(self.ask(now).is_none())).sum()
        }
    }

    #[test]
    fn nothing_and_more_than_a_year_are_no_rates() {
        for (limit, window) in [
            (0, Duration::from_secs(1)),
            (1, Duration::ZERO),
            (1, MAX_TTL + Duration::from_micros(1)),
            (1, Duration::MAX),
        ] {
            assert_eq!(
                Rate::new(limit, window),
                Err(CacheError::OutOfRange(Argument::Rate))
            );
        }
        assert!(Rate::new(u32::MAX, MAX_TTL).is_ok());
    }

    #[test]
    fn a_burst_is_the_limit_and_no_more() {
        for limit in [1, 3, 7, 100, 9_999] {
            let mut key = Key::at_rate(rate(limit, 10));
            assert_eq!(key.allowed_of(limit + 10, 5), limit);
            let mut later = Key::at_rate(rate(limit, 10));
            later.pace = key.pace;
            assert_eq!(
                later.allowed_of(limit + 10, 5 + 10 * SECOND),
                limit,
                "{limit}"
            );
        }
    }

    #[test]
    fn one_a_step_is_allowed_after_the_burst() {
        let mut key = Key::at_rate(rate(3, 1));
        assert_eq!(key.allowed_of(9, 0), 3);
        assert_eq!(key.ask(333_333), Some(Duration::from_millis(1)));
        assert_eq!(key.ask(333_334), None);
        assert_eq!(key.ask(666_666), Some(Duration::from_millis(1)));
        assert_eq!(key.ask(666_667), None);
        assert_eq!(key.ask(SECOND), None, "no fraction is lost");
    }

    #[test]
    fn a_thousand_a_second_for_five_seconds_against_a_hundred() {
        let mut key = Key::at_rate(rate(100, 1));
        let calls = (0..5_000_u64).map(|call| 1_700_000_000 * SECOND + call * 1_000);
        let allowed = calls.filter(|now| key.ask(*now).is_none()).count();
        assert!((594..=600).contains(&allowed), "{allowed}");
    }

    #[test]
    fn a_clock_set_back_or_another_rate_blocks_for_one_step() {
        let mut key = Key::at_rate(rate(10, 60));
        key.pace = Some(Pace {
            micros: 1_000_000 * SECOND,
            parts: u32::MAX,
        });
        assert_eq!(key.ask(7), Some(Duration::from_secs(6)));
    }

    #[test]
    fn extremes_are_exact() {
        let mut key = Key::at_rate(rate(1, YEAR));
        assert_eq!(key.ask(1_700_000_000 * SECOND), None);
        let wait = key.ask(1_700_000_000 * SECOND + 1).unwrap();
        assert_eq!(wait, Duration::from_secs(YEAR));
        let mut key = Key::at_rate(rate(u32::MAX, 1));
        assert_eq!(key.allowed_of(100_000, 0), 100_000);
    }

    proptest! {
        #[test]
        fn any_window_holds_at_most_twice_the_limit_and_waiting_helps(
            limit in 1..50_u32,
            window in 1..5_000_000_u64,
            pauses in proptest::collection::vec(0..200_000_u64, 1..200),
        ) {
            let rate = Rate::new(limit, Duration::from_micros(window)).unwrap();
            let mut key = Key::at_rate(rate);
            let (mut now, mut allowed) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                match key.ask(now) {
                    None => allowed.push(now),
                    Some(wait) => {
                        prop_assert!(!wait.is_zero());
                        let later = now + u64::try_from(wait.as_micros()).unwrap();
                        prop_assert!(rate.allow(key.pace, later).is_ok());
                    }
                }
            }
            for (index, start) in allowed.iter().enumerate() {
                let within = allowed[index..].iter().filter(|time| **time - start < window);
                prop_assert!(within.count() <= 2 * limit as usize);
                // In the long run: the burst, and what the time since gives.
                let since = now - start;
                let most = u64::from(limit) + since * u64::from(limit) / window + 1;
                prop_assert!((allowed.len() - index) as u64 <= most);
            }
        }
    }
}
