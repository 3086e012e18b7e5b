//! SIGHUP: a whole new snapshot, swapped in one step, or the old one kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Runtime as IoRuntime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::build::{self, Built, Resources};
use super::check::sorted;
use super::drain::DrainTimeout;
use crate::config::{self, Config};
use crate::listener::Limits;
use crate::proxy::Snapshot;

/// SIGHUPs as they come; several during one reload become one.
pub(super) struct Hangups(Signal);

/// Takes SIGHUP over from the system, whose answer to it is to kill the process.
pub(super) fn hangups(io: &IoRuntime) -> std::io::Result<Hangups> {
    let _entered = io.enter();
    signal(SignalKind::hangup()).map(Hangups)
}

/// Rebuilds from the file whenever told to.
pub(super) struct Reloader {
    path: PathBuf,
    state: Arc<State>,
    drain_timeout: DrainTimeout,
}

/// What is serving.
struct State {
    config: Config,
    resources: Resources,
}

impl Reloader {
    pub(super) fn new(
        path: &Path,
        config: Config,
        resources: Resources,
        drain_timeout: DrainTimeout,
    ) -> Self {
        Self {
            path: path.to_owned(),
            state: Arc::new(State { config, resources }),
            drain_timeout,
        }
    }

    /// Serves SIGHUPs until the process ends.
    pub(super) async fn run(
        mut self,
        mut hangups: Hangups,
        snapshot: Arc<ArcSwap<Snapshot>>,
        limits: Arc<ArcSwap<Limits>>,
    ) {
        while hangups.0.recv().await.is_some() {
            let started = Instant::now();
            // Compiling takes its time and must not hold up the host's input and output.
            let (path, state, io) = (
                self.path.clone(),
                Arc::clone(&self.state),
                Handle::current(),
            );
            let rebuilt = spawn_blocking(move || rebuild(&path, &state, &io)).await;
            match rebuilt {
                Ok(Ok((config, built))) => {
                    limits.store(Arc::new(config.server.limits.clone()));
                    self.drain_timeout.set(config.server.drain_timeout);
                    snapshot.store(Arc::clone(&built.snapshot));
                    let resources = built.resources;
                    self.state = Arc::new(State { config, resources });
                    let took = started.elapsed();
                    info!(file = %self.path.display(), ?took, "reloaded");
                }
                Ok(Err(reasons)) => self.refuse(&reasons),
                Err(panicked) => self.refuse(&[panicked.to_string()]),
            }
        }
    }

    fn refuse(&self, reasons: &[String]) {
        for reason in reasons {
            error!(file = %self.path.display(), "reload refused, the old configuration serves on: {reason}");
        }
    }
}

fn rebuild(path: &Path, state: &State, io: &Handle) -> Result<(Config, Built), Vec<String>> {
    let parsed = config::load(path).map_err(|error| vec![error.to_string()])?;
    let built = build::build(&parsed.config, Some(&state.resources), io);
    match (parsed.problems.is_empty(), built) {
        (true, Ok(built)) => {
            needs_no_restart(&state.config, &parsed.config)?;
            Ok((parsed.config, built))
        }
        (_, built) => {
            let later = built.err().unwrap_or_default();
            let problems = sorted(parsed.problems, later);
            Err(problems.iter().map(ToString::to_string).collect())
        }
    }
}

/// Sockets and I/O threads are made once.
fn needs_no_restart(old: &Config, new: &Config) -> Result<(), Vec<String>> {
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
    if reasons.is_empty() {
        return Ok(());
    }
    Err(reasons)
}
