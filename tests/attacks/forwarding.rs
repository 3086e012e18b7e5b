//! D5, D7: a guest that would choose where a request goes, and upstreams that fail when it is too late to say so.

use crate::harness::{Answer, Gate, Origin, Received, Request, module, report};
use crate::siege::Siege;
use crate::worlds::{beside_control, in_front};

#[test]
fn d5_whatever_a_guest_says_the_request_goes_to_the_routes_upstream() {
    let (origin, trap) = (Origin::saying("page"), Origin::saying("trapped"));
    let evil = trap.address.to_string();
    let headers = [
        "host",
        "x-forwarded-host",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        ":authority",
        ":path",
        "connection",
    ];
    let allowed = [
        "location",
        "content-location",
        "x-accel-redirect",
        "x-sendfile",
        "refresh",
        "alt-svc",
        "x-original-url",
        "x-rewrite-url",
    ];
    let mut body = String::new();
    for name in headers {
        body += &format!(
            "(if (i32.ne (call $response_set_header {{{name}}} {{{evil}}}) (i32.const -1)) (then unreachable))\n"
        );
    }
    for name in allowed {
        body += &format!("(drop (call $response_set_header {{{name}}} {{http://{evil}/}}))\n");
    }
    let setup = in_front("", &module(&format!("{body} (i32.const 0)")));
    let siege = Siege::of(setup.set("origin", &origin.address));
    let answers = siege.attack(4, |client| client.get("/a/../b%2e?u=//evil"));
    for answer in &answers {
        assert_eq!((answer.status, answer.text().as_str()), (200, "page"));
    }
    assert_eq!(trap.accepts(), 0);
    let received = origin.requests();
    assert!(received.len() >= answers.len());
    for request in received {
        assert_eq!(request.target, "/b.?u=//evil");
        assert_eq!(request.all("host").len(), 1);
        assert!(
            request
                .headers
                .iter()
                .all(|(_, value)| !value.contains(&evil)),
            "{:?}",
            request.headers
        );
    }
}

/// What harmless form some of these targets may take.
const NORMAL: [&str; 3] = ["/evil.example/x", "/x", "/a%20b"];

/// Paths a client sends in a guest's name: one form, or none, reaches the upstream.
#[test]
fn d5_targets_that_are_no_paths_of_the_route_are_refused_or_normal() {
    let origin = Origin::start(|request: &Received| Answer::ok(request.target.clone()));
    let seen = report(
        "(call $text (call $request_get_uri)) (call $text (call $request_get_header {host}))",
    );
    let setup = in_front("", &seen);
    let siege = Siege::of(setup.set("origin", &origin.address));
    let targets = [
        "/a b",
        "/a\tb",
        "//evil.example/x",
        "http://evil.example/",
        "/x\r\nHost: e\r\n",
        "/\\evil",
        "/%00",
        "/%0d%0aHost:%20e",
        "*",
        "evil.example:443",
        "/a%2f..%2fb",
    ];
    siege.attack(2, |client| {
        for target in targets {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: aegis.test\r\nConnection: close\r\n\r\n");
            let Some(answer) = client.node.raw(request.as_bytes()) else {
                continue;
            };
            let text = answer.text();
            let normal = NORMAL
                .iter()
                .any(|path| text == format!("{path}\naegis.test\n"));
            assert!(
                answer.status == 400 || normal,
                "{target:?}: {} {text}",
                answer.status
            );
        }
    });
    for request in origin.requests() {
        assert!(
            request.target.starts_with('/') && !request.target.starts_with("//"),
            "{}",
            request.target
        );
        assert_eq!(request.all("host"), ["aegis.test"]);
    }
}

/// Where the node has no setters for requests, a module that imports them is refused.
#[test]
fn d5_a_setter_the_node_does_not_offer_is_refused_when_loaded() {
    let siege = Siege::of(in_front("", &module("(i32.const 0)")).set("origin", &Origin::absent()));
    let names = [
        "request_set_authority",
        "request_set_upstream",
        "request_set_host",
        "upstream_set",
        "response_send_interim",
    ];
    siege.storm(1, |client| {
        for name in names {
            let text = format!(
                "(module (import \"env\" \"{name}\" (func (param i32 i32) (result i32)))
                   (memory (export \"memory\") 1) (func (export \"handle_request\")))"
            );
            client.node.replace("f", wat::parse_str(text).unwrap());
            let line = client.node.reload_files().expect_err(name);
            assert!(line.contains(name), "{line}");
        }
    });
}

/// Upstreams that break off after the head: the answer each gives.
fn broken(request: &Received, stalled: &Gate) -> Answer {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    match request.target.as_str() {
        "/length" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
        "/chunks" => Answer::raw(chunked),
        "/chunk" => Answer::raw(format!("{chunked}40\r\nhalf a chunk")),
        "/garbage" => Answer::raw(format!("{chunked}zz\r\nnot a chunk\r\n0\r\n\r\n")),
        "/stall" => Answer::halves(chunked, stalled, "0\r\n\r\n"),
        _ => Answer::halves(
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
            stalled,
            "",
        ),
    }
}

#[test]
fn d7_an_answer_that_breaks_off_is_cut_and_never_ended() {
    let stalled = Gate::default();
    let gate = stalled.clone();
    let origin = Origin::start(move |request| broken(request, &gate));
    let toml = "
        [functions.f]
        module = \"f.wasm\"
        [upstreams.origin]
        backends = [\"{origin}\"]
        read_timeout = \"500ms\"
        [[routes]]
        hosts = [\"edited.test\"]
        functions = [\"f\"]
        upstream = \"origin\"
        [[routes]]
        hosts = [\"plain.test\"]
        upstream = \"origin\"";
    let guest = module("(drop (call $response_set_header {x-edited} {yes})) (i32.const 0)");
    let setup = beside_control(toml)
        .set("origin", &origin.address)
        .wasm("f", guest);
    let siege = Siege::of(setup);
    let paths = [
        "/length", "/chunks", "/chunk", "/garbage", "/stall", "/stalled",
    ];
    siege.attack(12, |client| {
        let path = paths[client.number % 6];
        let host = ["edited.test", "plain.test"][client.number / 6];
        let mut connection = client.node.connect();
        connection.send(&Request::get(path).host(host).bytes());
        let wire = String::from_utf8_lossy(&connection.read_to_close()).into_owned();
        let Some((head, body)) = wire.split_once("\r\n\r\n") else {
            // Cut before the head went out is no clean end either.
            assert!(wire.is_empty(), "{path}: {wire:?}");
            return;
        };
        // What the upstream broke before the node sent its head may be a 502 of the node's own, whole.
        if head.starts_with("HTTP/1.1 502") {
            assert!(
                head.contains("x-aegis-error: upstream-"),
                "{path}: {wire:?}"
            );
            return;
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {wire:?}");
        assert_eq!(
            head.contains("x-edited"),
            host == "edited.test",
            "{path}: {wire:?}"
        );
        let promised = head.to_lowercase().contains("content-length: 100");
        assert!(
            promised && body.len() < 100 || !body.ends_with("0\r\n\r\n"),
            "{path}: {wire:?}"
        );
    });
    stalled.open();
    drop(siege);
    let asked = origin.requests();
    for path in paths {
        assert!(
            asked.iter().any(|request| request.target == path),
            "{path} was never asked for"
        );
    }
}
