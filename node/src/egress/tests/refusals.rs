//! Calls that must not connect to anything: traps count who did.

use std::time::Duration;

use http::Method;

use super::origin::{Trap, respond};
use super::world::{NAME, World, call, client, get, request};
use crate::egress::{Denial, EgressError, Settings};

/// Ways to write or to disguise 127.0.0.1, some of them no URL at all.
const DISGUISES: [&str; 55] = [
    "https://127.0.0.1",
    "https://127.0.0.1.",
    "https://127.1",
    "https://127.0.1",
    "https://0",
    "https://0.0.0.0",
    "https://2130706433",
    "https://017700000001",
    "https://0177.0.0.1",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://0x7F.1",
    "https://%31%32%37.0.0.1",
    "https://127%2e0.0.1",
    "https://１２７.0.0.1",
    "https://127。0。0。1",
    "https://[::1]",
    "https://[::]",
    "https://[::127.0.0.1]",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:7f00:1]",
    "https://[64:ff9b::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[::ffff:0:127.0.0.1]",
    "https://[64:ff9b::127.0.0.1]",
    "https://[64:ff9b:1::7f00:1]",
    "https://[2001:0:7f00:1::]",
    "https://[::1%25lo]",
    "https://[fe80::1%25eth0]",
    "https://[::1",
    "https://::1",
    "https://0127.1",
    "https://00000177.0.0.1",
    "https://0x7f000001.",
    "https://4294967297",
    "https://127.0.0.0x1",
    "https://①②⑦.⓪.⓪.①",
    "https://ⓛocalhost",
    "https://local\u{ad}host",
    "https://localhost%00.example.com",
    "https://origin.example.com%2f@127.0.0.1",
    "https://127.0.0.1#@origin.example.com",
    "https://127.0.0.1?@origin.example.com",
    "https://localhost",
    "https://LOCALHOST.",
    "https://a.localhost",
    "https://user@127.0.0.1",
    "https://origin.example.com@127.0.0.1",
    "https://origin.example.com\\@127.0.0.1",
    "https:127.0.0.1",
    "https:/127.0.0.1",
    "https:///127.0.0.1",
    "https://\t127.0.0.1",
    "http://127.0.0.1",
    "http://origin.example.com",
];

#[tokio::test]
async fn no_disguise_of_an_address_leads_to_a_connection() {
    let world = World::new().await;
    let trap = Trap::set("127.0.0.1:0");
    let port = trap.port();
    // Even where loopback is exempt, `*` does not name it.
    let client = world.client(&[&format!("*:{port}")]);
    for disguise in DISGUISES {
        let error = get(&client, &format!("{disguise}:{port}/"))
            .await
            .unwrap_err();
        let refused = matches!(
            error,
            EgressError::BadUrl(_) | EgressError::NotAllowed(Denial::Node)
        );
        assert!(refused, "{disguise}: {error}");
    }
    assert_eq!(trap.sprung(), 0);
    assert!(world.dns.asked().is_empty());
}

/// Looks again and again; how many connections there are once there are any.
async fn springs(trap: &Trap) -> usize {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    loop {
        looks.tick().await;
        match trap.sprung() {
            0 => {}
            count => return count,
        }
    }
}

/// The other half of every trap test: a call that is allowed does spring one.
#[tokio::test]
async fn an_allowed_call_springs_the_trap() {
    let world = World::new().await;
    let trap = Trap::set("127.0.0.1:0");
    let entry = format!("{NAME}:{}", trap.port());
    let client = world.client(&[&entry]);
    let url = format!("https://{entry}/");
    tokio::select! {
        _ = get(&client, &url) => panic!("the trap answers nobody"),
        count = springs(&trap) => assert_eq!(count, 1),
    }
}

#[tokio::test]
async fn one_address_that_is_not_public_refuses_the_name() {
    let world = World::with_names([
        ("plain.example.com", vec![vec!["127.0.0.1"]]),
        ("alias.example.com", vec![vec!["plain.example.com"]]),
        ("mixed.example.com", vec![vec!["127.0.0.2", "127.0.0.1"]]),
        ("dual.example.com", vec![vec!["127.0.0.2", "fd00::1"]]),
        ("mapped.example.com", vec![vec!["::ffff:127.0.0.2"]]),
        ("metadata.example.com", vec![vec!["169.254.169.254"]]),
    ])
    .await;
    let trap = Trap::set("127.0.0.1:0");
    let port = trap.port();
    let exempt = Trap::set(&format!("127.0.0.2:{port}"));
    let mut settings = world.settings(&[&format!("*:{port}")]);
    settings.allow_private = vec!["127.0.0.2/32".parse().unwrap()];
    let client = client(&settings);
    for name in ["plain", "alias", "mixed", "dual", "mapped", "metadata"] {
        let url = format!("https://{name}.example.com:{port}/");
        let error = get(&client, &url).await.unwrap_err();
        assert!(
            matches!(error, EgressError::AddressRefused(_)),
            "{name}: {error}"
        );
        assert_eq!(error.to_string(), "the host's address is not public");
    }
    assert_eq!(trap.sprung(), 0);
    assert_eq!(exempt.sprung(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_each_time() {
    let answers = vec![vec!["127.0.0.2"], vec!["127.0.0.1"]];
    let world = World::with_names([("rebinding.example.com", answers)]).await;
    let trap = Trap::set("127.0.0.1:0");
    let port = trap.port();
    let close = [("connection", "close")];
    let _origin = world
        .origin_at(&format!("127.0.0.2:{port}"), move |_| {
            respond(200, &close, b"checked")
        })
        .await;
    let mut settings = world.settings(&[&format!("*:{port}")]);
    settings.allow_private = vec!["127.0.0.2/32".parse().unwrap()];
    let client = client(&settings);

    let url = format!("https://rebinding.example.com:{port}/");
    assert_eq!(get(&client, &url).await.unwrap().body, "checked");
    // One question for each family: what was checked is what was dialled.
    assert_eq!(world.dns.asked().len(), 2);

    let error = get(&client, &url).await.unwrap_err();
    assert!(matches!(error, EgressError::AddressRefused(_)));
    assert_eq!(world.dns.asked().len(), 4);
    assert_eq!(trap.sprung(), 0);
}

#[tokio::test]
async fn a_listed_address_or_special_name_must_still_be_public() {
    let world = World::with_names([("db.internal", vec![vec!["127.0.0.1"]])]).await;
    let trap = Trap::set("127.0.0.1:0");
    let hosts =
        ["127.0.0.1", "db.internal", "localhost"].map(|host| format!("{host}:{}", trap.port()));
    let entries: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut settings = world.settings(&entries);
    settings.allow_private.clear();
    let client = client(&settings);
    for host in &hosts {
        let error = get(&client, &format!("https://{host}/")).await.unwrap_err();
        assert!(
            matches!(error, EgressError::AddressRefused(_)),
            "{host}: {error}"
        );
    }
    assert_eq!(trap.sprung(), 0);
}

#[tokio::test]
async fn node_and_grant_must_both_allow_before_a_name_is_looked_up() {
    let world = World::new().await;
    let node = world.client(&["a.example.com"]);
    let wanted = || request(Method::GET, "https://b.example.com/");
    let error = call(&node, &["*"], wanted()).await.unwrap_err();
    assert!(matches!(error, EgressError::NotAllowed(Denial::Node)));

    let node = world.client(&["*.example.com"]);
    for grant in [&[][..], &["a.example.com"]] {
        let error = call(&node, grant, wanted()).await.unwrap_err();
        assert!(matches!(error, EgressError::NotAllowed(Denial::Function)));
    }

    let nothing = client(&Settings::default());
    let error = call(&nothing, &["*"], wanted()).await.unwrap_err();
    assert!(matches!(error, EgressError::NotAllowed(Denial::Node)));
    assert!(world.dns.asked().is_empty());
}

#[tokio::test]
async fn names_without_an_address_cannot_be_resolved() {
    let world = World::with_names([("empty.example.com", vec![vec![]])]).await;
    let client = world.client(&["*"]);
    for name in ["missing", "empty"] {
        let error = get(&client, &format!("https://{name}.example.com/")).await;
        assert!(matches!(error, Err(EgressError::Resolve(_))), "{name}");
    }
}
