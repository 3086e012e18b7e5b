//! Rate limits, shared by all nodes that share the store.

use std::time::Duration;

use super::seconds;
use crate::{Error, sys};

/// What a rate limit says about one more event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a rate limit limits nothing unless its decision is looked at"]
pub enum Decision {
    /// The event is within the limit, and has been counted.
    Allowed,
    /// The event is past the limit, and has not been counted.
    Refused {
        /// After this time the same event would be allowed, if no other came first.
        retry_after: Duration,
    },
}

impl Decision {
    /// Whether the event is within the limit.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// The seconds for a `retry-after` header, at least 1; `None` where the event is allowed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use aegis_guest::cache::Decision;
    /// let refused = Decision::Refused { retry_after: Duration::from_millis(1200) };
    /// assert_eq!(refused.retry_after_seconds(), Some(2));
    /// assert_eq!(Decision::Allowed.retry_after_seconds(), None);
    /// ```
    pub fn retry_after_seconds(self) -> Option<u64> {
        match self {
            Self::Allowed => None,
            Self::Refused { retry_after } => {
                let started = u64::from(retry_after.subsec_nanos() > 0);
                Some(retry_after.as_secs().saturating_add(started).max(1))
            }
        }
    }
}

/// Counts one event against a limit: `limit` events per `window`.
///
/// The limit is exact over all nodes that share the store. At most `limit` events pass at once;
/// after that they pass evenly spread, one every `window / limit`. A window is counted in whole
/// seconds, rounded up, and is at most one year. The key is one of the function's cache; use it
/// for nothing else.
///
/// ```
/// # use std::time::Duration;
/// # use aegis_guest::{Error, cache, testing::Host};
/// # Host::new().run(|| {
/// let minute = Duration::from_secs(60);
/// assert!(cache::rate_limit("logins", 1, minute)?.is_allowed());
/// assert_eq!(cache::rate_limit("logins", 1, minute)?.retry_after_seconds(), Some(60));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a limit or window of zero; otherwise as
/// [`get`](super::get). Decide what an error means for you: refusing makes the store a single
/// point of failure, allowing leaves you without a limit while it is down.
pub fn rate_limit(key: impl AsRef<[u8]>, limit: u32, window: Duration) -> Result<Decision, Error> {
    let window = seconds(window)?;
    match u64::try_from(sys::rate_limit(key.as_ref(), limit, window)) {
        Ok(0) => Ok(Decision::Allowed),
        Ok(milliseconds) => Ok(Decision::Refused {
            retry_after: Duration::from_millis(milliseconds),
        }),
        Err(_) => Err(Error::last()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Decision, rate_limit};
    use crate::testing::Host;
    use crate::{Code, Error};

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn a_burst_passes_and_then_one_event_each_part_of_the_window() {
        let mut host = Host::new();
        host.run(|| {
            for _ in 0..5 {
                assert_eq!(rate_limit("key", 5, WINDOW)?, Decision::Allowed);
            }
            let refused = rate_limit("key", 5, WINDOW)?;
            assert_eq!(refused.retry_after_seconds(), Some(2));
            assert!(rate_limit("another", 5, WINDOW)?.is_allowed());
            Ok::<(), Error>(())
        })
        .assert_ok();

        host.advance(Duration::from_millis(1_999));
        let again = || rate_limit("key", 5, WINDOW);
        let retry_after = Duration::from_millis(1);
        host.run(|| again().map(|it| assert_eq!(it, Decision::Refused { retry_after })))
            .assert_ok();
        host.advance(retry_after);
        host.run(|| {
            assert!(again()?.is_allowed());
            assert!(!again()?.is_allowed());
            Ok::<(), Error>(())
        })
        .assert_ok();
    }

    #[test]
    fn limits_and_windows_of_zero_and_a_failing_store_are_errors() {
        let code = |limit, window| rate_limit("key", limit, window).map_err(|it| it.code());
        Host::new()
            .run(|| {
                assert_eq!(code(0, WINDOW), Err(Code::BadArgument));
                assert_eq!(code(1, Duration::ZERO), Err(Code::BadArgument));
                assert_eq!(code(1, Duration::MAX), Err(Code::BadArgument));
                Ok::<(), Error>(())
            })
            .assert_ok();
        Host::new()
            .cache_fails(Code::TimedOut)
            .run(|| {
                assert_eq!(code(1, WINDOW), Err(Code::TimedOut));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
