//! What the operator hears of the store: one line when it becomes reachable, one when it no
//! longer is, and now and then one while it refuses what it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::Target;
use crate::cache::StoreUrl;
use crate::cache::secret::Secret;
use crate::telemetry::Complaints;

/// The longest reason in the log, in bytes: it may be the store's own words.
const LONGEST: usize = 200;

/// Servers that do not know a command repeat what came with it: a password, or what guests store.
const REPEATED: &str = ", with args beginning with";

/// First words of the refusals that are told of each by itself; all others count as one more. A
/// store that is full must not hide that it may not be written to at all.
const REFUSALS: [&str; 8] = [
    "OOM",
    "READONLY",
    "NOPERM",
    "NOAUTH",
    "LOADING",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
];

/// The state of the store, shared by its connections.
pub(super) struct Status {
    url: StoreUrl,
    secrets: Vec<Secret>,
    state: Mutex<State>,
    refusals: Complaints<{ REFUSALS.len() + 1 }>,
}

#[derive(Default)]
struct State {
    open: usize,
    announced: Option<Reach>,
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
            refusals: Complaints::default(),
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
        if let Some(withheld) = self.refusals.due(cause(why)) {
            warn!(
                store = %self.url,
                reason = ?self.told(why),
                withheld,
                "cache store refuses operations"
            );
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

    fn announce(&mut self, reach: Reach) -> bool {
        self.announced.replace(reach) != Some(reach)
    }
}

/// Which of the causes that are told of each by itself.
fn cause(why: &str) -> usize {
    let word = why.split(' ').next();
    let known = REFUSALS.iter().position(|known| Some(*known) == word);
    known.unwrap_or(REFUSALS.len())
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
    fn no_refusal_hides_another() {
        let refusals = Complaints::<{ REFUSALS.len() + 1 }>::default();
        for (why, told) in [
            ("OOM command not allowed", true),
            ("READONLY You can't write", true),
            ("OOM command not allowed", false),
            ("NOPERM this user has no permissions", true),
            ("ERR unknown", true),
            ("ODD words of the store's own count together", false),
            ("OOMish", false),
            ("", false),
        ] {
            assert_eq!(refusals.due(cause(why)).is_some(), told, "{why}");
        }
    }
}
