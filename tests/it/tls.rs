//! TLS on listeners: which certificate, which versions and protocols, and what of the node's own must hold there too.

mod clients;
mod files;
mod proxy_protocol;
mod redirects;
mod renewal;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{Certificate, KeyPair};
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::harness::http::Response;
use crate::harness::lines::PATIENCE;
use crate::harness::secure::connect;
use crate::harness::{Answer, Authority, Client, Node, Origin, Request, Setup, node, printed};

/// A listener with the certificate `site`; further keys may follow.
const SITE: &str = r#"
    [[listeners]]
    address = "{listen}"
    certificates = [{ cert = "site.pem", key = "site.key" }]"#;

const OK: &str = "[[routes]]\nrespond = { status = 200, body = \"over tls\" }";

type Pair = (Certificate, KeyPair);

/// `NAME.pem` and `NAME.key`.
fn with_pair(setup: Setup, name: &str, (certificate, key): &Pair) -> Setup {
    setup
        .file(&format!("{name}.pem"), certificate.pem())
        .file(&format!("{name}.key"), key.serialize_pem())
}

/// A node whose listener has one certificate, for `site.test`.
fn site(keys: &str, rest: &str) -> (Setup, Pair) {
    let pair = Authority::new().certificate(&["site.test"]);
    let setup = node(&format!("{SITE}\n{keys}\n{rest}"));
    (with_pair(setup, "site", &pair), pair)
}

fn get(node: &Node, target: &str) -> Response {
    send(node, &Request::get(target))
}

fn send(node: &Node, request: &Request) -> Response {
    let client = Client::default().offering(&["http/1.1"]);
    client
        .open(node.address, Some("site.test"))
        .unwrap()
        .exchange(request)
        .expect("the connection ended without an answer")
}

/// What `openssl s_client` makes of the node.
fn openssl(node: &Node, arguments: &[&str]) -> String {
    let address = node.address.to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    printed(&output)
}

#[test]
fn requests_are_served_over_both_versions_of_tls_and_no_older_one() {
    let node = site("", OK).0.start();
    for (asked, version) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = Client::default().version(asked);
        let mut secure = client.open(node.address, Some("site.test")).unwrap();
        assert_eq!(secure.version(), Some(version));
        assert_eq!(secure.protocol(), None);
        assert_eq!(secure.get("/").text(), "over tls");
        assert_eq!(secure.get("/again").text(), "over tls");
    }
    let old = openssl(&node, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(old.contains("SSL alert number"), "{old}");
    assert!(old.contains("no peer certificate available"), "{old}");
}

#[test]
fn the_certificate_is_chosen_by_the_name_the_client_asks_for() {
    let authority = Authority::new();
    let names: [&[&str]; 3] = [
        &["first.test"],
        &["www.site.test", "*.apps.test", "*.site.test"],
        &["exact.apps.test"],
    ];
    let pairs = names.map(|names| authority.certificate(names));
    let listener = r#"
        [[listeners]]
        address = "{listen}"
        certificates = [
            { cert = "0.pem", key = "0.key" },
            { cert = "1.pem", key = "1.key" },
            { cert = "2.pem", key = "2.key" },
        ]"#;
    let mut setup = node(&format!("{listener}\n{OK}"));
    for (at, pair) in pairs.iter().enumerate() {
        setup = with_pair(setup, &at.to_string(), pair);
    }
    let node = setup.start();
    for (name, expected) in [
        (Some("first.test"), 0),
        (Some("www.site.test"), 1),
        (Some("WWW.Site.Test"), 1),
        (Some("any.site.test"), 1),
        (Some("x.apps.test"), 1),
        (Some("exact.apps.test"), 2),
        (Some("two.labels.apps.test"), 0),
        (Some("apps.test"), 0),
        (Some("other.test"), 0),
        (None, 0),
    ] {
        let secure = Client::default().open(node.address, name).unwrap();
        assert!(secure.is_with(&pairs[expected]), "{name:?}");
    }
}

#[test]
fn protocols_are_negotiated_and_clients_with_others_are_told() {
    let node = site("", OK).0.start();
    for (offered, chosen) in [
        (&["http/1.1"][..], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["spdy/1", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let client = Client::default().offering(offered);
        let secure = client.open(node.address, Some("site.test")).unwrap();
        assert_eq!(secure.protocol(), chosen, "{offered:?}");
    }
    let client = Client::default().offering(&["spdy/1"]);
    let error = client.open(node.address, Some("site.test")).err().unwrap();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
}

#[test]
fn openssl_and_curl_agree() {
    let authority = Authority::new();
    let pair = authority.certificate(&["site.test"]);
    let setup = with_pair(node(&format!("{SITE}\n{OK}")), "site", &pair);
    let node = setup.file("ca.pem", &authority.pem).start();
    let ca = node.path("ca.pem");
    let verified = [
        ["-CAfile", ca.to_str().unwrap()],
        ["-servername", "site.test"],
        ["-verify_hostname", "site.test"],
        ["-alpn", "h2,http/1.1"],
    ];
    let said = openssl(&node, &verified.concat());
    assert!(said.contains("ALPN protocol: h2"), "{said}");
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let port = node.address.port();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--http1.1", "--cacert"])
        .arg(&ca)
        .args(["--resolve", &format!("site.test:{port}:127.0.0.1")])
        .arg(format!("https://site.test:{port}/"))
        .output()
        .unwrap();
    assert_eq!(printed(&output), "over tls");
}

#[test]
fn a_request_in_the_clear_gets_no_answer() {
    let node = site("", OK).0.start();
    let mut connection = node.connect();
    connection.send(b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    let said = connection.read_to_close();
    assert!(!said.starts_with(b"HTTP/"), "{said:?}");
}

#[test]
fn upstreams_and_the_access_log_learn_that_it_was_tls() {
    let origin = Origin::start(|_| Answer::ok("from the origin"));
    let upstream = "[upstreams.o]\nbackends = [\"{origin}\"]\n[[routes]]\nupstream = \"o\"";
    let setup = site("[[listeners]]\naddress = \"127.0.0.1:0\"", upstream).0;
    let node = setup.set("origin", &origin.address).start();
    assert_eq!(get(&node, "/secure").text(), "from the origin");
    assert_eq!(origin.last().header("x-forwarded-proto"), Some("https"));
    assert_eq!(node.access("/secure")["tls"], "TLSv1.3");
}

#[test]
fn the_nodes_own_refusals_arrive_over_tls() {
    let limits = "[server.limits]\nheader_timeout = \"500ms\"\nheader_size = \"1KiB\"";
    let node = site("", &format!("{limits}\n{OK}")).0.start();
    let open = || Client::default().open(node.address, None).unwrap();
    let mut slow = open();
    slow.send(b"GET / HTTP/1.1\r\nHo");
    assert_eq!(slow.read("GET").unwrap().error(), (408, "request-timeout"));
    assert_eq!(slow.read_to_close(), b"");
    assert!(slow.was_closed_properly());
    let mut large = open();
    large.send(format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(5000)).as_bytes());
    assert_eq!(
        large.read("GET").unwrap().error(),
        (431, "headers-too-large")
    );
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_and_gives_its_place_back() {
    let limits = "[server.limits]\nheader_timeout = \"500ms\"\nconnections_per_client = 1";
    let node = site("", &format!("{limits}\n{OK}")).0.start();
    // The beginning of a record with the beginning of a hello.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for sent in [&hello[..0], hello] {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let started = Instant::now();
            let mut slow = connect(node.address);
            slow.write_all(sent).unwrap();
            // Refused at once: the first has the only place, and there is no handshake to tell it with.
            let refused = Client::default().open(node.address, None).is_err();
            let ended = slow.read(&mut [0; 100]).unwrap_or(0);
            assert_eq!(ended, 0);
            if refused && started.elapsed() >= Duration::from_millis(500) {
                break;
            }
            assert!(Instant::now() < deadline, "it is never cut at its deadline");
        }
        while Client::default().open(node.address, None).is_err() {
            assert!(Instant::now() < deadline, "the place is not given back");
        }
    }
}
