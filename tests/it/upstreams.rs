//! Backends: how one is chosen, and what a client sees when they fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Answer, Gate, Node, Origin, Request, node};

/// A node whose only route goes to the upstream with these keys.
fn upstream(keys: &str) -> Node {
    node(&format!(
        "[upstreams.origin]\n{keys}\n[[routes]]\nupstream = \"origin\""
    ))
    .start()
}

fn backend(origin: &Origin) -> String {
    format!("backends = [\"{}\"]", origin.address)
}

#[test]
fn weights_share_requests_out() {
    let (light, heavy) = (Origin::saying("light"), Origin::saying("heavy"));
    let node = upstream(&format!(
        "backends = [\"{}\", {{ address = \"{}\", weight = 2 }}]",
        light.address, heavy.address
    ));
    let mut connection = node.connect();
    for _ in 0..30 {
        assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    }
    assert_eq!((light.requests().len(), heavy.requests().len()), (10, 20));
}

#[test]
fn a_refused_connection_is_retried_on_another_backend() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let node = upstream(&format!(
        "backends = [\"{}\", \"{}\"]\nretries = 1",
        Origin::absent(),
        origin.address
    ));
    for _ in 0..6 {
        let response = node.send(&Request::new("POST", "/").body(b"once"));
        assert_eq!((response.status, response.text().as_str()), (200, "once"));
    }
    assert_eq!(origin.requests().len(), 6);
}

#[test]
fn no_backend_up_is_502_upstream_connect() {
    let node = upstream(&format!(
        "backends = [\"{}\", \"{}\"]",
        Origin::absent(),
        Origin::absent()
    ));
    assert_eq!(node.get("/").error(), (502, "upstream-connect"));
}

#[test]
fn a_silent_backend_is_504_upstream_timeout() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("late").held(&closed));
    let node = upstream(&format!("{}\nread_timeout = \"200ms\"", backend(&origin)));
    assert_eq!(node.get("/").error(), (504, "upstream-timeout"));
    gate.open();
}

#[test]
fn a_reset_or_an_end_instead_of_an_answer_is_502_upstream_reset() {
    let resetting = upstream(&backend(&Origin::resetting()));
    assert_eq!(
        resetting
            .send(&Request::new("POST", "/").body(b"x"))
            .error(),
        (502, "upstream-reset")
    );
    let closing = upstream(&backend(&Origin::start(|_| Answer::raw(""))));
    assert_eq!(
        closing.send(&Request::new("POST", "/").body(b"x")).error(),
        (502, "upstream-reset")
    );
}

#[test]
fn a_request_the_origin_may_have_acted_on_is_not_sent_twice() {
    let origin = Origin::start(|_| Answer::raw(""));
    let node = upstream(&format!("{}\nretries = 3", backend(&origin)));
    assert_eq!(
        node.send(&Request::new("POST", "/").body(b"pay")).status,
        502
    );
    assert_eq!(origin.requests().len(), 1);
}

/// Requests for `/last` get no answer, on connections that `kept` others have left behind.
fn dying(kept: usize, retries: usize) -> (Origin, Node) {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/last" => Answer::raw(""),
        _ => Answer::ok("").held(&closed),
    });
    let node = upstream(&format!("{}\nretries = {retries}", backend(&origin)));
    let mut connections: Vec<_> = (0..kept).map(|_| node.connect()).collect();
    for (i, connection) in connections.iter_mut().enumerate() {
        connection.send(&Request::get(&format!("/{i}")).bytes());
    }
    origin.wait_for(kept);
    gate.open();
    for i in 0..kept {
        // Logged once the connection to the backend is given back.
        node.access(&format!("/{i}"));
    }
    assert_eq!(origin.accepts(), kept);
    (origin, node)
}

#[test]
fn a_request_lost_with_a_kept_connection_is_sent_again_within_retries() {
    for (method, retries, expected) in [("GET", 0, 2), ("PUT", 2, 3), ("POST", 2, 1)] {
        let (origin, node) = dying(5, retries);
        let response = node.send(&Request::new(method, "/last").body(b"x"));
        assert_eq!(response.error(), (502, "upstream-reset"), "{method}");
        let sent = origin.requests().len() - 5;
        assert_eq!(sent, expected, "{method} with retries = {retries}");
    }
}

#[test]
fn a_request_sent_again_counts_its_body_once() {
    let puts = AtomicUsize::new(0);
    let origin = Origin::start(move |request| match request.method.as_str() {
        "PUT" if puts.fetch_add(1, Ordering::SeqCst) == 0 => Answer::raw(""),
        _ => Answer::ok(request.body.clone()),
    });
    let limits = "[server.limits]\nbody_size = \"1KiB\"\n[upstreams.origin]\n";
    let routes = "[[routes]]\nupstream = \"origin\"";
    let node = node(&format!("{limits}{}\n{routes}", backend(&origin))).start();
    assert_eq!(node.get("/first").status, 200);
    node.access("/first");
    let response = node.send(&Request::new("PUT", "/").body(&[b'x'; 1000]));
    assert_eq!((response.status, response.body.len()), (200, 1000));
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn the_share_of_a_backend_that_is_down_goes_to_all_others() {
    let origins = [Origin::saying("one"), Origin::saying("two")];
    let node = upstream(&format!(
        "backends = [\"{}\", \"{}\", \"{}\"]",
        Origin::absent(),
        origins[0].address,
        origins[1].address
    ));
    for _ in 0..30 {
        assert_eq!(node.get("/").status, 200);
    }
    let shares = origins.each_ref().map(|origin| origin.requests().len());
    assert_eq!(shares, [15, 15]);
}

#[test]
fn an_answer_that_is_not_http_is_502_upstream_invalid() {
    for nonsense in [
        "HTTP/1.1 banana\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let origin = Origin::start(move |_| Answer::raw(nonsense));
        assert_eq!(
            upstream(&backend(&origin)).get("/").error(),
            (502, "upstream-invalid"),
            "{nonsense:?}"
        );
    }
}

#[test]
fn a_backend_with_all_connections_busy_is_503_overloaded() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("done").held(&closed));
    let node = upstream(&format!("{}\nconnections = 1", backend(&origin)));
    let mut first = node.connect();
    first.send(&Request::get("/").bytes());
    origin.wait_for(1);
    let refused = node.get("/");
    assert_eq!(refused.error(), (503, "overloaded"));
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
    gate.open();
    assert_eq!(first.read("GET").unwrap().text(), "done");
    assert_eq!(node.get("/").text(), "done");
}

#[test]
fn a_truncated_answer_cuts_the_connection() {
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let origin = Origin::start(move |_| Answer::raw(half));
        let response = upstream(&backend(&origin)).get("/");
        assert_eq!(
            (response.status, response.complete),
            (200, false),
            "{half:?}"
        );
    }
}

#[test]
fn the_next_request_works_once_a_backend_is_back() {
    let address = Origin::absent();
    let node = upstream(&format!("backends = [\"{address}\"]"));
    assert_eq!(node.get("/").error(), (502, "upstream-connect"));
    let origin = Origin::start_at(address, |_| Answer::ok("back"));
    assert_eq!(node.get("/").text(), "back");
    assert_eq!(origin.requests().len(), 1);
}
