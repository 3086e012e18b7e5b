//! What one listener does with its connections before the proxy gets them.

/// The settings of one `[[listeners]]`, besides its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {}
