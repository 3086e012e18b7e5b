//! `health_check` and `eject` of an upstream.

use std::{ops::RangeInclusive, time::Duration};

use http::uri::{Authority, PathAndQuery};

use crate::upstream::{Ejection, HealthCheck, Probe};

use super::{
    quantity::{HOUR, MILLISECOND, SECOND, show_duration},
    section::Section,
    value::Value,
};

const CHECK: &str = "write a table such as { path = \"/healthz\", interval = \"5s\" }";
const EJECT: &str = "write a table such as { failures = 5, pause = \"10s\" }";
const PATH: &str = "write a path such as \"/healthz\", with or without a query";
const HOST: &str = "write what the Host header is to say, such as \"origin.example\"";
const STATUSES: &str = "write an array such as [200, \"300-399\"]";
const STATUS: &str = "write a status from 200 to 599 such as 204, or a range such as \"200-299\"";

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// What a good answer has by default.
const GOOD: RangeInclusive<u16> = 200..=299;
const STATUS_RANGE: RangeInclusive<u16> = 200..=599;

/// Why a text is no path to check.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a path")]
struct PathError;

/// Why a text is nothing a Host header may say.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a host")]
struct HostError;

/// Why a text is no range of statuses.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a range of statuses")]
struct RangeError;

/// Every key has a default, but without the table nothing is checked.
pub(super) fn check(section: &mut Section<'_>) -> Option<HealthCheck> {
    let value = section.take("health_check")?;
    value.table(CHECK, |section| {
        let interval = section.duration("interval", DEFAULT_INTERVAL, SHORTEST_INTERVAL..=HOUR);
        HealthCheck {
            probe: probe(section),
            interval,
            timeout: timeout(section, interval),
            healthy: section.integer("healthy", 1, 1..=100),
            unhealthy: section.integer("unhealthy", 2, 1..=100),
        }
    })
}

/// Every key has a default, and so has the table.
pub(super) fn ejection(section: &mut Section<'_>) -> Ejection {
    let default = Ejection::default();
    let read = |section: &mut Section<'_>| Ejection {
        failures: section.integer("failures", default.failures, 0..=1_000_000),
        pause: section.duration("pause", default.pause, 100 * MILLISECOND..=HOUR),
    };
    let value = section.take("eject");
    let given = value.and_then(|value| value.table(EJECT, read));
    given.unwrap_or(default)
}

/// Longer than the interval, checks of one backend would overtake each other.
fn timeout(section: &mut Section<'_>, interval: Duration) -> Duration {
    let default = SECOND.min(interval);
    let Some(value) = section.take("timeout") else {
        return default;
    };
    let given = value.duration(&(MILLISECOND..=HOUR), default);
    if given.is_some_and(|given| given > interval) {
        let most = show_duration(interval);
        value.wrong(
            format!("{} is longer than the interval", value.shown()),
            format!("write at most \"{most}\", or a longer interval"),
        );
    }
    given.unwrap_or(default)
}

fn probe(section: &mut Section<'_>) -> Probe {
    let path = section.take("path");
    let (host, status) = (section.take("host"), section.take("status"));
    let Some(path) = path else {
        for value in [&host, &status].into_iter().flatten() {
            value.wrong(
                "without a path nothing is asked: a connection is made, and that is all",
                "add path, or remove this",
            );
        }
        return Probe::Connect;
    };
    let host = host.and_then(|value| value.parsed_by(parse_host, HOST));
    let status = status.map(|value| statuses(&value));
    Probe::Get {
        path: path
            .parsed_by(parse_path, PATH)
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
        host,
        status: status.unwrap_or_else(|| vec![GOOD]),
    }
}

fn parse_path(text: &str) -> Result<PathAndQuery, PathError> {
    match text.parse() {
        Ok(path) if text.starts_with('/') => Ok(path),
        _ => Err(PathError),
    }
}

fn parse_host(text: &str) -> Result<String, HostError> {
    match text.parse::<Authority>() {
        Ok(host) if !text.contains('@') => Ok(host.to_string()),
        _ => Err(HostError),
    }
}

fn statuses(value: &Value<'_>) -> Vec<RangeInclusive<u16>> {
    let items = value.items(STATUSES);
    if items.is_empty() && value.inner.is_array() {
        value.wrong("no answer would be good", STATUSES);
    }
    items.iter().filter_map(status).collect()
}

fn status(item: &Value<'_>) -> Option<RangeInclusive<u16>> {
    if item.is_string() {
        return item.parsed_by(parse_range, STATUS);
    }
    let (least, most) = STATUS_RANGE.into_inner();
    let code = item.integer(&(least.into()..=most.into()), 200)?;
    let code = u16::try_from(code).ok()?;
    Some(code..=code)
}

fn parse_range(text: &str) -> Result<RangeInclusive<u16>, RangeError> {
    let (from, to) = text.split_once('-').ok_or(RangeError)?;
    let bound = |text: &str| text.parse::<u16>().map_err(|_| RangeError);
    let range = bound(from)?..=bound(to)?;
    let known = |code: &u16| STATUS_RANGE.contains(code);
    match !range.is_empty() && known(range.start()) && known(range.end()) {
        true => Ok(range),
        false => Err(RangeError),
    }
}
