//! Notices that a client has left while its request is worked on: the library looks at the
//! connection only while it proxies.

use http::Version;
use pingora::Error;
use pingora::proxy::Session;

/// Ends when the client has closed its side of the connection or reset it, or the stream.
///
/// A client that still owes a body that nobody reads now cannot be watched on HTTP/1: what it
/// sends stands before the end. The first byte of a further request is kept for it.
pub(super) async fn client_left(session: &mut Session) -> Box<Error> {
    let resets = session.req_header().version == Version::HTTP_2;
    if !resets && !session.is_body_done() {
        return std::future::pending().await;
    }
    match session.as_downstream_mut().read_body_or_idle(true).await {
        Err(gone) => gone.into_down(),
        Ok(_) => std::future::pending().await,
    }
}
