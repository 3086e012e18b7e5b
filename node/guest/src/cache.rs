//! The cache the node keeps for this function: what one invocation stores, later ones find.
//!
//! Keys are 1 to 256 bytes, values up to 1 MiB, both of any content. A function sees its own
//! namespace only; functions share one where the operator says so. It is a cache: an entry may
//! go at any time, and with the store down every call fails in a fraction of a second.

mod rate;

use std::time::Duration;

use aegis_abi::INCREMENT_FAILURE;
pub use rate::{Decision, rate_limit};

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
    let ttl = ttl_seconds(ttl.into())?;
    buffer::done(sys::cache_set(key.as_ref(), value.as_ref(), ttl))
}

/// Removes a key: whether there was one.
///
/// ```
/// # use aegis_guest::{Error, cache, testing::Host};
/// # Host::new().cached("colour", "blue").run(|| {
/// assert!(cache::delete("colour")?);
/// assert!(!cache::delete("colour")?);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`get`].
pub fn delete(key: impl AsRef<[u8]>) -> Result<bool, Error> {
    match sys::cache_delete(key.as_ref()) {
        ..0 => Err(Error::last()),
        removed => Ok(removed > 0),
    }
}

/// Adds to a number in one step, whoever else does so at the same time: the new value.
///
/// An absent key counts from 0 and gets the time to live, as in [`set`]; one that is there keeps
/// the time it has left. [`get`] reads the number as decimal text.
///
/// ```
/// # use std::time::Duration;
/// # use aegis_guest::{Error, cache, testing::Host};
/// # Host::new().run(|| {
/// assert_eq!(cache::increment("hits", 1, Duration::from_secs(3600))?, 1);
/// assert_eq!(cache::increment("hits", 2, Duration::from_secs(3600))?, 3);
/// assert_eq!(cache::get("hits")?.as_deref(), Some(b"3".as_slice()));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) where the key holds something else than a number, or
/// the sum does not fit; otherwise as [`set`].
pub fn increment(
    key: impl AsRef<[u8]>,
    delta: i64,
    ttl: impl Into<Option<Duration>>,
) -> Result<i64, Error> {
    let ttl = ttl_seconds(ttl.into())?;
    match sys::cache_increment(key.as_ref(), delta, ttl) {
        INCREMENT_FAILURE => Err(Error::last()),
        value => Ok(value),
    }
}

/// The ttl that stands for the node's default.
const NODE_DEFAULT: u32 = 0;

fn ttl_seconds(ttl: Option<Duration>) -> Result<u32, Error> {
    ttl.map_or(Ok(NODE_DEFAULT), seconds)
}

/// Rounded up, so that a short time never becomes the 0 that means the default; a time beyond
/// `u32` is left to the node to refuse.
fn seconds(ttl: Duration) -> Result<u32, Error> {
    if ttl.is_zero() {
        return Err(Error::new(crate::Code::BadArgument, "a time of zero"));
    }
    let whole = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    Ok(whole.saturating_add(u32::from(ttl.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{delete, get, increment, seconds, set};
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
    fn a_counter_keeps_the_time_it_was_created_with() {
        let mut host = Host::new();
        let minute = Duration::from_secs(60);
        let count =
            |expected| move || increment("n", 1, minute).map(|value| assert_eq!(value, expected));
        host.run(count(1)).assert_ok();
        host.advance(Duration::from_secs(59));
        host.run(count(2)).assert_ok();
        assert_eq!(host.cache_value("n"), Some(b"2".as_slice()));
        host.advance(Duration::from_secs(1));
        host.run(count(1)).assert_ok();
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_cannot_be_counted() {
        let code = |key, delta| increment(key, delta, None).map_err(|error| error.code());
        Host::new()
            .cached("text", "many")
            .cached("padded", "007")
            .cached("most", i64::MAX.to_string())
            .cached("least", (i64::MIN + 1).to_string())
            .run(|| {
                for key in ["text", "padded", "most"] {
                    assert_eq!(code(key, 1), Err(Code::BadArgument), "{key}");
                }
                assert_eq!(code("least", -1), Err(Code::BadArgument));
                assert_eq!(code("most", -1), Ok(i64::MAX - 1));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn deleting_says_whether_there_was_something() {
        Host::new()
            .cached("key", "value")
            .run(|| {
                assert!(delete("key")?);
                assert!(!delete("key")?);
                assert_eq!(get("key")?, None);
                assert_eq!(
                    delete("").map_err(|error| error.code()),
                    Err(Code::BadArgument)
                );
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
