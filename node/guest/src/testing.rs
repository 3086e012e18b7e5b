//! A host to test functions against, without a node and without WebAssembly.
//!
//! It says what the request is, what configuration and cache hold and how remote servers answer;
//! it keeps the contract of the real one (sizes, header rules, statuses) with the limits a node
//! has by default. A function run in it is the very function the module exports:
//!
//! ```
//! use aegis_guest::testing::Host;
//! use aegis_guest::{Error, cache, respond};
//!
//! fn remember() -> Result<(), Error> {
//!     let before = cache::get("seen")?.is_some();
//!     cache::set("seen", "yes", None)?;
//!     respond(200, "text/plain", if before { "again" } else { "first time" })
//! }
//!
//! let mut host = Host::new().method("GET").uri("/remember");
//! assert_eq!(host.run(remember).text(), "first time");
//! assert_eq!(host.run(remember).text(), "again");
//! ```
//!
//! A function's response phase is run with [`Host::run_response`], on what [`Host::received`] says
//! the upstream answered.
//!
//! Differences from a node: random bytes are the same in every run, the clock stands still unless
//! moved or waited on, all HTTPS calls really run at once, and the body a node takes from the
//! shared buffer where a function sets none is not shown.

mod cache;
mod failure;
mod header;
mod header_edits;
pub(crate) mod invocation;
mod outcome;
mod remote;
mod reply;
mod request;
mod request_edits;
mod response;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use aegis_abi::Code;

use cache::Cache;
use failure::Failure;
use invocation::{Invocation, Phase};
pub use outcome::Outcome;
pub use remote::Call;
use remote::Remote;
pub use reply::Reply;
use request::Request;

/// What surrounds the function: a `GET /` without headers, an empty configuration and cache, and
/// no remote servers, until told otherwise. The cache lives as long as the host, over any number
/// of runs.
#[derive(Debug)]
pub struct Host {
    pub(crate) request: Request,
    received: Reply,
    config: BTreeMap<String, String>,
    cache: Cache,
    remote: Remote,
    now: Duration,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            request: Request::default(),
            received: Reply::new(200),
            config: BTreeMap::new(),
            cache: Cache::default(),
            remote: Remote::default(),
            now: Duration::ZERO,
        }
    }
}

impl Host {
    /// A host with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the request's method.
    pub fn method(mut self, method: &str) -> Self {
        self.request.method = method.into();
        self
    }

    /// Sets the request's path and query.
    pub fn uri(mut self, uri: &str) -> Self {
        self.request.uri = uri.into();
        self
    }

    /// Adds a header to the request, next to those of the same name.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.request
            .headers
            .push((name.to_ascii_lowercase(), value));
        self
    }

    /// Sets the request's body, as for a function whose configuration has `body = "request"`;
    /// without this, reading it is not allowed.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.request.body = Some(body.as_ref().to_vec());
        self
    }

    /// Sets the client's address; it is 127.0.0.1 otherwise.
    pub fn client_address(mut self, address: &str) -> Self {
        self.request.client_address = address.into();
        self
    }

    /// Sets what the upstream answered, for the response phase; it is an empty 200 otherwise.
    pub fn received(mut self, reply: Reply) -> Self {
        self.received = reply;
        self
    }

    /// Adds a value to the function's configuration.
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// Puts an entry into the cache, to stay as long as the host.
    pub fn cached(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.cache.keep(key.as_ref(), value.as_ref());
        self
    }

    /// Makes every call to the cache fail.
    pub fn cache_fails(mut self, code: Code) -> Self {
        self.cache.fail(code);
        self
    }

    /// Makes HTTPS calls to this URL, whatever the method, bring a 200 with this body. URLs that
    /// are not mentioned are not granted.
    pub fn answer(self, url: &str, body: impl AsRef<[u8]>) -> Self {
        self.reply(url, Reply::new(200).body(body))
    }

    /// Makes HTTPS calls to this URL, whatever the method, bring this answer.
    pub fn reply(mut self, url: &str, reply: Reply) -> Self {
        self.remote.answer(url, Ok(reply));
        self
    }

    /// Makes HTTPS calls to this URL fail.
    pub fn answer_fails(mut self, url: &str, code: Code) -> Self {
        self.remote.answer(url, Err(code));
        self
    }

    /// Sets the clock, in time since the Unix epoch; it starts there.
    pub fn now(mut self, now: Duration) -> Self {
        self.now = now;
        self
    }

    /// Moves the clock between two runs.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// What the cache holds for a key now.
    pub fn cache_value(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.cache.value(key.as_ref(), self.now)
    }

    /// Runs a function once, on this thread.
    pub fn run<E: Display>(&mut self, function: impl FnOnce() -> Result<(), E>) -> Outcome {
        self.invoke(Phase::Request, function)
    }

    /// Runs the entry of a function's response phase once, on this thread.
    pub fn run_response<E: Display>(
        &mut self,
        function: impl FnOnce() -> Result<(), E>,
    ) -> Outcome {
        self.invoke(Phase::Response, function)
    }

    fn invoke<E: Display>(
        &mut self,
        phase: Phase,
        function: impl FnOnce() -> Result<(), E>,
    ) -> Outcome {
        let outer = invocation::enter(Invocation::new(std::mem::take(self), phase));
        let result = function().map_err(|error| error.to_string());
        let invocation = invocation::leave(outer);
        *self = invocation.host;
        Outcome {
            result,
            response: invocation.response,
            request: invocation.request,
            request_body: invocation.edits.body,
            logs: invocation.logs,
            calls: invocation.calls,
        }
    }
}

// === The host's side of the calls ===

impl Host {
    pub(crate) fn cache_get(&self, key: &[u8]) -> Result<Vec<u8>, Failure> {
        self.cache.get(key, self.now)
    }

    pub(crate) fn cache_set(&mut self, key: &[u8], value: &[u8], ttl: u32) -> Result<(), Failure> {
        self.cache.set(key, value, ttl, self.now)
    }

    pub(crate) fn cache_delete(&mut self, key: &[u8]) -> Result<i32, Failure> {
        self.cache.delete(key, self.now)
    }

    pub(crate) fn cache_increment(
        &mut self,
        key: &[u8],
        delta: i64,
        ttl: u32,
    ) -> Result<i64, Failure> {
        self.cache.increment(key, delta, ttl, self.now)
    }

    pub(crate) fn rate_limit(
        &mut self,
        key: &[u8],
        limit: u32,
        window: u32,
    ) -> Result<i32, Failure> {
        self.cache.rate_limit(key, limit, window, self.now)
    }

    pub(crate) fn config_get(&self, key: &[u8]) -> Result<Vec<u8>, Failure> {
        std::str::from_utf8(key)
            .ok()
            .and_then(|key| self.config.get(key))
            .map(|value| value.clone().into_bytes())
            .ok_or(Failure(Code::NotFound, "no such configuration value"))
    }

    pub(crate) fn milliseconds(&self) -> i64 {
        i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX)
    }
}
