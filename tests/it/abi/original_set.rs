//! A guest written by hand against the original set runs unchanged, and every call answers as specified.

use crate::harness::{Answer, EGRESS, Https, Request, answers, fixture};

#[test]
fn every_original_call_answers_as_specified() {
    let https = Https::start(|request| {
        let kind = request.header("content-type").unwrap_or("none");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Answer::new(
            418,
            format!("{} {} {kind} {body}", request.method, request.target),
        )
    });
    let guest = fixture("original_set").replace("00000", &https.port().to_string());
    let node = https
        .reachable_from(answers(&format!("body = \"request\"\n{EGRESS}"), &guest))
        .start();
    let request = Request::new("POST", "/x/../orig%69nal?q=%31")
        .header("x-user", "ada")
        .header("X-USER", "bob");
    let response = node.send(&request.body(b"posted"));
    let text = response.text();
    let lines: Vec<&str> = text.lines().collect();
    let (names, others): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.starts_with('['));
    assert_eq!(
        others,
        [
            "-",
            "0",
            "value",
            "4",
            "-", // cache, shared buffer
            "GET /one?x=1 none ",
            "POST /one?x=1 text/x-test sent body",
            "PUT /one?x=1 text/x-test sent body",
            "DELETE /one?x=1 none ",
            "-", // http:// is refused
            "POST",
            "/original?q=%31",
            "posted",
            "ada",
            "-", // the request
            "0",
            "-",
            "0",
            "0",
            "-",
            "0",
            "0",
            "0",
            "0",
            "0", // the response
        ]
    );
    let names: Vec<String> = serde_json::from_str(names[0]).unwrap();
    assert!(
        ["host", "x-user", "content-length"]
            .iter()
            .all(|name| names.iter().any(|n| n.eq_ignore_ascii_case(name))),
        "{names:?}"
    );
    assert_eq!(response.status, 202);
    assert_eq!(
        (response.all("x-set"), response.header("x-gone")),
        (vec!["two"], None)
    );
    assert_eq!(response.all("x-add").join(","), "one,two");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    node.stderr
        .wait_for(|line| line.contains("a line from the original set"));
}

#[test]
fn the_same_guest_with_one_changed_signature_is_refused_by_name() {
    let changed = fixture("original_set")
        .replace(
            r#""request_terminate" (func $request_terminate (param i32)"#,
            r#""request_terminate" (func $request_terminate (param i64)"#,
        )
        .replace(
            "(call $request_terminate (i32.const 202))",
            "(call $request_terminate (i64.const 202))",
        );
    let (code, printed) = answers("", &changed).check(&[]);
    assert_eq!(code, Some(1));
    assert!(printed.contains("request_terminate"), "{printed}");
    assert_eq!(answers("", &fixture("original_set")).check(&[]).0, Some(0));
}
