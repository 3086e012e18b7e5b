//! Sandboxes between requests (`instance = "reuse"`).
//!
//! Only one that ended well rests here: never one after a trap, a limit, or a client that
//! left. What a guest leaves in its memory, the next request of the same function finds.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use super::guest::Guest;
use super::limits::Limits;
use super::residency::Pagemap;
use super::sandbox::Sandbox;

/// Idle sandboxes of one function at most: more than that wait only after a burst.
const MOST_IDLE: usize = 32;

/// Whether an instance serves one request or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstancePolicy {
    /// A new sandbox for each invocation.
    #[default]
    Fresh,
    /// The same one for up to so many requests, one at a time.
    Reuse(u32),
}

impl InstancePolicy {
    /// How many sandboxes of a function with these limits may be idle at once.
    pub fn most_idle(self, limits: &Limits) -> usize {
        match self {
            Self::Fresh => 0,
            Self::Reuse(_) => limits.max_in_flight.clamp(1, MOST_IDLE),
        }
    }
}

/// The idle sandboxes of one function.
pub(super) struct Idle {
    kept: ArrayQueue<Sandbox>,
    /// Requests one serves.
    reuse_limit: u32,
    /// The function serves no longer.
    closed: AtomicBool,
}

impl Idle {
    /// `None` where every invocation has a fresh one.
    pub(super) fn new(policy: InstancePolicy, limits: &Limits) -> Option<Self> {
        match policy {
            InstancePolicy::Fresh => None,
            InstancePolicy::Reuse(reuse_limit) => Some(Self {
                kept: ArrayQueue::new(policy.most_idle(limits)),
                reuse_limit,
                closed: AtomicBool::new(false),
            }),
        }
    }

    /// One for this guest: an idle one, or else a new one.
    pub(super) fn wake(&self, guest: Guest) -> Sandbox {
        match self.kept.pop() {
            Some(mut sandbox) => {
                sandbox.take_over(guest);
                sandbox
            }
            None => Sandbox::new(guest),
        }
    }

    /// Keeps a sandbox that ended well, unless it has served enough or idle ones hold
    /// their share of `[edge] memory`.
    pub(super) fn keep(&self, mut sandbox: Sandbox, pagemap: Option<&Pagemap>) {
        if sandbox.served() >= self.reuse_limit || self.closed.load(Ordering::Acquire) {
            return;
        }
        if let Some(pagemap) = pagemap {
            sandbox.guest().meter.measure(pagemap);
        }
        if let Some(hold) = sandbox.guest().hold_idle() {
            sandbox.rest(hold);
            // One too many is dropped.
            drop(self.kept.push(sandbox));
        }
        if self.closed.load(Ordering::Acquire) {
            self.close();
        }
    }

    /// Keeps none from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        while self.kept.pop().is_some() {}
    }
}
