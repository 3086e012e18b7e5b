//! From the number a host call returns to the data it left in the shared buffer.

use aegis_abi::Code;

use crate::error::{Error, last_code};
use crate::sys;

/// A call that returns 0 when it did what it was asked.
pub(crate) fn done(result: i32) -> Result<(), Error> {
    if result < 0 {
        return Err(Error::last());
    }
    Ok(())
}

/// A call that returns the length of the data it left in the shared buffer.
pub(crate) fn bytes(result: i32) -> Result<Vec<u8>, Error> {
    let length = usize::try_from(result).map_err(|_| Error::last())?;
    sys::shared_buffer(length).ok_or_else(|| {
        Error::new(
            Code::TooLarge,
            "the data does not fit in the function's memory",
        )
    })
}

/// As [`bytes`], where the data is text.
pub(crate) fn text(result: i32) -> Result<String, Error> {
    String::from_utf8(bytes(result)?)
        .map_err(|_| Error::new(Code::BadArgument, "the value is not UTF-8"))
}

/// As [`bytes`], where absence is an answer and not a failure.
pub(crate) fn found(result: i32) -> Result<Option<Vec<u8>>, Error> {
    if result < 0 && last_code() == Code::NotFound {
        return Ok(None);
    }
    bytes(result).map(Some)
}

/// As [`text`], where absence is an answer and not a failure.
pub(crate) fn found_text(result: i32) -> Result<Option<String>, Error> {
    if result < 0 && last_code() == Code::NotFound {
        return Ok(None);
    }
    text(result).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{bytes, found};
    use crate::testing::Host;
    use crate::{Code, Error};

    #[test]
    fn a_length_beyond_the_shared_buffer_is_an_error() {
        let outcome = Host::new().run(|| {
            assert_eq!(bytes(1).map_err(|error| error.code()), Err(Code::TooLarge));
            Ok::<(), Error>(())
        });
        assert_eq!(outcome.error(), None);
    }

    #[test]
    fn without_a_host_every_call_is_unavailable() {
        let code = found(-1).map_err(|error| error.code());
        assert_eq!(code, Err(Code::Unavailable));
    }
}
