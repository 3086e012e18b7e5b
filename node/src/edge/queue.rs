//! What the guest threads take their work from, and how many of them may.
//!
//! As many run as there are processors to use. But a guest may do something that cannot be
//! interrupted, such as one fill of its whole memory: a thread that has not come back after
//! its time slice is overdue and counts no longer, so that another runs in its place and the
//! system shares the processors out. No function has more threads than the pool at once, so
//! the one whose guests are overdue cannot take the new thread too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_task::Runnable;
use parking_lot::{Condvar, Mutex};

use super::schedule::{LaneId, Schedule, Wait};

/// A thread is overdue after this: the time slice, and as much again.
const OVERDUE: Duration = super::engine::TICK.saturating_mul(2);

/// How long a thread beyond the ordinary number waits for work before it ends.
const LINGER: Duration = Duration::from_millis(500);

/// Threads beyond the ordinary number at most.
const MOST_SPARE: usize = 16;

/// Its lock is held for a few instructions.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to run, or nothing will come any more.
    changed: Condvar,
    /// Threads that may run at once.
    most: usize,
}

#[derive(Debug)]
struct State {
    schedule: Schedule<Runnable>,
    /// What each thread does now.
    turns: Vec<Seat>,
    /// Threads that run and are not overdue.
    busy: usize,
    /// Threads that wait for work.
    parked: usize,
    /// The pool is gone; the threads end with the last lane.
    ends: bool,
}

/// The place of a thread.
#[derive(Clone, Copy, Debug)]
enum Seat {
    /// No thread has it.
    Free,
    Waiting,
    Running(Turn),
}

/// One go of one runnable.
#[derive(Clone, Copy, Debug)]
struct Turn {
    lane: LaneId,
    started: Instant,
    overdue: bool,
}

impl Queue {
    /// For `most` threads, which have the seats 0 to `most` - 1.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                schedule: Schedule::default(),
                turns: vec![Seat::Waiting; most],
                busy: 0,
                parked: 0,
                ends: false,
            }),
            changed: Condvar::new(),
            most,
        })
    }

    pub(super) fn open(&self) -> LaneId {
        self.state.lock().schedule.open()
    }

    pub(super) fn close(&self, lane: LaneId) {
        let left = self.state.lock().schedule.close(lane);
        self.changed.notify_all();
        // Every task holds its lane, so there is none; dropping one here would cancel it.
        drop(left);
    }

    /// Nothing more comes once the last lane is closed.
    pub(super) fn end(&self) {
        self.state.lock().ends = true;
        self.changed.notify_all();
    }

    pub(super) fn push(&self, lane: LaneId, runnable: Runnable, wait: Wait) {
        let refused = self.state.lock().schedule.push(lane, runnable, wait);
        // Dropped with the lock free: that may run a guest's destructors.
        drop(refused);
        self.changed.notify_one();
    }

    /// What the thread in this seat does next, after what it did is charged; `None` when it
    /// is to end.
    pub(super) fn next(&self, seat: usize) -> Option<Runnable> {
        let mut state = self.state.lock();
        state.finish(seat);
        loop {
            if let Some(runnable) = state.take(seat, self.most) {
                return Some(runnable);
            }
            if state.ends && state.schedule.is_closed() {
                state.leave(seat);
                return None;
            }
            let idle = match seat < self.most {
                true => {
                    state.parked += 1;
                    self.changed.wait(&mut state);
                    false
                }
                false => {
                    state.parked += 1;
                    self.changed.wait_for(&mut state, LINGER).timed_out()
                }
            };
            state.parked -= 1;
            if idle && !state.may_take(self.most) {
                state.leave(seat);
                return None;
            }
        }
    }

    /// To be called every time slice: finds threads that are overdue. The seat of a thread
    /// that is to be started, if one is.
    pub(super) fn tick(&self) -> Option<usize> {
        let mut state = self.state.lock();
        let freed = state.find_overdue(Instant::now());
        if !state.may_take(self.most) {
            return None;
        }
        if state.parked > 0 {
            if freed > 0 {
                self.changed.notify_all();
            }
            return None;
        }
        state.seat(self.most + MOST_SPARE)
    }

    /// No thread could be started for this seat.
    pub(super) fn give_up(&self, seat: usize) {
        self.state.lock().leave(seat);
    }
}

impl State {
    fn finish(&mut self, seat: usize) {
        let Some(place) = self.turns.get_mut(seat) else {
            return;
        };
        if let Seat::Running(turn) = std::mem::replace(place, Seat::Waiting) {
            self.busy -= usize::from(!turn.overdue);
            self.schedule.end(turn.lane, turn.started.elapsed());
        }
    }

    fn may_take(&self, most: usize) -> bool {
        self.busy < most && self.schedule.has_work(most)
    }

    fn take(&mut self, seat: usize, most: usize) -> Option<Runnable> {
        if self.busy >= most {
            return None;
        }
        let (lane, runnable) = self.schedule.pop(most)?;
        self.busy += 1;
        if let Some(place) = self.turns.get_mut(seat) {
            *place = Seat::Running(Turn {
                lane,
                started: Instant::now(),
                overdue: false,
            });
        }
        Some(runnable)
    }

    fn find_overdue(&mut self, now: Instant) -> usize {
        let mut found = 0;
        for seat in &mut self.turns {
            if let Seat::Running(turn) = seat
                && !turn.overdue
                && now.saturating_duration_since(turn.started) > OVERDUE
            {
                turn.overdue = true;
                found += 1;
            }
        }
        self.busy -= found;
        found
    }

    /// A seat for one more thread.
    fn seat(&mut self, most: usize) -> Option<usize> {
        let free = self
            .turns
            .iter()
            .position(|seat| matches!(seat, Seat::Free));
        let seat = free.unwrap_or(self.turns.len());
        if seat >= most {
            return None;
        }
        match self.turns.get_mut(seat) {
            Some(place) => *place = Seat::Waiting,
            None => self.turns.push(Seat::Waiting),
        }
        Some(seat)
    }

    fn leave(&mut self, seat: usize) {
        if let Some(place) = self.turns.get_mut(seat) {
            *place = Seat::Free;
        }
    }
}
