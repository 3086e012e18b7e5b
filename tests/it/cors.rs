//! `cors`: what browsers are told about other sites' pages.

use crate::harness::http::Response;
use crate::harness::{Answer, Node, Origin, Request, module, node};

const APP: &str = "https://app.example";
const ALLOW: &str = "access-control-allow-origin";

/// A node with these keys on a route for GET, in front of an origin that has its own mind about CORS.
fn start(origin: &Origin, keys: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        name = "read"
        path_prefix = "/api"
        methods = ["GET"]
        upstream = "origin"
        KEYS
        [[routes]]
        name = "write"
        path = "/api/items"
        methods = ["PUT"]
        respond = { status = 200 }
        [[routes]]
        path = "/static"
        respond = { status = 200, body = "fixed" }
        KEYS
        [[routes]]
        path = "/function"
        functions = ["f"]
        KEYS"#;
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("f", module("(i32.const 0)"))
        .start()
}

fn origin() -> Origin {
    Origin::start(|_| {
        Answer::ok("page")
            .header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Allow-Credentials", "true")
            .header("Vary", "accept-encoding")
    })
}

const FULL: &str = r#"cors = { origins = ["https://app.example", "https://*.app.example"], headers = ["X-One", "authorization"],
        expose = ["x-total"], credentials = true, max_age = "1h" }"#;

fn from(origin: &str, request: Request) -> Request {
    request.header("Origin", origin)
}

fn preflight(target: &str, origin: &str, method: &str) -> Request {
    from(origin, Request::new("OPTIONS", target)).header("Access-Control-Request-Method", method)
}

fn nothing_allowed(answer: &Response) {
    let allowed = answer
        .headers
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-"));
    assert_eq!(allowed.count(), 0, "{:?}", answer.headers);
    assert!(answer.all("vary").join(",").contains("Origin"));
}

#[test]
fn a_preflight_is_answered_by_the_route_of_the_request_it_is_for() {
    let origin = origin();
    let node = start(&origin, FULL);
    for site in [APP, "https://a.b.app.example"] {
        let answer = node.send(&preflight("/api/items", site, "GET"));
        assert_eq!(answer.status, 204);
        assert_eq!(answer.all(ALLOW), [site]);
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("x-one, authorization")
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert_eq!(answer.all("vary"), ["Origin"]);
    }
    assert_eq!(origin.requests().len(), 0, "nobody else is asked");
    assert_eq!(node.access("/api/items")["route"], "read");
    // The route of a PUT has no rules: there the method decides, as for any OPTIONS.
    let refused = node.send(&preflight("/api/items", APP, "PUT"));
    assert_eq!(refused.error(), (405, "method-not-allowed"));
    let refused = node.send(&preflight("/api/items", APP, "DELETE"));
    assert_eq!(refused.error(), (405, "method-not-allowed"));
    // Without both headers it is an OPTIONS like any other.
    let plain = node.send(&from(APP, Request::new("OPTIONS", "/api/items")));
    assert_eq!(plain.error(), (405, "method-not-allowed"));
}

#[test]
fn a_preflight_is_not_answered_by_another_route_than_that_of_the_request_it_is_for() {
    let origin = origin();
    let toml = format!(
        r#"
        [upstreams.origin]
        backends = ["{{origin}}"]
        [[routes]]
        path = "/x"
        methods = ["DELETE"]
        upstream = "origin"
        [[routes]]
        name = "rest"
        upstream = "origin"
        {FULL}"#
    );
    let node = node(&toml).set("origin", &origin.address).start();
    let answer = node.send(&preflight("/x", APP, "DELETE"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "page"));
    nothing_allowed(&answer);
    assert_eq!(origin.last().method, "OPTIONS");
    assert_eq!(node.access("/x")["route"], "rest");
    for (path, method) in [("/y", "DELETE"), ("/x", "PUT")] {
        let answer = node.send(&preflight(path, APP, method));
        assert_eq!((answer.status, answer.all(ALLOW)), (204, vec![APP]));
    }
}

#[test]
fn answers_of_all_kinds_say_who_may_read_them_and_the_upstreams_own_word_goes() {
    let origin = origin();
    let node = start(&origin, FULL);
    for path in ["/api/x", "/static", "/function"] {
        let answer = node.send(&from(APP, Request::get(path)));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.all(ALLOW), [APP], "{path}");
        assert_eq!(answer.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("x-total")
        );
        assert!(answer.all("vary").contains(&"Origin"), "{path}");
        for other in [
            "https://evil.example",
            "null",
            "https://app.example.evil",
            "https://app.example/",
        ] {
            let answer = node.send(&from(other, Request::get(path)));
            assert_eq!(answer.status, 200, "only browsers are held to it");
            nothing_allowed(&answer);
        }
        nothing_allowed(&node.get(path));
        let twice = from(APP, from("https://evil.example", Request::get(path)));
        nothing_allowed(&node.send(&twice));
    }
    nothing_allowed(&node.send(&preflight("/api/x", "https://evil.example", "GET")));
}

#[test]
fn pages_can_read_the_nodes_errors_too() {
    let toml = format!(
        r#"
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        path_prefix = "/api"
        upstream = "origin"
        body_size = "1KiB"
        {FULL}
        [[routes]]
        path = "/closed"
        respond = {{ status = 200 }}
        deny = ["127.0.0.0/8"]
        {FULL}"#,
        Origin::absent()
    );
    let node = node(&toml).start();
    let unreachable = node.send(&from(APP, Request::get("/api")));
    assert_eq!(
        (unreachable.status, unreachable.header(ALLOW)),
        (502, Some(APP))
    );
    let large = Request::new("POST", "/api").body(&[b'x'; 2000]);
    let large = node.send(&from(APP, large));
    assert_eq!((large.status, large.header(ALLOW)), (413, Some(APP)));
    let closed = node.send(&from(APP, Request::get("/closed")));
    assert_eq!((closed.status, closed.header(ALLOW)), (403, Some(APP)));
    // A preflight comes without what could get it in.
    let answer = node.send(&preflight("/closed", APP, "GET"));
    assert_eq!((answer.status, answer.header(ALLOW)), (204, Some(APP)));
}

#[test]
fn any_origin_is_told_so_and_no_cache_is_bothered() {
    let origin = origin();
    let node = start(&origin, "cors = { origins = [\"*\"], headers = [\"*\"] }");
    for site in ["https://evil.example", "null"] {
        let answer = node.send(&from(site, Request::get("/api")));
        assert_eq!(answer.all(ALLOW), ["*"]);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.all("vary"), ["accept-encoding"]);
    }
    let answer = node.send(&preflight("/static", "null", "PATCH"));
    assert_eq!(answer.all(ALLOW), ["*"]);
    let methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
    assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
    assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
}

#[test]
fn rules_that_browsers_would_not_follow_are_refused_at_load() {
    for (cors, said) in [
        (
            "{ origins = [\"*\"], credentials = true }",
            "with credentials",
        ),
        (
            "{ origins = [\"https://a\"], credentials = true, headers = [\"*\"] }",
            "with credentials",
        ),
        ("{ origins = [\"null\"] }", "every page can make itself"),
        (
            "{ origins = [\"https://a/\"] }",
            "browsers write it \"https://a\"",
        ),
        ("{ origins = [\"a.example\"] }", "not an origin"),
        ("{ origins = [] }", "an empty list"),
        ("{ methods = [\"GET\"] }", "missing"),
        (
            "{ origins = [\"*\"], methods = [\"get\"] }",
            "write \"GET\"",
        ),
        (
            "{ origins = [\"*\"], expose = [\"x y\"] }",
            "invalid HTTP header name",
        ),
        ("{ origins = [\"*\"], max_age = \"48h\" }", "out of range"),
    ] {
        let toml = format!("[[routes]]\nrespond = {{ status = 200 }}\ncors = {cors}");
        let (code, printed) = node(&toml).check(&[]);
        assert_eq!(code, Some(1), "{cors}");
        assert!(printed.contains(said), "{cors}: {printed}");
    }
}
