//! One record for each call, with what an operator asks about it: which function called
//! which host, at which address, and what came of it.
//!
//! Records are at level INFO. A failure is at level WARN, but only one a minute for each
//! verdict, which says how many were not: clients must not be able to fill the log with alarms.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};
use tracing::Level;

use super::error::EgressError;
use super::pool::Peer;
use super::redirect::Hop;
use super::resolve::Told;
use super::target::Host;
use super::verdict::Verdict;
use super::{Call, Reply};
use crate::telemetry::Complaints;

/// What `RUST_LOG` calls these records.
const TARGET: &str = "aegis::egress";

/// Of one function.
pub(super) struct Journal {
    function: Arc<str>,
    complaints: Complaints<{ Verdict::COUNT }>,
}

/// What is known of a call while it runs. One that is dropped was cancelled.
pub(super) struct Entry<'a> {
    journal: &'a Journal,
    request_id: String,
    method: Method,
    /// Where the latest hop leads; absent until a URL was understood.
    host: Option<Host>,
    port: Option<u16>,
    address: Address,
    status: Option<StatusCode>,
    hops: usize,
    started: Instant,
    is_closed: bool,
}

/// Which addresses the latest hop is about.
enum Address {
    None,
    /// One of those that the name had.
    Tried(Told),
    /// It answered.
    Connected(IpAddr),
}

/// How a call ended.
struct Ending {
    verdict: Verdict,
    bytes: Option<usize>,
    detail: Option<String>,
    /// Of a failure that is told of.
    withheld: Option<u64>,
}

// === impl Journal ===

impl Journal {
    pub(super) fn new(function: Arc<str>) -> Self {
        Self {
            function,
            complaints: Complaints::default(),
        }
    }

    pub(super) fn open(&self, call: &Call) -> Entry<'_> {
        Entry {
            journal: self,
            request_id: call.request_id.clone(),
            method: call.method.clone(),
            host: None,
            port: None,
            address: Address::None,
            status: None,
            hops: 0,
            started: Instant::now(),
            is_closed: false,
        }
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// Goes on to this hop.
    pub(super) fn hop(&mut self, hop: &Hop) {
        let target = &hop.destination.target;
        self.host = Some(target.host.clone());
        self.port = Some(target.port);
        self.address = match target.host {
            Host::Address(address) => Address::Connected(address),
            Host::Name(_) => Address::None,
        };
        self.status = None;
        self.hops += 1;
    }

    /// Is about to connect.
    pub(super) fn asks(&mut self, peer: &Peer) {
        if matches!(self.host, Some(Host::Name(_))) {
            self.address = Address::Tried(peer.told.clone());
        }
    }

    /// Has an answer's header.
    pub(super) fn answered(&mut self, response: &reqwest::Response) {
        self.status = Some(response.status());
        if let Some(remote) = response.remote_addr() {
            self.address = Address::Connected(remote.ip());
        }
    }

    /// Writes the record.
    pub(super) fn close(mut self, result: &Result<Reply, EgressError>) {
        self.is_closed = true;
        match result {
            Ok(reply) => self.record(&Ending {
                verdict: Verdict::Ok,
                bytes: Some(reply.body.len()),
                detail: None,
                withheld: None,
            }),
            Err(error) => {
                let verdict = error.verdict();
                let withheld = self.journal.complaints.due(verdict as usize);
                let is_told = withheld.is_some() || tracing::enabled!(target: TARGET, Level::INFO);
                self.record(&Ending {
                    verdict,
                    bytes: None,
                    // Putting it into words takes longer than a call that is refused.
                    detail: is_told.then(|| error.detail()),
                    withheld,
                });
            }
        }
    }

    /// Never the path, query or headers: they may hold the function's secrets.
    fn record(&self, ending: &Ending) {
        macro_rules! tell {
            ($level:expr, $message:literal) => {
                tracing::event!(
                    target: TARGET,
                    $level,
                    function = &*self.journal.function,
                    request_id = self.request_id,
                    method = self.method.as_str(),
                    host = self.host.as_ref().map(tracing::field::display),
                    port = self.port,
                    address = self.address.text(),
                    hops = self.hops,
                    verdict = ending.verdict.text(),
                    status = self.status.map(|status| status.as_u16()),
                    bytes = ending.bytes,
                    ms = self.started.elapsed().as_secs_f64() * 1000.0,
                    detail = ending.detail,
                    withheld = ending.withheld,
                    $message
                )
            };
        }
        match ending.withheld {
            None => tell!(Level::INFO, "https call"),
            Some(_) => tell!(Level::WARN, "https call failed"),
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if !self.is_closed {
            self.record(&Ending {
                verdict: Verdict::Cancelled,
                bytes: None,
                detail: None,
                withheld: None,
            });
        }
    }
}

// === impl Address ===

impl Address {
    fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Connected(address) => Some(address.to_string()),
            Self::Tried(told) => {
                let addresses: Vec<_> = told.addresses().iter().map(IpAddr::to_string).collect();
                Some(addresses.join(",")).filter(|text| !text.is_empty())
            }
        }
    }
}
