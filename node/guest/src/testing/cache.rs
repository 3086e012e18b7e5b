//! The cache a function under test sees.

use std::collections::BTreeMap;
use std::time::Duration;

use aegis_abi::{Code, MAX_KEY, MAX_TTL_SECONDS, MAX_VALUE};

use super::Failure;

/// How long an entry stays where the function does not say, by a node's default: one hour.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Vec<u8>, Entry>,
    failure: Option<Code>,
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
        let ttl = match ttl {
            0 => DEFAULT_TTL,
            1..=MAX_TTL_SECONDS => Duration::from_secs(ttl.into()),
            _ => return Err(Failure(Code::BadArgument, "a ttl of over a year")),
        };
        let value = value.to_vec();
        let expires = Some(now + ttl);
        self.entries.insert(key.to_vec(), Entry { value, expires });
        Ok(())
    }

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
