//! One connection to the store, opened again whenever it ends or no longer answers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::ConnectHandle;
use fred::types::config::{
    Config, ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, TcpConfig,
};
use tokio::select;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::sleep;

use super::{CacheError, Status, StoreUrl};

/// Calls that may be on one connection: sent, or about to be. One more fails at once.
const CALLS: usize = 1024;

/// The client's own queue. Larger than the calls there can be: when it overflows, the client
/// forgets to send what is left in it.
const QUEUE: usize = CALLS + 64;

/// How long connecting may take, logging in may take, and a connection on which a call timed out
/// may stay silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause before connecting again, in milliseconds: doubled from the first to the last, so
/// that a store which is back is found in well under a second.
const FIRST_PAUSE: u32 = 50;
const LAST_PAUSE: u32 = 500;

/// A connection that may be open.
pub(super) struct Link {
    client: ArcSwapOption<Client>,
    calls: Arc<Semaphore>,
    suspected: Notify,
}

/// The right to one call on an open connection.
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
    Closed(String),
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
    pub(super) fn new() -> Self {
        Self {
            client: ArcSwapOption::empty(),
            calls: Arc::new(Semaphore::new(CALLS)),
            suspected: Notify::new(),
        }
    }

    /// # Errors
    ///
    /// `Unavailable` when the connection is not open, `Busy` when it has all the calls it may.
    pub(super) fn slot(&self) -> Result<Slot<'_>, CacheError> {
        let client = self.client.load_full().ok_or(CacheError::Unavailable)?;
        let permit = Arc::clone(&self.calls)
            .try_acquire_owned()
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

    /// Opens the connection, and again whenever it is gone, until the task is dropped.
    ///
    /// Each time with a new client: one that lost its connection keeps what was queued for it.
    pub(super) async fn keep_open(
        self: Arc<Self>,
        url: StoreUrl,
        timeout: Duration,
        status: Arc<Status>,
    ) {
        let mut pauses = pauses();
        loop {
            match self.open(client(&url, timeout), &status).await {
                End::NeverOpened(why) => status.unreachable(&why),
                End::Closed(why) => {
                    status.closed(&why);
                    pauses = self::pauses();
                }
            }
            sleep(pause(&mut pauses)).await;
        }
    }

    /// Opens one connection and watches over it until it ends.
    async fn open(&self, client: Client, status: &Status) -> End {
        let mut opened = client.reconnect_rx();
        let mut connection = Connection(client.connect());
        select! {
            ended = &mut connection.0 => return End::NeverOpened(reason(ended)),
            _ = opened.recv() => {}
        }
        self.client.store(Some(Arc::new(client.clone())));
        status.opened();
        let why = select! {
            ended = &mut connection.0 => reason(ended),
            () = self.silence(&client) => format!("no answer for {PATIENCE:?}"),
        };
        self.client.store(None);
        End::Closed(why)
    }

    /// Ends when the connection is suspected and then does not answer a ping either: the store
    /// hangs, or the network swallows everything.
    async fn silence(&self, client: &Client) {
        let patient = client.with_options(&Options {
            timeout: Some(PATIENCE),
            ..Options::default()
        });
        loop {
            self.suspected.notified().await;
            let answer: Result<(), Error> = patient.ping(None).await;
            if answer.is_err_and(|error| *error.kind() == ErrorKind::Timeout) {
                return;
            }
        }
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

/// A client for one connection. It must not reconnect by itself: that is done here, with the
/// calls on the old connection failed at once.
fn client(url: &StoreUrl, timeout: Duration) -> Client {
    let config = Config {
        fail_fast: true,
        ..url.config().clone()
    };
    let performance = PerformanceConfig {
        default_command_timeout: timeout,
        ..PerformanceConfig::default()
    };
    let connection = ConnectionConfig {
        connection_timeout: PATIENCE,
        internal_command_timeout: PATIENCE,
        max_command_attempts: 1,
        max_command_buffer_len: QUEUE,
        tcp: TcpConfig {
            nodelay: Some(true),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    };
    Client::new(config, Some(performance), Some(connection), None)
}

fn pauses() -> ReconnectPolicy {
    ReconnectPolicy::new_exponential(0, FIRST_PAUSE, LAST_PAUSE, 2)
}

fn pause(pauses: &mut ReconnectPolicy) -> Duration {
    Duration::from_millis(pauses.next_delay().unwrap_or(LAST_PAUSE.into()))
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
    fn pauses_grow_and_stay_under_the_last() {
        let mut pauses = pauses();
        let first = pause(&mut pauses);
        assert!(first >= Duration::from_millis(50) && first < Duration::from_millis(150));
        for _ in 0..100 {
            assert!(pause(&mut pauses) <= Duration::from_millis(500));
        }
        assert_eq!(pause(&mut pauses), Duration::from_millis(500));
    }

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
