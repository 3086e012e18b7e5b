//! `Strict-Transport-Security` (RFC 6797): browsers that were told so come back over TLS only.

use http::header::STRICT_TRANSPORT_SECURITY;
use pingora::Result;
use pingora::http::ResponseHeader;

use super::context::Context;
use crate::scheme::Scheme;

/// Adds the header if the route has a policy and TLS was spoken (section 7.2), in place of the
/// upstream's: one is allowed.
pub(super) fn add(header: &mut ResponseHeader, context: &Context) -> Result<()> {
    let policy = context
        .action
        .as_ref()
        .and_then(|action| action.hsts.as_ref());
    if let (Scheme::Https, Some(policy)) = (context.scheme, policy) {
        header.insert_header(STRICT_TRANSPORT_SECURITY, policy.clone())?;
    }
    Ok(())
}
