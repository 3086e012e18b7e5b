//! One HTTP/1.1 connection to a backend, of which both directions are used at once: an
//! answer that begins early is read while the request is still being written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{ErrorType, Result, RetryType};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::proxy::backend::ConnectionAge;

/// Connects to backends, and keeps connections for the next request.
pub struct Connector(TransportConnector);

/// A connection with one request on it.
pub(super) struct Connection {
    session: HttpSession,
    stream: Shared,
    peer: Box<HttpPeer>,
    pub(super) age: ConnectionAge,
}

/// The stream below: the library's session reads it and writes the header, the node's own
/// code writes the body. Both belong to one task, so the lock is always free.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Stream>>);

impl Connector {
    /// Keeps at most `idle` connections.
    pub fn new(idle: usize) -> Self {
        Self(TransportConnector::new(Some(ConnectorOptions::new(idle))))
    }
}

impl Connection {
    /// Takes a kept connection or makes one.
    pub(super) async fn open(connector: &Connector, peer: Box<HttpPeer>) -> Result<Self> {
        let (stream, reused) = connector.0.get_stream(&*peer).await?;
        let stream = Shared(Arc::new(Mutex::new(stream)));
        let mut session = HttpSession::new_with_options(Box::new(stream.clone()), &*peer);
        session.write_timeout = peer.options.write_timeout;
        Ok(Self {
            session,
            stream,
            peer,
            age: ConnectionAge::of(reused),
        })
    }

    /// Where the body goes; dropped before the connection is kept.
    pub(super) fn body_sink(&self) -> Shared {
        self.stream.clone()
    }

    /// Of the longest wait for the backend to take the next piece.
    pub(super) fn write_timeout(&self) -> Option<std::time::Duration> {
        self.session.write_timeout
    }

    /// From now on it is the backend's turn, and only so long is it waited for. Until then the
    /// client may be slow to send, within its own limits.
    pub(super) fn time_answer(&mut self) {
        self.session.read_timeout = self.peer.options.read_timeout;
    }

    pub(super) async fn send_header(&mut self, header: RequestHeader) -> Result<()> {
        let sent = self.session.write_request_header(Box::new(header)).await;
        sent.map(drop).map_err(|mut error| {
            if *error.etype() == ErrorType::WriteError {
                error.retry = RetryType::ReusedOnly;
            }
            error.into_up()
        })
    }

    /// The next header, be it of an interim answer. May be cancelled, and called again.
    pub(super) async fn read_header(&mut self) -> Result<Box<ResponseHeader>> {
        let header = self.session.read_resp_header_parts().await;
        header.map_err(|error| error.into_up())
    }

    /// The next piece of the answer's body, perhaps an empty one; `None` at its end. May be
    /// cancelled, and called again.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let piece = self.session.read_body_bytes().await;
        piece.map_err(|mut error| {
            // The answer has begun: the request was acted on.
            error.set_retry(false);
            error.into_up()
        })
    }

    /// Keeps the connection for another request if the answer was read to its end and both
    /// sides want to go on; else closes it.
    pub(super) async fn keep(mut self, connector: &Connector) {
        self.session.respect_keepalive();
        let idle = self.peer.idle_timeout();
        let kept = self.session.reuse().await.is_some();
        if let Some(stream) = Arc::into_inner(self.stream.0).filter(|_| kept) {
            let key = self.peer.reuse_hash();
            connector.0.release_stream(stream.into_inner(), key, idle);
        }
    }
}

// === impl Shared ===

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Shared {
    async fn shutdown(&mut self) {
        AsyncWriteExt::shutdown(self).await.ok();
    }
}

impl UniqueID for Shared {
    fn id(&self) -> UniqueIDType {
        self.0.lock().id()
    }
}

impl GetTimingDigest for Shared {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.lock().get_timing_digest()
    }
}

impl GetProxyDigest for Shared {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.lock().get_proxy_digest()
    }
}

impl GetSocketDigest for Shared {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.lock().get_socket_digest()
    }
}

/// Nobody asks this one about its certificate.
impl Ssl for Shared {}

impl Peek for Shared {}
