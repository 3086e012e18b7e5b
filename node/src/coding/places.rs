//! How many bodies are encoded at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Encoders at once, of the whole node: together at most 400 MiB.
const MOST: usize = 256;

/// Room for encoders, shared by all routes.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<AtomicUsize>);

/// One of the [`Places`], given back when dropped.
#[derive(Debug)]
pub struct Place(Places);

impl Places {
    /// `None` when all are taken: the body goes out as it is, which costs no memory.
    pub fn take(&self) -> Option<Place> {
        if self.0.fetch_add(1, Ordering::Relaxed) < MOST {
            return Some(Place(self.clone()));
        }
        self.0.fetch_sub(1, Ordering::Relaxed);
        None
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
    fn places_are_taken_and_given_back() {
        let places = Places::default();
        let mut taken: Vec<Place> = (0..MOST).filter_map(|_| places.take()).collect();
        assert_eq!(taken.len(), MOST);
        assert!(places.take().is_none() && places.take().is_none());
        taken.pop();
        let again = places.take();
        assert!(again.is_some() && places.take().is_none());
    }
}
