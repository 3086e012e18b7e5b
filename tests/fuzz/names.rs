//! Paths, hosts, URLs and addresses: what is taken has a normal form, and everything else agrees
//! about it.

use std::cell::Cell;

use aegis_node::cache::{Namespace, StoreUrl};
use aegis_node::egress::{AllowEntry, AllowList, Host, Target};
use aegis_node::route::normal::normalise;
use aegis_node::route::{HostPattern, PathPattern};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use super::campaign::Campaign;

const HOSTS: &[&str] = &[
    "a",
    "example",
    "com",
    ".",
    "..",
    "-",
    "_",
    "*",
    "xn--",
    "xn--a",
    "ß",
    "Ａ",
    "。",
    "127",
    "0x7f",
    "017",
    "0",
    "1",
    "::",
    "::1",
    "[",
    "]",
    "%25",
    "%41",
    "localhost",
    "internal",
    "LOCAL",
    ":",
    "443",
    ":0",
    ":65536",
    ":+1",
    "@",
    "user:pass@",
    "\u{200d}",
    "İ",
    "ſ",
];

const URLS: &[&str] = &[
    "https", "HTTPS", "http", ":", "/", "//", "://", "\\", "?", "#", "..", "%2e", "%2F", "%", " ",
    "\t", "\n", "\0", "é", "redis", "rediss", "unix",
];

const PATHS: &[&str] = &[
    "/", "/", "/", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%00", "%7f", "%61", "%25",
    "%252e", "%c0%ae", "\\", ";", "?", "#", " ", "a", "~", "é", "%", "%g0", "|", "[", "\"",
];

/// Texts put together from `splinters`, or any text at all.
fn text(splinters: Vec<&'static str>, most: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        20 => select(splinters).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => any::<char>().prop_map(|c| c.to_string()),
    ];
    prop::collection::vec(part, 0..most).prop_map(|parts| parts.concat())
}

/// Mostly absolute paths.
fn paths() -> impl Strategy<Value = String> {
    text(PATHS.to_vec(), 20).prop_map(|text| format!("/{text}"))
}

/// Whether an input was taken for what it should be.
type Taken = Result<bool, TestCaseError>;

/// Runs `check` on many inputs, of which some at least have to be taken.
fn run<S: Strategy>(name: &'static str, strategy: &S, check: impl Fn(S::Value) -> Taken) {
    let campaign = Campaign::new(name, 8000);
    let taken = Cell::new(0);
    let count = |input| {
        taken.set(taken.get() + u64::from(check(input)?));
        Ok(())
    };
    campaign.runner().run(strategy, count).unwrap();
    campaign.report(&format!("{} taken", taken.get()));
    assert!(taken.get() > 100, "hardly anything was tested");
}

#[test]
fn a_normal_path_is_its_own_normal_form_and_hides_nothing() {
    run("a_normal_path", &paths(), |path| {
        let Ok(once) = normalise(&path) else {
            return Ok(false);
        };
        let normal = once.path.into_owned();
        let twice = normalise(&normal).unwrap();
        prop_assert_eq!(&*twice.path, &normal);
        // One that a later `..` took away still came with the path.
        prop_assert!(once.encoded_slash || !normal.contains("%2F"));
        prop_assert!(normal.starts_with('/') && normal.is_ascii());
        prop_assert!(!normal.contains(|c: char| c.is_control() || " \\?#".contains(c)));
        let inner =
            &normal[1..normal.len() - usize::from(normal.len() > 1 && normal.ends_with('/'))];
        if !inner.is_empty() {
            let bad = |segment: &str| matches!(segment, "" | "." | "..");
            prop_assert!(!inner.split('/').any(bad), "{normal}");
        }
        for (at, _) in normal.match_indices('%') {
            let byte = u8::from_str_radix(&normal[at + 1..at + 3], 16).unwrap();
            prop_assert!(
                !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte),
                "{normal}"
            );
            prop_assert!(!normal[at..at + 3].contains(|c: char| c.is_ascii_lowercase()));
        }
        prop_assert!(PathPattern::exact(&normal).is_ok() && PathPattern::prefix(&normal).is_ok());
        Ok(true)
    });
}

#[test]
fn patterns_of_paths_are_normal_or_refused() {
    run("patterns_of_paths", &paths(), |path| {
        PathPattern::prefix(&path).ok();
        PathPattern::regex(&path).ok();
        let Ok(exact) = PathPattern::exact(&path) else {
            return Ok(false);
        };
        prop_assert_eq!(&*normalise(exact.as_str()).unwrap().path, exact.as_str());
        Ok(true)
    });
}

#[test]
fn where_a_url_leads_is_where_its_normal_form_leads() {
    let rest = prop_oneof![
        select(&["", "/", ":8443/a?b#c"][..]).prop_map(str::to_owned),
        text(URLS.to_vec(), 6),
    ];
    let host = prop_oneof![text(HOSTS.to_vec(), 5), text([HOSTS, URLS].concat(), 8)];
    let urls = (prop::bool::weighted(0.9), host, rest);
    run("where_a_url_leads", &urls, |(scheme, host, rest)| {
        let start = if scheme { "https://" } else { "" };
        let Ok(target) = format!("{start}{host}{rest}").parse::<Target>() else {
            return Ok(false);
        };
        prop_assert_ne!(target.port, 0);
        let again: Target = format!("https://{}:{}/", target.host, target.port)
            .parse()
            .unwrap();
        prop_assert_eq!(&again, &target);
        if let Host::Name(name) = &target.host {
            let allowed =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            prop_assert!(name.bytes().all(allowed) && !name.ends_with('.'), "{name}");
        }
        // What names the host of a target covers that target and, without the port, only port 443.
        let exact: AllowEntry = format!("{}:{}", target.host, target.port).parse().unwrap();
        prop_assert!(AllowList::from_iter([exact]).allows(&target));
        let bare: AllowEntry = target.host.to_string().parse().unwrap();
        prop_assert_eq!(
            AllowList::from_iter([bare]).allows(&target),
            target.port == 443
        );
        Ok(true)
    });
}

#[test]
fn an_allow_entry_is_read_back_from_what_it_shows() {
    run("an_allow_entry", &text(HOSTS.to_vec(), 8), |entry| {
        let Ok(entry) = entry.parse::<AllowEntry>() else {
            return Ok(false);
        };
        prop_assert_eq!(entry.to_string().parse::<AllowEntry>(), Ok(entry.clone()));
        // Whatever the entry: a wildcard never reaches addresses or names of the inside.
        let list = AllowList::from_iter([entry.clone()]);
        for inside in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://a.internal/",
        ] {
            let covered = list.allows(&inside.parse().unwrap());
            prop_assert!(
                !(covered && entry.to_string().starts_with('*')),
                "{entry} {inside}"
            );
        }
        Ok(true)
    });
}

#[test]
fn a_host_pattern_is_refused_or_taken_without_a_panic() {
    run("a_host_pattern", &text(HOSTS.to_vec(), 8), |host| {
        host.parse::<Namespace>().ok();
        let Ok(pattern) = host.parse::<HostPattern>() else {
            return Ok(false);
        };
        let again = pattern.to_string().parse::<HostPattern>();
        prop_assert_eq!(again, Ok(pattern));
        Ok(true)
    });
}

#[test]
fn the_address_of_a_store_never_shows_its_password() {
    let urls = (
        text([HOSTS, URLS].concat(), 6),
        text([HOSTS, URLS].concat(), 6),
    );
    run("the_address_of_a_store", &urls, |(user, rest)| {
        let mut taken = false;
        for url in [
            format!("redis://{rest}"),
            format!("redis://{user}:hunter2@{rest}"),
        ] {
            let parsed = url.parse::<StoreUrl>();
            let shown = match &parsed {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains("hunter2"), "{url}: {shown}");
            taken |= parsed.is_ok();
        }
        Ok(taken)
    });
}
