//! `jwt`: which tokens get in, and where the keys come from.

mod keys;
mod remote;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use self::keys::{Signer, now, token};
use crate::harness::{Node, Origin, Request, node};

const ISSUER: &str = "https://id.example";

/// A route for tokens of the issuer, with these further keys.
fn guarded(origin: &Origin, keys: &[Value], more: &str) -> Node {
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin"
        jwt = { issuer = "https://id.example", audience = "api", jwks_file = "keys.json" MORE }"#;
    node(&toml.replace("MORE", more))
        .set("origin", &origin.address)
        .file("keys.json", json!({ "keys": keys }).to_string())
        .start()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "api", "sub": "ada", "exp": now() + 600 })
}

fn with(token: &str) -> Request {
    Request::get("/").header("Authorization", &format!("Bearer {token}"))
}

fn refused(node: &Node, request: &Request) {
    let answer = node.send(request);
    assert_eq!(answer.error(), (401, "unauthorized"));
    assert_eq!(
        answer.all("www-authenticate"),
        ["Bearer error=\"invalid_token\""]
    );
}

#[test]
fn tokens_of_every_algorithm_get_in_and_only_with_their_own_key() {
    let signers: Vec<Signer> = Signer::all();
    let keys: Vec<Value> = signers.iter().map(Signer::public).collect();
    let origin = Origin::saying("page");
    let node = guarded(&origin, &keys, "");
    for signer in &signers {
        for algorithm in signer.algorithms() {
            let header = json!({ "alg": algorithm, "kid": signer.id() });
            let good = token(&header, &claims(), |message| {
                signer.sign(algorithm, message)
            });
            assert_eq!(node.send(&with(&good)).text(), "page", "{algorithm}");
            let nameless = json!({ "alg": algorithm });
            let nameless = token(&nameless, &claims(), |message| {
                signer.sign(algorithm, message)
            });
            assert_eq!(node.send(&with(&nameless)).text(), "page", "{algorithm}");
            for other in signers.iter().filter(|other| other.id() != signer.id()) {
                let header = json!({ "alg": algorithm, "kid": other.id() });
                let wrong = token(&header, &claims(), |message| {
                    signer.sign(algorithm, message)
                });
                refused(&node, &with(&wrong));
            }
        }
    }
}

#[test]
fn no_algorithm_is_confused_with_another() {
    let signer = Signer::p256("one");
    let origin = Origin::saying("page");
    let node = guarded(&origin, &[signer.public()], "");
    // The public key, as it stands in the set, taken for a shared secret.
    let secret = signer.public()["x"].as_str().expect("text").to_owned();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let hmac = |message: &[u8]| ring::hmac::sign(&key, message).as_ref().to_vec();
    for algorithm in ["HS256", "none", "None", "", "ES384", "RS256", "es256"] {
        let header = json!({ "alg": algorithm, "kid": "one" });
        refused(&node, &with(&token(&header, &claims(), hmac)));
        refused(&node, &with(&token(&header, &claims(), |_| Vec::new())));
        refused(
            &node,
            &with(&token(&header, &claims(), |message| {
                signer.sign("ES256", message)
            })),
        );
    }
    // A key that the token brings along counts for nothing.
    let own = Signer::p256("two");
    let header = json!({ "alg": "ES256", "jwk": own.public(), "jku": "https://evil.example/keys" });
    refused(
        &node,
        &with(&token(&header, &claims(), |message| {
            own.sign("ES256", message)
        })),
    );
    let only = guarded(&origin, &[signer.public()], ", algorithms = [\"RS256\"]");
    let header = json!({ "alg": "ES256", "kid": "one" });
    let good = token(&header, &claims(), |message| signer.sign("ES256", message));
    assert_eq!(node.send(&with(&good)).status, 200);
    refused(&only, &with(&good));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn claims_must_be_for_here_and_now() {
    let signer = Signer::p256("one");
    let origin = Origin::saying("page");
    let node = guarded(&origin, &[signer.public()], ", leeway = \"0s\"");
    let header = json!({ "alg": "ES256", "kid": "one" });
    for (name, value) in [
        ("exp", json!(now() - 1)),
        ("exp", Value::Null),
        ("exp", json!((now() + 600).to_string())),
        ("nbf", json!(now() + 600)),
        ("nbf", json!("0")),
        ("iss", json!("https://id.example/")),
        ("iss", Value::Null),
        ("aud", json!("web")),
        ("aud", json!(["web", "mobile"])),
        ("aud", Value::Null),
    ] {
        let mut changed = claims();
        changed[name] = value;
        let bad = token(&header, &changed, |message| signer.sign("ES256", message));
        refused(&node, &with(&bad));
    }
    let mut several = claims();
    several["aud"] = json!(["web", "api"]);
    let good = token(&header, &several, |message| signer.sign("ES256", message));
    assert_eq!(node.send(&with(&good)).status, 200);
    // A byte of the claims changed after signing.
    let forged = URL_SAFE_NO_PAD.encode(
        json!({ "iss": ISSUER, "aud": "api", "sub": "eve", "exp": now() + 600 }).to_string(),
    );
    let mut parts: Vec<&str> = good.split('.').collect();
    parts[1] = &forged;
    refused(&node, &with(&parts.join(".")));
}

#[test]
fn what_is_no_token_is_refused_without_an_upstream_hearing_of_it() {
    let signer = Signer::p256("one");
    let origin = Origin::saying("page");
    let node = guarded(&origin, &[signer.public()], "");
    let header = json!({ "alg": "ES256", "kid": "one" });
    let good = token(&header, &claims(), |message| signer.sign("ES256", message));
    for request in [
        Request::get("/"),
        Request::get("/").header("Authorization", "Bearer"),
        Request::get("/").header("Authorization", "Basic YTpi"),
        with(&good).header("Authorization", &format!("Bearer {good}")),
        with(&"x".repeat(20_000)),
    ] {
        let answer = node.send(&request);
        assert_eq!(answer.error(), (401, "unauthorized"));
        assert_eq!(
            answer.all("www-authenticate"),
            ["Bearer"],
            "nothing was presented"
        );
    }
    let deep = URL_SAFE_NO_PAD.encode("[".repeat(5_000));
    for bad in [
        "a",
        "a.b",
        "a.b.c",
        "..",
        &format!("{deep}.{deep}."),
        &format!("{good}.x"),
        &good[1..],
    ] {
        refused(&node, &with(bad));
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn the_upstream_is_told_of_claims_by_the_node_alone() {
    let signer = Signer::p256("one");
    let origin = Origin::saying("page");
    let more = ", claims = { x-user = \"sub\", x-roles = \"roles\", x-none = \"none\" }";
    let node = guarded(&origin, &[signer.public()], more);
    let header = json!({ "alg": "ES256", "kid": "one" });
    let mut telling = claims();
    telling["roles"] = json!(["reader", "writer"]);
    let good = token(&header, &telling, |message| signer.sign("ES256", message));
    let request = with(&good)
        .header("X-User", "root")
        .header("X_User", "root")
        .header("x-None", "root");
    assert_eq!(node.send(&request).status, 200);
    let received = origin.last();
    assert_eq!(received.all("x-user"), ["ada"]);
    assert_eq!(received.all("x_user"), [""; 0]);
    assert_eq!(received.all("x-none"), [""; 0]);
    assert_eq!(received.all("x-roles"), ["[\"reader\",\"writer\"]"]);
    telling["sub"] = json!("ada\r\nx-admin: yes");
    let bad = token(&header, &telling, |message| signer.sign("ES256", message));
    refused(&node, &with(&bad));
}

#[test]
fn a_token_may_be_in_a_cookie() {
    let signer = Signer::p256("one");
    let origin = Origin::saying("page");
    let node = guarded(&origin, &[signer.public()], ", cookie = \"session\"");
    let header = json!({ "alg": "ES256", "kid": "one" });
    let good = token(&header, &claims(), |message| signer.sign("ES256", message));
    let cookie = |text: &str| node.send(&Request::get("/").header("Cookie", text)).status;
    assert_eq!(cookie(&format!("a=b; session={good}")), 200);
    assert_eq!(cookie(&format!("session=x; session={good}")), 401);
    assert_eq!(cookie(&format!("Session={good}")), 401);
    assert_eq!(node.send(&with(&good)).status, 401, "only there");
}

#[test]
fn tables_that_cannot_be_are_refused_at_load() {
    for (jwt, said) in [
        ("{ jwks_file = \"good\" }", "missing"),
        ("{ issuer = \"i\" }", "there are no keys"),
        ("{ issuer = \"i\", jwks_file = \"absent\" }", "cannot read"),
        (
            "{ issuer = \"i\", jwks_file = \"bad\" }",
            "no key of the set",
        ),
        (
            "{ issuer = \"i\", jwks_file = \"good\", jwks_url = \"https://a/\" }",
            "keep only one",
        ),
        (
            "{ issuer = \"i\", jwks_url = \"http://a/\" }",
            "not an https URL",
        ),
        (
            "{ issuer = \"i\", jwks_url = \"https://u:p@a/\" }",
            "not an https URL",
        ),
        (
            "{ issuer = \"i\", jwks_file = \"good\", refresh = \"1m\" }",
            "read at load",
        ),
        (
            "{ issuer = \"i\", jwks_file = \"good\", algorithms = [\"HS256\"] }",
            "not known here",
        ),
        (
            "{ issuer = \"i\", jwks_file = \"good\", algorithms = [\"none\"] }",
            "not known here",
        ),
        (
            "{ issuer = \"i\", jwks_file = \"good\", claims = { host = \"sub\" } }",
            "no header name",
        ),
    ] {
        let toml = format!("[[routes]]\nrespond = {{ status = 200 }}\njwt = {jwt}");
        let good = json!({ "keys": [Signer::p256("one").public()] }).to_string();
        let setup = node(&toml)
            .file("good", good)
            .file("bad", r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#);
        let (code, printed) = setup.check(&[]);
        assert_eq!(code, Some(1), "{jwt}");
        assert!(printed.contains(said), "{jwt}: {printed}");
    }
}
