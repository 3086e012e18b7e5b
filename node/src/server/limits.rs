//! What the system must allow for the configured limits to hold.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;
use crate::listener::Limits;

/// Descriptors of the process itself: log, epoll, signals, module files.
const OWN_DESCRIPTORS: u64 = 64;
/// Of idle connections to upstreams: the library's, and those of the proxy's own exchanges, of
/// HTTP/1 and of HTTP/2.
const UPSTREAM_POOLS: u64 = 3;
/// Memory mappings that a waiting invocation takes, roughly.
const MAPPINGS_PER_INVOCATION: u64 = 8;

/// Raises the soft descriptor limit to the hard one, and warns where limits cannot hold.
pub(super) fn raise_and_warn(config: &Config) {
    match raise_descriptors() {
        Ok(limit) => warn_descriptors(config, limit),
        Err(cause) => warn!(%cause, "cannot raise the limit on open files"),
    }
    let invocations = config.edge.max_in_flight as u64;
    let needed = invocations.saturating_mul(MAPPINGS_PER_INVOCATION);
    if let Some(limit) =
        max_map_count().filter(|limit| !config.functions.is_empty() && needed > *limit)
    {
        warn!(
            needed,
            limit, "vm.max_map_count is too low for [edge] max_in_flight: raise it with sysctl"
        );
    }
}

/// The limits as far as the system lets them hold. A client's connection may need another one
/// upstream, so all clients together get half of the descriptors at most: whoever is let in is
/// served.
pub(super) fn held(limits: &Limits) -> Limits {
    let mut held = limits.clone();
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let half = usize::try_from(soft / 2).unwrap_or(usize::MAX);
        held.connections = held.connections.min(half.max(1));
    }
    held
}

fn raise_descriptors() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// A connection may need another one upstream, and invocations some to call out.
fn warn_descriptors(config: &Config, limit: u64) {
    let connections = config.server.limits.connections as u64;
    let calls = match config.egress.allow.is_empty() {
        true => 0,
        false => crate::egress::MAX_CALLS as u64,
    };
    let needed = connections
        .saturating_mul(2)
        .saturating_add(calls)
        .saturating_add(super::UPSTREAM_POOL as u64 * UPSTREAM_POOLS + OWN_DESCRIPTORS);
    if needed > limit {
        warn!(
            needed,
            limit,
            connections = held(&config.server.limits).connections,
            "the limit on open files is too low for [server.limits] connections: so many are let in; raise it or lower them"
        );
    }
}

fn max_map_count() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    text.trim().parse().ok()
}
