//! Scripts that the store runs: one call, one round trip, nobody in between.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use sha1::{Digest, Sha1};
use tokio::time::{Instant, timeout_at};

/// Where the key is among the arguments: behind the script and the number of keys.
const KEY: usize = 2;

/// A script for one key.
pub(super) struct Script {
    text: &'static str,
    hash: String,
    /// Whether the store is likely to know it.
    known: AtomicBool,
}

// === impl Script ===

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        let mut hash = String::with_capacity(40);
        for byte in Sha1::digest(text) {
            write!(hash, "{byte:02x}").ok();
        }
        Self {
            text,
            hash,
            known: AtomicBool::new(false),
        }
    }

    /// Runs the script by its hash, and by its text where the store does not know it: at first, and
    /// after a restart, a failover, or `SCRIPT FLUSH`. Only the call that finds out takes a second
    /// round trip, and both together no longer than `timeout`.
    ///
    /// It is sent as a command that the client knows nothing of, because for scripts, as for
    /// transactions, it would let the calls of a connection wait for each other.
    pub(super) async fn run(
        &self,
        client: &Client,
        key: Bytes,
        arguments: &[String],
        timeout: Duration,
    ) -> Result<String, Error> {
        let deadline = Instant::now() + timeout;
        if self.known.load(Ordering::Relaxed) {
            let ran = call(client, "EVALSHA", &self.hash, key.clone(), arguments).await;
            match ran {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    self.known.store(false, Ordering::Relaxed);
                }
                ran => return ran,
            }
        }
        let ran = call(client, "EVAL", self.text, key, arguments);
        let late = || Error::new(ErrorKind::Timeout, "the script's text came too late");
        let ran = timeout_at(deadline, ran).await.map_err(|_| late())?;
        self.known.fetch_or(ran.is_ok(), Ordering::Relaxed);
        ran
    }
}

async fn call(
    client: &Client,
    command: &'static str,
    script: &str,
    key: Bytes,
    arguments: &[String],
) -> Result<String, Error> {
    let command = CustomCommand::new_static(command, ClusterHash::Offset(KEY), false);
    let mut words: Vec<Value> = Vec::with_capacity(KEY + 1 + arguments.len());
    words.extend([script.into(), "1".into(), Value::Bytes(key)]);
    words.extend(arguments.iter().map(|argument| argument.as_str().into()));
    client.custom(command, words).await
}
