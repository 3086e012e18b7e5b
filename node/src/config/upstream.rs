//! `[upstreams.NAME]`.

mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use toml::de::DeValue;

use crate::upstream::{BackendSettings, Balance, Failure, HashBy, RetryOn, Settings, TlsSettings};

use super::{
    egress::NAMESERVER,
    health,
    name::check_name,
    quantity::{HOUR, MILLISECOND, SECOND},
    section::Section,
    server::MOST_AT_ONCE,
    value::Value,
};

const ADDRESS: &str = "write HOST:PORT such as \"127.0.0.1:9000\" or \"origin.example:80\"";
const BACKENDS: &str = "write an array such as [\"127.0.0.1:9000\"]";
const BACKEND: &str =
    "write an address such as \"127.0.0.1:9000\", or { address = \"127.0.0.1:9000\", weight = 2 }";

const HASH_BY: &str =
    "write \"header:NAME\", \"cookie:NAME\", \"address\" (the client's) or \"path\"";
const FAILURE: &str = "write \"connect\", \"reset\" or a status from \"400\" to \"599\"";

const DEFAULT_CONNECTIONS: usize = 1024;
const DEFAULT_RETRIES: usize = 1;
const DEFAULT_WEIGHT: usize = 1;

/// The longest name DNS knows, in bytes, and the longest label of one.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why a text is not the address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum AddressError {
    #[error("a backend has no scheme and no path")]
    Url,
    #[error("the port is missing")]
    NoPort,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("an IPv6 address must be in brackets")]
    Brackets,
    #[error("the host is neither a name nor an IP address")]
    Host,
}

/// Those that have at least one good backend and a good name.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<String, Settings> {
    const TABLES: &str = "write [upstreams.NAME] for each";
    let entries = root.entries("upstreams", TABLES);
    let read = entries.iter().filter_map(|(name, value)| {
        let good_name = check_name(name, value);
        let settings = value.table(TABLES, read_upstream)??;
        good_name.then(|| ((*name).to_owned(), settings))
    });
    read.collect()
}

fn read_upstream(section: &mut Section<'_>) -> Option<Settings> {
    let backends = section.require("backends", BACKENDS).map(|v| backends(&v));
    let backends = backends.unwrap_or_default();
    let settings = Settings {
        tls: tls(section, &backends),
        http2: section.switch("http2"),
        backends,
        balance: balance(section),
        connections: section.integer("connections", DEFAULT_CONNECTIONS, 1..=MOST_AT_ONCE),
        connect_timeout: section.duration("connect_timeout", 2 * SECOND, MILLISECOND..=HOUR),
        read_timeout: section.duration("read_timeout", 30 * SECOND, MILLISECOND..=HOUR),
        retries: section.integer("retries", DEFAULT_RETRIES, 0..=10),
        health_check: health::check(section),
        ejection: health::ejection(section),
        slow_start: section.duration("slow_start", 10 * SECOND, Duration::ZERO..=HOUR),
        nameservers: section.parsed_list("nameservers", NAMESERVER),
        retry_on: retry_on(section),
    };
    (!settings.backends.is_empty()).then_some(settings)
}

fn balance(section: &mut Section<'_>) -> Balance {
    let words = [
        ("round_robin", Balance::RoundRobin),
        ("least_connections", Balance::LeastConnections),
        // Completed by what the other key says.
        ("hash", Balance::Hash(HashBy::Address)),
    ];
    let names = words.each_ref().map(|(name, kind)| (*name, kind));
    let given = section.choice("balance", &words[0].1, &names);
    if !matches!(given, Balance::Hash(_)) {
        if let Some(value) = section.take("hash_by") {
            value.wrong(
                "only balance = \"hash\" hashes",
                "remove it, or write balance = \"hash\"",
            );
        }
        return given.clone();
    }
    let by = section.require("hash_by", HASH_BY);
    let by = by.and_then(|value| value.parsed(HASH_BY));
    by.map_or_else(|| given.clone(), Balance::Hash)
}

fn retry_on(section: &mut Section<'_>) -> RetryOn {
    let given = section.has("retry_on");
    let failures: Vec<Failure> = section.parsed_list("retry_on", FAILURE);
    match given {
        true => failures.into_iter().collect(),
        false => RetryOn::default(),
    }
}

fn tls(section: &mut Section<'_>, backends: &[BackendSettings]) -> Option<TlsSettings> {
    let value = section.take("tls")?;
    let settings = tls::read(&value)?;
    tls::check_names(&value, &settings, backends);
    Some(settings)
}

fn backends(value: &Value<'_>) -> Vec<BackendSettings> {
    let items = value.items(BACKENDS);
    if items.is_empty() && value.inner.is_array() {
        value.wrong("there is no backend", BACKENDS);
    }
    let mut seen = BTreeSet::new();
    let read = items.iter().filter_map(|item| {
        let backend = backend(item)?;
        if seen.insert((backend.host.clone(), backend.port)) {
            return Some(backend);
        }
        item.wrong(
            "the same backend stands here twice",
            "remove one of them; for a larger share give it a weight",
        );
        None
    });
    read.collect()
}

fn backend(item: &Value<'_>) -> Option<BackendSettings> {
    match item.inner {
        DeValue::String(_) => settings(item, DEFAULT_WEIGHT),
        _ => item.table(BACKEND, |section| {
            let address = section.require("address", ADDRESS);
            let weight = section.integer("weight", DEFAULT_WEIGHT, 1..=1000);
            settings(&address?, weight)
        })?,
    }
}

fn settings(address: &Value<'_>, weight: usize) -> Option<BackendSettings> {
    let (host, port) = address.parsed_by(split_address, ADDRESS)?;
    Some(BackendSettings { host, port, weight })
}

fn split_address(text: &str) -> Result<(String, u16), AddressError> {
    if text.contains('/') {
        return Err(AddressError::Url);
    }
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
    let host = parse_host(host)?;
    match port.parse() {
        Ok(port) if port > 0 && !text.contains('+') => Ok((host, port)),
        _ => Err(AddressError::Port),
    }
}

fn parse_host(host: &str) -> Result<String, AddressError> {
    if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| AddressError::Host)?;
        return Ok(address.to_string());
    }
    if host.contains(':') {
        return Err(AddressError::Brackets);
    }
    if host.parse::<Ipv4Addr>().is_ok() || is_host_name(host) {
        return Ok(host.to_ascii_lowercase());
    }
    Err(AddressError::Host)
}

/// A last label of digits makes a resolver read the name as an address.
fn is_host_name(host: &str) -> bool {
    let in_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(in_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = host.rsplit('.').next().is_some_and(|last| {
        last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit())
    });
    host.len() <= LONGEST_NAME && host.split('.').all(is_label) && !numeric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_or_ip_addresses_with_a_port() {
        let good = |text: &str, host: &str, port| {
            assert_eq!(split_address(text), Ok((host.to_owned(), port)));
        };
        good("127.0.0.1:9000", "127.0.0.1", 9000);
        good("[::1]:9000", "::1", 9000);
        good("Origin.example:80", "origin.example", 80);
        good("my_service-2:8080", "my_service-2", 8080);
    }

    #[test]
    fn other_texts_are_refused() {
        let bad = |text: &str, error| assert_eq!(split_address(text), Err(error), "{text}");
        bad("http://127.0.0.1:9000", AddressError::Url);
        bad("127.0.0.1", AddressError::NoPort);
        bad("::1:9000", AddressError::Brackets);
        bad("host:0", AddressError::Port);
        bad("host:65536", AddressError::Port);
        bad("host:+80", AddressError::Port);
        bad("host:", AddressError::Port);
        bad(":80", AddressError::Host);
        bad("a b:80", AddressError::Host);
        bad("-a:80", AddressError::Host);
        bad("127.1:80", AddressError::Host);
        bad("1.2.3.256:80", AddressError::Host);
        bad("[127.0.0.1]:80", AddressError::Host);
    }
}
