//! Stores of several servers: sentinels and clusters.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::outages::RECOVERY;
use super::scripted::{Scripted, answer_with};
use super::server::{Server, free_port};
use super::ways::Encrypted;
use super::{
    Cache, CacheError, Settings, cache_at, namespace, near_settings_at, patient_cache, settings_at,
    until, until_it_works,
};

/// A key in another slot than others.
async fn set(cache: &Cache, key: &str) -> Result<(), CacheError> {
    cache
        .set(&namespace(), key.as_bytes(), "v".into(), 60)
        .await
}

fn replica_of(primary: &Server) -> Server {
    let port = primary.port().to_string();
    let replica = Server::start_with(free_port(), &["--replicaof", &format!("127.0.0.1 {port}")]);
    let start = Instant::now();
    while !replica
        .say(&["INFO", "replication"])
        .contains("master_link_status:up")
    {
        assert!(start.elapsed() < super::LONG, "the replica never follows");
    }
    replica
}

/// A sentinel that looks after `primary` as `main`.
fn sentinel_of(primary: &Server) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let monitor = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 2000\n",
        primary.port()
    );
    std::fs::write(&file, monitor).unwrap();
    let server = Server::start_sentinel(&file);
    (server, folder)
}

#[tokio::test]
async fn the_primary_that_sentinels_name_is_used_and_its_successor_after_a_failover() {
    let mut primary = Server::start_with(free_port(), &["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary);
    let (sentinel, _folder) = sentinel_of(&primary);
    let absent = free_port();
    let cache = cache_at(&format!(
        "redis-sentinel://127.0.0.1:{absent},127.0.0.1:{}/0?sentinelServiceName=main",
        sentinel.port()
    ));
    until_it_works(&cache).await;
    set(&cache, "before").await.unwrap();
    assert_eq!(primary.say(&["GET", "aegis:rates:before"]), "v");
    let knows = || {
        sentinel
            .say(&["SENTINEL", "MASTER", "main"])
            .contains("num-slaves\n1")
    };
    until(async || knows(), |knows| *knows).await;
    primary.kill();
    // When that happens, the sentinel has it drop its clients.
    let is_primary = || replica.log().contains("MASTER MODE enabled");
    until(async || is_primary(), |is| *is).await;
    let works = until(async || set(&cache, "after").await, Result::is_ok).await;
    assert!(works < 2 * RECOVERY, "{works:?}");
    assert_eq!(replica.say(&["GET", "aegis:rates:after"]), "v");
}

/// A sentinel that names whichever server of this host listens on that port.
async fn naming(port: Arc<AtomicU16>) -> Scripted {
    Scripted::start(move |command| match command[0].as_slice() {
        b"SENTINEL" if command[1] == b"GET-MASTER-ADDR-BY-NAME" => {
            let port = port.load(Ordering::Relaxed).to_string();
            let length = port.len();
            answer_with(format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port}\r\n"))
        }
        _ => answer_with("*0\r\n"),
    })
    .await
}

#[tokio::test]
async fn a_primary_that_was_made_a_replica_is_left_for_the_one_that_sentinels_name() {
    let (old, new) = (Server::start(), Server::start());
    let named = Arc::new(AtomicU16::new(old.port()));
    let sentinel = naming(named.clone()).await;
    let cache = cache_at(&format!(
        "redis-sentinel://127.0.0.1:{}?sentinelServiceName=main",
        sentinel.port()
    ));
    until_it_works(&cache).await;
    set(&cache, "k").await.unwrap();
    named.store(new.port(), Ordering::Relaxed);
    old.say(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    assert_eq!(set(&cache, "k").await, Err(CacheError::Refused));
    let works = until(async || set(&cache, "after").await, Result::is_ok).await;
    assert!(works < RECOVERY, "{works:?}");
    assert_eq!(new.say(&["GET", "aegis:rates:after"]), "v");
}

#[tokio::test]
async fn sentinels_that_hang_cost_an_attempt_and_no_more() {
    let server = Server::start();
    let sentinel = naming(Arc::new(AtomicU16::new(server.port()))).await;
    // The system takes connections for these, and nobody answers.
    let hung = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [first, second] = hung.each_ref().map(|hung| hung.local_addr().unwrap());
    let cache = cache_at(&format!(
        "redis-sentinel://{first},{second},127.0.0.1:{}?sentinelServiceName=main",
        sentinel.port()
    ));
    let works = until_it_works(&cache).await;
    assert!(works < Duration::from_secs(4), "{works:?}");
}

/// Three servers with a third of the slots each.
fn cluster() -> Vec<Server> {
    let nodes: Vec<_> = (0..3).map(|_| cluster_node(&[])).collect();
    for (node, slots) in nodes
        .iter()
        .zip([("0", "5000"), ("5001", "10000"), ("10001", "16383")])
    {
        node.say(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]);
        let (port, bus) = (nodes[0].port(), bus_of(&nodes[0]));
        node.say(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus]);
    }
    let start = Instant::now();
    let is_whole = |node: &Server| {
        let info = node.say(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
    };
    while !nodes.iter().all(is_whole) {
        assert!(
            start.elapsed() < 3 * super::LONG,
            "the cluster is never whole"
        );
    }
    nodes
}

fn bus_of(node: &Server) -> String {
    let nodes = node.say(&["CLUSTER", "NODES"]);
    let myself = nodes.lines().find(|line| line.contains("myself")).unwrap();
    let address = myself.split(' ').nth(1).unwrap();
    address
        .rsplit_once('@')
        .unwrap()
        .1
        .split(',')
        .next()
        .unwrap()
        .to_owned()
}

fn cluster_node(arguments: &[&str]) -> Server {
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    Server::start_with(free_port(), &[&cluster, arguments].concat())
}

fn cluster_url(nodes: &[Server]) -> String {
    let hosts: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    format!("redis-cluster://{}", hosts.join(","))
}

async fn set_many(cache: &Cache) -> Vec<Result<(), CacheError>> {
    let mut calls = JoinSet::new();
    for index in 0..300_u32 {
        let cache = cache.clone();
        calls.spawn(async move {
            let key = index.to_be_bytes();
            let value = Bytes::copy_from_slice(&key);
            cache.set(&namespace(), &key, value, 60).await
        });
    }
    calls.join_all().await
}

#[tokio::test]
async fn a_cluster_is_used_whole_and_followed_when_slots_move() {
    let nodes = cluster();
    let cache = patient_cache(settings_at(&cluster_url(&nodes[1..2]))).await;
    assert!(set_many(&cache).await.iter().all(Result::is_ok));
    for node in &nodes {
        let keys: u32 = node.say(&["DBSIZE"]).parse().unwrap();
        assert!(keys > 50, "{keys}");
    }
    let slot = nodes[0].say(&["CLUSTER", "KEYSLOT", "aegis:rates:moving"]);
    let number: usize = slot.parse().unwrap();
    let (from, to) = (number / 5001, (number / 5001 + 1) % 3);
    let id = nodes[to].say(&["CLUSTER", "MYID"]);
    for node in [&nodes[to], &nodes[from]] {
        node.say(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
    }
    assert_eq!(
        set(&cache, "moving").await,
        Ok(()),
        "the node names another, which is asked"
    );
    assert_eq!(nodes[to].say(&["GET", "aegis:rates:moving"]), "v");
}

#[tokio::test]
async fn counters_rates_and_copies_work_in_every_slot() {
    let nodes = cluster();
    let url = cluster_url(&nodes[1..2]);
    for settings in [settings_at(&url), near_settings_at(&url)] {
        let cache = patient_cache(settings).await;
        for round in 1..=2 {
            for index in 0..100_u8 {
                let (counter, rate) = ([b'c', index], [b'r', index]);
                let namespace = namespace();
                let sum = cache.increment(&namespace, &counter, 1, 60).await;
                assert_eq!(sum, Ok(round));
                let found = cache.get(&namespace, &counter).await;
                assert_eq!(found, Ok(Some(round.to_string().into())));
                let hour = Duration::from_secs(60 * 60);
                let wait = cache.rate_limit(&namespace, &rate, 1, hour).await.unwrap();
                assert_eq!(wait.is_some(), round == 2);
            }
        }
        for index in 0..100_u8 {
            for key in [[b'c', index], [b'r', index]] {
                assert_eq!(cache.delete(&namespace(), &key).await, Ok(true));
            }
        }
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_is_noticed_and_the_cluster_used_again_once_it_is_back() {
    let nodes = cluster();
    let settings = Settings {
        timeout: Duration::from_secs(1),
        ..settings_at(&cluster_url(&nodes))
    };
    let cache = Cache::new(&settings).unwrap();
    until_it_works(&cache).await;
    nodes[2].freeze();
    let start = Instant::now();
    let results = set_many(&cache).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(results.contains(&Err(CacheError::Timeout)));
    assert!(results.contains(&Ok(())), "the other nodes answer");
    let unavailable = |result: &Result<_, _>| *result == Err(CacheError::Unavailable);
    until(async || cache.get(&namespace(), b"k").await, unavailable).await;
    nodes[2].thaw();
    assert!(until_it_works(&cache).await < RECOVERY);
}

#[tokio::test]
async fn a_cluster_over_tls_is_verified_by_the_name_in_the_address() {
    let bus = free_port().to_string();
    let arguments = [
        ["--cluster-enabled", "yes"],
        ["--cluster-port", &bus],
        ["--cluster-announce-ip", "127.0.0.1"],
        ["--tls-cluster", "yes"],
    ];
    let node = Encrypted::start("localhost", &arguments.concat());
    let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    node.server.say(&slots);
    let cache = node.cache(&format!("rediss-cluster://localhost:{}", node.port));
    until_it_works(&cache).await;
    set(&cache, "k").await.unwrap();
}
