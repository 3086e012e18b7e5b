//! `Server-Timing` (W3C, "Server Timing"): what the functions of a request used, for whoever
//! debugs them from a browser.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;

use super::access::{micros, outcome};
use super::context::Context;
use crate::edge::Record;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the header if the route wants it and functions ran.
pub(super) fn add(header: &mut ResponseHeader, context: &Context) -> Result<()> {
    let wanted = context
        .action
        .as_ref()
        .is_some_and(|action| action.server_timing);
    if wanted && let Some(value) = value(&context.records) {
        header.append_header(SERVER_TIMING, value)?;
    }
    Ok(())
}

/// One metric per function, by its name; `None` without any.
fn value(records: &[Record]) -> Option<HeaderValue> {
    let mut text = String::new();
    for record in records {
        let comma = if text.is_empty() { "" } else { ", " };
        let (outcome, code) = outcome(record);
        let spent = &record.spent;
        let millis = |time| micros(time) as f64 / 1000.0;
        // Writing to a string cannot fail.
        write!(
            text,
            "{comma}{};dur={};desc=\"{}; run {} ms, fuel {}, memory {}, host {} in {} ms\"",
            record.function,
            millis(spent.wall),
            code.unwrap_or(outcome),
            millis(spent.running),
            spent.fuel,
            spent.memory,
            spent.host_calls,
            millis(spent.host),
        )
        .ok();
    }
    if text.is_empty() {
        return None;
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{Fault, Phase, RecordOutcome, Spent};
    use std::time::Duration;

    #[test]
    fn every_function_is_a_metric() {
        let record = |function: &str, outcome| Record {
            function: function.into(),
            phase: Phase::Request,
            outcome,
            spent: Spent {
                fuel: 7,
                wall: Duration::from_micros(1500),
                running: Duration::from_micros(20),
                memory: 65536,
                host_calls: 2,
                host: Duration::from_millis(1),
            },
        };
        let records = [
            record("auth", RecordOutcome::Forward),
            record("hello", RecordOutcome::Fail(Fault::Trap)),
        ];
        assert_eq!(
            value(&records).expect("a value"),
            "auth;dur=1.5;desc=\"forward; run 0.02 ms, fuel 7, memory 65536, host 2 in 1 ms\", \
             hello;dur=1.5;desc=\"function-trap; run 0.02 ms, fuel 7, memory 65536, host 2 in 1 ms\""
        );
        assert_eq!(value(&[]), None);
    }
}
