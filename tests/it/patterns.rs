//! The example's patterns on the node: each real function does what the guide says it is for.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Answer, EGRESS, Gate, Https, Node, Origin, Redis, Request, Setup, node};
use crate::shipped::{MODULE, ROOT, require_example};

/// A node with one function of the example in front of `origin`; `keys` are the rest of its table.
fn running(origin: &Origin, keys: &str) -> Setup {
    require_example();
    let toml = r#"
        [functions.pattern]
        module = "{module}"
        {keys}
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["pattern"]
        upstream = "origin""#;
    node(&toml.replace("{keys}", keys))
        .set("module", &format!("{ROOT}/{MODULE}"))
        .set("origin", &origin.address)
}

/// The same, with the right to call `https`; `{url}` in `keys` is its address without a path.
fn calling(https: &Https, keys: &str) -> Node {
    let setup = running(&Origin::saying("not asked"), &format!("{keys}\n{EGRESS}"));
    https
        .reachable_from(setup)
        .set("url", &https.url(""))
        .start()
}

#[test]
fn cache_aside_asks_its_source_once_and_keeps_no_errors() {
    let https = Https::start(|request| match request.target.as_str() {
        "/broken" => Answer::new(500, "{}"),
        target => Answer::ok(format!("{{\"of\":\"{target}\"}}")),
    });
    let node = calling(
        &https,
        r#"entry = "cache_aside"
        config = { source = "{url}" }"#,
    );
    for (target, status, cache) in [
        ("/tea?cup=1", 200, Some("miss")),
        ("/tea?cup=1", 200, Some("hit")),
        ("/milk", 200, Some("miss")),
        ("/broken", 502, None),
        ("/broken", 502, None),
    ] {
        let response = node.get(target);
        assert_eq!(
            (response.status, response.header("x-cache")),
            (status, cache)
        );
    }
    assert_eq!(node.get("/tea?cup=1").text(), "{\"of\":\"/tea?cup=1\"}");
    assert_eq!(https.origin.requests().len(), 4);
    assert_eq!(
        https.origin.last().header("accept"),
        Some("application/json")
    );
}

#[test]
fn stale_if_error_serves_what_it_has_while_its_source_is_down() {
    let asked = AtomicUsize::new(0);
    let https = Https::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::ok("first"),
        1 => Answer::new(503, "sorry"),
        2 => Answer::raw("nonsense"),
        _ => Answer::ok("second"),
    });
    let node = calling(
        &https,
        r#"entry = "stale_if_error"
        config = { url = "{url}/status", fresh = "0" }"#,
    );
    for (cache, text) in [
        ("miss", "first"),
        ("stale", "first"),
        ("stale", "first"),
        ("miss", "second"),
    ] {
        let response = node.get("/");
        let served = (response.status, response.header("x-cache"));
        assert_eq!(served, (200, Some(cache)));
        assert_eq!(response.text(), text);
    }
    assert_eq!(https.origin.requests().len(), 4);
}

#[test]
fn token_check_lets_nobody_past_without_the_token() {
    let origin = Origin::saying("secret page");
    let node = running(
        &origin,
        r#"entry = "token_check"
        config = { token = "${TOKEN}" }"#,
    );
    let node = node.environment("TOKEN", &"s3cret").start();
    let with = |value| node.send(&Request::get("/").header("Authorization", value));
    for wrong in ["Bearer S3cret", "Bearer s3cret2", "Basic s3cret", ""] {
        let response = with(wrong);
        assert_eq!(response.status, 401, "{wrong}");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(node.get("/").status, 401);
    assert!(origin.requests().is_empty());

    assert_eq!(with("Bearer s3cret").text(), "secret page");
    assert_eq!(origin.last().header("authorization"), None);
}

#[test]
fn ab_test_keeps_a_visitor_on_the_variant_of_the_cookie() {
    let origin = Origin::saying("page");
    let node = running(&origin, r#"entry = "ab_test""#).start();

    let response = node.get("/shop?item=3");
    let cookie = response.header("set-cookie").expect("a cookie");
    let (pair, _) = cookie.split_once(';').expect("attributes");
    let variant = pair.strip_prefix("variant=").expect(pair);
    assert_eq!(origin.last().header("x-variant"), Some(variant));
    assert_eq!(response.header("vary"), Some("cookie"));

    for (cookie, target) in [
        ("variant=a", "/shop?item=3"),
        ("variant=b", "/b/shop?item=3"),
    ] {
        let response = node.send(&Request::get("/shop?item=3").header("Cookie", cookie));
        assert_eq!(response.header("set-cookie"), None);
        assert_eq!(origin.last().target, target);
    }
}

#[test]
fn geo_header_says_where_a_client_is_and_clients_do_not() {
    for (networks, country) in [
        ("203.0.113.0/24=AU 127.0.0.0/8=NZ", Some("NZ")),
        ("203.0.113.0/24=AU", None),
    ] {
        let origin = Origin::saying("page");
        let node = running(
            &origin,
            r#"entry = "geo_header"
            config = { networks = "{networks}" }"#,
        );
        let node = node.set("networks", &networks).start();
        let forged = node.send(&Request::get("/").header("X-Country", "XX"));
        assert_eq!(forged.text(), "page");
        assert_eq!(origin.last().header("x-country"), country, "{networks}");
    }
}

#[test]
fn rate_limit_is_one_for_all_nodes_and_says_when_to_come_back() {
    let (origin, redis) = (Origin::saying("page"), Redis::start());
    let start = || {
        let setup = running(
            &origin,
            r#"entry = "rate_limit"
            config = { limit = "2" }
            [cache]
            url = "redis://{redis}""#,
        );
        setup.set("redis", &redis.address).start()
    };
    let nodes = [start(), start()];
    assert_eq!(nodes[0].get("/").status, 200);
    assert_eq!(nodes[1].get("/").status, 200);
    for node in &nodes {
        let refused = node.get("/");
        assert_eq!(refused.status, 429);
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn fan_out_asks_all_sources_at_once_and_joins_what_they_say() {
    let (all_are_there, asked) = (Gate::default(), AtomicUsize::new(0));
    let https = Https::start(move |request| {
        if asked.fetch_add(1, Ordering::SeqCst) == 2 {
            all_are_there.open();
        }
        let answer = match request.target.as_str() {
            "/broken" => Answer::new(500, "{}"),
            target => Answer::ok(format!("{{\"path\":\"{target}\"}}")),
        };
        answer.held(&all_are_there)
    });
    let node = calling(
        &https,
        r#"entry = "fan_out"
        config = { sources = "a={url}/one b={url}/broken c={url}/two" }"#,
    );
    assert_eq!(
        node.get("/").text(),
        "{\"a\":{\"path\":\"/one\"},\"b\":null,\"c\":{\"path\":\"/two\"}}\n"
    );
}

#[test]
fn rewrite_html_changes_pages_and_nothing_else() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/page" => Answer::ok("<body>hello</body></html>")
            .header("Content-Type", "text/html")
            .header("ETag", "\"1\""),
        _ => Answer::ok("[\"</body>\"]").header("Content-Type", "application/json"),
    });
    let node = running(
        &origin,
        r#"entry = "ask_for_all"
        response_entry = "rewrite_html"
        body = "response"
        config = { banner = "<hr>" }"#,
    );
    let node = node.start();
    let part = Request::get("/page").header("Range", "bytes=0-3");
    let page = node.send(&part.header("Accept-Encoding", "gzip"));
    assert_eq!(page.text(), "<body>hello<hr></body></html>");
    assert_eq!(page.header("x-rewritten"), Some("yes"));
    assert_eq!((page.header("etag"), page.complete), (None, true));
    assert_eq!(origin.last().header("accept-encoding"), Some("identity"));
    assert_eq!(origin.last().header("range"), None);

    let other = node.get("/data");
    assert_eq!(other.text(), "[\"</body>\"]");
    assert_eq!(other.header("x-rewritten"), None);
}

#[test]
fn error_page_replaces_what_a_failing_upstream_says() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/broken" => Answer::new(503, "stack trace"),
        "/absent" => Answer::new(404, "no such page"),
        _ => Answer::ok("page"),
    });
    let keys = r#"entry = "add_headers"
        response_entry = "error_page"
        config = { page = "back soon" }"#;
    let node = running(&origin, keys).start();
    for (target, status, text) in [
        ("/broken", 503, "back soon"),
        ("/absent", 404, "no such page"),
        ("/", 200, "page"),
    ] {
        let response = node.get(target);
        assert_eq!((response.status, response.text().as_str()), (status, text));
        assert_eq!(response.header("x-edge"), Some("aegis"));
    }
}

#[test]
fn hit_counter_counts_every_request_of_many_at_once() {
    const CLIENTS: usize = 16;
    let origin = Origin::saying("page");
    let node = running(&origin, r#"entry = "hit_counter""#).start();
    let hits = |target| -> usize {
        let response = node.get(target);
        assert_eq!(response.text(), "page");
        response.header("x-hits").unwrap().parse().unwrap()
    };
    let mut counted: Vec<usize> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| hits("/a"))).collect();
        clients.into_iter().map(|it| it.join().unwrap()).collect()
    });
    counted.sort_unstable();
    assert_eq!(counted, (1..=CLIENTS).collect::<Vec<_>>());
    assert_eq!(hits("/b"), 1);
}
