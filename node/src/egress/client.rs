//! The client: settings in, checked calls out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;

use super::address::AddressPolicy;
use super::allow::AllowList;
use super::error::{BuildError, Denial, EgressError};
use super::journal::Entry;
use super::redirect::Hop;
use super::resolve::CheckedResolver;
use super::target::{Host, Target};
use super::{Call, MAX_REDIRECTS, Reply, Room, Settings, TOTAL_TIMEOUT, body, roots};

/// Idle connections kept for one host: enough for the next burst, few enough
/// that a thousand hosts do not use up the descriptors.
const IDLE_PER_HOST: usize = 16;

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Most header lines of an HTTP/1 response.
const MAX_HEADERS: usize = 100;

/// Makes the HTTPS calls of all functions, within the node's allow list.
#[derive(Debug)]
pub struct Client {
    allow: AllowList,
    addresses: Arc<AddressPolicy>,
    /// Absent where nothing is allowed: no certificates are needed then.
    http: Option<reqwest::Client>,
    total_timeout: Duration,
}

// === impl Client ===

impl Client {
    /// Builds the client; reads `ca_file`, the system's certificates and the
    /// system's name servers.
    ///
    /// # Errors
    ///
    /// When `ca_file` is not usable, or when something is allowed and neither
    /// the system nor `ca_file` has a trust anchor.
    pub fn new(settings: &Settings) -> Result<Self, BuildError> {
        Self::with_timeout(settings, TOTAL_TIMEOUT)
    }

    pub(super) fn with_timeout(
        settings: &Settings,
        total_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let anchors = match &settings.ca_file {
            Some(path) => roots::anchors(path)?,
            None => Vec::new(),
        };
        let addresses = Arc::new(AddressPolicy::new(&settings.allow_private));
        let http = if settings.allow.is_empty() {
            None
        } else {
            let resolver = CheckedResolver::new(&settings.nameservers, addresses.clone())?;
            Some(http_client(roots::tls_config(anchors)?, resolver)?)
        };
        Ok(Self {
            allow: settings.allow.clone(),
            addresses,
            http,
            total_timeout,
        })
    }

    /// Makes one call within the function's grant. Must be polled inside a
    /// tokio runtime with I/O and time enabled. Dropping the future ends the
    /// call.
    ///
    /// Any status is a reply; redirects are followed and never one. The body of the reply
    /// takes its place in `room` as it arrives.
    ///
    /// # Errors
    ///
    /// When the call is refused or fails. Nothing is repeated: a call that may
    /// have reached the host is the guest's to repeat.
    pub async fn call(
        &self,
        grant: &AllowList,
        call: Call,
        room: &dyn Room,
    ) -> Result<Reply, EgressError> {
        let mut entry = Entry::open(&call);
        let work = async {
            let response = self.follow(grant, call, &mut entry).await?;
            body::read(response, room).await
        };
        let result = match tokio::time::timeout(self.total_timeout, work).await {
            Ok(result) => result,
            Err(_elapsed) => Err(EgressError::Timeout),
        };
        entry.close(&result);
        result
    }

    async fn follow(
        &self,
        grant: &AllowList,
        call: Call,
        entry: &mut Entry,
    ) -> Result<reqwest::Response, EgressError> {
        let mut hop = Hop::first(call)?;
        for _ in 0..=MAX_REDIRECTS {
            entry.hop(&hop);
            let http = self.admit(grant, &hop.destination.target)?;
            let response = self.send(http, &hop).await?;
            match hop.next(response.status(), response.headers())? {
                Some(next) => hop = next,
                None => return Ok(response),
            }
        }
        Err(EgressError::TooManyRedirects)
    }

    /// Everything that can be decided before a name is looked up.
    fn admit(&self, grant: &AllowList, target: &Target) -> Result<&reqwest::Client, EgressError> {
        let http = match &self.http {
            Some(http) if self.allow.allows(target) => http,
            _ => return Err(EgressError::NotAllowed(Denial::Node)),
        };
        if !grant.grants(target) {
            return Err(EgressError::NotAllowed(Denial::Function));
        }
        // The resolver is never asked for a literal.
        if let Host::Address(address) = target.host {
            self.check(address)?;
        }
        Ok(http)
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        hop: &Hop,
    ) -> Result<reqwest::Response, EgressError> {
        let response = http
            .request(hop.method.clone(), hop.destination.url.clone())
            .headers(hop.headers.clone())
            .body(hop.body.clone())
            .send()
            .await?;
        // Should the library ever connect past the resolver, nothing comes back.
        if let Some(remote) = response.remote_addr() {
            self.check(remote.ip())?;
        }
        body::check_header(response.headers())?;
        Ok(response)
    }

    fn check(&self, address: IpAddr) -> Result<(), EgressError> {
        if self.addresses.permits(address) {
            return Ok(());
        }
        Err(EgressError::AddressRefused(address))
    }
}

fn http_client(
    tls: rustls::ClientConfig,
    resolver: CheckedResolver,
) -> Result<reqwest::Client, BuildError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent("aegis")
        // A connection attempt goes on when its call is dropped: bound it too.
        .connect_timeout(TOTAL_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_headers(MAX_HEADERS)
        .build()
        .map_err(BuildError::Client)
}
