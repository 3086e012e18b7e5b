//! Bodies that a guest reads and sets again, both ways, come out as they went in, whatever their size and framing.

use super::{both, pattern};
use crate::harness::{Answer, Node, Origin, Request, module, node, phases};

pub(super) const SIZES: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 1 << 20, 8 << 20];

/// Room for 8 MiB behind the memory that every guest has.
const ROOM: &str = "(drop (memory.grow (i32.const 130)))";

/// A call that sets what another one got.
fn copy(get: &str, set: &str) -> String {
    format!(
        "{ROOM}
        (local.set $n (call ${get}))
        (if (i32.lt_s (local.get $n) (i32.const 0)) (then unreachable))
        (drop (call $get_shared_buffer (i32.const 0x280000) (i32.const 0) (local.get $n)))
        (if (i32.ne (call ${set} (i32.const 0x280000) (local.get $n)) (i32.const 0)) (then unreachable))
        (i32.const 0)"
    )
}

/// An origin that answers with the body it gets, framed as it came.
pub(super) fn echo() -> Origin {
    Origin::start(|request| {
        let answer = Answer::ok(request.body.clone());
        match request.header("x-chunked") {
            Some(_) => answer.header("Transfer-Encoding", "chunked"),
            None => answer,
        }
    })
}

/// Guests that read and set the request's body on `/request`, the answer's on `/response`.
pub(super) fn copying(origin: &Origin, listener: &str) -> Node {
    let toml = r#"
        [[listeners]]
        address = "{listen}"
        LISTENER
        [functions.request]
        module = "request.wasm"
        body = "request"
        limits = { body_size = "8MiB", fuel = 1_000_000_000 }
        [functions.response]
        module = "response.wasm"
        response_entry = "handle_response"
        body = "response"
        limits = { body_size = "8MiB", fuel = 1_000_000_000 }
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path = "/request"
        functions = ["request"]
        upstream = "origin"
        [[routes]]
        path = "/response"
        functions = ["response"]
        upstream = "origin"
        [[routes]]
        path = "/both"
        functions = ["request", "response"]
        upstream = "origin""#;
    let request = copy("request_get_body", "request_set_body");
    let response = copy("response_get_body", "response_set_body");
    node(&toml.replace("LISTENER", listener))
        .set("origin", &origin.address)
        .wasm("request", module(&request))
        .wasm("response", phases("(i32.const 0)", &response))
        .start()
}

#[test]
fn what_a_guest_reads_and_sets_again_is_what_was_sent() {
    let origin = echo();
    let node = copying(&origin, "");
    let mut connection = node.connect();
    for path in ["/request", "/response", "/both"] {
        for size in SIZES {
            let body = pattern(size);
            let fixed = Request::new("POST", path).body(&body);
            let chunked = Request::new("POST", path)
                .header("X-Chunked", "1")
                .chunked(&body);
            for request in [fixed, chunked] {
                let answer = connection.exchange(&request).unwrap();
                assert_eq!(answer.error(), (200, ""), "{path} {size}");
                assert!(answer.body == body, "{path} {size}: {}", answer.body.len());
                assert!(origin.last().body == body, "{path} {size}");
            }
        }
    }
}

#[test]
fn what_a_guest_has_only_read_is_what_was_sent() {
    let origin = echo();
    let node = super::forwarding(&origin, "limits = { body_size = \"8MiB\" }");
    let mut connection = node.connect();
    let body = pattern(8 << 20);
    for request in both(&body) {
        let answer = connection.exchange(&request).unwrap();
        assert!(answer.body == body && origin.last().body == body);
    }
}
