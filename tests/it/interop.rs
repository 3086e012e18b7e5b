//! Clients that people use, talking through the node: curl, nghttp, h2load, openssl, and libraries for gRPC and WebSocket.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::{Answer, Authority, Node, Origin, Setup, node, printed};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/interop/");

/// The system's, for which the tests' packages are installed.
const PYTHON: &str = "/usr/bin/python3";

const WORLD: &str = r#"
    [[listeners]]
    address = "{listen}"
    h2c = true
    certificates = [{ cert = "a.pem", key = "a.key" }, { cert = "b.pem", key = "b.key" }]
    [upstreams.origin]
    backends = ["{origin}"]
    [[routes]]
    upstream = "origin"
"#;

/// A listener with certificates for `a.example` and `b.example`.
fn over_tls(toml: &str) -> Setup {
    let authority = Authority::new();
    let mut setup = node(&toml.replace("    h2c = true\n", "")).file("ca.pem", &authority.pem);
    for name in ["a", "b"] {
        let (certificate, key) = authority.certificate(&[&format!("{name}.example")]);
        setup = setup
            .file(&format!("{name}.pem"), certificate.pem())
            .file(&format!("{name}.key"), key.serialize_pem());
    }
    setup
}

/// The same, without TLS.
fn over_tcp(toml: &str) -> Setup {
    let lines = toml.lines().filter(|line| !line.contains("certificates"));
    node(&lines.collect::<Vec<_>>().join("\n"))
}

/// Runs a program to its end; what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = printed(&output);
    assert!(output.status.success(), "{program} {arguments:?}:\n{text}");
    text
}

/// curl, at `a.example` by way of the node, with the tests' certificate authority.
fn curl(node: &Node, arguments: &[&str]) -> String {
    let connect = format!("a.example:443:127.0.0.1:{}", node.address.port());
    let ca = node.path("ca.pem");
    let given = ["-sS", "--max-time", "20", "--connect-to", &connect];
    let trust = ["--cacert", ca.to_str().unwrap()];
    run("curl", &[&given[..], &trust, arguments].concat())
}

/// A server of the fixtures' that runs as long as its input is open.
struct Script {
    address: String,
    child: Child,
    _input: ChildStdin,
}

impl Script {
    fn serving(name: &str) -> Self {
        let mut child = Command::new(PYTHON)
            .args([&format!("{SCRIPTS}{name}"), "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        Self {
            address: format!("127.0.0.1:{}", port.trim()),
            _input: child.stdin.take().unwrap(),
            child,
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn curl_speaks_both_versions_and_sends_and_gets_large_bodies() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let node = over_tls(WORLD).set("origin", &origin.address).start();
    let (sent, back) = (node.path("sent"), node.path("back"));
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&sent, &body).unwrap();
    for (version, said) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let data = format!("@{}", sent.display());
        let told = curl(
            &node,
            &[
                version,
                "-w",
                "%{http_version} %{http_code} %{ssl_verify_result}",
                "--data-binary",
                &data,
                "-o",
                back.to_str().unwrap(),
                "https://a.example/echo",
            ],
        );
        assert_eq!(told, format!("{said} 200 0"));
        assert!(std::fs::read(&back).unwrap() == body, "{version}");
    }
}

#[test]
fn curl_speaks_http2_without_tls_where_it_knows() {
    let origin = Origin::saying("there");
    let node = over_tcp(WORLD).set("origin", &origin.address).start();
    let url = format!("http://{}/", node.address);
    let version = ["-sS", "-w", " %{http_version}", &url];
    let known = [&["--http2-prior-knowledge"], &version[..]].concat();
    assert_eq!(run("curl", &known), "there 2");
    assert_eq!(run("curl", &version), "there 1.1");
    // An upgrade to h2c is not taken up, and does no harm.
    let upgrade = [&["--http2"], &version[..]].concat();
    assert_eq!(run("curl", &upgrade), "there 1.1");
}

#[test]
fn nghttp_and_openssl_show_alpn_and_sni() {
    let origin = Origin::saying("there");
    let node = over_tls(WORLD).set("origin", &origin.address).start();
    let port = node.address.port();
    let url = format!("https://127.0.0.1:{port}/");
    let shown = run("nghttp", &["-v", &url]);
    assert!(shown.contains("The negotiated protocol: h2"), "{shown}");
    assert!(shown.contains(":status: 200"), "{shown}");
    for (name, offered, chosen) in [
        ("a.example", "h2,http/1.1", "h2"),
        ("b.example", "http/1.1", "http/1.1"),
    ] {
        let (address, ca) = (node.address.to_string(), node.path("ca.pem"));
        let shown = run(
            "openssl",
            &[
                &["s_client", "-connect", &address, "-servername", name],
                &["-alpn", offered, "-CAfile", ca.to_str().unwrap()][..],
                &["-verify_hostname", name, "-verify_return_error"],
            ]
            .concat(),
        );
        assert!(
            shown.contains(&format!("ALPN protocol: {chosen}")),
            "{shown}"
        );
        assert!(shown.contains("Verify return code: 0"), "{shown}");
    }
}

#[test]
fn h2load_loses_no_request() {
    let origin = Origin::saying("there");
    let node = over_tls(WORLD).set("origin", &origin.address).start();
    let url = format!("https://127.0.0.1:{}/", node.address.port());
    let shown = run("h2load", &["-n", "2000", "-c", "10", "-m", "20", &url]);
    assert!(
        shown.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{shown}"
    );
    assert!(shown.contains("status codes: 2000 2xx"), "{shown}");
    let shown = run("h2load", &["--h1", "-n", "500", "-c", "10", &url]);
    assert!(
        shown.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{shown}"
    );
}

#[test]
fn grpc_calls_of_all_kinds_pass_with_their_trailers() {
    let server = Script::serving("grpc_echo.py");
    let world = WORLD.replace("backends", "http2 = true\nbackends");
    let script = format!("{SCRIPTS}grpc_echo.py");
    let plain = over_tcp(&world).set("origin", &server.address).start();
    let address = plain.address.to_string();
    assert_eq!(run(PYTHON, &[&script, "call", &address]), "ok\n");
    let tls = over_tls(&world).set("origin", &server.address).start();
    let (address, ca) = (tls.address.to_string(), tls.path("ca.pem"));
    let call = [&*script, "call", &address, ca.to_str().unwrap()];
    assert_eq!(run(PYTHON, &call), "ok\n");
}

#[test]
fn a_websocket_library_talks_through_the_node() {
    let server = Script::serving("websocket_echo.py");
    let script = format!("{SCRIPTS}websocket_echo.py");
    let plain = over_tcp(WORLD).set("origin", &server.address).start();
    let url = format!("ws://{}/chat", plain.address);
    assert_eq!(run(PYTHON, &[&script, "talk", &url]), "ok\n");
    let tls = over_tls(WORLD).set("origin", &server.address).start();
    let (url, ca) = (format!("wss://{}/chat", tls.address), tls.path("ca.pem"));
    let talk = [&*script, "talk", &url, ca.to_str().unwrap()];
    assert_eq!(run(PYTHON, &talk), "ok\n");
}
