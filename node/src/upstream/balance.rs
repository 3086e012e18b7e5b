//! Which backend takes a request.
//!
//! Least connections and hashing both look at all backends: an upstream has few of them, and
//! numbers in a row are read faster than a ring is searched. Hashing is weighted rendezvous
//! hashing: a request goes where `-ln(draw) / weight` is least. Shares are exactly by weight, a
//! backend that leaves gives its keys to all others by their weights and moves no other, and one
//! whose weight grows only takes keys, so that a slow start moves each of them once.

use std::net::SocketAddr;
use std::time::Instant;

use super::backend::Lease;
use super::key::Caller;
use super::members::{Member, Members};
use super::settings::Balance;

/// What a choice depends on.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// When it is made.
    pub now: Instant,
    /// Backends that are no use for this request.
    pub tried: &'a [SocketAddr],
    /// For whom, where that counts.
    pub caller: &'a dyn Caller,
}

/// Why no backend can take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Each one has as many requests as its `connections`.
    Full,
    /// Each one that is up was tried already.
    Exhausted,
    /// None is up, or none is known.
    Unhealthy,
}

// === impl Choice ===

impl Choice<'_> {
    /// A place at a backend. One that is ejected is taken only where no other is up: it may
    /// fail, but a refusal is a failure for certain.
    pub(super) fn among(&self, members: &Members, by: &Balance) -> Result<Lease, Unavailable> {
        let useful = |member: &Member| {
            member.backend.standing().is_up() && !self.tried.contains(&member.backend.address())
        };
        let good = |member: &Member| useful(member) && !member.backend.is_ejected(self.now);
        if let Some(lease) = self.take(members, by, &good) {
            return Ok(lease);
        }
        let list = members.list();
        if list.iter().any(good) {
            return Err(Unavailable::Full);
        }
        if let Some(lease) = self.take(members, by, &useful) {
            return Ok(lease);
        }
        Err(match (list.iter().any(useful), self.tried) {
            (true, _) => Unavailable::Full,
            (false, []) => Unavailable::Unhealthy,
            (false, _) => Unavailable::Exhausted,
        })
    }

    fn take(
        &self,
        members: &Members,
        by: &Balance,
        good: &dyn Fn(&Member) -> bool,
    ) -> Option<Lease> {
        match by {
            Balance::RoundRobin => self.in_turn(members, good),
            Balance::LeastConnections => self.least_busy(members, good),
            Balance::Hash(by) => {
                let key = by.key(self.caller);
                let far = |member: &Member| -member.draw(key).ln() / member.weight(self.now);
                least((members, 0), good, far)
            }
        }
    }

    /// The turns of one that cannot take a request go to those next in turn, not all to the
    /// same one; and to a random one where a heavy one is out for many turns.
    fn in_turn(&self, members: &Members, good: &dyn Fn(&Member) -> bool) -> Option<Lease> {
        let list = members.list();
        let mut turns = list.iter().filter_map(|_| {
            let member = list.get(members.turn())?;
            let taken = good(member) && self.is_granted(member);
            taken.then(|| Lease::take(&member.backend))?
        });
        turns
            .next()
            .or_else(|| least((members, 0), good, |member| self.lot(member)))
    }

    /// Those who have equally much to do take turns.
    fn least_busy(&self, members: &Members, good: &dyn Fn(&Member) -> bool) -> Option<Lease> {
        let mut turns = members.list().iter().map(|_| members.turn());
        let granted = |place: &usize| {
            let member = members.list().get(*place);
            member.is_some_and(|member| good(member) && self.is_granted(member))
        };
        let first = turns.find(granted).unwrap_or(0);
        least((members, first), good, |member| {
            member.backend.in_flight() as f64 / member.weight(self.now)
        })
    }

    /// One whose share rises passes on some of its turns.
    fn is_granted(&self, member: &Member) -> bool {
        let share = member.backend.share(self.now);
        share >= 1.0 || fastrand::f64() < share
    }

    /// The least lot falls on each as often as its weight says.
    fn lot(&self, member: &Member) -> f64 {
        -(1.0 - fastrand::f64()).ln() / member.weight(self.now)
    }
}

/// The one with room that costs least; of equals the first, from a place on.
fn least(
    (members, first): (&Members, usize),
    good: &dyn Fn(&Member) -> bool,
    cost: impl Fn(&Member) -> f64,
) -> Option<Lease> {
    // The last place may go to another request in between, hence again.
    for _ in members.list() {
        let open = members
            .from(first)
            .filter(|member| member.backend.has_room() && good(member))
            .map(|member| (cost(member), member));
        let (_, best) = open.min_by(|a, b| a.0.total_cmp(&b.0))?;
        if let Some(lease) = Lease::take(&best.backend) {
            return Some(lease);
        }
    }
    None
}
