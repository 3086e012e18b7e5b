//! Calls that succeed, and what is on the wire then.

use std::process::Command;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use super::origin::respond;
use super::world::{World, at, call, get, request};

/// `hello gzip`, compressed.
const GZIPPED: [u8; 30] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
    0x48, 0xaf, 0xca, 0x2c, 0x00, 0x00, 0x19, 0x6a, 0xd2, 0xdf, 0x0a, 0x00, 0x00, 0x00,
];

#[tokio::test]
async fn the_four_methods_arrive_as_they_were_sent() {
    let world = World::new().await;
    let origin = world
        .origin(|_| respond(201, &[("x-a", "b")], b"made"))
        .await;
    let (url, entry) = at(&origin, "/things?q=1");
    let client = world.client(&[&entry]);

    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let mut wanted = request(method.clone(), &url);
        if method == Method::POST || method == Method::PUT {
            wanted.body = Bytes::from_static(b"{}");
            let json = HeaderValue::from_static("application/json");
            wanted.headers.insert("content-type", json);
        }
        let reply = call(&client, &[&entry], wanted).await.unwrap();
        assert_eq!(reply.status, StatusCode::CREATED);
        assert_eq!(reply.headers["x-a"], "b");
        assert_eq!(reply.body, "made");
    }

    let seen = origin.seen();
    let lines: Vec<&str> = seen.iter().map(|request| request.line.trim_end()).collect();
    assert_eq!(lines[0], "GET /things?q=1 HTTP/1.1");
    assert_eq!(lines[1], "POST /things?q=1 HTTP/1.1");
    assert_eq!(lines[2], "PUT /things?q=1 HTTP/1.1");
    assert_eq!(lines[3], "DELETE /things?q=1 HTTP/1.1");
    assert_eq!(seen[1].body, b"{}");
    assert_eq!(seen[1].headers["content-type"], "application/json");
    assert!(!seen[0].headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_call_says_who_makes_it_and_carries_nothing_else() {
    let world = World::new().await;
    let origin = world
        .origin(|_| respond(200, &[("set-cookie", "a=b")], b""))
        .await;
    let (url, entry) = at(&origin, "/");
    let client = world.client(&[&entry]);
    get(&client, &url).await.unwrap();
    get(&client, &url).await.unwrap();

    let mut headers = origin.seen()[1].headers.clone();
    assert_eq!(headers.remove("cdn-loop").unwrap(), "aegis");
    assert_eq!(headers.remove("user-agent").unwrap(), "aegis");
    assert_eq!(headers.remove("host").unwrap(), entry);
    assert_eq!(headers.remove("accept").unwrap(), "*/*");
    assert_eq!(headers.remove("accept-encoding").unwrap(), "gzip");
    assert!(headers.is_empty(), "{headers:?}");
}

#[tokio::test]
async fn a_compressed_body_arrives_decompressed() {
    let world = World::new().await;
    let origin = world
        .origin(|_| respond(200, &[("content-encoding", "gzip")], &GZIPPED))
        .await;
    let (url, entry) = at(&origin, "/");
    let reply = get(&world.client(&[&entry]), &url).await.unwrap();
    assert_eq!(reply.body, "hello gzip");
    assert!(!reply.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_listed_address_is_called_without_asking_for_a_name() {
    let world = World::new().await;
    let origin = world.origin(|_| respond(200, &[], b"direct")).await;
    let entry = origin.address.to_string();
    let client = world.client(&[&entry]);
    let url = format!("https://2130706433:{}/", origin.address.port());
    let reply = call(&client, &[&entry], request(Method::GET, &url)).await;
    assert_eq!(reply.unwrap().body, "direct");
    assert!(world.dns.asked().is_empty());
}

#[tokio::test]
async fn a_listed_special_name_is_resolved_as_it_stands() {
    let world = World::with_names([("db.internal", vec![vec!["127.0.0.1"]])]).await;
    let tls = world.tls(&["db.internal"], |_| {});
    let handler = std::sync::Arc::new(|_: &_| respond(200, &[], b"db"));
    let origin = super::origin::Origin::start("127.0.0.1:0", tls, handler).await;
    let entry = format!("db.internal:{}", origin.address.port());
    let client = world.client(&[&entry]);
    let reply = get(&client, &format!("https://{entry}/")).await;
    assert_eq!(reply.unwrap().body, "db");
    let names: Vec<String> = world
        .dns
        .asked()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["db.internal.", "db.internal."]);
}

/// The environment belongs to the process, so this needs one of its own: the
/// ignored test below.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let name = module_path!().split_once("::").unwrap().1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .arg(format!("{name}::with_a_proxy_in_the_environment"))
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "run by the test above, in a process with a proxy that is not there"]
async fn with_a_proxy_in_the_environment() {
    let world = World::new().await;
    let origin = world.origin(|_| respond(200, &[], b"")).await;
    let (url, entry) = at(&origin, "/");
    get(&world.client(&[&entry]), &url).await.unwrap();
}
