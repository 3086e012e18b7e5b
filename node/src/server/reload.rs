//! SIGHUP: a whole new snapshot, swapped in one step, or the old one kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use nix::sys::signal::{SigSet, Signal};
use tokio::runtime::{Handle, Runtime as IoRuntime};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::Foundation;
use super::build::{self, Built, Resources};
use super::check::sorted;
use super::confine;
use super::drain::DrainTimeout;
use super::limits::held;
use super::renewal::{self, Renewal};
use super::upstreams;
use crate::config::{self, Config};
use crate::listener::Limits;
use crate::proxy::Snapshot;
use crate::sandbox::Sandbox;

/// SIGHUPs as they come; several during one reload become one.
pub(super) struct Hangups(unix::Signal);

/// Makes SIGHUP wait until [`hangups`] takes it: the system's own answer to it is to kill the
/// process. Threads and children that are started meanwhile never get any.
pub(super) fn hold_hangups() -> std::io::Result<()> {
    Ok(SigSet::from(Signal::SIGHUP).thread_block()?)
}

/// Takes SIGHUPs, on the thread that held them.
pub(super) fn hangups(io: &IoRuntime) -> std::io::Result<Hangups> {
    let _entered = io.enter();
    let hangups = signal(SignalKind::hangup())?;
    SigSet::from(Signal::SIGHUP).thread_unblock()?;
    Ok(Hangups(hangups))
}

/// Rebuilds from the file whenever told to.
pub(super) struct Reloader {
    path: PathBuf,
    foundation: Arc<Foundation>,
    state: Arc<State>,
    drain_timeout: DrainTimeout,
    renewal: Renewal,
}

/// What is serving.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) resources: Resources,
}

impl Reloader {
    pub(super) fn new(
        path: &Path,
        foundation: Foundation,
        (config, resources): (Config, Resources),
        drain_timeout: DrainTimeout,
    ) -> Self {
        foundation.compiler.yield_to_traffic();
        Self {
            path: path.to_owned(),
            foundation: Arc::new(foundation),
            state: Arc::new(State { config, resources }),
            drain_timeout,
            renewal: Renewal::default(),
        }
    }

    /// Serves SIGHUPs until the process ends, and looks after certificates.
    pub(super) async fn run(
        mut self,
        mut hangups: Hangups,
        snapshot: Arc<ArcSwap<Snapshot>>,
        limits: Arc<ArcSwap<Limits>>,
    ) {
        let mut looks = renewal::looks();
        loop {
            tokio::select! {
                hangup = hangups.0.recv() => match hangup {
                    Some(()) => {}
                    None => return,
                },
                _ = looks.tick() => {
                    self.renew().await;
                    continue;
                }
            }
            let started = Instant::now();
            // Compiling takes its time and must not hold up the host's input and output.
            let (path, state) = (self.path.clone(), Arc::clone(&self.state));
            let (foundation, io) = (Arc::clone(&self.foundation), Handle::current());
            let rebuilt = spawn_blocking(move || rebuild(&path, &foundation, &state, &io)).await;
            match rebuilt {
                Ok(Ok((config, built))) => {
                    upstreams::answered(&built.resources.upstreams).await;
                    limits.store(Arc::new(held(&config.server.limits)));
                    self.drain_timeout.set(config.server.drain_timeout);
                    snapshot.store(Arc::clone(&built.snapshot));
                    let resources = built.resources;
                    for (entrance, arrival) in resources.entrances.iter().zip(built.arrivals) {
                        entrance.change(arrival);
                    }
                    for function in self.state.resources.functions.values() {
                        function.retire();
                    }
                    upstreams::retire(&self.state.resources.upstreams, &resources.upstreams);
                    self.state = Arc::new(State { config, resources });
                    let took = started.elapsed();
                    info!(file = %self.path.display(), ?took, "reloaded");
                }
                Ok(Err(reasons)) => self.refuse(&reasons),
                Err(panicked) => self.refuse(&[panicked.to_string()]),
            }
        }
    }

    /// Files are read on a thread that may wait for them.
    async fn renew(&mut self) {
        if !renewal::is_due(&self.state) {
            return;
        }
        let (renewal, state) = (std::mem::take(&mut self.renewal), Arc::clone(&self.state));
        let looked = spawn_blocking(move || renewal.look(&state)).await;
        self.renewal = looked.unwrap_or_default();
    }

    fn refuse(&self, reasons: &[String]) {
        for reason in reasons {
            error!(file = %self.path.display(), "reload refused, the old configuration serves on: {reason}");
        }
    }
}

fn rebuild(
    path: &Path,
    foundation: &Foundation,
    state: &State,
    io: &Handle,
) -> Result<(Config, Built), Vec<String>> {
    let parsed = config::load(path).map_err(|error| vec![error.to_string()])?;
    if parsed.problems.is_empty() {
        let sandbox = foundation.sandbox.as_ref();
        needs_no_restart(&state.config, &parsed.config, sandbox)?;
    }
    let previous = Some(&state.resources);
    let built = build::build(&parsed.config, previous, io, &foundation.compiler);
    match (parsed.problems.is_empty(), built) {
        (true, Ok(built)) => Ok((parsed.config, built)),
        (_, built) => {
            let later = built.err().unwrap_or_default();
            let problems = sorted(parsed.problems, later);
            Err(problems.iter().map(ToString::to_string).collect())
        }
    }
}

/// Sockets and I/O threads are made once, and what the sandbox grants is granted once.
fn needs_no_restart(
    old: &Config,
    new: &Config,
    sandbox: Option<&Sandbox>,
) -> Result<(), Vec<String>> {
    let mut reasons = Vec::new();
    let addresses = |config: &Config| -> Vec<_> {
        config
            .listeners
            .iter()
            .map(|listener| listener.address)
            .collect()
    };
    if addresses(old) != addresses(new) {
        reasons.push("listeners changed, which needs a restart".to_owned());
    }
    if old.server.threads != new.server.threads {
        reasons.push("server.threads changed, which needs a restart".to_owned());
    }
    if old.server.sandbox != new.server.sandbox {
        reasons.push("server.sandbox changed, which needs a restart".to_owned());
    }
    if let Some(sandbox) = sandbox {
        reasons.extend(confine::outside(sandbox, new));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(reasons)
}
