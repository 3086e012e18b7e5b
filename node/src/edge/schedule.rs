//! Whose turn it is: every function has a lane, and lanes share the threads fairly.
//!
//! A lane's clock counts what its guests have run, and the lane that is furthest behind
//! goes first (as in start-time fair queueing, P. Goyal et al., SIGCOMM 1996): a function
//! that takes all it can get delays another by no more than the slice that is being run.
//! A lane that was idle starts a little behind the others, so that it goes first.
//!
//! Within a lane, invocations that begin or whose wait is over go before those that were
//! interrupted because they ran for a whole time slice; these still get every eighth turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Of this many turns of a lane one is offered to interrupted invocations first.
const FAIR_TURN: usize = 8;

/// How far behind the others a lane starts that had nothing to run.
const HEAD_START: u64 = super::engine::TICK.as_nanos() as u64;

/// Names a lane for as long as the schedule lives.
pub(super) type LaneId = u64;

/// Why something waits for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It begins, or what it waited for is there.
    Ready,
    /// Its time slice was over.
    Interrupted,
}

/// What waits for a thread.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    lanes: BTreeMap<LaneId, Lane<T>>,
    /// Lanes with something to run, by their clocks.
    waiting: BTreeSet<(u64, LaneId)>,
    /// The clock of the lane that ran last; none starts much behind it.
    floor: u64,
    opened: LaneId,
}

#[derive(Debug)]
struct Lane<T> {
    ready: VecDeque<T>,
    interrupted: VecDeque<T>,
    /// Nanoseconds.
    clock: u64,
    turns: usize,
    /// Threads that run something of it.
    running: usize,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            waiting: BTreeSet::new(),
            floor: 0,
            opened: 0,
        }
    }
}

impl<T> Schedule<T> {
    /// A lane of its own.
    pub(super) fn open(&mut self) -> LaneId {
        self.opened += 1;
        let lane = Lane {
            ready: VecDeque::new(),
            interrupted: VecDeque::new(),
            clock: self.floor,
            turns: 0,
            running: 0,
        };
        self.lanes.insert(self.opened, lane);
        self.opened
    }

    /// Forgets a lane; what still waits in it is handed back.
    pub(super) fn close(&mut self, id: LaneId) -> Vec<T> {
        let Some(lane) = self.lanes.remove(&id) else {
            return Vec::new();
        };
        self.waiting.remove(&(lane.clock, id));
        lane.ready.into_iter().chain(lane.interrupted).collect()
    }

    /// Whether no lane is open.
    pub(super) fn is_closed(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Puts `item` at the end of its lane; of a lane that is closed it is handed back.
    pub(super) fn push(&mut self, id: LaneId, item: T, wait: Wait) -> Option<T> {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return Some(item);
        };
        if lane.is_empty() {
            lane.clock = lane.clock.max(self.floor.saturating_sub(HEAD_START));
            self.waiting.insert((lane.clock, id));
        }
        match wait {
            Wait::Ready => lane.ready.push_back(item),
            Wait::Interrupted => lane.interrupted.push_back(item),
        }
        None
    }

    /// What runs next, and whose it is. A lane is passed over while `most` threads run
    /// for it.
    pub(super) fn pop(&mut self, most: usize) -> Option<(LaneId, T)> {
        let (clock, id) = self.first(most)?;
        let lane = self.lanes.get_mut(&id)?;
        let item = lane.pop();
        lane.running += usize::from(item.is_some());
        if lane.is_empty() {
            self.waiting.remove(&(clock, id));
        }
        self.floor = self.floor.max(clock);
        item.map(|item| (id, item))
    }

    /// Whether [`Self::pop`] would give something.
    pub(super) fn has_work(&self, most: usize) -> bool {
        self.first(most).is_some()
    }

    fn first(&self, most: usize) -> Option<(u64, LaneId)> {
        let may_run = |id: &LaneId| self.lanes.get(id).is_some_and(|lane| lane.running < most);
        self.waiting.iter().find(|(_, id)| may_run(id)).copied()
    }

    /// What was popped of the lane has run for `time`.
    pub(super) fn end(&mut self, id: LaneId, time: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        lane.running = lane.running.saturating_sub(1);
        let before = lane.clock;
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        lane.clock = before.saturating_add(nanos);
        if self.waiting.remove(&(before, id)) {
            self.waiting.insert((lane.clock, id));
        }
    }
}

impl<T> Lane<T> {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.interrupted.is_empty()
    }

    fn pop(&mut self) -> Option<T> {
        self.turns = self.turns.wrapping_add(1);
        let (first, second) = match self.turns.is_multiple_of(FAIR_TURN) {
            true => (&mut self.interrupted, &mut self.ready),
            false => (&mut self.ready, &mut self.interrupted),
        };
        first.pop_front().or_else(|| second.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = super::super::engine::TICK;

    fn turn<T>(schedule: &mut Schedule<T>, took: Duration) -> Option<T> {
        let (lane, item) = schedule.pop(2)?;
        schedule.end(lane, took);
        Some(item)
    }

    #[test]
    fn a_lane_that_was_idle_waits_for_no_more_than_the_slice_under_way() {
        let mut schedule = Schedule::default();
        let (busy, quiet) = (schedule.open(), schedule.open());
        for _ in 0..1000 {
            schedule.push(busy, "busy", Wait::Ready);
        }
        for _ in 0..10 {
            assert_eq!(turn(&mut schedule, SLICE), Some("busy"));
        }
        schedule.push(quiet, "quiet", Wait::Ready);
        assert_eq!(turn(&mut schedule, SLICE / 100), Some("quiet"));
        assert_eq!(turn(&mut schedule, SLICE), Some("busy"));
    }

    #[test]
    fn lanes_that_always_have_work_get_equal_time() {
        let mut schedule = Schedule::default();
        let lanes = [(schedule.open(), 1), (schedule.open(), 4)];
        let mut ran = [0, 0];
        for _ in 0..1000 {
            for (lane, _) in lanes {
                schedule.push(lane, lane, Wait::Ready);
            }
            let (lane, _) = schedule.pop(2).expect("work");
            let which = usize::from(lane == lanes[1].0);
            schedule.end(lane, SLICE * lanes[which].1 / 4);
            ran[which] += lanes[which].1;
        }
        let (least, most) = (ran[0].min(ran[1]), ran[0].max(ran[1]));
        assert!(most - least <= 8, "{ran:?}");
    }

    #[test]
    fn within_a_lane_short_ones_overtake_long_ones_which_still_get_turns() {
        let mut schedule = Schedule::default();
        let lane = schedule.open();
        schedule.push(lane, "long", Wait::Interrupted);
        for _ in 0..20 {
            schedule.push(lane, "short", Wait::Ready);
        }
        let order: Vec<_> = std::iter::from_fn(|| turn(&mut schedule, SLICE)).collect();
        assert_eq!(order.iter().position(|name| *name == "long"), Some(7));
        assert_eq!(order.len(), 21);
    }

    #[test]
    fn a_lane_that_has_its_threads_is_passed_over() {
        let mut schedule = Schedule::default();
        let (greedy, other) = (schedule.open(), schedule.open());
        for _ in 0..3 {
            schedule.push(greedy, "greedy", Wait::Ready);
        }
        assert_eq!(schedule.pop(2), Some((greedy, "greedy")));
        assert_eq!(schedule.pop(2), Some((greedy, "greedy")));
        assert!(!schedule.has_work(2));
        schedule.push(other, "other", Wait::Ready);
        assert_eq!(schedule.pop(2), Some((other, "other")));
        schedule.end(greedy, SLICE);
        assert_eq!(schedule.pop(2), Some((greedy, "greedy")));
    }

    #[test]
    fn a_closed_lane_hands_back_what_waits_in_it() {
        let mut schedule = Schedule::default();
        let lane = schedule.open();
        schedule.push(lane, 1, Wait::Ready);
        assert_eq!(schedule.close(lane), [1]);
        assert_eq!(schedule.push(lane, 2, Wait::Ready), Some(2));
        assert_eq!(schedule.pop(2), None);
        assert!(schedule.is_closed());
    }
}
