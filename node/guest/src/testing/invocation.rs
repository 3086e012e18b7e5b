//! One run of a function under test: the state the host calls work on, kept per thread so that
//! tests may run side by side.

use std::cell::RefCell;

use aegis_abi::{Code, FAILURE, MAX_LOG_RECORD};

use super::remote::Flight;
use super::request::Request;
use super::request_edits::RequestEdits;
use super::response::Response;
use super::{Call, Failure, Host, Reply};
use crate::sys::Outgoing;

/// How many HTTPS calls a function may make, by a node's default.
const MAX_CALLS: usize = 32;

thread_local! {
    static CURRENT: RefCell<Option<Invocation>> = const { RefCell::new(None) };
}

/// Which entry of the function runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Request,
    Response,
}

#[derive(Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) host: Host,
    pub(crate) response: Response,
    /// With the function's edits.
    pub(crate) request: Request,
    pub(super) edits: RequestEdits,
    phase: Phase,
    /// By handle; `None` once waited for.
    flights: Vec<Option<Flight>>,
    /// What `http_response_*` refer to.
    last: Option<Reply>,
    pub(super) logs: Vec<String>,
    pub(super) calls: Vec<Call>,
    shared: Vec<u8>,
    failure: Option<Failure>,
    random: u64,
}

/// Makes this invocation the one the host calls of this thread work on; returns the one before.
pub(super) fn enter(invocation: Invocation) -> Option<Invocation> {
    CURRENT.replace(Some(invocation))
}

/// Ends the invocation and goes back to the one before.
pub(super) fn leave(outer: Option<Invocation>) -> Invocation {
    CURRENT.replace(outer).unwrap_or_default()
}

/// A call that cannot fail; outside an invocation it has the given result.
pub(crate) fn observe<T>(outside: T, call: impl FnOnce(&mut Invocation) -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some(invocation) => call(invocation),
        None => outside,
    })
}

/// A call that returns a number, or `failed` with a failure to ask about.
pub(crate) fn number<T: Copy>(
    failed: T,
    call: impl FnOnce(&mut Invocation) -> Result<T, Failure>,
) -> T {
    observe(failed, |invocation| match call(invocation) {
        Ok(number) => number,
        Err(failure) => {
            invocation.fail(failure);
            failed
        }
    })
}

/// A call that does something: 0, or a failure to ask about.
pub(crate) fn act(call: impl FnOnce(&mut Invocation) -> Result<(), Failure>) -> i32 {
    number(FAILURE, |invocation| call(invocation).map(|()| 0))
}

/// A call that leaves data in the shared buffer: its length, or a failure to ask about.
pub(crate) fn yielding(call: impl FnOnce(&mut Invocation) -> Result<Vec<u8>, Failure>) -> i32 {
    observe(FAILURE, |invocation| match call(invocation) {
        Ok(bytes) => {
            invocation.shared = bytes;
            i32::try_from(invocation.shared.len()).unwrap_or(i32::MAX)
        }
        Err(failure) => invocation.fail(failure),
    })
}

impl Invocation {
    pub(super) fn new(host: Host, phase: Phase) -> Self {
        Self {
            request: host.request.clone(),
            host,
            phase,
            ..Self::default()
        }
    }

    /// Changes the request, which only the request phase may.
    pub(crate) fn edit(
        &mut self,
        edit: impl FnOnce(&mut RequestEdits) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.require(Phase::Request)?;
        edit(&mut self.edits)?;
        self.request = self.edits.apply(&self.host.request);
        Ok(())
    }

    pub(crate) fn terminate(&mut self, status: i32) -> Result<(), Failure> {
        self.require(Phase::Request)?;
        self.response.terminate(status)
    }

    /// The upstream's answer, which only the response phase sees.
    pub(crate) fn received(&self) -> Result<&Reply, Failure> {
        self.require(Phase::Response)?;
        Ok(&self.host.received)
    }

    fn require(&self, phase: Phase) -> Result<(), Failure> {
        if self.phase == phase {
            Ok(())
        } else {
            Err(Failure(
                Code::WrongPhase,
                "the call belongs to the other phase",
            ))
        }
    }

    pub(crate) fn log(&mut self, message: &[u8]) {
        let kept = &message[..message.len().min(MAX_LOG_RECORD)];
        self.logs.push(String::from_utf8_lossy(kept).into_owned());
    }

    /// Begins a call: its handle.
    pub(crate) fn start(&mut self, outgoing: Outgoing<'_>) -> Result<i32, Failure> {
        let call = Call::parse(outgoing)?;
        if self.calls.len() >= MAX_CALLS {
            return Err(Failure(Code::LimitReached, "too many calls"));
        }
        self.flights
            .push(Some(self.host.remote.call(&call, self.host.now)));
        self.calls.push(call);
        Ok(i32::try_from(self.flights.len() - 1).unwrap_or(i32::MAX))
    }

    /// Waits for a call: the body of its answer.
    pub(crate) fn wait(&mut self, handle: i32) -> Result<Vec<u8>, Failure> {
        let flight = usize::try_from(handle)
            .ok()
            .and_then(|handle| self.flights.get_mut(handle))
            .and_then(Option::take)
            .ok_or(NO_CALL)?;
        self.host.now = self.host.now.max(flight.done);
        let reply = flight.answer?;
        let body = reply.fetched_body()?;
        self.last = Some(reply);
        Ok(body)
    }

    /// Waits until one of the calls is finished: its place in the list.
    pub(crate) fn wait_any(&mut self, handles: &[i32]) -> Result<i32, Failure> {
        let mut first = None;
        for (index, handle) in handles.iter().enumerate() {
            let done = usize::try_from(*handle)
                .ok()
                .and_then(|handle| self.flights.get(handle)?.as_ref())
                .ok_or(NO_CALL)?
                .done;
            if first.is_none_or(|(earliest, _)| done < earliest) {
                first = Some((done, index));
            }
        }
        let (done, index) = first.ok_or(NO_CALL)?;
        self.host.now = self.host.now.max(done);
        Ok(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// The answer to the last call.
    pub(crate) fn last_reply(&self) -> Result<&Reply, Failure> {
        let none = Failure(Code::NotFound, "no call has been answered");
        self.last.as_ref().ok_or(none)
    }

    pub(crate) fn shared_buffer(&self, length: usize) -> Option<Vec<u8>> {
        self.shared.get(..length).map(<[u8]>::to_vec)
    }

    pub(crate) fn last_error(&self) -> Vec<u8> {
        self.failure
            .map_or(Vec::new(), |failure| failure.1.as_bytes().to_vec())
    }

    pub(crate) fn last_error_code(&self) -> i32 {
        self.failure.map_or(0, |failure| failure.0.into())
    }

    /// Steps of SplitMix64 from 0: well mixed, and the same in every run.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = (mixed ^ (mixed >> 31)).to_le_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
    }

    fn fail(&mut self, failure: Failure) -> i32 {
        self.failure = Some(failure);
        FAILURE
    }
}

const NO_CALL: Failure = Failure(Code::BadArgument, "no such call to wait for");

#[cfg(test)]
mod tests {
    use super::{Failure, Host, act, observe, yielding};
    use crate::{Code, Error};

    #[test]
    fn a_failing_call_leaves_the_shared_buffer_as_it_was() {
        Host::new()
            .run(|| {
                assert_eq!(yielding(|_| Ok(b"data".to_vec())), 4);
                assert_eq!(act(|_| Err(Failure(Code::TooLarge, "no"))), -1);
                let shared = |length| observe(None, |invocation| invocation.shared_buffer(length));
                assert_eq!(shared(4), Some(b"data".to_vec()));
                assert_eq!(shared(5), None);
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn an_inner_run_leaves_the_outer_one_alone() {
        let outcome = Host::new().uri("/outer").run(|| {
            Host::new().uri("/inner").run(|| {
                crate::log!("inner");
                Ok::<(), Error>(())
            });
            crate::log!("{}", crate::request::uri()?);
            Ok::<(), Error>(())
        });
        assert_eq!(outcome.logs(), ["/outer"]);
    }
}
