//! Who may use a route, and how much: `allow`, `deny`, `max_in_flight`, `rate_limit`.

use std::thread;

use crate::harness::{Answer, Gate, Node, Origin, Redis, Request, module, node};

/// A fixed answer at `/` under these keys, and one at `/control` under none.
fn limited(keys: &str) -> Node {
    let toml = r#"
        [[routes]]
        name = "limited"
        path = "/"
        respond = { status = 200, body = "in" }
        KEYS
        [[routes]]
        path = "/control"
        respond = { status = 200 }"#;
    node(&toml.replace("KEYS", keys)).start()
}

#[test]
fn addresses_are_let_in_or_kept_out() {
    for (keys, status) in [
        ("deny = [\"127.0.0.0/8\"]", 403),
        ("deny = [\"127.0.0.2\", \"::1\"]", 200),
        ("allow = [\"10.0.0.0/8\", \"127.0.0.1\"]", 200),
        ("allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]", 403),
        ("allow = [\"0.0.0.0/0\"]\ndeny = [\"127.0.0.1\"]", 403),
    ] {
        let node = limited(keys);
        let answer = node.get("/");
        assert_eq!(answer.status, status, "{keys}");
        if status == 403 {
            assert_eq!(answer.error(), (403, "forbidden"));
            assert_eq!(node.access("/")["code"], "forbidden");
        }
        assert_eq!(node.get("/control").status, 200);
    }
}

#[test]
fn who_is_kept_out_reaches_no_function_and_no_upstream() {
    let origin = Origin::saying("page");
    let toml = format!(
        r#"
        [functions.f]
        module = "f.wasm"
        body = "request"
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        path = "/function"
        functions = ["f"]
        deny = ["127.0.0.1"]
        [[routes]]
        upstream = "origin"
        deny = ["127.0.0.1"]"#,
        origin.address
    );
    let node = node(&toml)
        .wasm("f", module("(call $request_terminate (i32.const 200))"))
        .start();
    for path in ["/function", "/"] {
        // The same connection goes on: what is owed of a small body is read.
        let mut connection = node.connect();
        for _ in 0..2 {
            let request = Request::new("POST", path).body(b"hello");
            let answer = connection.exchange(&request).expect("an answer");
            assert_eq!(answer.error(), (403, "forbidden"), "{path}");
        }
        // One that would go on for long is not waited for, and the answer not lost.
        let mut connection = node.connect();
        connection.send(
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
                .as_bytes(),
        );
        connection.send(&[b'x'; 300_000]);
        let answer = connection.read("POST").expect("an answer");
        assert_eq!(answer.error(), (403, "forbidden"), "{path}");
    }
    assert_eq!(origin.accepts(), 0);
    assert_eq!(node.access("/function")["functions"], serde_json::json!([]));
}

#[test]
fn requests_of_a_route_under_way_are_limited_and_a_place_comes_back() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("late").held(&held));
    let toml = format!(
        r#"
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        path = "/control"
        upstream = "origin"
        [[routes]]
        name = "narrow"
        upstream = "origin"
        max_in_flight = 2"#,
        origin.address
    );
    let mut node = node(&toml).start();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = node.connect();
            connection.send(&Request::get("/slow").bytes());
            connection
        })
        .collect();
    origin.wait_for(2);
    let refused = node.get("/");
    assert_eq!(refused.error(), (503, "overloaded"));
    assert!(refused.header("retry-after").is_some());
    // A reload forgets nobody who is still there.
    node.reload(&toml).expect("a good configuration");
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    gate.open();
    for mut connection in waiting {
        assert_eq!(connection.read("GET").expect("an answer").status, 200);
    }
    node.connect_until_served("/");
}

#[test]
fn a_rate_is_exact_and_says_when_to_come_back() {
    let node = limited("rate_limit = { requests = 20, window = \"1h\" }");
    let allowed = |node: &Node| {
        thread::scope(|scope| {
            let client = || {
                let mut connection = node.connect();
                let mut ask = || {
                    connection
                        .exchange(&Request::get("/"))
                        .expect("an answer")
                        .status
                };
                (0..25).filter(|_| ask() == 200).count()
            };
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
            let counts = clients
                .into_iter()
                .map(|client| client.join().expect("a count"));
            counts.sum::<usize>()
        })
    };
    assert_eq!(allowed(&node), 20);
    let refused = node.get("/");
    assert_eq!(refused.error(), (429, "rate-limited"));
    let wait: u64 = refused
        .header("retry-after")
        .expect("a wait")
        .parse()
        .expect("seconds");
    assert!(
        (1..=180).contains(&wait),
        "one comes free each 180 s: {wait}"
    );
    assert_eq!(node.get("/control").status, 200);
}

#[test]
fn a_reload_forgets_no_rate() {
    let toml = r#"
        [[routes]]
        name = "limited"
        respond = { status = 200 }
        rate_limit = { requests = 1, window = "1h" }"#;
    let mut node = node(toml).start();
    assert_eq!(node.get("/").status, 200);
    node.reload(toml).expect("a good configuration");
    assert_eq!(node.get("/").status, 429);
}

#[test]
fn requests_count_by_header_or_cookie_and_without_it_by_address() {
    for (by, header, one, other) in [
        ("header:X-Key", "X-Key", "one", "other"),
        (
            "cookie:session",
            "Cookie",
            "a=b; session=one",
            "session=other; a=b",
        ),
    ] {
        let keys = format!("rate_limit = {{ requests = 2, window = \"1h\", by = \"{by}\" }}");
        let node = limited(&keys);
        for value in [one, other] {
            let ask = || node.send(&Request::get("/").header(header, value)).status;
            assert_eq!([ask(), ask(), ask()], [200, 200, 429], "{by} {value}");
        }
        let ask = || node.get("/").status;
        assert_eq!([ask(), ask(), ask()], [200, 200, 429], "{by}");
        let long = "x".repeat(20_000);
        let long = Request::get("/").header(header, &long.replace('y', "z"));
        assert_eq!(
            node.send(&long).status,
            if header == "Cookie" { 429 } else { 200 }
        );
    }
    let node = limited("rate_limit = { requests = 2, window = \"1h\", by = \"route\" }");
    let ask = |key: &str| node.send(&Request::get("/").header("X-Key", key)).status;
    assert_eq!([ask("a"), ask("b"), ask("c")], [200, 200, 429]);
}

#[test]
fn nodes_with_one_store_count_as_one_and_functions_cannot_touch_it() {
    let redis = Redis::start();
    let toml = r#"
        [cache]
        url = "redis://{redis}"
        [[routes]]
        name = "limited"
        respond = { status = 200 }
        rate_limit = { requests = 40, window = "1h", per = "shared" }"#;
    let nodes: Vec<_> = (0..2)
        .map(|_| node(toml).set("redis", &redis.address).start())
        .collect();
    for node in &nodes {
        node.stderr.wait_for(|line| line.contains("cache store"));
    }
    let allowed = thread::scope(|scope| {
        let ask = |node: &Node| {
            let mut connection = node.connect();
            let mut ask = || {
                connection
                    .exchange(&Request::get("/"))
                    .expect("an answer")
                    .status
            };
            (0..30).filter(|_| ask() == 200).count()
        };
        let clients: Vec<_> = nodes
            .iter()
            .chain(&nodes)
            .map(|node| scope.spawn(move || ask(node)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a count"))
            .sum::<usize>()
    });
    assert_eq!(allowed, 40);
    // No namespace that a configuration may name has this character.
    assert_eq!(
        redis.query(&["EXISTS", "aegis:@limits:limited:a:127.0.0.1"]),
        "1"
    );
}

#[test]
fn without_the_store_each_node_counts_for_itself() {
    let mut redis = Redis::start();
    let toml = r#"
        [cache]
        url = "redis://{redis}"
        [[routes]]
        name = "limited"
        respond = { status = 200 }
        rate_limit = { requests = 3, window = "1h", per = "shared" }"#;
    let node = node(toml).set("redis", &redis.address).start();
    redis.kill();
    let ask = || node.get("/").status;
    assert_eq!([ask(), ask(), ask(), ask()], [200, 200, 200, 429]);
    let said = node
        .stderr
        .wait_for(|line| line.contains("does not count a rate limit"));
    assert!(said.contains("\"route\":\"limited\""), "{said}");
}

#[test]
fn rules_that_cannot_be_are_refused_at_load() {
    for (keys, said) in [
        ("allow = [\"10.0.0.1/8\"]", "write \"10.0.0.0/8\""),
        ("deny = [\"localhost\"]", "not an address or a network"),
        ("deny = [\"::ffff:10.0.0.1\"]", "ipv4 address in ipv6"),
        ("allow = []", "nobody would be allowed"),
        ("max_in_flight = 0", "out of range"),
        (
            "rate_limit = { requests = 0, window = \"1m\" }",
            "out of range",
        ),
        (
            "rate_limit = { requests = 1, window = \"0s\" }",
            "out of range",
        ),
        ("rate_limit = { requests = 1 }", "missing"),
        (
            "rate_limit = { requests = 1, window = \"1m\", by = \"ip\" }",
            "not address, route",
        ),
        (
            "rate_limit = { requests = 1, window = \"1m\", by = \"header:a b\" }",
            "not address, route",
        ),
        (
            "name = \"n\"\nrate_limit = { requests = 1, window = \"1m\", per = \"shared\" }",
            "no store that nodes share",
        ),
    ] {
        let toml = format!("[[routes]]\nrespond = {{ status = 200 }}\n{keys}");
        let (code, printed) = node(&toml).check(&[]);
        assert_eq!(code, Some(1), "{keys}");
        assert!(printed.contains(said), "{keys}: {printed}");
        assert_eq!(printed.lines().count(), 1, "{keys}: {printed}");
    }
}
