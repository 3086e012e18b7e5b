//! `on_failure`, `fallback` and `breaker` of a function.

use std::collections::{BTreeMap, BTreeSet};

use crate::edge::{BreakerSettings, FailurePolicy, Fault, OnFailure};

use super::{
    Function,
    quantity::{HOUR, MILLISECOND},
    route::check_defined,
    section::Section,
    value::Value,
};

const WORDS: [(&str, OnFailure); 2] = [("fail", OnFailure::Fail), ("bypass", OnFailure::Bypass)];

const CAUSES: &str = "write \"fail\", \"bypass\", or a table of causes such as { trap = \"bypass\", time = \"fail\" }";

/// One word for every cause, or a table of causes.
pub(super) fn policy(section: &mut Section<'_>) -> FailurePolicy {
    let Some(value) = section.take("on_failure") else {
        return FailurePolicy::default();
    };
    if value.is_table() {
        return value.table(CAUSES, causes).unwrap_or_default();
    }
    if !value.is_string() {
        value.wrong_type("a string or a table", CAUSES);
        return FailurePolicy::default();
    }
    value.choice(&WORDS).map(Into::into).unwrap_or_default()
}

fn causes(section: &mut Section<'_>) -> FailurePolicy {
    Fault::ALL
        .into_iter()
        .map(|fault| {
            let what = section.choice(fault.cause(), OnFailure::Fail, &WORDS);
            (fault, what)
        })
        .collect()
}

/// A fallback is another function, without a fallback of its own: one step, no circles.
pub(super) fn check_fallback(
    owner: &str,
    value: &Value<'_>,
    functions: &BTreeMap<String, Function>,
    names: Option<&BTreeSet<&str>>,
) {
    let Some(fallback) = functions.get(owner).and_then(|f| f.fallback.as_deref()) else {
        return;
    };
    if fallback == owner {
        value.wrong(
            "a function cannot stand in for itself",
            "name another function, or remove it",
        );
        return;
    }
    check_defined(value, fallback, "function", names);
    let further = functions.get(fallback).map(|f| f.fallback.is_some());
    if further == Some(true) {
        value.wrong(
            format!("{} has a fallback itself", value.shown()),
            "name a function without one",
        );
    }
}

/// Every key has a default, but without the table there is no breaker.
pub(super) fn breaker(section: &mut Section<'_>) -> Option<BreakerSettings> {
    const TABLE: &str = "write a table such as { failures = 0.5, window = \"10s\" }";
    let value = section.take("breaker")?;
    value.table(TABLE, |section| {
        let default = BreakerSettings::default();
        let times = MILLISECOND..=HOUR;
        let failures = section
            .take("failures")
            .and_then(|value: Value<'_>| value.share());
        BreakerSettings {
            failures: failures.unwrap_or(default.failures),
            window: section.duration("window", default.window, 10 * MILLISECOND..=HOUR),
            minimum: section.integer("minimum", default.minimum, 1..=1_000_000),
            pause: section.duration("pause", default.pause, times),
        }
    })
}
