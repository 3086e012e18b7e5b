//! The host's side of one running guest: what wasmtime calls the store's data.

use std::borrow::Cow;
use std::sync::Arc;

use aegis_abi::Code;
use bytes::Bytes;
use wasmtime::{Memory, ResourceLimiter};

use super::admission::Place;
use super::budget::Charge;
use super::edits::Edits;
use super::function::Function;
use super::meter::Meter;
use super::request::Request;

/// Everything a guest can reach through host calls. Dropped with its store, which
/// gives its place and its memory back.
pub(super) struct Guest {
    pub(super) function: Arc<Function>,
    pub(super) request: Arc<Request>,
    pub(super) memory: Option<Memory>,
    pub(super) shared: Bytes,
    /// What the last successful cache or HTTPS call yielded: the body of an answer
    /// for which the chain set none.
    pub(super) yielded: Option<Bytes>,
    pub(super) edits: Edits,
    /// `request_terminate` was called; its status is in `edits`.
    pub(super) terminated: bool,
    pub(super) last_error: Option<HostError>,
    pub(super) usage: Usage,
    pub(super) limiter: Limiter,
    pub(super) meter: Arc<Meter>,
    pub(super) _place: Place,
}

/// What is counted per invocation.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) cache_calls: u32,
    pub(super) subrequests: u32,
    pub(super) logged: usize,
    pub(super) log_dropped: u64,
}

/// Why a host call answered -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostError {
    pub(super) code: Code,
    pub(super) text: Cow<'static, str>,
}

impl HostError {
    pub(super) const fn new(code: Code, text: &'static str) -> Self {
        Self {
            code,
            text: Cow::Borrowed(text),
        }
    }
}

impl Guest {
    /// Bytes of the host's own buffers for this guest.
    fn buffers(&self) -> usize {
        self.shared.len() + self.edits.held() + self.yielded.as_ref().map_or(0, Bytes::len)
    }

    /// Accounts for the host's buffers after one of them changed.
    pub(super) fn settle(&mut self) {
        self.limiter.set_buffers(self.buffers());
    }

    /// Puts `data` into the shared buffer and returns its length for the guest.
    pub(super) fn share(&mut self, data: Bytes) -> Result<i32, HostError> {
        if data.len() > self.function.limits.shared_buffer {
            return Err(HostError::new(
                Code::TooLarge,
                "the data is larger than the shared buffer may be",
            ));
        }
        let length = i32::try_from(data.len())
            .map_err(|_| HostError::new(Code::TooLarge, "the data is larger than 2 GiB"))?;
        self.shared = data;
        self.settle();
        Ok(length)
    }
}

/// Holds the guest to its memory and table, and the node to `[edge] memory`.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Of the linear memory; corrected from outside while the guest waits.
    linear: Arc<Charge>,
    /// Of the table and the host's buffers.
    own: Charge,
    memory_limit: usize,
    table_limit: usize,
    table: usize,
    buffers: usize,
    /// The guest was refused memory or table elements.
    pub(super) refused: bool,
    /// The start section has run: growth is now the guest's own doing.
    pub(super) instantiated: bool,
    meter: Arc<Meter>,
}

/// There is no memory left for another invocation.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the memory of all invocations is spent")]
pub(super) struct MemorySpent;

const TABLE_ELEMENT: usize = size_of::<usize>();

impl Limiter {
    pub(super) fn new(
        function: &Function,
        charges: (Arc<Charge>, Charge),
        meter: Arc<Meter>,
    ) -> Self {
        let (linear, own) = charges;
        Self {
            linear,
            own,
            memory_limit: function.limits.memory,
            table_limit: function.limits.table_elements,
            table: 0,
            buffers: 0,
            refused: false,
            instantiated: false,
            meter,
        }
    }

    fn set_buffers(&mut self, bytes: usize) {
        self.buffers = bytes;
        self.own.correct(self.table + self.buffers);
    }

    /// `false` makes the guest's grow instruction return -1; at instantiation there
    /// is no guest yet to tell, so the invocation is refused.
    fn answer(&mut self, within_limit: bool, charged: bool) -> wasmtime::Result<bool> {
        if within_limit && charged {
            return Ok(true);
        }
        if within_limit && !self.instantiated {
            return Err(wasmtime::Error::new(MemorySpent));
        }
        self.refused = true;
        Ok(false)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let within = desired <= self.memory_limit;
        let charged = within && self.linear.try_grow(more);
        let granted = self.answer(within, charged)?;
        if granted {
            self.meter.record_memory(desired);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired
            .saturating_sub(current)
            .saturating_mul(TABLE_ELEMENT);
        let within = desired <= self.table_limit;
        let charged = within && self.own.try_grow(more);
        let granted = self.answer(within, charged)?;
        if granted {
            self.table += more;
        }
        Ok(granted)
    }
}
