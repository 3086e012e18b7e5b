//! Health checks: each backend is asked by a task of its own whether it is up.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pingora::connectors::TransportConnector;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::backend::Backend;
use super::settings::{HealthCheck, Probe};
use super::task::Task;

/// What the node calls itself when it checks.
const USER_AGENT: &str = "aegis-health-check";

/// Asks backends how they are; one for all of an upstream.
pub(super) struct Prober {
    rule: HealthCheck,
    connector: Connectors,
}

/// What connects; nothing is kept for the next check, which is to find out about connecting too.
enum Connectors {
    Transport(TransportConnector),
    Http(Box<Connector>),
}

/// Why a check failed.
#[derive(Debug, Error)]
enum Failure {
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    Exchange(#[from] Box<pingora::Error>),
}

/// What the checks of one backend have found so far.
struct Findings {
    up: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

// === impl Prober ===

impl Prober {
    pub(super) fn new(rule: HealthCheck) -> Arc<Self> {
        let connector = match rule.probe {
            Probe::Connect => Connectors::Transport(TransportConnector::new(None)),
            Probe::Get { .. } => Connectors::Http(Box::new(Connector::new(None))),
        };
        Arc::new(Self { rule, connector })
    }

    /// Checks a backend until the task is dropped.
    pub(super) fn watch(self: &Arc<Self>, upstream: &Arc<str>, backend: &Arc<Backend>) -> Task {
        let (prober, upstream) = (Arc::clone(self), Arc::clone(upstream));
        let backend = Arc::downgrade(backend);
        Task::start(async move { prober.run(&upstream, &backend).await })
    }

    async fn run(&self, upstream: &str, backend: &Weak<Backend>) {
        let mut findings = Findings {
            up: true,
            against: 0,
        };
        loop {
            // Not all backends, and not all nodes, in the same instant; but never late.
            let period = self.rule.interval.mul_f64(1.0 - fastrand::f64() / 10.0);
            let next = Instant::now() + period;
            let Some(backend) = backend.upgrade() else {
                return;
            };
            let found = self.check(&backend).await;
            if findings.changed_by(found.is_ok(), &self.rule) {
                tell(upstream, &backend, found.err());
            }
            drop(backend);
            match findings.doubt(&self.rule) {
                Some(pause) => sleep(pause.min(period)).await,
                None => sleep_until(next).await,
            }
        }
    }

    async fn check(&self, backend: &Backend) -> Result<(), Failure> {
        let limit = self.rule.timeout;
        let mut peer = backend.peer().clone();
        peer.options.connection_timeout = Some(limit);
        peer.options.total_connection_timeout = Some(limit);
        // The library keeps HTTP/2 connections that have room for another stream.
        peer.options.max_h2_streams = 1;
        let check = async {
            match (&self.connector, &self.rule.probe) {
                (Connectors::Transport(connector), _) => {
                    connector.new_stream(&peer).await?;
                    Ok(())
                }
                (Connectors::Http(connector), probe) => {
                    let session = connector.get_http_session(&peer).await?.0;
                    ask(session, &peer, (probe, backend.authority())).await
                }
            }
        };
        timeout(limit, check)
            .await
            .unwrap_or(Err(Failure::Slow(limit)))
    }
}

/// The whole exchange has one deadline, so each part needs none.
async fn ask(
    mut session: HttpSession,
    peer: &HttpPeer,
    (probe, authority): (&Probe, &str),
) -> Result<(), Failure> {
    let Probe::Get { path, host, status } = probe else {
        return Ok(());
    };
    let host = host.as_deref().unwrap_or(authority);
    let mut header = RequestHeader::build("GET", path.as_str().as_bytes(), None)?;
    header.insert_header("user-agent", USER_AGENT)?;
    if session.as_http2().is_some() {
        let scheme = if peer.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{host}{path}").parse();
        header.set_uri(uri.map_err(|_| pingora::Error::new(pingora::ErrorType::InternalError))?);
    } else {
        header.insert_header("host", host)?;
    }
    session.write_request_header(Box::new(header)).await?;
    session.finish_request_body().await?;
    loop {
        session.read_response_header().await?;
        let code = session.response_header().map(code).unwrap_or_default();
        match code {
            100..200 => {}
            _ if status.iter().any(|good| good.contains(&code)) => return Ok(()),
            _ => return Err(Failure::Status(code)),
        }
    }
}

fn code(header: &ResponseHeader) -> u16 {
    header.status.as_u16()
}

fn tell(upstream: &str, backend: &Backend, failure: Option<Failure>) {
    let name = backend.name();
    match failure {
        Some(cause) => {
            backend.standing().set_down();
            warn!(upstream, backend = name, %cause, "a backend is unhealthy");
        }
        None => {
            backend.standing().set_up(std::time::Instant::now());
            info!(upstream, backend = name, "a backend is healthy again");
        }
    }
}

// === impl Findings ===

impl Findings {
    /// Takes one more in; whether enough in a row now say otherwise.
    fn changed_by(&mut self, good: bool, rule: &HealthCheck) -> bool {
        if good == self.up {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let changed = self.against >= self.enough(rule);
        if changed {
            self.up = good;
            self.against = 0;
        }
        changed
    }

    /// Where one check says otherwise the next ones follow soon, so that it is known within
    /// `interval` and `timeout` whether a backend is gone.
    fn doubt(&self, rule: &HealthCheck) -> Option<Duration> {
        (self.against > 0).then(|| rule.timeout / self.enough(rule).max(1))
    }

    fn enough(&self, rule: &HealthCheck) -> u32 {
        match self.up {
            true => rule.unhealthy,
            false => rule.healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enough_in_a_row_change_what_is_known() {
        let rule = HealthCheck {
            probe: Probe::Connect,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
        };
        let mut findings = Findings {
            up: true,
            against: 0,
        };
        let mut changes = |found: &[bool]| -> Vec<bool> {
            let note = |good: &bool| findings.changed_by(*good, &rule);
            found.iter().map(note).collect()
        };
        assert_eq!(changes(&[false, false, true]), [false; 3]);
        assert_eq!(changes(&[false, false, false]), [false, false, true]);
        assert_eq!(
            changes(&[true, false, true, true]),
            [false, false, false, true]
        );
        assert!(findings.up && findings.doubt(&rule).is_none());
    }
}
