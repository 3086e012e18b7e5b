//! The clock.

use std::time::Duration;

use crate::sys;

/// The time since the Unix epoch, to the millisecond.
///
/// The standard library's `SystemTime::now` and `Instant::now` panic in a wasm module; this is
/// what to use instead.
///
/// ```
/// # use std::time::Duration;
/// # use aegis_guest::{Error, testing::Host};
/// # Host::new().now(Duration::from_secs(1_700_000_000)).run(|| {
/// let expires = aegis_guest::time::now() + Duration::from_secs(60);
/// assert_eq!(expires.as_secs(), 1_700_000_060);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
pub fn now() -> Duration {
    Duration::from_millis(u64::try_from(sys::time_now()).unwrap_or(0))
}
