//! A connection whose client is held to the deadlines of `[server.limits]`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
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
use super::http2::{Frames, PREFACE};

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
    /// Read already, to find out what it is, and to be read again.
    ahead: Bytes,
    /// The stream below may still have some of what was written.
    unflushed: bool,
    language: Language,
}

/// What is spoken on a connection.
#[derive(Debug)]
enum Language {
    /// One of the two: the client has not said enough to tell.
    Unknown,
    Http1,
    /// Its frames are followed.
    Http2(Box<Frames>),
}

/// What the requests of a connection come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl GuardedStream {
    pub(super) fn new(inner: Stream, connection: Arc<Connection>, refusals: Refusals) -> Self {
        let framing = Framing::new(connection.limits.header_size);
        Self {
            inner,
            connection,
            refusals,
            framing,
            reading: Clock::default(),
            writing: Clock::default(),
            header_bytes: 0,
            waiting_since: None,
            ahead: Bytes::new(),
            language: Language::Http1,
            unflushed: false,
        }
    }

    /// What the client begins with, within `idle_timeout` for its first byte and
    /// `header_timeout` for the others; it is read again. `None` when it does not get that far.
    pub(super) async fn first_word(&mut self) -> Option<Version> {
        self.language = Language::Unknown;
        let mut seen = Vec::with_capacity(PREFACE.len());
        while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
            let mut piece = [0; PREFACE.len()];
            let mut buffer = ReadBuf::new(&mut piece);
            let read = poll_fn(|context| Pin::new(&mut *self).poll_read(context, &mut buffer));
            read.await.ok()?;
            if buffer.filled().is_empty() {
                return None;
            }
            seen.extend_from_slice(buffer.filled());
        }
        let version = match seen.starts_with(PREFACE) {
            true => Version::Http2,
            false => Version::Http1,
        };
        self.ahead = seen.into();
        self.language = Language::Http1;
        Some(version)
    }

    /// From here on it is HTTP/2.
    pub(super) fn follow(&mut self, frames: Frames) {
        self.language = Language::Http2(Box::new(frames));
    }

    /// Answers what the proxy has not parsed yet, then ends the connection. The answer
    /// is lost if the client does not even take that. Whose language is not known is told nothing.
    fn refuse(&mut self, refusal: Refusal, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Language::Http1 = self.language {
            let answer = (self.refusals)(refusal);
            drop(Pin::new(&mut self.inner).poll_write(context, &answer));
            drop(Pin::new(&mut self.inner).poll_flush(context));
            // Over TLS, the end must be told from a connection that was cut.
            drop(Pin::new(&mut self.inner).poll_shutdown(context));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Who waits for the client has nothing more to write for now. The library leaves small pieces
    /// of an answer whose length is known to a buffer below, however long the next one takes.
    fn send_rest(&mut self, context: &mut Context<'_>) {
        if self.unflushed {
            let flushed = Pin::new(&mut self.inner).poll_flush(context);
            self.unflushed = flushed.is_pending();
        }
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
            Phase::Request | Phase::Body | Phase::Conversing => Poll::Pending,
        }
    }

    /// What comes first of: bytes read ahead, and those of the client.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(fault) = self.framing.fault() {
            return match self.connection.is_tunnel() {
                true => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                false => self.hold_back(fault, context),
            };
        }
        let before = buffer.filled().len();
        if !self.ahead.is_empty() {
            let room = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(room));
            let good = self.good(buffer, before);
            return match good {
                // They were counted when they came.
                Ok(_) => Poll::Ready(Ok(())),
                Err(fault) => self.hold_back(fault, context),
            };
        }
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => match self.good(buffer, before) {
                Ok(bytes) => Poll::Ready(self.received(self.connection.phase(), bytes)),
                Err(fault) => self.hold_back(fault, context),
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(self.connection.phase(), context),
        }
    }

    /// Takes from `buffer` what came and is not good, and tells how much is.
    ///
    /// # Errors
    /// When nothing is: that would pass for the end of the stream.
    fn good(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> Result<usize, Fault> {
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let came = bytes.len();
        let follows = matches!(self.language, Language::Http1) && !self.connection.is_tunnel();
        let broken = match follows {
            true => self.framing.follow(bytes).err(),
            false => None,
        };
        let good = broken.map_or(came, |broken| broken.good);
        buffer.set_filled(before + good);
        match broken {
            Some(broken) if good == 0 => Err(broken.fault),
            _ => Ok(good),
        }
    }

    /// There is nothing to read: how long may that go on?
    fn wait(&mut self, phase: Phase, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send_rest(context);
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
            Phase::Conversing => {
                // What is owed after it is judged by what is waited for then.
                self.waiting_since = None;
                Poll::Pending
            }
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
            Phase::Conversing => self.waiting_since = None,
            Phase::Idle | Phase::Request => {}
        }
        Ok(())
    }

    fn sent(&mut self, polled: &Poll<io::Result<usize>>) {
        if let (Language::Http2(frames), Poll::Ready(Ok(bytes))) = (&mut self.language, polled) {
            frames.sent(*bytes);
        }
    }

    /// A client that takes nothing for too long is given up.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.unflushed = true;
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
        if let Language::Http2(frames) = &this.language
            && frames.are_excessive()
        {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = this.read(context, buffer);
        if let Language::Http2(frames) = &mut this.language {
            frames.received(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.sent(&polled);
        self.written(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        let flushed = polled.is_ready();
        let written = self.written(polled, context);
        self.unflushed = !flushed;
        written
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
        self.sent(&polled);
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
