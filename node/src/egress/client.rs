//! What the calls of all functions share: settings in, one caller for each function out.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::address::AddressPolicy;
use super::allow::AllowList;
use super::caller::Caller;
use super::error::BuildError;
use super::own::OwnAddresses;
use super::pool::Connector;
use super::resolve::CheckedResolver;
use super::{MAX_CALLS, Settings, TOTAL_TIMEOUT, roots};

/// The node's side of egress.
pub struct Client {
    node: Arc<Node>,
    /// Those in use, by the function's name.
    callers: Mutex<HashMap<Arc<str>, Weak<Caller>>>,
}

/// What holds for every call, whichever function makes it.
pub(super) struct Node {
    pub(super) allow: AllowList,
    pub(super) addresses: Arc<AddressPolicy>,
    /// Absent where nothing is allowed: no certificates are needed then.
    pub(super) connector: Option<Connector>,
    pub(super) total_timeout: Duration,
    pub(super) places: Semaphore,
}

// === impl Client ===

impl Client {
    /// Builds the client; reads `ca_file`, the system's certificates and the
    /// system's name servers. Nothing is ever connected to `own`.
    ///
    /// # Errors
    ///
    /// When `ca_file` is not usable, or when something is allowed and neither
    /// the system nor `ca_file` has a trust anchor.
    pub fn new(settings: &Settings, own: OwnAddresses) -> Result<Self, BuildError> {
        Self::with_timeout(settings, own, TOTAL_TIMEOUT)
    }

    pub(super) fn with_timeout(
        settings: &Settings,
        own: OwnAddresses,
        total_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let anchors = match &settings.ca_file {
            Some(path) => roots::anchors(path)?,
            None => Vec::new(),
        };
        let addresses = Arc::new(AddressPolicy::new(&settings.allow_private, own));
        let connector = if settings.allow.is_empty() {
            None
        } else {
            let resolver = CheckedResolver::new(&settings.nameservers, addresses.clone())?;
            let tls = roots::tls_config(anchors)?;
            let connector = Connector { tls, resolver };
            // What the HTTP library refuses it refuses now, not at the first call.
            connector.peer(0).map_err(BuildError::Client)?;
            Some(connector)
        };
        let node = Node {
            allow: settings.allow.clone(),
            addresses,
            connector,
            total_timeout,
            places: Semaphore::new(MAX_CALLS),
        };
        Ok(Self {
            node: Arc::new(node),
            callers: Mutex::default(),
        })
    }

    /// Makes the calls of one function, within its grant. A function that is loaded again
    /// with the same grant gets the same caller, and with it the connections that are open.
    #[must_use]
    pub fn caller(&self, function: &Arc<str>, grant: &AllowList) -> Arc<Caller> {
        let mut callers = self.callers.lock();
        let serving = callers.get(function).and_then(Weak::upgrade);
        if let Some(caller) = serving.filter(|caller| caller.is_granted(grant)) {
            return caller;
        }
        let node = Arc::clone(&self.node);
        let caller = Arc::new(Caller::new(node, Arc::clone(function), grant.clone()));
        callers.retain(|_, caller| caller.strong_count() > 0);
        callers.insert(Arc::clone(function), Arc::downgrade(&caller));
        caller
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("allow", &self.node.allow)
            .finish_non_exhaustive()
    }
}
