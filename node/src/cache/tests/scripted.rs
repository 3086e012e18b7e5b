//! A store that answers what a test tells it to, where a real one would not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{
    Cache, CacheError, LONG, assert_fails_in_time, cache_at, namespace, until, until_it_works,
};

/// What follows on a command.
#[derive(Clone)]
pub(super) enum Answer {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// The first, then the second without end. What could be sent is counted.
    Endless(&'static [u8], &'static [u8], Arc<AtomicUsize>),
    /// These, after a second.
    Late(&'static [u8]),
    /// These, and then the connection is reset.
    Reset(&'static [u8]),
    /// These, and then the connection ends.
    HangUp,
}

pub(super) fn answer_with(bytes: impl AsRef<[u8]>) -> Answer {
    Answer::Bytes(bytes.as_ref().into())
}

/// Logs clients in as usual and answers other commands as told; it ends with this.
pub(super) struct Scripted {
    port: u16,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// What follows on a command of this connection, counted from 0.
type Script = Arc<dyn Fn(usize, &[Vec<u8>]) -> Answer + Send + Sync>;

// === impl Scripted ===

impl Scripted {
    pub(super) async fn start(
        script: impl Fn(&[Vec<u8>]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_each(move |_, command| script(command)).await
    }

    /// One that treats connections differently.
    pub(super) async fn start_each(
        script: impl Fn(usize, &[Vec<u8>]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serving(Arc::new(move |connection, command: &[Vec<u8>]| {
            login(command).unwrap_or_else(|| script(connection, command))
        }))
        .await
    }

    /// One that begins to misbehave when a client logs in.
    async fn start_rude(answer: Answer) -> Self {
        Self::serving(Arc::new(move |_, _: &[Vec<u8>]| answer.clone())).await
    }

    async fn serving(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = accepted.clone();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::Relaxed);
                clients.spawn(serve(stream, connection, script.clone()));
            }
        });
        Self {
            port,
            accepted,
            _tasks: tasks,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn cache(&self) -> Cache {
        cache_at(&format!("redis://127.0.0.1:{}", self.port))
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn login(command: &[Vec<u8>]) -> Option<Answer> {
    let answer = match command[0].as_slice() {
        b"PING" => &b"+PONG\r\n"[..],
        b"CLIENT" => b":1\r\n",
        b"INFO" => b"$0\r\n\r\n",
        b"ROLE" => b"*1\r\n$6\r\nmaster\r\n",
        _ => return None,
    };
    Some(answer_with(answer))
}

async fn serve(stream: TcpStream, connection: usize, script: Script) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = command(&mut stream).await {
        if follow(&mut stream, script(connection, &command))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// `None` when the connection is over.
async fn follow(stream: &mut BufReader<TcpStream>, answer: Answer) -> Option<()> {
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await.ok(),
        Answer::Endless(first, then, sent) => {
            let then = then.repeat(16 * 1024 / then.len());
            let mut written = stream.write(first).await;
            while let Ok(count) = written {
                sent.fetch_add(count, Ordering::Relaxed);
                written = stream.write(&then).await;
            }
            None
        }
        Answer::Late(bytes) => {
            sleep(Duration::from_secs(1)).await;
            stream.write_all(bytes).await.ok()
        }
        Answer::Reset(bytes) => {
            stream.write_all(bytes).await.ok();
            stream.get_ref().set_zero_linger().ok();
            None
        }
        Answer::HangUp => None,
    }
}

async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Some(words)
}

async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

/// What the first call gets that reaches the store.
async fn first_error(cache: &Cache) -> CacheError {
    loop {
        match assert_fails_in_time(cache).await {
            CacheError::Unavailable => tokio::task::yield_now().await,
            error => return error,
        }
    }
}

async fn store_answering(answer: Answer) -> (Cache, Scripted) {
    let store = Scripted::start(move |_| answer.clone()).await;
    (store.cache(), store)
}

#[tokio::test]
async fn errors_of_the_store_are_refusals() {
    for answer in [
        &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
        b"-OOM command not allowed when used memory > 'maxmemory'\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n",
        b"-ERR unknown\r\n",
    ] {
        let (cache, _store) = store_answering(answer_with(answer)).await;
        let error = first_error(&cache).await;
        assert_eq!(error, CacheError::Refused, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn errors_at_login_are_an_outage() {
    for answer in [
        &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
        b"-NOAUTH Authentication required.\r\n",
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    ] {
        let store = Scripted::start_rude(answer_with(answer)).await;
        let cache = store.cache();
        until(async || store.accepted(), |count| *count >= 4).await;
        assert_eq!(assert_fails_in_time(&cache).await, CacheError::Unavailable);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_costs_the_timeout() {
    for answer in ["$1000000\r\nabc", "$5\r\nab", "+OK", "*2\r\n:1\r\n", "*-"] {
        let (cache, _store) = store_answering(answer_with(answer)).await;
        assert_eq!(first_error(&cache).await, CacheError::Timeout, "{answer}");
    }
}

#[tokio::test]
async fn answers_of_another_kind_are_errors_in_time() {
    for answer in [
        ":7\r\n",
        "*0\r\n",
        "*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        "+QUEUED\r\n",
    ] {
        let (cache, _store) = store_answering(answer_with(answer)).await;
        let start = Instant::now();
        for _ in 0..20 {
            cache.get(&namespace(), b"k").await.ok();
        }
        assert!(start.elapsed() < LONG);
        let namespace = namespace();
        let set = cache.set(&namespace, b"k", "v".into(), 60);
        tokio::time::timeout(Duration::from_secs(1), set)
            .await
            .unwrap()
            .ok();
    }
}

#[tokio::test]
async fn garbage_and_broken_connections_are_errors_in_time() {
    for answer in [
        answer_with("HTTP/1.1 400 Bad Request\r\n\r\n"),
        answer_with(b"\0\0\0\0\r\n"),
        answer_with(b"$-9\r\n"),
        answer_with(b"$99999999999999999999999\r\n"),
        answer_with(b"*-9\r\n"),
        Answer::Reset(b"$5\r\nab"),
        Answer::Reset(b""),
        Answer::HangUp,
    ] {
        let (cache, _store) = store_answering(answer.clone()).await;
        for _ in 0..20 {
            assert_fails_in_time(&cache).await;
        }
        let store = Scripted::start_rude(answer).await;
        let cache = store.cache();
        until(async || store.accepted(), |count| *count >= 8).await;
        assert_eq!(assert_fails_in_time(&cache).await, CacheError::Unavailable);
    }
}

#[tokio::test]
async fn an_answer_that_would_fill_the_memory_or_the_stack_ends_the_connection() {
    for (first, then) in [
        (&b"$2147483648\r\n"[..], &b"v"[..]),
        (b"$2000000000\r\n", b"v"),
        (b"*1000000000\r\n", b":1\r\n"),
        (b"*200\r\n", b"$1000000\r\n"),
        (b"*2\r\n", b"*2\r\n"),
        (b"", b"*1\r\n"),
        (b"", b"%1\r\n"),
        (b"*1\r\n", b">1\r\n"),
        (b"$?\r\n", b";1\r\nv\r\n"),
        (b"+", b"OK"),
        (b"-ERR ", b"x"),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let answer = Answer::Endless(first, then, sent.clone());
        let (cache, _store) = store_answering(answer).await;
        let what = first.escape_ascii();
        let start = Instant::now();
        while sent.load(Ordering::Relaxed) == 0 {
            assert_fails_in_time(&cache).await;
            tokio::task::yield_now().await;
            assert!(start.elapsed() < LONG, "{what}");
        }
        let start = Instant::now();
        let unavailable = cache.get(&namespace(), b"k").await;
        assert!(unavailable.is_err(), "{what}");
        assert!(start.elapsed() < Duration::from_secs(1), "{what}");
        // Some of it is in buffers of the system.
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 64 * 1024 * 1024, "{what}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn a_store_that_hangs_up_is_not_stormed() {
    let hangs_up = |_: &[Vec<u8>]| Answer::HangUp;
    for store in [
        Scripted::start(hangs_up).await,
        Scripted::start_rude(Answer::HangUp).await,
        Scripted::start_rude(answer_with("-NOAUTH Authentication required.\r\n")).await,
    ] {
        let cache = store.cache();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            assert_fails_in_time(&cache).await;
            tokio::task::yield_now().await;
        }
        let accepted = store.accepted();
        assert!(accepted > 4, "it is tried again");
        assert!(accepted < 40, "{accepted} connections in 2 s");
    }
}

#[tokio::test]
async fn a_slow_store_costs_the_timeout_and_nothing_piles_up() {
    let (cache, _store) = store_answering(Answer::Late(b"$1\r\nv\r\n")).await;
    assert_eq!(first_error(&cache).await, CacheError::Timeout);
    let (mut rounds, mut timeouts) = (0, 0);
    while rounds < 5 || timeouts < 1_000 {
        rounds += 1;
        let mut calls = JoinSet::new();
        for _ in 0..1_000 {
            let cache = cache.clone();
            calls.spawn(async move { cache.get(&namespace(), b"k").await });
        }
        let start = Instant::now();
        let results = calls.join_all().await;
        let took = start.elapsed();
        // One after the other, with a second each, they would take minutes.
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(rounds < 1_000, "{timeouts} timeouts");
        assert!(results.iter().all(Result::is_err));
        let is_timeout = |result: &&Result<_, _>| **result == Err(CacheError::Timeout);
        timeouts += results.iter().filter(is_timeout).count();
    }
}

#[tokio::test]
async fn an_absent_value_is_not_an_error() {
    let (cache, _store) = store_answering(answer_with(b"$-1\r\n")).await;
    until_it_works(&cache).await;
}
