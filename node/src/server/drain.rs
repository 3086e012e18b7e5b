//! From the signal to stop until nothing is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::server::ListenFds;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::listener::Multiplexed;
use crate::proxy::Activity;

/// Watches for SIGTERM and SIGINT and drains.
pub(super) struct Drain {
    activity: Arc<Activity>,
    multiplexed: Multiplexed,
    timeout: DrainTimeout,
}

/// `drain_timeout`, which a reload may change.
#[derive(Clone, Debug)]
pub(super) struct DrainTimeout(Arc<AtomicU64>);

impl DrainTimeout {
    fn new(timeout: Duration) -> Self {
        let this = Self(Arc::default());
        this.set(timeout);
        this
    }

    pub(super) fn set(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    fn value(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Drain {
    pub(super) fn new(
        (activity, multiplexed): (Arc<Activity>, Multiplexed),
        timeout: Duration,
    ) -> Self {
        Self {
            activity,
            multiplexed,
            timeout: DrainTimeout::new(timeout),
        }
    }

    pub(super) fn timeout(&self) -> DrainTimeout {
        self.timeout.clone()
    }

    /// Returns when the last request is answered, and its answer is on its way.
    async fn done(&self) {
        self.activity.idle().await;
        self.multiplexed.none().await;
    }

    /// Ends with the last request, the timeout, or a second signal.
    async fn drain(&self, stops: &mut Stops) {
        let requests = self.activity.requests();
        info!(requests, "stopping: finishing what is under way");
        tokio::select! {
            () = self.done() => {}
            () = tokio::time::sleep(self.timeout.value()) => {
                warn!(requests = self.activity.requests(), "drain_timeout is over, cutting what is left");
            }
            () = stops.next() => warn!("stopping at once"),
        }
    }

    /// Serves until told to stop, then until nothing is under way. The listeners close at
    /// once, idle connections too.
    pub(super) async fn serve<A>(
        &self,
        services: Vec<Service<A>>,
        sockets: ListenFds,
        mut stops: Stops,
    ) where
        A: ServerApp + Send + Sync + 'static,
    {
        let (stop, stopping) = watch::channel(false);
        let mut serving = JoinSet::new();
        for mut service in services {
            let (sockets, stopping) = (Arc::clone(&sockets), stopping.clone());
            serving.spawn(async move {
                service.start_service(Some(sockets), stopping, 1).await;
            });
        }
        stops.next().await;
        self.activity.drain();
        // Fails only if nothing serves any more.
        stop.send(true).ok();
        while serving.join_next().await.is_some() {}
        self.drain(&mut stops).await;
    }
}

/// Takes SIGTERM and SIGINT over from the system, whose answer to them is to kill the process.
pub(super) fn stops(runtime: &tokio::runtime::Runtime) -> std::io::Result<Stops> {
    let _entered = runtime.enter();
    Stops::watch()
}

/// SIGTERM and SIGINT as they come.
pub(super) struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
