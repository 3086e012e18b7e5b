//! Calls that a guest starts, and waits for later: several at once.

use aegis_abi::{Code, MODULE, import};
use wasmtime::{Caller, Linker};

use super::arguments::Eight;
use super::{NO_SUCH_CALL, any, start, wait};
use crate::edge::calls::Handle;
use crate::edge::guest::{Guest, HostError};
use crate::edge::host::frame::{Frame, Span, answer, frame};
use crate::edge::host::toll;

/// Bytes of a handle in an array of them.
const HANDLE_SIZE: usize = size_of::<u32>();

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import::HTTP_REQUEST_START,
        |mut caller: Caller<'_, Guest>, wanted: Eight| {
            // Nothing waits here; the library takes so many arguments in this form only.
            Box::new(async move {
                toll::pay(&mut caller)?;
                let handle = start(&mut caller, wanted.into())
                    .and_then(|handle| i32::try_from(handle).map_err(|_| TOO_MANY));
                Ok(answer(caller.data_mut(), handle))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        import::HTTP_REQUEST_WAIT,
        |mut caller: Caller<'_, Guest>, (handle,): (i32,)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let result = match find(caller.data(), handle.cast_unsigned()) {
                    Ok(handle) => wait(&mut caller, handle).await,
                    Err(error) => Err(error),
                };
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        import::HTTP_REQUEST_WAIT_ANY,
        |mut caller: Caller<'_, Guest>, (handles, count): (i32, i32)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let result = wait_any(&mut caller, handles, count).await;
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    Ok(())
}

async fn wait_any(
    caller: &mut Caller<'_, Guest>,
    handles: i32,
    count: i32,
) -> Result<i32, HostError> {
    let handles = read(caller, handles, count)?;
    let index = any(caller, &handles).await?;
    i32::try_from(index).map_err(|_| TOO_MANY)
}

/// All handles of the array, or the first thing that is wrong with it.
fn read(
    caller: &mut Caller<'_, Guest>,
    pointer: i32,
    count: i32,
) -> Result<Vec<Handle>, HostError> {
    let Frame { memory, guest } = frame(caller);
    let bytes = Span::array(pointer, count, HANDLE_SIZE)?.of(memory)?;
    if bytes.is_empty() {
        return Err(HostError::new(Code::BadArgument, "there are no handles"));
    }
    let started = guest.calls.as_ref().map_or(0, |calls| calls.count());
    if bytes.len() / HANDLE_SIZE > started {
        return Err(TOO_MANY);
    }
    let (handles, _) = bytes.as_chunks::<HANDLE_SIZE>();
    handles
        .iter()
        .map(|bytes| find(guest, u32::from_le_bytes(*bytes)))
        .collect()
}

const TOO_MANY: HostError = HostError::new(
    Code::BadArgument,
    "there are more handles than calls were started",
);

fn find(guest: &Guest, handle: u32) -> Result<Handle, HostError> {
    let calls = guest.calls.as_ref();
    calls
        .and_then(|calls| calls.find(handle))
        .ok_or(NO_SUCH_CALL)
}
