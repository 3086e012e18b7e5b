//! Connections as bytes, and what is good of them.

use super::*;

use proptest::prelude::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKS: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

fn follow(bytes: &[u8]) -> Result<(), Broken> {
    Framing::new(1024).follow(bytes)
}

fn fault(bytes: &[u8]) -> Option<Fault> {
    follow(bytes).err().map(|broken| broken.fault)
}

#[test]
fn requests_and_their_bodies_follow_each_other() {
    let bodies = [
        b"POST / HTTP/1.1\r\ncontent-length:\t5 \r\n\r\nGET /".as_slice(),
        CHUNKS,
        b"5\r\nhello\r\n1;a=\"b\"\r\n\n\r\n0\r\nx: y\r\n\r\n",
    ];
    let bytes = [&b"\r\n"[..], GET, GET, &bodies.concat(), GET].concat();
    assert_eq!(follow(&bytes), Ok(()));
}

#[test]
fn what_stands_before_a_fault_is_good() {
    let bytes = [GET, b"GET /\r\n\r\n"].concat();
    let expected = Broken {
        good: GET.len(),
        fault: Fault::Header,
    };
    let mut framing = Framing::new(1024);
    assert_eq!(framing.follow(&bytes), Err(expected));
    assert_eq!(framing.fault(), Some(Fault::Header));
    let none = Broken {
        good: 0,
        fault: Fault::Header,
    };
    assert_eq!(framing.follow(GET), Err(none), "nothing is good any more");
}

#[test]
fn a_header_under_way_may_grow_to_the_limit() {
    let long = "x".repeat(1100);
    let target = format!("GET /{long}");
    assert_eq!(fault(target.as_bytes()), Some(Fault::TargetTooLong));
    let field = format!("GET / HTTP/1.1\r\na: {long}");
    assert_eq!(fault(field.as_bytes()), Some(Fault::HeaderTooLarge));
    let complete = format!("{field}\r\n\r\n");
    assert_eq!(fault(complete.as_bytes()), None, "left to the proxy");
    let lines = "\r\n".repeat(600);
    assert_eq!(fault(lines.as_bytes()), Some(Fault::HeaderTooLarge));
    let behind = [GET, field.as_bytes()].concat();
    assert_eq!(follow(&behind).err().map(|b| b.good), Some(GET.len()));
}

#[test]
fn so_many_fields_and_no_more() {
    let request = |fields| format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(fields));
    assert_eq!(fault(request(FIELDS).as_bytes()), None);
    let more = request(FIELDS + 1);
    assert_eq!(fault(more.as_bytes()), Some(Fault::HeaderTooLarge));
}

#[test]
fn chunks_are_held_to_the_grammar() {
    let body = |text: &str| fault(&[CHUNKS, text.as_bytes()].concat());
    for good in [
        "0\r\n\r\n",
        "00a\r\n0123456789\r\n0\r\n\r\n",
        "0 ;a\r\n\r\n",
    ] {
        assert_eq!(body(good), None, "{good:?}");
    }
    for bad in [
        "\r\n",
        "g\r\n",
        "0x1\r\n",
        "+1\r\n",
        "-1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\r\nab",
        "1\r\na\n",
        "1;\x01\r\n",
        "1;\ra\r\n",
        "1234567890123456\r\n",
        "0\r\nContent-Length: 1\r\n",
        "0\r\na\r\n",
        "1\r\na\rb",
    ] {
        assert_eq!(body(bad), Some(Fault::Body), "{bad:?}");
    }
    let long = format!("1;{}", "a".repeat(SIZE_LINE));
    assert_eq!(body(&long), Some(Fault::Body));
    let often = format!("1;{}\r\na\r\n", "a".repeat(1000)).repeat(20);
    assert_eq!(body(&often), Some(Fault::Body));
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_how_the_bytes_come(
        text in "(GET|POST) / HTTP/1\\.[01]\r\n(Content-Length: [0-9]\r\n|Transfer-Encoding: chunked\r\n|a: [ -~\t]{0,9}\r?\n){0,3}\r\n[0-3]\r?\n[a-d\r\n]{0,9}",
        cuts in proptest::collection::vec(1usize..9, 0..40),
    ) {
        let bytes = text.as_bytes();
        let mut framing = Framing::new(1024);
        let (mut at, mut pieces) = (0, Ok(()));
        for cut in cuts.into_iter().chain([bytes.len()]) {
            let end = (at + cut).min(bytes.len());
            pieces = framing.follow(&bytes[at..end]);
            if pieces.is_err() {
                break;
            }
            at = end;
        }
        prop_assert_eq!(pieces.is_err(), follow(bytes).is_err());
    }
}
