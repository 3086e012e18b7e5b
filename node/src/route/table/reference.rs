//! The table against the rules written down naively: every route is tried, the best kept.

use std::cmp::Reverse;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::route::{HostPattern, PathPattern};

const HOSTS: &[&str] = &[
    "b.test",
    "a.b.test",
    "c.test",
    "*.test",
    "*.b.test",
    "*.a.b.test",
];
const REGEXES: &[&str] = &["^/a", "b", "/$", "^/a/b$", "a.*c"];
const METHODS: &[&str] = &["GET", "PUT", "POST"];
const HEADERS: &[&str] = &["x-a", "x-b"];
const VALUES: &[&str] = &["1", "2"];

/// What ranks a route for one request; the least wins.
type NaiveRank = (
    bool,
    Reverse<usize>,
    u8,
    usize,
    Reverse<usize>,
    bool,
    Reverse<usize>,
    usize,
);

#[derive(Debug)]
struct Sent {
    scheme: Scheme,
    host: Option<String>,
    path: String,
    method: Method,
    headers: HeaderMap,
}

/// How specific `pattern` is if it covers `host`, by its length; an exact host beats all.
fn host_specificity(pattern: &HostPattern, host: &str) -> Option<usize> {
    let text = pattern.to_string();
    match text.strip_prefix('*') {
        Some(suffix) => {
            (host.ends_with(suffix) && host.len() > suffix.len()).then_some(suffix.len())
        }
        None => (host == text).then_some(usize::MAX),
    }
}

fn path_matches(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => path == exact.as_str(),
        PathPattern::Regex(regex) => regex.is_match(path),
        PathPattern::Prefix(prefix) => {
            let border = format!("{}/", prefix.as_str().trim_end_matches('/'));
            path == prefix.as_str() || path.starts_with(&border)
        }
    }
}

/// `None` if the route does not match, whatever the method.
fn naive_rank(routes: &[Criteria], at: usize, sent: &Sent) -> Option<NaiveRank> {
    let route = &routes[at];
    let host = sent.host.as_deref().unwrap_or("");
    let (specificity, pattern) = if route.hosts.is_empty() {
        (0, None)
    } else {
        let hosts = route.hosts.iter();
        let matching = hosts.filter_map(|p| Some((host_specificity(p, host)?, Some(p))));
        matching.max_by_key(|(specificity, _)| *specificity)?
    };
    let same_regex = |other: &Criteria| {
        matches!(other.path, PathPattern::Regex(_))
            && other.path.as_str() == route.path.as_str()
            && other.scheme == route.scheme
            && pattern.map_or(other.hosts.is_empty(), |p| other.hosts.contains(p))
    };
    let (kind, first_use, length) = match &route.path {
        PathPattern::Exact(_) => (0, 0, 0),
        PathPattern::Regex(_) => (1, routes.iter().position(same_regex)?, 0),
        PathPattern::Prefix(prefix) => (2, 0, prefix.as_str().len()),
    };
    let headers_match = route
        .headers
        .iter()
        .all(|(name, value)| sent.headers.get_all(name).iter().any(|v| v == value));
    let scheme_matches = route.scheme.is_none_or(|scheme| scheme == sent.scheme);
    (scheme_matches && path_matches(&route.path, &sent.path) && headers_match).then_some((
        route.scheme.is_none(),
        Reverse(specificity),
        kind,
        first_use,
        Reverse(length),
        route.methods.is_empty(),
        Reverse(route.headers.len()),
        at,
    ))
}

fn naive_find<'r>(routes: &[Criteria], positions: &'r [usize], sent: &Sent) -> Lookup<'r, usize> {
    let mut matching: Vec<_> = (0..routes.len())
        .filter_map(|at| naive_rank(routes, at, sent).map(|rank| (rank, at)))
        .collect();
    matching.sort();
    let allows =
        |at: usize| routes[at].methods.is_empty() || routes[at].methods.contains(&sent.method);
    if let Some((_, at)) = matching.iter().find(|(_, at)| allows(*at)) {
        return Lookup::Found(&positions[*at]);
    }
    let mut methods: Vec<_> = matching
        .iter()
        .flat_map(|(_, at)| routes[*at].methods.clone())
        .collect();
    methods.sort_by_key(Method::to_string);
    methods.dedup();
    if methods.is_empty() {
        Lookup::NotFound
    } else {
        Lookup::MethodNotAllowed(methods)
    }
}

fn paths() -> impl Strategy<Value = String> {
    (vec(select(vec!["a", "b", "ab", "c"]), 0..4), any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path != "/" {
            path + "/"
        } else {
            path
        }
    })
}

fn patterns() -> impl Strategy<Value = PathPattern> {
    prop_oneof![
        paths().prop_map(|path| PathPattern::exact(&path).unwrap()),
        paths().prop_map(|path| PathPattern::prefix(&path).unwrap()),
        select(REGEXES).prop_map(|regex| PathPattern::regex(regex).unwrap()),
    ]
}

fn headers(most: usize) -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let header = (select(HEADERS), select(VALUES));
    let typed = |(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    vec(header.prop_map(typed), 0..=most)
}

fn routes(most_hosts: usize) -> impl Strategy<Value = Vec<Criteria>> {
    let hosts = vec(
        select(HOSTS).prop_map(|host| host.parse().unwrap()),
        0..=most_hosts,
    );
    let methods = vec(
        select(METHODS).prop_map(|method| method.parse().unwrap()),
        0..=2,
    );
    let route = (schemes(), hosts, patterns(), methods, headers(2)).prop_map(
        |(scheme, hosts, path, methods, headers)| Criteria {
            scheme,
            hosts,
            path,
            methods,
            headers,
        },
    );
    vec(route, 0..24)
}

fn schemes() -> impl Strategy<Value = Option<Scheme>> {
    prop::option::weighted(0.3, select(vec![Scheme::Http, Scheme::Https]))
}

fn requests() -> impl Strategy<Value = Sent> {
    let names = vec![
        "b.test",
        "a.b.test",
        "c.test",
        "x.test",
        "x.b.test",
        "x.y.a.b.test",
        "other",
    ];
    let host = prop::option::weighted(0.9, select(names).prop_map(str::to_owned));
    let method = select(METHODS).prop_map(|method| method.parse().unwrap());
    let scheme = select(vec![Scheme::Http, Scheme::Https]);
    (scheme, host, paths(), method, headers(3)).prop_map(|(scheme, host, path, method, fields)| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        Sent {
            scheme,
            host,
            path,
            method,
            headers,
        }
    })
}

fn find<'t>(table: &'t Table<usize>, sent: &Sent) -> Lookup<'t, usize> {
    table.find(&Request {
        scheme: sent.scheme,
        host: sent.host.as_deref(),
        path: &sent.path,
        method: &sent.method,
        headers: &sent.headers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_table_finds_what_trying_every_route_finds(
        routes in routes(3),
        requests in vec(requests(), 1..16),
    ) {
        let positions = Vec::from_iter(0..routes.len());
        let table = Table::new(routes.iter().cloned().zip(0..));
        for sent in &requests {
            prop_assert_eq!(find(&table, sent), naive_find(&routes, &positions, sent), "{:?}", sent);
        }
    }

    #[test]
    fn where_routes_have_one_host_the_first_listed_that_matches_is_found(
        routes in routes(1),
        requests in vec(requests(), 1..16),
    ) {
        let table = Table::new(routes.iter().cloned().zip(0..));
        for sent in &requests {
            let listed = table.in_precedence();
            let first = listed.iter().find(|(route, at)| {
                naive_rank(&routes, **at, sent).is_some() && route.allows(&sent.method)
            });
            let found = match find(&table, sent) {
                Lookup::Found(at) => Some(at),
                _ => None,
            };
            prop_assert_eq!(found, first.map(|(_, at)| *at), "{:?}", sent);
        }
    }
}
