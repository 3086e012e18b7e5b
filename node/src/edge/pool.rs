//! The threads that run guests. An invocation is a future whose waker puts it back
//! into the queue, so a guest that waits in a host call holds no thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tracing::error;

use super::schedule::{LaneId, Schedule, Wait};

/// A fixed number of threads over one queue.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Arc<Queue>,
}

/// One function's share of the threads. The length of its queue is bounded by admission:
/// nothing is spawned without a place among the invocations in flight.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Arc<Queue>,
    id: LaneId,
}

/// What the threads take their work from. Its lock is held for a few instructions.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// There is something to run, or nothing will come any more.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    schedule: Schedule<Runnable>,
    /// The pool is gone; the threads end with the last lane.
    ends: bool,
}

impl Pool {
    /// `threads` of 0 is one per core. Host calls do their input and output on `io`.
    pub(super) fn start(threads: usize, io: &Handle) -> std::io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism()?.get(),
            given => given,
        };
        let queue = Arc::new(Queue::default());
        for number in 0..threads {
            let (queue, io) = (Arc::clone(&queue), io.clone());
            std::thread::Builder::new()
                .name(format!("aegis-edge-{number}"))
                .spawn(move || run(&queue, &io))?;
        }
        Ok(Self { queue })
    }

    /// A share of its own.
    pub(super) fn lane(&self) -> Arc<Lane> {
        let id = self.queue.state.lock().schedule.open();
        let queue = Arc::clone(&self.queue);
        Arc::new(Lane { queue, id })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().ends = true;
        self.queue.changed.notify_all();
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
        let left = self.queue.state.lock().schedule.close(self.id);
        self.queue.changed.notify_all();
        // Every task holds its lane, so there is none; dropping one here would cancel it.
        drop(left);
    }
}

impl Queue {
    fn push(&self, lane: LaneId, runnable: Runnable, wait: Wait) {
        let refused = self.state.lock().schedule.push(lane, runnable, wait);
        // Dropped with the lock free: that may run a guest's destructors.
        drop(refused);
        self.changed.notify_one();
    }

    /// The next one, after what the last one took is charged; `None` when the pool and
    /// the last lane are gone.
    fn next(&self, ran: Option<(LaneId, Duration)>) -> Option<(LaneId, Runnable)> {
        let mut state = self.state.lock();
        if let Some((lane, time)) = ran {
            state.schedule.charge(lane, time);
        }
        loop {
            if let Some(next) = state.schedule.pop() {
                return Some(next);
            }
            if state.ends && state.schedule.is_closed() {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}

fn run(queue: &Queue, io: &Handle) {
    let _entered = io.enter();
    let mut ran = None;
    while let Some((lane, runnable)) = queue.next(ran.take()) {
        let started = Instant::now();
        // Invocations catch their own panics; this keeps the thread if one gets past.
        if catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
            error!("an edge task panicked");
        }
        ran = Some((lane, started.elapsed()));
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
        while queue.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
