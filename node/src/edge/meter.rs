//! The running-time clock of one invocation: processor time of the pool thread, per
//! poll, so that neither waits nor other guests nor a busy machine are charged.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Shared between the invocation's future, its guest and the report.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Nanoseconds of finished polls.
    spent: AtomicU64,
    /// Thread clock at the start of the current poll, in nanoseconds.
    started: AtomicU64,
    /// Where the guest's memory lies, for [`super::residency`]; 0 before it exists.
    pub(super) memory_base: AtomicUsize,
    /// Its size in bytes.
    pub(super) memory_size: AtomicUsize,
    /// The largest size it had, in bytes.
    pub(super) memory_peak: AtomicUsize,
    /// Fuel used, once the invocation is over.
    pub(super) fuel: AtomicU64,
}

impl Meter {
    /// Time run so far, the current poll included; call it on the polling thread.
    pub(super) fn running(&self) -> Duration {
        let current = thread_nanos().saturating_sub(self.started.load(Ordering::Relaxed));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + current)
    }

    /// The guest's memory now has `bytes`.
    pub(super) fn record_memory(&self, bytes: usize) {
        self.memory_size.store(bytes, Ordering::Relaxed);
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Time run in finished polls.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }
}

/// A future whose polls are timed.
pub(super) struct Metered<F> {
    meter: Arc<Meter>,
    on_wait: Box<dyn FnMut() + Send>,
    future: Pin<Box<F>>,
}

impl<F: Future> Metered<F> {
    /// `on_wait` is called whenever the future gives its thread back unfinished.
    pub(super) fn new(meter: Arc<Meter>, on_wait: Box<dyn FnMut() + Send>, future: F) -> Self {
        Self {
            meter,
            on_wait,
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let start = thread_nanos();
        self.meter.started.store(start, Ordering::Relaxed);
        let polled = self.future.as_mut().poll(context);
        let took = thread_nanos().saturating_sub(start);
        self.meter.spent.fetch_add(took, Ordering::Relaxed);
        if polled.is_pending() {
            (self.on_wait)();
        }
        polled
    }
}

/// Processor time of this thread, in nanoseconds.
fn thread_nanos() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_is_not_running() {
        let meter = Arc::new(Meter::default());
        let waits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waits);
        let future = Metered::new(
            Arc::clone(&meter),
            Box::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
            tokio::time::sleep(Duration::from_millis(60)),
        );
        future.await;
        assert!(waits.load(Ordering::Relaxed) >= 1);
        assert!(meter.spent() < Duration::from_millis(30));
    }
}
