//! The command line: exit codes, what `check` prints, where the logs go.

use std::net::TcpListener;

use crate::harness::node::message;
use crate::harness::{aegis, fixture, node, printed};

const GOOD: &str = r#"
    [[routes]]
    respond = { status = 200, body = "ok" }"#;

const FIVE_ERRORS: &str = r#"[server]
drain_timeout = "8 parsecs"
[[listeners]]
address = "nowhere"
[[routes]]
path_regex = "("
respond = { status = 200 }
[[routes]]
path = "/x"
upstream = "ghost"
[[routes]]
pathprefix = "/y"
respond = { status = 200 }
"#;

#[test]
fn run_with_a_bad_configuration_exits_2() {
    let setup = node("[server]\nthreds = 1");
    setup.check(&[]);
    let output = aegis(&["run", "-c", setup.path("aegis.toml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("threds"), "{}", printed(&output));
}

#[test]
fn run_without_the_file_exits_2_and_names_it() {
    let output = aegis(&["run", "-c", "/nowhere/aegis.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("/nowhere/aegis.toml"));
}

#[test]
fn run_on_a_taken_port_exits_1_and_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = node(&format!("[[listeners]]\naddress = \"{address}\"\n{GOOD}"));
    assert_eq!(setup.check(&[]).0, Some(0));
    let output = aegis(&["run", "-c", setup.path("aegis.toml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let printed = printed(&output);
    assert!(
        printed.contains(&address) && !printed.contains("listening"),
        "{printed}"
    );
}

#[test]
fn run_says_where_it_listens() {
    let node = node(GOOD).start();
    let line = node
        .stderr
        .wait_for(|line| message(line).contains("listening"));
    assert!(line.contains(&node.address.to_string()), "{line}");
}

#[test]
fn check_exits_0_on_a_good_file_and_1_on_a_bad_one() {
    assert_eq!(node(GOOD).check(&[]).0, Some(0));
    assert_eq!(node("[[routes]]\nmethods = 3").check(&[]).0, Some(1));
}

#[test]
fn usage_errors_exit_2() {
    for arguments in [
        &["dance"][..],
        &["run", "--no-such-option"],
        &["check", "--no-such-option"],
    ] {
        assert_eq!(aegis(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn five_planted_errors_print_five_with_path_line_and_remedy() {
    let (code, printed) = node(FIVE_ERRORS).check(&[]);
    assert_eq!(code, Some(1));
    let planted = [
        ("server.drain_timeout", "2", "8s"),
        ("listeners[0].address", "4", "such as"),
        ("routes[0].path_regex", "6", ""),
        ("routes[1].upstream", "10", ""),
        ("routes[2].pathprefix", "12", "path_prefix"),
    ];
    for (path, line, remedy) in planted {
        let problem = printed.lines().find(|text| text.contains(path));
        let problem = problem.unwrap_or_else(|| panic!("{path} is not named in:\n{printed}"));
        assert!(
            problem
                .split(|c: char| !c.is_ascii_digit())
                .any(|number| number == line),
            "line {line}: {problem}"
        );
        assert!(problem.contains(remedy), "{remedy}: {problem}");
    }
    let named = printed.lines().filter(|text| {
        text.contains("routes[") || text.contains("server.") || text.contains("listeners[")
    });
    assert_eq!(named.count(), planted.len(), "{printed}");
}

#[test]
fn check_v_lists_routes_in_precedence_order() {
    let toml = r#"
        [[routes]]
        name = "everything"
        respond = { status = 200 }
        [[routes]]
        name = "short-prefix"
        path_prefix = "/a"
        respond = { status = 200 }
        [[routes]]
        name = "exact-path"
        path = "/a/b"
        respond = { status = 200 }
        [[routes]]
        name = "exact-host"
        hosts = ["one.test"]
        respond = { status = 200 }
        [[routes]]
        name = "wildcard-host"
        hosts = ["*.test"]
        respond = { status = 200 }"#;
    let (code, printed) = node(toml).check(&["-v"]);
    assert_eq!(code, Some(0), "{printed}");
    let order = [
        "exact-host",
        "wildcard-host",
        "exact-path",
        "short-prefix",
        "everything",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|name| {
            printed
                .find(name)
                .unwrap_or_else(|| panic!("{name}: {printed}"))
        })
        .collect();
    assert!(places.is_sorted(), "{printed}");
}

#[test]
fn check_v_lists_modules_with_hash_size_imports_and_limits() {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        limits = { fuel = 1_234_567 }
        [[routes]]
        functions = ["f"]"#;
    let setup = node(toml).wasm("f", fixture("original_set"));
    let (code, printed) = setup.check(&["-v"]);
    assert_eq!(code, Some(0), "{printed}");
    let size = std::fs::metadata(setup.path("f.wasm")).unwrap().len();
    let sum = std::process::Command::new("sha256sum")
        .arg(setup.path("f.wasm"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let digits: String = printed
        .chars()
        .filter(|c| !matches!(c, '_' | ','))
        .collect();
    for expected in [
        &sum[..8],
        &size.to_string(),
        "request_terminate",
        "get_shared_buffer",
        "1234567",
    ] {
        assert!(
            digits.contains(expected) || printed.contains(expected),
            "{expected} is missing in:\n{printed}"
        );
    }
}

#[test]
fn the_log_format_is_taken_before_or_after_the_subcommand() {
    let setup = node(GOOD);
    setup.check(&[]);
    let file = setup.path("aegis.toml");
    let file = file.to_str().unwrap();
    for arguments in [
        ["--log-format", "json", "check", "-c", file],
        ["check", "-c", file, "--log-format", "text"],
    ] {
        assert_eq!(aegis(&arguments).status.code(), Some(0), "{arguments:?}");
    }
}
