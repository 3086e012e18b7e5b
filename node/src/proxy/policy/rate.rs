//! How often a route may be asked, and by whom each request counts.

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::cache::{Cache, CacheError, Namespace};
use crate::cookie;
use crate::telemetry::Complaints;

/// Longest text that is a part of a key as it is; of a longer one its hash is.
const LONGEST: usize = 100;

/// The network that one holder of IPv6 addresses is sure to have (RFC 6177).
const V6_PREFIX: u32 = 64;

/// How often a route may be asked (`rate_limit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// So many requests, which may come all at once,
    pub requests: u32,
    /// in so much time.
    pub window: Duration,
    /// Which requests count together.
    pub by: RateKey,
    /// Who counts them.
    pub per: Counting,
}

/// Which requests count together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RateKey {
    /// Those of one address; of IPv6, of one /64.
    #[default]
    Address,
    /// Those with one value of this header; those without it by their address.
    Header(HeaderName),
    /// Those with one value of this cookie; those without it by their address.
    Cookie(Box<str>),
    /// All of the route.
    Route,
}

/// Why a text is not a [`RateKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not address, route, header:NAME or cookie:NAME")]
pub struct RateKeyError;

/// Who counts requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Every node its own.
    #[default]
    Node,
    /// All nodes that share the store of `[cache]`.
    Shared,
}

/// Where requests are counted.
#[derive(Clone, Debug)]
pub struct Counters {
    /// This node's own.
    pub own: Ledger,
    /// That of all nodes, for [`Counting::Shared`].
    pub shared: Option<Ledger>,
}

/// A part of a store that no function can name.
#[derive(Clone, Debug)]
pub struct Ledger {
    cache: Cache,
    namespace: Namespace,
}

/// The limit of one route.
#[derive(Debug)]
pub struct RateLimit {
    settings: RateSettings,
    counters: Counters,
    /// What the keys of the route begin with.
    prefix: Box<[u8]>,
    complaints: Complaints<1>,
}

// === impl RateLimit ===

impl RateLimit {
    /// The limit of the route `name`.
    pub fn new(name: &str, settings: RateSettings, counters: Counters) -> Self {
        let mut prefix = short(name.as_bytes());
        prefix.push(b':');
        Self {
            settings,
            counters,
            prefix: prefix.into(),
            complaints: Complaints::default(),
        }
    }

    /// Counts a request: `None` if it may go on, or how long to wait. While the shared store does
    /// not say, the node counts for itself.
    pub(in crate::proxy) async fn count(
        &self,
        client: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        let key = self.key(client, headers);
        if let Some(shared) = &self.counters.shared {
            match self.ask(shared, &key).await {
                Ok(wait) => return wait,
                Err(cause) => self.complain(&cause),
            }
        }
        // The node's own store fails for nothing that a request can bring about.
        self.ask(&self.counters.own, &key).await.unwrap_or_default()
    }

    async fn ask(&self, ledger: &Ledger, key: &[u8]) -> Result<Option<Duration>, CacheError> {
        let (requests, window) = (self.settings.requests, self.settings.window);
        ledger.count(key, requests, window).await
    }

    fn complain(&self, cause: &CacheError) {
        if let Some(withheld) = self.complaints.due(0) {
            warn!(
                route = %String::from_utf8_lossy(&self.prefix).trim_end_matches(':'),
                %cause,
                withheld,
                "the store does not count a rate limit, this node does for itself"
            );
        }
    }

    fn key(&self, client: Option<IpAddr>, headers: &HeaderMap) -> Vec<u8> {
        let mut key = self.prefix.to_vec();
        let value = match &self.settings.by {
            RateKey::Address => None,
            RateKey::Route => return key,
            RateKey::Header(name) => headers.get(name).map(|value| value.as_bytes()),
            RateKey::Cookie(name) => {
                let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
                cookie::values(lines, name).next()
            }
        };
        match value {
            Some(value) => {
                key.extend_from_slice(b"v:");
                key.extend_from_slice(&short(value));
            }
            None => {
                key.extend_from_slice(b"a:");
                key.extend_from_slice(of_client(client).as_bytes());
            }
        }
        key
    }
}

/// Whom an address is taken for, as text.
pub(in crate::proxy) fn of_client(client: Option<IpAddr>) -> String {
    match client {
        None => String::new(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = address.to_bits() >> (128 - V6_PREFIX) << (128 - V6_PREFIX);
            Ipv6Addr::from_bits(network).to_string()
        }
    }
}

/// Bytes that stand for `bytes`: themselves if they are few. No hash is as short as a text.
fn short(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() <= LONGEST {
        return bytes.to_vec();
    }
    // As long as no text that stands for itself.
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").ok();
    }
    text.push_str(&"-".repeat((LONGEST + 1).saturating_sub(text.len())));
    text.into_bytes()
}

// === impl Ledger ===

impl Ledger {
    /// The part `name` of this store.
    pub fn new(cache: Cache, name: &'static str) -> Self {
        Self {
            cache,
            namespace: Namespace::of_the_node(name),
        }
    }

    /// Counts against a rate, as [`Cache::rate_limit`] does.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count(
        &self,
        key: &[u8],
        limit: u32,
        window: Duration,
    ) -> Result<Option<Duration>, CacheError> {
        let answer = self.cache.rate_limit(&self.namespace, key, limit, window);
        answer.await
    }
}

// === impl RateKey ===

impl FromStr for RateKey {
    type Err = RateKeyError;

    fn from_str(text: &str) -> Result<Self, RateKeyError> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let header = || HeaderName::from_bytes(name.as_bytes()).map_err(|_| RateKeyError);
        match (kind, name) {
            ("address", "") if text == kind => Ok(Self::Address),
            ("route", "") if text == kind => Ok(Self::Route),
            ("header", _) => Ok(Self::Header(header()?)),
            // A cookie's name is a token, as a header's is, but its case matters.
            ("cookie", _) => header().map(|_| Self::Cookie(name.into())),
            _ => Err(RateKeyError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(by: &str) -> RateLimit {
        let settings = RateSettings {
            requests: 2,
            window: Duration::from_secs(3600),
            by: by.parse().expect("a key"),
            per: Counting::Node,
        };
        let cache = Cache::new(&crate::cache::Settings::default()).expect("a store");
        let counters = Counters {
            own: Ledger::new(cache, "@limits"),
            shared: None,
        };
        RateLimit::new("r", settings, counters)
    }

    fn key(by: &str, client: &str, headers: &[(&'static str, &str)]) -> String {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).expect("a value");
                (HeaderName::from_static(name), value)
            })
            .collect();
        let key = limit(by).key(client.parse().ok(), &headers);
        String::from_utf8(key).expect("text")
    }

    #[test]
    fn requests_count_by_what_the_route_says() {
        let headers = [("x-key", "k"), ("cookie", "a=1; s=xyz; s=other")];
        assert_eq!(key("address", "192.0.2.1", &headers), "r:a:192.0.2.1");
        assert_eq!(key("header:X-Key", "192.0.2.1", &headers), "r:v:k");
        assert_eq!(key("cookie:s", "192.0.2.1", &headers), "r:v:xyz");
        assert_eq!(key("route", "192.0.2.1", &headers), "r:");
        // Leaving it out makes nobody new.
        assert_eq!(key("header:x-none", "192.0.2.1", &headers), "r:a:192.0.2.1");
        assert_eq!(key("cookie:S", "192.0.2.1", &headers), "r:a:192.0.2.1");
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let first = key("address", "2001:db8:1:2:3:4:5:6", &[]);
        assert_eq!(first, "r:a:2001:db8:1:2::");
        assert_eq!(key("address", "2001:db8:1:2:ffff::", &[]), first);
        assert_ne!(key("address", "2001:db8:1:3::", &[]), first);
    }

    #[test]
    fn long_values_make_short_keys_that_are_nobody_elses() {
        let long = "x".repeat(30_000);
        let hashed = key("header:x-key", "", &[("x-key", &long)]);
        assert!(hashed.len() < 256);
        let longer = format!("{long}y");
        assert_ne!(key("header:x-key", "", &[("x-key", &longer)]), hashed);
        let value = hashed.strip_prefix("r:v:").expect("a value");
        assert!(value.len() > LONGEST, "no value that stands for itself");
    }

    #[test]
    fn keys_are_written_in_one_way() {
        for text in [
            "",
            "ip",
            "address:",
            "route:x",
            "header:",
            "header:a b",
            "cookie:",
            "cookie:a=b",
        ] {
            assert_eq!(text.parse::<RateKey>(), Err(RateKeyError), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_over_the_limit_is_told_to_wait() {
        let limit = limit("address");
        let client = "192.0.2.1".parse().ok();
        for _ in 0..2 {
            assert_eq!(limit.count(client, &HeaderMap::new()).await, None);
        }
        let wait = limit.count(client, &HeaderMap::new()).await;
        assert!(
            wait.is_some_and(|wait| wait > Duration::from_secs(1700)),
            "{wait:?}"
        );
        let other = "192.0.2.2".parse().ok();
        assert_eq!(limit.count(other, &HeaderMap::new()).await, None);
    }
}
