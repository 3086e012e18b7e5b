//! What reading a connection's frames tells the task that serves it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Shared between the stream, which reads frames, and the loop that accepts requests.
#[derive(Debug)]
pub(super) struct Wire {
    /// Goes up whenever a header block begins and whenever it ends: odd while one is under way.
    blocks: AtomicU64,
    excessive: AtomicBool,
    /// Streams answered in full since the reader last asked.
    answered: AtomicU32,
}

impl Wire {
    /// Of a new connection: its opening, up to the first frame's end, counts as a block.
    pub(super) fn new() -> Self {
        Self {
            blocks: AtomicU64::new(1),
            excessive: AtomicBool::new(false),
            answered: AtomicU32::new(0),
        }
    }

    /// The block under way, by a number that no other has.
    pub(super) fn block(&self) -> Option<u64> {
        let blocks = self.blocks.load(Ordering::Relaxed);
        (blocks % 2 == 1).then_some(blocks)
    }

    pub(super) fn block_begins(&self) {
        if self.block().is_none() {
            self.blocks.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn block_ends(&self) {
        if self.block().is_some() {
            self.blocks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The client does too much of what gets nobody anywhere: nothing more is read.
    pub(super) fn exceed(&self) {
        self.excessive.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_excessive(&self) -> bool {
        self.excessive.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take_answered(&self) -> u32 {
        self.answered.swap(0, Ordering::Relaxed)
    }
}
