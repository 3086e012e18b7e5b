//! What all invocations hold together, counted in bytes against `[edge] memory`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An account: that of the whole node, or one for a part of it.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    /// Of it, what idle sandboxes hold.
    idle: AtomicUsize,
    limit: usize,
    /// What this one is a part of: whatever is taken here is taken there too.
    whole: Option<Arc<Self>>,
}

/// Of four parts of the node's memory, one function may hold three: it cannot take what
/// all others need.
const FUNCTION_PARTS: usize = 3;
/// Buffered bodies of requests may hold two: clients that are slow to send cannot take it
/// either.
const BODY_PARTS: usize = 2;
/// Idle sandboxes may hold one: the others are always there for requests.
const IDLE_PARTS: usize = 1;

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            limit,
            whole: None,
        })
    }

    /// For one function, of which an invocation may hold `least` in any case.
    pub(super) fn of_function(self: &Arc<Self>, least: usize) -> Arc<Self> {
        self.part((self.limit / 4 * FUNCTION_PARTS).max(least))
    }

    /// For bodies of requests, before there is an invocation.
    pub(super) fn of_bodies(self: &Arc<Self>) -> Arc<Self> {
        self.part(self.limit / 4 * BODY_PARTS)
    }

    fn part(self: &Arc<Self>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            limit,
            whole: Some(Arc::clone(self)),
        })
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether nothing is left for another invocation.
    pub(super) fn is_spent(&self) -> bool {
        let whole = self.whole.as_ref().is_some_and(|whole| whole.is_spent());
        whole || self.used.load(Ordering::Relaxed) >= self.limit
    }

    /// Takes `bytes`, unless that would pass a limit.
    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit
            && self.whole.as_ref().is_none_or(|whole| whole.take(bytes));
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Takes what is held already, past the limit if it must be.
    fn record(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.record(bytes);
        }
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }

    /// The node's.
    fn node(self: &Arc<Self>) -> &Arc<Self> {
        self.whole.as_ref().unwrap_or(self)
    }
}

/// What a request holds for its functions outside of them: its buffered body, and the
/// answer until the client has taken it. Given back when dropped.
#[derive(Debug)]
pub struct Hold(Charge);

impl Hold {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self(Charge::new(budget))
    }

    /// Takes `bytes` more, unless all requests together would hold more than
    /// `[edge] memory`.
    #[must_use]
    pub fn grow(&self, bytes: usize) -> bool {
        self.0.try_grow(bytes)
    }

    /// Takes over what another charge holds.
    pub(super) fn absorb(&self, charge: &Charge) {
        let bytes = charge.held();
        charge.correct(0);
        self.0.correct(self.0.held().saturating_add(bytes));
    }
}

/// What one invocation holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    held: AtomicUsize,
}

impl Charge {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            held: AtomicUsize::new(0),
        }
    }

    /// Takes `bytes` more, unless that would pass the limit.
    pub(super) fn try_grow(&self, bytes: usize) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.held.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }

    /// A charge of its own on the same account, if there is room for `bytes`.
    pub(super) fn beside(&self, bytes: usize) -> Option<Self> {
        let charge = Self::new(Arc::clone(&self.budget));
        charge.try_grow(bytes).then_some(charge)
    }

    /// A charge of its own for `bytes` of what this one holds.
    pub(super) fn split(&self, bytes: usize) -> Self {
        let part = Self::new(Arc::clone(&self.budget));
        let taken = |held: usize| Some(held.saturating_sub(bytes));
        let order = Ordering::Relaxed;
        let before = self.held.fetch_update(order, order, taken);
        let moved = before.map_or(0, |held| held.min(bytes));
        part.held.store(moved, order);
        part
    }

    /// Brings the charge to `bytes`, unless that would pass the limit.
    pub(super) fn try_set(&self, bytes: usize) -> bool {
        let held = self.held.load(Ordering::Relaxed);
        if bytes > held {
            return self.try_grow(bytes - held);
        }
        self.correct(bytes);
        true
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Room for `bytes` among what idle sandboxes hold, beside this charge for them.
    pub(super) fn hold_idle(&self, bytes: usize) -> Option<IdleHold> {
        let node = self.budget.node();
        let hold = IdleHold {
            budget: Arc::clone(node),
            bytes,
        };
        let before = node.idle.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= node.limit / 4 * IDLE_PARTS;
        fits.then_some(hold)
    }

    /// Corrects the charge to what was measured, even past the limit: it is held already.
    pub(super) fn correct(&self, bytes: usize) {
        let held = self.held.swap(bytes, Ordering::Relaxed);
        match bytes.checked_sub(held) {
            Some(more) => self.budget.record(more),
            None => self.budget.give_back(held - bytes),
        }
    }
}

/// What one idle sandbox holds of the part that is for them.
#[derive(Debug)]
pub(super) struct IdleHold {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for IdleHold {
    fn drop(&mut self) {
        self.budget.idle.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(*self.held.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_past_the_limit_takes_nothing_and_what_was_held_comes_back() {
        let budget = Budget::new(100);
        let first = Charge::new(Arc::clone(&budget));
        assert!(first.try_grow(60));
        let second = Charge::new(Arc::clone(&budget));
        assert!(!second.try_grow(41));
        assert!(second.try_grow(40));
        assert!(budget.is_spent());
        drop(first);
        assert!(!budget.is_spent());
        drop(second);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_handed_on_is_held_until_the_last_owner_is_gone() {
        let budget = Budget::new(100);
        let guest = Charge::new(Arc::clone(&budget));
        assert!(guest.try_grow(60));
        let part = guest.split(50);
        let hold = Hold::new(Arc::clone(&budget));
        hold.absorb(&part);
        drop((guest, part));
        assert_eq!(budget.used.load(Ordering::Relaxed), 50);
        drop(hold);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_part_takes_from_the_whole_and_stops_at_its_own_limit() {
        let node = Budget::new(100);
        let (function, bodies) = (node.of_function(0), node.of_bodies());
        let charge = Charge::new(Arc::clone(&function));
        assert!(!charge.try_grow(76));
        assert!(charge.try_grow(75));
        assert!(function.is_spent() && !node.is_spent());
        let body = Hold::new(Arc::clone(&bodies));
        assert!(!body.grow(26), "the whole has no more than 25");
        assert!(body.grow(25));
        assert!(bodies.is_spent(), "as the whole is");
        drop((charge, body));
        for budget in [&node, &function, &bodies] {
            assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn idle_sandboxes_hold_a_part_of_it_only() {
        let budget = Budget::new(100);
        let charge = Charge::new(Arc::clone(&budget));
        let held = charge.hold_idle(20).expect("within the part");
        assert!(charge.hold_idle(6).is_none());
        drop(held);
        assert!(charge.hold_idle(25).is_some());
        assert_eq!(budget.idle.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_measurement_replaces_the_charge() {
        let budget = Budget::new(100);
        let charge = Charge::new(Arc::clone(&budget));
        assert!(charge.try_grow(90));
        charge.correct(10);
        assert_eq!(budget.used.load(Ordering::Relaxed), 10);
        charge.correct(150);
        assert!(budget.is_spent());
    }
}
