//! `proxy-config.toml`, which people start from.

use super::*;
use crate::{cache, config::Config, config::Server, edge, route::PathPattern};

/// The example, with every key that it shows commented out in force.
fn with_every_key() -> String {
    let text = text_of("proxy-config.toml");
    let shown = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            .map(str::to_owned)
    };
    let lines = text.lines();
    let lines = lines.map(|line| shown(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

fn example() -> Config {
    let parsed = parse_text(&text_of("proxy-config.toml"));
    assert_eq!(shown(&parsed), [""; 0]);
    parsed.config
}

#[test]
fn the_example_is_good_and_says_what_it_seems_to() {
    let config = example();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.upstreams["origin"].backends[0].port, 9000);
    let functions: Vec<_> = config.functions.keys().collect();
    assert_eq!(functions, ["headers", "hello", "limit", "rates", "visits"]);
    let hello = &config.functions["hello"];
    assert!(
        hello
            .module
            .starts_with("/etc/aegis/wasm-edge-function-example")
    );
    assert_eq!(hello.entry, "hello");
    assert_eq!(hello.config["greeting"], "Hello");
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(
        routes,
        ["hello", "visits", "rates", "pages", "health", "old"]
    );
    let pages = &config.routes[3];
    assert!(matches!(&pages.criteria.path, PathPattern::Prefix(path) if path.as_str() == "/"));
    assert_eq!(pages.functions, ["headers"]);
    assert_eq!(pages.upstream.as_deref(), Some("origin"));
}

#[test]
fn every_key_it_shows_is_known_and_well_formed() {
    let problems = parse_text(&with_every_key()).problems;
    let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
    // What stands for another way: another balance, a store's url, and an instance that is reused.
    assert_eq!(
        paths,
        [
            "upstreams.origin.hash_by",
            "cache.capacity",
            "cache.namespace_capacity",
            "functions.hello.reuse_limit"
        ]
    );
}

#[test]
fn the_defaults_it_shows_are_the_defaults() {
    let text = with_every_key().replace("\nurl = ", "\n#url = ");
    let text = text.replace("\npassword_file = ", "\n#password_file = ");
    let text = text.replace("\nca_file = \"store-", "\n#ca_file = \"store-");
    let text = text.replace("\nnear = ", "\n#near = ");
    let text = text.replace("\ntls = ", "\n#tls = ");
    let text = text.replace("\ncache_dir = ", "\n#cache_dir = ");
    let text = text.replace("\nreuse_limit = ", "\n#reuse_limit = ");
    let text = text.replace("\nhash_by = ", "\n#hash_by = ");
    let text = text.replace("\nhealth_check = ", "\n#health_check = ");
    let parsed = parse_text(&text);
    assert_eq!(shown(&parsed), [""; 0]);
    let (given, default) = (parsed.config, example());
    assert_eq!(given.server, Server::default());
    assert_eq!(given.cache, cache::Settings::default());
    let near = parse_text(&with_every_key()).config.cache.near;
    assert_eq!(near, Some(cache::NearSettings::default()));
    assert_eq!(given.edge, edge::Settings::default());
    assert_eq!(given.egress.allow_private, default.egress.allow_private);
    assert_eq!(given.egress.nameservers, default.egress.nameservers);
    assert_eq!(given.upstreams, default.upstreams);
    let (given, default) = (&given.functions["hello"], &default.functions["hello"]);
    assert_eq!(given.limits, edge::Limits::default());
    assert_eq!(given.body, default.body);
    assert_eq!(given.on_failure, default.on_failure);
    assert_eq!(given.breaker, Some(edge::BreakerSettings::default()));
    assert_eq!(given.instance, default.instance);
    assert_eq!(given.egress, default.egress);
    assert_eq!(given.cache_namespace, default.cache_namespace);
}

/// Asking for one unknown key in a section makes it list the ones it knows.
#[test]
fn it_shows_every_key_there_is() {
    let text = with_every_key();
    let probe = "zzzzzzzzzzzzzzzz = 1";
    let sections = [
        "[server]",
        "[server.limits]",
        "[[listeners]]",
        "[upstreams.origin]",
        "[cache]",
        "[egress]",
        "[edge]",
        "[edge.module_limits]",
        "[functions.hello]",
        "[functions.hello.limits]",
        "name = \"hello\"",
    ];
    for section in sections {
        let at = text.find(&format!("\n{section}")).unwrap() + 1;
        let line_end = at + text[at..].find('\n').unwrap();
        let mut probed = text.clone();
        probed.insert_str(line_end, &format!("\n{probe}"));
        let problems = parse_text(&probed).problems;
        let problem = problems
            .iter()
            .find(|p| p.message == "unknown key")
            .unwrap();
        let known = problem.remedy.strip_prefix("known here: ").unwrap();
        let body: Vec<_> = body_of(&text, at).collect();
        for key in known.split(", ").filter(|key| !shown_elsewhere(key)) {
            let written = |line: &&str| line.starts_with(&format!("{key} = "));
            assert!(body.iter().any(written), "{section} does not show {key}");
        }
    }
}

fn body_of(text: &str, at: usize) -> impl Iterator<Item = &str> {
    let lines = text[at..].lines();
    let first = lines.clone().take(1);
    first.chain(lines.skip(1).take_while(|line| !line.starts_with('[')))
}

/// Sections of their own, and what other routes than the first show.
fn shown_elsewhere(key: &str) -> bool {
    let keys = [
        "limits",
        "module_limits",
        "path",
        "path_regex",
        "upstream",
        "host",
        "files",
        "respond",
        "redirect",
        // Instead of strip_prefix and basic_auth.
        "rewrite",
        "jwt",
    ];
    keys.contains(&key)
}
