//! The HTTPS calls of one invocation: those under way, and those that are over and were
//! not waited for yet. They end with it.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use super::budget::Charge;
use crate::egress::{EgressError, Reply};

/// Dropping it ends what is under way.
pub(super) struct Calls {
    tasks: JoinSet<(Handle, Finished)>,
    /// By handle.
    slots: Vec<Slot>,
    /// How many may be under way at once; the others queue.
    places: Arc<Semaphore>,
}

/// Names one call of its invocation, in the order in which they were started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(usize);

/// A call that is over.
pub(super) struct Finished {
    /// `None`: it was cut short.
    pub(super) result: Option<Result<Reply, EgressError>>,
    /// What the host holds of it.
    pub(super) held: Arc<Charge>,
}

/// Status and headers of an answer.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Of the headers.
    pub(super) _held: Arc<Charge>,
}

enum Slot {
    Running(Id, Arc<Charge>),
    Over(Finished),
    /// It was waited for.
    Taken,
}

impl Calls {
    /// Of an invocation that may have `parallel` under way at once.
    pub(super) fn new(parallel: u32) -> Self {
        Self {
            tasks: JoinSet::new(),
            slots: Vec::new(),
            places: Arc::new(Semaphore::new(parallel as usize)),
        }
    }

    /// Starts a call, or queues it until others are over. It must run inside the host's
    /// runtime: a TLS handshake is not the guest's running time.
    pub(super) fn start<F>(&mut self, held: Arc<Charge>, call: F) -> Handle
    where
        F: Future<Output = Result<Reply, EgressError>> + Send + 'static,
    {
        let handle = Handle(self.slots.len());
        let charge = Arc::clone(&held);
        // Asked for here, not in the task: the queue is in the order of the starts.
        let mut place = Box::pin(Arc::clone(&self.places).acquire_owned());
        let free = (&mut place).now_or_never();
        let task = self.tasks.spawn(async move {
            let _place = match free {
                Some(place) => place,
                None => place.await,
            };
            let result = call.await;
            charge.correct(result.as_ref().map_or(0, Reply::size));
            let result = Some(result);
            (
                handle,
                Finished {
                    result,
                    held: charge,
                },
            )
        });
        self.slots.push(Slot::Running(task.id(), held));
        handle
    }

    /// The call that a guest means by a number; `None` if there is none, or it was taken.
    pub(super) fn find(&self, number: u32) -> Option<Handle> {
        let handle = Handle(number as usize);
        match self.slots.get(handle.0)? {
            Slot::Running(..) | Slot::Over(_) => Some(handle),
            Slot::Taken => None,
        }
    }

    /// Calls that were ever started.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Waits until one of these is over; the index of the first that is. `None` if they
    /// can never be.
    pub(super) async fn any(&mut self, handles: &[Handle]) -> Option<usize> {
        loop {
            while let Some(ended) = self.tasks.try_join_next() {
                self.settle(ended);
            }
            let over = |handle: &Handle| matches!(self.slots.get(handle.0), Some(Slot::Over(_)));
            if let Some(index) = handles.iter().position(over) {
                return Some(index);
            }
            let ended = self.tasks.join_next().await?;
            self.settle(ended);
        }
    }

    /// Takes a call that is over; the handle is good for nothing afterwards.
    pub(super) fn take(&mut self, handle: Handle) -> Option<Finished> {
        let slot = self.slots.get_mut(handle.0)?;
        match std::mem::replace(slot, Slot::Taken) {
            Slot::Over(finished) => Some(finished),
            Slot::Running(..) | Slot::Taken => None,
        }
    }

    fn settle(&mut self, ended: Result<(Handle, Finished), JoinError>) {
        match ended {
            Ok((handle, finished)) => {
                if let Some(slot) = self.slots.get_mut(handle.0) {
                    *slot = Slot::Over(finished);
                }
            }
            // It panicked, or the node is about to end.
            Err(error) => self.cut_short(error.id()),
        }
    }

    fn cut_short(&mut self, task: Id) {
        for slot in &mut self.slots {
            if let Slot::Running(id, held) = slot
                && *id == task
            {
                let held = Arc::clone(held);
                *slot = Slot::Over(Finished { result: None, held });
                return;
            }
        }
    }
}

impl TryFrom<Handle> for i32 {
    type Error = std::num::TryFromIntError;

    fn try_from(handle: Handle) -> Result<Self, Self::Error> {
        Self::try_from(handle.0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::edge::budget::Budget;

    fn held() -> Arc<Charge> {
        Arc::new(Charge::new(Budget::new(1000)))
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a call comes to")]
    fn reply(body: &'static str) -> Result<Reply, EgressError> {
        Ok(Reply {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.into(),
        })
    }

    fn body(finished: Option<Finished>) -> Option<bytes::Bytes> {
        let result = finished.expect("it is over").result?;
        Some(result.expect("it succeeded").body)
    }

    #[tokio::test]
    async fn a_call_is_taken_once_and_when_it_is_over() {
        let mut calls = Calls::new(1);
        let (answer, answered) = oneshot::channel();
        let charge = held();
        assert!(charge.try_grow(500), "the request");
        let handle = calls.start(Arc::clone(&charge), async {
            reply(answered.await.expect("an answer"))
        });
        assert_eq!(calls.find(0), Some(handle));
        assert_eq!(calls.find(1), None);
        assert!(calls.take(handle).is_none(), "it is under way");
        answer.send("body").expect("it listens");
        assert_eq!(calls.any(&[handle]).await, Some(0));
        assert_eq!(charge.held(), 4, "the answer in place of the request");
        assert_eq!(body(calls.take(handle)).as_deref(), Some(&b"body"[..]));
        assert_eq!(calls.find(0), None);
        assert_eq!(calls.any(&[handle]).await, None, "it will never be over");
    }

    #[tokio::test]
    async fn a_call_that_panics_is_cut_short_and_others_go_on() {
        let mut calls = Calls::new(2);
        let first = calls.start(held(), async { panic!("on purpose") });
        let second = calls.start(held(), async { reply("fine") });
        assert_eq!(calls.any(&[first]).await, Some(0));
        assert_eq!(body(calls.take(first)), None);
        assert_eq!(calls.any(&[second]).await, Some(0));
        assert_eq!(body(calls.take(second)).as_deref(), Some(&b"fine"[..]));
    }

    #[tokio::test]
    async fn dropping_them_ends_what_is_under_way_and_what_waits_for_its_turn() {
        let mut calls = Calls::new(1);
        let (under_way, mut gone) = oneshot::channel::<()>();
        let (queued, mut gone_too) = oneshot::channel::<()>();
        for kept in [under_way, queued] {
            calls.start(held(), async move {
                std::future::pending::<()>().await;
                drop(kept);
                reply("never")
            });
        }
        drop(calls);
        assert!((&mut gone).await.is_err());
        assert!((&mut gone_too).await.is_err());
    }
}
