//! Names to addresses, and again when what was answered is no longer valid.

use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{error::Elapsed, sleep, timeout};
use tracing::{info, warn};

use super::Upstream;
use super::task::Task;
use crate::name_server::name_server;

/// A name is asked for at most so often, whatever its time to live,
const SHORTEST: Duration = Duration::from_secs(1);
/// and at least so often: the files of the system have none.
const LONGEST: Duration = Duration::from_secs(300);
/// When a name that cannot be resolved is asked for again.
const RETRY: Duration = Duration::from_secs(2);
/// Of one look-up, whatever the system's settings allow.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// For a server to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Backends that one name can be.
const MOST_ADDRESSES: usize = 256;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
enum LookUpError {
    #[error(transparent)]
    Resolver(#[from] NetError),
    #[error("no answer within {LOOK_UP_TIMEOUT:?}")]
    Slow(#[from] Elapsed),
    #[error("the name has no address")]
    Empty,
    #[error(transparent)]
    Task(#[from] JoinError),
}

/// What a name was found to be.
struct Found {
    /// In order, each once.
    addresses: Vec<IpAddr>,
    /// For how long that may be taken to be so.
    valid: Duration,
}

/// Keeps the addresses of one entry of an upstream up to date.
pub(super) fn follow(upstream: &Weak<Upstream>, entry: usize) -> Task {
    let upstream = Weak::clone(upstream);
    Task::start(async move {
        let mut known = None;
        while let Some(pause) = once(&upstream, entry, &mut known).await {
            sleep(pause).await;
        }
    })
}

/// One look-up; how long until the next, `None` if nobody wants it. `known` is whether the last
/// one succeeded.
async fn once(
    upstream: &Weak<Upstream>,
    entry: usize,
    known: &mut Option<bool>,
) -> Option<Duration> {
    let settings = upstream.upgrade()?.settings.clone();
    let host = &*settings.backends.get(entry)?.host;
    let found = look_up(host, &settings.nameservers).await;
    let strong = upstream.upgrade()?;
    let name = strong.name();
    let was = known.replace(found.is_ok());
    let pause = match found {
        Ok(found) => {
            strong.set_addresses(upstream, entry, found.addresses);
            if was == Some(false) {
                info!(upstream = name, host, "a name is resolved again");
            }
            found.valid
        }
        Err(cause) => {
            if was != Some(false) {
                warn!(upstream = name, host, %cause, "a name cannot be resolved; what is known of it is kept");
            }
            RETRY
        }
    };
    if was.is_none() {
        strong.unanswered.send_modify(|count| *count -= 1);
    }
    Some(pause)
}

async fn look_up(host: &str, nameservers: &[SocketAddr]) -> Result<Found, LookUpError> {
    let servers = nameservers.to_vec();
    // Made anew each time, from the files of the system: they change too.
    let resolver = spawn_blocking(move || resolver(&servers)).await??;
    let mut name = Name::from_ascii(host).map_err(NetError::from)?;
    // The system's search list completes names for the system's servers only.
    name.set_fqdn(!nameservers.is_empty());
    let answer = timeout(LOOK_UP_TIMEOUT, resolver.lookup_ip(name)).await??;
    let mut addresses: Vec<_> = answer.iter().collect();
    // Servers change the order with each answer.
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() {
        return Err(LookUpError::Empty);
    }
    let valid = answer
        .valid_until()
        .saturating_duration_since(Instant::now());
    Ok(Found {
        addresses,
        valid: valid.clamp(SHORTEST, LONGEST),
    })
}

fn resolver(nameservers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = match (nameservers, TokioResolver::builder_tokio()) {
        ([], Ok(system)) => system,
        // Without a file of servers there is still that of hosts.
        (listed, _) => TokioResolver::builder_with_config(
            ResolverConfig::from_parts(
                None,
                Vec::new(),
                listed.iter().copied().map(name_server).collect(),
            ),
            TokioRuntimeProvider::default(),
        ),
    };
    let options = builder.options_mut();
    options.timeout = options.timeout.min(ANSWER_TIMEOUT);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 0;
    if !nameservers.is_empty() {
        options.use_hosts_file = ResolveHosts::Never;
        options.ndots = 0;
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_of_hosts_counts_for_the_system_and_needs_no_server() {
        let found = look_up("localhost", &[]).await.expect("an address");
        assert!(found.addresses.iter().all(IpAddr::is_loopback));
        assert!((SHORTEST..=LONGEST).contains(&found.valid));
    }
}
