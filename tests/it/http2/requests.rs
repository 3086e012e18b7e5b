//! What requests on HTTP/2 may say, and what of it an HTTP/1 upstream gets to read.

use super::framed;
use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, Raw, block, frame, request,
};
use crate::harness::http2::request as ask;
use crate::harness::{Answer, Http2, Node, Origin};

/// An origin that says what it was asked.
fn origin() -> Origin {
    Origin::start(|request| Answer::ok(request.body.clone()))
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Status(u16),
    Reset,
    GoneAway,
}

/// What becomes of a request with this block, and that its connection goes on if it can.
fn verdict(node: &Node, block: &[u8]) -> Verdict {
    let mut client = Raw::open(node.address);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, block));
    let of_it = |frame: &Frame| frame.stream == 1 || frame.kind == GOAWAY;
    let first = std::iter::from_fn(|| client.next()).find(of_it);
    let first = first.expect("a word about it");
    match first.kind {
        GOAWAY => Verdict::GoneAway,
        RST_STREAM => {
            assert!(client.goes_on(3, "/fixed"), "the connection ended");
            Verdict::Reset
        }
        _ => {
            let status = first.status();
            assert!(client.goes_on(3, "/fixed"), "the connection ended");
            Verdict::Status(status)
        }
    }
}

const FINE: [(&str, &[u8]); 4] = [
    (":method", b"GET"),
    (":scheme", b"http"),
    (":path", b"/asked"),
    (":authority", b"aegis.test"),
];

/// The ordinary fields, with those of the same name replaced and the others added.
fn with(fields: &[(&'static str, &'static [u8])]) -> Vec<u8> {
    let kept = |(name, _): &&(&str, &[u8])| !fields.iter().any(|(other, _)| other == name);
    let pseudo = |(name, _): &&(&str, &[u8])| name.starts_with(':');
    let all: Vec<(&str, &[u8])> = FINE
        .iter()
        .filter(kept)
        .chain(fields.iter().filter(pseudo))
        .chain(fields.iter().filter(|field| !pseudo(field)))
        .filter(|(_, value)| *value != b"ABSENT")
        .copied()
        .collect();
    block(&all)
}

#[test]
fn pseudo_fields_are_what_they_must_be() {
    let origin = origin();
    let node = framed("", &origin);
    for fields in [
        &[(":scheme", &b"ftp"[..])][..],
        &[(":scheme", b"javascript")],
        &[("host", b"other.test")],
        &[("host", b"aegis.test"), ("host", b"aegis.test")],
        &[(":authority", b"ABSENT")],
        &[(":authority", b"user@aegis.test")],
        &[(":authority", b"aegis.test:99999")],
        &[(":path", b"*")],
        &[(":path", b"/a%00b")],
        &[(":path", b"/a\\b")],
        &[("content-length", b"0"), ("content-length", b"0")],
    ] {
        assert_eq!(
            verdict(&node, &with(fields)),
            Verdict::Status(400),
            "{fields:?}"
        );
    }
    for fields in [
        &[(":scheme", &b"ABSENT"[..])][..],
        &[(":scheme", b"ht tp")],
        &[(":path", b"ABSENT")],
        &[(":path", b"")],
        &[(":path", b"http://other.test/")],
        &[(":path", b"other.test/")],
        &[(":path", b"/a b\r\nhost: other")],
        &[(":method", b"ABSENT")],
        &[(":method", b"GET / HTTP/1.1")],
        &[(":authority", b"")],
        &[(":authority", b"a b")],
        &[(":status", b"200")],
        &[(":unknown", b"x")],
        &[(":protocol", b"websocket")],
    ] {
        let verdict = verdict(&node, &with(fields));
        assert_ne!(verdict, Verdict::Status(200), "{fields:?}");
        assert!(origin.requests().is_empty(), "{fields:?}");
    }
    for (name, value) in [(":path", &b"/other"[..]), (":method", b"PUT")] {
        let twice = block(&[&FINE[..], &[(name, value)]].concat());
        assert_eq!(verdict(&node, &twice), Verdict::Reset, "{name}");
    }
    let late = block(&[&FINE[1..], &[("x", b"y"), (":method", b"GET")]].concat());
    assert_eq!(verdict(&node, &late), Verdict::Reset);
    assert!(origin.requests().is_empty());
    assert_eq!(verdict(&node, &with(&[])), Verdict::Status(200));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn fields_of_connections_and_broken_ones_are_reset() {
    let origin = origin();
    let node = framed("", &origin);
    for field in [
        ("connection", &b"close"[..]),
        ("connection", b"x-forwarded-for"),
        ("keep-alive", b"timeout=5"),
        ("proxy-connection", b"keep-alive"),
        ("transfer-encoding", b"chunked"),
        ("upgrade", b"websocket"),
        ("te", b"gzip"),
        ("content-length", b"1"),
        ("content-length", b"-1"),
        ("content-length", b"0x0"),
        ("X-Upper", b"a"),
        ("x y", b"a"),
        ("x:", b"a"),
        ("x\r\ny", b"a"),
        ("", b"a"),
        ("x", b"a\r\nhost: other"),
        ("x", b"a\nb"),
        ("x", b"a\0b"),
    ] {
        let verdict = verdict(&node, &with(&[field]));
        assert!(
            verdict == Verdict::Reset || verdict == Verdict::GoneAway,
            "{field:?}: {verdict:?}"
        );
    }
    assert!(origin.requests().is_empty());
    assert_eq!(
        verdict(&node, &with(&[("te", b"trailers")])),
        Verdict::Status(200)
    );
    assert_eq!(origin.last().header("te"), None);
}

#[test]
fn methods_that_ask_for_tunnels_are_405() {
    let origin = origin();
    let node = framed("", &origin);
    let tunnel = block(&[(":method", b"CONNECT"), (":authority", b"other.test:443")]);
    assert_eq!(verdict(&node, &tunnel), Verdict::Status(405));
    assert_eq!(
        verdict(&node, &with(&[(":method", b"TRACE")])),
        Verdict::Status(405)
    );
    assert!(origin.requests().is_empty());
}

#[test]
fn upstreams_get_one_plain_request_for_each() {
    let origin = origin();
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let crumbs = ask("POST", "/a/./b?c=d")
        .header("cookie", "a=b")
        .header("cookie", "c=d")
        .header("expect", "100-continue")
        .header("x-forwarded-for", "1.2.3.4")
        .header("te", "trailers");
    assert_eq!(client.exchange(crumbs, b"a body").text(), "a body");
    let received = origin.last();
    assert_eq!((&*received.method, &*received.target), ("POST", "/a/b?c=d"));
    assert_eq!(received.all("cookie"), ["a=b; c=d"]);
    assert_eq!(received.all("host"), ["aegis.test"]);
    assert_eq!(received.all("transfer-encoding"), ["chunked"]);
    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"]);
    for absent in [
        "te",
        "expect",
        "connection",
        "content-length",
        ":authority",
        ":path",
    ] {
        assert_eq!(received.header(absent), None, "{absent}");
    }
    let sized = ask("PUT", "/").header("content-length", "6");
    assert_eq!(client.exchange(sized, b"sized!").text(), "sized!");
    let received = origin.last();
    assert_eq!(received.all("content-length"), ["6"]);
    assert_eq!(received.header("transfer-encoding"), None);
}

/// A body that looks like a request is a body.
#[test]
fn a_smuggled_request_stays_a_body() {
    let origin = origin();
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: aegis.test\r\n\r\n";
    for header in [
        ask("POST", "/"),
        ask("GET", "/").header("content-length", smuggled.len()),
    ] {
        assert_eq!(client.exchange(header, smuggled).body, smuggled);
    }
    assert_eq!(client.get("/after").status, 200);
    let targets: Vec<String> = origin.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/", "/", "/after"]);
}

#[test]
fn a_length_that_the_body_does_not_have_is_refused() {
    let origin = origin();
    let node = framed("", &origin);
    for (length, body) in [("3", &b"four"[..]), ("5", b"four"), ("0", b"four")] {
        let mut client = Raw::open(node.address);
        let fields: [(&str, &[u8]); 1] = [("content-length", length.as_bytes())];
        client.send(&frame(
            HEADERS,
            END_HEADERS,
            1,
            &request("POST", "/", &fields),
        ));
        client.send(&frame(DATA, END_STREAM, 1, body));
        assert!(client.wait_for(RST_STREAM, 1).is_some(), "{length}");
        assert!(client.goes_on(3, "/fixed"));
    }
    let whole = |request: &crate::harness::Received| !request.body.is_empty();
    assert!(
        !origin.requests().iter().any(whole),
        "a body was taken for whole"
    );
}

#[test]
fn sizes_hold_as_on_http_1() {
    let origin = origin();
    let limits = "[server.limits]\nheader_size = \"2KiB\"\nuri_length = 64\nbody_size = \"1KiB\"";
    let node = framed(limits, &origin);
    let client = Http2::open(node.address);
    let large = |size| ask("GET", "/").header("x-large", "x".repeat(size));
    assert_eq!(client.exchange(large(1500), b"").status, 200);
    let refused = client.exchange(large(2100), b"");
    assert_eq!(refused.error(), (431, "headers-too-large"));
    assert_eq!(client.exchange(large(40_000), b"").status, 431);
    let many = (0..150).fold(ask("GET", "/"), |request, i| {
        request.header(format!("x-{i}"), "0123456789")
    });
    assert_eq!(
        client.exchange(many, b"").error(),
        (431, "headers-too-large")
    );
    let long = format!("/{}", "a".repeat(64));
    assert_eq!(client.get(&long).error(), (414, "uri-too-long"));
    let announced = ask("POST", "/").header("content-length", "1025");
    let announced = client.start(announced, &[b'x'; 1025]).answer().response;
    assert_eq!(announced.error(), (413, "body-too-large"));
    let streamed = client
        .start(ask("POST", "/"), &[b'x'; 300_000])
        .answer()
        .response;
    assert_eq!(streamed.error(), (413, "body-too-large"));
    assert_eq!(
        client.exchange(ask("POST", "/"), &[b'x'; 1024]).body.len(),
        1024
    );
}

/// Some clients forget the answer when the stream is reset under their feet.
#[test]
fn a_refusal_is_there_before_the_stream_is_reset() {
    let origin = origin();
    let node = framed("[server.limits]\nbody_size = \"1KiB\"", &origin);
    let large: [(&str, &[u8]); 1] = [("content-length", b"100000")];
    for (method, path, fields, status) in
        [("POST", "/", &large[..], 413), ("PUT", "/%00", &[], 400)]
    {
        let mut client = Raw::open(node.address);
        let block = request(method, path, fields);
        client.send(&frame(HEADERS, END_HEADERS, 1, &block));
        assert_eq!(client.wait_for(HEADERS, 1).unwrap().status(), status);
        assert!(client.wait_for(DATA, 1).unwrap().flags & END_STREAM != 0);
        // It is still read, and once the client has ended it there is nothing to reset.
        client.send(&frame(DATA, 0, 1, &[b'x'; 10_000]));
        client.send(&frame(DATA, END_STREAM, 1, &[b'x'; 10_000]));
        assert!(client.goes_on(3, "/fixed"));
    }
}
