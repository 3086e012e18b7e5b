//! Upstreams: named groups of backends, and which of them takes a request.

mod backend;
mod settings;

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use pingora::lb::Backend as Weighted;
use pingora::lb::selection::{BackendIter as _, BackendSelection as _, RoundRobin};

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
        let untried = |backend: &&Arc<Backend>| !tried.contains(&backend.address());
        // The turns of one that cannot take a request go to those next in turn, not all to
        // the same one.
        for _ in &self.backends {
            let mut turn = self.ring.iter(b"");
            let backend = turn.next().and_then(|entry| entry.ext.get());
            if let Some(lease) = backend.filter(untried).and_then(Lease::take) {
                return Ok(lease);
            }
        }
        let others = self.backends.iter().filter(untried);
        let count = others.clone().count();
        if count == 0 {
            return Err(Unavailable::Exhausted);
        }
        // From a random one on, so that none inherits all of another's turns.
        let mut turns = others.cycle().skip(fastrand::usize(..count)).take(count);
        turns.find_map(Lease::take).ok_or(Unavailable::Full)
    }

    /// Whether a backend not among `tried` could take a request now.
    pub fn has_other(&self, tried: &[SocketAddr]) -> bool {
        self.backends
            .iter()
            .any(|backend| backend.has_room() && !tried.contains(&backend.address()))
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
    fn the_turns_of_a_backend_that_is_down_are_shared_by_the_others() {
        let down = [SocketAddr::from(([127, 0, 0, 1], 9000))];
        for (weights, expected) in [([1, 1, 1], 150..151), ([1000, 1, 1], 100..200)] {
            let upstream = upstream(&weights, 10);
            let share = (0..300)
                .filter_map(|_| upstream.pick(&down).ok())
                .filter(|lease| lease.backend().address().port() == 9001)
                .count();
            assert!(expected.contains(&share), "{weights:?}: {share} of 300");
        }
    }

    #[test]
    fn whether_others_are_left_is_told_without_taking_a_place() {
        let upstream = upstream(&[1, 1], 1);
        let tried = [SocketAddr::from(([127, 0, 0, 1], 9000))];
        assert!(upstream.has_other(&tried) && upstream.has_other(&tried));
        let lease = upstream.pick(&tried).expect("the other");
        assert!(!upstream.has_other(&tried), "it is full");
        drop(lease);
        assert!(upstream.has_other(&tried));
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
