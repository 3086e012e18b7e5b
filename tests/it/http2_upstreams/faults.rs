//! HTTP/2 backends that reset, refuse, fall silent, or are none.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Response;

use super::{WAYS, through};
use crate::harness::http2_origin::{Call, send};
use crate::harness::lines::PATIENCE;
use crate::harness::{Gate, Http2Origin, Origin, Request, node};

fn response() -> Response<()> {
    Response::new(())
}

#[test]
fn a_reset_before_the_answer_is_502_and_not_sent_twice() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        call.answer.send_reset(Reason::INTERNAL_ERROR);
        Some(())
    });
    let node = through(&origin, "");
    for (count, way) in WAYS.into_iter().enumerate() {
        let answer = node.send(&Request::new("POST", way));
        assert_eq!(answer.error(), (502, "upstream-reset"), "{way}");
        assert_eq!(origin.heads().len(), count + 1, "{way}");
    }
}

#[test]
fn a_reset_within_the_answer_cuts_it() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let head = Response::builder();
        let head = match call.head.uri.query() {
            Some(length) => head.header("content-length", length),
            None => head,
        };
        let mut stream = call
            .answer
            .send_response(head.body(()).unwrap(), false)
            .ok()?;
        stream.send_data(Bytes::from_static(b"half"), false).ok()?;
        // Once that is out: a reset would overtake it.
        while stream.capacity() == 0 {
            stream.reserve_capacity(1);
            std::future::poll_fn(|context| stream.poll_capacity(context))
                .await?
                .ok()?;
        }
        stream.send_reset(Reason::INTERNAL_ERROR);
        Some(())
    });
    let node = through(&origin, "");
    for way in WAYS {
        for query in ["", "?10"] {
            let answer = node.send(&Request::get(&format!("{way}{query}")));
            let cut = answer.status == 200 && !answer.complete;
            let refused = answer.error() == (502, "upstream-reset");
            // What is read for functions, or not yet begun, can still be refused.
            assert!(cut || refused, "{way}{query}: {:?}", answer.error());
            if way == "/read" {
                assert!(refused, "{query}");
            }
        }
    }
}

#[test]
fn an_announced_body_that_never_comes_is_no_answer() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let head = Response::builder().header("content-length", "10");
        let sent = call.answer.send_response(head.body(()).unwrap(), true);
        sent.ok().map(drop)
    });
    let node = through(&origin, "");
    for way in WAYS {
        let answer = node.get(way);
        assert!(answer.status == 502 || !answer.complete, "{way}");
    }
}

#[test]
fn what_a_backend_refuses_unseen_is_sent_again_whatever_the_method() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let origin = Http2Origin::start(move |mut call: Call| {
        let turn = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if turn.is_multiple_of(2) {
                call.answer.send_reset(Reason::REFUSED_STREAM);
                return Some(());
            }
            call.echo().await
        }
    });
    let node = through(&origin, "");
    for way in WAYS {
        let answer = node.send(&Request::new("POST", way).body(b"once"));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "once"),
            "{way}"
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2 * WAYS.len());
}

#[test]
fn a_silent_backend_is_504() {
    let origin = Http2Origin::start(|call: Call| async move {
        pending::<()>().await;
        drop(call);
        None
    });
    let node = through(&origin, "read_timeout = \"200ms\"");
    for way in WAYS {
        let answer = node.send(&Request::new("POST", way).body(b"hello"));
        assert_eq!(answer.error(), (504, "upstream-timeout"), "{way}");
    }
}

#[test]
fn a_backend_that_speaks_something_else_is_502() {
    let origin = Origin::saying("HTTP/1.1");
    let toml = r#"
        [upstreams.origin]
        http2 = true
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#;
    let node = node(toml).set("origin", &origin.address).start();
    let answer = node.get("/");
    assert_eq!(answer.status, 502, "{:?}", answer.error());
}

#[test]
fn a_backend_that_takes_the_body_as_it_answers_is_not_held_up() {
    const SIZE: usize = 8 << 20;
    let origin = Http2Origin::start(|mut call: Call| async move {
        let mut stream = call.answer.send_response(response(), false).ok()?;
        while let Some(piece) = call.body.data().await {
            let piece = piece.ok()?;
            call.body
                .flow_control()
                .release_capacity(piece.len())
                .ok()?;
            send(&mut stream, piece).await?;
        }
        stream.send_data(Bytes::new(), true).ok()
    });
    let node = through(&origin, "");
    for way in ["/plain", "/large"] {
        let body: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
        let request = Request::new("POST", way).body(&body).bytes();
        let mut connection = node.connect();
        let mut sender = connection.socket().try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            std::io::Write::write_all(&mut sender, &request).unwrap();
        });
        let answer = connection.read("POST").unwrap();
        sending.join().unwrap();
        assert!(answer.complete && answer.body == body, "{way}");
    }
}

#[test]
fn a_backend_that_answers_and_wants_no_more_of_the_body_is_heard() {
    const SIZE: usize = 8 << 20;
    let origin = Http2Origin::start(|mut call: Call| async move {
        let head = Response::builder().status(413).body(()).unwrap();
        let mut stream = call.answer.send_response(head, false).ok()?;
        // The rest of the request is reset with its end.
        stream.send_data(Bytes::from_static(b"too much"), true).ok()
    });
    let node = through(&origin, "");
    for way in WAYS {
        let head = format!("POST {way} HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
        let mut connection = node.connect();
        connection.send(head.as_bytes());
        let mut sender = connection.socket().try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            std::io::Write::write_all(&mut sender, &vec![b'x'; SIZE]).ok();
        });
        let answer = connection.read("POST").unwrap();
        if way == "/buffered" {
            assert_eq!(answer.error(), (413, "body-too-large"));
        } else {
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (413, "too much"),
                "{way}"
            );
        }
        drop(connection);
        sending.join().unwrap();
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_backend_and_nobody_else() {
    for way in ["/plain", "/large"] {
        stops(way);
    }
}

fn stops(way: &str) {
    const SIZE: usize = 256 << 20;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let stalled = Gate::default();
    let told = stalled.clone();
    let origin = Http2Origin::start(move |mut call: Call| {
        let (counted, told) = (Arc::clone(&counted), told.clone());
        async move {
            if call.head.uri.query().is_none() {
                return call.say("said").await;
            }
            let mut stream = call.answer.send_response(response(), false).ok()?;
            while counted.load(Ordering::SeqCst) < SIZE {
                let piece = Bytes::from_static(&[b'x'; 16 << 10]);
                let sending = send(&mut stream, piece);
                // Nothing was taken for so long: the client's pace has come through.
                match tokio::time::timeout(Duration::from_millis(500), sending).await {
                    Ok(sent) => sent?,
                    Err(_) => break,
                }
                counted.fetch_add(16 << 10, Ordering::SeqCst);
            }
            told.open();
            pending().await
        }
    });
    let node = through(&origin, "");
    let mut client = node.connect();
    client.send(&Request::get(&format!("{way}?endless")).bytes());
    stalled.wait(PATIENCE);
    let taken = sent.load(Ordering::SeqCst);
    assert!(
        stalled.is_open() && taken < 32 << 20,
        "{way}: {taken} bytes"
    );
    // On the connection that it shares.
    let accepts = origin.accepts();
    assert_eq!(node.get(way).text(), "said");
    assert_eq!(origin.accepts(), accepts, "{way}");
}
