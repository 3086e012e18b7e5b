//! Names to addresses, with the address policy built in: the HTTP client gets
//! its addresses from here and nowhere else, so what was checked is what is
//! connected to, and a name cannot change its address in between.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name as DnsName;
use hickory_resolver::system_conf::read_system_conf;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::{AddressPolicy, Refusal};
use super::error::BuildError;
use crate::name_server::name_server;

/// Longest wait for one answer. With its one repetition it leaves a call time
/// to connect when a server is silent about one of the two address families.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);

/// Repetitions of a question nobody answered.
const REPETITIONS: usize = 1;

/// Longest time an answer is kept, whatever its own time to live.
const MAX_CACHED: Duration = Duration::from_secs(300);

/// Answers kept; a guest can make up names without end.
const CACHED_ANSWERS: u64 = 1024;

/// Resolves public names, and refuses those with an address that is not to be connected to.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    servers: Servers,
    policy: Arc<AddressPolicy>,
}

/// The same for the one port of one HTTP client, and what it was told last.
pub(super) struct PortResolver {
    resolver: CheckedResolver,
    port: u16,
    told: Told,
}

/// The addresses that a name was last found to have; empty before it was looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<ArcSwap<Vec<IpAddr>>>);

/// Why a name has no address to connect to.
#[derive(Debug, Error)]
pub(super) enum ResolveError {
    #[error("no name servers: {0}")]
    Unconfigured(Arc<NetError>),
    #[error(transparent)]
    Lookup(#[from] NetError),
    #[error("the name has no address")]
    Empty,
    #[error("{0} is refused")]
    Refused(SocketAddr, Refusal),
}

#[derive(Clone)]
enum Servers {
    Known(Box<TokioResolver>),
    /// The system names none: an error of each call, not of the start, since
    /// calls to literal addresses need no resolver.
    Unknown(Arc<NetError>),
}

// === impl CheckedResolver ===

impl CheckedResolver {
    /// Asks these name servers, or the system's if there are none.
    pub(super) fn new(
        nameservers: &[SocketAddr],
        policy: Arc<AddressPolicy>,
    ) -> Result<Self, BuildError> {
        let known = match nameservers {
            [] => read_system_conf().map(|(config, _)| config.name_servers().to_vec()),
            listed => Ok(listed.iter().copied().map(name_server).collect()),
        };
        let servers = match known {
            Ok(servers) => Servers::Known(Box::new(resolver(servers)?)),
            Err(error) => Servers::Unknown(Arc::new(error)),
        };
        Ok(Self { servers, policy })
    }

    async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let resolver = match &self.servers {
            Servers::Known(resolver) => resolver,
            Servers::Unknown(error) => return Err(ResolveError::Unconfigured(error.clone())),
        };
        let mut name = DnsName::from_ascii(name).map_err(NetError::from)?;
        // Fully qualified: the system's search list must not complete it.
        name.set_fqdn(true);
        let found = resolver.lookup_ip(name).await?;
        let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        for address in &addresses {
            let checked = self.policy.check(*address);
            checked.map_err(|refusal| ResolveError::Refused(*address, refusal))?;
        }
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }
        Ok(addresses)
    }

    /// For calls to one port.
    pub(super) fn for_port(&self, port: u16, told: Told) -> PortResolver {
        PortResolver {
            resolver: self.clone(),
            port,
            told,
        }
    }
}

impl Resolve for PortResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, port, told) = (self.resolver.clone(), self.port, self.told.clone());
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str(), port).await?;
            told.set(addresses.iter().map(SocketAddr::ip).collect());
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

// === impl Told ===

impl Told {
    fn set(&self, addresses: Vec<IpAddr>) {
        self.0.store(Arc::new(addresses));
    }

    pub(super) fn addresses(&self) -> Arc<Vec<IpAddr>> {
        self.0.load_full()
    }
}

fn resolver(servers: Vec<NameServerConfig>) -> Result<TokioResolver, BuildError> {
    // Of the system's file only the servers count: its search list and options
    // are for people typing short names.
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.ndots = 0;
    options.timeout = ANSWER_TIMEOUT;
    options.attempts = REPETITIONS;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(MAX_CACHED);
    options.negative_max_ttl = Some(MAX_CACHED);
    builder.build().map_err(BuildError::Resolver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_system_without_name_servers_fails_the_call_and_says_so() {
        let resolver = CheckedResolver {
            servers: Servers::Unknown(Arc::new(NetError::from("no such file"))),
            policy: Arc::default(),
        };
        let error = resolver.addresses("example.com", 443).await.unwrap_err();
        assert_eq!(error.to_string(), "no name servers: no such file");
    }

    #[test]
    fn neither_the_hosts_file_nor_a_search_list_is_asked() {
        let resolver = resolver(Vec::new()).unwrap();
        assert_eq!(resolver.options().use_hosts_file, ResolveHosts::Never);
        assert_eq!(resolver.options().ndots, 0);
    }
}
