//! `strip_prefix`, `rewrite` and `host`: what the upstream is asked for in place of what was matched.

use crate::harness::{Node, Origin, Request, module, node, phases};

/// A route below `/api` with these keys, beside one for everything else.
fn below_api(origin: &Origin, keys: &str) -> Node {
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        name = "api"
        path_prefix = "/api"
        upstream = "origin"
        KEYS
        [[routes]]
        name = "rest"
        respond = { status = 403, body = "not below /api" }"#;
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .start()
}

#[test]
fn a_stripped_prefix_is_gone_and_the_query_stays() {
    let origin = Origin::saying("page");
    let node = below_api(&origin, "strip_prefix = \"/api\"");
    for (asked, got) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/users?sort=/api", "/users?sort=/api"),
        ("/api/api/x", "/api/x"),
        ("/api//x/./y", "/x/y"),
        ("/%61pi/x%2e%2e", "/x.."),
    ] {
        assert_eq!(node.get(asked).status, 200, "{asked}");
        assert_eq!(origin.last().target, got, "{asked}");
    }
    assert_eq!(node.access("/api/users")["route"], "api");
}

#[test]
fn no_way_of_writing_a_path_gets_around_the_prefix() {
    let origin = Origin::saying("page");
    let node = below_api(&origin, "strip_prefix = \"/api\"");
    for asked in [
        "/apix/admin",
        "/api/../admin",
        "/api/%2e%2e/admin",
        "/api/.%2E/admin",
        "/api/x/../../admin",
        "//api/../admin",
        "/API/admin",
    ] {
        assert_eq!(node.get(asked).text(), "not below /api", "{asked}");
    }
    for asked in [
        "/api%2f..%2fadmin",
        "/api/..%2fadmin",
        "/api/..%5cadmin",
        "/api%00/x",
    ] {
        assert_eq!(node.get(asked).error(), (400, "bad-request"), "{asked}");
    }
    assert_eq!(origin.requests().len(), 0);
    // Encoded twice, it is a name like any other.
    assert_eq!(node.get("/api/%252e%252e/admin").status, 200);
    assert_eq!(origin.last().target, "/%252e%252e/admin");
}

#[test]
fn an_expression_rewrites_and_its_result_is_normalised_again() {
    let origin = Origin::saying("page");
    let node = below_api(
        &origin,
        r#"rewrite = { match = "^/api/(?<version>v[0-9])?/?(.*)$", to = "/$version/in/$2" }"#,
    );
    for (asked, got) in [
        ("/api/v2/users?a=%20b", "/v2/in/users?a=%20b"),
        ("/api/users", "/in/users"),
        ("/api", "/api"),
    ] {
        assert_eq!(node.get(asked).status, 200, "{asked}");
        assert_eq!(origin.last().target, got, "{asked}");
    }
    let node = below_api(
        &origin,
        r#"rewrite = { match = "^/api/(.*)$", to = "/a/..$1/b" }"#,
    );
    let before = origin.requests().len();
    node.get("/api/");
    assert_eq!(origin.last().target, "/b");
    let long = format!("/api/{}", "a".repeat(8_000));
    let node = below_api(&origin, r#"rewrite = { match = "^(.*)$", to = "$1$1" }"#);
    assert_eq!(node.get(&long).error(), (414, "uri-too-long"));
    assert_eq!(origin.requests().len(), before + 1);
}

#[test]
fn a_fixed_path_takes_the_place_of_every_other() {
    let origin = Origin::saying("page");
    let node = below_api(&origin, "rewrite = \"/index.php\"");
    node.get("/api/a/b?c=d");
    assert_eq!(origin.last().target, "/index.php?c=d");
}

#[test]
fn functions_see_what_would_be_forwarded_and_may_change_it() {
    let look = "
        (global.set $end (i32.const 0x10000)) (call $text (call $request_get_uri))
        (drop (call $response_set_header {x-uri} (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001))))";
    let forward = format!("{look} (i32.const 0)");
    let change = format!("{look} (drop (call $request_set_uri {{/changed?x=y}})) (i32.const 0)");
    for (keys, guest, got) in [
        ("", module(&forward), "/users?a=b"),
        ("", module(&change), "/changed?x=y"),
        (
            "response_entry = \"handle_response\"\nbody = \"response\"",
            phases(&forward, "(i32.const 0)"),
            "/users?a=b",
        ),
    ] {
        let origin = Origin::saying("page");
        let toml = format!(
            r#"
            [functions.f]
            module = "f.wasm"
            {keys}
            [upstreams.origin]
            backends = ["{}"]
            [[routes]]
            path_prefix = "/api"
            strip_prefix = "/api"
            host = "origin.internal:8080"
            functions = ["f"]
            upstream = "origin""#,
            origin.address
        );
        let node = node(&toml).wasm("f", guest).start();
        let answer = node.get("/api/users?a=b");
        assert_eq!(answer.header("x-uri"), Some("/users?a=b"));
        let received = origin.last();
        assert_eq!(received.target, got);
        assert_eq!(received.all("host"), ["origin.internal:8080"]);
        assert_eq!(received.all("x-forwarded-host"), ["aegis.test"]);
    }
}

#[test]
fn the_upstream_is_sent_the_routes_host_and_told_the_clients() {
    let origin = Origin::saying("page");
    let node = below_api(&origin, "host = \"origin.internal\"");
    let request = Request::get("/api").host("shop.example:8080");
    assert_eq!(node.send(&request).status, 200);
    assert_eq!(origin.last().all("host"), ["origin.internal"]);
    assert_eq!(origin.last().all("x-forwarded-host"), ["shop.example:8080"]);
    // A client of HTTP/1.0 may name none.
    node.raw(b"GET /api HTTP/1.0\r\n\r\n");
    assert_eq!(origin.last().all("host"), ["origin.internal"]);
}

#[test]
fn rewrites_that_cannot_be_are_refused_at_load() {
    for (keys, said) in [
        ("strip_prefix = \"/\"", "nothing is left to strip"),
        (
            "strip_prefix = \"/other\"",
            "no path of the route begins with",
        ),
        ("strip_prefix = \"/api//x\"", "write \"/api/x\""),
        ("strip_prefix = \"/api\"\nrewrite = \"/x\"", "keep only one"),
        ("rewrite = \"x\"", "does not start with '/'"),
        ("rewrite = \"/x?y\"", "it has a query"),
        ("rewrite = { match = \"(\", to = \"/\" }", "unclosed group"),
        (
            "rewrite = { match = \"^/(.*)$\", to = \"/$2\" }",
            "captures no group \"2\"",
        ),
        ("rewrite = { match = \"^/(.*)$\" }", "missing"),
    ] {
        let toml =
            format!("[[routes]]\npath_prefix = \"/api\"\nrespond = {{ status = 200 }}\n{keys}");
        let (code, printed) = node(&toml).check(&[]);
        assert_eq!(code, Some(1), "{keys}");
        assert!(printed.contains(said), "{keys}: {printed}");
    }
}
