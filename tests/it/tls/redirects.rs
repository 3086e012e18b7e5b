//! From `http` to `https`, and staying there.

use std::net::SocketAddr;

use super::{get, send, site};
use crate::harness::http::Response;
use crate::harness::{Answer, Connection, Node, Origin, Request};

/// A plain listener besides, and the address it got.
fn start(routes: &str) -> (Node, SocketAddr) {
    let plain = Origin::absent();
    let listener = format!("[[listeners]]\naddress = \"{plain}\"");
    (site(&listener, routes).0.start(), plain)
}

fn ask(address: SocketAddr, request: &Request) -> Response {
    Connection::open(address).exchange(request).unwrap()
}

#[test]
fn one_route_leads_all_that_comes_in_the_clear_to_tls() {
    let (node, plain) = start(
        r#"
        [[routes]]
        redirect = { scheme = "https" }
        [[routes]]
        path = "/page"
        hosts = ["site.test"]
        respond = { status = 200, body = "page" }
        [[routes]]
        scheme = "http"
        path_prefix = "/.well-known/acme-challenge"
        respond = { status = 200, body = "challenge" }"#,
    );
    for (host, target, location) in [
        ("site.test", "/page?a=b&c", "https://site.test/page?a=b&c"),
        ("site.test:8080", "/", "https://site.test/"),
        ("other.test", "/x%20y", "https://other.test/x%20y"),
        ("[::1]:80", "/", "https://[::1]/"),
        ("site.test", "//evil.test/", "https://site.test/evil.test/"),
        (
            "site.test",
            "/../..//evil.test",
            "https://site.test/evil.test",
        ),
    ] {
        let response = ask(plain, &Request::new("POST", target).host(host));
        assert_eq!(response.status, 308, "{host}{target}");
        assert_eq!(response.header("location"), Some(location));
    }
    let challenge = ask(plain, &Request::get("/.well-known/acme-challenge/x"));
    assert_eq!(challenge.text(), "challenge");
    let client = Request::get("/page").host("site.test");
    let mut secure = crate::harness::Client::default()
        .open(node.address, None)
        .unwrap();
    assert_eq!(secure.exchange(&client).unwrap().text(), "page");
    assert_eq!(get(&node, "/elsewhere").error(), (404, "no-route"));
}

#[test]
fn hosts_that_would_lead_elsewhere_are_refused_first() {
    let (_node, plain) =
        start("[[routes]]\nredirect = { scheme = \"https\", port = 8443, status = 302 }");
    for host in ["a@evil.test", "a/evil", "a\\evil", "a b", "a?b", "a#b", ""] {
        let response = ask(plain, &Request::get("/").host(host));
        assert_eq!(response.status, 400, "{host:?}");
        assert_eq!(response.header("location"), None);
    }
    let good = ask(plain, &Request::get("/p").host("a.test:80"));
    assert_eq!(good.status, 302);
    assert_eq!(good.header("location"), Some("https://a.test:8443/p"));
    let mut old = Connection::open(plain);
    old.send(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.read("GET").unwrap().error(), (400, "bad-request"));
}

#[test]
fn routes_for_one_scheme_serve_no_other() {
    let (node, plain) = start(
        "[[routes]]\nscheme = \"http\"\nrespond = { status = 200, body = \"clear\" }\n\
         [[routes]]\nscheme = \"https\"\npath = \"/s\"\nrespond = { status = 200, body = \"secure\" }",
    );
    assert_eq!(ask(plain, &Request::get("/s")).text(), "clear");
    assert_eq!(get(&node, "/s").text(), "secure");
    assert_eq!(get(&node, "/").status, 404);
}

#[test]
fn the_policy_goes_out_over_tls_only_with_every_answer_of_its_route() {
    let origin =
        Origin::start(|_| Answer::ok("proxied").header("Strict-Transport-Security", "max-age=1"));
    let (node, plain) = start(&format!(
        r#"
        [upstreams.o]
        backends = ["{}"]
        [upstreams.dead]
        backends = ["{}"]
        [[routes]]
        path = "/fixed"
        respond = {{ status = 200 }}
        hsts = {{ max_age = "365d", include_subdomains = true, preload = true }}
        cors = {{ origins = ["*"] }}
        [[routes]]
        path = "/proxied"
        upstream = "o"
        hsts = {{ max_age = "1h" }}
        [[routes]]
        path = "/failed"
        upstream = "dead"
        hsts = {{ max_age = "1h" }}
        [[routes]]
        path = "/without"
        respond = {{ status = 200 }}"#,
        origin.address,
        Origin::absent(),
    ));
    let header = "strict-transport-security";
    for (target, status, value) in [
        (
            "/fixed",
            200,
            Some("max-age=31536000; includeSubDomains; preload"),
        ),
        ("/proxied", 200, Some("max-age=3600")),
        ("/failed", 502, Some("max-age=3600")),
        ("/without", 200, None),
    ] {
        let secure = get(&node, target);
        assert_eq!(secure.status, status);
        let values: Vec<_> = value.into_iter().collect();
        assert_eq!(secure.all(header), values, "{target}");
        if target != "/proxied" {
            let clear = ask(plain, &Request::get(target));
            assert_eq!(clear.header(header), None, "{target}");
        }
    }
    let preflight = Request::new("OPTIONS", "/fixed")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "PUT");
    let answer = send(&node, &preflight);
    assert_eq!((answer.status, answer.all(header).len()), (204, 1));
}
