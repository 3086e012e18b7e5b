//! Randomness.

use crate::{Error, buffer, sys};

/// Fills the slice with cryptographically secure random bytes.
///
/// Under [`testing::Host`](crate::testing::Host) they are the same in every run instead.
///
/// ```
/// # use aegis_guest::{Error, testing::Host};
/// # Host::new().run(|| {
/// let mut token = [0; 16];
/// aegis_guest::random::fill(&mut token)?;
/// assert_ne!(token, [0; 16]);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`Unavailable`](crate::Code::Unavailable) when the node has no source of randomness.
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    buffer::done(sys::random_bytes(bytes))
}
