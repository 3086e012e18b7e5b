//! Status and headers of the last HTTPS call of the invocation that brought an answer.

use aegis_abi::{Code, MODULE, import};
use wasmtime::{Caller, Linker};

use crate::edge::guest::{Guest, HostError};
use crate::edge::host::frame::{Frame, Span, with_frame, with_guest};
use crate::edge::host::headers;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::HTTP_RESPONSE_STATUS,
        |mut caller: Caller<'_, Guest>| with_guest(&mut caller, |guest| status(guest)),
    )?;
    linker.func_wrap(
        MODULE,
        import::HTTP_RESPONSE_HEADER,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                header(frame, Span::new(pointer, length))
            })
        },
    )?;
    Ok(())
}

fn status(guest: &Guest) -> Result<i32, HostError> {
    let answered = guest.answered.as_ref().ok_or(NO_ANSWER)?;
    Ok(i32::from(answered.status.as_u16()))
}

fn header(frame: &mut Frame<'_>, name: Span) -> Result<i32, HostError> {
    let name = name.of(frame.memory)?;
    let answered = frame.guest.answered.as_ref().ok_or(NO_ANSWER)?;
    let value = headers::first(&answered.headers, name, NO_HEADER)?;
    frame.guest.share(value)
}

const NO_HEADER: HostError = HostError::new(Code::NotFound, "the answer has no such header");

const NO_ANSWER: HostError = HostError::new(
    Code::NotFound,
    "no https call of this invocation has brought an answer",
);
