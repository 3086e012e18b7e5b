//! `[server]` and `[server.limits]`.

use std::time::Duration;

use crate::listener::Limits;
use crate::proxy::Networks;

use super::{
    networks,
    quantity::{DAY, GIB, HOUR, KIB, MIB, MILLISECOND, SECOND, TIB},
    section::Section,
};

/// Most threads of one kind: far more than cores is a slip of the finger.
pub(super) const MOST_THREADS: u64 = 1024;

/// Most of anything counted at once.
pub(super) const MOST_AT_ONCE: u64 = 1_000_000;

/// What the node as a whole does (`[server]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// I/O threads; 0 is one per core.
    pub threads: usize,
    /// How long work under way may take to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// Whether the process gives up what it does not need, for good, before it serves.
    pub sandbox: bool,
    /// Proxies before the node that say who their clients are.
    pub trusted_proxies: Networks,
    /// What a client may send, hold open and take its time over.
    pub limits: Limits,
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 0,
            drain_timeout: 8 * SECOND,
            sandbox: false,
            trusted_proxies: Networks::default(),
            limits: Limits::default(),
        }
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Server {
    let default = Server::default();
    Server {
        threads: section.integer("threads", default.threads, 0..=MOST_THREADS),
        drain_timeout: section.duration(
            "drain_timeout",
            default.drain_timeout,
            Duration::ZERO..=HOUR,
        ),
        sandbox: section.switch("sandbox"),
        trusted_proxies: networks::take(section, "trusted_proxies"),
        limits: section.table("limits", read_limits),
    }
}

/// The body size of [`read_limits`] and of routes.
pub(super) fn body_size(section: &mut Section<'_>, default: u64) -> u64 {
    section.size("body_size", default, 0..=TIB)
}

fn read_limits(section: &mut Section<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        // Past 1 MiB the parser gives up by itself.
        header_size: section.size("header_size", default.header_size, KIB..=MIB),
        uri_length: section.integer("uri_length", default.uri_length, 64..=MIB),
        body_size: body_size(section, default.body_size),
        header_timeout: section.duration(
            "header_timeout",
            default.header_timeout,
            MILLISECOND..=HOUR,
        ),
        connections: section.integer("connections", default.connections, 1..=MOST_AT_ONCE),
        connections_per_client: section.integer(
            "connections_per_client",
            default.connections_per_client,
            1..=MOST_AT_ONCE,
        ),
        idle_timeout: section.duration("idle_timeout", default.idle_timeout, MILLISECOND..=DAY),
        body_timeout: section.duration("body_timeout", default.body_timeout, MILLISECOND..=HOUR),
        // No rate at all is a choice: uploads may then be as slow as `body_timeout` lets them.
        body_rate: section.size("body_rate", default.body_rate, 0..=GIB),
        write_timeout: section.duration("write_timeout", default.write_timeout, MILLISECOND..=HOUR),
        upgrade_idle_timeout: section.duration(
            "upgrade_idle_timeout",
            default.upgrade_idle_timeout,
            MILLISECOND..=DAY,
        ),
    }
}
