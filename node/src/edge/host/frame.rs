//! The one way from a guest's pointers to its memory.

use aegis_abi::{Code, FAILURE};
use bytes::Bytes;
use wasmtime::{Caller, Extern};

use super::toll;
use crate::edge::guest::{Guest, HostError};

/// A pointer and a length as the guest passed them, read as unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    pub(super) fn new(pointer: i32, length: i32) -> Self {
        Self {
            start: pointer.cast_unsigned(),
            length: length.cast_unsigned(),
        }
    }

    /// The bytes of `count` elements of `size` bytes each.
    pub(super) fn array(pointer: i32, count: i32, size: usize) -> Result<Self, HostError> {
        let length = u32::try_from(size)
            .ok()
            .and_then(|size| count.cast_unsigned().checked_mul(size));
        Ok(Self {
            start: pointer.cast_unsigned(),
            length: length.ok_or(OUTSIDE)?,
        })
    }

    fn range(self) -> Option<std::ops::Range<usize>> {
        let start = self.start as usize;
        Some(start..start.checked_add(self.length as usize)?)
    }

    /// The bytes it names; an empty span at the very end of the memory is inside.
    pub(super) fn of(self, memory: &[u8]) -> Result<&[u8], HostError> {
        self.range()
            .and_then(|range| memory.get(range))
            .ok_or(OUTSIDE)
    }

    /// The same, to be written to.
    pub(super) fn of_mut(self, memory: &mut [u8]) -> Result<&mut [u8], HostError> {
        self.range()
            .and_then(|range| memory.get_mut(range))
            .ok_or(OUTSIDE)
    }

    /// UTF-8 text of at most `limit` bytes; the length is checked before anything is read.
    pub(super) fn text(self, memory: &[u8], limit: usize) -> Result<&str, HostError> {
        std::str::from_utf8(self.at_most(memory, limit)?)
            .map_err(|_| HostError::new(Code::BadArgument, "the text is not UTF-8"))
    }

    /// A copy of at most `limit` bytes; the length is checked before it is allocated.
    pub(super) fn copy(self, memory: &[u8], limit: usize) -> Result<Bytes, HostError> {
        self.at_most(memory, limit).map(Bytes::copy_from_slice)
    }

    /// The bytes, if they are not more than `limit`.
    pub(super) fn at_most(self, memory: &[u8], limit: usize) -> Result<&[u8], HostError> {
        let bytes = self.of(memory)?;
        match bytes.len() <= limit {
            true => Ok(bytes),
            false => Err(TOO_LARGE),
        }
    }
}

/// More data than a call takes.
pub(super) const TOO_LARGE: HostError =
    HostError::new(Code::TooLarge, "the data is larger than allowed");

const OUTSIDE: HostError = HostError::new(
    Code::BadArgument,
    "a pointer or length lies outside the guest's memory",
);

/// A guest's memory and the host's side of it.
pub(super) struct Frame<'a> {
    pub(super) memory: &'a mut [u8],
    pub(super) guest: &'a mut Guest,
}

/// Splits a caller; the memory is looked up once per invocation.
pub(super) fn frame<'a>(caller: &'a mut Caller<'_, Guest>) -> Frame<'a> {
    if caller.data().memory.is_none() {
        let program = std::sync::Arc::clone(&caller.data().program);
        let found = caller
            .get_module_export(&program.exports.memory)
            .and_then(Extern::into_memory);
        caller.data_mut().memory = found;
    }
    match caller.data().memory {
        Some(memory) => {
            let (memory, guest) = memory.data_and_store_mut(caller);
            Frame { memory, guest }
        }
        // Load checks that it is exported; without it every span is outside.
        None => Frame {
            memory: &mut [],
            guest: caller.data_mut(),
        },
    }
}

/// Turns the result of a host call into what the guest sees.
pub(super) fn answer(guest: &mut Guest, result: Result<i32, HostError>) -> i32 {
    result.unwrap_or_else(|error| {
        guest.last_error = Some(error);
        FAILURE
    })
}

/// Runs a host call that only needs the frame.
pub(super) fn with_frame(
    caller: &mut Caller<'_, Guest>,
    call: impl FnOnce(&mut Frame<'_>) -> Result<i32, HostError>,
) -> wasmtime::Result<i32> {
    toll::pay(caller)?;
    let mut frame = frame(caller);
    let result = call(&mut frame);
    Ok(answer(frame.guest, result))
}

/// Runs a host call that needs nothing of the guest's memory.
pub(super) fn with_guest(
    caller: &mut Caller<'_, Guest>,
    call: impl FnOnce(&mut Guest) -> Result<i32, HostError>,
) -> wasmtime::Result<i32> {
    toll::pay(caller)?;
    let guest = caller.data_mut();
    let result = call(guest);
    Ok(answer(guest, result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_outside_are_refused_and_the_empty_one_at_the_end_is_inside() {
        let memory = [0u8; 64];
        let end = 64;
        for (pointer, length) in [
            (0, -1),
            (-1, 1),
            (-16, 32),
            (end - 1, 2),
            (end + 1, 0),
            (i32::MIN, i32::MIN),
        ] {
            assert_eq!(Span::new(pointer, length).of(&memory), Err(OUTSIDE));
        }
        assert_eq!(Span::new(end, 0).of(&memory), Ok([].as_slice()));
    }

    proptest! {
        #[test]
        fn a_span_is_inside_or_refused(pointer: i32, length: i32, size in 0usize..200) {
            let mut memory = vec![0u8; size];
            let span = Span::new(pointer, length);
            let end = u64::from(pointer.cast_unsigned()) + u64::from(length.cast_unsigned());
            let inside = end <= size as u64;
            prop_assert_eq!(span.of(&memory).is_ok(), inside);
            prop_assert_eq!(span.of_mut(&mut memory).is_ok(), inside);
            prop_assert_eq!(span.copy(&memory, size).is_ok(), inside);
        }
    }
}
