//! Calls that run on while the guest does other things: how many, for how long, and what they hold.

use std::time::Duration;

use crate::harness::{Answer, EGRESS, Gate, Https, Node, Request, answers, module, report};

/// Starts `count` calls to `/0`, `/1` and so on; what it notes are their handles.
fn starts(https: &Https, count: usize) -> String {
    (0..count)
        .map(|index| {
            let url = https.url(&format!("/{index}"));
            format!("(call $tried (call $http_request_start {{GET}} {{{url}}} {{}} {{}}))\n")
        })
        .collect()
}

fn waits(count: usize) -> String {
    (0..count)
        .map(|handle| format!("(call $text (call $http_request_wait (i32.const {handle})))\n"))
        .collect()
}

/// An array of these handles at 1 MiB, where `any` looks for it.
fn array(handles: &[i32]) -> String {
    let store = |(index, handle): (usize, &i32)| {
        let at = 0x10_0000 + 4 * index;
        format!("(i32.store (i32.const {at}) (i32.const {handle}))\n")
    };
    handles.iter().enumerate().map(store).collect()
}

fn any(count: usize) -> String {
    format!(
        "(call $tried (call $http_request_wait_any (i32.const 0x100000) (i32.const {count})))\n"
    )
}

fn node(https: &Https, keys: &str, guest: &str) -> Node {
    https
        .reachable_from(answers(&format!("{keys}\n{EGRESS}"), guest))
        .start()
}

/// Answers a request's path, once the gate is open.
fn held(gate: &Gate) -> Https {
    let gate = gate.clone();
    Https::start(move |request| Answer::ok(request.target.clone()).held(&gate))
}

#[test]
fn calls_run_at_the_same_time() {
    let gate = Gate::default();
    let https = held(&gate);
    let guest = report(&[starts(&https, 6), waits(6)].concat());
    let node = node(&https, "", &guest);
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    // None is answered before all have arrived.
    https.origin.wait_for(6);
    gate.open();
    assert_eq!(
        connection.read("GET").unwrap().text(),
        "0\n1\n2\n3\n4\n5\n/0\n/1\n/2\n/3\n/4\n/5\n"
    );
}

#[test]
fn calls_past_the_limit_wait_for_their_turn() {
    let gates: Vec<Gate> = (0..5).map(|_| Gate::default()).collect();
    let of_path = gates.clone();
    let https = Https::start(move |request| {
        let index: usize = request.target[1..].parse().unwrap();
        Answer::ok(request.target.clone()).held(&of_path[index])
    });
    let guest = report(&[starts(&https, 4), waits(4)].concat());
    let keys = "limits = { parallel_subrequests = 2 }";
    let node = node(&https, keys, &guest);
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    https.origin.wait_for(2);
    let paths = || -> Vec<String> {
        let requests = https.origin.requests();
        requests.into_iter().map(|request| request.target).collect()
    };
    let mut first = paths();
    first.sort();
    assert_eq!(first, ["/0", "/1"]);
    // The third comes when one of the two is over, whichever that is.
    gates[1].open();
    https.origin.wait_for(3);
    assert_eq!(paths()[2..], ["/2"]);
    gates[2].open();
    https.origin.wait_for(4);
    assert_eq!(paths()[3..], ["/3"]);
    gates[0].open();
    gates[3].open();
    let text = connection.read("GET").unwrap().text();
    assert_eq!(text, "0\n1\n2\n3\n/0\n/1\n/2\n/3\n");
}

#[test]
fn every_started_call_counts_as_a_subrequest() {
    let https = Https::start(|_| Answer::ok("x"));
    let guest = report(&starts(&https, 4));
    let node = node(&https, "limits = { subrequests = 3 }", &guest);
    assert_eq!(node.get("/").text(), "0\n1\n2\n-1/7\n");
}

#[test]
fn waiting_for_any_tells_which_is_over_and_leaves_it() {
    let never = Gate::default();
    let closed = never.clone();
    let https = Https::start(move |request| {
        let answer = Answer::new(
            if request.target == "/2" { 202 } else { 201 },
            request.target.clone(),
        );
        if request.target == "/2" {
            answer
        } else {
            answer.held(&closed)
        }
    });
    let body = [
        starts(&https, 3),
        array(&[0, 1, 2]),
        any(3),
        any(3),
        "(call $text (call $http_request_wait (i32.const 2))) (call $note (call $http_response_status))".to_owned(),
        // It was waited for: there is no such call any more.
        any(3),
        "(call $tried (call $http_request_wait (i32.const 2)))".to_owned(),
    ]
    .concat();
    let node = node(&https, "", &report(&body));
    assert_eq!(node.get("/").text(), "0\n1\n2\n2\n2\n/2\n202\n-1/2\n-1/2\n");
    never.open();
}

#[test]
fn of_several_the_first_of_the_array_is_named() {
    let https = Https::start(|request| Answer::ok(request.target.clone()));
    let body = [
        starts(&https, 3),
        // All are over when the last of them is waited for alone, one after the other.
        array(&[2]),
        any(1),
        array(&[1]),
        any(1),
        array(&[0]),
        any(1),
        array(&[2, 1, 0, 1]),
        // More than were started.
        any(4),
        any(3),
        waits(1),
        array(&[1, 1, 2]),
        any(3),
    ]
    .concat();
    let node = node(&https, "", &report(&body));
    assert_eq!(node.get("/").text(), "0\n1\n2\n0\n0\n0\n-1/2\n0\n/0\n0\n");
}

#[test]
fn handles_that_are_none_are_bad_arguments_and_change_nothing() {
    let https = Https::start(|request| Answer::ok(request.target.clone()));
    let wait_any =
        |arguments: &str| format!("(call $tried (call $http_request_wait_any {arguments}))\n");
    let wait =
        |handle: i32| format!("(call $tried (call $http_request_wait (i32.const {handle})))\n");
    let body = [
        wait(0),
        wait(-1),
        array(&[0]),
        any(1),
        starts(&https, 2),
        wait(2),
        wait(-1),
        wait(i32::MIN),
        wait(i32::MAX),
        array(&[0, 7]),
        any(2),
        array(&[-1, 0]),
        any(2),
        any(0),
        wait_any("(i32.const 0x100000) (i32.const -1)"),
        wait_any("(i32.const 0x100000) (i32.const 0x40000000)"),
        wait_any("(i32.const 0x100000) (i32.const 0x50000)"),
        wait_any("(i32.const -4) (i32.const 1)"),
        wait_any("(i32.const -4) (i32.const 2)"),
        waits(2),
    ]
    .concat();
    let node = node(&https, "", &report(&body));
    let refused = |count| "-1/2\n".repeat(count);
    assert_eq!(
        node.get("/").text(),
        [&refused(3), "0\n1\n", &refused(12), "/0\n/1\n"].concat()
    );
}

#[test]
fn a_failed_call_is_told_of_when_it_is_waited_for() {
    let https = Https::start(|_| Answer::ok("x"));
    let body = format!(
        "(call $tried (call $http_get {{{}}}))
         (call $tried (call $http_request_start {{GET}} {{https://other.example.com/}} {{}} {{}}))
         (call $tried (call $http_request_start {{GET}} {{no url}} {{}} {{}}))
         (call $tried (call $http_request_wait (i32.const 1)))
         (call $tried (call $http_request_wait (i32.const 2)))
         (call $tried (call $http_request_wait (i32.const 1)))
         (call $note (call $http_response_status))",
        https.url("/")
    );
    let node = node(&https, "", &report(&body));
    assert_eq!(node.get("/").text(), "1\n1\n2\n-1/4\n-1/2\n-1/2\n200\n");
}

/// The origin hears that its caller is gone, though nobody was answered.
fn is_left(https: &Https, left: &Gate) {
    https.origin.wait_for(1);
    // By itself it would end after five seconds.
    left.wait(Duration::from_secs(4));
    assert!(left.is_open(), "the connection of a call was never closed");
}

#[test]
fn a_call_nobody_waits_for_ends_with_the_invocation() {
    for (instance, ending) in [
        ("fresh", "(i32.const 0)"),
        ("reuse", "(i32.const 0)"),
        ("fresh", "(i32.const -1)"),
        ("fresh", "(unreachable)"),
    ] {
        let (left, https) = Https::holding();
        let call = |path| {
            format!(
                "(drop (call $http_request_start {{GET}} {{{}}} {{}} {{}}))",
                https.url(path)
            )
        };
        // The origin has the first before the guest ends.
        let guest = module(&format!(
            "{} (drop (call $http_get {{{}}})) {ending}",
            call("/held"),
            https.url("/after")
        ));
        let keys = format!("instance = \"{instance}\"");
        let node = node(&https, &keys, &guest);
        node.get("/");
        is_left(&https, &left);
    }
}

#[test]
fn a_call_ends_with_wall_time_and_with_the_client() {
    let wait = "(drop (call $http_request_wait (i32.const 0))) (i32.const 0)";
    let guest = |https: &Https| {
        module(&format!(
            "(drop (call $http_request_start {{GET}} {{{}}} {{}} {{}})) {wait}",
            https.url("/held")
        ))
    };
    let (left, https) = Https::holding();
    let timed = node(&https, "limits = { wall_time = \"300ms\" }", &guest(&https));
    assert_eq!(timed.get("/").error(), (504, "function-deadline"));
    is_left(&https, &left);

    let (left, https) = Https::holding();
    let patient = node(&https, "", &guest(&https));
    let mut leaving = patient.connect();
    leaving.send(&Request::get("/").bytes());
    https.origin.wait_for(1);
    drop(leaving);
    is_left(&https, &left);
}

#[test]
fn answers_nobody_has_waited_for_are_held_against_the_memory() {
    let https = Https::start(|_| Answer::ok(vec![b'x'; 1 << 20]));
    // Over, but nobody has taken them.
    let over: String = (0..8)
        .map(|handle| [array(&[handle]), any(1)].concat())
        .collect();
    let few = "(if (i32.ne (call $request_get_header {x-few}) (i32.const -1)) (then (call $answer) (return (i32.const 0))))";
    let sizes: String = (0..8)
        .map(|handle| format!("(call $tried (call $http_request_wait (i32.const {handle})))\n"))
        .collect();
    let guest = report(&[&starts(&https, 2), few, &starts(&https, 6), &over, &sizes].concat());
    let start = |edge: &str| {
        let keys = format!("limits = {{ memory = \"3MiB\" }}\n{EGRESS}{edge}");
        https.reachable_from(answers(&keys, &guest)).start()
    };
    // Of 10 MiB three parts of four are the function's, and less than eight answers fit.
    let node = start("\n[edge]\nmemory = \"10MiB\"");
    for _ in 0..3 {
        assert_eq!(node.get("/").error(), (503, "overloaded"));
        let few = Request::get("/").header("x-few", "1");
        assert_eq!(node.send(&few).text(), "0\n1\n");
    }
    let text = start("").get("/").text();
    assert_eq!(text.matches("1048576\n").count(), 8, "{text}");
}

#[test]
fn what_an_answer_took_is_given_back() {
    let https = Https::start(|_| Answer::ok(vec![b'x'; 1 << 20]));
    let body = format!("(call $tried (call $http_get {{{}}}))", https.url("/"));
    let keys = format!("limits = {{ memory = \"3MiB\" }}\n{EGRESS}\n[edge]\nmemory = \"8MiB\"");
    let node = https.reachable_from(answers(&keys, &report(&body))).start();
    for _ in 0..20 {
        assert_eq!(node.get("/").text(), "1048576\n");
    }
}

#[test]
fn time_moves_on_when_a_call_was_waited_for() {
    let gate = Gate::default();
    let https = held(&gate);
    let body = [
        "(local.set $t (call $time_now))".to_owned(),
        starts(&https, 1),
        "(call $note64 (i64.sub (call $time_now) (local.get $t)))".to_owned(),
        array(&[0]),
        any(1),
        "(call $note (i64.gt_s (call $time_now) (local.get $t)))".to_owned(),
    ]
    .concat();
    let node = node(&https, "", &report(&body));
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    https.origin.wait_for(1);
    gate.open();
    assert_eq!(connection.read("GET").unwrap().text(), "0\n0\n0\n1\n");
}
