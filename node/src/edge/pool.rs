//! The threads that run guests. An invocation is a future whose waker puts it back
//! into a queue, so a guest that waits in a host call holds no thread.
//!
//! There are two queues: of invocations that begin or whose wait is over, and of those
//! that were interrupted because they ran for a whole time slice. The first goes first, so
//! short invocations overtake long ones, which still get every eighth turn.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};
use crossbeam_channel::{Receiver, Sender, select_biased};
use tokio::runtime::Handle;
use tracing::error;

/// Of this many turns one is offered to interrupted invocations first.
const FAIR_TURN: usize = 8;

/// A fixed number of threads over the queues. Their length is bounded by admission:
/// nothing is spawned without a place among the invocations in flight.
#[derive(Debug)]
pub(super) struct Pool {
    ready: Sender<Runnable>,
    interrupted: Sender<Runnable>,
}

impl Pool {
    /// `threads` of 0 is one per core. Host calls do their input and output on `io`.
    pub(super) fn start(threads: usize, io: &Handle) -> std::io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism()?.get(),
            given => given,
        };
        let (ready, to_run) = crossbeam_channel::unbounded();
        let (interrupted, to_resume) = crossbeam_channel::unbounded();
        for number in 0..threads {
            let queues = Queues {
                ready: to_run.clone(),
                interrupted: to_resume.clone(),
            };
            let io = io.clone();
            std::thread::Builder::new()
                .name(format!("aegis-edge-{number}"))
                .spawn(move || run(&queues, &io))?;
        }
        Ok(Self { ready, interrupted })
    }

    /// Starts `future`; dropping the task cancels it.
    pub(super) fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (ready, interrupted) = (self.ready.clone(), self.interrupted.clone());
        let schedule = move |runnable, info: ScheduleInfo| {
            // An interrupted guest wakes itself before it gives its thread back.
            let queue = match info.woken_while_running {
                true => &interrupted,
                false => &ready,
            };
            // The queues outlive their senders' tasks unless every thread died.
            drop(queue.send(runnable));
        };
        let (runnable, task) = async_task::spawn(future, WithInfo(schedule));
        runnable.schedule();
        task
    }
}

/// What a thread takes its work from.
struct Queues {
    ready: Receiver<Runnable>,
    interrupted: Receiver<Runnable>,
}

impl Queues {
    /// The next one; `None` when the pool and the last task are gone.
    fn next(&self, turn: usize) -> Option<Runnable> {
        let (first, second) = match turn.is_multiple_of(FAIR_TURN) {
            true => (&self.interrupted, &self.ready),
            false => (&self.ready, &self.interrupted),
        };
        let at_hand = first.try_recv().or_else(|_| second.try_recv());
        at_hand.ok().or_else(|| self.wait())
    }

    fn wait(&self) -> Option<Runnable> {
        select_biased! {
            recv(self.ready) -> runnable => runnable.ok(),
            recv(self.interrupted) -> runnable => runnable.ok(),
        }
    }
}

fn run(queues: &Queues, io: &Handle) {
    let _entered = io.enter();
    let mut turn = 1;
    while let Some(runnable) = queues.next(turn) {
        turn = turn.wrapping_add(1);
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

    /// Gives its thread back `times` times, each time ready to go on at once.
    async fn interrupted(times: usize) {
        for _ in 0..times {
            let mut woken = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut woken, true) {
                    return std::task::Poll::Ready(());
                }
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
        }
    }

    #[tokio::test]
    async fn short_tasks_overtake_long_ones_which_still_get_turns() {
        let pool = Pool::start(1, &Handle::current()).expect("the pool starts");
        let (order, finished) = crossbeam_channel::unbounded();
        // Holds the only thread until every task is in the queue.
        let (open, gate) = crossbeam_channel::bounded::<()>(1);
        let first = pool.spawn(async move { gate.recv().is_ok() });
        let tasks: Vec<_> = [("long", 3), ("short", 0)]
            .into_iter()
            .flat_map(|kind| std::iter::repeat_n(kind, 4))
            .map(|(name, times)| {
                let order = order.clone();
                pool.spawn(async move {
                    interrupted(times).await;
                    order.send(name).expect("the test listens");
                })
            })
            .collect();
        open.send(()).expect("the first task listens");
        assert!(first.await);
        for task in tasks {
            task.await;
        }
        let order: Vec<_> = finished.try_iter().collect();
        let (earlier, later) = order.split_at(4);
        assert_eq!(earlier, ["short"; 4], "then {later:?}");
        assert_eq!(later, ["long"; 4]);
    }
}
