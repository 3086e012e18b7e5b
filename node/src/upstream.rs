//! Upstreams: named groups of backends, and which of them takes a request.

mod backend;
mod balance;
mod budget;
mod check;
mod key;
mod members;
mod names;
mod retry;
mod settings;
mod standing;
mod task;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

pub use backend::{Backend, Lease};
pub use balance::{Choice, Unavailable};
pub use budget::Budget;
pub use key::{Caller, HashBy, HashByError};
pub use retry::{Failure, RetryOn};
pub use settings::{BackendSettings, Balance, Ejection, HealthCheck, Probe, Settings};
pub use tls::{IdentityFiles, TlsError, TlsSettings};

use self::check::Prober;
use self::members::{Member, Members};
use self::task::Task;
use self::tls::Security;

/// A group of backends that serve the same content.
pub struct Upstream {
    name: Arc<str>,
    settings: Arc<Settings>,
    security: Security,
    budget: Budget,
    members: ArcSwap<Members>,
    /// What is known of each entry of the settings; locked to change `members`.
    addresses: Mutex<Vec<Vec<IpAddr>>>,
    /// `None` without health checks.
    prober: Option<Arc<Prober>>,
    names: OnceLock<Vec<Task>>,
    /// Names that were not answered for yet.
    unanswered: watch::Sender<usize>,
}

// === impl Upstream ===

impl Upstream {
    /// Follows the backends' names and checks their health in the background, if there is
    /// anything to follow or check; then it must be called within a runtime. It is `previous`
    /// that goes on if that has the same settings and the same certificates.
    ///
    /// # Errors
    /// When a file of `tls` is not as it should be.
    pub fn renewed(
        name: &str,
        settings: &Settings,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, TlsError> {
        let security = Security::load(name, settings.tls.as_ref())?;
        let suits = |old: &&Arc<Self>| *old.settings == *settings && old.security.is(&security);
        let previous = previous.filter(suits).cloned();
        Ok(previous.unwrap_or_else(|| Self::start(name, settings, security)))
    }

    fn start(name: &str, settings: &Settings, security: Security) -> Arc<Self> {
        let literal = |entry: &BackendSettings| entry.host.parse().ok();
        let addresses: Vec<Vec<IpAddr>> = settings
            .backends
            .iter()
            .map(|entry| Vec::from_iter(literal(entry)))
            .collect();
        let unknown = |(_, known): &(usize, &Vec<IpAddr>)| known.is_empty();
        let names = (0..).zip(&addresses).filter(unknown);
        let names: Vec<usize> = names.map(|(at, _)| at).collect();
        let upstream = Arc::new_cyclic(|this| {
            let upstream = Self {
                name: name.into(),
                settings: Arc::new(settings.clone()),
                security,
                budget: Budget::default(),
                members: ArcSwap::default(),
                addresses: Mutex::new(addresses),
                prober: settings.health_check.clone().map(Prober::new),
                names: OnceLock::new(),
                unanswered: watch::Sender::new(names.len()),
            };
            upstream.renew(this, &upstream.addresses.lock(), None);
            upstream
        });
        // Not before it is there to be told.
        upstream.names.get_or_init(|| {
            let this = Arc::downgrade(&upstream);
            names.iter().map(|at| names::follow(&this, *at)).collect()
        });
        upstream
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Further attempts, of those without a connection and of others.
    pub fn retries(&self) -> usize {
        self.settings.retries
    }

    /// What they are for.
    pub fn retry_on(&self) -> &RetryOn {
        &self.settings.retry_on
    }

    /// How many more there may be just now.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether requests go to its backends over HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.settings.http2
    }

    /// Returns once each name has been asked for.
    pub async fn answered(&self) {
        let mut unanswered = self.unanswered.subscribe();
        // It ends only with the upstream.
        unanswered.wait_for(|count| *count == 0).await.ok();
    }

    /// Ends what goes on in the background: nothing new will be sent there.
    pub fn retire(&self) {
        self.names.get().into_iter().flatten().for_each(Task::stop);
        for member in self.members.load().list() {
            member.stop_checks();
        }
    }

    /// The backend that is to take a request.
    ///
    /// # Errors
    /// Why there is none.
    pub fn pick(&self, choice: &Choice<'_>) -> Result<Lease, Unavailable> {
        choice.among(&self.members.load(), &self.settings.balance)
    }

    /// Whether a backend not among `tried` could take a request now.
    pub fn has_other(&self, tried: &[SocketAddr]) -> bool {
        self.members.load().list().iter().any(|member| {
            let backend = &member.backend;
            let up = backend.standing().is_up() && backend.has_room();
            up && !tried.contains(&backend.address())
        })
    }

    /// Passes a failing backend over for a while. At most half of all are out at once, and
    /// another must be there to take its share.
    fn eject(&self, failing: &Backend, now: Instant) {
        let members = self.members.load();
        let is_out = |member: &&Member| member.backend.is_ejected(now);
        let out = || members.list().iter().filter(is_out).count();
        let other = members.list().iter().any(|member| {
            let backend = &*member.backend;
            !std::ptr::eq(backend, failing)
                && backend.standing().is_up()
                && !backend.is_ejected(now)
        });
        let most = members.list().len() / 2;
        if !other || out() >= most {
            return;
        }
        let rule = self.settings.ejection;
        let Some(pause) = failing.standing().eject(now, rule) else {
            return;
        };
        // Others may have been ejected in the same instant.
        if out() > most {
            failing.standing().readmit();
            return;
        }
        let (upstream, backend) = (self.name(), failing.name());
        warn!(upstream, backend, ?pause, "a backend fails and is ejected");
    }

    /// Takes note of the addresses of one entry, and of nothing else if they are the same.
    /// Backends that stay are kept as they are; what is removed ends what it has to do.
    fn set_addresses(&self, this: &Weak<Self>, entry: usize, found: Vec<IpAddr>) {
        let mut addresses = self.addresses.lock();
        let Some(known) = addresses.get_mut(entry).filter(|known| **known != found) else {
            return;
        };
        let before = std::mem::replace(known, found);
        let rising = Some(entry).filter(|_| !before.is_empty());
        self.renew(this, &addresses, rising);
        if !before.is_empty() {
            let host = &*self.settings.backends[entry].host;
            let (upstream, addresses) = (self.name(), &addresses[entry]);
            info!(upstream, host, ?addresses, "a name has new addresses");
        }
    }

    /// Makes the members anew. New ones of the entry `rising` begin with a small share.
    fn renew(&self, this: &Weak<Self>, addresses: &[Vec<IpAddr>], rising: Option<usize>) {
        let old = self.members.load();
        let mut list = Vec::new();
        for (at, (entry, known)) in self.settings.backends.iter().zip(addresses).enumerate() {
            for ip in known {
                let address = SocketAddr::new(*ip, entry.port);
                let kept = old.list().iter().find(|member| member.is(at, address));
                list.push(kept.cloned().unwrap_or_else(|| {
                    let member = self.member(this, at, address);
                    if rising == Some(at) {
                        member.backend.standing().rise(Instant::now());
                    }
                    member
                }));
            }
        }
        self.members.store(Arc::new(Members::new(list)));
    }

    fn member(&self, this: &Weak<Self>, at: usize, address: SocketAddr) -> Member {
        let entry = &self.settings.backends[at];
        let backend = Arc::new(Backend::new(
            entry,
            address,
            (&self.settings, &self.security),
            this,
        ));
        let checks = self
            .prober
            .as_ref()
            .map(|prober| prober.watch(&self.name, &backend));
        Member::new(backend, (at, entry.weight), checks)
    }
}

#[cfg(test)]
mod tests;
