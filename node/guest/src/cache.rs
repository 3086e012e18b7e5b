//! The cache the node keeps for this function: what one invocation stores, later ones find.
//!
//! Keys are 1 to 256 bytes, values up to 1 MiB, both of any content. A function sees its own
//! namespace only; functions share one where the operator says so. It is a cache: an entry may
//! go at any time, and with the store down every call fails in a fraction of a second.

use std::time::Duration;

use crate::{Error, buffer, sys};

/// The value of a key, or `None` on a miss.
///
/// ```
/// # use aegis_guest::{Error, cache, testing::Host};
/// # Host::new().cached("colour", "blue").run(|| {
/// assert_eq!(cache::get("colour")?.as_deref(), Some(b"blue".as_slice()));
/// assert_eq!(cache::get("shape")?, None);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for an empty or too long key,
/// [`TimedOut`](crate::Code::TimedOut) or [`Unavailable`](crate::Code::Unavailable) when the store
/// does not answer, [`LimitReached`](crate::Code::LimitReached) past the operator's number of
/// cache calls per invocation.
pub fn get(key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
    buffer::found(sys::cache_get(key.as_ref()))
}

/// Stores a value for a time, replacing what the key had.
///
/// The time is a `Duration` of at most one year, counted in whole seconds and rounded up, or
/// `None` for the node's default (one hour unless configured otherwise).
///
/// ```
/// # use std::time::Duration;
/// # use aegis_guest::{Error, cache, testing::Host};
/// # Host::new().run(|| {
/// cache::set("colour", "blue", Duration::from_secs(60))?;
/// cache::set("shape", "round", None)?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for an empty or too long key or a time of zero or
/// over a year, [`TooLarge`](crate::Code::TooLarge) for a value over 1 MiB; otherwise as [`get`].
pub fn set(
    key: impl AsRef<[u8]>,
    value: impl AsRef<[u8]>,
    ttl: impl Into<Option<Duration>>,
) -> Result<(), Error> {
    let ttl = match ttl.into() {
        Some(ttl) => seconds(ttl)?,
        None => NODE_DEFAULT,
    };
    buffer::done(sys::cache_set(key.as_ref(), value.as_ref(), ttl))
}

/// The ttl that stands for the node's default.
const NODE_DEFAULT: u32 = 0;

/// Rounded up, so that a short time never becomes the 0 that means the default; a time beyond
/// `u32` is left to the node to refuse.
fn seconds(ttl: Duration) -> Result<u32, Error> {
    if ttl.is_zero() {
        return Err(Error::new(
            crate::Code::BadArgument,
            "a time to live of zero",
        ));
    }
    let whole = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    Ok(whole.saturating_add(u32::from(ttl.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{get, seconds, set};
    use crate::testing::Host;
    use crate::{Code, Error};

    #[test]
    fn a_value_lasts_until_its_time_is_over() {
        let mut host = Host::new();
        let read = || get("key").map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..])));
        host.run(|| set("key", "value", Duration::from_secs(60)))
            .assert_ok();

        host.advance(Duration::from_secs(59));
        host.run(read).assert_ok();
        host.advance(Duration::from_secs(1));
        host.run(|| get("key").map(|value| assert_eq!(value, None)))
            .assert_ok();
    }

    #[test]
    fn a_failing_store_is_an_error_and_not_a_miss() {
        let mut host = Host::new().cache_fails(Code::TimedOut);
        host.run(|| {
            assert_eq!(
                get("key").map_err(|error| error.code()),
                Err(Code::TimedOut)
            );
            Ok::<(), Error>(())
        })
        .assert_ok();
    }

    #[test]
    fn keys_values_and_times_outside_the_contract_are_refused() {
        let set = |key: &str, value: &[u8], ttl| set(key, value, ttl).map_err(|error| error.code());
        let minute = Some(Duration::from_secs(60));
        let year = Duration::from_secs(aegis_abi::MAX_TTL_SECONDS.into());
        Host::new()
            .run(|| {
                assert_eq!(set("", b"", minute), Err(Code::BadArgument));
                assert_eq!(set(&"k".repeat(257), b"", minute), Err(Code::TooLarge));
                assert_eq!(set(&"k".repeat(256), b"", minute), Ok(()));
                assert_eq!(set("k", &vec![0; 1 << 20], minute), Ok(()));
                assert_eq!(
                    set("k", &vec![0; (1 << 20) + 1], minute),
                    Err(Code::TooLarge)
                );
                assert_eq!(set("k", b"", Some(Duration::ZERO)), Err(Code::BadArgument));
                assert_eq!(set("k", b"", Some(year)), Ok(()));
                assert_eq!(set("k", b"", Some(year * 2)), Err(Code::BadArgument));
                assert_eq!(set("k", b"", Some(Duration::MAX)), Err(Code::BadArgument));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn a_fraction_of_a_second_counts_as_a_whole_one() {
        assert_eq!(seconds(Duration::from_millis(1)), Ok(1));
        assert_eq!(seconds(Duration::from_millis(1001)), Ok(2));
        assert_eq!(seconds(Duration::from_secs(2)), Ok(2));
    }
}
