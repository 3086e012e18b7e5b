//! An origin that speaks HTTP/2 and nothing else, without TLS: each request is a task of the test's.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::Response;
use http::request::Parts;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// A request that is to be answered.
pub(crate) struct Call {
    pub(crate) head: Parts,
    pub(crate) body: RecvStream,
    pub(crate) answer: SendResponse<Bytes>,
}

#[derive(Clone)]
pub(crate) struct Http2Origin {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    accepts: AtomicUsize,
    shut: Notify,
    heads: Mutex<Vec<Parts>>,
}

// === impl Call ===

impl Call {
    /// Reads the request to its end, then answers 200 with `body`.
    pub(crate) async fn say(mut self, body: impl Into<Bytes>) -> Option<()> {
        read(&mut self.body).await?;
        self.with(Response::new(()), body.into()).await
    }

    /// Answers with the request's body once all of it is there.
    pub(crate) async fn echo(mut self) -> Option<()> {
        let body = read(&mut self.body).await?;
        self.with(Response::new(()), body.into()).await
    }

    /// Answers with `head` and `body`.
    pub(crate) async fn with(mut self, head: Response<()>, body: Bytes) -> Option<()> {
        let mut stream = self.answer.send_response(head, false).ok()?;
        send(&mut stream, body).await?;
        stream.send_data(Bytes::new(), true).ok()
    }
}

// === impl Http2Origin ===

impl Http2Origin {
    /// Serves every request with `serve`, all of a connection at once.
    pub(crate) fn start<F>(serve: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), serve)
    }

    /// As `start`, on an address chosen before.
    pub(crate) fn start_at<F>(
        address: SocketAddr,
        serve: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let state = Arc::new(State::default());
        let kept = Arc::clone(&state);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serve = Arc::new(serve);
                loop {
                    let stream = tokio::select! {
                        accepted = listener.accept() => accepted.unwrap().0,
                        () = state.shut.notified() => break,
                    };
                    state.accepts.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(connection(stream, Arc::clone(&state), Arc::clone(&serve)));
                }
                drop(listener);
                // Connections go on.
                std::future::pending::<()>().await;
            });
        });
        Self {
            address: told.recv().unwrap(),
            state: kept,
        }
    }

    /// From now on connections to it are refused; those that are there go on.
    pub(crate) fn shut(&self) {
        self.state.shut.notify_one();
        while std::net::TcpStream::connect(self.address).is_ok() {}
    }

    /// Connections accepted so far.
    pub(crate) fn accepts(&self) -> usize {
        self.state.accepts.load(Ordering::SeqCst)
    }

    /// The headers of all requests so far.
    pub(crate) fn heads(&self) -> Vec<Parts> {
        self.state.heads.lock().unwrap().clone()
    }

    /// The header of the most recent request.
    pub(crate) fn last(&self) -> Parts {
        self.heads().pop().expect("the origin got no request")
    }
}

async fn connection<F>(stream: TcpStream, state: Arc<State>, serve: Arc<impl Fn(Call) -> F>)
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, answer))) = connection.accept().await {
        let (head, body) = request.into_parts();
        state.heads.lock().unwrap().push(head.clone());
        tokio::spawn(serve(Call { head, body, answer }));
    }
}

/// All of a body; `None` when it is cut.
pub(crate) async fn read(body: &mut RecvStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        body.flow_control().release_capacity(piece.len()).ok()?;
        bytes.extend_from_slice(&piece);
    }
    Some(bytes)
}

/// Writes as the windows allow; `None` when the other side takes no more.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Option<()> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = match stream.capacity() {
            0 => poll_fn(|context| stream.poll_capacity(context))
                .await?
                .ok()?,
            room => room,
        };
        let piece = bytes.split_to(room.min(bytes.len()));
        stream.send_data(piece, false).ok()?;
    }
    Some(())
}
