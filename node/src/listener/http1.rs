//! HTTP/1 on one connection: one request after the other.

use std::sync::Arc;

use pingora::apps::HttpServerApp;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

/// What the library waits at most for a further request; `idle_timeout` is the guard's.
const KEEPALIVE: u64 = 60;

/// Serves the requests of a connection until it ends.
pub(super) async fn serve<A: HttpServerApp>(
    proxy: &Arc<A>,
    stream: Stream,
    shutdown: &ShutdownWatch,
) {
    let mut session = ServerSession::new_http1(stream);
    let stops = *shutdown.borrow();
    session.set_keepalive((!stops).then_some(KEEPALIVE));
    let mut served = proxy.process_new_http(session, shutdown).await;
    while let Some(kept) = served {
        let (stream, settings) = kept.consume();
        let mut session = ServerSession::new_http1(stream);
        if let Some(settings) = settings {
            settings.apply_to_session(&mut session);
        }
        served = proxy.process_new_http(session, shutdown).await;
    }
}
