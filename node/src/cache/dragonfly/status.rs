//! What the operator hears of the store: one line when it becomes reachable, one when it no
//! longer is, and now and then one while it refuses what it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::StoreUrl;

/// The shortest time between two lines about refused operations.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

/// The state of the store, shared by its connections.
pub(super) struct Status {
    url: StoreUrl,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: usize,
    announced: Option<Reach>,
    refused: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Connected,
    Unavailable,
}

// === impl Status ===

impl Status {
    pub(super) fn new(url: StoreUrl) -> Self {
        Self {
            url,
            state: Mutex::default(),
        }
    }

    /// A connection is open.
    pub(super) fn opened(&self) {
        if self.lock().opened() {
            info!(store = %self.url, "cache store connected");
        }
    }

    /// A connection that was open is gone.
    pub(super) fn closed(&self, why: &str) {
        self.lock().closed();
        self.unreachable(why);
    }

    /// A connection could not be opened. `why` may be the store's own words, hence the escapes.
    pub(super) fn unreachable(&self, why: &str) {
        if self.lock().unreachable() {
            warn!(store = %self.url, reason = ?why, "cache store unavailable");
        }
    }

    /// The store answered with an error.
    pub(super) fn refused(&self, why: &str) {
        if self.lock().refused(Instant::now()) {
            warn!(store = %self.url, reason = ?why, "cache store refuses operations");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

/// Each event; those that may be announced return whether they should be.
impl State {
    fn opened(&mut self) -> bool {
        self.open += 1;
        self.announce(Reach::Connected)
    }

    fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    fn unreachable(&mut self) -> bool {
        self.open == 0 && self.announce(Reach::Unavailable)
    }

    fn refused(&mut self, now: Instant) -> bool {
        let due = self
            .refused
            .is_none_or(|last| now.duration_since(last) >= REFUSAL_INTERVAL);
        if due {
            self.refused = Some(now);
        }
        due
    }

    fn announce(&mut self, reach: Reach) -> bool {
        self.announced.replace(reach) != Some(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_announced() {
        let mut state = State::default();
        assert!(state.opened());
        assert!(!state.opened());
        state.closed();
        assert!(!state.unreachable(), "one connection is still open");
        state.closed();
        assert!(state.unreachable());
        assert!(!state.unreachable());
        assert!(state.opened());
    }

    #[test]
    fn a_store_that_was_never_there_is_announced_once() {
        let mut state = State::default();
        assert!(state.unreachable());
        assert!(!state.unreachable());
    }

    #[test]
    fn refusals_are_announced_now_and_then() {
        let mut state = State::default();
        let start = Instant::now();
        assert!(state.refused(start));
        assert!(!state.refused(start + Duration::from_secs(59)));
        assert!(state.refused(start + Duration::from_secs(60)));
    }
}
