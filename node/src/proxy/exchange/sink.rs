//! Where a request's body goes: framed as its connection wants it, and no faster than the
//! backend takes it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::http1::Shared;

const END_OF_CHUNKS: Bytes = Bytes::from_static(b"0\r\n\r\n");
const END_OF_CHUNK: Bytes = Bytes::from_static(b"\r\n");

/// Takes a body piece by piece.
pub(super) struct Sink {
    wire: Wire,
    framing: Framing,
    /// To be written next.
    pending: VecDeque<Bytes>,
    /// The end was announced, and is still to be told.
    ends: bool,
    timeout: Option<Duration>,
    /// Since when the backend takes nothing.
    waiting: Option<Instant>,
}

enum Wire {
    Http1(Shared),
    Http2(SendStream<Bytes>),
}

/// How the backend learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    Length(u64),
    Chunked,
}

// === impl Framing ===

impl Framing {
    /// Whether nothing follows the header.
    pub(super) fn is_empty(self) -> bool {
        self == Self::Nothing || self == Self::Length(0)
    }

    /// As HTTP/1 writes it. An empty piece would end a chunked body.
    fn frame(self, piece: Bytes) -> impl Iterator<Item = Bytes> + use<> {
        let piece = Some(piece).filter(|piece| !piece.is_empty());
        let chunk = piece.as_ref().filter(|_| self == Self::Chunked);
        let size = chunk.map(|piece| Bytes::from(format!("{:x}\r\n", piece.len())));
        let end = chunk.map(|_| END_OF_CHUNK);
        [size, piece, end].into_iter().flatten()
    }
}

// === impl Sink ===

impl Sink {
    pub(super) fn http1(stream: Shared, framing: Framing, timeout: Option<Duration>) -> Self {
        Self::new(Wire::Http1(stream), framing, timeout)
    }

    pub(super) fn http2(
        stream: SendStream<Bytes>,
        framing: Framing,
        timeout: Option<Duration>,
    ) -> Self {
        Self::new(Wire::Http2(stream), framing, timeout)
    }

    fn new(wire: Wire, framing: Framing, timeout: Option<Duration>) -> Self {
        Self {
            wire,
            framing,
            pending: VecDeque::new(),
            ends: false,
            timeout,
            waiting: None,
        }
    }

    /// Written by the next [`Sink::drain`].
    pub(super) fn push(&mut self, piece: Bytes) {
        match self.wire {
            Wire::Http1(_) => self.pending.extend(self.framing.frame(piece)),
            Wire::Http2(_) if piece.is_empty() => {}
            Wire::Http2(_) => self.pending.push_back(piece),
        }
    }

    /// Nothing follows what was pushed.
    pub(super) fn end(&mut self) {
        match self.wire {
            Wire::Http1(_) if self.framing == Framing::Chunked => {
                self.pending.push_back(END_OF_CHUNKS);
            }
            Wire::Http1(_) => {}
            // Told with the header, if there is no body.
            Wire::Http2(_) => self.ends = !self.framing.is_empty(),
        }
    }

    /// Whether the backend was sent all there is.
    pub(super) fn is_drained(&self) -> bool {
        self.pending.is_empty() && !self.ends
    }

    /// Writes what is pending, and waits no longer than the timeout for each piece of it. May
    /// be cancelled, and called again.
    ///
    /// # Errors
    /// When the backend takes no more.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        while !self.is_drained() {
            let since = *self.waiting.get_or_insert_with(Instant::now);
            within(self.timeout, since, self.write_some()).await?;
            self.waiting = None;
        }
        if let Wire::Http1(stream) = &mut self.wire {
            let since = *self.waiting.get_or_insert_with(Instant::now);
            within(self.timeout, since, stream.flush()).await?;
            self.waiting = None;
        }
        Ok(())
    }

    async fn write_some(&mut self) -> io::Result<()> {
        let Some(piece) = self.pending.front_mut() else {
            return self.tell_end();
        };
        match &mut self.wire {
            Wire::Http1(stream) => {
                let written = stream.write_buf(piece).await?;
                if written == 0 && !piece.is_empty() {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
            Wire::Http2(stream) => {
                let room = capacity(stream, piece.len()).await?;
                let part = piece.split_to(room.min(piece.len()));
                stream.send_data(part, false).map_err(io::Error::other)?;
            }
        }
        if self.pending.front().is_some_and(Bytes::is_empty) {
            self.pending.pop_front();
        }
        Ok(())
    }

    fn tell_end(&mut self) -> io::Result<()> {
        self.ends = false;
        match &mut self.wire {
            Wire::Http1(_) => Ok(()),
            Wire::Http2(stream) => {
                let told = stream.send_data(Bytes::new(), true);
                told.map_err(io::Error::other)
            }
        }
    }
}

/// Waits until the backend's windows have room for some of `wanted` bytes.
async fn capacity(stream: &mut SendStream<Bytes>, wanted: usize) -> io::Result<usize> {
    stream.reserve_capacity(wanted);
    // Room that was given before is not told of again.
    let given = stream.capacity();
    if given > 0 {
        return Ok(given);
    }
    match poll_fn(|context| stream.poll_capacity(context)).await {
        Some(given) => given.map_err(io::Error::other),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

async fn within<T>(
    timeout: Option<Duration>,
    since: Instant,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match timeout {
        Some(timeout) => timeout_at(since + timeout, work)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        None => work.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(framing: Framing, piece: &'static [u8]) -> Vec<u8> {
        let pieces: Vec<Bytes> = framing.frame(Bytes::from_static(piece)).collect();
        pieces.concat()
    }

    #[test]
    fn chunks_are_framed_and_never_empty() {
        assert_eq!(framed(Framing::Chunked, &[b'x'; 17])[..4], *b"11\r\n");
        assert_eq!(framed(Framing::Chunked, b"abc"), b"3\r\nabc\r\n");
        assert_eq!(framed(Framing::Chunked, b""), b"");
        assert_eq!(framed(Framing::Length(3), b"abc"), b"abc");
    }
}
