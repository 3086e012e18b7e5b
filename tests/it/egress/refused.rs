//! Calls that are refused: nobody hears a connection.

use crate::harness::{Answer, Authority, Dns, Https, Node, Origin, answers};

use super::getting;

/// A listener that must never be dialled, on a loopback address that is not exempt, and the names that lead there.
struct Trap {
    listener: Origin,
    dns: Dns,
    authority: Authority,
}

impl Trap {
    fn set() -> Self {
        let authority = Authority::new();
        let tls = authority.server(&["rebind.example.com", "mixed.example.com", "localhost"]);
        let listener =
            Origin::start_tls_at(([127, 0, 0, 2], 0).into(), tls, |_| Answer::ok("trapped"));
        let dns = Dns::start(&[
            ("rebind.example.com", &["127.0.0.2"]),
            ("mixed.example.com", &["127.0.0.1", "127.0.0.2"]),
            ("mapped.example.com", &["::ffff:127.0.0.2"]),
            ("api.example.com", &["127.0.0.1"]),
            ("localhost", &["127.0.0.2"]),
            ("printer.local", &["127.0.0.2"]),
        ]);
        Self {
            listener,
            dns,
            authority,
        }
    }

    /// A node that may call any public name on the trap's port, and 127.0.0.1 besides.
    fn node(&self, keys: &str, urls: &[String]) -> Node {
        let egress = r#"
            [egress]
            allow = ["*:{port}"]
            allow_private = ["127.0.0.1/32"]
            ca_file = "ca.pem"
            nameservers = ["{dns}"]"#;
        let setup = answers(&format!("{keys}\n{egress}"), &getting(urls));
        let setup = setup
            .set("port", &self.listener.address.port())
            .set("dns", &self.dns.address);
        setup.file("ca.pem", &self.authority.pem).start()
    }

    /// Asserts that each URL is refused with one of `codes`, and that nothing was dialled.
    fn refuses(&self, keys: &str, urls: &[&str], codes: &[&str]) {
        let port = self.listener.address.port().to_string();
        let urls: Vec<String> = urls.iter().map(|url| url.replace("PORT", &port)).collect();
        let text = self.node(keys, &urls).get("/").text();
        assert_eq!(text.lines().count(), urls.len(), "{text}");
        for (url, result) in urls.iter().zip(text.lines()) {
            let code = result.strip_prefix("-1/");
            assert!(
                code.is_some_and(|code| codes.contains(&code)),
                "{url}: {result}"
            );
        }
        assert_eq!(self.listener.accepts(), 0, "a connection was opened");
    }
}

const GRANTED: &str = "egress = [\"*\"]";

#[test]
fn names_that_lead_to_private_addresses() {
    let urls = [
        "https://rebind.example.com:PORT/",
        "https://mixed.example.com:PORT/",
        "https://mapped.example.com:PORT/",
    ];
    Trap::set().refuses(GRANTED, &urls, &["4"]);
}

#[test]
fn names_that_are_not_public() {
    let urls = [
        "https://localhost:PORT/",
        "https://printer.local:PORT/",
        "https://localhost.:PORT/",
        "https://intranet:PORT/",
    ];
    Trap::set().refuses(GRANTED, &urls, &["4"]);
}

#[test]
fn literal_addresses_in_any_notation() {
    let urls = [
        "https://127.0.0.2:PORT/",
        "https://2130706434:PORT/",
        "https://0x7f000002:PORT/",
        "https://0177.0.0.2:PORT/",
        "https://127.2:PORT/",
        "https://[::ffff:127.0.0.2]:PORT/",
        "https://[::1]:PORT/",
        "https://127.0.0.1:PORT/",
    ];
    Trap::set().refuses(GRANTED, &urls, &["4"]);
}

#[test]
fn anything_but_a_plain_https_url() {
    let urls = [
        "http://rebind.example.com:PORT/",
        "ftp://rebind.example.com:PORT/",
        "https:rebind.example.com:PORT/",
        "https:/rebind.example.com:PORT/",
        "https://user@rebind.example.com:PORT/",
        "https://api.example.com:PORT\\5c@rebind.example.com:PORT/",
        "https://rebind.example.com:PORT/\\0d\\0aHost: x",
        "https://rebind.example.com:PORT/a b",
        " https://rebind.example.com:PORT/",
        "https:\\5c\\5crebind.example.com:PORT/",
        "rebind.example.com",
        "//rebind.example.com:PORT/",
        "https://",
        "https://\\ff\\fe/",
        "",
    ];
    Trap::set().refuses(GRANTED, &urls, &["2", "4"]);
}

#[test]
fn functions_without_the_grant_and_hosts_outside_it() {
    let urls = [
        "https://rebind.example.com:PORT/",
        "https://api.example.com:PORT/",
    ];
    Trap::set().refuses("", &urls, &["4"]);
    Trap::set().refuses(
        GRANTED,
        &["https://api.example.com/", "https://api.example.com:1/"],
        &["4"],
    );
}

#[test]
fn a_node_without_egress_refuses_every_call() {
    let guest = getting(&["https://api.example.com/".to_owned()]);
    assert_eq!(answers("", &guest).start().get("/").text(), "-1/4\n");
}

#[test]
fn redirects_to_what_would_be_refused_at_first() {
    let trap = Origin::start_at(([127, 0, 0, 2], 0).into(), |_| Answer::ok("trapped"));
    let port = trap.address.port();
    let locations = [
        format!("http://api.example.com:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("https://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("https://rebind.example.com:{port}/"),
        format!("https://user@rebind.example.com:{port}/"),
    ];
    let to = locations.clone();
    let https = Https::start(move |request| {
        let target: usize = request.target[1..].parse().unwrap();
        Answer::new(307, "").header("Location", &to[target])
    });
    let urls: Vec<String> = (0..locations.len())
        .map(|i| https.url(&format!("/{i}")))
        .collect();
    let keys = format!(
        "egress = [\"*\"]\n[egress]\nallow = [\"*:{{port}}\", \"*:{port}\"]\nallow_private = [\"127.0.0.1/32\"]\nca_file = \"ca.pem\"\nnameservers = [\"{{dns}}\"]"
    );
    let text = https
        .reachable_from(answers(&keys, &getting(&urls)))
        .start()
        .get("/")
        .text();
    for (location, result) in locations.iter().zip(text.lines()) {
        assert!(["-1/2", "-1/4"].contains(&result), "{location}: {result}");
    }
    assert_eq!(
        (https.origin.requests().len(), trap.accepts()),
        (locations.len(), 0)
    );
}
