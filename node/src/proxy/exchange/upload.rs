//! The request's body on its way to the backend: the one that was buffered, or the client's
//! as it comes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tracing::debug;

use super::connection::Connection;
use super::sink::{Framing, Sink};
use crate::edge::Hold;
use crate::listener;
use crate::proxy::error::BODY_TOO_LARGE;
use crate::proxy::request::content_length;
use crate::proxy::{body, watch};

/// What came of a streamed body is kept up to this size, in case it must be sent again.
const KEPT: usize = 64 * 1024;

/// The body, and how much of it has gone.
pub(super) struct Upload {
    source: Source,
    sink: Option<Sink>,
    stage: Stage,
    /// For a buffered body.
    hold: Option<Hold>,
}

/// Where the body comes from.
enum Source {
    Buffered(Bytes),
    Client(Streamed),
}

/// A body that the client may still be sending.
struct Streamed {
    framing: Framing,
    received: u64,
    /// A client that waits for it was told to go on.
    invited: bool,
    limit: u64,
    /// All that came so far, while it is little.
    kept: Option<BytesMut>,
    /// The client has sent all of it.
    complete: bool,
    connection: Option<Arc<listener::Connection>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There may be more to read.
    Open,
    /// What is pending is the last of it.
    Last,
    Sent,
    /// The backend takes no more of it; its answer tells why.
    Refused,
}

impl Upload {
    /// Sends a body that is there already.
    pub(super) fn buffered(body: Bytes) -> Self {
        Self::new(Source::Buffered(body))
    }

    /// Sends what the client sends, at most `limit` bytes.
    pub(super) fn streamed(
        session: &mut Session,
        connection: Option<Arc<listener::Connection>>,
        limit: u64,
    ) -> Self {
        let empty = session.is_body_empty();
        let framing = match content_length(&session.req_header().headers) {
            Some(length) => Framing::Length(length),
            None if empty => Framing::Nothing,
            None => Framing::Chunked,
        };
        Self::new(Source::Client(Streamed {
            framing,
            received: 0,
            invited: false,
            limit,
            kept: Some(BytesMut::new()),
            complete: empty,
            connection,
        }))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            sink: None,
            stage: Stage::Open,
            hold: None,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        match &self.source {
            Source::Buffered(body) => Framing::Length(body.len() as u64),
            Source::Client(streamed) => streamed.framing,
        }
    }

    /// Whether all that was sent could be sent again.
    pub(super) fn can_start_again(&self) -> bool {
        match &self.source {
            Source::Buffered(_) => true,
            Source::Client(streamed) => streamed.kept.is_some(),
        }
    }

    /// Begins, perhaps once more, where the backend has the header already.
    pub(super) async fn start(&mut self, session: &mut Session, mut sink: Sink) -> Result<()> {
        self.stage = Stage::Open;
        let (begun, complete) = match &mut self.source {
            Source::Buffered(body) => (body.clone(), true),
            Source::Client(streamed) => {
                if !streamed.complete && streamed.received == 0 && !streamed.invited {
                    streamed.invited = true;
                    body::invite(session).await?;
                }
                let begun = streamed.kept.clone().unwrap_or_default();
                (begun.freeze(), streamed.complete)
            }
        };
        sink.push(begun);
        self.sink = Some(sink);
        if complete {
            self.end();
        }
        Ok(())
    }

    /// The backend has answered: nothing is sent a second time.
    pub(super) fn keep_nothing(&mut self) {
        match &mut self.source {
            // What of it is still to be sent is pending.
            Source::Buffered(body) => *body = Bytes::new(),
            Source::Client(streamed) => streamed.kept = None,
        }
    }

    /// Gives `hold` back once nothing more is written.
    pub(super) fn hold_until_over(&mut self, hold: Option<Hold>) {
        self.hold = hold.filter(|_| !self.is_over());
    }

    /// Lets go of the connection if the backend has all of the body; `false` if it has not.
    pub(super) fn let_go(&mut self) -> bool {
        let sent = self.stage == Stage::Sent;
        if sent {
            self.sink = None;
        }
        sent
    }

    /// Whether nothing more will be written.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Refused)
    }

    /// Has the backend's time run once there is nothing more to send.
    pub(super) fn pass_turn(&self, connection: &mut Connection) {
        if self.is_over() {
            connection.time_answer();
        }
    }

    /// Gets one piece further. Once it is over, ends only when the client leaves, if that can
    /// be told. May be cancelled, and called again.
    ///
    /// # Errors
    /// When the client is gone or breaks its limits; a backend that takes no more is none.
    pub(super) async fn step(&mut self, session: &mut Session) -> Result<()> {
        if self.is_over() {
            return Err(watch::client_left(session).await);
        }
        let Some(sink) = &mut self.sink else {
            return Error::err(ErrorType::InternalError);
        };
        if let Err(error) = sink.drain().await {
            debug!(%error, "the backend takes no more of a request");
            self.conclude(Stage::Refused);
            return Ok(());
        }
        match self.stage {
            Stage::Last => self.conclude(Stage::Sent),
            Stage::Open => {
                let piece = session.read_request_body().await;
                let piece = piece.map_err(|error| error.into_down())?;
                // Told with the last piece, so that all is known to be sent when it is.
                let is_last = piece.is_none() || session.is_body_done();
                self.take(piece)?;
                if is_last {
                    self.complete();
                }
            }
            Stage::Sent | Stage::Refused => {}
        }
        Ok(())
    }

    /// A piece of the client's.
    fn take(&mut self, piece: Option<Bytes>) -> Result<()> {
        if let (Source::Client(streamed), Some(piece)) = (&mut self.source, piece) {
            streamed.count(&piece)?;
            if let Some(sink) = &mut self.sink {
                sink.push(piece);
            }
        }
        Ok(())
    }

    /// The client has sent everything.
    fn complete(&mut self) {
        if let Source::Client(streamed) = &mut self.source {
            streamed.complete = true;
            if let Some(connection) = &streamed.connection {
                connection.body_read();
            }
        }
        self.end();
    }

    /// Nothing more is written, so nothing is left to hold.
    fn conclude(&mut self, stage: Stage) {
        self.stage = stage;
        self.hold = None;
        if stage == Stage::Refused {
            self.sink = None;
        }
    }

    fn end(&mut self) {
        let drained = self.sink.as_mut().is_none_or(|sink| {
            sink.end();
            sink.is_drained()
        });
        self.stage = match drained {
            true => Stage::Sent,
            false => Stage::Last,
        };
    }
}

impl Streamed {
    fn count(&mut self, piece: &Bytes) -> Result<()> {
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.received > self.limit {
            return Error::err(BODY_TOO_LARGE);
        }
        match &mut self.kept {
            Some(kept) if self.received <= KEPT as u64 => kept.extend_from_slice(piece),
            _ => self.kept = None,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed() -> Streamed {
        Streamed {
            framing: Framing::Chunked,
            received: 0,
            invited: false,
            limit: 100_000,
            kept: Some(BytesMut::new()),
            complete: false,
            connection: None,
        }
    }

    #[test]
    fn little_is_kept_to_be_sent_again_and_too_much_refused() {
        let mut body = streamed();
        let piece = Bytes::from(vec![0; KEPT / 2]);
        for kept in [true, true, false] {
            assert!(body.count(&piece).is_ok());
            assert_eq!(body.kept.is_some(), kept);
        }
        let error = body.count(&piece).expect_err("over the limit");
        assert_eq!(*error.etype(), BODY_TOO_LARGE);
    }
}
