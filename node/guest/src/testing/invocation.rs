//! One run of a function under test: the state the host calls work on, kept per thread so that
//! tests may run side by side.

use std::cell::RefCell;

use aegis_abi::{FAILURE, MAX_LOG_RECORD};

use super::response::Response;
use super::{Call, Failure, Host};

thread_local! {
    static CURRENT: RefCell<Option<Invocation>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) host: Host,
    pub(crate) response: Response,
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

/// A call that does something: 0, or a failure to ask about.
pub(crate) fn act(call: impl FnOnce(&mut Invocation) -> Result<(), Failure>) -> i32 {
    observe(FAILURE, |invocation| match call(invocation) {
        Ok(()) => 0,
        Err(failure) => invocation.fail(failure),
    })
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
    pub(super) fn new(host: Host) -> Self {
        Self {
            host,
            ..Self::default()
        }
    }

    pub(crate) fn log(&mut self, message: &[u8]) {
        let kept = &message[..message.len().min(MAX_LOG_RECORD)];
        self.logs.push(String::from_utf8_lossy(kept).into_owned());
    }

    pub(crate) fn fetch(
        &mut self,
        method: &'static str,
        url: &[u8],
        body: &[u8],
        content_type: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let call = Call {
            method,
            url: text(url),
            content_type: text(content_type),
            body: body.to_vec(),
        };
        let answer = self.host.remote.call(&call);
        self.calls.push(call);
        answer
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
