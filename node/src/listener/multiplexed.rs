//! Which HTTP/2 connections there are, for a drain: what their requests were answered may not
//! have left the node yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts HTTP/2 connections. Told to stop, each of them closes once its streams have ended.
#[derive(Clone, Debug, Default)]
pub struct Multiplexed(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    connections: AtomicUsize,
    none: Notify,
}

/// One of them, for as long as it lives.
#[derive(Debug)]
pub(super) struct Open(Multiplexed);

impl Multiplexed {
    pub(super) fn enter(&self) -> Open {
        self.0.connections.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    /// Returns once there is none.
    pub async fn none(&self) {
        loop {
            let notified = self.0.none.notified();
            if self.0.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Multiplexed(count) = &self.0;
        if count.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            count.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_the_last_connection() {
        let multiplexed = Multiplexed::default();
        multiplexed.none().await;
        let (one, other) = (multiplexed.enter(), multiplexed.enter());
        let waiting = multiplexed.clone();
        let drained = tokio::spawn(async move { waiting.none().await });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(other);
        drained.await.expect("no panic");
    }
}
