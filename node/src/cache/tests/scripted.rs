//! A store that answers what a test tells it to, where a real one would not.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Cache, CacheError, assert_fails_in_time, cache_at, until_it_works};

/// A store that logs clients in as usual and gives `answer` to every `GET`; with an empty answer
/// it hangs up instead.
async fn store_answering(answer: &'static [u8]) -> (Cache, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut store = JoinSet::new();
    store.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            clients.spawn(serve(stream, answer));
        }
    });
    let cache = cache_at(&format!("redis://127.0.0.1:{port}"));
    (cache, store)
}

async fn serve(stream: TcpStream, answer: &'static [u8]) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = command(&mut stream).await {
        let reply = match command[0].as_slice() {
            b"PING" => b"+PONG\r\n",
            b"CLIENT" => &b":1\r\n"[..],
            b"INFO" => b"$0\r\n\r\n",
            _ if answer.is_empty() => return,
            _ => answer,
        };
        if stream.write_all(reply).await.is_err() {
            return;
        }
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

#[tokio::test]
async fn errors_of_the_store_are_refusals() {
    for answer in [
        &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
        b"-OOM command not allowed when used memory > 'maxmemory'\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-ERR unknown\r\n",
    ] {
        let (cache, _store) = store_answering(answer).await;
        let error = first_error(&cache).await;
        assert_eq!(error, CacheError::Refused, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_costs_the_timeout() {
    for answer in [&b"$2000000000\r\nabc"[..], b"$5\r\nab"] {
        let (cache, _store) = store_answering(answer).await;
        assert_eq!(first_error(&cache).await, CacheError::Timeout);
    }
}

#[tokio::test]
async fn garbage_and_hanging_up_are_errors_in_time() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\0\0\0\r\n",
        b"",
    ] {
        let (cache, _store) = store_answering(answer).await;
        for _ in 0..20 {
            assert_fails_in_time(&cache).await;
        }
    }
}

#[tokio::test]
async fn an_absent_value_is_not_an_error() {
    let (cache, _store) = store_answering(b"$-1\r\n").await;
    until_it_works(&cache).await;
}
