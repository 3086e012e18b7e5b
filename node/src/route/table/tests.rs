//! Each rule of matching and precedence on its own.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::route::PathPattern;

/// A route in words of the configuration: `scheme`, `host`, `path`, `path_prefix`, `path_regex`, `method`
/// and any other key as a header.
fn route(words: &[(&str, &str)]) -> Criteria {
    let mut criteria = Criteria::default();
    for &(key, value) in words {
        match key {
            "scheme" if value == "http" => criteria.scheme = Some(Scheme::Http),
            "scheme" => criteria.scheme = Some(Scheme::Https),
            "host" => criteria.hosts.push(value.parse().unwrap()),
            "path" => criteria.path = PathPattern::exact(value).unwrap(),
            "path_prefix" => criteria.path = PathPattern::prefix(value).unwrap(),
            "path_regex" => criteria.path = PathPattern::regex(value).unwrap(),
            "method" => criteria.methods.push(value.parse().unwrap()),
            header => criteria.headers.push((
                HeaderName::from_str(header).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )),
        }
    }
    criteria
}

/// A table whose targets are the routes' positions.
fn table(routes: &[&[(&str, &str)]]) -> Table<usize> {
    let positions = 0..routes.len();
    Table::new(routes.iter().map(|words| route(words)).zip(positions))
}

fn send<'t>(table: &'t Table<usize>, method: &str, host: &str, path: &str) -> Lookup<'t, usize> {
    table.find(&Request {
        scheme: Scheme::Http,
        host: Some(host),
        path,
        method: &method.parse().unwrap(),
        headers: &HeaderMap::new(),
    })
}

fn get(table: &Table<usize>, host: &str, path: &str) -> Option<usize> {
    match send(table, "GET", host, path) {
        Lookup::Found(&position) => Some(position),
        Lookup::NotFound => None,
        Lookup::MethodNotAllowed(methods) => panic!("refused, allowed are {methods:?}"),
    }
}

fn get_with(table: &Table<usize>, headers: &[(&'static str, &str)]) -> Option<usize> {
    let fields = headers.iter().map(|&(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    let request = Request {
        scheme: Scheme::Http,
        host: None,
        path: "/",
        method: &Method::GET,
        headers: &HeaderMap::from_iter(fields),
    };
    match table.find(&request) {
        Lookup::Found(&position) => Some(position),
        _ => None,
    }
}

fn allowed(lookup: Lookup<'_, usize>) -> Vec<String> {
    match lookup {
        Lookup::MethodNotAllowed(methods) => methods.iter().map(Method::to_string).collect(),
        other => panic!("not refused for its method: {other:?}"),
    }
}

#[test]
fn routes_for_the_scheme_come_before_all_others_and_those_for_another_never() {
    let table = table(&[
        &[("host", "a.test"), ("path", "/a")],
        &[("scheme", "http")],
        &[("scheme", "https"), ("path", "/b")],
        &[("scheme", "http"), ("path_prefix", "/kept")],
    ]);
    assert_eq!(get(&table, "a.test", "/a"), Some(1));
    assert_eq!(get(&table, "a.test", "/kept/x"), Some(3));
    let over_tls = |path| {
        table.find(&Request {
            scheme: Scheme::Https,
            host: Some("a.test"),
            path,
            method: &Method::GET,
            headers: &HeaderMap::new(),
        })
    };
    assert_eq!(over_tls("/a"), Lookup::Found(&0));
    assert_eq!(over_tls("/b"), Lookup::Found(&2));
    assert_eq!(over_tls("/c"), Lookup::NotFound);
    let order: Vec<_> = table
        .in_precedence()
        .into_iter()
        .map(|(_, at)| *at)
        .collect();
    assert_eq!(order, [2, 3, 1, 0]);
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(send(&table(&[]), "GET", "a.test", "/"), Lookup::NotFound);
}

#[test]
fn a_route_without_criteria_takes_every_request() {
    let table = table(&[&[]]);
    for host in ["a.test", "not a host", "", &"a".repeat(300)] {
        assert_eq!(get(&table, host, "/any/path"), Some(0), "{host}");
    }
    assert_eq!(get_with(&table, &[]), Some(0));
}

#[test]
fn a_prefix_ends_on_segment_borders() {
    for prefix in ["/rates", "/rates/"] {
        let table = table(&[&[("path_prefix", prefix)]]);
        for covered in ["/rates", "/rates/", "/rates/x", "/rates/x/y"] {
            assert_eq!(get(&table, "a.test", covered), Some(0), "{covered}");
        }
        for other in ["/ratesx", "/rate", "/", "/Rates", "/x/rates", "/rates%2Fx"] {
            assert_eq!(get(&table, "a.test", other), None, "{other}");
        }
    }
}

#[test]
fn an_exact_path_is_that_path_only() {
    let table = table(&[&[("path", "/a")]]);
    assert_eq!(get(&table, "a.test", "/a"), Some(0));
    assert_eq!(get(&table, "a.test", "/a/"), None);
    assert_eq!(get(&table, "a.test", "/a/b"), None);
}

#[test]
fn a_regex_is_not_anchored() {
    let table = table(&[&[("path_regex", "v[0-9]+")]]);
    assert_eq!(get(&table, "a.test", "/api/v12/x"), Some(0));
    assert_eq!(get(&table, "a.test", "/api/v"), None);
}

#[test]
fn exact_path_comes_before_regex_before_longest_prefix() {
    let table = table(&[
        &[("path_prefix", "/a"), ("method", "GET"), ("x", "1")],
        &[("path_prefix", "/a/b")],
        &[("path_regex", "^/a/b/[cd]$")],
        &[("path", "/a/b/c")],
    ]);
    assert_eq!(get(&table, "a.test", "/a/b/c"), Some(3));
    assert_eq!(get(&table, "a.test", "/a/b/d"), Some(2));
    assert_eq!(get(&table, "a.test", "/a/b/e"), Some(1));
    assert_eq!(get(&table, "a.test", "/a/e"), None);
}

#[test]
fn regexes_rank_by_file_order_whatever_their_methods() {
    let table = table(&[
        &[("path_regex", "^/a")],
        &[("path_regex", "^/a/b"), ("method", "GET")],
    ]);
    assert_eq!(get(&table, "a.test", "/a/b"), Some(0));
}

#[test]
fn routes_with_the_same_regex_rank_like_routes_with_the_same_path() {
    let table = table(&[
        &[("path_regex", "^/a")],
        &[("path_regex", "/b$")],
        &[("path_regex", "^/a"), ("method", "GET")],
    ]);
    assert_eq!(get(&table, "a.test", "/a/b"), Some(2));
    assert_eq!(send(&table, "PUT", "a.test", "/a/b"), Lookup::Found(&0));
}

#[test]
fn a_wildcard_covers_one_or_more_labels_but_not_the_name_itself() {
    let table = table(&[&[("host", "*.x.test")]]);
    assert_eq!(get(&table, "a.x.test", "/"), Some(0));
    assert_eq!(get(&table, "a.b.x.test", "/"), Some(0));
    for other in [
        "x.test",
        ".x.test",
        "ax.test",
        "a..x.test",
        "test",
        "a.x.test.y",
    ] {
        assert_eq!(get(&table, other, "/"), None, "{other}");
    }
}

#[test]
fn hosts_are_compared_without_case_port_and_trailing_dot() {
    let table = table(&[
        &[("host", "A.test")],
        &[("host", "*.B.test")],
        &[("host", "[2001:db8::1]")],
    ]);
    assert_eq!(get(&table, "a.TEST.:8080", "/"), Some(0));
    assert_eq!(get(&table, "X.b.Test:80", "/"), Some(1));
    assert_eq!(get(&table, "[2001:DB8:0::1]:80", "/"), Some(2));
}

#[test]
fn exact_host_comes_before_longest_wildcard_before_any() {
    let table = table(&[
        &[("path", "/p"), ("method", "GET"), ("host", "*.test")],
        &[("path", "/p"), ("method", "GET")],
        &[("host", "*.b.test")],
        &[("host", "a.b.test")],
    ]);
    assert_eq!(get(&table, "a.b.test", "/p"), Some(3));
    assert_eq!(get(&table, "c.b.test", "/p"), Some(2));
    assert_eq!(get(&table, "c.test", "/p"), Some(0));
    assert_eq!(get(&table, "other.example", "/p"), Some(1));
}

#[test]
fn a_less_specific_host_is_used_when_no_route_of_a_more_specific_one_matches() {
    let table = table(&[
        &[("host", "a.b.test"), ("path", "/exact")],
        &[("host", "*.b.test"), ("path_prefix", "/b")],
        &[("host", "*.test"), ("path_prefix", "/t")],
        &[],
    ]);
    assert_eq!(get(&table, "a.b.test", "/exact"), Some(0));
    assert_eq!(get(&table, "a.b.test", "/b"), Some(1));
    assert_eq!(get(&table, "a.b.test", "/t"), Some(2));
    assert_eq!(get(&table, "a.b.test", "/x"), Some(3));
}

#[test]
fn any_of_several_hosts_will_do() {
    let table = table(&[&[("host", "a.test"), ("host", "*.b.test")]]);
    assert_eq!(get(&table, "a.test", "/"), Some(0));
    assert_eq!(get(&table, "x.b.test", "/"), Some(0));
    assert_eq!(get(&table, "b.test", "/"), None);
}

#[test]
fn a_named_method_comes_before_any_method_and_before_more_headers() {
    let table = table(&[&[("x", "1"), ("y", "1")], &[], &[("method", "GET")]]);
    assert_eq!(get_with(&table, &[("x", "1"), ("y", "1")]), Some(2));
}

#[test]
fn more_headers_come_before_fewer_and_then_the_file_order() {
    let table = table(&[&[("x", "1")], &[("y", "1")], &[("x", "1"), ("y", "1")], &[]]);
    assert_eq!(get_with(&table, &[("x", "1"), ("y", "1")]), Some(2));
    assert_eq!(get_with(&table, &[("y", "1")]), Some(1));
    assert_eq!(get_with(&table, &[]), Some(3));

    let equal = self::table(&[&[("x", "1")], &[("y", "1")]]);
    assert_eq!(get_with(&equal, &[("x", "1"), ("y", "1")]), Some(0));
}

#[test]
fn header_values_are_compared_exactly_to_any_of_the_values() {
    let table = table(&[&[("x-tier", "gold")]]);
    assert_eq!(get_with(&table, &[("x-tier", "gold")]), Some(0));
    assert_eq!(
        get_with(&table, &[("x-tier", "tin"), ("x-tier", "gold")]),
        Some(0)
    );
    for other in ["Gold", "golden", "gold,tin", ""] {
        assert_eq!(get_with(&table, &[("x-tier", other)]), None, "{other}");
    }
    assert_eq!(get_with(&table, &[]), None);
}

#[test]
fn get_does_not_imply_head() {
    let table = table(&[&[("method", "GET")]]);
    assert_eq!(allowed(send(&table, "HEAD", "a.test", "/")), ["GET"]);
    assert_eq!(allowed(send(&table, "get", "a.test", "/")), ["GET"]);
}

#[test]
fn a_refused_method_lists_those_of_all_routes_that_would_match_sorted_and_once() {
    let table = table(&[
        &[
            ("host", "a.test"),
            ("path", "/p"),
            ("method", "PUT"),
            ("method", "GET"),
        ],
        &[
            ("host", "*.test"),
            ("path_regex", "p"),
            ("method", "DELETE"),
        ],
        &[("path_prefix", "/p"), ("method", "PUT"), ("method", "PUT")],
        &[("path", "/other"), ("method", "PATCH")],
        &[("path", "/p"), ("method", "PATCH"), ("x", "1")],
        &[("host", "b.test"), ("path", "/p"), ("method", "PATCH")],
    ]);
    assert_eq!(
        allowed(send(&table, "POST", "a.test", "/p")),
        ["DELETE", "GET", "PUT"]
    );
    assert_eq!(send(&table, "POST", "a.test", "/q"), Lookup::NotFound);
}

#[test]
fn a_refused_method_gives_way_to_a_lesser_route_that_allows_it() {
    let table = table(&[
        &[("host", "a.test"), ("path", "/p"), ("method", "PUT")],
        &[],
    ]);
    assert_eq!(get(&table, "a.test", "/p"), Some(1));
}

#[test]
fn the_longest_path_and_the_deepest_prefix_are_found() {
    let deep = "/a".repeat(4000);
    let half = "/a".repeat(2000);
    let table = table(&[&[("path_prefix", "/a")], &[("path_prefix", &half)]]);
    assert_eq!(get(&table, "a.test", &deep), Some(1));
    assert_eq!(get(&table, "a.test", &deep[..3998]), Some(0));
    assert_eq!(get(&table, "a.test", &half), Some(1));
}

#[test]
fn routes_are_listed_in_precedence_order_each_once() {
    let table = table(&[
        &[],
        &[("path_regex", "b")],
        &[("path_prefix", "/long")],
        &[("path_prefix", "/longer"), ("x", "1")],
        &[("path_regex", "a")],
        &[("path_prefix", "/longer"), ("method", "GET")],
        &[("host", "*.test"), ("path", "/p")],
        &[("host", "*.b.test"), ("host", "*.c")],
        &[("path", "/p")],
        &[("host", "*.z"), ("host", "a.test")],
        &[("path_regex", "b"), ("x", "1")],
    ]);
    let listed: Vec<_> = table
        .in_precedence()
        .into_iter()
        .map(|(_, &at)| at)
        .collect();
    assert_eq!(listed, [9, 7, 6, 8, 10, 1, 4, 5, 3, 2, 0]);
}
