//! What a guest changes about the answer. The host alone frames messages.

use aegis_abi::{Code, MAX_STATUS, MIN_STATUS, MODULE, import};
use bytes::Bytes;
use http::StatusCode;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, TOO_LARGE, with_frame, with_guest};
use super::headers::{self, Setters};
use crate::edge::edits::{self, HeaderEdit};
use crate::edge::guest::{Guest, HostError};

const HEADERS: Setters = Setters {
    set: import::RESPONSE_SET_HEADER,
    add: import::RESPONSE_ADD_HEADER,
    remove: import::RESPONSE_REMOVE_HEADER,
    allowed: |_| Ok(()),
    record,
};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::RESPONSE_SET_STATUS,
        |mut caller: Caller<'_, Guest>, value: i32| {
            with_guest(&mut caller, |guest| {
                guest.edits.status = Some(status(value)?);
                Ok(0)
            })
        },
    )?;
    HEADERS.link(linker)?;
    linker.func_wrap(
        MODULE,
        import::RESPONSE_SET_BODY,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                set_body(frame, Span::new(pointer, length))
            })
        },
    )?;
    Ok(())
}

/// 1xx never comes from guests: 101 would open a tunnel.
pub(super) fn status(value: i32) -> Result<StatusCode, HostError> {
    let refused = HostError::new(Code::BadArgument, "a status must be 200 to 599");
    if !(MIN_STATUS..=MAX_STATUS).contains(&value) {
        return Err(refused);
    }
    u16::try_from(value)
        .ok()
        .and_then(|value| StatusCode::from_u16(value).ok())
        .ok_or(refused)
}

fn record(guest: &mut Guest, edit: HeaderEdit) -> Result<i32, HostError> {
    headers::check_room(&guest.edits.headers, &edit, &guest.program.limits)?;
    guest.make_room_for_edits(guest.edits_held() + edit.size())?;
    edits::record(&mut guest.edits.headers, edit);
    Ok(0)
}

fn set_body(frame: &mut Frame<'_>, span: Span) -> Result<i32, HostError> {
    let bytes = span.of(frame.memory)?;
    if bytes.len() > frame.guest.program.limits.shared_buffer {
        return Err(TOO_LARGE);
    }
    frame
        .guest
        .set_body(bytes.len(), || Bytes::copy_from_slice(bytes))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_statuses_are_taken() {
        for value in [i32::MIN, -1, 0, 99, 100, 101, 199, 600, 999] {
            assert_eq!(status(value).map_err(|e| e.code), Err(Code::BadArgument));
        }
        assert_eq!(status(200), Ok(StatusCode::OK));
        assert!(status(599).is_ok());
    }
}
