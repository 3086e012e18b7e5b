//! One connection to the store, opened again whenever it ends or no longer answers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;
use fred::types::config::{ConnectionConfig, Options, PerformanceConfig, Server, TcpConfig};
use futures_util::future::{FutureExt, join_all};
use tokio::select;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::{Backoff, Pace};
use super::{CacheError, Status, Target};

/// Calls that may be on one connection: sent, or about to be. One more fails at once.
const CALLS: u32 = 1024;

/// The client's own queue. Larger than the calls there can be: when it overflows, the client
/// forgets to send what is left in it.
const QUEUE: usize = CALLS as usize + 64;

/// How long each step of connecting may take, logging in may take, and a connection on which a
/// call timed out may stay silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between two looks whether there is another server behind a name.
pub(super) const LOOKS: Duration = Duration::from_secs(5);

/// How long all steps together may take: of a cluster there are connections to every node.
const OPENING: Duration = Duration::from_secs(5);

/// How often one command of a cluster may be sent, if other servers are named in answer. One that
/// was lost with its connection is never sent again.
const HOPS: u32 = 3;

/// A connection that may be open.
pub(super) struct Link {
    client: ArcSwapOption<Client>,
    calls: Arc<Semaphore>,
    suspected: Notify,
    demoted: Notify,
    looks: Pace,
    looks_of_all: Arc<Pace>,
}

/// The right to some calls on an open connection.
pub(super) struct Slot<'a> {
    pub(super) link: &'a Link,
    pub(super) client: Arc<Client>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Bytes that give a permit back once nobody holds them: also not the client, which may keep
/// those of a call for long after it timed out.
struct Charged<T> {
    bytes: T,
    _permit: OwnedSemaphorePermit,
}

/// The task that owns a connection; both end with this.
struct Connection(ConnectHandle);

/// How one connection went.
enum End {
    NeverOpened(String),
    /// After having been open for so long.
    Closed(String, Duration),
}

/// Bytes whose owner gives `permit` back.
pub(super) fn charged<T>(bytes: T, permit: OwnedSemaphorePermit) -> Bytes
where
    T: AsRef<[u8]> + Send + 'static,
{
    let _permit = permit;
    Bytes::from_owner(Charged { bytes, _permit })
}

// === impl Link ===

impl Link {
    /// `looks_of_all` keeps the links of a store from leaving it at the same time.
    pub(super) fn new(looks_of_all: Arc<Pace>) -> Self {
        Self {
            client: ArcSwapOption::empty(),
            calls: Arc::new(Semaphore::new(CALLS as usize)),
            suspected: Notify::new(),
            demoted: Notify::new(),
            looks: Pace::new(LOOKS),
            looks_of_all,
        }
    }

    /// # Errors
    ///
    /// `Unavailable` when the connection is not open, `Busy` when so many calls more would be more
    /// than it may have.
    pub(super) fn slot(&self, calls: u32) -> Result<Slot<'_>, CacheError> {
        let client = self.client.load_full().ok_or(CacheError::Unavailable)?;
        let permit = Arc::clone(&self.calls)
            .try_acquire_many_owned(calls)
            .map_err(|_| CacheError::Busy)?;
        Ok(Slot {
            link: self,
            client,
            permit,
        })
    }

    /// Has the connection checked, because a call on it timed out.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Has the connection opened anew if that may lead elsewhere, because its server takes no
    /// writes.
    pub(super) fn demote(&self) {
        self.demoted.notify_one();
    }

    /// Opens the connection, and again whenever it is gone, until the task is dropped.
    ///
    /// Each time with a new client: one that lost its connection keeps what was queued for it.
    pub(super) async fn keep_open(
        self: Arc<Self>,
        target: Arc<Target>,
        timeout: Duration,
        status: Arc<Status>,
    ) {
        let mut backoff = Backoff::new();
        // Links begin with different hosts too.
        let mut attempt = fastrand::usize(..1024);
        loop {
            attempt = attempt.wrapping_add(1);
            let client = client(&target, attempt, timeout);
            let open = match self.open(client, &target, &status).await {
                End::NeverOpened(why) => {
                    status.unreachable(&why);
                    Duration::ZERO
                }
                End::Closed(why, open) => {
                    status.closed(&why);
                    open
                }
            };
            sleep(backoff.pause(open)).await;
        }
    }

    /// Opens one connection and watches over it until it ends.
    async fn open(&self, client: Client, target: &Target, status: &Status) -> End {
        let mut connection = Connection(client.connect());
        select! {
            ended = &mut connection.0 => return End::NeverOpened(reason(ended)),
            opened = timeout(OPENING, opened(&client)) => if opened.is_err() {
                return End::NeverOpened(format!("not connected within {OPENING:?}"));
            },
        }
        let since = Instant::now();
        // What calls on the connection before had to say is none of this one's business.
        for old in [&self.suspected, &self.demoted] {
            old.notified().now_or_never();
        }
        self.client.store(Some(Arc::new(client.clone())));
        status.opened();
        let why = select! {
            ended = &mut connection.0 => reason(ended),
            () = self.silence(&client) => format!("no answer for {PATIENCE:?}"),
            () = self.demotion(target) => "it takes no writes".to_owned(),
        };
        self.client.store(None);
        End::Closed(why, since.elapsed())
    }

    /// Ends when the connection is suspected and then does not answer a ping either: the store
    /// hangs, or the network swallows everything.
    ///
    /// The client's own check will not do: it counts from the last command written, and so never
    /// ends where there is traffic.
    async fn silence(&self, client: &Client) {
        loop {
            self.suspected.notified().await;
            if !all_answer(client).await {
                return;
            }
        }
    }

    /// Ends when the server takes no writes and another one may.
    async fn demotion(&self, target: &Target) {
        loop {
            self.demoted.notified().await;
            if target.follows_the_primary() {
                return;
            }
            if target.is_named() && self.may_look() {
                return self.drained().await;
            }
        }
    }

    /// The name may as well lead to the same server again, which goes on answering reads.
    fn may_look(&self) -> bool {
        let now = Instant::now().into_std();
        self.looks.is_due(now) && self.looks_of_all.take(now) && self.looks.take(now)
    }

    /// Gives the connection no more calls, and ends when those it has are over.
    async fn drained(&self) {
        self.client.store(None);
        timeout(PATIENCE, self.calls.acquire_many(CALLS)).await.ok();
    }
}

// === impl Charged ===

impl<T: AsRef<[u8]>> AsRef<[u8]> for Charged<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

// === impl Connection ===

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends when the client has all its connections. It tells those who were listening before, hence
/// the second look.
async fn opened(client: &Client) {
    const LOOK: Duration = Duration::from_millis(20);
    while !matches!(timeout(LOOK, client.wait_for_connect()).await, Ok(Ok(()))) {}
}

/// Whether the server answers, or each one that makes up the store.
async fn all_answer(client: &Client) -> bool {
    let mut servers: Vec<_> = client.active_connections().into_iter().map(Some).collect();
    if servers.is_empty() {
        // One that would not give the connection a number.
        servers.push(None);
    }
    let answers = servers.into_iter().map(|server| answers(client, server));
    !join_all(answers).await.contains(&false)
}

/// Whether this server answers in time, be it with an error.
async fn answers(client: &Client, server: Option<Server>) -> bool {
    let patient = client.with_options(&Options {
        timeout: Some(PATIENCE),
        cluster_node: server,
        ..Options::default()
    });
    let answer: Result<(), Error> = patient.ping(None).await;
    !answer.is_err_and(|error| *error.kind() == ErrorKind::Timeout)
}

/// A client for one connection. It must not reconnect by itself: that is done here, with the
/// calls on the old connection failed at once.
///
/// It pipelines: a command is written as soon as it is there, without waiting for answers to
/// those before it, and those that come together are written together.
fn client(target: &Target, attempt: usize, timeout: Duration) -> Client {
    let performance = PerformanceConfig {
        default_command_timeout: timeout,
        ..PerformanceConfig::default()
    };
    let hops = if target.redirects() { HOPS } else { 1 };
    let connection = ConnectionConfig {
        connection_timeout: PATIENCE,
        internal_command_timeout: PATIENCE,
        max_command_attempts: hops,
        max_redirections: hops,
        max_command_buffer_len: QUEUE,
        tcp: TcpConfig {
            nodelay: Some(true),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    };
    let config = target.config(attempt);
    Client::new(config, Some(performance), Some(connection), None)
}

fn reason(ended: Result<Result<(), Error>, JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "connection closed".to_owned(),
        Ok(Err(error)) => error.details().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charged_bytes_give_their_permit_back_with_the_last_copy() {
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        let bytes = charged(vec![1, 2, 3], permit);
        let copy = bytes.slice(1..);
        drop(bytes);
        assert_eq!(permits.available_permits(), 0);
        drop(copy);
        assert_eq!(permits.available_permits(), 1);
    }
}
