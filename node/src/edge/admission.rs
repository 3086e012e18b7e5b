//! How many invocations run at once: of the node and of each function.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::budget::Budget;

/// The node's places and the time one may queue for them.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    queue_timeout: Duration,
    budget: Arc<Budget>,
}

/// A place of the function and one of the node; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _function: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

/// Every place stayed taken for the queue timeout, or the memory is spent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overloaded;

impl Admission {
    pub(super) fn new(places: usize, queue_timeout: Duration, budget: Arc<Budget>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            queue_timeout,
            budget,
        }
    }

    /// Waits at most the queue timeout for both places. The function's own comes
    /// first: while it is full, its requests do not hold places of the node.
    pub(super) async fn enter(&self, function: &Arc<Semaphore>) -> Result<Place, Overloaded> {
        if self.budget.is_spent() {
            return Err(Overloaded);
        }
        if let Some(place) = self.try_enter(function) {
            return Ok(place);
        }
        timeout(self.queue_timeout, self.wait(function))
            .await
            .unwrap_or(Err(Overloaded))
    }

    fn try_enter(&self, function: &Arc<Semaphore>) -> Option<Place> {
        Some(Place {
            _function: Arc::clone(function).try_acquire_owned().ok()?,
            _node: Arc::clone(&self.places).try_acquire_owned().ok()?,
        })
    }

    async fn wait(&self, function: &Arc<Semaphore>) -> Result<Place, Overloaded> {
        let own = Arc::clone(function).acquire_owned().await;
        let node = Arc::clone(&self.places).acquire_owned().await;
        match (own, node) {
            (Ok(_function), Ok(_node)) => Ok(Place { _function, _node }),
            _ => Err(Overloaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(places: usize) -> Admission {
        Admission::new(places, Duration::from_millis(20), Budget::new(1))
    }

    #[tokio::test]
    async fn a_full_function_does_not_take_the_places_of_another() {
        let admission = admission(2);
        let (full, other) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let held = admission.enter(&full).await.expect("the first has a place");
        assert_eq!(admission.enter(&full).await.err(), Some(Overloaded));
        assert!(admission.enter(&other).await.is_ok());
        drop(held);
        assert!(admission.enter(&full).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_that_comes_free_in_time_is_taken() {
        let admission = Arc::new(Admission::new(1, Duration::from_secs(30), Budget::new(1)));
        let function = Arc::new(Semaphore::new(5));
        let held = admission.enter(&function).await.expect("a place");
        let (waiting, own) = (Arc::clone(&admission), Arc::clone(&function));
        let queued = tokio::spawn(async move { waiting.enter(&own).await.is_ok() });
        while function.available_permits() > 3 {
            tokio::task::yield_now().await;
        }
        drop(held);
        assert!(queued.await.expect("no panic"));
    }
}
