//! A store that a test plays itself: it answers when and what the test wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use crate::cache::near::Near;
use crate::cache::store::{Found, Store};
use crate::cache::{Answer, CacheError, Key, Namespace, NearSettings, Rate};

use super::HOUR;

pub(super) type Reply<T> = oneshot::Sender<Result<T, CacheError>>;

/// A call, to be replied to.
#[derive(Debug)]
pub(super) enum Asked {
    Find(Reply<Option<Found>>),
    Set(Reply<()>),
    Delete(Reply<bool>),
    Increment(Reply<i64>),
    RateLimit(Reply<Option<Duration>>),
}

/// The store's side of the calls.
struct Played(UnboundedSender<Asked>);

impl Played {
    fn ask<T: Send + 'static>(&self, asked: impl FnOnce(Reply<T>) -> Asked) -> Answer<'_, T> {
        let (reply, replied) = oneshot::channel();
        self.0.send(asked(reply)).unwrap();
        Answer::later(async move { replied.await.unwrap_or(Err(CacheError::Unavailable)) })
    }
}

impl Store for Played {
    fn get(&self, _: Key<'_>) -> Answer<'_, Option<Bytes>> {
        unreachable!("copies need to know how long they may live")
    }

    fn find(&self, _: Key<'_>) -> Answer<'_, Option<Found>> {
        self.ask(Asked::Find)
    }

    fn set(&self, _: Key<'_>, _: Bytes, _: Duration) -> Answer<'_, ()> {
        self.ask(Asked::Set)
    }

    fn delete(&self, _: Key<'_>) -> Answer<'_, bool> {
        self.ask(Asked::Delete)
    }

    fn increment(&self, _: Key<'_>, _: i64, _: Duration) -> Answer<'_, i64> {
        self.ask(Asked::Increment)
    }

    fn rate_limit(&self, _: Key<'_>, _: Rate) -> Answer<'_, Option<Duration>> {
        self.ask(Asked::RateLimit)
    }
}

/// A cache in front of a store that is played.
pub(super) struct World {
    pub(super) near: Arc<Near>,
    asked: UnboundedReceiver<Asked>,
}

pub(super) fn key(namespace: &Namespace) -> Key<'_> {
    Key::new(namespace, b"k").unwrap()
}

pub(super) fn found(value: &'static str) -> Result<Option<Found>, CacheError> {
    Ok(Some(Found {
        value: value.into(),
        left: Some(HOUR),
    }))
}

pub(super) type Got = Result<Option<Bytes>, CacheError>;

pub(super) fn value(value: &'static str) -> Got {
    Ok(Some(value.into()))
}

impl World {
    pub(super) fn new(ttl: Duration) -> Self {
        let (sender, asked) = unbounded_channel();
        let settings = NearSettings {
            capacity: 10_000,
            ttl,
        };
        Self {
            near: Arc::new(Near::new(Arc::new(Played(sender)), &settings)),
            asked,
        }
    }

    /// Begins a call, as far as it goes without an answer.
    pub(super) async fn begin<T: Send + 'static>(
        &self,
        call: impl for<'a> FnOnce(&'a Near, Key<'_>) -> Answer<'a, T> + Send + 'static,
    ) -> JoinHandle<Result<T, CacheError>> {
        let near = Arc::clone(&self.near);
        let task = tokio::spawn(async move {
            let namespace = "n".parse().unwrap();
            call(&near, key(&namespace)).await
        });
        yield_now().await;
        task
    }

    pub(super) async fn get(&self) -> JoinHandle<Got> {
        self.begin(|near, key| near.get(key)).await
    }

    pub(super) async fn set(&self, value: &'static str) -> JoinHandle<Result<(), CacheError>> {
        self.begin(move |near, key| near.set(key, value.into(), HOUR))
            .await
    }

    pub(super) fn next(&mut self) -> Asked {
        self.asked.try_recv().expect("the store is asked")
    }

    pub(super) fn fetch(&mut self) -> Reply<Option<Found>> {
        match self.next() {
            Asked::Find(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn written(&mut self) -> Reply<()> {
        match self.next() {
            Asked::Set(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Has the store asked for the key, and answer so.
    pub(super) async fn fetch_as(&mut self, answer: Result<Option<Found>, CacheError>) -> Got {
        let get = self.get().await;
        self.fetch().send(answer).unwrap();
        get.await.unwrap()
    }

    /// What a caller gets without waiting; `None` where the store is to be asked.
    pub(super) fn copy(&self) -> Option<Bytes> {
        let namespace = "n".parse().unwrap();
        match self.near.get(key(&namespace)) {
            Answer::Now(result) => result.into_inner().unwrap(),
            Answer::Later(_) => None,
        }
    }

    /// Nothing is under way, and the store has heard of nothing else.
    pub(super) fn assert_quiet(&mut self) {
        assert!(self.asked.try_recv().is_err(), "the store was asked");
        assert_eq!(self.near.shared.traffic.len(), 0);
    }
}
