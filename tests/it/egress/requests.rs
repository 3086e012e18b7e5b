//! `http_request` and what it brought back: method, headers and body out, status and headers in.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use crate::harness::{Answer, Connection, EGRESS, Https, Node, Request, answers, report};

/// A node that runs `body`, where `URL` stands for the origin's.
fn asking(https: &Https, body: &str) -> Node {
    let body = body.replace("URL", &https.url(""));
    https
        .reachable_from(answers(EGRESS, &report(&body)))
        .start()
}

#[test]
fn method_headers_and_body_arrive_as_given() {
    let https = Https::start(|request| Answer::ok(request.body.clone()));
    let body = "
        (call $text (call $http_request {PATCH} {URL/things?q=1}
          {Authorization: Bearer abc\\0aX-Two: one\\0d\\0ax-two:  two \\0aContent-Type: text/x\\0a} {a body}))
        (call $tried (call $http_request {purge} {URL/} {} {}))
        (call $tried (call $http_request {HEAD} {URL/} {User-Agent: mine} {}))";
    assert_eq!(asking(&https, body).get("/").text(), "a body\n0\n0\n");
    let requests = https.origin.requests();
    let lines: Vec<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.target))
        .collect();
    assert_eq!(lines, ["PATCH /things?q=1", "purge /", "HEAD /"]);
    let first = &requests[0];
    assert_eq!(first.header("authorization"), Some("Bearer abc"));
    assert_eq!(first.all("x-two"), ["one", "two"]);
    assert_eq!(first.all("content-type"), ["text/x"]);
    assert_eq!(first.body, b"a body");
    assert_eq!(first.header("cdn-loop"), Some("aegis"));
    assert_eq!(requests[2].all("user-agent"), ["mine"]);
}

/// A balancer in front of the node, which the node cannot know for its own address.
#[test]
fn a_circle_through_somebody_else_ends() {
    let front: Arc<OnceLock<SocketAddr>> = Arc::default();
    let node = Arc::clone(&front);
    let https = Https::start(move |request| {
        let mut again = Request::get("/");
        for passed in request.all("cdn-loop") {
            again = again.header("CDN-Loop", passed);
        }
        let mut connection = Connection::open(*node.get().unwrap());
        let answer = connection.exchange(&again).unwrap();
        Answer::new(answer.status, answer.body)
    });
    let node = asking(
        &https,
        "(drop (call $http_get {URL/})) (call $note (call $http_response_status))",
    );
    front.set(node.address).unwrap();
    assert_eq!(node.get("/").text(), "200\n");
    let rounds: Vec<usize> = https
        .origin
        .requests()
        .iter()
        .map(|request| request.all("cdn-loop").len())
        .collect();
    assert_eq!(rounds, [1, 2, 3, 4], "and the fifth was refused");
}

#[test]
fn what_may_not_be_sent_is_refused_before_a_connection_is_opened() {
    let https = Https::start(|_| Answer::ok("asked"));
    let calls = [
        ("{CONNECT} {URL/} {} {}", 4),
        ("{trace} {URL/} {} {}", 4),
        ("{} {URL/} {} {}", 2),
        ("{GE T} {URL/} {} {}", 2),
        ("{GET\\0d\\0a} {URL/} {} {}", 2),
        ("{GET} {URL/} {Host: evil} {}", 4),
        ("{GET} {URL/} {Proxy-Authorization: x} {}", 4),
        ("{GET} {URL/} {transfer-encoding: chunked} {}", 4),
        ("{GET} {URL/} {Content-Length: 5} {}", 4),
        ("{GET} {URL/} {:path: /x} {}", 4),
        ("{GET} {URL/} {no colon} {}", 2),
        ("{GET} {URL/} {X-A : b} {}", 2),
        ("{GET} {URL/} {X-A: b\\0a\\0aGET / HTTP/1.1} {}", 2),
        ("{GET} {URL/} {X-A: a\\0dX-B: b} {}", 2),
        ("{GET} {URL/} {X-A: nul\\00} {}", 2),
        ("{GET} {http://api.example.com/} {} {}", 2),
        ("{GET} {https://other.example.com/} {} {}", 4),
        (
            "{GET} {URL/} {} (i32.const 0x100000) (i32.const 0x100001)",
            3,
        ),
        ("{GET} {URL/} (i32.const 0x100000) (i32.const 0x4001) {}", 3),
        ("{GET} {URL/} {} (i32.const -1) (i32.const 1)", 2),
        ("{GET} {URL/} (i32.const -8) (i32.const 16) {}", 2),
        ("(i32.const 0) (i32.const -1) {URL/} {} {}", 2),
    ];
    let body: String = calls
        .iter()
        .map(|(call, _)| format!("(call $tried (call $http_request {call}))\n"))
        .collect();
    let text = asking(&https, &body).get("/").text();
    for ((call, code), result) in calls.iter().zip(text.lines()) {
        assert_eq!(result, format!("-1/{code}"), "{call}");
    }
    assert_eq!(text.lines().count(), calls.len());
    assert_eq!(https.origin.accepts(), 0);
}

#[test]
fn the_number_of_headers_is_bounded() {
    let https = Https::start(|_| Answer::ok("asked"));
    let call = |count| {
        let headers = "a: b\\0a".repeat(count);
        format!("(call $tried (call $http_request {{GET}} {{URL/}} {{{headers}}} {{}}))\n")
    };
    let text = asking(&https, &[call(64), call(65)].concat())
        .get("/")
        .text();
    assert_eq!(text, "5\n-1/7\n");
    assert_eq!(https.origin.last().all("a").len(), 64);
}

#[test]
fn status_and_headers_are_those_of_the_last_answer() {
    let https = Https::start(|request| match request.target.as_str() {
        "/moved" => Answer::new(302, "").header("Location", "/end"),
        "/end" => Answer::ok("end").header("X-Where", "end"),
        _ => Answer::new(503, "busy")
            .header("Retry-After", "7")
            .header("X-Two", "1")
            .header("X-Two", "2"),
    });
    let body = "
        (call $tried (call $http_response_status))
        (call $tried (call $http_response_header {retry-after}))
        (call $text (call $http_request {GET} {URL/} {} {}))
        (call $note (call $http_response_status))
        (call $text (call $http_response_header {RETRY-after}))
        (call $text (call $http_response_header {x-two}))
        (call $tried (call $http_response_header {x-absent}))
        (call $tried (call $http_response_header {not a name}))
        (call $tried (call $http_response_header {}))
        (call $tried (call $http_response_header (i32.const -1) (i32.const 2)))
        (call $tried (call $http_get {http://no}))
        (call $note (call $http_response_status))
        (call $text (call $http_get {URL/moved}))
        (call $note (call $http_response_status))
        (call $text (call $http_response_header {x-where}))
        (call $tried (call $http_response_header {retry-after}))";
    assert_eq!(
        asking(&https, body).get("/").text(),
        "-1/1\n-1/1\nbusy\n503\n7\n1\n-1/1\n-1/2\n-1/2\n-1/2\n-1/2\n503\nend\n200\nend\n-1/1\n"
    );
}

#[test]
fn the_four_first_calls_set_them_too() {
    let https = Https::start(|request| {
        let status = ["GET", "POST", "PUT", "DELETE"];
        let index = status.iter().position(|method| *method == request.method);
        Answer::new(201 + u16::try_from(index.unwrap()).unwrap(), "")
    });
    let body = "
        (drop (call $http_get {URL/})) (call $note (call $http_response_status))
        (drop (call $http_post {URL/} {} {})) (call $note (call $http_response_status))
        (drop (call $http_put {URL/} {} {})) (call $note (call $http_response_status))
        (drop (call $http_delete {URL/})) (call $note (call $http_response_status))";
    let text = asking(&https, body).get("/").text();
    assert_eq!(text, "201\n202\n203\n204\n");
}

#[test]
fn one_invocation_sees_nothing_of_the_answers_of_another() {
    let https = Https::start(|_| Answer::ok("x").header("X-Secret", "1"));
    let body = "
        (call $tried (call $http_response_status))
        (call $tried (call $http_response_header {x-secret}))
        (call $tried (call $http_get {URL/}))
        (call $tried (call $http_request_wait (i32.const 0)))";
    let body = report(&body.replace("URL", &https.url("")));
    for instance in ["fresh", "reuse"] {
        let keys = format!("instance = \"{instance}\"\n{EGRESS}");
        let node = https.reachable_from(answers(&keys, &body)).start();
        for round in 1..=3 {
            let text = node.get("/").text();
            // A reused guest has what it noted before in its memory.
            let rounds = if instance == "reuse" { round } else { 1 };
            assert_eq!(text, "-1/1\n-1/1\n1\n-1/2\n".repeat(rounds), "{instance}");
        }
    }
}
