//! Counters and rates in the store, each call by one script.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;

use super::script::Script;
use crate::cache::rate::{self, Rate};
use crate::cache::{CacheError, MAX_TTL};

/// What counters and rates are done with.
pub(super) struct Counting {
    increment: Script,
    rate_limit: Script,
    timeout: Duration,
}

// === impl Counting ===

impl Counting {
    /// Each call takes at most `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            increment: Script::new(include_str!("increment.lua")),
            rate_limit: Script::new(include_str!("rate_limit.lua")),
            timeout,
        }
    }

    pub(super) async fn increment(
        &self,
        client: &Client,
        key: Bytes,
        delta: i64,
        ttl: Duration,
    ) -> Result<String, Error> {
        let undo = match delta {
            ..0 => (-(delta + 1)).to_string(),
            0.. => String::new(),
        };
        let arguments = [delta.to_string(), ttl.as_secs().to_string(), undo];
        let script = &self.increment;
        script.run(client, key, &arguments, self.timeout).await
    }

    pub(super) async fn rate_limit(
        &self,
        client: &Client,
        key: Bytes,
        rate: Rate,
    ) -> Result<String, Error> {
        let step = rate.step();
        let arguments = [
            step.micros.to_string(),
            step.parts.to_string(),
            rate.limit().to_string(),
            rate.window().to_string(),
        ];
        let script = &self.rate_limit;
        script.run(client, key, &arguments, self.timeout).await
    }
}

/// The number that the first script answers with.
pub(super) fn sum(text: &str) -> Result<i64, CacheError> {
    text.parse().map_err(|_| CacheError::Unavailable)
}

/// The wait that the second script answers with.
pub(super) fn wait(text: &str) -> Result<Option<Duration>, CacheError> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(early) if early <= MAX_TTL.as_micros() as u64 => Ok(Some(rate::wait(early))),
        _ => Err(CacheError::Unavailable),
    }
}

/// Answers of the store that tell of a guest's mistake, not of the store's state.
pub(super) fn mistake(answer: &str) -> Option<CacheError> {
    [
        ("WRONGTYPE ", CacheError::Kind),
        ("ERR value is not an integer", CacheError::NotANumber),
        ("ERR increment or decrement would", CacheError::Overflow),
    ]
    .into_iter()
    .find_map(|(start, mistake)| answer.starts_with(start).then_some(mistake))
}
