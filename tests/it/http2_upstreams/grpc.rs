//! Clients of HTTP/2 at backends of HTTP/2: trailers, and calls as gRPC makes them.

use std::future::{Future, poll_fn};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{WAYS, pattern, through};
use crate::harness::http2_origin::{Call, read, send};
use crate::harness::lines::PATIENCE;
use crate::harness::{Gate, Http2Origin, Node};

const GRPC: &str = "application/grpc";

/// An answer to its end, or why it has none.
type Answered = Result<(Response<()>, Vec<u8>, HeaderMap), ()>;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn connect(origin: &Http2Origin) -> (Node, SendRequest<Bytes>) {
    connect_within(origin, "").await
}

/// With these limits of the server's.
async fn connect_within(origin: &Http2Origin, limits: &str) -> (Node, SendRequest<Bytes>) {
    let node = through(origin, &format!("[server.limits]\n{limits}"));
    let stream = TcpStream::connect(node.address).await.unwrap();
    let (client, connection) = soon(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    (node, client)
}

async fn call(client: &SendRequest<Bytes>, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    post(client, path, GRPC).await
}

async fn post(
    client: &SendRequest<Bytes>,
    path: &str,
    media_type: &str,
) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://aegis.test{path}"))
        .header("content-type", media_type)
        .header("te", "trailers");
    let mut client = soon(client.clone().ready()).await.unwrap();
    client
        .send_request(request.body(()).unwrap(), false)
        .unwrap()
}

/// A whole call.
async fn answer(client: &SendRequest<Bytes>, path: &str, body: Vec<u8>) -> Answered {
    let (answer, mut stream) = call(client, path).await;
    let sending = async {
        send(&mut stream, body.into()).await;
        stream.send_data(Bytes::new(), true).ok();
    };
    let reading = async {
        let (head, mut body) = answer.await.map_err(drop)?.into_parts();
        let bytes = read(&mut body).await.ok_or(())?;
        let trailers = body.trailers().await.map_err(drop)?;
        Ok((
            Response::from_parts(head, ()),
            bytes,
            trailers.unwrap_or_default(),
        ))
    };
    soon(async { tokio::join!(sending, reading).1 }).await
}

/// So many bytes of an answer.
async fn take(body: &mut RecvStream, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let piece = soon(body.data()).await.expect("more").unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    bytes
}

fn status(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    trailers
}

fn head() -> Response<()> {
    let head = Response::builder().header("content-type", GRPC);
    head.body(()).unwrap()
}

/// A message as gRPC frames it.
fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0], &length[..], body].concat()
}

/// Echoes each piece as it comes, and ends well.
async fn converse(mut call: Call) -> Option<()> {
    let mut stream = call.answer.send_response(head(), false).ok()?;
    while let Some(piece) = call.body.data().await {
        let piece = piece.ok()?;
        call.body
            .flow_control()
            .release_capacity(piece.len())
            .ok()?;
        send(&mut stream, piece).await?;
    }
    stream.send_trailers(status("0")).ok()
}

#[tokio::test]
async fn a_unary_call_gets_its_message_and_its_status() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let body = read(&mut call.body).await?;
        let mut stream = call.answer.send_response(head(), false).ok()?;
        send(&mut stream, body.into()).await?;
        stream.send_trailers(status("0")).ok()
    });
    let (_node, client) = connect(&origin).await;
    for way in WAYS {
        for size in [0, 1, 65_537, 1 << 19] {
            let message = message(&pattern(size));
            let answered = answer(&client, way, message.clone()).await;
            let (head, body, trailers) = answered.expect("no reset");
            assert_eq!(head.headers()["content-type"], GRPC, "{way} {size}");
            assert!(body == message, "{way} {size}");
            assert_eq!(trailers["grpc-status"], "0", "{way} {size}");
            assert_eq!(origin.last().headers["te"], "trailers", "{way}");
        }
    }
}

#[tokio::test]
async fn a_status_without_a_message_is_one_header_that_ends_the_stream() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        read(&mut call.body).await?;
        let head = Response::builder().header("grpc-status", "12");
        let head = head.header("content-type", GRPC).body(()).unwrap();
        call.answer.send_response(head, true).ok().map(drop)
    });
    let (_node, client) = connect(&origin).await;
    for way in WAYS {
        let (answer, mut stream) = call(&client, way).await;
        stream.send_data(message(b"hello").into(), true).unwrap();
        let answer = soon(answer).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12", "{way}");
        // What is read for functions goes out as a whole, which has no length then.
        let length = answer.headers().get("content-length");
        assert!(length.is_none_or(|length| length == "0"), "{way}");
        assert!(answer.body().is_end_stream(), "{way}");
    }
}

#[tokio::test]
async fn messages_go_back_and_forth_on_one_stream() {
    let origin = Http2Origin::start(converse);
    let (_node, client) = connect(&origin).await;
    for way in ["/plain", "/large"] {
        let (answer, mut stream) = call(&client, way).await;
        stream.send_data(message(b"first").into(), false).unwrap();
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(take(&mut body, 10).await, message(b"first"), "{way}");
        for size in [1, 70_000, 3] {
            let message = message(&pattern(size));
            let sent = send(&mut stream, message.clone().into());
            let (sent, taken) = tokio::join!(sent, take(&mut body, message.len()));
            assert!(sent.is_some() && taken == message, "{way} {size}");
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(soon(body.data()).await.is_none(), "{way}");
        let trailers = soon(body.trailers()).await.unwrap().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0", "{way}");
    }
}

#[tokio::test]
async fn trailers_of_a_request_end_its_body() {
    let origin = Http2Origin::start(converse);
    let (_node, client) = connect(&origin).await;
    for way in ["/plain", "/large", "/buffered"] {
        let (answer, mut stream) = call(&client, way).await;
        stream
            .send_data(Bytes::from_static(b"body"), false)
            .unwrap();
        stream.send_trailers(status("0")).unwrap();
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(soon(read(&mut body)).await.unwrap(), b"body", "{way}");
    }
}

#[tokio::test]
async fn a_client_that_cancels_cancels_the_call() {
    let cancelled = Gate::default();
    let told = cancelled.clone();
    let origin = Http2Origin::start(move |mut call: Call| {
        let told = told.clone();
        async move {
            let mut stream = call.answer.send_response(head(), false).ok()?;
            stream.send_data(Bytes::from_static(b"begun"), false).ok()?;
            let reason = poll_fn(|context| stream.poll_reset(context)).await;
            if reason.is_ok_and(|reason| reason == Reason::CANCEL) {
                told.open();
            }
            Some(())
        }
    });
    let (_node, client) = connect(&origin).await;
    let (answer, mut stream) = call(&client, "/plain").await;
    let mut body = soon(answer).await.unwrap().into_body();
    assert_eq!(take(&mut body, 5).await, b"begun");
    stream.send_reset(Reason::CANCEL);
    let waited = tokio::task::spawn_blocking(move || {
        cancelled.wait(PATIENCE);
        cancelled.is_open()
    });
    assert!(waited.await.unwrap());
}

#[tokio::test]
async fn a_call_that_breaks_off_is_reset_and_never_ends_well() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let mut stream = call.answer.send_response(head(), false).ok()?;
        send(&mut stream, Bytes::from(pattern(100_000))).await?;
        stream.send_reset(Reason::INTERNAL_ERROR);
        Some(())
    });
    let (_node, client) = connect(&origin).await;
    for way in ["/plain", "/buffered", "/large"] {
        let (answer, mut stream) = call(&client, way).await;
        stream.send_data(message(b"hello").into(), true).unwrap();
        match soon(answer).await {
            Err(error) => assert!(error.is_reset(), "{way}: {error}"),
            Ok(answer) if answer.status() == 502 => {}
            Ok(answer) => {
                let mut body = answer.into_body();
                assert!(soon(read(&mut body)).await.is_none(), "{way}");
            }
        }
    }
}

const SHORT: &str = "body_timeout = \"100ms\"";

/// Lets `body_timeout` pass: a body that is none of a call is given up by then.
async fn pause(client: &SendRequest<Bytes>) {
    let (answer, _stream) = post(client, "/plain", "text/plain").await;
    assert_eq!(soon(answer).await.unwrap().status(), 408);
}

/// Answers uploads that are no calls once they are complete.
async fn converse_in_calls(call: Call) -> Option<()> {
    match call.head.headers["content-type"] == "text/plain" {
        true => call.echo().await,
        false => converse(call).await,
    }
}

#[tokio::test]
async fn both_ends_may_be_silent_for_longer_than_a_body_may() {
    let origin = Http2Origin::start(converse_in_calls);
    let (_node, client) = connect_within(&origin, SHORT).await;
    for (way, media_type) in [("/plain", GRPC), ("/large", GRPC), ("/plain", "text/event")] {
        let (answer, mut stream) = post(&client, way, media_type).await;
        stream.send_data(Bytes::from_static(b"one"), false).unwrap();
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(take(&mut body, 3).await, b"one", "{way}");
        for word in ["two", "six"] {
            pause(&client).await;
            send(&mut stream, Bytes::from_static(word.as_bytes())).await;
            assert_eq!(take(&mut body, 3).await, word.as_bytes(), "{way}");
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(soon(body.data()).await.is_none(), "{way}");
        let trailers = soon(body.trailers()).await.unwrap().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0", "{way}");
    }
}

#[tokio::test]
async fn a_call_that_is_answered_at_its_end_may_pause_before() {
    let origin = Http2Origin::start(Call::echo);
    let (_node, client) = connect_within(&origin, SHORT).await;
    for way in ["/plain", "/read", "/large"] {
        let (answer, mut stream) = call(&client, way).await;
        for word in ["one", "two"] {
            send(&mut stream, Bytes::from_static(word.as_bytes())).await;
            pause(&client).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
        let answer = soon(answer).await.unwrap();
        assert_eq!(answer.status(), 200, "{way}");
        let body = soon(read(&mut answer.into_body())).await;
        assert_eq!(body.unwrap(), b"onetwo", "{way}");
    }
}

#[tokio::test]
async fn silence_of_both_ends_a_call() {
    let origin = Http2Origin::start(converse);
    let (_node, client) = connect_within(&origin, "upgrade_idle_timeout = \"100ms\"").await;
    for way in ["/plain", "/large"] {
        let (answer, mut stream) = call(&client, way).await;
        stream.send_data(Bytes::from_static(b"one"), false).unwrap();
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(take(&mut body, 3).await, b"one", "{way}");
        let ended = soon(body.data()).await.expect("a reset");
        assert!(ended.is_err_and(|error| error.is_reset()), "{way}");
    }
}
