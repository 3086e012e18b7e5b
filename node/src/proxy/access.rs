//! One access-log line per request. It is written by hand, without an allocation but the
//! line itself: a tenth of a cheap request's cost is at stake.

mod json;
mod text;

use std::time::{Duration, SystemTime};

use http::Version;
use pingora::proxy::Session;

use super::context::Context;
use super::respond;
use crate::edge::{Record, RecordOutcome};

/// What is logged for a request whose client left before there was a status to send.
const CLIENT_GONE: u16 = 499;
/// Room for an ordinary line.
const LINE_SIZE: usize = 512;

/// A finished request; its fields are part of the operators' interface.
#[derive(Debug)]
pub struct AccessLine<'a> {
    time: SystemTime,
    request_id: &'a str,
    client: Option<&'a str>,
    peer: Option<&'a str>,
    trace: Option<&'a str>,
    method: &'a str,
    protocol: &'static str,
    host: Option<&'a str>,
    tls: Option<&'a str>,
    path: &'a str,
    route: Option<&'a str>,
    status: u16,
    code: Option<&'a str>,
    bytes_sent: u64,
    duration: Duration,
    upstream: Option<&'a str>,
    upstream_took: Option<Duration>,
    functions: &'a [Record],
}

/// Takes finished lines; never blocks a request.
pub trait AccessLog: Send + Sync {
    /// Hands a line over, or drops and counts it.
    fn write(&self, line: &AccessLine<'_>);
}

impl<T: AccessLog> AccessLog for std::sync::Arc<T> {
    fn write(&self, line: &AccessLine<'_>) {
        (**self).write(line);
    }
}

impl<'a> AccessLine<'a> {
    /// The line of a finished request.
    pub(super) fn new(session: &'a Session, context: &'a Context) -> Self {
        let request = session.req_header();
        let host = request.headers.get(http::header::HOST);
        let lease = context.exchange.lease.as_ref();
        Self {
            time: SystemTime::now(),
            request_id: context.id.as_str(),
            client: context.client.as_deref(),
            peer: context.peer_name.as_deref(),
            trace: context.trace.as_deref(),
            method: request.method.as_str(),
            protocol: protocol(request.version),
            host: host.and_then(|host| host.to_str().ok()),
            tls: context.connection.as_ref().and_then(|c| c.tls_version()),
            path: request.uri.path(),
            route: context.action.as_ref().map(|action| &*action.name),
            status: respond::status(session).map_or(CLIENT_GONE, |status| status.as_u16()),
            code: context.error.map(|error| error.row().code),
            bytes_sent: session.body_bytes_sent() as u64,
            duration: context.started.elapsed(),
            upstream: lease.map(|lease| lease.backend().name()),
            upstream_took: context.exchange.took,
            functions: &context.records,
        }
    }
}

/// Outcome and code of one invocation.
pub(super) fn outcome(record: &Record) -> (&'static str, Option<&'static str>) {
    match record.outcome {
        RecordOutcome::Respond => ("respond", None),
        RecordOutcome::Forward => ("forward", None),
        RecordOutcome::Pass => ("pass", None),
        RecordOutcome::Fail(fault) => ("fail", Some(fault.code())),
        RecordOutcome::Bypass(fault) => ("bypass", Some(fault.code())),
        RecordOutcome::Overloaded => ("fail", Some("overloaded")),
        RecordOutcome::Cancelled => ("cancelled", None),
    }
}

/// What the client speaks.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// Whole microseconds: times are shown as milliseconds with three decimals.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl AccessLine<'_> {
    /// A line about nothing in particular.
    pub(crate) fn sample() -> Self {
        Self {
            time: SystemTime::UNIX_EPOCH,
            request_id: "id",
            client: Some("127.0.0.1"),
            peer: None,
            trace: None,
            method: "GET",
            protocol: "HTTP/1.1",
            host: Some("a.test"),
            tls: None,
            path: "/",
            route: None,
            status: 200,
            code: None,
            bytes_sent: 5,
            duration: Duration::from_micros(1234),
            upstream: None,
            upstream_took: None,
            functions: &[],
        }
    }
}
