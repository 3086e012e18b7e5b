//! A client that resets a stream, or leaves, takes what was done for it along.

use crate::harness::http2::request;
use crate::harness::{
    Answer, EGRESS, Gate, Http2, Https, Node, Origin, Request, answers, module, phases,
};

use super::framed;

/// One place, held by whoever waits for the origin.
fn waiting(https: &Https, keys: &str) -> Node {
    let wait = format!(
        "(if (i32.ne (call $request_get_header {{x-wait}}) (i32.const -1))
           (then (drop (call $http_get {{{}}}))))
         (drop (call $response_set_body {{here}})) (i32.const 0)",
        https.url("/")
    );
    let limits = "limits = { max_in_flight = 1, wall_time = \"1h\" }";
    let keys = format!("{keys}\n{limits}\n{EGRESS}\n[edge]\nqueue_timeout = \"0s\"");
    let setup = answers(&keys, &module(&wait)).listening("h2c = true");
    https.reachable_from(setup).start()
}

fn held() -> Https {
    let gate = Gate::default();
    Https::start(move |_| Answer::ok("late").held(&gate))
}

/// The place is free again, and the log tells why.
fn is_over(node: &Node) {
    node.connect_until_served("/");
    let line = node.stdout.wait_for(|line| line.contains("\"cancelled\""));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["status"], &line["protocol"]),
        (&499.into(), &"HTTP/2".into())
    );
    assert_eq!(line["functions"][0]["outcome"], "cancelled");
}

fn asks() -> http::request::Builder {
    request("POST", "/").header("x-wait", "1")
}

#[test]
fn a_reset_frees_the_place_of_its_function_and_leaves_other_streams_alone() {
    let https = held();
    let node = waiting(&https, "");
    let client = Http2::open(node.address);
    let leaving = client.start(asks(), b"");
    https.origin.wait_for(1);
    assert_eq!(client.get("/").error(), (503, "overloaded"));
    leaving.reset();
    is_over(&node);
    assert_eq!(client.get("/control").text(), "fine");
}

#[test]
fn a_reset_is_noticed_while_a_body_is_owed_that_nobody_reads() {
    let https = held();
    let node = waiting(&https, "");
    let client = Http2::open(node.address);
    let mut leaving = client.begin(asks());
    leaving.send(b"a piece", false);
    https.origin.wait_for(1);
    leaving.reset();
    is_over(&node);
}

#[test]
fn a_reset_after_a_buffered_body_is_noticed() {
    let https = held();
    let node = waiting(&https, "body = \"request\"");
    let client = Http2::open(node.address);
    let leaving = client.start(asks(), b"a body");
    https.origin.wait_for(1);
    leaving.reset();
    is_over(&node);
}

#[test]
fn a_closed_connection_frees_the_places_of_its_streams() {
    let https = held();
    let node = waiting(&https, "");
    let client = Http2::open(node.address);
    let leaving = client.start(asks(), b"");
    https.origin.wait_for(1);
    drop((leaving, client));
    is_over(&node);
}

#[test]
fn a_reset_ends_a_function_that_sees_the_response() {
    let https = held();
    let origin = Origin::saying("page");
    let wait = format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    );
    let keys = format!(
        "response_entry = \"handle_response\"\nlimits = {{ wall_time = \"1h\" }}\n{EGRESS}
         [upstreams.origin]\nbackends = [\"{}\"]
         [[routes]]\npath = \"/page\"\nfunctions = [\"f\"]\nupstream = \"origin\"",
        origin.address
    );
    let setup = answers(&keys, &phases("(i32.const 0)", &wait)).listening("h2c = true");
    let node = https.reachable_from(setup).start();
    let client = Http2::open(node.address);
    let leaving = client.start(request("GET", "/page"), b"");
    https.origin.wait_for(1);
    leaving.reset();
    let line = node.access("/page");
    assert_eq!(line["functions"][1]["outcome"], "cancelled", "{line}");
}

#[test]
fn a_reset_drops_the_exchange_with_the_upstream() {
    let left = Gate::default();
    let tells = left.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/" => Answer::never(&tells),
        _ => Answer::ok("fine"),
    });
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let leaving = client.start(request("GET", "/"), b"");
    origin.wait_for(1);
    leaving.reset();
    left.wait(crate::harness::lines::PATIENCE);
    assert!(left.is_open(), "the upstream is still asked");
    assert_eq!(node.access("/")["status"], 499);
    assert_eq!(client.get("/other").text(), "fine");
    assert_eq!(node.send(&Request::get("/other")).text(), "fine");
}

#[test]
fn a_reset_while_an_answer_streams_drops_it_on_both_sides() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        Answer::halves(head, &closed, "")
    });
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let (status, unread) = client.start(request("GET", "/"), b"").head();
    assert_eq!(status, 200);
    drop(unread);
    let line = node.access("/");
    assert_eq!(line["status"], 200);
    gate.open();
}
