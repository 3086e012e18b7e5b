//! An HTTP/1.1 connection to a backend. The library's session can do one thing at a time, so it
//! shares the stream with the upload.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora::connectors::TransportConnector;
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

use super::sink::{Framing, Sink};

/// A connection with one request on it.
pub(super) struct Http1 {
    session: HttpSession,
    stream: Shared,
    peer: Box<HttpPeer>,
}

/// The stream below: the library's session reads it and writes the header, the node's own
/// code writes the body. Both belong to one task, so the lock is always free.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Stream>>);

impl Http1 {
    /// The connection, and whether it was a kept one.
    pub(super) async fn open(
        connector: &TransportConnector,
        peer: Box<HttpPeer>,
    ) -> Result<(Self, bool)> {
        let (stream, reused) = connector.get_stream(&*peer).await?;
        let stream = Shared(Arc::new(Mutex::new(stream)));
        let mut session = HttpSession::new_with_options(Box::new(stream.clone()), &*peer);
        session.write_timeout = peer.options.write_timeout;
        let wire = Self {
            session,
            stream,
            peer,
        };
        Ok((wire, reused))
    }

    pub(super) async fn send_header(
        &mut self,
        header: RequestHeader,
        framing: Framing,
    ) -> Result<Sink> {
        let sent = self.session.write_request_header(Box::new(header)).await;
        sent.map_err(|mut error| {
            if *error.etype() == ErrorType::WriteError {
                error.retry = RetryType::ReusedOnly;
            }
            error.into_up()
        })?;
        let timeout = self.peer.options.write_timeout;
        Ok(Sink::http1(self.stream.clone(), framing, timeout))
    }

    pub(super) fn time_answer(&mut self) {
        self.session.read_timeout = self.peer.options.read_timeout;
    }

    pub(super) async fn read_header(&mut self) -> Result<Box<ResponseHeader>> {
        let header = self.session.read_resp_header_parts().await;
        header.map_err(|error| error.into_up())
    }

    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let piece = self.session.read_body_bytes().await;
        piece.map_err(|mut error| {
            // The answer has begun: the request was acted on.
            error.set_retry(false);
            error.into_up()
        })
    }

    pub(super) async fn keep(mut self, connector: &TransportConnector) {
        self.session.respect_keepalive();
        let idle = self.peer.idle_timeout();
        let kept = self.session.reuse().await.is_some();
        if let Some(stream) = Arc::into_inner(self.stream.0).filter(|_| kept) {
            let key = self.peer.reuse_hash();
            connector.release_stream(stream.into_inner(), key, idle);
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
