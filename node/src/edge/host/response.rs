//! What a guest changes about the answer. The host alone frames messages.

use aegis_abi::{Code, MAX_STATUS, MIN_STATUS, MODULE, import, is_reserved_header};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, TOO_LARGE, with_frame, with_guest};
use crate::edge::edits::{self, HeaderEdit};
use crate::edge::guest::{Guest, HostError};

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
    header_setter(linker, import::RESPONSE_SET_HEADER, HeaderEdit::Set)?;
    header_setter(linker, import::RESPONSE_ADD_HEADER, HeaderEdit::Add)?;
    linker.func_wrap(
        MODULE,
        import::RESPONSE_REMOVE_HEADER,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                let name = header_name(Span::new(pointer, length).of(frame.memory)?)?;
                record(frame.guest, HeaderEdit::Remove(name))
            })
        },
    )?;
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

fn header_setter(
    linker: &mut Linker<Guest>,
    import: &str,
    edit: fn(HeaderName, HeaderValue) -> HeaderEdit,
) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>,
              name: i32,
              name_length: i32,
              value: i32,
              value_length: i32| {
            let (name, value) = (Span::new(name, name_length), Span::new(value, value_length));
            with_frame(&mut caller, |frame| {
                let name = header_name(name.of(frame.memory)?)?;
                let value = header_value(value.of(frame.memory)?, frame.guest)?;
                record(frame.guest, edit(name, value))
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

/// Longest header name that the library takes, in bytes: what is longer is not even looked at.
const MAX_NAME: usize = u16::MAX as usize;

/// A token of RFC 9110 that the host does not own.
fn header_name(bytes: &[u8]) -> Result<HeaderName, HostError> {
    if bytes.len() > MAX_NAME {
        return Err(NO_NAME);
    }
    // Pseudo headers are no tokens, but what they lack is permission.
    if std::str::from_utf8(bytes).is_ok_and(is_reserved_header) {
        return Err(HostError::new(
            Code::NotAllowed,
            "the host alone sets this header",
        ));
    }
    HeaderName::from_bytes(bytes).map_err(|_| NO_NAME)
}

const NO_NAME: HostError = HostError::new(Code::BadArgument, "not a header name (RFC 9110 token)");

fn header_value(bytes: &[u8], guest: &Guest) -> Result<HeaderValue, HostError> {
    if bytes.len() > guest.program.limits.response_header_size {
        return Err(TOO_MANY);
    }
    HeaderValue::from_bytes(bytes).map_err(|_| {
        HostError::new(
            Code::BadArgument,
            "not a header value: control characters are not allowed",
        )
    })
}

const TOO_MANY: HostError = HostError::new(
    Code::LimitReached,
    "response_headers or response_header_size is reached",
);

fn record(guest: &mut Guest, edit: HeaderEdit) -> Result<i32, HostError> {
    let limits = &guest.program.limits;
    let kept = edits::kept_beside(&guest.edits.headers, &edit);
    if kept.count >= limits.response_headers
        || kept.size.saturating_add(edit.size()) > limits.response_header_size
    {
        return Err(TOO_MANY);
    }
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

    #[test]
    fn names_are_tokens_the_host_does_not_own() {
        for name in [b"x\r\ny".as_slice(), b"X Y", b"", b"a\0b", b"\xff"] {
            assert_eq!(
                header_name(name).map_err(|e| e.code),
                Err(Code::BadArgument)
            );
        }
        for name in [b"Content-Length".as_slice(), b"X-Aegis-Error", b":status"] {
            assert_eq!(header_name(name).map_err(|e| e.code), Err(Code::NotAllowed));
        }
        assert!(header_name(b"X-Edge").is_ok());
    }
}
