//! A connection whose client is held to the deadlines of `[server.limits]`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::clock::Clock;
use super::connection::{Connection, Phase};
use super::framing::{Fault, Framing};
use super::guard::{Refusal, Refusals};

/// The stream that the proxy reads and writes.
pub(super) struct GuardedStream {
    inner: Stream,
    connection: Arc<Connection>,
    refusals: Refusals,
    framing: Framing,
    /// Of the first byte of a request, or of the header under way.
    reading: Clock,
    /// Of the client taking the next piece of an answer.
    writing: Clock,
    header_bytes: usize,
    waiting_since: Option<Instant>,
}

impl GuardedStream {
    pub(super) fn new(inner: Stream, connection: Arc<Connection>, refusals: Refusals) -> Self {
        let mut framing = Framing::new(connection.limits.header_size);
        if inner.selected_alpn_proto() == Some(ALPN::H2) {
            framing.give_up();
        }
        Self {
            inner,
            connection,
            refusals,
            framing,
            reading: Clock::default(),
            writing: Clock::default(),
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

    /// Keeps what the client has sent past a fault from the parser. A faulty request is
    /// refused in its turn: the one before it may still be under way.
    fn hold_back(&mut self, fault: Fault, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let refusal = match fault {
            Fault::Body => {
                self.connection.note_malformed_body();
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            Fault::Header => Refusal::Malformed,
            Fault::HeaderTooLarge => Refusal::HeaderTooLarge,
            Fault::TargetTooLong => Refusal::TargetTooLong,
        };
        match self.connection.phase() {
            Phase::Idle | Phase::Header => self.refuse(refusal, context),
            Phase::Request | Phase::Body => Poll::Pending,
        }
    }

    /// Takes what came to be read, as far as it is good.
    fn take(
        &mut self,
        (buffer, before): (&mut ReadBuf<'_>, usize),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.connection.phase();
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let came = bytes.len();
        let broken = match self.connection.is_tunnel() {
            true => None,
            false => self.framing.follow(bytes).err(),
        };
        let good = broken.map_or(came, |broken| broken.good);
        buffer.set_filled(before + good);
        match broken {
            // Nothing at all would be the end of the stream.
            Some(broken) if good == 0 => self.hold_back(broken.fault, context),
            _ => Poll::Ready(self.received(phase, good)),
        }
    }

    /// There is nothing to read: how long may that go on?
    fn wait(&mut self, phase: Phase, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match phase {
            Phase::Idle => {
                if self.header_bytes > 0 {
                    // The clock may still stand at the last request's header.
                    self.header_bytes = 0;
                    self.reading.stop();
                }
                let idle = self.connection.limits.idle_timeout;
                match self.reading.is_over(idle, context) {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                }
            }
            Phase::Header => {
                let timeout = self.connection.limits.header_timeout;
                match self.reading.is_over(timeout, context) {
                    true => self.refuse(Refusal::HeaderTimeout, context),
                    false => Poll::Pending,
                }
            }
            Phase::Body => {
                self.waiting_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
            Phase::Request => Poll::Pending,
        }
    }

    fn received(&mut self, phase: Phase, bytes: usize) -> io::Result<()> {
        match phase {
            Phase::Idle if bytes > 0 => {
                self.header_bytes = bytes;
                self.reading.stop();
                self.connection.enter(Phase::Header);
            }
            Phase::Header => self.header_bytes += bytes,
            Phase::Body => {
                let wait = self.waiting_since.take().map(|since| since.elapsed());
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.connection.count_body(bytes, wait.unwrap_or_default());
                if self.connection.body_is_too_slow() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Phase::Idle | Phase::Request => {}
        }
        Ok(())
    }

    /// A client that takes nothing for too long is given up.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing.stop();
            return polled;
        }
        let timeout = self.connection.limits.write_timeout;
        match self.writing.is_over(timeout, context) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let phase = this.connection.phase();
        if let Some(fault) = this.framing.fault() {
            return this.hold_back(fault, context);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => this.take((buffer, before), context),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.wait(phase, context),
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.written(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

// === what pingora asks of a stream, passed through ===

#[async_trait]
impl Shutdown for GuardedStream {
    async fn shutdown(&mut self) {
        // Through the clock: what is still buffered may find no taker.
        AsyncWriteExt::shutdown(self).await.ok();
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
