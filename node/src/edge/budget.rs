//! What all invocations hold together, counted in bytes against `[edge] memory`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The account of the whole node.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    /// Of it, what idle sandboxes hold.
    idle: AtomicUsize,
    limit: usize,
}

/// Of this many parts of the budget, idle sandboxes may hold one: the others are always
/// there for requests.
const IDLE_PART: usize = 4;

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            limit,
        })
    }

    /// Whether nothing is left for another invocation.
    pub(super) fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit
    }

    /// Whether more is held than there may be: what was measured can pass the limit.
    fn is_overdrawn(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
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
        let bytes = charge.held.swap(0, Ordering::Relaxed);
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
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
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.budget.limit {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        true
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
        let hold = IdleHold {
            budget: Arc::clone(&self.budget),
            bytes,
        };
        let before = self.budget.idle.fetch_add(bytes, Ordering::Relaxed);
        (before.saturating_add(bytes) <= self.budget.limit / IDLE_PART).then_some(hold)
    }

    /// Whether the account is overdrawn and this charge is a part of it that counts.
    pub(super) fn overdraws(&self, floor: usize) -> bool {
        self.held.load(Ordering::Relaxed) > floor && self.budget.is_overdrawn()
    }

    /// Corrects the charge to what was measured, even past the limit: it is held already.
    pub(super) fn correct(&self, bytes: usize) {
        let held = self.held.swap(bytes, Ordering::Relaxed);
        if bytes > held {
            self.budget.used.fetch_add(bytes - held, Ordering::Relaxed);
        } else {
            self.budget.used.fetch_sub(held - bytes, Ordering::Relaxed);
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
        self.budget
            .used
            .fetch_sub(*self.held.get_mut(), Ordering::Relaxed);
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
