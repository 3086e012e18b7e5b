//! F-2, F-7: clients that use HTTP/2 against the node: resets, floods and bombs.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, Raw, SETTINGS,
    WINDOW_UPDATE, block, frame, get, nth, request, reset,
};
use crate::harness::{Setup, module};
use crate::siege::{Client, Siege};
use crate::worlds::attacked;

/// Attackers at a time: their own work is on the same machine.
const ATTACKERS: usize = 2;

/// A function that runs until it is stopped, on a node for both versions of HTTP.
fn endless(rest: &str) -> Setup {
    let limits =
        "limits = { fuel = 1_000_000_000_000_000, execution_time = \"1h\", wall_time = \"1h\" }";
    attacked(
        &format!("{limits}\n{rest}"),
        &module("(loop $l (br $l)) (i32.const 0)"),
    )
    .listening("h2c = true")
}

fn flood(client: &Client<'_>, make: impl Fn(u32) -> Vec<u8>) {
    Raw::open(client.node.address).flood(make);
}

/// What is reset is stopped: else the first few would keep all guest threads for ever.
#[test]
fn f7_rapid_resets_take_the_guests_along() {
    let siege = Siege::of(endless(""));
    siege.attack(ATTACKERS, |client| {
        flood(client, |number| {
            [get(nth(number), "/"), reset(nth(number))].concat()
        });
    });
}

#[test]
fn f7_frames_that_bring_nothing_further_end_their_connection() {
    let frames = [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
        frame(0x50, 0, 0, &[0; 1000]),
    ];
    let siege = Siege::of(endless(""));
    let next = AtomicU32::new(0);
    siege.attack(ATTACKERS, |client| {
        let which = next.fetch_add(1, Ordering::Relaxed) as usize % frames.len();
        flood(client, |_| frames[which].clone());
    });
}

#[test]
fn f7_headers_that_grow_or_never_end_end_their_connection() {
    // A field of nearly the whole table, named again with a byte each.
    let mut bomb = request("GET", "/", &[]);
    bomb.push(0x40);
    bomb.extend(&block(&[("x-bomb", &[b'x'; 3900])])[1..]);
    bomb.extend([0xbe; 12_000]);
    let siege = Siege::of(endless(""));
    siege.attack(ATTACKERS, |client| {
        flood(client, |number| {
            frame(HEADERS, END_HEADERS | END_STREAM, nth(number), &bomb)
        });
        let begun = frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
        flood(client, |number| match number {
            0 => begun.clone(),
            _ => frame(CONTINUATION, 0, 1, &block(&[("x", &[b'x'; 500])])),
        });
    });
}

#[test]
fn f7_resets_that_the_node_is_made_to_send_end_the_connection() {
    let siege = Siege::of(endless(""));
    siege.attack(ATTACKERS, |client| {
        flood(client, |number| {
            let stream = nth(number);
            let fields: [(&str, &[u8]); 1] = [("content-length", b"1")];
            let asks = frame(HEADERS, END_HEADERS, stream, &request("POST", "/", &fields));
            let provokes = match number % 2 {
                0 => frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
                _ => frame(DATA, END_STREAM, stream, b"too much"),
            };
            [asks, provokes].concat()
        });
    });
}
