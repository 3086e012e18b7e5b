//! `jwks_url`: keys that come over HTTPS, change, and at times do not come.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::keys::{Signer, token};
use super::{claims, refused, with};
use crate::harness::{Answer, Https, Node, Request, node};

/// What the issuer answers with at the moment.
type Says = Arc<Mutex<fn(&str) -> Answer>>;

/// An issuer that has the key of `signer`, and says with it what `says` makes of it.
fn issuer(signer: &Signer, says: fn(&str) -> Answer) -> (Says, Https) {
    let keys = json!({ "keys": [signer.public()] }).to_string();
    let says = Arc::new(Mutex::new(says));
    let told = Arc::clone(&says);
    let https = Https::start(move |_| {
        let answer = *told.lock().unwrap();
        answer(&keys)
    });
    (says, https)
}

fn keys(keys: &str) -> Answer {
    Answer::ok(keys)
}

const TOML: &str = r#"
    [egress]
    nameservers = ["{dns}"]
    [[routes]]
    path = "/control"
    respond = { status = 200 }
    [[routes]]
    respond = { status = 200, body = "in" }
    jwt = { issuer = "https://id.example", audience = "api", jwks_url = "{url}", ca_file = "ca.pem" }"#;

fn guarded(https: &Https) -> Node {
    https
        .reachable_from(node(TOML).set("url", &https.url("/keys")))
        .start()
}

fn signed(signer: &Signer) -> Request {
    let header = json!({ "alg": "ES256", "kid": signer.id() });
    with(&token(&header, &claims(), |message| {
        signer.sign("ES256", message)
    }))
}

#[test]
fn keys_are_fetched_once_and_strangers_names_do_not_change_that() {
    let (own, stranger) = (Signer::p256("own"), Signer::p256("stranger"));
    let (_says, https) = issuer(&own, keys);
    let node = guarded(&https);
    for _ in 0..5 {
        assert_eq!(node.send(&signed(&own)).text(), "in");
        refused(&node, &signed(&stranger));
    }
    assert_eq!(https.origin.requests().len(), 1, "asked for a moment ago");
    assert_eq!(https.origin.last().target, "/keys");
}

#[test]
fn without_keys_nobody_gets_in_and_others_are_served() {
    let own = Signer::p256("own");
    let answers: [fn(&str) -> Answer; 4] = [
        |keys| Answer::new(500, keys),
        |_| Answer::ok("no keys"),
        |_| Answer::new(302, "").header("Location", "https://evil.example/keys"),
        |_| Answer::ok(vec![b' '; 2 << 20]),
    ];
    for says in answers {
        let (_says, https) = issuer(&own, says);
        let node = guarded(&https);
        let answer = node.send(&signed(&own));
        assert_eq!(answer.error(), (503, "overloaded"));
        assert_eq!(
            node.get("/").error(),
            (401, "unauthorized"),
            "that is clear without keys"
        );
        assert_eq!(node.get("/control").status, 200);
        node.stderr
            .wait_for(|line| line.contains("keys cannot be had"));
    }
}

#[test]
fn a_reload_keeps_the_keys() {
    let own = Signer::p256("own");
    let (says, https) = issuer(&own, keys);
    let node = guarded(&https);
    assert_eq!(node.send(&signed(&own)).status, 200);
    *says.lock().unwrap() = |_| Answer::new(500, "down");
    node.reload_files().expect("a good configuration");
    assert_eq!(node.send(&signed(&own)).status, 200);
    assert_eq!(https.origin.requests().len(), 1);
}

#[test]
fn keys_that_are_to_be_had_in_another_way_are_asked_for_and_the_old_ones_used_meanwhile() {
    let own = Signer::p256("own");
    let (says, https) = issuer(&own, keys);
    let mut node = guarded(&https);
    assert_eq!(node.send(&signed(&own)).status, 200);
    *says.lock().unwrap() = |_| Answer::new(500, "down");
    node.reload(&TOML.replace("ca_file =", "refresh = \"1h\", ca_file ="))
        .expect("a good configuration");
    https.origin.wait_for(2);
    assert_eq!(node.send(&signed(&own)).status, 200);
    let authorities = node.path("ca.pem");
    let pem = std::fs::read_to_string(&authorities).unwrap();
    std::fs::write(&authorities, format!("{pem}\n# renewed\n")).unwrap();
    node.reload_files().expect("a good configuration");
    https.origin.wait_for(3);
    assert_eq!(node.send(&signed(&own)).status, 200);
}
