//! One log event for each call, with what an operator asks about it: which
//! function called which host, and what came of it.

use std::sync::Arc;
use std::time::Instant;

use http::Method;

use super::error::EgressError;
use super::redirect::Hop;
use super::{Call, Reply};

/// What is known of a call while it runs.
pub(super) struct Entry {
    function: Arc<str>,
    method: Method,
    /// Host of the latest hop; empty until a URL was understood.
    host: String,
    port: u16,
    hops: usize,
    started: Instant,
}

// === impl Entry ===

impl Entry {
    pub(super) fn open(call: &Call) -> Self {
        Self {
            function: call.caller.clone(),
            method: call.method.clone(),
            host: String::new(),
            port: 0,
            hops: 0,
            started: Instant::now(),
        }
    }

    pub(super) fn hop(&mut self, hop: &Hop) {
        self.host = hop.destination.target.host.to_string();
        self.port = hop.destination.target.port;
        self.hops += 1;
    }

    /// Writes the event. Never the path, query or headers: they may hold the
    /// function's secrets.
    pub(super) fn close(self, result: &Result<Reply, EgressError>) {
        let function = &*self.function;
        let (host, port, hops) = (self.host.as_str(), self.port, self.hops);
        let method = self.method.as_str();
        let ms = self.started.elapsed().as_millis();
        match result {
            Ok(reply) => tracing::debug!(
                function,
                host,
                port,
                hops,
                method,
                ms,
                verdict = "ok",
                status = reply.status.as_u16(),
                bytes = reply.body.len(),
                "https call"
            ),
            Err(error) => tracing::warn!(
                function,
                host,
                port,
                hops,
                method,
                ms,
                verdict = error.verdict(),
                detail = error.detail(),
                "https call failed"
            ),
        }
    }
}
