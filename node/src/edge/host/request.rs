//! What a guest reads of its request, and how it ends it.

use aegis_abi::{Code, MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame, with_guest};
use super::response::status;
use crate::edge::guest::{Guest, HostError};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    getter(linker, import::REQUEST_GET_METHOD, method)?;
    getter(linker, import::REQUEST_GET_URI, uri)?;
    getter(linker, import::REQUEST_GET_HEADER_NAMES, header_names)?;
    getter(linker, import::REQUEST_GET_BODY, body)?;
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

fn body(guest: &Guest) -> Result<Bytes, HostError> {
    match guest.program.body.of_request() {
        true => Ok(guest.request.body.clone()),
        false => Err(HostError::new(
            Code::NotAllowed,
            "the function's configuration does not ask for the request body",
        )),
    }
}

/// A JSON array; names are lower-case and each comes once.
fn header_names(guest: &Guest) -> Result<Bytes, HostError> {
    let names: Vec<&str> = guest
        .request
        .headers
        .keys()
        .map(|name| name.as_str())
        .collect();
    serde_json::to_vec(&names)
        .map(Bytes::from)
        .map_err(|_| HostError::new(Code::TooLarge, "the names do not fit"))
}

fn header(frame: &mut Frame<'_>, name: Span) -> Result<i32, HostError> {
    let name = http::HeaderName::from_bytes(name.of(frame.memory)?)
        .map_err(|_| HostError::new(Code::BadArgument, "not a header name"))?;
    let value = frame
        .guest
        .request
        .headers
        .get(&name)
        .ok_or(HostError::new(
            Code::NotFound,
            "the request has no such header",
        ))?;
    let value = Bytes::copy_from_slice(value.as_bytes());
    frame.guest.share(value)
}

fn terminate(guest: &mut Guest, value: i32) -> Result<i32, HostError> {
    let status = status(value)?;
    guest.terminated = true;
    guest.edits.status = Some(status);
    Ok(0)
}
