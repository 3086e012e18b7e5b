//! What the operator hears of the store: one line when it becomes reachable, one when it no
//! longer is, and now and then one while it refuses what it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Target;
use crate::cache::StoreUrl;
use crate::cache::secret::Secret;

/// The longest reason in the log, in bytes: it may be the store's own words.
const LONGEST: usize = 200;

/// Servers that do not know a command repeat what came with it: a password, or what guests store.
const REPEATED: &str = ", with args beginning with";

/// The shortest time between two lines about refused operations.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

/// The state of the store, shared by its connections.
pub(super) struct Status {
    url: StoreUrl,
    secrets: Vec<Secret>,
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
    pub(super) fn new(target: &Target) -> Self {
        Self {
            url: target.url().clone(),
            secrets: target.secrets(),
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
            warn!(store = %self.url, reason = ?self.told(why), "cache store unavailable");
        }
    }

    /// The store answered with an error.
    pub(super) fn refused(&self, why: &str) {
        if self.lock().refused(Instant::now()) {
            warn!(store = %self.url, reason = ?self.told(why), "cache store refuses operations");
        }
    }

    /// What of a reason may be logged.
    fn told(&self, why: &str) -> String {
        let why = why.split(REPEATED).next().unwrap_or_default();
        let hide = |text: String, secret: &Secret| text.replace(secret.reveal(), "***");
        let mut why = self.secrets.iter().fold(why.to_owned(), hide);
        if why.len() > LONGEST {
            why.truncate(why.floor_char_boundary(LONGEST));
            why.push('…');
        }
        why
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
    use crate::cache::access::Access;

    #[test]
    fn a_reason_shows_no_password_and_nothing_that_was_sent() {
        let url = "redis://user:hunter2@store".parse().unwrap();
        let status = Status::new(&Target::new(&url, &Access::default()).unwrap());
        for (why, told) in [
            (
                "WRONGPASS invalid username-password pair",
                "WRONGPASS invalid username-password pair",
            ),
            (
                "ERR no such user: user hunter2",
                "ERR no such user: user ***",
            ),
            (
                "ERR unknown command `AUTH`, with args beginning with: `hunter2`, ",
                "ERR unknown command `AUTH`",
            ),
        ] {
            assert_eq!(status.told(why), told);
        }
        assert!(status.told(&"ä".repeat(1_000_000)).len() < 210);
    }

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
