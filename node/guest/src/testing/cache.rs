//! The cache a function under test sees.

use std::collections::BTreeMap;
use std::time::Duration;

use aegis_abi::{Code, INCREMENT_FAILURE, MAX_KEY, MAX_TTL_SECONDS, MAX_VALUE};

use super::Failure;

/// How long an entry stays where the function does not say, by a node's default: one hour.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Vec<u8>, Entry>,
    failure: Option<Code>,
    /// The theoretical arrival time of the next event, for each key of a rate limit.
    arrivals: BTreeMap<Vec<u8>, Duration>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// The instant it is gone at, in time since the Unix epoch; `None` for never.
    expires: Option<Duration>,
}

impl Cache {
    pub(super) fn keep(&mut self, key: &[u8], value: &[u8]) {
        let value = value.to_vec();
        let expires = None;
        self.entries.insert(key.to_vec(), Entry { value, expires });
    }

    pub(super) fn fail(&mut self, code: Code) {
        self.failure = Some(code);
    }

    pub(super) fn value(&self, key: &[u8], now: Duration) -> Option<&[u8]> {
        self.entries
            .get(key)
            .filter(|entry| entry.expires.is_none_or(|expires| now < expires))
            .map(|entry| entry.value.as_slice())
    }

    pub(super) fn get(&self, key: &[u8], now: Duration) -> Result<Vec<u8>, Failure> {
        self.check(key)?;
        self.value(key, now)
            .map(<[u8]>::to_vec)
            .ok_or(Failure(Code::NotFound, "no such cache key"))
    }

    pub(super) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        ttl: u32,
        now: Duration,
    ) -> Result<(), Failure> {
        self.check(key)?;
        if value.len() > MAX_VALUE {
            return Err(Failure(Code::TooLarge, "the cache value is too large"));
        }
        let value = value.to_vec();
        let expires = Some(now + lifetime(ttl)?);
        self.entries.insert(key.to_vec(), Entry { value, expires });
        Ok(())
    }

    /// 1 where there was something to remove, else 0.
    pub(super) fn delete(&mut self, key: &[u8], now: Duration) -> Result<i32, Failure> {
        self.check(key)?;
        let existed = self.value(key, now).is_some();
        self.entries.remove(key);
        Ok(existed.into())
    }

    pub(super) fn increment(
        &mut self,
        key: &[u8],
        delta: i64,
        ttl: u32,
        now: Duration,
    ) -> Result<i64, Failure> {
        self.check(key)?;
        let lifetime = lifetime(ttl)?;
        let (before, expires) = match self.value(key, now) {
            Some(value) => (number(value)?, self.entries[key].expires),
            None => (0, Some(now + lifetime)),
        };
        let sum = before
            .checked_add(delta)
            .filter(|sum| *sum != INCREMENT_FAILURE)
            .ok_or(Failure(Code::BadArgument, "the number would not fit"))?;
        let value = sum.to_string().into_bytes();
        self.entries.insert(key.to_vec(), Entry { value, expires });
        Ok(sum)
    }

    /// GCRA with a burst of `limit`: 0, or the milliseconds until the event would be allowed.
    pub(super) fn rate_limit(
        &mut self,
        key: &[u8],
        limit: u32,
        window: u32,
        now: Duration,
    ) -> Result<i32, Failure> {
        self.check(key)?;
        if limit == 0 || window == 0 || window > MAX_TTL_SECONDS {
            return Err(Failure(Code::BadArgument, "no such limit or window"));
        }
        let window = Duration::from_secs(window.into());
        let due = self.arrivals.get(key).map_or(now, |due| now.max(*due));
        let next = due + window / limit;
        let Some(early) = next.checked_sub(now + window).filter(|it| !it.is_zero()) else {
            self.arrivals.insert(key.to_vec(), next);
            return Ok(0);
        };
        let milliseconds = early.as_nanos().div_ceil(1_000_000);
        Ok(i32::try_from(milliseconds).unwrap_or(i32::MAX))
    }

    /// Whether a call about this key may go on.
    fn check(&self, key: &[u8]) -> Result<(), Failure> {
        if key.len() > MAX_KEY {
            return Err(Failure(Code::TooLarge, "a cache key has at most 256 bytes"));
        }
        if key.is_empty() {
            return Err(Failure(
                Code::BadArgument,
                "a cache key has at least 1 byte",
            ));
        }
        match self.failure {
            Some(code) => Err(Failure(code, "the cache fails in this test")),
            None => Ok(()),
        }
    }
}

fn lifetime(ttl: u32) -> Result<Duration, Failure> {
    match ttl {
        0 => Ok(DEFAULT_TTL),
        1..=MAX_TTL_SECONDS => Ok(Duration::from_secs(ttl.into())),
        _ => Err(Failure(Code::BadArgument, "a ttl of over a year")),
    }
}

/// Decimal text as the node writes it: no sign but `-`, no leading zeros.
fn number(value: &[u8]) -> Result<i64, Failure> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| {
            text.parse()
                .ok()
                .filter(|number: &i64| number.to_string() == text)
        })
        .ok_or(Failure(Code::BadArgument, "the value is not a number"))
}
