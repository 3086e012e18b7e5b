//! HTTP/2 on one connection: many requests at once, each with its own deadlines, and the
//! connection's.

mod allowance;
mod frames;
mod session;
mod streams;
mod watch;
mod wire;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora::protocols::{Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::timeout;
use tracing::debug;

pub(super) use self::frames::Frames;
use self::session::StreamSession;
use self::streams::Streams;
use self::watch::{End, Watch};
use self::wire::Wire;
use super::connection::{CURRENT, Connection};
use super::limits::Limits;
use super::stream::GuardedStream;

/// What a client says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// To a client that there is no place for: empty SETTINGS, and GOAWAY with ENHANCE_YOUR_CALM.
pub(super) const REFUSAL: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

/// Requests of one connection at a time; a further one is refused.
const STREAMS: u32 = 100;
/// What a client may send of one body ahead of who reads it.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same of all bodies together: what a connection makes the node keep.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Of an answer this much is kept for a client that reads slowly.
const SEND_BUFFER: usize = 128 << 10;
/// Streams that the client makes the library reset, in all.
const ERRORS: usize = 256;
/// Malformed requests that are answered or reset, in all.
const MALFORMED: usize = 32;
/// A header list counts 32 bytes for each field besides its text (RFC 9113, section 6.5.2): it
/// gets room for that, and `header_size` is held later.
const LIST_FACTOR: usize = 2;
/// The same for the smallest `header_size`.
const LEAST_LIST: usize = 16 << 10;

/// How long a connection that was told to end is waited for.
const CLOSING: Duration = Duration::from_secs(1);

type H2Connection = h2::server::Connection<Stream, bytes::Bytes>;

/// Serves the requests of a connection until it ends. Told to shut down, it takes no further
/// ones and closes when the last of them is answered.
pub(super) async fn serve<A>(
    proxy: &Arc<A>,
    mut stream: GuardedStream,
    connection: Arc<Connection>,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let wire = Arc::new(Wire::new());
    // Reading and what is read are timed here from now on.
    connection.header_read();
    stream.follow(Frames::new(Arc::clone(&wire)));
    let digest = Arc::new(digest(&stream));
    let options = options(&connection.limits);
    let header_timeout = connection.limits.header_timeout;
    let opening = timeout(header_timeout, handshake(Box::new(stream), Some(options)));
    let Ok(Ok(h2)) = opening.await else {
        return;
    };
    let streams = Arc::new(Streams::default());
    let serving = Serving {
        proxy,
        digest,
        watch: Watch::new(&connection.limits, Arc::clone(&wire), Arc::clone(&streams)),
        connection,
        wire,
        streams,
    };
    serving.run(h2, shutdown.clone()).await;
}

fn digest(stream: &GuardedStream) -> Digest {
    Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    }
}

fn options(limits: &Limits) -> H2Options {
    let list = limits
        .header_size
        .saturating_mul(LIST_FACTOR)
        .max(LEAST_LIST);
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(ERRORS));
    options
}

/// One connection being served.
struct Serving<'a, A> {
    proxy: &'a Arc<A>,
    connection: Arc<Connection>,
    digest: Arc<Digest>,
    wire: Arc<Wire>,
    streams: Arc<Streams>,
    watch: Watch,
}

impl<A: HttpServerApp + Send + Sync + 'static> Serving<'_, A> {
    async fn run(mut self, mut h2: H2Connection, mut shutdown: ShutdownWatch) {
        let mut malformed = 0;
        let mut closing = *shutdown.borrow_and_update();
        if closing {
            self.close(&mut h2);
        }
        loop {
            let accepted = tokio::select! {
                biased;
                // Fails when the node is gone, which is no less a reason.
                _ = shutdown.changed(), if !closing => {
                    closing = true;
                    self.close(&mut h2);
                    continue;
                }
                accepted = HttpSession::from_h2_conn(&mut h2, Arc::clone(&self.digest)) => accepted,
                // After the connection was read: it says what that has shown.
                end = self.watch.end() => match end {
                    End::Idle if !closing => {
                        closing = true;
                        self.close(&mut h2);
                        continue;
                    }
                    End::Idle => return abort(h2, Reason::NO_ERROR).await,
                    End::HeaderTimeout | End::Excess => {
                        debug!(?end, client = ?self.connection.client(), "a connection is ended");
                        return abort(h2, Reason::ENHANCE_YOUR_CALM).await;
                    }
                },
            };
            match accepted {
                Ok(Some(H2Accept::Session(session))) => self.spawn(session, &shutdown),
                Ok(Some(H2Accept::Rejected)) => {
                    malformed += 1;
                    if malformed >= MALFORMED {
                        return abort(h2, Reason::ENHANCE_YOUR_CALM).await;
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// No further requests; what is under way is finished.
    fn close(&mut self, h2: &mut H2Connection) {
        h2.graceful_shutdown();
        self.watch.close_within(CLOSING);
    }

    fn spawn(&mut self, session: HttpSession, shutdown: &ShutdownWatch) {
        self.watch.stream_begins();
        let served = self.streams.enter();
        let (proxy, shutdown) = (Arc::clone(self.proxy), shutdown.clone());
        let connection = Arc::new(self.connection.stream());
        let session = StreamSession::new(session, Arc::clone(&connection), Arc::clone(&self.wire));
        let task = async move {
            let session = ServerSession::new_custom(Box::new(session));
            proxy.process_new_http(session, &shutdown).await;
            drop(served);
        };
        tokio::spawn(CURRENT.scope(connection, task));
    }
}

/// Says why, and ends the connection with all of its streams.
async fn abort(mut h2: H2Connection, reason: Reason) {
    h2.abrupt_shutdown(reason);
    timeout(CLOSING, poll_fn(|context| h2.poll_closed(context)))
        .await
        .ok();
}
