//! From the signal to stop until nothing is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::proxy::Activity;

/// Watches for SIGTERM and SIGINT and drains.
pub(super) struct Drain {
    activity: Arc<Activity>,
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
    pub(super) fn new(activity: Arc<Activity>, timeout: Duration) -> Self {
        Self {
            activity,
            timeout: DrainTimeout::new(timeout),
        }
    }

    pub(super) fn timeout(&self) -> DrainTimeout {
        self.timeout.clone()
    }

    /// Ends with the last request, the timeout, or a second signal.
    async fn drain(&self, stops: &mut Stops) {
        self.activity.drain();
        let requests = self.activity.requests();
        info!(requests, "stopping: finishing what is under way");
        tokio::select! {
            () = self.activity.idle() => {}
            () = tokio::time::sleep(self.timeout.value()) => {
                warn!(requests = self.activity.requests(), "drain_timeout is over, cutting what is left");
            }
            () = stops.next() => warn!("stopping at once"),
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        match Stops::watch() {
            Ok(mut stops) => {
                stops.next().await;
                self.drain(&mut stops).await;
            }
            Err(cause) => error!(%cause, "cannot watch signals"),
        }
        // Nothing is under way any more, so there is nothing to be graceful about.
        ShutdownSignal::FastShutdown
    }
}

struct Stops {
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
