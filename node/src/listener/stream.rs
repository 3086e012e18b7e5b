//! A connection whose client is held to the deadlines of `[server.limits]`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connection::{Connection, Phase};
use super::guard::{Refusal, Refusals};

/// The stream that the proxy reads and writes.
pub(super) struct GuardedStream {
    inner: Stream,
    connection: Arc<Connection>,
    refusals: Refusals,
    /// Of the first byte, or of the header under way; armed only if one read is not enough.
    deadline: Option<Pin<Box<Sleep>>>,
    header_bytes: usize,
    waiting_since: Option<Instant>,
}

impl GuardedStream {
    pub(super) fn new(inner: Stream, connection: Arc<Connection>, refusals: Refusals) -> Self {
        let idle = connection.limits.idle_timeout;
        Self {
            inner,
            connection,
            refusals,
            deadline: Some(Box::pin(sleep(idle))),
            header_bytes: 0,
            waiting_since: None,
        }
    }

    /// Answers what the proxy has not parsed yet, then ends the connection. The answer
    /// is lost if the client does not even take that.
    fn refuse(&mut self, refusal: Refusal, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = (self.refusals)(refusal);
        drop(Pin::new(&mut self.inner).poll_write(context, &answer));
        drop(Pin::new(&mut self.inner).poll_flush(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// A header that did not come in one read: bound its size and its time.
    fn check_header(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        if self.header_bytes > self.connection.limits.header_size {
            return Some(self.refuse(Refusal::HeaderTooLarge, context));
        }
        let timeout = self.connection.limits.header_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)));
        if deadline.as_mut().poll(context).is_ready() {
            return Some(self.refuse(Refusal::HeaderTimeout, context));
        }
        None
    }

    /// The very first byte; later ones are the keep-alive timeout's business.
    fn check_idle(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        if self.header_bytes > 0 {
            // What is left here timed the last request's header.
            self.deadline = None;
        }
        let deadline = self.deadline.as_mut()?;
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Some(Poll::Ready(Ok(()))),
            Poll::Pending => None,
        }
    }

    fn received(&mut self, phase: Phase, bytes: usize) -> io::Result<()> {
        match phase {
            Phase::Idle | Phase::Header if bytes > 0 => {
                if phase == Phase::Idle {
                    self.header_bytes = 0;
                    self.deadline = None;
                    self.connection.enter(Phase::Header);
                }
                self.header_bytes += bytes;
            }
            Phase::Body => {
                let wait = self.waiting_since.take().map(|since| since.elapsed());
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.connection.count_body(bytes, wait.unwrap_or_default());
                if self.connection.body_is_too_slow() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(piece) = this.connection.played_back(buffer.remaining()) {
            buffer.put_slice(&piece);
            return Poll::Ready(Ok(()));
        }
        let phase = this.connection.phase();
        let over = match phase {
            Phase::Header => this.check_header(context),
            Phase::Idle => this.check_idle(context),
            Phase::Request | Phase::Body => None,
        };
        if let Some(over) = over {
            return over;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        if polled.is_pending() && phase == Phase::Body && this.waiting_since.is_none() {
            this.waiting_since = Some(Instant::now());
        }
        ready!(polled)?;
        Poll::Ready(this.received(phase, buffer.filled().len() - before))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

// === what pingora asks of a stream, passed through ===

#[async_trait]
impl Shutdown for GuardedStream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for GuardedStream {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buffer).await
    }
}

impl UniqueID for GuardedStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for GuardedStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for GuardedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for GuardedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for GuardedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl std::fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStream")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
