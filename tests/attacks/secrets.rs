//! C5, C6, C7: what a function might learn or change of others through answers, errors and clocks.

use std::time::Duration;

use crate::harness::{Answer, EGRESS, Gate, Https, Origin, Redis, Request, module, node, report};
use crate::siege::Siege;
use crate::worlds::{attacked, beside_control, several};

/// Two tenants' hosts in front of one upstream whose answers may be cached by anyone.
#[test]
fn c5_one_routes_function_does_not_alter_another_routes_answers() {
    let origin = Origin::start(|request| {
        Answer::ok(format!("page of {}", request.target))
            .header("Cache-Control", "public, max-age=3600")
            .header("ETag", "\"1\"")
    });
    let toml = "
        [functions.poison]
        module = \"poison.wasm\"
        [functions.pass]
        module = \"pass.wasm\"
        [upstreams.origin]
        backends = [\"{origin}\"]
        [[routes]]
        hosts = [\"a.test\"]
        functions = [\"poison\"]
        upstream = \"origin\"
        [[routes]]
        hosts = [\"b.test\"]
        functions = [\"pass\"]
        upstream = \"origin\"
        [[routes]]
        hosts = [\"c.test\"]
        upstream = \"origin\"";
    let poison = "(drop (call $response_set_header {x-poison} {yes})) (drop (call $response_set_header {cache-control} {public, immutable}))
        (drop (call $response_set_status (i32.const 203))) (drop (call $response_set_body {poisoned})) (i32.const 0)";
    let setup = beside_control(toml)
        .set("origin", &origin.address)
        .wasm("poison", module(poison))
        .wasm("pass", module("(i32.const 0)"));
    let siege = Siege::of(setup);
    let answers = siege.attack(6, |client| {
        let host = ["a.test", "b.test", "c.test"][client.number % 3];
        (host, client.send(&Request::get("/shared?q=1").host(host)))
    });
    for (host, answer) in &answers {
        let poisoned = *host == "a.test";
        let (status, body) = if poisoned {
            (203, "poisoned")
        } else {
            (200, "page of /shared?q=1")
        };
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, body),
            "{host}"
        );
        assert_eq!(answer.header("x-poison").is_some(), poisoned, "{host}");
    }
    assert!(
        origin.requests().len() >= answers.len(),
        "answers were shared"
    );
}

/// Names a function might try, and where they would lead if it had them.
const CURIOUS: [&str; 12] = [
    "SECRET_TOKEN",
    "PATH",
    "HOME",
    "url",
    "password",
    "cache.url",
    "functions.other.config.secret",
    "other.secret",
    "secret",
    "../other/secret",
    "/etc/passwd",
    "certificates",
];

/// A text that a failing call left for the guest.
fn last_error_of(call: &str) -> String {
    format!("(drop (call {call})) (call $text (call $last_error))\n")
}

/// What must be in no text a guest or a client gets.
const PRIVATE: [&str; 9] = [
    "hunter2",
    "t0ken",
    "127.0.0.1",
    "::1",
    "/tmp",
    "aegis.toml",
    ".wasm",
    ".rs",
    "redis",
];

fn assert_private(text: &str) {
    let lower = text.to_lowercase();
    for word in PRIVATE {
        assert!(!lower.contains(word), "{word:?} is told: {text}");
    }
}

#[test]
fn c6_a_function_finds_no_environment_no_file_and_no_others_configuration() {
    let looks: String = CURIOUS
        .iter()
        .map(|name| format!("(call $tried (call $config_get {{{name}}})) (call $tried (call $cache_get {{{name}}}))
            (call $tried (call $request_get_header {{{}}}))\n", name.replace(['/', '.'], "-").trim_matches('-')))
        .collect();
    let urls: String = [
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "https://169.254.169.254/",
        "https://localhost/",
        "unix:/run/x",
    ]
    .iter()
    .map(|url| format!("(call $note (call $http_get {{{url}}}))\n"))
    .collect();
    let own = report("(call $text (call $config_get {secret}))");
    let functions = [
        (
            "curious",
            "config = { greeting = \"hello\" }",
            report(&format!("{looks}{urls}")),
        ),
        (
            "other",
            "config = { secret = \"hunter2 ${SECRET_TOKEN}\" }",
            own,
        ),
    ];
    let siege = Siege::of(several(&functions, "").environment("SECRET_TOKEN", &"t0ken"));
    assert_eq!(siege.node.get("/other").text(), "hunter2 t0ken\n");
    for text in siege.attack(2, |client| client.get("/curious").text()) {
        assert_eq!(text, "-1/1\n".repeat(3 * CURIOUS.len()) + &"-1\n".repeat(5));
    }
    for import in [
        "environ_get",
        "path_open",
        "fd_read",
        "sock_open",
        "proc_exit",
        "clock_time_get",
    ] {
        let text = format!("(module (import \"wasi_snapshot_preview1\" \"{import}\" (func (param i32 i32) (result i32)))
            (memory (export \"memory\") 1) (func (export \"handle_request\")))");
        let setup = node("[functions.f]\nmodule = \"f.wasm\"\n[[routes]]\nfunctions = [\"f\"]");
        assert_eq!(setup.wasm("f", text).check(&[]).0, Some(1), "{import}");
    }
}

/// Every dependency of the function fails in a way of its own.
#[test]
fn c6_errors_tell_neither_paths_nor_addresses() {
    let mut redis = Redis::start();
    let https = Https::start(|_| Answer::raw("nonsense\r\n\r\n"));
    let (absent, port) = (Origin::absent().port(), https.port());
    let urls = [
        format!("https://api.example.com:{port}/"),
        format!("https://api.example.com:{absent}/"),
        format!("https://rebind.example.com:{port}/"),
        format!("https://unknown.example.com:{port}/"),
        "https://127.0.0.1/".to_owned(),
        "http://127.0.0.1/".to_owned(),
    ];
    let mut body: String = urls
        .iter()
        .map(|url| last_error_of(&format!("$http_get {{{url}}}")))
        .collect();
    for call in [
        "$cache_get {k}",
        "$cache_set {k} {v} (i32.const 1)",
        "$config_get {absent}",
        "$request_get_header {x-absent}",
        "$request_get_body",
        "$response_set_status (i32.const 1)",
        "$response_set_header {host} {v}",
        "$random_bytes (i32.const -1) (i32.const 1)",
    ] {
        body += &last_error_of(call);
    }
    let egress = EGRESS.replace(
        "\"api.example.com:{port}\"",
        &format!("\"*:{port}\", \"*:{absent}\""),
    );
    let keys = format!(
        "limits = {{ execution_time = \"5s\" }}\n{egress}\n[cache]\nurl = \"redis://:hunter2@{{redis}}\""
    );
    let functions = ["unreachable", "(i32.const -1)"]
        .map(|end| module(&format!("(drop (call $cache_get {{k}})) {end}")));
    let setup = https
        .reachable_from(attacked(&keys, &report(&body)))
        .set("redis", &redis.address);
    redis.kill();
    let siege = Siege::of(setup);
    for text in siege.attack(1, |client| client.get("/").text()) {
        assert!(
            text.lines().count() >= urls.len() + 8 && text.lines().all(|line| line.len() > 3),
            "{text}"
        );
        assert_private(&text);
    }
    // Clients are told a code, whatever happened.
    for function in functions {
        siege.node.replace("f", wat::parse_str(function).unwrap());
        siege.node.reload_files().unwrap();
        let answer = siege.node.get("/");
        assert_eq!(answer.status, 500);
        assert_private(&format!("{:?} {}", answer.headers, answer.text()));
    }
}

/// Spins in between, so that a clock that runs would move on by several milliseconds.
const SPIN: &str = "(local.set $i (i32.const 0))
    (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000000))))";

#[test]
fn c7_the_clock_stands_still_while_a_guest_runs() {
    let never = Gate::default();
    let https = Https::start(move |_| Answer::ok("x").held_for(&never, Duration::from_millis(50)));
    let body = format!(
        "(call $note64 (call $time_now)) {SPIN} (call $note64 (call $time_now))
         (call $tried (call $http_get {{{}}}))
         (call $note64 (call $time_now)) {SPIN} (call $note64 (call $time_now))",
        https.url("/")
    );
    let keys =
        format!("limits = {{ fuel = 1_000_000_000_000, execution_time = \"5s\" }}\n{EGRESS}");
    let siege = Siege::of(https.reachable_from(attacked(&keys, &report(&body))));
    for text in siege.attack(1, |client| client.get("/").text()) {
        let told: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
        let &[start, spun, 1, waited, again] = told.as_slice() else {
            panic!("{text}")
        };
        assert_eq!((start, waited), (spun, again), "the clock ran");
        assert!(waited >= start + 40, "{start} {waited}");
    }
}
