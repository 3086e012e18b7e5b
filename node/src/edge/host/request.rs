//! What a guest reads of its request, and how it ends it.

use aegis_abi::{Code, MODULE, import};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame, with_guest};
use super::headers;
use super::response::status;
use crate::edge::guest::{Guest, HostError};
use crate::edge::record::Phase;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    getter(linker, import::REQUEST_GET_METHOD, method)?;
    getter(linker, import::REQUEST_GET_URI, uri)?;
    getter(linker, import::REQUEST_GET_HEADER_NAMES, header_names)?;
    getter(linker, import::REQUEST_GET_BODY, body)?;
    getter(linker, import::REQUEST_GET_CLIENT_ADDRESS, client_address)?;
    linker.func_wrap(
        MODULE,
        import::REQUEST_GET_HEADER,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                header(frame, Span::new(pointer, length))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::REQUEST_TERMINATE,
        |mut caller: Caller<'_, Guest>, value: i32| {
            with_guest(&mut caller, |guest| terminate(guest, value))
        },
    )?;
    Ok(())
}

/// A call without arguments that yields data.
fn getter(
    linker: &mut Linker<Guest>,
    name: &str,
    data: fn(&Guest) -> Result<Bytes, HostError>,
) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, name, move |mut caller: Caller<'_, Guest>| {
        with_guest(&mut caller, |guest| {
            let data = data(guest)?;
            guest.share(data)
        })
    })?;
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all getters")]
fn method(guest: &Guest) -> Result<Bytes, HostError> {
    let method = guest.request.method.as_str();
    Ok(Bytes::copy_from_slice(method.as_bytes()))
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all getters")]
fn uri(guest: &Guest) -> Result<Bytes, HostError> {
    Ok(Bytes::copy_from_slice(guest.request.uri.as_bytes()))
}

const NOT_ASKED_FOR: HostError = HostError::new(
    Code::NotAllowed,
    "the function's configuration does not ask for the request body",
);

fn body(guest: &Guest) -> Result<Bytes, HostError> {
    let body = &guest.request.body;
    // What it has written itself it may read.
    let own = guest.request_edits.body.is_some();
    if !own && !guest.program.body.of_request() {
        return Err(NOT_ASKED_FOR);
    }
    // An earlier function may have replaced it by a larger one.
    if !own && body.len() > guest.program.limits.body_size {
        return Err(HostError::new(
            Code::TooLarge,
            "the body that an earlier function has set is larger than body_size",
        ));
    }
    Ok(body.clone())
}

fn header_names(guest: &Guest) -> Result<Bytes, HostError> {
    names(&guest.request.headers)
}

/// A JSON array; names are lower-case and each comes once.
pub(super) fn names(headers: &HeaderMap) -> Result<Bytes, HostError> {
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    serde_json::to_vec(&names)
        .map(Bytes::from)
        .map_err(|_| HostError::new(Code::TooLarge, "the names do not fit"))
}

fn client_address(guest: &Guest) -> Result<Bytes, HostError> {
    match &guest.request.client {
        Some(address) => Ok(Bytes::copy_from_slice(address.as_bytes())),
        None => Err(HostError::new(
            Code::NotFound,
            "the client has no IP address",
        )),
    }
}

/// What is no header name cannot be looked up.
fn header(frame: &mut Frame<'_>, name: Span) -> Result<i32, HostError> {
    let name = name.of(frame.memory)?;
    let value = headers::first(&frame.guest.request.headers, name, NO_HEADER)?;
    frame.guest.share(value)
}

const NO_HEADER: HostError = HostError::new(Code::NotFound, "the request has no such header");

/// Refuses a call that the phase has no use for.
pub(super) fn only_in(phase: Phase, guest: &Guest) -> Result<(), HostError> {
    match guest.phase() == phase {
        true => Ok(()),
        false => Err(HostError::new(
            Code::WrongPhase,
            "the request has been forwarded already",
        )),
    }
}

fn terminate(guest: &mut Guest, value: i32) -> Result<i32, HostError> {
    only_in(Phase::Request, guest)?;
    let status = status(value)?;
    guest.terminated = true;
    guest.edits.status = Some(status);
    Ok(0)
}
