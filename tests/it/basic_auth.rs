//! `basic_auth`: who gets in by name and password, and what guessing costs.

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Node, Origin, Request, node};

/// `alice` has `wonder:land`, at a cost that tests can wait for; `bob` has `secret`, at one to be felt.
const USERS: &str = "alice = \"{alice}\", bob = \"{bob}\"";

fn hash(password: &str, cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, [7; 16])
        .expect("a hash")
        .format_for_version(bcrypt::Version::TwoY)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn as_user(user: &str, password: &str) -> Request {
    Request::get("/").header("Authorization", &basic(user, password))
}

fn guarded(keys: &str) -> (Origin, Node) {
    let origin = Origin::saying("page");
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        name = "guarded"
        path = "/"
        upstream = "origin"
        basic_auth = { KEYS }
        [[routes]]
        path = "/control"
        respond = { status = 200 }"#;
    let node = node(&toml.replace("KEYS", keys))
        .set("alice", &hash("wonder:land", 4))
        .set("bob", &hash("secret", 10))
        .set("origin", &origin.address)
        .file(
            "htpasswd",
            format!("# people\nalice:{}\n", hash("wonder:land", 4)),
        )
        .start();
    (origin, node)
}

#[test]
fn who_has_a_password_gets_in_and_nobody_else() {
    for keys in [
        format!("realm = \"the back office\", users = {{ {USERS} }}"),
        "realm = \"the back office\", file = \"htpasswd\"".to_owned(),
    ] {
        let (origin, node) = guarded(&keys);
        // Twice: the second time it is remembered.
        for _ in 0..2 {
            assert_eq!(node.send(&as_user("alice", "wonder:land")).text(), "page");
        }
        assert_eq!(origin.requests().len(), 2);
        let good = basic("alice", "wonder:land");
        let twice = Request::get("/")
            .header("Authorization", &good)
            .header("Authorization", &good);
        for request in [
            Request::get("/"),
            as_user("alice", "Wonder:land"),
            as_user("alice", ""),
            as_user("alice", "wonder:land\0"),
            as_user("Alice", "wonder:land"),
            as_user("eve", "wonder:land"),
            as_user("", ""),
            twice,
            Request::get("/").header("Authorization", "Basic ????"),
            Request::get("/").header("Authorization", &good.replace("Basic", "Bearer")),
            Request::get("/").header("Authorization", &basic("a", &"x".repeat(15_000))),
        ] {
            let answer = node.send(&request);
            assert_eq!(answer.error(), (401, "unauthorized"));
            let challenge = "Basic realm=\"the back office\", charset=\"UTF-8\"";
            assert_eq!(answer.all("www-authenticate"), [challenge]);
        }
        assert_eq!(origin.requests().len(), 2);
    }
}

#[test]
fn a_password_that_was_changed_is_not_remembered() {
    let toml = |hash: &str| {
        format!(
            "[[routes]]\nrespond = {{ status = 200 }}\nbasic_auth = {{ users = {{ alice = \"{hash}\" }} }}"
        )
    };
    let mut node = node(&toml(&hash("old", 4))).start();
    assert_eq!(node.send(&as_user("alice", "old")).status, 200);
    node.reload(&toml(&hash("new", 4)))
        .expect("a good configuration");
    assert_eq!(node.send(&as_user("alice", "old")).status, 401);
    assert_eq!(node.send(&as_user("alice", "new")).status, 200);
}

#[test]
fn ten_thousand_wrong_passwords_cost_others_nothing() {
    let (origin, node) = guarded(&format!("users = {{ {USERS} }}"));
    assert_eq!(node.send(&as_user("alice", "wonder:land")).status, 200);
    let mut waits = Vec::new();
    let statuses = thread::scope(|scope| {
        let guesser = |guesser: usize| {
            let mut connection = node.connect();
            let mut statuses = Vec::new();
            for guess in 0..1_250 {
                let user = if guess % 2 == 0 { "bob" } else { "nobody" };
                let request = as_user(user, &format!("{guesser}-{guess}"));
                statuses.push(connection.exchange(&request).expect("an answer").status);
            }
            statuses
        };
        let guessers: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || guesser(number)))
            .collect();
        while guessers.iter().any(|guesser| !guesser.is_finished()) {
            let asked = Instant::now();
            assert_eq!(node.get("/control").status, 200);
            waits.push(asked.elapsed());
            // Who was right before is right still, whatever comes from the same address.
            assert_eq!(node.send(&as_user("alice", "wonder:land")).status, 200);
        }
        let statuses = guessers
            .into_iter()
            .flat_map(|guesser| guesser.join().expect("an end"));
        statuses.collect::<Vec<_>>()
    });
    let count = |status| statuses.iter().filter(|own| **own == status).count();
    assert_eq!(statuses.len(), 10_000);
    assert_eq!(count(401) + count(429) + count(503), 10_000);
    assert!(
        (20..100).contains(&count(401)),
        "{} were looked at",
        count(401)
    );
    waits.sort();
    let slowest = waits[waits.len() * 99 / 100];
    assert!(
        slowest < Duration::from_millis(500),
        "{slowest:?} of {}",
        waits.len()
    );
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
    // One that is right, but from where so many were wrong, waits too.
    let guess = || node.send(&as_user("bob", "wrong")).status;
    let mut before = guess();
    let begins_to_wait = (0..100_000).any(|_| {
        let now = guess();
        (std::mem::replace(&mut before, now), now) == (401, 429)
    });
    assert!(begins_to_wait);
    let late = node.send(&as_user("bob", "secret"));
    assert_eq!(late.error(), (429, "rate-limited"));
    assert!(late.header("retry-after").is_some());
}

#[test]
fn an_unknown_name_takes_as_long_as_a_known_one() {
    let (_origin, node) = guarded(&format!("users = {{ {USERS} }}"));
    let time = |user: &str| {
        let times = (0..4).map(|guess| {
            let begun = Instant::now();
            assert_eq!(
                node.send(&as_user(user, &format!("{user}{guess}"))).status,
                401
            );
            begun.elapsed()
        });
        times.min().expect("a time")
    };
    let (bob, nobody) = (time("bob"), time("nobody"));
    assert!(
        nobody > bob / 2 && bob > nobody / 2,
        "bob {bob:?}, nobody {nobody:?}"
    );
}

#[test]
fn users_that_cannot_be_are_refused_at_load_and_passwords_not_shown() {
    for (basic, said) in [
        ("{ users = { alice = \"hunter2\" } }", "not a bcrypt hash"),
        (
            "{ users = { alice = \"$apr1$x$hunter2\" } }",
            "not a bcrypt hash",
        ),
        ("{ users = {} }", "there are no users"),
        ("{}", "there are no users"),
        ("{ file = \"absent\" }", "cannot read"),
        ("{ file = \"bad\" }", "line 2 of"),
        ("{ realm = \"a\\\"b\", file = \"good\" }", "quotes"),
        (
            "{ file = \"good\" }\njwt = { issuer = \"i\", jwks_file = \"good\" }",
            "keep only one",
        ),
    ] {
        let toml = format!("[[routes]]\nrespond = {{ status = 200 }}\nbasic_auth = {basic}");
        let setup = node(&toml)
            .file("bad", "# x\nalice:hunter2\n")
            .file("good", format!("alice:{}", hash("x", 4)));
        let (code, printed) = setup.check(&[]);
        assert_eq!(code, Some(1), "{basic}");
        assert!(
            printed.contains(said) && !printed.contains("hunter2"),
            "{basic}: {printed}"
        );
    }
}
