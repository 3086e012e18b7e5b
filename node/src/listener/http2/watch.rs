//! When a connection as a whole is over: too quiet, too slow, or too busy with nothing.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::streams::Streams;
use super::wire::Wire;
use crate::listener::clock::Clock;
use crate::listener::limits::Limits;

/// Why a connection is ended by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// No stream was open for `idle_timeout`.
    Idle,
    /// A header did not come within `header_timeout`, or what opens a connection.
    HeaderTimeout,
    /// Its client sends too much of what brings nobody anything.
    Excess,
}

/// Times one connection.
#[derive(Debug)]
pub(super) struct Watch {
    wire: Arc<Wire>,
    streams: Arc<Streams>,
    idle_timeout: Duration,
    header_timeout: Duration,
    idle: Clock,
    header: Clock,
    /// The header block that `header` times.
    block: Option<u64>,
}

impl Watch {
    pub(super) fn new(limits: &Limits, wire: Arc<Wire>, streams: Arc<Streams>) -> Self {
        Self {
            wire,
            streams,
            idle_timeout: limits.idle_timeout,
            header_timeout: limits.header_timeout,
            idle: Clock::default(),
            header: Clock::default(),
            block: None,
        }
    }

    /// From now on `time` is all that it may be quiet for.
    pub(super) fn close_within(&mut self, time: Duration) {
        self.idle_timeout = time;
        self.idle.stop();
    }

    /// It is not quiet.
    pub(super) fn stream_begins(&mut self) {
        self.idle.stop();
    }

    /// Why the connection is over. May be dropped and called again.
    pub(super) async fn end(&mut self) -> End {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if self.wire.is_excessive() {
            return Poll::Ready(End::Excess);
        }
        let block = self.wire.block();
        if block != self.block {
            self.block = block;
            self.header.stop();
        }
        if block.is_some() && self.header.is_over(self.header_timeout, context) {
            return Poll::Ready(End::HeaderTimeout);
        }
        if self.streams.are_open(context.waker()) {
            self.idle.stop();
            return Poll::Pending;
        }
        match self.idle.is_over(self.idle_timeout, context) {
            true => Poll::Ready(End::Idle),
            false => Poll::Pending,
        }
    }
}
