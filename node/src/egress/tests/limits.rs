//! Limits of time and size, each obeyed and broken.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;

use super::origin::{Answer, Request, Trap, respond};
use super::world::{World, at, caller, client, get, request};
use crate::egress::{
    Client, EgressError, MAX_RESPONSE, MAX_RESPONSE_HEADER, OwnAddresses, Part, Reply, Room,
};

/// Long enough to connect on a loaded machine, and what a timeout test costs.
const SHORT: u64 = 300;

async fn fetch(
    timeout: u64,
    handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Result<Reply, EgressError> {
    let world = World::new().await;
    let origin = world.origin(handler).await;
    let (url, entry) = at(&origin, "/");
    get(&world.client_with_timeout(&[&entry], timeout), &url).await
}

async fn answered(
    handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Result<Reply, EgressError> {
    fetch(4000, handler).await
}

fn chunked(size: usize) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in vec![b'a'; size].chunks(60_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Some 13 kB of gzip that unpack to 2 MiB of zeros: one literal, then copies
/// of 258 bytes, in deflate's fixed code.
fn bomb() -> Vec<u8> {
    let copies = 2 * 1024 * 1024 / 258;
    let mut bits = "11000110000".to_owned();
    bits.push_str(&"1100010100000".repeat(copies));
    bits.push_str("0000000");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for eight in bits.as_bytes().chunks(8) {
        let bit = |(place, bit): (usize, &u8)| (bit - b'0') << place;
        bytes.push(eight.iter().enumerate().map(bit).sum());
    }
    bytes
}

fn too_large(result: Result<Reply, EgressError>) -> Part {
    match result {
        Err(EgressError::TooLarge(part)) => part,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_body_at_the_limit_arrives_whole() {
    let declared = answered(|_| respond(200, &[], &vec![b'a'; MAX_RESPONSE])).await;
    assert_eq!(declared.unwrap().body.len(), MAX_RESPONSE);
    let counted = answered(|_| Answer::Whole(chunked(MAX_RESPONSE))).await;
    assert_eq!(counted.unwrap().body.len(), MAX_RESPONSE);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let declared = answered(|_| respond(200, &[], &vec![b'a'; MAX_RESPONSE + 1])).await;
    assert_eq!(too_large(declared), Part::ResponseBody);
    let counted = answered(|_| Answer::Whole(chunked(MAX_RESPONSE + 1))).await;
    assert_eq!(too_large(counted), Part::ResponseBody);
}

#[tokio::test]
async fn an_announced_body_past_the_limit_is_not_waited_for() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
    let result = answered(|_| Answer::Hold(head.to_vec())).await;
    assert_eq!(too_large(result), Part::ResponseBody);
}

#[tokio::test]
async fn a_small_body_that_unpacks_past_the_limit_is_refused() {
    let bomb = bomb();
    assert!(bomb.len() < 16 * 1024);
    let result = answered(move |_| respond(200, &[("content-encoding", "gzip")], &bomb)).await;
    assert_eq!(too_large(result), Part::ResponseBody);
}

/// Decoding stops after one layer, and what no decoder takes stays as it is: nothing can
/// unpack past what was counted.
#[tokio::test]
async fn encodings_that_nobody_asked_for_are_passed_as_they_are() {
    for encoding in [
        "br",
        "zstd",
        "deflate",
        "gzip, gzip",
        "gzip, br",
        "x-unknown",
    ] {
        let bomb = bomb();
        let size = bomb.len();
        let headers = [("content-encoding", encoding)];
        let reply = answered(move |_| respond(200, &headers, &bomb))
            .await
            .unwrap();
        assert_eq!(reply.body.len(), size, "{encoding}");
        assert_eq!(reply.headers["content-encoding"], encoding);
    }
}

#[tokio::test]
async fn a_header_past_the_limit_is_refused() {
    let value = "a".repeat(MAX_RESPONSE_HEADER);
    let result = answered(move |_| respond(200, &[("x-long", &value)], b"")).await;
    assert_eq!(too_large(result), Part::ResponseHeader);
    let many = [("x-many", "a"); 200];
    let result = answered(move |_| respond(200, &many, b"")).await;
    assert!(matches!(result, Err(EgressError::Transport(_))));
}

#[tokio::test]
async fn a_header_without_end_is_not_waited_for() {
    let line = format!("x-long: {}\r\n", "a".repeat(16 * 1024)).repeat(64);
    let endless = format!("HTTP/1.1 200 OK\r\n{line}");
    let result = answered(move |_| Answer::Hold(endless.clone().into())).await;
    assert!(
        matches!(result, Err(EgressError::Transport(_))),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_flood_of_interim_answers_is_ended_by_the_real_one() {
    let interim = "HTTP/1.1 103 X\r\nlink: </a>\r\n\r\n".repeat(10_000);
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast";
    let flood = interim + last;
    let reply = answered(move |_| Answer::Whole(flood.clone().into()))
        .await
        .unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.body[..]),
        (200, &b"last"[..])
    );
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_an_error() {
    for text in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "",
    ] {
        let result = answered(|_| Answer::Last(text.into())).await;
        assert!(matches!(result, Err(EgressError::Transport(_))), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab\r\n";
    let result = answered(|_| Answer::Last(text.into())).await;
    assert!(matches!(result, Err(EgressError::Transport(_))));
}

#[tokio::test]
async fn a_dripping_answer_ends_at_the_total_timeout() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    for start in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nx-endless: ", body] {
        let started = Instant::now();
        let result = fetch(SHORT, |_| Answer::Drip(start.into())).await;
        assert!(matches!(result, Err(EgressError::Timeout)), "{result:?}");
        assert!(started.elapsed() >= Duration::from_millis(SHORT));
    }
}

#[tokio::test]
async fn interim_answers_do_not_prolong_a_call() {
    let interim = "HTTP/1.1 103 X\r\n\r\n".repeat(1000);
    let result = fetch(SHORT, move |_| Answer::Hold(interim.clone().into())).await;
    assert!(matches!(result, Err(EgressError::Timeout)));
}

#[tokio::test]
async fn the_timeout_covers_redirects() {
    let result = fetch(SHORT, |request| match request.line.contains("/held") {
        true => Answer::Hold(Vec::new()),
        false => respond(302, &[("location", "/held")], b""),
    })
    .await;
    assert!(matches!(result, Err(EgressError::Timeout)));
}

#[tokio::test]
async fn the_timeout_covers_resolving_and_connecting() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let world = World::new().await;
    let mut settings = world.settings(&["*"]);
    settings.nameservers = vec![silent.local_addr().unwrap()];
    let timeout = Duration::from_millis(SHORT);
    let deaf = Client::with_timeout(&settings, OwnAddresses::default(), timeout).unwrap();
    let result = get(&deaf, "https://origin.example.com/").await;
    assert!(matches!(result, Err(EgressError::Timeout)));

    let trap = Trap::set("127.0.0.1:0");
    let entry = format!("origin.example.com:{}", trap.port());
    let stuck = world.client_with_timeout(&[&entry], SHORT);
    let result = get(&stuck, &format!("https://{entry}/")).await;
    assert!(matches!(result, Err(EgressError::Timeout)));
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    let world = World::new().await;
    let port = Trap::set("127.0.0.1:0").port();
    let entry = format!("origin.example.com:{port}");
    let result = get(
        &client(&world.settings(&[&entry])),
        &format!("https://{entry}/"),
    )
    .await;
    let error = result.unwrap_err();
    assert!(matches!(error, EgressError::Connect(_)), "{error:?}");
    assert_eq!(error.to_string(), "the host cannot be connected to");
}

/// Room for so many bytes.
struct Little(AtomicUsize);

impl Room for Little {
    fn take(&self, bytes: usize) -> bool {
        let taken = |left: usize| left.checked_sub(bytes);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, taken).is_ok()
    }
}

#[tokio::test]
async fn a_reply_takes_its_place_as_it_arrives() {
    let world = World::new().await;
    let origin = world.origin(|_| Answer::Whole(chunked(500_000))).await;
    let (url, entry) = at(&origin, "/");
    let caller = caller(&world.client(&[&entry]), "caller", &[&entry]);
    let room = Little(AtomicUsize::new(600_000));
    let call = || caller.call(request(Method::GET, &url), &room);
    let reply = call().await.unwrap();
    assert_eq!(reply.body.len(), 500_000);
    assert!(reply.header_size() > "transfer-encoding".len());
    assert_eq!(room.0.load(Ordering::Relaxed), 600_000 - reply.size());
    assert!(matches!(call().await, Err(EgressError::NoRoom)));
}
