//! HTTPS servers on loopback, and listeners that only count who came.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// An HTTP/1.1 server that answers each request as its handler says.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    accepts: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

pub(super) enum Answer {
    /// These bytes.
    Whole(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These bytes, then silence.
    Hold(Vec<u8>),
    /// These bytes, then one more every few milliseconds without end.
    Drip(Vec<u8>),
}

pub(super) type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A listener that serves nobody: connections wait in its queue and can be
/// counted.
pub(super) struct Trap {
    listener: StdListener,
}

/// A response with a body of known length.
pub(super) fn respond(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Answer::Whole([text.as_bytes(), body].concat())
}

// === impl Origin ===

impl Origin {
    pub(super) async fn start(bind: &str, tls: ServerConfig, handler: Handler) -> Self {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let log = seen.clone();
        let accepts = Arc::new(AtomicUsize::new(0));
        let count = accepts.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, handler, log) = (acceptor.clone(), handler.clone(), log.clone());
                tokio::spawn(async move {
                    // Clients that refuse the certificate end up here as well.
                    serve(&acceptor, stream, &handler, &log).await.ok();
                });
            }
        });
        Self {
            address,
            seen,
            accepts,
            task,
        }
    }

    /// Connections so far.
    pub(super) fn accepts(&self) -> usize {
        self.accepts.load(Ordering::SeqCst)
    }

    /// The requests that arrived so far.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    handler: &Handler,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    while let Some(request) = read(&mut stream).await? {
        let answer = handler(&request);
        log.lock().unwrap().push(request);
        match answer {
            Answer::Whole(bytes) => stream.write_all(&bytes).await?,
            Answer::Last(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Answer::Hold(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                stream.read_u8().await?;
            }
            Answer::Drip(bytes) => drip(&mut stream, &bytes).await?,
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TlsStream<TcpStream>>) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    if stream.read_line(&mut request.line).await? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        request.headers.insert(name.to_owned(), value.to_owned());
    }
    if let Some(length) = request.headers.get("content-length") {
        request.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut request.body).await?;
    }
    Ok(Some(request))
}

async fn drip(stream: &mut BufReader<TlsStream<TcpStream>>, start: &[u8]) -> std::io::Result<()> {
    stream.write_all(start).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
        stream.write_all(b"x").await?;
        stream.flush().await?;
    }
}

// === impl Trap ===

impl Trap {
    pub(super) fn set(bind: &str) -> Self {
        Self {
            listener: StdListener::bind(bind).unwrap(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// How many connections came before this moment.
    pub(super) fn sprung(&self) -> usize {
        let last = StdStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let mut count = 0;
        while self.listener.accept().unwrap().1 != last.local_addr().unwrap() {
            count += 1;
        }
        count
    }
}
