//! Upstreams: named groups of backends, and which of them takes a request.

mod backend;
mod settings;

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use pingora::lb::Backend as Weighted;
use pingora::lb::selection::{BackendIter, BackendSelection, RoundRobin};

pub use backend::{Backend, Lease};
pub use settings::{BackendSettings, Settings};

/// A group of backends that serve the same content.
pub struct Upstream {
    name: String,
    /// Furthest attempts after a connect failure.
    retries: usize,
    backends: Vec<Arc<Backend>>,
    /// Weighted round robin over the same backends.
    ring: Arc<RoundRobin>,
}

/// Why no backend can take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Each one has as many requests as its `connections`.
    Full,
    /// Each one was tried already.
    Exhausted,
}

/// A backend's name has no address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {host}: {source}")]
pub struct ResolveError {
    host: String,
    source: std::io::Error,
}

impl Upstream {
    /// Resolves the backends' names; a name with several addresses is several backends.
    ///
    /// # Errors
    /// When a name cannot be resolved.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, ResolveError> {
        let mut backends = Vec::new();
        let mut weighted = BTreeSet::new();
        for backend in &settings.backends {
            for address in resolve(backend)? {
                let shared = Arc::new(Backend::new(address, settings));
                backends.push(Arc::clone(&shared));
                weighted.insert(ring_entry(address, backend.weight, shared));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            retries: settings.retries,
            backends,
            ring: Arc::new(RoundRobin::build(&weighted)),
        })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Furthest attempts after a connect failure.
    pub fn retries(&self) -> usize {
        self.retries
    }

    /// The next backend in turn that is not full and not among `tried`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn pick(&self, tried: &[SocketAddr]) -> Result<Lease, Unavailable> {
        let mut turns = self.ring.iter(b"");
        let first = turns
            .next()
            .and_then(|entry| entry.ext.get::<Arc<Backend>>());
        let mut full = false;
        for backend in first.into_iter().chain(&self.backends) {
            if tried.contains(&backend.address()) {
                continue;
            }
            match Lease::take(backend) {
                Some(lease) => return Ok(lease),
                None => full = true,
            }
        }
        Err(if full {
            Unavailable::Full
        } else {
            Unavailable::Exhausted
        })
    }
}

fn ring_entry(address: SocketAddr, weight: usize, backend: Arc<Backend>) -> Weighted {
    let mut ext = http::Extensions::new();
    ext.insert(backend);
    Weighted {
        addr: pingora::protocols::l4::socket::SocketAddr::Inet(address),
        weight,
        ext,
    }
}

fn resolve(backend: &BackendSettings) -> Result<Vec<SocketAddr>, ResolveError> {
    let failed = |source| ResolveError {
        host: backend.host.clone(),
        source,
    };
    let addresses: Vec<_> = (backend.host.as_str(), backend.port)
        .to_socket_addrs()
        .map_err(failed)?
        .collect();
    if addresses.is_empty() {
        return Err(failed(std::io::Error::other("the name has no address")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn upstream(weights: &[usize], connections: usize) -> Upstream {
        let backends = (9000u16..)
            .zip(weights)
            .map(|(port, weight)| BackendSettings {
                host: "127.0.0.1".into(),
                port,
                weight: *weight,
            })
            .collect();
        let settings = Settings {
            backends,
            connections,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            retries: 1,
        };
        Upstream::new("origin", &settings).expect("addresses resolve")
    }

    #[test]
    fn backends_take_turns_by_weight() {
        let upstream = upstream(&[1, 2], 10);
        let mut counts = [0; 2];
        for _ in 0..300 {
            let lease = upstream.pick(&[]).expect("a backend");
            counts[usize::from(lease.backend().address().port() - 9000)] += 1;
        }
        assert_eq!(counts, [100, 200]);
    }

    #[test]
    fn a_full_backend_is_passed_over_and_a_finished_request_makes_room() {
        let upstream = upstream(&[1, 1], 1);
        let first = upstream.pick(&[]).expect("a backend");
        let second = upstream.pick(&[]).expect("the other");
        assert_ne!(first.backend().address(), second.backend().address());
        assert_eq!(upstream.pick(&[]).err(), Some(Unavailable::Full));
        drop(first);
        assert!(upstream.pick(&[]).is_ok());
    }

    #[test]
    fn a_retry_goes_to_another_backend() {
        let upstream = upstream(&[1000, 1], 10);
        let tried = [SocketAddr::from(([127, 0, 0, 1], 9000))];
        let lease = upstream.pick(&tried).expect("the other");
        assert_eq!(lease.backend().address().port(), 9001);
        let both = [lease.backend().address(), tried[0]];
        assert_eq!(upstream.pick(&both).err(), Some(Unavailable::Exhausted));
    }
}
