//! One access-log line per request.

use std::time::{Duration, SystemTime};

use pingora::proxy::Session;
use serde::Serialize;

use super::context::Context;
use crate::edge::{Record, RecordOutcome};

/// What is logged for a request whose client left before there was a status to send.
const CLIENT_GONE: u16 = 499;
/// Room for an ordinary line.
const LINE_SIZE: usize = 512;

/// A line; its fields are part of the operators' interface.
#[derive(Debug, Default, Serialize)]
pub struct AccessLine<'a> {
    time: String,
    request_id: &'a str,
    client: Option<String>,
    method: &'a str,
    host: Option<&'a str>,
    path: &'a str,
    route: Option<&'a str>,
    status: u16,
    code: Option<&'a str>,
    bytes_sent: usize,
    duration_ms: f64,
    upstream: Option<String>,
    upstream_ms: Option<f64>,
    functions: Vec<Invocation<'a>>,
}

/// One invocation.
#[derive(Debug, Serialize)]
struct Invocation<'a> {
    name: &'a str,
    outcome: &'static str,
    code: Option<&'static str>,
    fuel: u64,
    run_ms: f64,
    wall_ms: f64,
    memory: usize,
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
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            request_id: &context.id,
            client: context.client.map(|client| client.to_string()),
            method: request.method.as_str(),
            host: host.and_then(|host| host.to_str().ok()),
            path: request.uri.path(),
            route: context.action.as_ref().map(|action| &*action.name),
            status: session
                .response_written()
                .map_or(CLIENT_GONE, |header| header.status.as_u16()),
            code: context.error.map(|error| error.row().code),
            bytes_sent: session.body_bytes_sent(),
            duration_ms: millis(context.started.elapsed()),
            upstream: lease.map(|lease| lease.backend().address().to_string()),
            upstream_ms: context.exchange.took.map(millis),
            functions: context.records.iter().map(function).collect(),
        }
    }

    /// As a JSON object, with its line break.
    pub fn json(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LINE_SIZE);
        // Strings and numbers always serialize, and a vector takes every byte.
        serde_json::to_writer(&mut bytes, self).ok();
        bytes.push(b'\n');
        bytes
    }

    /// For people: the same facts, shorter.
    pub fn text(&self) -> Vec<u8> {
        let Self {
            time,
            method,
            path,
            status,
            bytes_sent,
            duration_ms,
            request_id,
            ..
        } = self;
        let client = self.client.as_deref().unwrap_or("-");
        let host = self.host.unwrap_or("-");
        let route = self.route.unwrap_or("-");
        let code = self.code.unwrap_or("-");
        let mut line = format!(
            "{time} {client} \"{method} {host}{path}\" {status} {code} {bytes_sent}B \
             {duration_ms}ms route={route} id={request_id}"
        );
        for run in &self.functions {
            let Invocation {
                name,
                outcome,
                run_ms,
                fuel,
                ..
            } = run;
            line.push_str(&format!(" {name}={outcome}({run_ms}ms,{fuel} fuel)"));
        }
        line.push('\n');
        line.into_bytes()
    }
}

fn function(record: &Record) -> Invocation<'_> {
    let (outcome, code) = match record.outcome {
        RecordOutcome::Respond => ("respond", None),
        RecordOutcome::Forward => ("forward", None),
        RecordOutcome::Fail(fault) => ("fail", Some(fault.code())),
        RecordOutcome::Bypass(fault) => ("bypass", Some(fault.code())),
        RecordOutcome::Overloaded => ("fail", Some("overloaded")),
    };
    Invocation {
        name: &record.function,
        outcome,
        code,
        fuel: record.spent.fuel,
        run_ms: millis(record.spent.running),
        wall_ms: millis(record.spent.wall),
        memory: record.spent.memory,
    }
}

/// Milliseconds with three decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
