//! Why the test host refuses a call.

use aegis_abi::Code;

/// What `last_error_code` and `last_error` tell about a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) Code, pub(crate) &'static str);
