//! HTTPS calls of guests, through the node's egress client.
//!
//! Every call is one of [`Calls`]: it runs on the host's own threads, and the guest waits
//! for it at once, or later.

mod answered;
mod arguments;
mod concurrent;
mod headers;

use std::sync::Arc;

use aegis_abi::{Code, MODULE, import};
use http::Method;
use wasmtime::{Caller, Linker};

use self::arguments::{Content, MethodFrom, Wanted, prepare};
use super::frame::{Span, answer};
use super::toll;
use crate::edge::budget::Charge;
use crate::edge::calls::{Answered, Calls, Finished, Handle};
use crate::edge::guest::{Guest, HostError};
use crate::egress::{EgressError, Room, UrlError};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    without_body(linker, import::HTTP_GET, Method::GET)?;
    without_body(linker, import::HTTP_DELETE, Method::DELETE)?;
    with_body(linker, import::HTTP_POST, Method::POST)?;
    with_body(linker, import::HTTP_PUT, Method::PUT)?;
    any_request(linker)?;
    concurrent::link(linker)?;
    answered::link(linker)
}

fn without_body(linker: &mut Linker<Guest>, import: &str, method: Method) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>, (url, url_length): (i32, i32)| {
            let wanted = Wanted {
                method: MethodFrom::Import(method.clone()),
                url: Span::new(url, url_length),
                content: Content::Empty,
            };
            Box::new(async move { call(&mut caller, wanted).await })
        },
    )?;
    Ok(())
}

type UrlBodyType = (i32, i32, i32, i32, i32, i32);

fn with_body(linker: &mut Linker<Guest>, import: &str, method: Method) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>,
              (url, url_len, body, body_len, kind, kind_len): UrlBodyType| {
            let wanted = Wanted {
                method: MethodFrom::Import(method.clone()),
                url: Span::new(url, url_len),
                content: Content::Typed {
                    body: Span::new(body, body_len),
                    kind: Span::new(kind, kind_len),
                },
            };
            Box::new(async move { call(&mut caller, wanted).await })
        },
    )?;
    Ok(())
}

fn any_request(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import::HTTP_REQUEST,
        |mut caller: Caller<'_, Guest>, wanted: arguments::Eight| {
            Box::new(async move { call(&mut caller, wanted.into()).await })
        },
    )?;
    Ok(())
}

/// A call that the guest waits for at once.
async fn call(caller: &mut Caller<'_, Guest>, wanted: Wanted) -> wasmtime::Result<i32> {
    toll::pay(caller)?;
    let result = match start(caller, wanted) {
        Ok(handle) => wait(caller, handle).await,
        Err(error) => Err(error),
    };
    Ok(answer(caller.data_mut(), result))
}

/// Counts the call, copies what it needs out of the guest, and lets it go.
fn start(caller: &mut Caller<'_, Guest>, wanted: Wanted) -> Result<Handle, HostError> {
    let call = prepare(caller, wanted)?;
    let guest = caller.data_mut();
    let program = Arc::clone(&guest.program);
    let held = Arc::new(guest.lend(arguments::held_by(&call))?);
    let room = Arc::clone(&held);
    let calls = guest
        .calls
        .get_or_insert_with(|| Calls::new(program.limits.parallel_subrequests));
    Ok(calls.start(held, async move { program.egress.call(call, &*room).await }))
}

/// Waits until one of these is over; the index of the first that is.
async fn any(caller: &mut Caller<'_, Guest>, handles: &[Handle]) -> Result<usize, HostError> {
    // Out of the guest while it waits, and dropped with it.
    let calls = caller.data_mut().calls.take();
    let Some(mut calls) = calls else {
        return Err(NO_SUCH_CALL);
    };
    let index = toll::outside(caller, async { Ok(calls.any(handles).await) }).await;
    caller.data_mut().calls = Some(calls);
    index?.ok_or(NO_SUCH_CALL)
}

/// Waits for a call and gives the guest what came of it.
async fn wait(caller: &mut Caller<'_, Guest>, handle: Handle) -> Result<i32, HostError> {
    any(caller, &[handle]).await?;
    let guest = caller.data_mut();
    let finished = guest.calls.as_mut().and_then(|calls| calls.take(handle));
    deliver(guest, finished.ok_or(NO_SUCH_CALL)?)
}

const NO_SUCH_CALL: HostError = HostError::new(
    Code::BadArgument,
    "no call has this handle, or it was waited for already",
);

/// Puts the body into the shared buffer and keeps the header. A failure leaves both as
/// they were.
fn deliver(guest: &mut Guest, finished: Finished) -> Result<i32, HostError> {
    let Finished { result, held } = finished;
    let cut_short = HostError::new(Code::Unavailable, "the call was cut short");
    let result = result.ok_or(cut_short)?;
    guest.limiter.starved |= matches!(result, Err(EgressError::NoRoom));
    let reply = result?;
    // From here on the body is the shared buffer's.
    held.correct(reply.header_size());
    let length = guest.share_yielded(reply.body)?;
    guest.answered = Some(Answered {
        status: reply.status,
        headers: reply.headers,
        _held: held,
    });
    Ok(length)
}

impl Room for Charge {
    fn take(&self, bytes: usize) -> bool {
        self.try_grow(bytes)
    }
}

impl From<EgressError> for HostError {
    fn from(error: EgressError) -> Self {
        let code = match &error {
            EgressError::BadUrl(UrlError::TooLong) => Code::TooLarge,
            EgressError::BadUrl(_) => Code::BadArgument,
            EgressError::NotAllowed(_)
            | EgressError::AddressRefused(_)
            | EgressError::OwnAddress(_) => Code::NotAllowed,
            EgressError::Timeout => Code::TimedOut,
            EgressError::TooLarge(_) => Code::TooLarge,
            EgressError::TooManyRedirects | EgressError::NoRoom | EgressError::Busy(_) => {
                Code::LimitReached
            }
            EgressError::Resolve(_)
            | EgressError::Connect(_)
            | EgressError::Tls(_)
            | EgressError::Transport(_) => Code::Unavailable,
        };
        Self {
            code,
            text: error.to_string().into(),
        }
    }
}
