//! What a guest reads of the upstream's response, in the response phase.

use std::sync::Arc;

use aegis_abi::{Code, MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame, with_guest};
use super::headers;
use super::request::names;
use crate::edge::guest::{Guest, HostError};
use crate::edge::response::{Response, ResponseBody};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::RESPONSE_GET_STATUS,
        |mut caller: Caller<'_, Guest>| {
            with_guest(&mut caller, |guest| {
                Ok(response(guest)?.status.as_u16().into())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::RESPONSE_GET_HEADER,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                header(frame, Span::new(pointer, length))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::RESPONSE_GET_HEADER_NAMES,
        |mut caller: Caller<'_, Guest>| {
            with_guest(&mut caller, |guest| {
                let names = names(&response(guest)?.headers)?;
                guest.share(names)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::RESPONSE_GET_BODY,
        |mut caller: Caller<'_, Guest>| {
            with_guest(&mut caller, |guest| {
                let body = body(guest)?;
                guest.share(body)
            })
        },
    )?;
    Ok(())
}

const NO_RESPONSE: HostError = HostError::new(
    Code::WrongPhase,
    "there is no response yet: it is there in response_entry",
);

fn response(guest: &Guest) -> Result<&Arc<Response>, HostError> {
    guest.response.as_ref().ok_or(NO_RESPONSE)
}

fn header(frame: &mut Frame<'_>, name: Span) -> Result<i32, HostError> {
    let headers = &response(frame.guest)?.headers;
    let value = headers::first(headers, name.of(frame.memory)?, NO_HEADER)?;
    frame.guest.share(value)
}

const NO_HEADER: HostError = HostError::new(Code::NotFound, "the response has no such header");

const NOT_ASKED_FOR: HostError = HostError::new(
    Code::NotAllowed,
    "the function's configuration does not ask for the response body",
);
const STREAMS: HostError = HostError::new(
    Code::WrongPhase,
    "the response streams to the client: it is partial, has no end, or is an upgrade",
);
const TOO_LARGE: HostError = HostError::new(
    Code::TooLarge,
    "the response body is larger than body_size, and streams to the client",
);

fn body(guest: &Guest) -> Result<Bytes, HostError> {
    let response = response(guest)?;
    if !guest.program.body.of_response() {
        return Err(NOT_ASKED_FOR);
    }
    match &response.body {
        // An earlier function may have replaced it by a larger one.
        ResponseBody::Buffered(body) if body.len() <= guest.program.limits.body_size => {
            Ok(body.clone())
        }
        ResponseBody::Buffered(_) | ResponseBody::TooLarge => Err(TOO_LARGE),
        ResponseBody::Streams => Err(STREAMS),
    }
}
