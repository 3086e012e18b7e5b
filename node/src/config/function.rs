//! `[functions.NAME]`.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    cache::Namespace,
    edge::{BodyAccess, BreakerSettings, FailurePolicy, InstancePolicy, Limits},
    egress::{AllowEntry, AllowList, Target},
};

use super::{egress::ENTRY, failure, limits, name::check_name, section::Section, value::Value};

const DEFAULT_ENTRY: &str = "handle_request";

/// A module and what it may do (`[functions.NAME]`).
#[derive(Clone, Debug)]
pub struct Function {
    /// The WebAssembly file.
    pub module: PathBuf,
    /// What the file's SHA-256 must be.
    pub sha256: Option<[u8; 32]>,
    /// The exported function to call.
    pub entry: String,
    /// The exported function to call when the upstream's response is there.
    pub response_entry: Option<String>,
    /// Which bodies it gets.
    pub body: BodyAccess,
    /// What follows when it fails.
    pub on_failure: FailurePolicy,
    /// The function that runs instead after a failure.
    pub fallback: Option<String>,
    /// When it is not run for a while.
    pub breaker: Option<BreakerSettings>,
    /// How many requests an instance serves.
    pub instance: InstancePolicy,
    /// Hosts it may call, within what the node allows.
    pub egress: AllowList,
    /// Where its keys are in the cache.
    pub cache_namespace: Namespace,
    /// Texts it can read.
    pub config: BTreeMap<String, String>,
    /// What one invocation may use.
    pub limits: Limits,
}

/// What the node has, which no function can have more of.
pub(super) struct Bounds<'a> {
    pub(super) memory: usize,
    /// Absent when the list itself has problems, so nothing can be held against it.
    pub(super) allow: Option<&'a AllowList>,
}

/// Why a text is not a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
struct DigestError;

pub(super) fn read(root: &mut Section<'_>, bounds: &Bounds<'_>) -> BTreeMap<String, Function> {
    const TABLES: &str = "write [functions.NAME] for each";
    let names = root.names_in("functions");
    let entries = root.entries("functions", TABLES);
    let mut fallbacks = Vec::new();
    let read = entries.iter().filter_map(|(name, value)| {
        let good_name = check_name(name, value);
        let read = value.table(TABLES, |section| {
            fallbacks.extend(section.peek("fallback").map(|value| (*name, value)));
            read_function(name, section, bounds)
        });
        good_name.then_some(((*name).to_owned(), read??))
    });
    let functions = read.collect();
    for (owner, value) in fallbacks {
        failure::check_fallback(owner, &value, &functions, names.as_ref());
    }
    functions
}

fn read_function(name: &str, section: &mut Section<'_>, bounds: &Bounds<'_>) -> Option<Function> {
    let module = section.require("module", "write the file's path such as \"hello.wasm\"");
    let namespace = section.take("cache_namespace");
    let function = Function {
        sha256: section.take("sha256").and_then(|value| digest(&value)),
        entry: entry(section, "entry").unwrap_or_else(|| DEFAULT_ENTRY.to_owned()),
        body: body(section),
        response_entry: entry(section, "response_entry"),
        on_failure: failure::policy(section),
        fallback: section.take("fallback").and_then(|value| value.string()),
        breaker: failure::breaker(section),
        instance: instance(section),
        egress: grant(section, bounds.allow),
        config: config(section),
        limits: section.table("limits", |section| limits::read(section, bounds.memory)),
        cache_namespace: match namespace {
            Some(value) => value
                .parsed("write 1 to 64 of the characters a-z, 0-9, '_' and '-'")
                .or_else(|| name.parse().ok())?,
            None => name.parse().ok()?,
        },
        module: module?.path()?,
    };
    Some(function)
}

/// Requests that an instance serves where the file does not say.
const DEFAULT_REUSE: u32 = 1000;

fn instance(section: &mut Section<'_>) -> InstancePolicy {
    let reuses = section.choice("instance", false, &[("fresh", false), ("reuse", true)]);
    if reuses {
        let limit = section.integer("reuse_limit", DEFAULT_REUSE, 1..=u32::MAX.into());
        return InstancePolicy::Reuse(limit);
    }
    if let Some(value) = section.take("reuse_limit") {
        value.wrong(
            "only an instance that is reused has a limit",
            "write instance = \"reuse\" beside it, or remove it",
        );
    }
    InstancePolicy::Fresh
}

const BODIES: &[(&str, BodyAccess)] = &[
    ("none", BodyAccess::None),
    ("request", BodyAccess::Request),
    ("response", BodyAccess::Response),
    ("both", BodyAccess::Both),
];

/// Which bodies it gets: that of the response only where something runs to see it.
fn body(section: &mut Section<'_>) -> BodyAccess {
    let value = section.peek("body");
    let body = section.choice("body", BodyAccess::None, BODIES);
    if body.of_response()
        && section.peek("response_entry").is_none()
        && let Some(value) = value
    {
        value.wrong(
            "nothing of this function runs when the response is there",
            "write response_entry = \"…\" beside it, or body = \"request\" or \"none\"",
        );
    }
    body
}

fn entry(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let value = section.take(key)?;
    let entry = value.string()?;
    if entry.is_empty() {
        value.wrong(
            "the name is empty",
            "write the name of an exported function",
        );
        return None;
    }
    Some(entry)
}

fn digest(value: &Value<'_>) -> Option<[u8; 32]> {
    value.parsed_by(
        parse_digest,
        "write the SHA-256 of the file as sha256sum prints it",
    )
}

fn parse_digest(text: &str) -> Result<[u8; 32], DigestError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut digest = [0; 32];
    if pairs.len() != digest.len() || !rest.is_empty() {
        return Err(DigestError);
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        let value = hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l);
        *byte = value
            .and_then(|value| u8::try_from(value).ok())
            .ok_or(DigestError)?;
    }
    Ok(digest)
}

fn config(section: &mut Section<'_>) -> BTreeMap<String, String> {
    let entries = section.entries("config", "write a table such as { greeting = \"hello\" }");
    entries
        .iter()
        .filter_map(|(key, value)| Some(((*key).to_owned(), value.string()?)))
        .collect()
}

fn grant(section: &mut Section<'_>, allow: Option<&AllowList>) -> AllowList {
    let entries = section.list("egress", "write an array such as [\"httpbin.org\"]");
    let granted = entries.iter().filter_map(|value| {
        let entry: AllowEntry = value.parsed(ENTRY)?;
        if allow.is_some_and(|allow| is_outside(&entry, allow)) {
            value.context.lacks(
                &value.spot,
                format!("{} is not within [egress] allow", value.shown()),
                "add it to [egress] allow, or remove it here",
            );
        }
        Some(entry)
    });
    granted.collect()
}

/// Whether nothing the entry names could be called. A wildcard is judged by a name nobody lists;
/// `*` is whatever the node allows.
fn is_outside(entry: &AllowEntry, allow: &AllowList) -> bool {
    let entry = entry.to_string();
    let host = match entry.strip_prefix("*.") {
        Some(domain) => format!("any-name-below.{domain}"),
        None if entry.starts_with('*') => return false,
        None => entry,
    };
    let target: Result<Target, _> = format!("https://{host}").parse();
    target.is_ok_and(|target| !allow.allows(&target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        entries
            .iter()
            .map(|entry| entry.parse::<AllowEntry>().unwrap())
            .collect()
    }

    fn outside(entry: &str, allow: &[&str]) -> bool {
        is_outside(&entry.parse().unwrap(), &list(allow))
    }

    #[test]
    fn grants_are_held_against_what_the_node_allows() {
        assert!(!outside("a.example.com", &["*.example.com"]));
        assert!(!outside("*.a.example.com", &["*.example.com"]));
        assert!(!outside("a.example.com", &["*"]));
        assert!(!outside("*", &["a.example.com"]));
        assert!(!outside("[2606:4700::1]", &["[2606:4700:0::1]"]));
        assert!(outside("example.com", &["*.example.com"]));
        assert!(outside("*.example.com", &["a.example.com"]));
        assert!(outside("a.example.com:8443", &["a.example.com"]));
        assert!(outside("192.0.2.1", &["*"]));
        assert!(outside("a.example.com", &[]));
    }

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        assert_eq!(parse_digest(&"0f".repeat(32)), Ok([15; 32]));
        assert_eq!(parse_digest(&"FF".repeat(32)), Ok([255; 32]));
        for bad in [
            "0f".repeat(31),
            "0g".repeat(32),
            format!("{}0", "0f".repeat(32)),
            "ä".repeat(32),
        ] {
            assert_eq!(parse_digest(&bad), Err(DigestError), "{bad}");
        }
    }
}
