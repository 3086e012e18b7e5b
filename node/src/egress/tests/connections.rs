//! Connections are kept for the function that opened them, and for few hosts.

use std::sync::Arc;

use http::Method;

use super::origin::respond;
use super::world::{NAME, Plenty, World, at, caller, list, request};
use crate::egress::{Caller, Client, EgressError, OwnAddresses, Reply};

async fn get(caller: &Caller, url: &str) -> Result<Reply, EgressError> {
    caller.call(request(Method::GET, url), &Plenty).await
}

#[tokio::test]
async fn a_function_keeps_its_connection_and_gets_no_other_ones() {
    let world = World::new().await;
    let origin = world.origin(|_| respond(200, &[], b"")).await;
    let (url, entry) = at(&origin, "/");
    let client = world.client(&[&entry]);
    let (one, other) = (
        caller(&client, "one", &[&entry]),
        caller(&client, "other", &[&entry]),
    );
    for _ in 0..3 {
        get(&one, &url).await.unwrap();
    }
    assert_eq!(origin.accepts(), 1);
    for _ in 0..3 {
        get(&other, &url).await.unwrap();
    }
    assert_eq!(origin.accepts(), 2);
}

#[tokio::test]
async fn a_function_that_is_loaded_again_keeps_its_connections_unless_its_grant_changes() {
    let world = World::new().await;
    let origin = world.origin(|_| respond(200, &[], b"")).await;
    let (url, entry) = at(&origin, "/");
    let client = world.client(&[&entry]);
    let first = caller(&client, "f", &[&entry]);
    get(&first, &url).await.unwrap();
    let again = caller(&client, "f", &[&entry]);
    assert!(Arc::ptr_eq(&first, &again));
    drop(first);
    get(&again, &url).await.unwrap();
    assert_eq!(origin.accepts(), 1);
    let regranted = caller(&client, "f", &["*"]);
    get(&regranted, &url).await.unwrap();
    assert_eq!(origin.accepts(), 2);
    // Nobody uses it any more: its connections are gone.
    drop(again);
    assert!(Arc::ptr_eq(&regranted, &caller(&client, "f", &["*"])));
}

#[tokio::test]
async fn connections_to_many_hosts_are_not_all_kept() {
    // One more than a function keeps.
    const HOSTS: usize = 33;
    let names: Vec<&'static str> = (0..HOSTS)
        .map(|index| &*format!("h{index}.example.com").leak())
        .collect();
    let mut world = World::new().await;
    let zone = names.iter().map(|name| (*name, vec![vec!["127.0.0.1"]]));
    world.with_zone(zone).await;
    let origin = world.origin(|_| respond(200, &[], b"")).await;
    let port = origin.address.port();
    let client = world.client(&[&format!("*:{port}")]);
    let caller = caller(&client, "f", &["*"]);
    let visit = async |name: &str| {
        let url = format!("https://{name}:{port}/");
        get(&caller, &url).await.unwrap();
        origin.accepts()
    };
    for (index, name) in names.iter().enumerate() {
        assert_eq!(visit(name).await, index + 1);
    }
    // The last are kept, the first had to go.
    assert_eq!(visit(names[HOSTS - 1]).await, HOSTS);
    assert_eq!(visit(names[1]).await, HOSTS);
    assert_eq!(visit(names[0]).await, HOSTS + 1);
}

#[tokio::test]
async fn the_nodes_own_listener_is_not_connected_to() {
    let world = World::new().await;
    let origin = world.origin(|_| respond(200, &[], b"")).await;
    let (url, entry) = at(&origin, "/");
    let literal = origin.address.to_string();
    let own = OwnAddresses::default();
    let client = Client::new(&world.settings(&[&entry, &literal]), own.clone()).unwrap();
    let caller = client.caller(&Arc::from("f"), &list(&["*"]));
    own.announce(vec![origin.address]);
    for url in [url, format!("https://{literal}/")] {
        let error = get(&caller, &url).await.unwrap_err();
        assert!(matches!(error, EgressError::OwnAddress(_)), "{error:?}");
        assert_eq!(error.to_string(), "the host's address is the node's own");
    }
    assert_eq!(origin.accepts(), 0);
    assert!(!world.dns.asked().is_empty(), "{NAME} was looked up");
}
