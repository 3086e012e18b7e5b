//! An HTTP/2 client on any stream: many requests at a time, their bodies piece by piece.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::framing::Headers;
use super::http::Response;
use super::lines::PATIENCE;

/// A connection, open until dropped; clones share it.
#[derive(Clone)]
pub(crate) struct Http2 {
    runtime: Arc<Runtime>,
    sender: SendRequest<Bytes>,
    driver: Arc<JoinHandle<Result<(), h2::Error>>>,
}

/// How much of an answer the client takes ahead of whoever reads it.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) stream: u32,
    pub(crate) connection: u32,
}

/// A request under way.
pub(crate) struct Exchange {
    runtime: Arc<Runtime>,
    sending: SendStream<Bytes>,
    answer: ResponseFuture,
}

/// An answer to its end, whatever that was.
pub(crate) struct Answered {
    pub(crate) response: Response,
    pub(crate) trailers: HeaderMap,
    /// Why the stream was reset: by the node in place of an end, or by the client itself.
    pub(crate) reset: Option<Reason>,
}

/// A request's header for `http://aegis.test`.
pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    http::Request::builder()
        .method(method)
        .uri(format!("http://aegis.test{path}"))
}

/// What does not take longer than a test may wait.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

// === impl Http2 ===

impl Http2 {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let largest = (1 << 31) - 1;
        let windows = Windows {
            stream: largest,
            connection: largest,
        };
        Self::open_with(address, windows)
    }

    pub(crate) fn open_with(address: SocketAddr, windows: Windows) -> Self {
        let connect = async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        };
        Self::over(connect, windows)
    }

    /// On the stream that `connect` makes.
    pub(crate) fn over<S>(connect: impl Future<Output = S>, windows: Windows) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(windows.stream)
            .initial_connection_window_size(windows.connection);
        let (sender, driver) = runtime.block_on(async {
            let stream = soon(connect).await;
            let (sender, connection) = soon(builder.handshake(stream)).await.unwrap();
            (sender, tokio::spawn(connection))
        });
        Self {
            runtime: Arc::new(runtime),
            sender,
            driver: Arc::new(driver),
        }
    }

    /// A request without a body, and its whole answer.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.exchange(request("GET", path), b"")
    }

    /// A whole request and its whole answer.
    ///
    /// # Panics
    /// When the stream is reset.
    pub(crate) fn exchange(&self, header: http::request::Builder, body: &[u8]) -> Response {
        let answered = self.start(header, body).answer();
        assert_eq!(answered.reset, None, "the stream was reset");
        answered.response
    }

    /// Sends a whole request.
    pub(crate) fn start(&self, header: http::request::Builder, body: &[u8]) -> Exchange {
        let mut exchange = self.begin_with(header, body.is_empty());
        if !body.is_empty() {
            exchange.send(body, true);
        }
        exchange
    }

    /// Sends a request's header; the body is owed.
    pub(crate) fn begin(&self, header: http::request::Builder) -> Exchange {
        self.begin_with(header, false)
    }

    fn begin_with(&self, header: http::request::Builder, end: bool) -> Exchange {
        let sender = self.sender.clone();
        let (answer, sending) = self.runtime.block_on(async {
            let mut sender = soon(sender.ready()).await.unwrap();
            sender.send_request(header.body(()).unwrap(), end).unwrap()
        });
        Exchange {
            runtime: Arc::clone(&self.runtime),
            sending,
            answer,
        }
    }

    /// Whether the node takes a further request.
    pub(crate) fn takes_requests(&self) -> bool {
        let sender = self.sender.clone();
        self.runtime.block_on(soon(sender.ready())).is_ok()
    }

    /// Waits for the connection's end: the reason the node gave, if any but `NO_ERROR`.
    pub(crate) fn ended(self) -> Option<Reason> {
        let Self {
            runtime,
            sender,
            driver,
        } = self;
        let driver = Arc::into_inner(driver).expect("no clone is left");
        let ended = runtime.block_on(soon(driver)).unwrap();
        // Without it the client would end the connection itself.
        drop(sender);
        ended.err().and_then(|error| error.reason())
    }
}

// === impl Exchange ===

impl Exchange {
    /// Sends a piece of the body as far as the node takes it; a stream that was reset takes all.
    pub(crate) fn send(&mut self, mut body: &[u8], end: bool) {
        let sending = &mut self.sending;
        self.runtime.block_on(async {
            if body.is_empty() {
                sending.send_data(Bytes::new(), end).ok();
            }
            while !body.is_empty() {
                sending.reserve_capacity(body.len());
                let room = std::future::poll_fn(|context| sending.poll_capacity(context));
                let Some(Ok(room)) = soon(room).await else {
                    return;
                };
                let (piece, rest) = body.split_at(room.min(body.len()));
                body = rest;
                let end = end && body.is_empty();
                if sending
                    .send_data(Bytes::copy_from_slice(piece), end)
                    .is_err()
                {
                    return;
                }
            }
        });
    }

    /// Ends the body with trailers.
    pub(crate) fn send_trailers(&mut self, trailers: HeaderMap) {
        self.sending.send_trailers(trailers).unwrap();
    }

    /// Whether the node wants nothing more of the body.
    pub(crate) fn is_reset(&mut self) -> bool {
        let sending = &mut self.sending;
        self.runtime.block_on(async {
            std::future::poll_fn(|context| {
                std::task::Poll::Ready(sending.poll_reset(context).is_ready())
            })
            .await
        })
    }

    pub(crate) fn reset(mut self) {
        self.sending.send_reset(Reason::CANCEL);
    }

    /// The whole answer.
    pub(crate) fn answer(self) -> Answered {
        let Self {
            runtime,
            sending,
            answer,
        } = self;
        let answered = runtime.block_on(async {
            match soon(answer).await {
                Ok(answer) => read(answer).await,
                Err(error) => Answered::none(&error),
            }
        });
        drop(sending);
        answered
    }

    /// The answer's header; its body is never taken.
    pub(crate) fn head(self) -> (u16, Unread) {
        let answer = self.runtime.block_on(soon(self.answer)).unwrap();
        let status = answer.status().as_u16();
        let unread = Unread {
            runtime: self.runtime,
            body: answer.into_body(),
        };
        (status, unread)
    }
}

/// The body of an answer that is not read yet.
pub(crate) struct Unread {
    runtime: Arc<Runtime>,
    body: RecvStream,
}

impl Unread {
    /// Reads on, giving no room for more, until the body ends or is reset.
    pub(crate) fn end(mut self) -> Option<Reason> {
        self.runtime.block_on(soon(async {
            while let Some(piece) = self.body.data().await {
                if let Err(error) = piece {
                    return error.reason();
                }
            }
            None
        }))
    }
}

async fn read(answer: http::Response<RecvStream>) -> Answered {
    let (head, mut body) = answer.into_parts();
    let mut answered = Answered {
        response: Response {
            status: head.status.as_u16(),
            headers: fields(&head.headers),
            body: Vec::new(),
            complete: false,
        },
        trailers: HeaderMap::new(),
        reset: None,
    };
    while let Some(piece) = soon(body.data()).await {
        match piece {
            Ok(piece) => {
                body.flow_control().release_capacity(piece.len()).unwrap();
                answered.response.body.extend_from_slice(&piece);
            }
            Err(error) => {
                answered.reset = Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
                return answered;
            }
        }
    }
    match soon(body.trailers()).await {
        Ok(trailers) => answered.trailers = trailers.unwrap_or_default(),
        Err(error) => answered.reset = error.reason(),
    }
    answered.response.complete = answered.reset.is_none();
    answered
}

fn fields(headers: &HeaderMap) -> Headers {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

impl Answered {
    fn none(error: &h2::Error) -> Self {
        Self {
            response: Response {
                status: 0,
                headers: Headers::new(),
                body: Vec::new(),
                complete: false,
            },
            trailers: HeaderMap::new(),
            reset: Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR)),
        }
    }
}
