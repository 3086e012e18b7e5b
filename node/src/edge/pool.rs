//! The threads that run guests. An invocation is a future whose waker puts it back
//! into the queue, so a guest that waits in a host call holds no thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};
use tokio::runtime::Handle;
use tracing::{error, warn};

use super::queue::Queue;
use super::schedule::{LaneId, Wait};

/// Between two complaints about threads that cannot be started.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The threads over one queue.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Arc<Queue>,
    io: Handle,
}

/// One function's share of the threads. The length of its queue is bounded by admission:
/// nothing is spawned without a place among the invocations in flight.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Arc<Queue>,
    id: LaneId,
}

/// Starts a further thread where one is overdue.
pub(super) struct Watch {
    queue: Weak<Queue>,
    io: Handle,
    /// When it was last told that no thread could be started.
    told: Option<Instant>,
}

impl Pool {
    /// `threads` of 0 is one per core. Host calls do their input and output on `io`.
    pub(super) fn start(threads: usize, io: &Handle) -> std::io::Result<Self> {
        let threads = match threads {
            0 => thread::available_parallelism()?.get(),
            given => given,
        };
        let queue = Queue::new(threads);
        for seat in 0..threads {
            start_thread(&queue, io, seat)?;
        }
        Ok(Self {
            queue,
            io: io.clone(),
        })
    }

    /// A share of its own.
    pub(super) fn lane(&self) -> Arc<Lane> {
        let queue = Arc::clone(&self.queue);
        let id = queue.open();
        Arc::new(Lane { queue, id })
    }

    /// What is to be called every time slice.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            queue: Arc::downgrade(&self.queue),
            io: self.io.clone(),
            told: None,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Watch {
    /// Looks for threads that are overdue.
    pub(super) fn tick(&mut self) {
        let Some(queue) = self.queue.upgrade() else {
            return;
        };
        let Some(seat) = queue.tick() else {
            return;
        };
        if let Err(error) = start_thread(&queue, &self.io, seat) {
            queue.give_up(seat);
            if self.told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
                self.told = Some(Instant::now());
                warn!(%error, "cannot start a thread beside those that are overdue");
            }
        }
    }
}

impl Lane {
    /// Starts `future`; dropping the task cancels it.
    pub(super) fn spawn<F>(self: &Arc<Self>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let lane = Arc::clone(self);
        let schedule = move |runnable, info: ScheduleInfo| {
            // An interrupted guest wakes itself before it gives its thread back.
            let wait = match info.woken_while_running {
                true => Wait::Interrupted,
                false => Wait::Ready,
            };
            lane.queue.push(lane.id, runnable, wait);
        };
        let (runnable, task) = async_task::spawn(future, WithInfo(schedule));
        runnable.schedule();
        task
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queue.close(self.id);
    }
}

fn start_thread(queue: &Arc<Queue>, io: &Handle, seat: usize) -> std::io::Result<()> {
    let (queue, io) = (Arc::clone(queue), io.clone());
    let thread = thread::Builder::new().name(format!("aegis-edge-{seat}"));
    thread.spawn(move || {
        let _entered = io.enter();
        while let Some(runnable) = queue.next(seat) {
            run(runnable);
        }
    })?;
    Ok(())
}

fn run(runnable: Runnable) {
    // Invocations catch their own panics; this keeps the thread if one gets past.
    if catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
        error!("an edge task panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Barrier;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn waiting_tasks_hold_no_thread() {
        let pool = Pool::start(1, &Handle::current()).expect("the pool starts");
        let lane = pool.lane();
        let barrier = Arc::new(Barrier::new(500));
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                lane.spawn(async move { barrier.wait().await.is_leader() })
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
        let task = pool.lane().spawn(async move {
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

    /// In which order tasks of these lanes end on one thread: `(name, lane, turns)`.
    async fn order(
        pool: &Pool,
        tasks: Vec<(&'static str, &Arc<Lane>, usize)>,
    ) -> Vec<&'static str> {
        let (order, finished) = crossbeam_channel::unbounded();
        // Holds the only thread until every task is in the queue.
        let (open, gate) = crossbeam_channel::bounded::<()>(1);
        let first = pool.lane().spawn(async move { gate.recv().is_ok() });
        let spawn = |(name, lane, turns): (&'static str, &Arc<Lane>, usize)| {
            let order = order.clone();
            lane.spawn(async move {
                interrupted(turns).await;
                order.send(name).expect("the test listens");
            })
        };
        let tasks: Vec<_> = tasks.into_iter().map(spawn).collect();
        open.send(()).expect("the first task listens");
        assert!(first.await);
        for task in tasks {
            task.await;
        }
        finished.try_iter().collect()
    }

    #[tokio::test]
    async fn short_tasks_overtake_long_ones() {
        let pool = Pool::start(1, &Handle::current()).expect("the pool starts");
        let lane = pool.lane();
        let tasks = [("long", 3), ("short", 0)].map(|(name, turns)| (name, &lane, turns));
        let tasks = tasks
            .into_iter()
            .flat_map(|kind| std::iter::repeat_n(kind, 4));
        let order = order(&pool, tasks.collect()).await;
        let (earlier, later) = order.split_at(4);
        assert_eq!(earlier, ["short"; 4], "then {later:?}");
        assert_eq!(later, ["long"; 4]);
    }

    #[tokio::test]
    async fn threads_end_with_the_pool_and_its_last_task() {
        let pool = Pool::start(2, &Handle::current()).expect("the pool starts");
        let lane = pool.lane();
        let queue = Arc::downgrade(&pool.queue);
        drop(pool);
        assert_eq!(lane.spawn(async { 7 }).await, 7);
        drop(lane);
        while queue.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn others_run_beside_a_function_whose_threads_do_not_come_back() {
        let pool = Pool::start(2, &Handle::current()).expect("the pool starts");
        let (stuck, other) = (pool.lane(), pool.lane());
        let (open, gate) = crossbeam_channel::bounded::<()>(0);
        // Twice as many as threads: those that wait must not get the new thread.
        let held: Vec<_> = (0..4)
            .map(|_| {
                let gate = gate.clone();
                stuck.spawn(async move { gate.recv().is_ok() })
            })
            .collect();
        let mut watch = pool.watch();
        let ticker = thread::spawn(move || {
            while watch.queue.strong_count() > 0 {
                watch.tick();
                thread::yield_now();
            }
        });
        for turn in 0..100 {
            assert_eq!(other.spawn(async move { turn }).await, turn);
        }
        for _ in 0..4 {
            open.send(()).expect("one holds a thread");
        }
        for task in held {
            assert!(task.await);
        }
        drop((stuck, other, pool));
        ticker.join().expect("no panic");
    }
}
