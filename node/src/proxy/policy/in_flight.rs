//! How many requests of a route are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests of one route under way; a reload keeps the count.
#[derive(Debug, Default)]
pub struct InFlight(AtomicUsize);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Place(Arc<InFlight>);

impl InFlight {
    /// A place among at most `limit`.
    pub(in crate::proxy) fn enter(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        // Dropped where there is none left: it gives back what it has taken.
        let place = Place(Arc::clone(self));
        (before < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_the_limit_and_they_come_back() {
        let requests = Arc::new(InFlight::default());
        let first = requests.enter(2).expect("a place");
        let _second = requests.enter(2).expect("a place");
        assert!(requests.enter(2).is_none());
        assert!(requests.enter(3).is_some(), "another limit after a reload");
        drop(first);
        assert!(requests.enter(2).is_some());
    }
}
