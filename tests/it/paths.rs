//! Paths: what is matched is what is forwarded, in one normal form, or refused.

use crate::harness::{Node, Origin, Received, Request, node};

fn echo() -> (Origin, Node) {
    let origin = Origin::saying("page");
    let node = node(
        r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin"
        [[routes]]
        path_prefix = "/admin"
        respond = { status = 200, body = "admin" }
        [[routes]]
        path_prefix = "/npm"
        encoded_slashes = "keep"
        upstream = "origin""#,
    )
    .set("origin", &origin.address)
    .start();
    (origin, node)
}

#[test]
fn the_normal_form_is_forwarded() {
    let (origin, node) = echo();
    let forms = [
        ("/", "/"),
        ("/a/./b", "/a/b"),
        ("/a/x/../b", "/a/b"),
        ("/a/x/%2e%2E/b", "/a/b"),
        ("/a//b///c", "/a/b/c"),
        ("/%61%2D%5f%7Eb", "/a-_~b"),
        ("/a/", "/a/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a%20b", "/a%20b"),
        ("/%252e%252e/admin", "/%252e%252e/admin"),
        ("/a?x=/../y//z&q=%2F%61", "/a?x=/../y//z&q=%2F%61"),
        ("/a?", "/a?"),
        ("/a;p=1", "/a;p=1"),
        ("/admin;x", "/admin;x"),
        ("/ADMIN", "/ADMIN"),
        ("/pub/%252e%252e%252fadmin", "/pub/%252e%252e%252fadmin"),
        ("/pub/..%c0%afadmin", "/pub/..%C0%AFadmin"),
        ("/pub/%c0%ae%c0%ae/admin", "/pub/%C0%AE%C0%AE/admin"),
    ];
    let mut connection = node.connect();
    for (sent, forwarded) in forms {
        let response = connection.exchange(&Request::get(sent)).unwrap();
        assert_eq!(
            (response.status, origin.last().target.as_str()),
            (200, forwarded),
            "{sent}"
        );
    }
    let targets: Vec<String> = origin
        .requests()
        .into_iter()
        .map(|Received { target, .. }| target)
        .collect();
    assert_eq!(targets.len(), forms.len());
}

#[test]
fn disguised_paths_reach_the_route_of_their_normal_form() {
    let (origin, node) = echo();
    for path in [
        "/pub/../admin",
        "/pub/%2e%2e/admin",
        "//admin",
        "/./admin",
        "/%61dmin",
        "/admin/",
        "/x/y/../../admin/z",
    ] {
        assert_eq!(node.get(path).text(), "admin", "{path}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn ambiguous_paths_are_refused() {
    let (origin, node) = echo();
    for path in [
        "/a%2Fb",
        "/a%2fb",
        "/pub/..%2fadmin",
        "/a\\b",
        "/a%5Cb",
        "/a%5cb",
        "/a%00b",
        "/npm/..%2fadmin",
        "/npm/%2e%2e%2Fadmin",
        "/npm/a%5Cb",
        "/admin%00",
        "/admin%0d%0aX:",
        "/pub/..;/admin",
        "/pub/%2e%2e;x=y/admin",
        "/pub/..%3b/admin",
        "/pub/.;/admin",
        "/pub/..\\admin",
        "/pub/..%5cadmin",
    ] {
        let response = node.get(path);
        assert_eq!(response.status, 400, "{path}: {}", response.text());
    }
    let targets = ["*", "aegis.test:80", "aegis.test", "a", "?q=1"];
    let taken: Vec<_> = targets
        .into_iter()
        .filter(|target| node.get(target).status != 400)
        .collect();
    assert!(taken.is_empty(), "{taken:?}");
    assert!(origin.requests().is_empty());
}

#[test]
fn a_route_may_keep_encoded_slashes() {
    let (origin, node) = echo();
    assert_eq!(node.get("/npm/@scope%2Fname").status, 200);
    assert!(
        origin
            .last()
            .target
            .eq_ignore_ascii_case("/npm/@scope%2Fname")
    );
}

#[test]
fn an_absolute_target_is_its_path_once_it_names_the_host() {
    let (origin, node) = echo();
    let exchange = |target: &str| {
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: aegis.test\r\nConnection: close\r\n\r\n");
        node.raw(head.as_bytes()).map(|response| response.status)
    };
    assert_eq!(exchange("http://aegis.test/a/../b?c=1"), Some(200));
    assert_eq!(origin.requests()[0].target, "/b?c=1");
    assert_eq!(exchange("http://other.test/b"), Some(400));
    assert_eq!(exchange("ftp://aegis.test/b"), Some(400));
}

#[test]
fn functions_see_the_path_that_was_matched_and_is_forwarded() {
    let seen = "
        (local.set $n (call $request_get_uri))
        (drop (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (local.get $n)))
        (drop (call $request_set_header {x-seen} (i32.const 0x100000) (local.get $n)))
        (i32.const 0)";
    let origin = Origin::saying("page");
    let node = node(
        r#"
        [functions.f]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path_prefix = "/admin"
        functions = ["f"]
        upstream = "origin""#,
    );
    let node = node.set("origin", &origin.address);
    let node = node.wasm("f", crate::harness::module(seen)).start();
    for path in [
        "/pub/../admin/x",
        "/pub/%2e%2e/admin/x",
        "//admin//x",
        "/./%61dmin/y/../x",
    ] {
        assert_eq!(node.get(path).status, 200, "{path}");
        let received = origin.last();
        assert_eq!(received.target, "/admin/x", "{path}");
        assert!(
            received.header("x-seen").unwrap().ends_with("/admin/x"),
            "{path}"
        );
        assert!(
            !received.header("x-seen").unwrap().contains("pub"),
            "{path}"
        );
    }
    for path in ["/admin;x", "/ADMIN/x", "/pub/%252e%252e/admin/x"] {
        assert_eq!(node.get(path).status, 404, "{path}");
    }
}
