//! Calls that are granted: what goes out, what comes back, and their limits.

use std::time::{Duration, Instant};

use super::fetching;
use crate::harness::{
    Answer, Authority, Dns, EGRESS, Gate, Https, Origin, Request, answers, report,
};

#[test]
fn a_call_carries_nothing_of_the_client_and_names_the_node() {
    let https = Https::start(|_| Answer::ok("hello").header("Set-Cookie", "session=1"));
    let node = fetching(&https, "", &[https.url("/a"), https.url("/b")]);
    let request = Request::get("/")
        .header("Authorization", "Basic eA==")
        .header("Cookie", "secret=1");
    assert_eq!(node.send(&request.header("X-User", "ada")).text(), "5\n5\n");
    for received in https.origin.requests() {
        assert_eq!(
            received.header("host"),
            Some(format!("api.example.com:{}", https.port()).as_str())
        );
        assert_eq!(received.header("cdn-loop"), Some("aegis"));
        for name in ["authorization", "cookie", "x-user", "x-forwarded-for"] {
            assert_eq!(received.header(name), None, "{name}");
        }
    }
}

#[test]
fn an_answer_is_taken_up_to_a_mebibyte() {
    let https = Https::start(|request| {
        let answer = Answer::ok(vec![
            b'x';
            (1 << 20) + usize::from(request.target.contains("over"))
        ]);
        if request.target.contains("chunked") {
            answer.header("Transfer-Encoding", "chunked")
        } else {
            answer
        }
    });
    let urls = ["/exact", "/over", "/chunked", "/chunked-over"].map(|path| https.url(path));
    assert_eq!(
        fetching(&https, "", &urls).get("/").text(),
        "1048576\n-1/3\n1048576\n-1/3\n"
    );
}

#[test]
fn three_redirects_are_followed_and_a_fourth_is_not() {
    let https = Https::start(|request| match request.target.as_str() {
        "/0" => Answer::ok("arrived"),
        target => {
            let left: u32 = target[1..].parse().unwrap();
            Answer::new(302, "").header("Location", &format!("/{}", left - 1))
        }
    });
    let text = fetching(&https, "", &[https.url("/3"), https.url("/4")])
        .get("/")
        .text();
    assert!(text.starts_with("7\n-1/"), "{text}");
    assert_eq!(https.origin.requests().len(), 8);
}

#[test]
fn an_origin_that_says_nothing_costs_five_seconds() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let node = fetching(&https, "", &[https.url("/")]);
    let start = Instant::now();
    assert_eq!(node.get("/").text(), "-1/5\n");
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(4500)..Duration::from_millis(6500)).contains(&took),
        "{took:?}"
    );
    gate.open();
}

#[test]
fn a_certificate_that_does_not_prove_the_name_is_refused() {
    let ours = Authority::new();
    let (wrong_name, stranger) = (
        ours.server(&["other.example.com"]),
        Authority::new().server(&["api.example.com"]),
    );
    for tls in [wrong_name, stranger] {
        let origin = Origin::start_tls(tls, |_| Answer::ok("trust me"));
        let dns = Dns::start(&[("api.example.com", &["127.0.0.1"])]);
        let guest = report(&format!(
            "(call $tried (call $http_get {{https://api.example.com:{}/}}))",
            origin.address.port()
        ));
        let setup = answers(EGRESS, &guest)
            .set("port", &origin.address.port())
            .set("dns", &dns.address);
        assert_eq!(
            setup.file("ca.pem", &ours.pem).start().get("/").text(),
            "-1/6\n"
        );
        assert!(origin.requests().is_empty());
    }
}

#[test]
fn calls_per_invocation_are_limited() {
    let https = Https::start(|_| Answer::ok("x"));
    let urls = [https.url("/1"), https.url("/2"), https.url("/3")];
    let node = fetching(&https, "limits = { subrequests = 2 }", &urls);
    for _ in 0..2 {
        assert_eq!(node.get("/").text(), "1\n1\n-1/7\n");
    }
    assert_eq!(https.origin.requests().len(), 4);
}

#[test]
fn the_environments_proxy_is_not_used() {
    let (https, trap) = (
        Https::start(|_| Answer::ok("direct")),
        Origin::saying("proxied"),
    );
    let guest = report(&format!(
        "(call $tried (call $http_get {{{}}}))",
        https.url("/")
    ));
    let setup = https.reachable_from(answers(EGRESS, &guest));
    let proxy = format!("http://{}", trap.address);
    let setup = setup
        .environment("HTTPS_PROXY", &proxy)
        .environment("https_proxy", &proxy)
        .environment("ALL_PROXY", &proxy);
    assert_eq!(setup.start().get("/").text(), "6\n");
    assert_eq!(trap.accepts(), 0);
}
