//! Where an issuer's keys come from: a file, or a URL that is asked again from time to time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::keys::{KeyError, KeySet};
use crate::egress::{
    self, AllowEntry, Call, Caller, Client, EgressError, OwnAddresses, Room, Settings,
};
use crate::file;

/// The longest file, in bytes; a URL has the limit of egress, which is the same.
const LONGEST: usize = egress::MAX_RESPONSE;

/// Between two questions for keys: tokens can name as many keys as their makers like.
const PAUSE: Duration = Duration::from_secs(10);

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLocation {
    /// In this file, read at load.
    File(PathBuf),
    /// At this HTTPS URL.
    Url {
        /// The URL.
        url: String,
        /// Its host and port, the only ones that are asked.
        host: AllowEntry,
        /// PEM file of trust anchors besides the system's.
        ca_file: Option<PathBuf>,
        /// How old keys may become before they are asked for again.
        refresh: Duration,
    },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is there is no key set.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The HTTPS client cannot be set up.
    #[error(transparent)]
    Client(#[from] egress::BuildError),
    /// The host cannot be asked.
    #[error(transparent)]
    Call(#[from] EgressError),
    /// It answers with something else.
    #[error("the answer has status {0}")]
    Status(StatusCode),
}

/// An issuer's keys, as they are now.
#[derive(Debug)]
pub struct KeySource {
    keys: ArcSwapOption<KeySet>,
    remote: Option<Remote>,
}

/// How they are asked for.
struct Remote {
    url: String,
    caller: Arc<Caller>,
    refresh: Duration,
    io: Handle,
    /// When they were last asked for, and when they were last had; held while they are asked for.
    asked: Mutex<Option<Instant>>,
    had: parking_lot::Mutex<Option<Instant>>,
}

// === impl KeyLocation ===

impl KeyLocation {
    /// The URL, of keys that have one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Url { url, .. } => Some(url),
        }
    }

    /// Who vouches for the URL's host besides the system's authorities.
    pub fn ca_file(&self) -> Option<&Path> {
        match self {
            Self::File(_) => None,
            Self::Url { ca_file, .. } => ca_file.as_deref(),
        }
    }
}

// === impl KeySource ===

impl KeySource {
    /// Reads the keys of a file, or begins to ask for those at a URL on `io`; until these are here,
    /// those count that are `known` already.
    ///
    /// # Errors
    /// When the file has none, or the URL's `ca_file` is not usable. A host that does not answer
    /// is asked again later.
    pub fn open(
        location: &KeyLocation,
        (egress, io): (&Settings, &Handle),
        known: Option<&Self>,
    ) -> Result<Arc<Self>, KeySourceError> {
        let source = match location {
            KeyLocation::File(path) => Self {
                keys: ArcSwapOption::from_pointee(read(path)?),
                remote: None,
            },
            KeyLocation::Url { .. } => Self {
                keys: ArcSwapOption::new(known.and_then(|known| known.keys.load_full())),
                remote: Remote::new(location, egress, io)?,
            },
        };
        let source = Arc::new(source);
        source.ask_aside();
        Ok(source)
    }

    /// The keys, old ones while newer are asked for; `None` if there never were any.
    pub(super) async fn current(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        if let Some(keys) = self.keys.load_full() {
            if self.remote.as_ref().is_some_and(Remote::is_due) {
                self.ask_aside();
            }
            return Some(keys);
        }
        self.ask_and_wait().await;
        self.keys.load_full()
    }

    /// Keys that are newer than these, if it is time to ask and there are any.
    pub(super) async fn newer(self: &Arc<Self>, known: Arc<KeySet>) -> Arc<KeySet> {
        let latest = self.keys.load_full();
        if latest
            .as_ref()
            .is_some_and(|latest| Arc::ptr_eq(latest, &known))
        {
            self.ask_and_wait().await;
        }
        self.keys.load_full().unwrap_or(known)
    }

    fn ask_aside(self: &Arc<Self>) {
        if let Some(remote) = &self.remote
            && remote.may_ask()
        {
            let source = Arc::clone(self);
            drop(remote.io.spawn(async move { source.ask().await }));
        }
    }

    /// Goes on when the requester of this does not.
    async fn ask_and_wait(self: &Arc<Self>) {
        if let Some(remote) = &self.remote {
            let source = Arc::clone(self);
            remote
                .io
                .spawn(async move { source.ask().await })
                .await
                .ok();
        }
    }

    /// Asks for the keys, unless that was done a moment ago; one at a time.
    async fn ask(&self) {
        let Some(remote) = &self.remote else { return };
        let mut asked = remote.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        let result = remote.fetch().await;
        *asked = Some(Instant::now());
        match result {
            Ok(keys) => {
                *remote.had.lock() = *asked;
                self.keys.store(Some(Arc::new(keys)));
                info!(url = remote.url, "the issuer's keys are here");
            }
            Err(cause) => {
                warn!(url = remote.url, %cause, "the issuer's keys cannot be had, old ones are used");
            }
        }
    }
}

fn read(path: &Path) -> Result<KeySet, KeySourceError> {
    let unreadable = |source| KeySourceError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = file::start(path, LONGEST + 1).map_err(unreadable)?;
    if text.len() > LONGEST {
        let large = io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB");
        return Err(unreadable(large));
    }
    Ok(KeySet::parse(&text)?)
}

// === impl Remote ===

impl Remote {
    /// The operator has chosen the host, so it may be anywhere; but it is that one only, also
    /// after redirects. `None` for a file.
    fn new(
        location: &KeyLocation,
        egress: &Settings,
        io: &Handle,
    ) -> Result<Option<Self>, KeySourceError> {
        let KeyLocation::Url {
            url,
            host,
            ca_file,
            refresh,
        } = location
        else {
            return Ok(None);
        };
        let anywhere = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let settings = Settings {
            allow: [host.clone()].into_iter().collect(),
            ca_file: ca_file.clone(),
            allow_private: anywhere.to_vec(),
            nameservers: egress.nameservers.clone(),
        };
        let client = Client::new(&settings, OwnAddresses::default())?;
        Ok(Some(Self {
            url: url.clone(),
            caller: client.caller(&"jwks".into(), &settings.allow),
            refresh: *refresh,
            io: io.clone(),
            asked: Mutex::default(),
            had: parking_lot::Mutex::default(),
        }))
    }

    /// Nobody does, or did a moment ago.
    fn may_ask(&self) -> bool {
        let asked = self.asked.try_lock();
        asked.is_ok_and(|asked| asked.is_none_or(|at| at.elapsed() >= PAUSE))
    }

    fn is_due(&self) -> bool {
        let had = *self.had.lock();
        had.is_none_or(|had| had.elapsed() > self.refresh)
    }

    async fn fetch(&self) -> Result<KeySet, KeySourceError> {
        let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
        let call = Call {
            request_id: "-".to_owned(),
            method: Method::GET,
            url: self.url.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, accepted)]),
            body: Bytes::new(),
            passed: Vec::new(),
        };
        let reply = self.caller.call(call, &AsMuchAsThereMayBe).await?;
        match reply.status {
            StatusCode::OK => Ok(KeySet::parse(&reply.body)?),
            status => Err(KeySourceError::Status(status)),
        }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A key set of the largest size is no burden: there is one at a time.
struct AsMuchAsThereMayBe;

impl Room for AsMuchAsThereMayBe {
    fn take(&self, _bytes: usize) -> bool {
        true
    }
}
