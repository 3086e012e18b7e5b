//! The threads that run guests. An invocation is a future whose waker puts it back
//! into the queue, so a guest that waits in a host call holds no thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_task::{Runnable, Task};
use crossbeam_channel::{Receiver, Sender};
use tokio::runtime::Handle;
use tracing::error;

/// A fixed number of threads over one queue. Its length is bounded by admission:
/// nothing is spawned without a place among the invocations in flight.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Sender<Runnable>,
}

impl Pool {
    /// `threads` of 0 is one per core. Host calls do their input and output on `io`.
    pub(super) fn start(threads: usize, io: &Handle) -> std::io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism()?.get(),
            given => given,
        };
        let (queue, runnables) = crossbeam_channel::unbounded();
        for number in 0..threads {
            let (runnables, io) = (runnables.clone(), io.clone());
            std::thread::Builder::new()
                .name(format!("aegis-edge-{number}"))
                .spawn(move || run(&runnables, &io))?;
        }
        Ok(Self { queue })
    }

    /// Starts `future`; dropping the task cancels it.
    pub(super) fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let queue = self.queue.clone();
        let (runnable, task) = async_task::spawn(future, move |runnable| {
            // The queue outlives its senders' tasks unless every thread died.
            drop(queue.send(runnable));
        });
        runnable.schedule();
        task
    }
}

/// Ends when the pool and the last task are gone.
fn run(runnables: &Receiver<Runnable>, io: &Handle) {
    let _entered = io.enter();
    for runnable in runnables {
        // Invocations catch their own panics; this keeps the thread if one gets past.
        if catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
            error!("an edge task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Barrier;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn waiting_tasks_hold_no_thread() {
        let pool = Pool::start(1, &Handle::current()).expect("the pool starts");
        let barrier = Arc::new(Barrier::new(500));
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                pool.spawn(async move { barrier.wait().await.is_leader() })
            })
            .collect();
        let mut leaders = 0;
        for task in tasks {
            leaders += usize::from(task.await);
        }
        assert_eq!(leaders, 1);
    }

    #[tokio::test]
    async fn a_dropped_task_is_cancelled() {
        let pool = Pool::start(1, &Handle::current()).expect("the pool starts");
        let (dropped, seen) = tokio::sync::oneshot::channel::<()>();
        let task = pool.spawn(async move {
            let _held = dropped;
            std::future::pending::<()>().await;
        });
        drop(task);
        assert!(seen.await.is_err(), "the future was dropped");
    }
}
