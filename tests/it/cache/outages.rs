//! What the node makes of a store that hangs, dies or talks nonsense, with guests asking it all the while: they get a
//! code in time, other routes notice nothing, and the operator gets one line.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::lines::PATIENCE;
use crate::harness::node::message;
use crate::harness::{Connection, Node, Redis, Request, answers, report};

const CACHE: &str = "[cache]\nurl = \"redis://{redis}\"\ntimeout = \"250ms\"\n[server.limits]\nconnections_per_client = 4000";
/// The promise is a second; the rest is for a busy machine and the request that finds out.
const RECOVERY: Duration = Duration::from_millis(1500);
const LOOKS: &str = "(call $tried (call $cache_get {k}))";

fn serving(store: SocketAddr, body: &str) -> Node {
    let node = answers(CACHE, &report(body)).set("redis", &store).start();
    assert_eq!(node.get("/control").text(), "fine");
    node
}

/// Asks until the answer is one of a store that works.
fn recovered(node: &Node) -> Duration {
    let start = Instant::now();
    while !matches!(node.get("/").text().as_str(), "-1/1\n" | "0\n") {
        assert!(start.elapsed() < PATIENCE, "the cache never recovers");
    }
    start.elapsed()
}

/// The log has a line with this message so often, once all of it has been read.
fn assert_told(node: &Node, times: usize, wanted: &str) {
    let told = || {
        let lines = node.stderr.all();
        lines.iter().filter(|line| message(line) == wanted).count()
    };
    let start = Instant::now();
    while told() < times {
        assert!(start.elapsed() < PATIENCE, "{wanted}: {} times", told());
    }
    assert_eq!(told(), times, "{wanted}");
}

/// A client of another route, on one connection, until it is told to stop.
struct Control {
    stop: Arc<AtomicBool>,
    client: JoinHandle<usize>,
}

impl Control {
    fn start(node: &Node) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, mut connection) = (stop.clone(), node.connect());
        let client = thread::spawn(move || {
            let mut served = 0;
            while !until.load(Ordering::Relaxed) {
                let answer = connection.exchange(&Request::get("/control")).unwrap();
                assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
                served += 1;
            }
            served
        });
        Self { stop, client }
    }

    /// How many answers it got, all good.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.client.join().expect("another route failed")
    }
}

/// In kibibytes.
fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let mut words = line.unwrap().split_whitespace();
    words.nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_guests_that_ask_a_store_that_hangs_get_an_error_and_do_not_hang() {
    const GUESTS: usize = 1000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .unwrap_or_else(|_| panic!("{soft} descriptors are too few"));
    let redis = Redis::start();
    let node = serving(redis.address, LOOKS);
    recovered(&node);
    let mut guests: Vec<Connection> = (0..GUESTS).map(|_| node.connect()).collect();
    let control = Control::start(&node);
    redis.freeze();
    let start = Instant::now();
    for guest in &mut guests {
        guest.send(&Request::get("/").bytes());
    }
    let mut timed_out = 0;
    for guest in &mut guests {
        let answer = guest.read("GET").expect("an answer");
        let text = answer.text();
        assert!(
            matches!(text.as_str(), "-1/5\n" | "-1/6\n" | "-1/7\n"),
            "{text}"
        );
        timed_out += usize::from(text == "-1/5\n");
    }
    let took = start.elapsed();
    assert!(timed_out > 0, "the store did hang");
    assert!(
        took < Duration::from_secs(5),
        "{GUESTS} guests took {took:?}"
    );
    redis.thaw();
    assert!(recovered(&node) < RECOVERY);
    assert!(control.end() > 0);
}

#[test]
fn outages_cost_other_routes_nothing_and_are_told_once_each() {
    let mut redis = Redis::start();
    let node = serving(redis.address, LOOKS);
    recovered(&node);
    let control = Control::start(&node);
    redis.freeze();
    assert_eq!(node.get("/").text(), "-1/5\n");
    node.stderr
        .wait_for(|line| message(line) == "cache store unavailable");
    assert_eq!(node.get("/").text(), "-1/6\n");
    redis.thaw();
    let recovery = recovered(&node);
    assert!(recovery < RECOVERY, "{recovery:?} after SIGCONT");
    redis.kill();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(node.get("/").text(), "-1/6\n");
    }
    redis.restart();
    let recovery = recovered(&node);
    assert!(recovery < RECOVERY, "{recovery:?} after the restart");
    assert!(control.end() > 0);
    assert_told(&node, 2, "cache store unavailable");
    assert_told(&node, 3, "cache store connected");
}

#[test]
fn a_flood_of_values_for_a_store_that_hangs_leaves_memory_flat() {
    let redis = Redis::start();
    let stores = "(call $tried (call $cache_set {k} (i32.const 0x100000) (i32.const 0x80000) (i32.const 60)))";
    let node = serving(redis.address, stores);
    recovered(&node);
    let before = memory(&node);
    redis.freeze();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut connection = node.connect();
            thread::spawn(move || {
                let ask = || connection.exchange(&Request::get("/")).unwrap().text();
                std::iter::repeat_with(ask).take(50).collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();
    let after = memory(&node);
    assert!(answers.iter().all(|answer| answer.starts_with("-1/")));
    assert!(answers.iter().any(|answer| answer == "-1/5\n"), "it hung");
    // 400 MiB were to be kept; 64 MiB of values may wait, and sandboxes keep some memory.
    let grown = after.saturating_sub(before) / 1024;
    assert!(grown < 160, "{grown} MiB more");
    redis.thaw();
    assert!(recovered(&node) < RECOVERY);
}

#[test]
fn a_full_store_refuses_and_recovers_without_a_new_connection() {
    let redis = Redis::start();
    let stores = "(call $tried (call $cache_set {k} {v} (i32.const 60)))";
    let node = serving(redis.address, stores);
    recovered(&node);
    redis.query(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(node.get("/").text(), "-1/6\n");
    assert_eq!(node.get("/").text(), "-1/6\n");
    redis.query(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(node.get("/").text(), "0\n");
    assert_told(&node, 1, "cache store refuses operations");
    assert_told(&node, 0, "cache store unavailable");
}

/// In front of a store: passes everything on, while it is told so each piece of an answer a second late.
fn slow_road_to(store: SocketAddr, is_slow: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let is_slow = is_slow.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(store).unwrap();
            let (mut from_client, mut to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                std::io::copy(&mut from_client, &mut to_server).ok();
                to_server.shutdown(Shutdown::Both).ok();
            });
            let is_slow = is_slow.clone();
            thread::spawn(move || pass_on(server, client, &is_slow));
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_slow: &AtomicBool) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if is_slow.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_secs(1));
        }
        if to.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn a_slow_store_costs_each_call_its_timeout_and_nothing_piles_up() {
    let (redis, is_slow) = (Redis::start(), Arc::new(AtomicBool::new(false)));
    let node = serving(slow_road_to(redis.address, &is_slow), LOOKS);
    recovered(&node);
    let before = memory(&node);
    let control = Control::start(&node);
    is_slow.store(true, Ordering::Relaxed);
    let start = Instant::now();
    assert_eq!(node.get("/").text(), "-1/5\n");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(240), "{took:?}");
    assert!(took < Duration::from_millis(750), "{took:?}");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert!(matches!(node.get("/").text().as_str(), "-1/5\n" | "-1/6\n"));
        assert!(asked.elapsed() < Duration::from_millis(750));
    }
    let grown = memory(&node).saturating_sub(before) / 1024;
    assert!(grown < 50, "{grown} MiB more");
    is_slow.store(false, Ordering::Relaxed);
    // The last piece may still be on its slow way.
    let recovery = recovered(&node);
    assert!(recovery < RECOVERY + Duration::from_secs(1), "{recovery:?}");
    assert!(control.end() > 0);
}

/// A peer that writes this to whoever connects, until they no longer take it; it lasts as long as the process.
fn shouting(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let bytes = bytes.clone();
            thread::spawn(move || {
                client.write_all(&bytes).ok();
                client.read_to_end(&mut Vec::new()).ok();
            });
        }
    });
    address
}

#[test]
fn nothing_that_a_store_says_ends_the_node_or_fills_its_memory() {
    let endless = [&b"$2147483648\r\n"[..], &vec![b'v'; 300 << 20]].concat();
    for bytes in [
        b"*1\r\n".repeat(1 << 20),
        b"%1\r\n".repeat(1 << 20),
        endless,
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"$5\r\nab".to_vec(),
        b"-LOADING Redis is loading the dataset in memory\r\n".to_vec(),
    ] {
        let node = serving(shouting(bytes), LOOKS);
        let before = memory(&node);
        node.stderr
            .wait_for(|line| message(line) == "cache store unavailable");
        for _ in 0..20 {
            assert_eq!(node.get("/").text(), "-1/6\n");
        }
        assert_eq!(node.get("/control").text(), "fine");
        let grown = memory(&node).saturating_sub(before) / 1024;
        assert!(grown < 100, "{grown} MiB more");
    }
}
