//! The host's side of one running guest: what wasmtime calls the store's data.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use aegis_abi::Code;
use bytes::Bytes;
use wasmtime::{Memory, ResourceLimiter};

use super::budget::{Charge, IdleHold};
use super::calls::{Answered, Calls};
use super::edits::{self, Edits, RequestEdits};
use super::meter::Meter;
use super::program::Program;
use super::record::Phase;
use super::request::Request;
use super::response::Response;

/// Everything a guest can reach through host calls. Dropped with its store.
pub(super) struct Guest {
    pub(super) program: Arc<Program>,
    /// With its own edits.
    pub(super) request: Arc<Request>,
    /// In the response phase.
    pub(super) response: Option<Arc<Response>>,
    pub(super) memory: Option<Memory>,
    pub(super) shared: Bytes,
    /// What the last successful cache or HTTPS call yielded: the body of an answer
    /// for which the chain set none.
    pub(super) yielded: Option<Bytes>,
    /// Its HTTPS calls; there are none before the first.
    pub(super) calls: Option<Calls>,
    /// The head of the last HTTPS answer it was given.
    pub(super) answered: Option<Answered>,
    pub(super) edits: Edits,
    pub(super) request_edits: RequestEdits,
    /// What the request takes that was copied to be edited.
    copied: usize,
    /// `request_terminate` was called; its status is in `edits`.
    pub(super) terminated: bool,
    pub(super) last_error: Option<HostError>,
    /// What the guest takes for the present.
    pub(super) now: SystemTime,
    pub(super) usage: Usage,
    pub(super) limiter: Limiter,
    pub(super) meter: Arc<Meter>,
}

/// What an invocation is about.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// With the edits of earlier functions.
    pub(super) request: Arc<Request>,
    /// In the response phase: the response, with the edits of earlier functions.
    pub(super) response: Option<Arc<Response>>,
}

impl Call {
    /// Of which phase it is.
    pub(super) fn phase(&self) -> Phase {
        match self.response {
            None => Phase::Request,
            Some(_) => Phase::Response,
        }
    }
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
    /// The host's side of a guest that has not run yet; `own` is for what it holds besides
    /// its memory.
    pub(super) fn new(program: &Arc<Program>, call: Call, own: Charge, meter: &Arc<Meter>) -> Self {
        Self {
            limiter: Limiter::new(program, own, Arc::clone(meter)),
            program: Arc::clone(program),
            request: call.request,
            response: call.response,
            memory: None,
            shared: Bytes::new(),
            yielded: None,
            calls: None,
            answered: None,
            edits: Edits::default(),
            request_edits: RequestEdits::default(),
            copied: 0,
            terminated: false,
            last_error: None,
            now: SystemTime::now(),
            usage: Usage::default(),
            meter: Arc::clone(meter),
        }
    }

    /// What it was invoked for.
    pub(super) fn call(&self) -> Call {
        Call {
            request: Arc::clone(&self.request),
            response: self.response.clone(),
        }
    }

    /// Which of its entries runs.
    pub(super) fn phase(&self) -> Phase {
        match self.response {
            None => Phase::Request,
            Some(_) => Phase::Response,
        }
    }

    /// What the host holds for the answer, which outlives the guest.
    pub(super) fn split_answer(&self) -> Charge {
        let yielded = self.yielded.as_ref().map_or(0, Bytes::len);
        self.limiter.own.split(self.edits_held() + yielded)
    }

    /// Takes over what stays in a sandbox from one request to the next.
    pub(super) fn inherit(&mut self, previous: &Self) {
        self.memory = previous.memory;
        self.limiter.inherit(&previous.limiter);
        self.meter.inherit(&previous.meter);
    }

    /// Drops what belongs to the last request, and what the host held for it.
    pub(super) fn forget_request(&mut self, none: Arc<Request>) {
        self.request = none;
        self.response = None;
        self.shared = Bytes::new();
        self.yielded = None;
        self.calls = None;
        self.answered = None;
        self.edits = Edits::default();
        self.request_edits = RequestEdits::default();
        self.copied = 0;
        self.last_error = None;
        self.limiter.own.correct(self.limiter.table);
    }

    /// Its part of what idle sandboxes may hold; `None` when there is no room.
    pub(super) fn hold_idle(&self) -> Option<IdleHold> {
        let bytes = self.meter.memory.held().saturating_add(self.limiter.table);
        self.limiter.own.hold_idle(bytes)
    }

    /// Makes room for the host's own buffers as they are about to be.
    fn make_room(
        &mut self,
        shared: &Bytes,
        yielded: Option<&Bytes>,
        edits: usize,
    ) -> Result<(), HostError> {
        // What was yielded is most often the shared buffer's own data.
        let yielded = yielded.filter(|data| data.as_ptr() != shared.as_ptr());
        let bytes = shared.len() + yielded.map_or(0, Bytes::len) + edits;
        if self.limiter.hold_buffers(bytes) {
            return Ok(());
        }
        self.limiter.starved = true;
        Err(NO_MEMORY)
    }

    /// Puts `data` into the shared buffer and returns its length for the guest.
    pub(super) fn share(&mut self, data: Bytes) -> Result<i32, HostError> {
        let yielded = self.yielded.take();
        let shared = self.share_beside(data, yielded.as_ref());
        self.yielded = yielded;
        shared
    }

    /// The same for what a cache or HTTPS call yielded.
    pub(super) fn share_yielded(&mut self, data: Bytes) -> Result<i32, HostError> {
        let length = self.share_beside(data.clone(), Some(&data))?;
        self.yielded = Some(data);
        Ok(length)
    }

    fn share_beside(&mut self, data: Bytes, yielded: Option<&Bytes>) -> Result<i32, HostError> {
        if data.len() > self.program.limits.shared_buffer {
            return Err(HostError::new(
                Code::TooLarge,
                "the data is larger than the shared buffer may be",
            ));
        }
        let length = i32::try_from(data.len())
            .map_err(|_| HostError::new(Code::TooLarge, "the data is larger than 2 GiB"))?;
        self.make_room(&data, yielded, self.edits_held())?;
        self.shared = data;
        Ok(length)
    }

    /// Bytes the host holds for edits of both kinds.
    pub(super) fn edits_held(&self) -> usize {
        let request = &self.request_edits;
        let body = request.body.as_ref().map_or(0, Bytes::len);
        let uri = request.uri.as_ref().map_or(0, |_| self.request.uri.len());
        // Each is in the list and in the edited request.
        let listed = 2 * (edits::header_size(&request.headers) + uri);
        self.edits.held() + listed + body + self.copied
    }

    /// Makes room for the edits to hold `edits` bytes.
    pub(super) fn make_room_for_edits(&mut self, edits: usize) -> Result<(), HostError> {
        let (shared, yielded) = (self.shared.clone(), self.yielded.clone());
        self.make_room(&shared, yielded.as_ref(), edits)
    }

    /// Sets the body of the answer.
    pub(super) fn set_body(
        &mut self,
        length: usize,
        copy: impl FnOnce() -> Bytes,
    ) -> Result<(), HostError> {
        let old = self.edits.body.as_ref().map_or(0, Bytes::len);
        self.make_room_for_edits(self.edits_held() - old + length)?;
        self.edits.body = Some(copy());
        Ok(())
    }

    /// Makes room for request edits to hold `more` bytes and `less` fewer, and for the copy
    /// of the request that the first of them makes.
    pub(super) fn make_room_to_edit_request(
        &mut self,
        more: usize,
        less: usize,
    ) -> Result<(), HostError> {
        let copied = match self.request_edits.is_empty() {
            true => self.request.copied_size(),
            false => self.copied,
        };
        let held = self.edits_held() - self.copied;
        self.make_room_for_edits(held + copied - less + more)?;
        self.copied = copied;
        Ok(())
    }

    /// The request, to be edited: a copy of its own from the first edit on.
    pub(super) fn request_mut(&mut self) -> &mut Request {
        Arc::make_mut(&mut self.request)
    }

    /// Room for `bytes` that a host call holds until it is over.
    pub(super) fn lend(&mut self, bytes: usize) -> Result<Charge, HostError> {
        let charge = self.limiter.own.beside(bytes);
        self.limiter.starved |= charge.is_none();
        charge.ok_or(NO_MEMORY)
    }
}

const NO_MEMORY: HostError =
    HostError::new(Code::LimitReached, "the memory of all invocations is spent");

/// Holds the guest to its memory and table, and the node to `[edge] memory`.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Of the table and the host's buffers.
    own: Charge,
    memory_limit: usize,
    table_limit: usize,
    table: usize,
    /// The guest was refused memory or table elements past its own limits.
    pub(super) refused: bool,
    /// The guest was refused what its own limits allow, because all invocations
    /// together hold too much.
    pub(super) starved: bool,
    /// The start section has run: growth is now the guest's own doing.
    pub(super) instantiated: bool,
    /// Holds the charge of the linear memory, which is corrected while the guest waits.
    meter: Arc<Meter>,
}

/// There is no memory left for the invocation.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the memory of all invocations is spent")]
pub(super) struct MemorySpent;

const TABLE_ELEMENT: usize = size_of::<usize>();

impl Limiter {
    fn new(program: &Program, own: Charge, meter: Arc<Meter>) -> Self {
        Self {
            own,
            memory_limit: program.limits.memory,
            table_limit: program.limits.table_elements,
            table: 0,
            refused: false,
            starved: false,
            instantiated: false,
            meter,
        }
    }

    fn inherit(&mut self, previous: &Self) {
        self.table = previous.table;
        self.own.correct(self.table);
        self.instantiated = previous.instantiated;
    }

    /// Whether the host may hold `bytes` in buffers for this guest.
    fn hold_buffers(&self, bytes: usize) -> bool {
        self.own.try_set(self.table.saturating_add(bytes))
    }

    /// `false` makes the guest's grow instruction return -1; at instantiation there
    /// is no guest yet to tell, so the invocation is refused.
    fn answer(&mut self, within_limit: bool, charged: bool) -> wasmtime::Result<bool> {
        match (within_limit, charged) {
            (true, true) => return Ok(true),
            (true, false) => self.starved = true,
            (false, _) => self.refused = true,
        }
        if self.starved && !self.instantiated {
            return Err(wasmtime::Error::new(MemorySpent));
        }
        Ok(false)
    }
}

impl Drop for Limiter {
    /// The memory goes with the sandbox, though the meter is read after it.
    fn drop(&mut self) {
        self.meter.memory.correct(0);
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
        let charged = within && self.meter.memory.try_grow(more);
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
