//! How many streams of a connection are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// Counts them, and wakes who waits for the last one's end.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    waiting: AtomicWaker,
}

/// One of them, for as long as it is served.
#[derive(Debug)]
pub(super) struct Served(Arc<Streams>);

impl Streams {
    pub(super) fn enter(self: &Arc<Self>) -> Served {
        self.open.fetch_add(1, Ordering::AcqRel);
        Served(Arc::clone(self))
    }

    /// Whether there are any; if so, `waker` is woken when the last one ends.
    pub(super) fn are_open(&self, waker: &Waker) -> bool {
        self.waiting.register(waker);
        self.open.load(Ordering::Acquire) > 0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.waiting.wake();
        }
    }
}
