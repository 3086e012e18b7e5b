//! What the configuration says of one upstream.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::PathAndQuery;

use super::{HashBy, RetryOn, TlsSettings};

/// One `[upstreams.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At least one.
    pub backends: Vec<BackendSettings>,
    /// Which of them takes a request.
    pub balance: Balance,
    /// Whether backends are spoken to in HTTP/2, without asking whether they know it.
    pub http2: bool,
    /// Requests under way at one backend at once.
    pub connections: usize,
    /// TCP connect.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of an answer.
    pub read_timeout: Duration,
    /// Further attempts: so many on other backends after a connect failure, and so many after
    /// what else is in `retry_on`, of which a kept connection that died under an idempotent
    /// request has one at least.
    pub retries: usize,
    /// How it is found out which backends are up; `None`: they are taken to be.
    pub health_check: Option<HealthCheck>,
    /// When requests show that a backend fails.
    pub ejection: Ejection,
    /// How long the share of a backend that came back, or is new, rises to its weight.
    pub slow_start: Duration,
    /// Who is asked for names; empty: whom the system asks.
    pub nameservers: Vec<SocketAddr>,
    /// What they are for.
    pub retry_on: RetryOn,
    /// Plain HTTP without.
    pub tls: Option<TlsSettings>,
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

impl BackendSettings {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

/// How requests are shared out; always by weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// Where the fewest requests are under way.
    LeastConnections,
    /// What is equal in this goes to the same backend.
    Hash(HashBy),
}

/// How backends are asked whether they are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// From one check to the next.
    pub interval: Duration,
    /// Of one check, and at most `interval`.
    pub timeout: Duration,
    /// Successes in a row that bring a backend back; at least one.
    pub healthy: u32,
    /// Failures in a row that take it out; at least one.
    pub unhealthy: u32,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// That it accepts a connection.
    Connect,
    /// What it answers a GET with.
    Get {
        /// Asked for.
        path: PathAndQuery,
        /// `Host`; `None`: the address as the configuration has it.
        host: Option<String>,
        /// The good answers.
        status: Vec<RangeInclusive<u16>>,
    },
}

/// When a backend is passed over for a while because requests fail on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row; 0 is never.
    pub failures: u32,
    /// For how long at first; each time it soon happens again twice as long.
    pub pause: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(10),
        }
    }
}
