//! Where the store is and how to log in there, as the client library wants it.

use std::net::IpAddr;
use std::sync::Arc;

use fred::types::config::{
    ClusterDiscoveryPolicy, Config, HostMapping, Server, ServerConfig, TlsConfig, TlsConnector,
    TlsHostMapping,
};

use crate::cache::access::Access;
use crate::cache::secret::Secret;
use crate::cache::url::{Host, Place, Sentinels, Transport};
use crate::cache::{BuildError, StoreUrl};
use crate::trust;

/// Of several hosts, how many one attempt to connect asks: one that hangs costs its time.
const ASKED: usize = 2;

/// A store and the way into it.
pub(super) struct Target {
    url: StoreUrl,
    password: Option<Secret>,
    tls: Option<TlsConfig>,
}

/// Certificates of a cluster's nodes, which call each other by address, are for the name that the
/// operator wrote; where that is an address too, for the address of each node.
#[derive(Debug)]
struct NameOfCluster;

// === impl Target ===

impl Target {
    pub(super) fn new(url: &StoreUrl, access: &Access) -> Result<Self, BuildError> {
        let tls = match url.transport {
            Transport::Plain => None,
            Transport::Tls => Some(TlsConfig {
                connector: TlsConnector::from(trust::client_config(access.anchors.clone())?),
                hostnames: TlsHostMapping::Custom(Arc::new(NameOfCluster)),
            }),
        };
        Ok(Self {
            url: url.clone(),
            password: access.password.clone().or_else(|| url.password.clone()),
            tls,
        })
    }

    pub(super) fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// What must not be in a log.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let of_sentinels = match &self.url.place {
            Place::Sentinels(sentinels) => sentinels.password.clone(),
            Place::Host(_) | Place::Socket(_) | Place::Cluster(_) => None,
        };
        [self.password.clone(), of_sentinels]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether connecting again finds out which server is the primary now.
    pub(super) fn follows_the_primary(&self) -> bool {
        matches!(self.url.place, Place::Sentinels(_))
    }

    /// Whether connecting again may find another server, because only its name is known.
    pub(super) fn is_named(&self) -> bool {
        matches!(&self.url.place, Place::Host(host) if !is_address(&host.name))
    }

    /// Whether commands are sent on from one server to another.
    pub(super) fn redirects(&self) -> bool {
        matches!(self.url.place, Place::Cluster(_))
    }

    /// For one attempt to connect; each begins with another host.
    pub(super) fn config(&self, attempt: usize) -> Config {
        Config {
            fail_fast: true,
            username: self.url.user.clone(),
            password: revealed(self.password.as_ref()),
            server: server(&self.url.place, attempt),
            database: self.url.database,
            tls: self.tls.clone(),
            ..Config::default()
        }
    }
}

fn server(place: &Place, attempt: usize) -> ServerConfig {
    match place {
        Place::Host(host) => ServerConfig::Centralized {
            server: of_host(host),
        },
        Place::Socket(path) => ServerConfig::Unix { path: path.clone() },
        Place::Sentinels(Sentinels {
            hosts,
            service,
            user,
            password,
        }) => ServerConfig::Sentinel {
            hosts: asked(hosts, attempt),
            service_name: service.clone(),
            username: user.clone(),
            password: revealed(password.as_ref()),
        },
        Place::Cluster(hosts) => ServerConfig::Clustered {
            hosts: asked(hosts, attempt),
            policy: ClusterDiscoveryPolicy::ConfigEndpoint,
        },
    }
}

fn asked(hosts: &[Host], attempt: usize) -> Vec<Server> {
    let turned = hosts.iter().cycle().skip(attempt % hosts.len().max(1));
    turned.take(ASKED.min(hosts.len())).map(of_host).collect()
}

/// Certificates are for names and addresses without brackets.
fn of_host(host: &Host) -> Server {
    let name = bare(&host.name).to_owned();
    Server::new_with_tls(host.name.clone(), host.port, Some(name))
}

fn is_address(name: &str) -> bool {
    bare(name).parse::<IpAddr>().is_ok()
}

/// An IPv6 address without its brackets.
fn bare(name: &str) -> &str {
    name.trim_matches(['[', ']'])
}

fn revealed(secret: Option<&Secret>) -> Option<String> {
    secret.map(|secret| secret.reveal().to_owned())
}

// === impl NameOfCluster ===

impl HostMapping for NameOfCluster {
    fn map(&self, _: &IpAddr, default_host: &str) -> Option<String> {
        (!is_address(default_host)).then(|| bare(default_host).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::new(&url.parse().unwrap(), &Access::default()).unwrap()
    }

    fn asked(target: &Target, attempt: usize) -> Vec<u16> {
        let hosts = target.config(attempt).server.hosts();
        hosts.iter().map(|server| server.port).collect()
    }

    #[test]
    fn attempts_begin_with_another_host_each() {
        let target = target("redis-cluster://a:1,a:2,a:3");
        let attempts: Vec<_> = (0..4).map(|attempt| asked(&target, attempt)).collect();
        assert_eq!(attempts, [[1, 2], [2, 3], [3, 1], [1, 2]]);
        let single = self::target("redis-sentinel://a:1?sentinelServiceName=m");
        assert_eq!(asked(&single, 7), [1]);
    }

    #[test]
    fn a_password_from_a_file_is_used_and_kept_out_of_logs() {
        let access = Access {
            password: Some(Secret::new("filed".to_owned())),
            ..Access::default()
        };
        let text = "redis-sentinel://u@a?sentinelServiceName=m&sentinelPassword=other";
        let target = Target::new(&text.parse().unwrap(), &access).unwrap();
        let config = target.config(0);
        assert_eq!(config.username.as_deref(), Some("u"));
        assert_eq!(config.password.as_deref(), Some("filed"));
        let secrets = target.secrets();
        let secrets: Vec<_> = secrets.iter().map(Secret::reveal).collect();
        assert_eq!(secrets, ["filed", "other"]);
    }

    #[test]
    fn only_a_single_server_with_a_name_may_be_another_one_later() {
        for (url, expected) in [
            ("redis://store.example", true),
            ("rediss://localhost:1", true),
            ("redis://192.0.2.1", false),
            ("redis://[2001:db8::1]", false),
            ("unix:///store.sock", false),
            ("redis-cluster://store.example", false),
        ] {
            assert_eq!(target(url).is_named(), expected, "{url}");
        }
    }

    #[test]
    fn certificates_of_a_clusters_nodes_are_for_its_name_if_it_has_one() {
        let node = "192.0.2.1".parse().unwrap();
        let name = |of: &str| NameOfCluster.map(&node, of);
        assert_eq!(name("store.example").as_deref(), Some("store.example"));
        assert_eq!(name("192.0.2.7"), None);
        assert_eq!(name("[2001:db8::1]"), None);
    }
}
