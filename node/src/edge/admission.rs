//! How many invocations run at once: of the node and of each function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::budget::Budget;

/// The node's places and the time one may queue for them.
#[derive(Debug)]
pub(super) struct Admission {
    node: Places,
    queue_timeout: Duration,
}

/// Places for invocations, and a queue for as many more.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    count: usize,
    queued: AtomicUsize,
}

/// A place of the function and one of the node; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _function: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

/// Every place stayed taken for the queue timeout, the queue is full, or the memory is
/// spent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overloaded;

impl Admission {
    pub(super) fn new(places: usize, queue_timeout: Duration) -> Self {
        Self {
            node: Places::new(places),
            queue_timeout,
        }
    }

    /// Waits at most the queue timeout for both places. The function's own comes
    /// first: while it is full, its requests do not hold places of the node.
    pub(super) async fn enter(
        &self,
        function: &Places,
        memory: &Budget,
    ) -> Result<Place, Overloaded> {
        if memory.is_spent() {
            return Err(Overloaded);
        }
        if let Some(place) = self.try_enter(function) {
            return Ok(place);
        }
        let _queued = (function.queue()?, self.node.queue()?);
        timeout(self.queue_timeout, self.wait(function))
            .await
            .unwrap_or(Err(Overloaded))
    }

    fn try_enter(&self, function: &Places) -> Option<Place> {
        Some(Place {
            _function: Arc::clone(&function.free).try_acquire_owned().ok()?,
            _node: Arc::clone(&self.node.free).try_acquire_owned().ok()?,
        })
    }

    async fn wait(&self, function: &Places) -> Result<Place, Overloaded> {
        let own = Arc::clone(&function.free).acquire_owned().await;
        let node = Arc::clone(&self.node.free).acquire_owned().await;
        match (own, node) {
            (Ok(_function), Ok(_node)) => Ok(Place { _function, _node }),
            _ => Err(Overloaded),
        }
    }
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            count,
            queued: AtomicUsize::new(0),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A position in the queue, which holds as many as there are places.
    fn queue(&self) -> Result<Queued<'_>, Overloaded> {
        let queued = Queued(&self.queued);
        match self.queued.fetch_add(1, Ordering::Relaxed) < self.count {
            true => Ok(queued),
            false => Err(Overloaded),
        }
    }
}

/// Counted as waiting until dropped.
struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(places: usize) -> Admission {
        Admission::new(places, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn a_full_function_does_not_take_the_places_of_another() {
        let admission = admission(2);
        let (full, other) = (Places::new(1), Places::new(1));
        let held = admission
            .enter(&full, &Budget::new(1))
            .await
            .expect("the first has a place");
        assert_eq!(
            admission.enter(&full, &Budget::new(1)).await.err(),
            Some(Overloaded)
        );
        assert!(admission.enter(&other, &Budget::new(1)).await.is_ok());
        drop(held);
        assert!(admission.enter(&full, &Budget::new(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_that_comes_free_in_time_is_taken() {
        let admission = Arc::new(Admission::new(1, Duration::from_secs(30)));
        let function = Arc::new(Places::new(5));
        let held = admission
            .enter(&function, &Budget::new(1))
            .await
            .expect("a place");
        let (waiting, own) = (Arc::clone(&admission), Arc::clone(&function));
        let queued =
            tokio::spawn(async move { waiting.enter(&own, &Budget::new(1)).await.is_ok() });
        while function.free.available_permits() > 3 {
            tokio::task::yield_now().await;
        }
        drop(held);
        assert!(queued.await.expect("no panic"));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let admission = Arc::new(Admission::new(8, Duration::from_secs(3600)));
        let function = Arc::new(Places::new(1));
        let held = admission
            .enter(&function, &Budget::new(1))
            .await
            .expect("a place");
        let (waiting, own) = (Arc::clone(&admission), Arc::clone(&function));
        let queued =
            tokio::spawn(async move { waiting.enter(&own, &Budget::new(1)).await.is_ok() });
        while function.queued.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            admission.enter(&function, &Budget::new(1)).await.err(),
            Some(Overloaded)
        );
        drop(held);
        assert!(queued.await.expect("no panic"));
        assert_eq!(function.queued.load(Ordering::Relaxed), 0);
    }
}
