//! Redirects: followed within bounds, and no way around the rules.

use bytes::Bytes;
use http::Method;

use super::origin::{Answer, Origin, Request, Trap, respond};
use super::world::{NAME, World, at, call, client, get, request};
use crate::egress::{Denial, EgressError, UrlError};

fn redirect(status: u16, location: &str) -> Answer {
    respond(status, &[("location", location)], b"")
}

fn path(request: &Request) -> &str {
    request.line.split(' ').nth(1).unwrap()
}

/// Redirects from `/` to the location, and answers everything else.
async fn origin_to(world: &World, location: String) -> Origin {
    let handler = move |request: &Request| match path(request) {
        "/" => redirect(302, &location),
        _ => respond(200, &[], b"arrived"),
    };
    world.origin(handler).await
}

#[tokio::test]
async fn a_relative_redirect_stays_with_the_host() {
    let world = World::new().await;
    let origin = origin_to(&world, "/there?x#y".to_owned()).await;
    let (url, entry) = at(&origin, "/");
    let reply = get(&world.client(&[&entry]), &url).await.unwrap();
    assert_eq!(reply.body, "arrived");
    assert_eq!(origin.seen()[1].line, "GET /there?x HTTP/1.1\r\n");
    assert!(!origin.seen()[1].headers.contains_key("referer"));
}

#[tokio::test]
async fn a_post_is_repeated_or_becomes_a_get_as_the_status_says() {
    let world = World::new().await;
    let origin = world
        .origin(|request| match path(request) {
            "/see" => redirect(303, "/end"),
            "/again" => redirect(307, "/end"),
            _ => respond(200, &[], b""),
        })
        .await;
    let client = world.client(&[&at(&origin, "").1]);
    for (path, line, body) in [
        ("/see", "GET /end HTTP/1.1\r\n", ""),
        ("/again", "POST /end HTTP/1.1\r\n", "data"),
    ] {
        let mut wanted = request(Method::POST, &at(&origin, path).0);
        wanted.body = Bytes::from_static(b"data");
        call(&client, &["*"], wanted).await.unwrap();
        let last = origin.seen().pop().unwrap();
        assert_eq!(last.line, line);
        assert_eq!(last.body, body.as_bytes());
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let world = World::new().await;
    let origin = world
        .origin(|request| match path(request) {
            "/0" => respond(200, &[], b"end"),
            path => {
                let left: u8 = path[1..].parse().unwrap();
                redirect(302, &format!("/{}", left - 1))
            }
        })
        .await;
    let client = world.client(&[&at(&origin, "").1]);
    assert_eq!(
        get(&client, &at(&origin, "/3").0).await.unwrap().body,
        "end"
    );
    let error = get(&client, &at(&origin, "/4").0).await.unwrap_err();
    assert!(matches!(error, EgressError::TooManyRedirects));
    // Four for the first call; the second stops before a fifth.
    assert_eq!(origin.seen().len(), 8);
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_refused() {
    let world = World::new().await;
    let trap = Trap::set("127.0.0.1:0");
    let origin = origin_to(&world, format!("http://{NAME}:{}/", trap.port())).await;
    let (url, entry) = at(&origin, "/");
    let client = world.client(&[&entry, &format!("{NAME}:{}", trap.port())]);
    let error = get(&client, &url).await.unwrap_err();
    assert!(matches!(error, EgressError::BadUrl(UrlError::NotHttps)));
    assert_eq!(trap.sprung(), 0);
}

#[tokio::test]
async fn a_redirect_to_an_address_is_refused() {
    let world = World::new().await;
    let trap = Trap::set("127.0.0.1:0");
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let origin = origin_to(&world, format!("https://{host}:{}/", trap.port())).await;
        let (url, entry) = at(&origin, "/");
        let client = world.client(&[&entry, &format!("*:{}", trap.port())]);
        let error = get(&client, &url).await.unwrap_err();
        assert!(matches!(error, EgressError::NotAllowed(Denial::Node)));
    }
    assert_eq!(trap.sprung(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_name_with_a_private_address_is_refused() {
    let world = World::with_names([
        ("here.example.com", vec![vec!["127.0.0.2"]]),
        ("trap.example.com", vec![vec!["127.0.0.1"]]),
    ])
    .await;
    let trap = Trap::set("127.0.0.1:0");
    let port = trap.port();
    let location = format!("https://trap.example.com:{port}/");
    let origin = world
        .origin_at("127.0.0.2:0", move |_| redirect(302, &location))
        .await;
    let here = format!("here.example.com:{}", origin.address.port());
    let mut settings = world.settings(&[&here, &format!("*.example.com:{port}")]);
    settings.allow_private = vec!["127.0.0.2/32".parse().unwrap()];
    let error = get(&client(&settings), &format!("https://{here}/")).await;
    assert!(matches!(error, Err(EgressError::AddressRefused(_))));
    assert_eq!(origin.seen().len(), 1);
    assert_eq!(trap.sprung(), 0);
}

#[tokio::test]
async fn a_redirect_outside_the_grant_is_refused() {
    let world = World::with_names([("other.example.com", vec![vec!["127.0.0.1"]])]).await;
    let trap = Trap::set("127.0.0.1:0");
    let other = format!("other.example.com:{}", trap.port());
    let origin = origin_to(&world, format!("https://{other}/")).await;
    let (url, entry) = at(&origin, "/");
    let client = world.client(&[&entry, &other]);
    let result = call(&client, &[&entry], request(Method::GET, &url)).await;
    let error = result.unwrap_err();
    assert!(matches!(error, EgressError::NotAllowed(Denial::Function)));
    assert_eq!(trap.sprung(), 0);
}
