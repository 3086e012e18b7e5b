//! Which headers guests may read, and which edits they may make, of requests and of responses alike.

use aegis_abi::{Code, MODULE, is_reserved_header};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::{Caller, Linker};

use super::frame::{Span, with_frame};
use crate::edge::edits::{self, HeaderEdit};
use crate::edge::guest::{Guest, HostError};
use crate::edge::limits::Limits;

/// The three setters of one kind of message.
#[derive(Clone, Copy)]
pub(super) struct Setters {
    pub(super) set: &'static str,
    pub(super) add: &'static str,
    pub(super) remove: &'static str,
    /// Whether there is such a message to be edited now.
    pub(super) allowed: fn(&Guest) -> Result<(), HostError>,
    /// What is done with a well-formed edit.
    pub(super) record: fn(&mut Guest, HeaderEdit) -> Result<i32, HostError>,
}

impl Setters {
    pub(super) fn link(self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        self.link_setter(linker, self.set, HeaderEdit::Set)?;
        self.link_setter(linker, self.add, HeaderEdit::Add)?;
        linker.func_wrap(
            MODULE,
            self.remove,
            move |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
                with_frame(&mut caller, |frame| {
                    (self.allowed)(frame.guest)?;
                    let name = header_name(Span::new(pointer, length).of(frame.memory)?)?;
                    (self.record)(frame.guest, HeaderEdit::Remove(name))
                })
            },
        )?;
        Ok(())
    }

    fn link_setter(
        self,
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
                    (self.allowed)(frame.guest)?;
                    let name = header_name(name.of(frame.memory)?)?;
                    let value = header_value(value.of(frame.memory)?, frame.guest)?;
                    (self.record)(frame.guest, edit(name, value))
                })
            },
        )?;
        Ok(())
    }
}

/// Longest header name that the library takes, in bytes: what is longer is not even looked at.
const MAX_NAME: usize = u16::MAX as usize;

/// A copy of the first value of the header that a guest asks for by this name.
pub(super) fn first(
    headers: &HeaderMap,
    name: &[u8],
    absent: HostError,
) -> Result<Bytes, HostError> {
    let name = Some(name).filter(|name| name.len() <= MAX_NAME);
    let name = name.and_then(|name| HeaderName::from_bytes(name).ok());
    let value = headers.get(name.ok_or(NO_NAME)?).ok_or(absent)?;
    Ok(Bytes::copy_from_slice(value.as_bytes()))
}

/// A token of RFC 9110 that the host does not own.
fn header_name(bytes: &[u8]) -> Result<HeaderName, HostError> {
    if bytes.len() > MAX_NAME {
        return Err(NO_NAME);
    }
    // Pseudo headers are no tokens, but what they lack is permission.
    if std::str::from_utf8(bytes).is_ok_and(is_reserved_header) {
        return Err(RESERVED);
    }
    HeaderName::from_bytes(bytes).map_err(|_| NO_NAME)
}

/// A header of the node's own.
pub(super) const RESERVED: HostError =
    HostError::new(Code::NotAllowed, "the host alone sets this header");

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

/// Whether the limits have room for one more edit of one message.
pub(super) fn check_room(
    edits: &[HeaderEdit],
    edit: &HeaderEdit,
    limits: &Limits,
) -> Result<(), HostError> {
    let kept = edits::kept_beside(edits, edit);
    if kept.count >= limits.response_headers
        || kept.size.saturating_add(edit.size()) > limits.response_header_size
    {
        return Err(TOO_MANY);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
