//! `compress`: which answers go out encoded, and that they come back as they were.

mod makers;
mod streaming;

use std::io::Read;

use crate::harness::http::Response;
use crate::harness::{Answer, Node, Origin, Request, node};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// A node that passes everything on and knows these codings.
fn proxied(compress: &str, origin: &Origin) -> Node {
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin"
        compress = {compress}"#;
    let toml = toml.replace("{compress}", compress);
    node(&toml).set("origin", &origin.address).start()
}

fn all(origin: &Origin) -> Node {
    proxied("[\"zstd\", \"br\", \"gzip\"]", origin)
}

fn accepting(codings: &str) -> Request {
    Request::get("/").header("Accept-Encoding", codings)
}

/// As much of the body as can be decoded.
fn decode(coding: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read + '_> = match coding {
        Some("gzip") => Box::new(flate2::read::GzDecoder::new(bytes)),
        Some("br") => Box::new(brotli::Decompressor::new(bytes, 4096)),
        Some("zstd") => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        Some(other) => panic!("{other}"),
        None => Box::new(bytes),
    };
    let (mut body, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) | Err(_) => return body,
            Ok(count) => body.extend_from_slice(&buffer[..count]),
        }
    }
}

fn decoded(response: &Response) -> Vec<u8> {
    assert!(response.complete);
    decode(response.header("content-encoding"), &response.body)
}

/// Text of this length that gets smaller, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let words = (0..).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("word{} ", state >> 22).into_bytes()
    });
    words.take(length).collect()
}

fn page(length: usize) -> Answer {
    Answer::ok(text(length)).header("Content-Type", "text/html; charset=utf-8")
}

#[test]
fn the_client_says_which_coding_and_the_route_which_of_equals() {
    let origin = Origin::start(|_| page(10_000));
    let node = all(&origin);
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, br", Some("br")),
        ("gzip", Some("gzip")),
        ("gzip;q=1, br;q=0.5", Some("gzip")),
        ("*", Some("zstd")),
        ("gzip;q=0", None),
        ("gzip;q=0, br;q=0, zstd;q=0", None),
        ("identity", None),
        ("identity;q=0", None),
        ("deflate", None),
        ("", None),
    ] {
        let response = node.send(&accepting(accepted));
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        assert_eq!(response.all("vary"), ["accept-encoding"], "{accepted}");
        assert!(decoded(&response) == text(10_000), "{accepted}");
        assert_eq!(response.body.len() < 9_000, coding.is_some(), "{accepted}");
        // The upstream may encode it itself.
        assert_eq!(origin.last().header("accept-encoding"), Some(accepted));
    }
    let node = proxied("[\"gzip\", \"br\"]", &origin);
    let response = node.send(&accepting("zstd, br, gzip"));
    assert_eq!(response.header("content-encoding"), Some("gzip"));
}

#[test]
fn an_endless_list_of_codings_costs_nothing() {
    let node = all(&Origin::start(|_| page(10_000)));
    let long = "x;q=0.1,".repeat(3_000) + "gzip";
    let response = node.send(&accepting(&long));
    assert_eq!(response.header("content-encoding"), None);
    assert!(decoded(&response) == text(10_000));
}

#[test]
fn routes_that_do_not_say_so_leave_answers_alone() {
    let origin = Origin::start(|_| page(10_000));
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#;
    let node = node(toml).set("origin", &origin.address).start();
    let response = node.send(&accepting("gzip, br, zstd"));
    assert_eq!(response.header("content-length"), Some("10000"));
    for name in ["content-encoding", "vary"] {
        assert_eq!(response.header(name), None);
    }
}

#[test]
fn answers_that_are_no_text_or_must_stay_as_they_are_do() {
    let origin = Origin::start(|request| {
        let plain = |status: u16| Answer::new(status, text(10_000));
        let html = |status: u16| plain(status).header("Content-Type", "text/html");
        match request.target.as_str() {
            "/png" => plain(200).header("Content-Type", "image/png"),
            "/zip" => plain(200).header("Content-Type", "application/zip"),
            "/untyped" => plain(200),
            "/grpc" => plain(200).header("Content-Type", "application/grpc"),
            "/encoded" => html(200).header("Content-Encoding", "deflate"),
            "/no-transform" => html(200).header("Cache-Control", "no-transform"),
            "/short" => Answer::ok(text(500)).header("Content-Type", "text/html"),
            "/error" => html(404),
            "/part" => html(206).header("Content-Range", "bytes 0-9999/20000"),
            _ => html(200),
        }
    });
    let node = all(&origin);
    for path in [
        "/png",
        "/zip",
        "/untyped",
        "/grpc",
        "/encoded",
        "/no-transform",
        "/short",
        "/error",
        "/part",
    ] {
        let request = Request::get(path).header("Accept-Encoding", "gzip");
        let response = node.send(&request);
        let before = if path == "/encoded" {
            Some("deflate")
        } else {
            None
        };
        assert_eq!(response.header("content-encoding"), before, "{path}");
        let length = response.body.len().to_string();
        assert_eq!(response.header("content-length"), Some(&*length), "{path}");
        assert!(text(10_000).starts_with(&response.body) && response.complete);
    }
    let ranged = Request::get("/").header("Range", "bytes=0-1");
    let ranged = node.send(&ranged.header("Accept-Encoding", "gzip"));
    let unchanged = Request::get("/").header("Cache-Control", "no-transform");
    let unchanged = node.send(&unchanged.header("Accept-Encoding", "gzip"));
    for response in [ranged, unchanged] {
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.header("vary"), Some("accept-encoding"));
    }
}

#[test]
fn what_described_the_plain_body_goes() {
    let node = all(&Origin::start(|request| {
        let answer = page(10_000)
            .header("Accept-Ranges", "bytes")
            .header("X-Kept", "1");
        let answer = answer
            .header("Digest", "sha-256=x")
            .header("Vary", "Origin");
        match request.target.as_str() {
            "/weak" => answer.header("ETag", "W/\"a\""),
            "/odd" => answer.header("ETag", "odd"),
            _ => answer.header("ETag", "\"a\""),
        }
    }));
    for (path, tag) in [
        ("/", Some("W/\"a\"")),
        ("/weak", Some("W/\"a\"")),
        ("/odd", None),
    ] {
        let response = node.send(&Request::get(path).header("Accept-Encoding", "br"));
        assert_eq!(response.header("etag"), tag, "{path}");
        assert_eq!(response.all("vary"), ["Origin", "accept-encoding"]);
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(response.header("x-kept"), Some("1"));
        for name in ["content-length", "accept-ranges", "digest"] {
            assert_eq!(response.header(name), None, "{name}");
        }
    }
    let plain = node.get("/");
    assert_eq!(plain.header("etag"), Some("\"a\""));
    assert_eq!(plain.header("accept-ranges"), Some("bytes"));
}

#[test]
fn a_head_is_told_what_a_get_gets() {
    let node = all(&Origin::start(|_| page(10_000).header("ETag", "\"a\"")));
    let mut connection = node.connect();
    for coding in CODINGS.iter().chain(&["identity"]) {
        let [get, head] = ["GET", "HEAD"].map(|method| {
            let request = Request::new(method, "/").header("Accept-Encoding", coding);
            let mut response = connection.exchange(&request).unwrap();
            response
                .headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
            response.headers.sort();
            response
        });
        assert_eq!(get.headers, head.headers, "{coding}");
        assert!(decoded(&get) == text(10_000));
    }
}

#[test]
fn a_304_names_the_tag_that_the_client_has() {
    let origin = Origin::start(|_| Answer::raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"));
    let node = all(&origin);
    for (asked, tag) in [("W/\"a\"", "W/\"a\""), ("\"a\"", "\"a\"")] {
        let response = node.send(&accepting("gzip").header("If-None-Match", asked));
        assert_eq!((response.status, response.header("etag")), (304, Some(tag)));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        assert_eq!(origin.last().header("if-none-match"), Some(asked));
    }
}

#[test]
fn an_old_client_gets_no_chunks() {
    let node = all(&Origin::start(|_| page(10_000)));
    let response = node
        .raw(b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        .unwrap();
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    assert!(response.body == text(10_000));
}

#[test]
fn a_coding_that_is_none_is_a_problem_of_the_file() {
    let route = |compress: &str| {
        let answers = "respond = {}\n";
        let text = format!("[[routes]]\n{answers}compress = {compress}\n");
        node(&text).check(&[]).1
    };
    assert!(route("[\"gzip\"]").contains("good"));
    let unknown = route("[\"deflate\"]");
    assert!(
        unknown.contains("compress[0] (line 5): \"deflate\" is not known here; write \"zstd\" or \"br\" or \"gzip\""),
        "{unknown}"
    );
    assert!(route("[\"br\", \"br\"]").contains("\"br\" stands here twice"));
    assert!(route("\"gzip\"").contains("expected an array"));
}
