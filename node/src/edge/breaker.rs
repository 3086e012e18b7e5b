//! A circuit breaker: a function that keeps failing is not run for a while.
//!
//! Closed, it counts outcomes over a sliding window. When the share of failures reaches
//! its bound it opens, and nothing runs for the pause. Then one invocation is let through
//! as a probe: it closes the breaker by succeeding, and opens it again by failing
//! (M. Nygard, "Release It!", 2007, "Circuit Breaker").

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{info, warn};

/// When a breaker opens and for how long (`breaker`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Share of invocations that may fail, above 0 and at most 1.
    pub failures: f64,
    /// Over how long it is counted.
    pub window: Duration,
    /// Invocations within the window below which nothing is concluded.
    pub minimum: u32,
    /// How long it stays open before it lets a probe through.
    pub pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 0.5,
            window: Duration::from_secs(10),
            minimum: 20,
            pause: Duration::from_secs(5),
        }
    }
}

/// The breaker of one function. Its lock is held for a few instructions.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

/// The right to run once, and the duty to tell how it went. Dropped untold, the run
/// counts as neither good nor bad.
#[derive(Debug)]
pub(super) struct Permit {
    breaker: Arc<Breaker>,
    begun: Instant,
    probes: bool,
}

/// Nothing runs now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Open;

#[derive(Debug)]
enum State {
    Closed { since: Instant, window: Window },
    Open { until: Instant },
    Probing,
}

/// Steps in which outcomes leave the window.
const STEPS: usize = 10;

/// Outcomes of the last while.
#[derive(Debug)]
struct Window {
    steps: [Tally; STEPS],
    /// Index of the step that counts now.
    current: usize,
    /// When it began.
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    good: u32,
    bad: u32,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            state: Mutex::new(State::closed(Instant::now())),
        })
    }

    pub(super) fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Whether an invocation may run.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Permit, Open> {
        self.enter_at(Instant::now())
    }

    fn enter_at(self: &Arc<Self>, now: Instant) -> Result<Permit, Open> {
        let mut state = self.state.lock();
        let probes = match *state {
            State::Closed { .. } => false,
            State::Open { until } if now >= until => true,
            State::Open { .. } | State::Probing => return Err(Open),
        };
        if probes {
            *state = State::Probing;
        }
        Ok(Permit {
            breaker: Arc::clone(self),
            begun: now,
            probes,
        })
    }

    /// Counts an outcome; what was begun before the breaker closed no longer counts.
    fn count(&self, function: &str, failed: bool, (begun, now): (Instant, Instant)) {
        let mut state = self.state.lock();
        if let State::Closed { since, window } = &mut *state
            && begun >= *since
        {
            let total = window.count(failed, now, self.settings.window);
            if !total.reaches(&self.settings) {
                return;
            }
            let (failed, of) = (total.bad, total.good + total.bad);
            warn!(function, failed, of, pause = ?self.settings.pause, "a function fails too often: its breaker is open");
            *state = self.open(now);
        }
    }

    fn probed(&self, function: &str, failed: bool, now: Instant) {
        let mut state = self.state.lock();
        *state = match failed {
            true => self.open(now),
            false => State::closed(now),
        };
        if !failed {
            info!(function, "a function works again: its breaker is closed");
        }
    }

    fn open(&self, now: Instant) -> State {
        let until = now + self.settings.pause;
        State::Open { until }
    }
}

impl State {
    fn closed(now: Instant) -> Self {
        Self::Closed {
            since: now,
            window: Window::new(now),
        }
    }
}

impl Permit {
    /// Tells how the run of `function` went.
    pub(super) fn settle(mut self, function: &str, failed: bool) {
        let now = Instant::now();
        match std::mem::take(&mut self.probes) {
            true => self.breaker.probed(function, failed, now),
            false => {
                let times = (self.begun, now);
                self.breaker.count(function, failed, times);
            }
        }
    }
}

impl Drop for Permit {
    /// A probe that came to nothing makes room for the next one.
    fn drop(&mut self) {
        if self.probes {
            let until = Instant::now();
            *self.breaker.state.lock() = State::Open { until };
        }
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            steps: [Tally::default(); STEPS],
            current: 0,
            began: now,
        }
    }

    /// Counts one outcome; the sum of the window.
    fn count(&mut self, failed: bool, now: Instant, length: Duration) -> Tally {
        self.move_to(now, length);
        if let Some(step) = self.steps.get_mut(self.current) {
            step.good += u32::from(!failed);
            step.bad += u32::from(failed);
        }
        self.steps.iter().fold(Tally::default(), |sum, step| Tally {
            good: sum.good.saturating_add(step.good),
            bad: sum.bad.saturating_add(step.bad),
        })
    }

    /// Forgets the steps that have left the window.
    fn move_to(&mut self, now: Instant, length: Duration) {
        let step = length / STEPS as u32;
        if now.saturating_duration_since(self.began) >= length + step {
            *self = Self::new(now);
        }
        while now.saturating_duration_since(self.began) >= step {
            self.began += step;
            self.current = (self.current + 1) % STEPS;
            if let Some(next) = self.steps.get_mut(self.current) {
                *next = Tally::default();
            }
        }
    }
}

impl Tally {
    fn reaches(self, settings: &BreakerSettings) -> bool {
        let total = self.good.saturating_add(self.bad);
        total >= settings.minimum && f64::from(self.bad) >= settings.failures * f64::from(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Arc<Breaker> {
        Breaker::new(BreakerSettings {
            minimum: 4,
            ..BreakerSettings::default()
        })
    }

    fn run(breaker: &Arc<Breaker>, failed: bool, now: Instant) {
        let permit = breaker.enter_at(now).expect("it is closed");
        assert!(!permit.probes);
        breaker.count("f", failed, (now, now));
    }

    #[test]
    fn it_opens_at_the_share_of_failures_and_not_before_the_minimum() {
        let (breaker, now) = (breaker(), Instant::now());
        for failed in [true, true, false] {
            run(&breaker, failed, now);
        }
        run(&breaker, false, now);
        assert_eq!(breaker.enter_at(now).err(), Some(Open), "two of four");
    }

    #[test]
    fn old_outcomes_leave_the_window() {
        let (breaker, start) = (breaker(), Instant::now());
        for failed in [true, true, true] {
            run(&breaker, failed, start);
        }
        let later = start + 11 * SECOND;
        for failed in [true, false, false, false] {
            run(&breaker, failed, later);
        }
        assert!(breaker.enter_at(later).is_ok());
    }

    #[test]
    fn one_probe_after_the_pause_decides() {
        let (breaker, start) = (breaker(), Instant::now());
        for _ in 0..4 {
            run(&breaker, true, start);
        }
        let after = start + 6 * SECOND;
        let probe = breaker.enter_at(after).expect("the pause is over");
        assert_eq!(breaker.enter_at(after).err(), Some(Open), "one at a time");
        breaker.probed("f", true, after);
        drop(probe_done(probe));
        assert_eq!(breaker.enter_at(after + SECOND).err(), Some(Open));
        let again = after + 6 * SECOND;
        let probe = breaker.enter_at(again).expect("the second pause is over");
        breaker.probed("f", false, again);
        drop(probe_done(probe));
        assert!(breaker.enter_at(again).is_ok_and(|permit| !permit.probes));
    }

    #[test]
    fn what_began_before_the_breaker_closed_does_not_open_it_again() {
        let (breaker, start) = (breaker(), Instant::now());
        for _ in 0..4 {
            run(&breaker, true, start);
        }
        let after = start + 6 * SECOND;
        let probe = breaker.enter_at(after).expect("the pause is over");
        breaker.probed("f", false, after);
        drop(probe_done(probe));
        for _ in 0..100 {
            breaker.count("f", true, (start, after + SECOND));
        }
        assert!(breaker.enter_at(after + SECOND).is_ok());
    }

    /// As `settle` leaves it, but at a time of the test's choice.
    fn probe_done(mut probe: Permit) -> Permit {
        assert!(std::mem::take(&mut probe.probes));
        probe
    }

    #[test]
    fn a_probe_that_was_cut_short_does_not_keep_it_shut() {
        let (breaker, start) = (breaker(), Instant::now());
        for _ in 0..4 {
            run(&breaker, true, start);
        }
        let after = start + 6 * SECOND;
        drop(breaker.enter_at(after).expect("the pause is over"));
        assert!(breaker.enter_at(after).is_ok_and(|permit| permit.probes));
    }
}
