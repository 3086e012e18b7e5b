//! One stream as the proxy sees it: the library's session, held to the deadlines of
//! `[server.limits]`, which the library's own has none of.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};

use super::wire::Wire;
use crate::listener::clock::Clock;
use crate::listener::connection::Connection;

/// What a client has `write_timeout` for: an answer is handed over in pieces of this size.
const PIECE: usize = 16 << 10;

type Messages = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

/// A stream with clocks.
pub(super) struct StreamSession {
    inner: HttpSession,
    connection: Arc<Connection>,
    wire: Arc<Wire>,
    reading: Clock,
    writing: Clock,
    ended: bool,
}

impl StreamSession {
    /// `connection` is the stream's own.
    pub(super) fn new(inner: HttpSession, connection: Arc<Connection>, wire: Arc<Wire>) -> Self {
        Self {
            inner,
            connection,
            wire,
            reading: Clock::default(),
            writing: Clock::default(),
            ended: false,
        }
    }

    /// The body's next piece, within `body_timeout` and not below `body_rate`, unless the client
    /// is being answered already. May be dropped and called again: the wait begins anew, since
    /// whoever drops it has heard from the backend, and may not have come back at once.
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let longest = self.connection.longest_wait();
        let mut waiting_since = None;
        self.reading.stop();
        let reading = timed(
            &mut self.reading,
            longest,
            self.inner.read_body_bytes(),
            || {
                waiting_since.get_or_insert_with(Instant::now);
            },
        );
        let piece = reading
            .await
            .unwrap_or_else(|| too_slow("a piece of the body"));
        let piece = piece.map_err(|error| error.into_down())?;
        let wait = waiting_since.map(|since: Instant| since.elapsed());
        if let Some(piece) = &piece {
            let bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.connection.count_body(bytes, wait.unwrap_or_default());
            if self.connection.body_is_too_slow() {
                return too_slow("the body");
            }
        }
        Ok(piece)
    }

    /// Hands an answer's body over, each piece within `write_timeout`.
    async fn write(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        let longest = self.connection.limits.write_timeout;
        loop {
            let piece = data.split_to(data.len().min(PIECE));
            let last = data.is_empty();
            let writing = self.inner.write_body(piece, end && last);
            let written = timed(&mut self.writing, longest, writing, || {}).await;
            let stalled =
                || Error::e_explain(ErrorType::WriteTimedout, "the client's window is closed");
            let written = written.unwrap_or_else(stalled);
            written.map_err(|error| error.into_down())?;
            if last {
                self.ended |= end;
                return Ok(());
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        // Without an answer there is nothing to end.
        self.ended |= self.inner.response_written().is_some();
        self.inner.finish().map_err(|error| error.into_down())
    }

    /// Whether it was the answer's end.
    async fn pass(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(header, end) => {
                self.write_response_header(header, end).await?;
                Ok(end)
            }
            HttpTask::Body(data, end) => {
                if let Some(data) = data.filter(|data| !data.is_empty()) {
                    self.write(data, end).await?;
                }
                Ok(end)
            }
            HttpTask::Trailer(Some(trailers)) => {
                self.write_trailers(*trailers).await?;
                Ok(true)
            }
            HttpTask::Trailer(None) | HttpTask::Done => Ok(true),
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "an upgrade on HTTP/2")
            }
            // It has a side of its own.
            HttpTask::Failed(error) => Err(error),
        }
    }
}

/// What `future` comes to, unless it takes longer than `longest`; `waits` is told of each wait.
async fn timed<T>(
    clock: &mut Clock,
    longest: Duration,
    future: impl Future<Output = T>,
    mut waits: impl FnMut(),
) -> Option<T> {
    let mut future = pin!(future);
    let ended = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waits();
            match clock.is_over(longest, context) {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        }
    });
    let output = ended.await;
    clock.stop();
    output
}

fn too_slow<T>(what: &'static str) -> Result<T> {
    let error: Result<T> = Error::e_explain(ErrorType::ReadTimedout, what);
    error.map_err(|error| error.into_down())
}

impl Drop for StreamSession {
    /// An answer that was begun and not ended is reset by the library, which does not happen
    /// before what was written of it is sent.
    fn drop(&mut self) {
        if self.ended {
            self.wire.answered();
        }
    }
}

#[async_trait]
impl Session for StreamSession {
    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        while !self.inner.is_body_done() && self.read().await?.is_some() {}
        Ok(())
    }

    async fn write_response_header(
        &mut self,
        header: Box<ResponseHeader>,
        end: bool,
    ) -> Result<()> {
        let interim = header.status.is_informational();
        let written = self.inner.write_response_header(header, end);
        written.map_err(|error| error.into_down())?;
        self.ended |= end && !interim;
        Ok(())
    }

    async fn write_response_header_ref(
        &mut self,
        header: &ResponseHeader,
        end: bool,
    ) -> Result<()> {
        self.write_response_header(Box::new(header.clone()), end)
            .await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.write(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        let written = self.inner.write_trailers(trailers);
        written.map_err(|error| error.into_down())?;
        self.ended = true;
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut end = false;
        for task in tasks {
            end |= self.pass(task).await?;
        }
        if end {
            self.end()?;
        }
        Ok(end)
    }

    // The limits' deadlines hold, whatever the library's defaults.

    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        Some(self.connection.longest_wait())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        Some(self.connection.limits.write_timeout)
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner.response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner.shutdown();
    }

    fn is_body_done(&mut self) -> bool {
        self.inner.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    fn is_body_empty(&mut self) -> bool {
        self.inner.is_body_empty()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        match no_body_expected || self.inner.is_body_done() {
            true => self.inner.read_body_or_idle(true).await,
            false => self.read().await,
        }
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner.pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.inner.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.inner.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.inner.get_retry_buffer()
    }

    // HTTP/2 as it is here has no messages besides.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Messages> {
        None
    }

    fn restore_custom_message_reader(&mut self, _: Messages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
