//! The function's own settings: the `config` table of its section in the node's configuration.

use crate::{Error, buffer, sys};

/// The value of a key, or `None` where the configuration does not have it.
///
/// With `config = { greeting = "hello" }` in the function's section:
///
/// ```
/// # use aegis_guest::{Error, testing::Host};
/// # Host::new().config("greeting", "hello").run(|| {
/// let greeting = aegis_guest::config::value("greeting")?;
/// assert_eq!(greeting.as_deref(), Some("hello"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// Only when the node itself refuses the call, such as a key that is not text.
pub fn value(key: &str) -> Result<Option<String>, Error> {
    buffer::found_text(sys::config_get(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::value;
    use crate::Error;
    use crate::testing::Host;

    #[test]
    fn a_key_that_is_not_configured_is_none() {
        Host::new()
            .config("greeting", "hello")
            .run(|| {
                assert_eq!(value("farewell")?, None);
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
