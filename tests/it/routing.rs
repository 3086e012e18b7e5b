//! Which route answers a request, and what a route answers by itself.

use serde_json::Value;

use crate::harness::{Node, Request, node};

/// A node with one `respond` route per entry: its name, which is also its body, and its keys.
fn routes(routes: &[(&str, &str)]) -> Node {
    let toml: String = routes
        .iter()
        .map(|(name, keys)| {
            format!("[[routes]]\nname = \"{name}\"\n{keys}\nrespond = {{ status = 200, body = \"{name}\" }}\n")
        })
        .collect();
    node(&toml).start()
}

fn check(node: &Node, requests: &[(Request, &str)]) {
    for (request, expected) in requests {
        let response = node.send(request);
        let answered = if response.status == 200 {
            response.text()
        } else {
            response.error().1.to_owned()
        };
        assert_eq!(
            answered,
            *expected,
            "{}",
            String::from_utf8_lossy(&request.bytes())
        );
    }
}

#[test]
fn hosts_match_exactly_then_by_the_longest_wildcard_then_any() {
    let node = routes(&[
        ("any", ""),
        ("wide", r#"hosts = ["*.example.org"]"#),
        ("narrow", r#"hosts = ["*.api.example.org"]"#),
        ("exact", r#"hosts = ["www.api.example.org", "two.test"]"#),
    ]);
    let to = |host| Request::get("/").host(host);
    check(
        &node,
        &[
            (to("www.api.example.org"), "exact"),
            (to("WWW.API.Example.Org:8080"), "exact"),
            (to("two.test"), "exact"),
            (to("Two.Test."), "exact"),
            (to("two.test.:443"), "exact"),
            (to("x.api.example.org"), "narrow"),
            (to("a.b.api.example.org"), "narrow"),
            (to("api.example.org"), "wide"),
            (to("a.b.example.org"), "wide"),
            (to("example.org"), "any"),
            (to("notexample.org"), "any"),
        ],
    );
}

#[test]
fn a_less_specific_host_is_used_when_the_specific_one_has_no_matching_route() {
    let node = routes(&[
        ("exact", "hosts = [\"one.example.org\"]\npath = \"/only\""),
        (
            "wildcard",
            "hosts = [\"*.example.org\"]\npath_prefix = \"/w\"",
        ),
        ("any", "path_prefix = \"/x\""),
    ]);
    let to = |path| Request::get(path).host("one.example.org");
    check(
        &node,
        &[
            (to("/only"), "exact"),
            (to("/w"), "wildcard"),
            (to("/x"), "any"),
            (to("/y"), "no-route"),
        ],
    );
    check(
        &node,
        &[(Request::get("/only").host("unknown.test"), "no-route")],
    );
}

#[test]
fn paths_match_exactly_then_by_regex_then_by_the_longest_prefix() {
    let node = routes(&[
        ("short", "path_prefix = \"/rates\""),
        ("long", "path_prefix = \"/rates/eur\""),
        ("first-regex", "path_regex = \"^/v[0-9]+/\""),
        ("second-regex", "path_regex = \"/latest$\""),
        ("exact", "path = \"/v1/exact\""),
    ]);
    check(
        &node,
        &[
            (Request::get("/v1/exact"), "exact"),
            (Request::get("/v1/latest"), "first-regex"),
            (Request::get("/rates/eur/latest"), "second-regex"),
            (Request::get("/rates"), "short"),
            (Request::get("/rates/"), "short"),
            (Request::get("/rates/europe"), "short"),
            (Request::get("/rates/eur/x?q=/latest"), "long"),
            (Request::get("/ratesx"), "no-route"),
            (Request::get("/vx/"), "no-route"),
            (Request::get("/v1/exact/"), "first-regex"),
        ],
    );
}

#[test]
fn a_method_then_most_headers_then_order_decide_between_equal_paths() {
    let node = routes(&[
        ("plain", ""),
        ("plain-again", ""),
        ("gold", r#"headers = { "x-tier" = "gold" }"#),
        (
            "gold-beta",
            r#"headers = { "x-tier" = "gold", "X-Beta" = "1" }"#,
        ),
        ("post", r#"methods = ["POST"]"#),
    ]);
    let gold = |method| Request::new(method, "/").header("X-Tier", "gold");
    check(
        &node,
        &[
            (Request::get("/"), "plain"),
            (gold("GET"), "gold"),
            (gold("GET").header("x-beta", "1"), "gold-beta"),
            (gold("GET").header("x-beta", "2"), "gold"),
            (Request::get("/").header("x-tier", "GOLD"), "plain"),
            (gold("POST").body(b""), "post"),
        ],
    );
}

#[test]
fn a_route_that_matches_but_for_its_method_is_405_with_allow() {
    let node = routes(&[
        ("get", "path = \"/a\"\nmethods = [\"GET\"]"),
        ("put", "path = \"/a\"\nmethods = [\"PUT\"]"),
        (
            "tier",
            "path = \"/b\"\nmethods = [\"GET\"]\nheaders = { x-tier = \"gold\" }",
        ),
    ]);
    let response = node.send(&Request::new("DELETE", "/a"));
    assert_eq!(response.error(), (405, "method-not-allowed"));
    let mut allowed: Vec<_> = response
        .header("allow")
        .unwrap()
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "PUT"]);
    let mut connection = node.connect();
    assert_eq!(
        connection
            .exchange(&Request::new("HEAD", "/a"))
            .unwrap()
            .status,
        405,
        "GET does not imply HEAD"
    );
    check(&node, &[(Request::new("DELETE", "/b"), "no-route")]);
}

#[test]
fn errors_are_problem_documents() {
    let node = routes(&[("a", "path = \"/a\"")]);
    let response = node.get("/missing");
    assert_eq!(response.error(), (404, "no-route"));
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    assert!(
        response
            .header("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["code"], "no-route");
    assert!(!problem["title"].as_str().unwrap().is_empty());
    assert_eq!(problem["request_id"], node.access("/missing")["request_id"]);
    assert!(node.send(&Request::new("HEAD", "/missing")).body.is_empty());
}

#[test]
fn respond_and_redirect_routes_answer_by_themselves() {
    let node = node(r#"
        [[routes]]
        path = "/teapot"
        respond = { status = 418, body = "short and stout", headers = { "content-type" = "text/plain", "x-pot" = "1" } }
        [[routes]]
        path = "/empty"
        respond = { status = 204 }
        [[routes]]
        path = "/old"
        redirect = { to = "https://new.example.com/x", status = 308 }"#)
    .start();
    let mut connection = node.connect();
    let teapot = connection.exchange(&Request::get("/teapot")).unwrap();
    assert_eq!(
        (teapot.status, teapot.text().as_str()),
        (418, "short and stout")
    );
    assert_eq!(
        (teapot.header("content-type"), teapot.header("x-pot")),
        (Some("text/plain"), Some("1"))
    );
    assert!(teapot.header("date").is_some() && teapot.header("x-aegis-error").is_none());
    let head = connection
        .exchange(&Request::new("HEAD", "/teapot"))
        .unwrap();
    assert_eq!((head.status, head.header("x-pot")), (418, Some("1")));
    assert_eq!(
        connection.exchange(&Request::get("/empty")).unwrap().status,
        204
    );
    let moved = connection.exchange(&Request::get("/old")).unwrap();
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("https://new.example.com/x"))
    );
}

#[test]
fn a_host_that_no_route_names_reaches_none() {
    let names = ["a", "b"].map(|name| (name, format!("hosts = [\"{name}.test\"]")));
    let node = routes(&[(names[0].0, &names[0].1), (names[1].0, &names[1].1)]);
    for host in [
        "c.test",
        "a.test.c.test",
        "xa.test",
        "127.0.0.1",
        "[::1]",
        "a",
        "test",
        "a.test..",
        "a..test",
    ] {
        let response = node.send(&Request::get("/").host(host));
        assert_eq!(response.error(), (404, "no-route"), "{host}");
    }
    assert_eq!(
        node.raw(b"GET / HTTP/1.0\r\n\r\n").unwrap().error(),
        (404, "no-route")
    );
    let absolute = "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(node.raw(absolute.as_bytes()).unwrap().status, 400);
}

#[test]
fn a_request_without_a_good_host_is_400() {
    let node = routes(&[("any", "")]);
    for host in [
        "",
        "Host:\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a:port\r\n",
        "Host: [::1\r\n",
        "Host: a\r\nHost: b\r\n",
    ] {
        let response = node
            .raw(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes())
            .unwrap();
        assert_eq!(response.status, 400, "{host:?}");
    }
    assert_eq!(
        node.raw(b"GET http://one.test/ HTTP/1.1\r\nHost: two.test\r\n\r\n")
            .unwrap()
            .status,
        400
    );
}
