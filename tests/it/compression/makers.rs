//! Whoever makes the answer, it is encoded.

use super::{CODINGS, accepting, decoded, page, text};
use crate::harness::{Origin, Request, Setup, module, node, phases};

const COMPRESS: &str = "compress = [\"zstd\", \"br\", \"gzip\"]";

/// Every coding brings back what `expected` says, on one connection.
fn encodes(setup: Setup, request: impl Fn() -> Request, expected: &[u8]) {
    let node = setup.start();
    let mut connection = node.connect();
    for coding in CODINGS {
        let request = request().header("Accept-Encoding", coding);
        let response = connection.exchange(&request).unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert_eq!(response.all("vary"), ["accept-encoding"], "{coding}");
        assert!(decoded(&response) == expected, "{coding}");
    }
    let plain = connection.exchange(&request()).unwrap();
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.body == expected && plain.complete);
}

fn functions(keys: &str, route: &str, guest: &str, origin: &Origin) -> Setup {
    let toml = format!(
        r#"
        [functions.f]
        module = "f.wasm"
        {keys}
        [upstreams.origin]
        backends = ["{{origin}}"]
        [[routes]]
        functions = ["f"]
        {COMPRESS}
        {route}"#
    );
    node(&toml).set("origin", &origin.address).wasm("f", guest)
}

#[test]
fn a_fixed_answer() {
    let body = "fixed ".repeat(1000);
    let toml = format!(
        r#"
        [[routes]]
        respond = {{ body = "{body}", headers = {{ "content-type" = "text/plain" }} }}
        {COMPRESS}"#
    );
    encodes(node(&toml), || Request::get("/"), body.as_bytes());
}

#[test]
fn a_function_s_answer() {
    // 2 MiB of one letter: more than is encoded where it comes by.
    let guest = module(
        "(memory.fill (i32.const 0x100000) (i32.const 97) (i32.const 0x100000))
         (drop (call $response_set_header {content-type} {text/plain}))
         (drop (call $response_set_body (i32.const 0x100000) (i32.const 0x100000)))
         (i32.const 0)",
    );
    let setup = functions("", "", &guest, &Origin::saying(""));
    encodes(setup, || Request::get("/"), &vec![b'a'; 1 << 20]);
}

#[test]
fn a_body_that_a_function_puts_in_place_of_the_upstream_s() {
    let guest = module(
        "(memory.fill (i32.const 0x100000) (i32.const 97) (i32.const 0x100000))
         (drop (call $response_set_body (i32.const 0x100000) (i32.const 0x100000)))
         (i32.const 0)",
    );
    let origin = Origin::start(|_| page(10_000));
    let setup = functions("", "upstream = \"origin\"", &guest, &origin);
    encodes(setup, || Request::get("/"), &vec![b'a'; 1 << 20]);
}

#[test]
fn a_body_that_a_function_has_read_or_left() {
    let keys = "response_entry = \"handle_response\"\nbody = \"response\"";
    let guest = phases(
        "(i32.const 0)",
        "(drop (call $response_get_body)) (i32.const 0)",
    );
    // Read in whole, and too large for it: the rest streams behind.
    for length in [10_000, 3 << 20] {
        let origin = Origin::start(move |request| match request.target.as_str() {
            "/chunked" => page(length).header("Transfer-Encoding", "chunked"),
            _ => page(length),
        });
        for path in ["/", "/chunked"] {
            let setup = functions(keys, "upstream = \"origin\"", &guest, &origin);
            encodes(setup, || Request::get(path), &text(length));
        }
    }
}

#[test]
fn the_answer_to_a_request_whose_body_a_function_has_read() {
    let guest = module("(drop (call $request_get_body)) (i32.const 0)");
    let origin = Origin::start(|_| page(10_000));
    let setup = functions(
        "body = \"request\"",
        "upstream = \"origin\"",
        &guest,
        &origin,
    );
    encodes(
        setup,
        || Request::new("POST", "/").body(b"body"),
        &text(10_000),
    );
}

#[test]
fn a_file_but_not_its_parts() {
    let toml = format!("[[routes]]\nfiles = \"site\"\n{COMPRESS}");
    let setup = || {
        let setup = node(&toml);
        std::fs::create_dir(setup.path("site")).unwrap();
        setup
            .file("site/a.txt", text(300_000))
            .file("site/a.png", text(1000))
    };
    encodes(setup(), || Request::get("/a.txt"), &text(300_000));
    let node = setup().start();
    let part = Request::get("/a.txt").header("Range", "bytes=5-9");
    let part = node.send(&part.header("Accept-Encoding", "gzip"));
    assert_eq!((part.status, &part.body[..]), (206, &text(10)[5..]));
    assert_eq!(part.header("content-encoding"), None);
    assert_eq!(part.header("vary"), Some("accept-encoding"));
    let image = Request::get("/a.png").header("Accept-Encoding", "gzip");
    assert_eq!(node.send(&image).header("vary"), None);
    // What a client has, it need not get again.
    let whole = Request::get("/a.txt").header("Accept-Encoding", "gzip");
    let whole = node.send(&whole);
    let tag = whole.header("etag").unwrap();
    assert!(tag.starts_with("W/"), "{tag}");
    let again = Request::get("/a.txt").header("If-None-Match", tag);
    let again = node.send(&again.header("Accept-Encoding", "gzip"));
    assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
}

#[test]
fn the_node_s_own_errors_are_not_encoded() {
    let node = super::all(&Origin::resetting());
    let response = node.send(&accepting("gzip"));
    assert_eq!(response.error().0, 502);
    assert_eq!(response.header("content-encoding"), None);
    assert!(response.text().contains("request_id"));
}
