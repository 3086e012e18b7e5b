//! What a guest changes about the request that goes on: the upstream and later functions see
//! it, and so does the guest itself.

use aegis_abi::{Code, MODULE, import};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderName, HeaderValue};
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, TOO_LARGE, with_frame};
use super::headers::{self, RESERVED, Setters};
use super::request::only_in;
use crate::edge::edits::{self, HeaderEdit, OF_THE_BODY};
use crate::edge::guest::{Guest, HostError};
use crate::edge::record::Phase;

const HEADERS: Setters = Setters {
    set: import::REQUEST_SET_HEADER,
    add: import::REQUEST_ADD_HEADER,
    remove: import::REQUEST_REMOVE_HEADER,
    allowed: |guest| only_in(Phase::Request, guest),
    record,
};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    HEADERS.link(linker)?;
    setter(linker, import::REQUEST_SET_URI, set_uri)?;
    setter(linker, import::REQUEST_SET_BODY, set_body)
}

/// A call that takes text or bytes.
fn setter(
    linker: &mut Linker<Guest>,
    import: &str,
    set: fn(&mut Frame<'_>, Span) -> Result<i32, HostError>,
) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                only_in(Phase::Request, frame.guest)?;
                set(frame, Span::new(pointer, length))
            })
        },
    )?;
    Ok(())
}

/// The one is about the wait between the client and this node, the other is what the log
/// knows the request by.
const OF_THE_NODE: [HeaderName; 2] = [EXPECT, HeaderName::from_static("x-request-id")];

fn record(guest: &mut Guest, edit: HeaderEdit) -> Result<i32, HostError> {
    if OF_THE_NODE.contains(edit.name()) {
        return Err(RESERVED);
    }
    headers::check_room(&guest.request_edits.headers, &edit, &guest.program.limits)?;
    guest.make_room_to_edit_request(2 * edit.size(), 0)?;
    edit.apply(&mut guest.request_mut().headers);
    edits::record(&mut guest.request_edits.headers, edit);
    Ok(0)
}

const NO_URI: HostError = HostError::new(
    Code::BadArgument,
    "not a path and query that can be forwarded: they must begin with one '/' and be \
     percent-encoded, and the path must be one that a client may send",
);

fn set_uri(frame: &mut Frame<'_>, span: Span) -> Result<i32, HostError> {
    let guest = &mut *frame.guest;
    let rules = guest.request.uris;
    let text = span.at_most(frame.memory, rules.longest)?;
    let text = std::str::from_utf8(text).map_err(|_| NO_URI)?;
    let uri = (rules.normalise)(text).ok_or(NO_URI)?;
    let text = uri.to_string();
    let earlier = guest.request_edits.uri.as_ref();
    let earlier = earlier.map_or(0, |_| guest.request.uri.len());
    guest.make_room_to_edit_request(2 * text.len(), 2 * earlier)?;
    guest.request_mut().uri = text;
    guest.request_edits.uri = Some(uri);
    Ok(0)
}

fn set_body(frame: &mut Frame<'_>, span: Span) -> Result<i32, HostError> {
    let guest = &mut *frame.guest;
    let bytes = span.of(frame.memory)?;
    if bytes.len() > guest.program.limits.shared_buffer {
        return Err(TOO_LARGE);
    }
    let earlier = guest.request_edits.body.as_ref().map_or(0, Bytes::len);
    guest.make_room_to_edit_request(bytes.len(), earlier)?;
    let body = Bytes::copy_from_slice(bytes);
    guest.request_mut().body = body.clone();
    guest.request_edits.body = Some(body);
    describe_body(guest, bytes.len());
    Ok(0)
}

/// What was said of the old body goes with it; what the guest itself has said stays.
fn describe_body(guest: &mut Guest, length: usize) {
    let edits = std::mem::take(&mut guest.request_edits.headers);
    let headers = &mut guest.request_mut().headers;
    for name in &OF_THE_BODY {
        headers.remove(name);
    }
    let own = edits.iter().filter(|e| OF_THE_BODY.contains(e.name()));
    own.for_each(|edit| edit.apply(headers));
    // A full map takes no more, and the upstream is sent the length in any case.
    headers
        .try_insert(CONTENT_LENGTH, HeaderValue::from(length))
        .ok();
    guest.request_edits.headers = edits;
}
