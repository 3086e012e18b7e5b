//! The backends of an upstream at one moment, and the order in which they take turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::backend::Backend;
use super::key::digest;
use super::task::Task;

/// Never changed, but replaced as a whole.
#[derive(Default)]
pub(super) struct Members {
    list: Vec<Member>,
    /// Places in `list`, each as often as its weight says, spread evenly.
    schedule: Vec<usize>,
    turn: AtomicUsize,
}

/// One backend and its part.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) backend: Arc<Backend>,
    /// Of the settings' backends.
    entry: usize,
    weight: usize,
    seed: u64,
    checks: Option<Arc<Task>>,
}

// === impl Member ===

impl Member {
    /// Of an entry of the settings, with its weight.
    pub(super) fn new(
        backend: Arc<Backend>,
        (entry, weight): (usize, usize),
        checks: Option<Task>,
    ) -> Self {
        Self {
            seed: digest(backend.name().as_bytes()),
            backend,
            entry,
            weight,
            checks: checks.map(Arc::new),
        }
    }

    /// Whether it is this address of this entry of the settings.
    pub(super) fn is(&self, entry: usize, address: SocketAddr) -> bool {
        self.entry == entry && self.backend.address() == address
    }

    pub(super) fn stop_checks(&self) {
        if let Some(checks) = &self.checks {
            checks.stop();
        }
    }

    /// Its weight, or less while its share rises.
    pub(super) fn weight(&self, now: Instant) -> f64 {
        self.weight as f64 * self.backend.share(now)
    }

    /// A number above 0 and at most 1 for a key, as good as random, and independent of what the
    /// other backends make of that key.
    pub(super) fn draw(&self, key: u64) -> f64 {
        const STEPS: f64 = (1u64 << 53) as f64;
        ((mixed(key ^ mixed(self.seed)) >> 11) + 1) as f64 / STEPS
    }
}

/// The finalizer of splitmix64: every bit of the result depends on every bit of the number.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

// === impl Members ===

impl Members {
    pub(super) fn new(list: Vec<Member>) -> Self {
        let weights: Vec<_> = list.iter().map(|member| member.weight).collect();
        Self {
            list,
            schedule: schedule(&weights),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn list(&self) -> &[Member] {
        &self.list
    }

    /// The place in the list of the one whose turn it is.
    pub(super) fn turn(&self) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let position = turn.checked_rem(self.schedule.len()).unwrap_or(0);
        self.schedule.get(position).copied().unwrap_or(0)
    }

    /// All of them once, from this place on.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = &Member> {
        let (before, after) = self.list.split_at(place.min(self.list.len()));
        after.iter().chain(before)
    }
}

/// Each place as often as its weight, in lowest terms: the turns of one are spread evenly over
/// all, so that a heavy one does not get its turns all in a row.
fn schedule(weights: &[usize]) -> Vec<usize> {
    let common = weights.iter().copied().fold(0, greatest_common_divisor);
    let mut turns = Vec::new();
    for (place, weight) in weights.iter().enumerate() {
        let count = weight / common.max(1);
        turns.extend((0..count).map(|turn| ((turn as f64 + 0.5) / count as f64, place)));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    turns.into_iter().map(|(_, place)| place).collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly() {
        assert_eq!(schedule(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(schedule(&[500, 1000]), [1, 0, 1]);
        assert_eq!(schedule(&[1, 4]), [1, 1, 0, 1, 1]);
        assert_eq!(schedule(&[]), [0; 0]);
    }
}
