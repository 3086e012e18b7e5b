//! The line as a JSON object.

use std::io::Write;
use std::time::{Duration, SystemTime};

use super::{AccessLine, LINE_SIZE, micros, outcome};
use crate::edge::Record;

impl AccessLine<'_> {
    /// As a JSON object, with its line break.
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LINE_SIZE);
        out.extend_from_slice(b"{\"time\":\"");
        push_time(&mut out, self.time);
        field(&mut out, b"\",\"request_id\":", |out| {
            string(out, self.request_id)
        });
        field(&mut out, b",\"client\":", |out| {
            optional_plain(out, self.client)
        });
        field(&mut out, b",\"peer\":", |out| {
            optional_plain(out, self.peer)
        });
        field(&mut out, b",\"trace_id\":", |out| {
            optional_plain(out, self.trace)
        });
        field(&mut out, b",\"method\":", |out| plain(out, self.method));
        field(&mut out, b",\"protocol\":", |out| plain(out, self.protocol));
        field(&mut out, b",\"host\":", |out| optional(out, self.host));
        field(&mut out, b",\"tls\":", |out| optional_plain(out, self.tls));
        field(&mut out, b",\"path\":", |out| string(out, self.path));
        field(&mut out, b",\"route\":", |out| optional(out, self.route));
        field(&mut out, b",\"status\":", |out| {
            integer(out, self.status.into())
        });
        field(&mut out, b",\"code\":", |out| {
            optional_plain(out, self.code)
        });
        field(&mut out, b",\"bytes_sent\":", |out| {
            integer(out, self.bytes_sent)
        });
        field(&mut out, b",\"duration_ms\":", |out| {
            millis(out, self.duration)
        });
        self.push_upstream(&mut out);
        out.extend_from_slice(b",\"functions\":[");
        for (index, record) in self.functions.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            function(&mut out, record);
        }
        out.extend_from_slice(b"]}\n");
        out
    }

    fn push_upstream(&self, out: &mut Vec<u8>) {
        field(out, b",\"upstream\":", |out| {
            optional_plain(out, self.upstream)
        });
        field(out, b",\"upstream_ms\":", |out| match self.upstream_took {
            Some(took) => millis(out, took),
            None => null(out),
        });
    }
}

fn function(out: &mut Vec<u8>, record: &Record) {
    let (outcome, code) = outcome(record);
    field(out, b"{\"name\":", |out| plain(out, &record.function));
    field(out, b",\"phase\":", |out| plain(out, record.phase.word()));
    field(out, b",\"outcome\":", |out| plain(out, outcome));
    field(out, b",\"code\":", |out| optional_plain(out, code));
    field(out, b",\"fuel\":", |out| integer(out, record.spent.fuel));
    field(out, b",\"run_ms\":", |out| {
        millis(out, record.spent.running)
    });
    field(out, b",\"wall_ms\":", |out| millis(out, record.spent.wall));
    field(out, b",\"memory\":", |out| {
        integer(out, record.spent.memory as u64)
    });
    field(out, b",\"host_calls\":", |out| {
        integer(out, record.spent.host_calls)
    });
    field(out, b",\"host_ms\":", |out| millis(out, record.spent.host));
    out.push(b'}');
}

/// A key with what stands before it, then its value.
fn field(out: &mut Vec<u8>, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(key);
    value(out);
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => null(out),
    }
}

/// Text of the node's own that needs no escapes.
fn plain(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// The same, where there may be none.
fn optional_plain(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => plain(out, text),
        None => null(out),
    }
}

/// Nearly all strings need no escapes; the others are the library's business.
fn string(out: &mut Vec<u8>, text: &str) {
    let needs_no_escape = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(needs_no_escape) {
        plain(out, text);
    } else {
        // Writing a string to a vector cannot fail.
        serde_json::to_writer(out, text).ok();
    }
}

/// Decimal digits.
pub(super) fn integer(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut rest = value;
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first -= 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Milliseconds with three decimals.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = micros(duration);
    integer(out, micros / 1000);
    let digit = |value: u64| b'0' + (value % 10) as u8;
    let rest = micros % 1000;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

/// RFC 3339, UTC, with milliseconds.
pub(super) fn push_time(out: &mut Vec<u8>, time: SystemTime) {
    // Writing to a vector cannot fail.
    write!(out, "{}", humantime::format_rfc3339_millis(time)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_decimal(value: u64) {
            let mut out = Vec::new();
            integer(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).expect("ascii"), value.to_string());
        }

        #[test]
        fn any_text_stays_one_json_string(text: String) {
            let line = AccessLine { path: &text, host: Some(&text), ..AccessLine::sample() };
            let bytes = line.json();
            prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value: serde_json::Value = serde_json::from_slice(&bytes).expect("json");
            prop_assert_eq!(value["path"].as_str(), Some(text.as_str()));
            prop_assert_eq!(value["host"].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn a_line_has_every_field() {
        let value: serde_json::Value =
            serde_json::from_slice(&AccessLine::sample().json()).expect("json");
        assert_eq!(
            value,
            serde_json::json!({
                "time": "1970-01-01T00:00:00.000Z", "request_id": "id", "client": "127.0.0.1",
                "peer": null, "trace_id": null,
                "method": "GET", "protocol": "HTTP/1.1", "host": "a.test", "tls": null, "path": "/",
                "route": null, "status": 200, "code": null, "bytes_sent": 5, "duration_ms": 1.234, "upstream": null,
                "upstream_ms": null, "functions": [],
            })
        );
    }
}
