//! Ways into a store, as configured: sockets, TLS, passwords; and what is never told.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::harness::lines::PATIENCE;
use crate::harness::{Authority, Node, Redis, Setup, answers, report};

const KEEPS: &str = "
    (call $tried (call $cache_set {k} {value} (i32.const 60)))
    (call $text (call $cache_get {k}))";

fn keeping(cache: &str) -> Setup {
    answers(&format!("[cache]\n{cache}"), &report(KEEPS))
}

/// Waits for the first connection, which nobody has to wait for in service.
fn assert_keeps(node: &Node) {
    let start = std::time::Instant::now();
    while node.get("/").text() != "0\nvalue\n" {
        assert!(start.elapsed() < PATIENCE, "the store is never reached");
    }
}

/// Nothing the node has written, here or there, has the secret in it.
fn assert_untold(node: &Node, secret: &str) {
    let written = [node.stdout.all(), node.stderr.all()].concat().join("\n");
    assert!(!written.is_empty());
    assert!(!written.contains(secret), "{written}");
}

#[test]
fn a_unix_socket_is_reached() {
    let redis = Redis::start_with("--unixsocket {dir}/store.sock");
    let socket = redis.path("store.sock");
    for scheme in ["unix", "redis+unix"] {
        let url = format!("url = \"{scheme}://{}\"", socket.display());
        assert_keeps(&keeping(&url).start());
    }
    assert_eq!(redis.query(&["GET", "aegis:f:k"]), "value");
}

#[test]
fn a_first_unix_socket_needs_a_restart_of_a_sandboxed_node() {
    if !crate::harness::kernel::can_sandbox() {
        return;
    }
    let sandboxed = |cache: &str| {
        format!("[server]\nsandbox = true\n{cache}\n[[routes]]\nrespond = {{ status = 200 }}")
    };
    let mut node = crate::harness::node(&sandboxed("")).start();
    let toml = sandboxed("[cache]\nurl = \"unix:///run/store.sock\"");
    let line = node.reload(&toml).unwrap_err();
    let reason = "cache.url: /run/store.sock is outside what the sandbox may connect to";
    assert!(line.contains(reason), "{line}");
    // Where there is one from the start, another may follow.
    let mut node = crate::harness::node(&toml).start();
    node.reload(&toml.replace("store.sock", "other.sock"))
        .unwrap();
}

#[test]
fn tls_is_verified_with_the_ca_file() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.certificate(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let redis = Redis::start_with(&format!(
        "--port 0 --tls-port {{port}} --tls-auth-clients no --tls-cert-file {0}/cert.pem \
         --tls-key-file {0}/key.pem --tls-ca-cert-file {0}/cert.pem",
        folder.path().display()
    ));
    let url = format!("url = \"rediss://localhost:{}\"", redis.address.port());
    let node = |pem: &str| {
        let keys = format!("{url}\nca_file = \"ca.pem\"");
        keeping(&keys).file("ca.pem", pem).start()
    };
    assert_keeps(&node(&authority.pem));
    let refusing = node(&other.pem);
    let line = refusing
        .stderr
        .wait_for(|line| line.contains("cache store unavailable"));
    assert!(line.contains("InvalidCertificate"), "{line}");
    assert_eq!(refusing.get("/").text(), "-1/6\n-1/6\n");
}

#[test]
fn a_password_from_a_file_is_read_again_at_a_reload() {
    let redis = Redis::start_with("--user edge on >first ~aegis:* +@all --user default off");
    let url = format!("redis://edge@{}", redis.address);
    let keys = format!("url = \"{url}\"\npassword_file = \"password\"");
    let node = keeping(&keys).file("password", "wrong#one\n").start();
    let line = node
        .stderr
        .wait_for(|line| line.contains("cache store unavailable"));
    assert!(line.contains("WRONGPASS"), "{line}");
    assert_eq!(node.get("/").text(), "-1/6\n-1/6\n");
    std::fs::write(node.path("password"), "first\n").unwrap();
    node.reload_files().unwrap();
    assert_keeps(&node);
    assert_untold(&node, "wrong#one");
    std::fs::remove_file(node.path("password")).unwrap();
    let refused = node.reload_files().unwrap_err();
    assert!(refused.contains("cache.password_file"), "{refused}");
    assert_keeps(&node);
}

#[test]
fn a_wrong_password_is_never_told() {
    let redis = Redis::start_with("--requirepass right");
    let url = format!("url = \"redis://user:${{SECRET}}@{}\"", redis.address);
    let setup = keeping(&url).environment("SECRET", &"hunter2");
    let node = setup
        .environment("RUST_LOG", &"fred=trace,rustls=trace")
        .start();
    node.stderr
        .wait_for(|line| line.contains("cache store unavailable"));
    assert_eq!(node.get("/").text(), "-1/6\n-1/6\n");
    assert_untold(&node, "hunter2");
}

#[test]
fn problems_with_the_address_are_told_without_it() {
    for keys in [
        "url = \"redis://user:hunter2@one,two\"",
        "url = \"http://:hunter2@store\"",
        "url = \"redis://:hunter2@store\"\npassword_file = \"password\"",
        "url = \"redis://user@store\"\npassword_file = \"password\"\nca_file = \"hunter.pem\"",
    ] {
        let setup = keeping(keys).file("password", "hunter2\nsecond");
        let (code, printed) = setup.check(&["-v"]);
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains("cache."), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
    let setup = keeping("url = \"redis://user@store\"\npassword_file = \"password\"");
    let (code, text) = setup.file("password", "hunter2\nsecond").check(&[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("more than one line") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn looking_at_a_file_reaches_out_to_no_store() {
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("url = \"redis://{}\"", store.local_addr().unwrap());
    let (code, text) = keeping(&url).check(&["-v"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("cache store"), "{text}");
    store.set_nonblocking(true).unwrap();
    assert_eq!(store.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
