//! Passwords are checked here, on threads that do nothing else: one takes as long as a thousand
//! requests. What was right is right again for a while, and who is often wrong has to wait.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use futures_util::FutureExt;
use ring::hmac;
use tokio::sync::oneshot;

use super::Refusal;
use super::users::Hash;
use crate::cache::{Cache, Namespace};

/// Passwords that wait to be checked; past it there is no time for another.
const QUEUE: usize = 32;

/// How long a right password is right without being checked, in seconds.
const REMEMBERED: u32 = 300;

/// Wrong passwords that one address may send,
const FAILURES: u32 = 20;
/// in this time.
const WINDOW: Duration = Duration::from_secs(60);

/// How long who has sent more than that waits for each further one, in seconds: as long as the
/// rate takes to allow it.
pub(super) const PAUSE: u32 = 3;

/// Of the threads, below all that serves.
const NICENESS: i32 = 10;

/// Checks passwords for all routes.
pub struct Verifier {
    jobs: Sender<Job>,
    memory: Memory,
}

/// What was right, and who was wrong; in this process only.
#[derive(Clone)]
struct Memory {
    cache: Cache,
    right: Namespace,
    wrong: Namespace,
    /// So that what is kept is of no use to anybody who comes to see it.
    key: Arc<hmac::Key>,
}

struct Job {
    hash: Hash,
    password: Vec<u8>,
    client: String,
    answer: oneshot::Sender<Result<(), Wrong>>,
}

/// Why a password does not count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wrong {
    Password,
    /// It was not even looked at.
    TooOften,
}

// === impl Verifier ===

impl Verifier {
    /// Starts the threads, which end with it; `cache` must be in this process.
    ///
    /// # Errors
    /// When the system has no thread or no randomness left.
    pub fn start(cache: Cache) -> std::io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new());
        let key = key.map_err(|_| std::io::Error::other("the system has no random numbers"))?;
        let memory = Memory {
            cache,
            right: Namespace::of_the_node("@passwords"),
            wrong: Namespace::of_the_node("@wrong"),
            key: Arc::new(key),
        };
        let (jobs, queue) = bounded(QUEUE);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 4).max(1) {
            let (queue, memory) = (queue.clone(), memory.clone());
            thread::Builder::new()
                .name("aegis-passwords".to_owned())
                .spawn(move || work(&queue, &memory))?;
        }
        Ok(Self { jobs, memory })
    }

    /// Whether this is the password of `hash`; `client` stands for who says so.
    pub(super) async fn verify(
        &self,
        (user, hash): (&str, &Hash),
        password: Vec<u8>,
        client: &str,
    ) -> Result<Result<(), Wrong>, Refusal> {
        let tag = self.memory.tag((user, hash), &password);
        if self.memory.was_right(&tag) {
            return Ok(Ok(()));
        }
        if self.memory.is_often_wrong(client) {
            return Ok(Err(Wrong::TooOften));
        }
        let (answer, answered) = oneshot::channel();
        let job = Job {
            hash: hash.clone(),
            password,
            client: client.to_owned(),
            answer,
        };
        self.jobs.try_send(job).map_err(|_| Refusal::Overloaded)?;
        let verdict = answered.await.map_err(|_| Refusal::Overloaded)?;
        if verdict.is_ok() {
            self.memory.keep(&tag);
        }
        Ok(verdict)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn work(queue: &Receiver<Job>, memory: &Memory) {
    // Of this thread alone. Where it is not permitted, it has its fair share and no more.
    rustix::process::setpriority_process(None, NICENESS).ok();
    for job in queue {
        if job.answer.is_closed() {
            continue;
        }
        let verdict = if memory.is_often_wrong(&job.client) {
            Err(Wrong::TooOften)
        } else if job.hash.is_of(&job.password) {
            Ok(())
        } else {
            memory.note_wrong(&job.client);
            Err(Wrong::Password)
        };
        // Nobody may be there any more to hear it.
        job.answer.send(verdict).ok();
    }
}

// === impl Memory ===

impl Memory {
    /// Of a password that is right for this hash. It says nothing about another hash of the user.
    fn tag(&self, (user, hash): (&str, &Hash), password: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [hash.as_str().as_bytes(), user.as_bytes(), password] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        context.sign()
    }

    // The store is in this process: its answers are there at once.

    fn was_right(&self, tag: &hmac::Tag) -> bool {
        let found = self.cache.get(&self.right, tag.as_ref()).now_or_never();
        matches!(found, Some(Ok(Some(_))))
    }

    fn keep(&self, tag: &hmac::Tag) {
        let kept = self
            .cache
            .set(&self.right, tag.as_ref(), Bytes::new(), REMEMBERED);
        kept.now_or_never().and_then(Result::ok).unwrap_or_default();
    }

    fn is_often_wrong(&self, client: &str) -> bool {
        let found = self
            .cache
            .get(&self.wrong, &key("until", client))
            .now_or_never();
        matches!(found, Some(Ok(Some(_))))
    }

    fn note_wrong(&self, client: &str) {
        let rate = key("rate", client);
        let counted = self.cache.rate_limit(&self.wrong, &rate, FAILURES, WINDOW);
        if let Some(Ok(Some(_))) = counted.now_or_never() {
            let until = key("until", client);
            let kept = self.cache.set(&self.wrong, &until, Bytes::new(), PAUSE);
            kept.now_or_never().and_then(Result::ok).unwrap_or_default();
        }
    }
}

fn key(kind: &str, client: &str) -> Vec<u8> {
    format!("{kind}:{client}").into_bytes()
}
