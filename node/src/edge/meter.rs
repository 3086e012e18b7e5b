//! The running-time clock of one invocation: processor time of the pool thread, per
//! poll, so that neither waits nor other guests nor a busy machine are charged.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use pin_project_lite::pin_project;

use super::admission::Place;
use super::budget::Charge;
use super::guest::MemorySpent;
use super::residency::Pagemap;

/// A guest that ran for less than this since its memory was last measured cannot have
/// touched much more of it.
const REMEASURE: Duration = Duration::from_micros(200);

/// What one invocation uses. Shared between its future, its guest and its report.
#[derive(Debug)]
pub(super) struct Meter {
    /// Nanoseconds of finished polls.
    spent: AtomicU64,
    /// Thread clock at the start of the current poll, in nanoseconds.
    started: AtomicU64,
    /// Of `spent`, when the memory was last measured.
    measured: AtomicU64,
    /// Where the guest's memory lies, for [`super::residency`]; 0 before it exists.
    memory_base: AtomicUsize,
    /// Its size in bytes.
    memory_size: AtomicUsize,
    /// The largest size it had, in bytes.
    memory_peak: AtomicUsize,
    /// Fuel used, once start section or entry are over.
    fuel: AtomicU64,
    host_calls: AtomicU64,
    /// Nanoseconds in host calls that waited and are over.
    host_time: AtomicU64,
    /// When the one under way began, in nanoseconds from `began`; 0: there is none.
    host_since: AtomicU64,
    began: Instant,
    /// What the linear memory is charged for.
    pub(super) memory: Charge,
}

impl Meter {
    pub(super) fn new(memory: Charge) -> Self {
        Self {
            spent: AtomicU64::new(0),
            started: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            memory_base: AtomicUsize::new(0),
            memory_size: AtomicUsize::new(0),
            memory_peak: AtomicUsize::new(0),
            fuel: AtomicU64::new(0),
            host_calls: AtomicU64::new(0),
            host_time: AtomicU64::new(0),
            host_since: AtomicU64::new(0),
            began: Instant::now(),
            memory,
        }
    }

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

    /// Counts fuel used.
    pub(super) fn add_fuel(&self, fuel: u64) {
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    /// Fuel used.
    pub(super) fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }

    /// Counts a call into the host.
    pub(super) fn count_host_call(&self) {
        self.host_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls into the host.
    pub(super) fn host_calls(&self) -> u64 {
        self.host_calls.load(Ordering::Relaxed)
    }

    /// A host call begins to wait.
    pub(super) fn host_waits(&self) {
        let now = nanos(self.began.elapsed()).max(1);
        self.host_since.store(now, Ordering::Relaxed);
    }

    /// It has waited.
    pub(super) fn host_waited(&self) {
        self.host_time
            .fetch_add(self.host_wait(), Ordering::Relaxed);
        self.host_since.store(0, Ordering::Relaxed);
    }

    /// Nanoseconds of the wait under way.
    fn host_wait(&self) -> u64 {
        match self.host_since.load(Ordering::Relaxed) {
            0 => 0,
            since => nanos(self.began.elapsed()).saturating_sub(since),
        }
    }

    /// Time in host calls that wait, the one under way included.
    pub(super) fn host_time(&self) -> Duration {
        Duration::from_nanos(self.host_time.load(Ordering::Relaxed) + self.host_wait())
    }

    /// Takes over the memory of a sandbox that served another invocation before.
    pub(super) fn inherit(&self, previous: &Self) {
        let base = previous.memory_base.load(Ordering::Relaxed);
        self.locate_memory(base);
        let size = previous.memory_size.load(Ordering::Relaxed);
        self.record_memory(size);
        // It runs at once, and may touch all of it.
        self.memory.correct(size);
    }

    /// The largest linear memory there was, in bytes.
    pub(super) fn memory_peak(&self) -> usize {
        self.memory_peak.load(Ordering::Relaxed)
    }

    /// The guest's memory lies at `base`.
    pub(super) fn locate_memory(&self, base: usize) {
        self.memory_base.store(base, Ordering::Relaxed);
    }

    /// The guest is to run, and may touch all the memory it has: that much is charged for
    /// as long. What was charged before; `None` if there is no room for it.
    fn resume(&self) -> Option<usize> {
        let parked = self.memory.held();
        let whole = self.memory_size.load(Ordering::Relaxed).max(parked);
        self.memory.try_set(whole).then_some(parked)
    }

    /// The guest waits: it is charged for what it has touched, which is measured if it ran
    /// long enough to have changed that since it was `parked` before.
    fn park(&self, pagemap: &Pagemap, parked: usize) {
        let spent = self.spent.load(Ordering::Relaxed);
        let measured = self.measured.load(Ordering::Relaxed);
        let ran = Duration::from_nanos(spent.saturating_sub(measured));
        if measured > 0 && ran < REMEASURE {
            self.memory.correct(parked);
            return;
        }
        self.measured.store(spent, Ordering::Relaxed);
        self.measure(pagemap);
    }

    /// Corrects the charge for the memory to what is held of it.
    pub(super) fn measure(&self, pagemap: &Pagemap) {
        let base = self.memory_base.load(Ordering::Relaxed);
        let size = self.memory_size.load(Ordering::Relaxed);
        if base == 0 {
            return;
        }
        if let Some(resident) = pagemap.resident(base, size) {
            self.memory.correct(resident);
        }
    }
}

pin_project! {
    /// A future whose polls are timed. Its place is given back after all else is gone.
    pub(super) struct Metered<F> {
        #[pin]
        future: F,
        meter: Arc<Meter>,
        pagemap: Option<Arc<Pagemap>>,
        place: Option<Place>,
    }
}

impl<F: Future> Metered<F> {
    pub(super) fn new(
        future: F,
        meter: Arc<Meter>,
        pagemap: Option<Arc<Pagemap>>,
        place: Option<Place>,
    ) -> Self {
        Self {
            future,
            meter,
            pagemap,
            place,
        }
    }
}

impl<F: Future<Output: From<MemorySpent>>> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(parked) = this.meter.resume() else {
            return Poll::Ready(MemorySpent.into());
        };
        let start = thread_nanos();
        this.meter.started.store(start, Ordering::Relaxed);
        let polled = this.future.poll(context);
        let took = thread_nanos().saturating_sub(start);
        this.meter.spent.fetch_add(took, Ordering::Relaxed);
        if let Some(pagemap) = this.pagemap.as_ref().filter(|_| polled.is_pending()) {
            this.meter.park(pagemap, parked);
        }
        polled
    }
}

/// Processor time of this thread, in nanoseconds.
fn thread_nanos() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| nanos(time.into()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it did.
    struct Ran(bool);

    impl From<MemorySpent> for Ran {
        fn from(_: MemorySpent) -> Self {
            Self(false)
        }
    }

    #[tokio::test]
    async fn a_guest_that_has_more_than_there_is_room_for_is_not_resumed() {
        let charge = Charge::new(super::super::budget::Budget::new(100));
        let meter = Arc::new(Meter::new(charge));
        for (size, runs) in [(100, true), (101, false)] {
            meter.record_memory(size);
            let run = Metered::new(async { Ran(true) }, Arc::clone(&meter), None, None);
            assert_eq!(run.await.0, runs);
        }
    }

    #[tokio::test]
    async fn waiting_is_not_running() {
        let charge = Charge::new(super::super::budget::Budget::new(1));
        let meter = Arc::new(Meter::new(charge));
        let sleep = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            Ran(true)
        };
        assert!(Metered::new(sleep, Arc::clone(&meter), None, None).await.0);
        assert!(meter.spent() < Duration::from_millis(30));
    }
}
