//! What the configuration says of one upstream.

use std::time::Duration;

/// One `[upstreams.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At least one.
    pub backends: Vec<BackendSettings>,
    /// Requests under way at one backend at once.
    pub connections: usize,
    /// TCP connect.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of an answer.
    pub read_timeout: Duration,
    /// Further attempts on another backend after a connect failure, and (but at least one)
    /// after a kept connection died under an idempotent request.
    pub retries: usize,
}

/// One entry of `backends`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSettings {
    /// An IP address (IPv6 without brackets) or a host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Share of the requests, relative to the other backends; 1..=1000.
    pub weight: usize,
}
