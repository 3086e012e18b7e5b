//! Stands between the listening socket and the proxy.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::{ALPN, Ssl, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, timeout_at};

use super::arrival::{Arrived, Door, Entrance};
use super::connection::{CURRENT, Connection};
use super::gate::Gate;
use super::limits::Limits;
use super::multiplexed::Multiplexed;
use super::stream::{GuardedStream, Version};
use super::{http1, http2};

/// What a connection is refused for before the proxy has a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The header did not come within `header_timeout`.
    HeaderTimeout,
    /// The header is larger than `header_size`, or has too many fields.
    HeaderTooLarge,
    /// The request line alone is larger than `header_size`.
    TargetTooLong,
    /// It is not a request that HTTP/1 has.
    Malformed,
    /// `connections` or `connections_per_client` is reached.
    TooManyConnections,
}

/// Makes the whole answer, status line to body, that a refusal is told with.
pub type Refusals = fn(Refusal) -> Vec<u8>;

/// Wraps the proxy: admits connections and times their clients.
pub struct Guarded<A> {
    shared: Shared<A>,
    entrance: Entrance,
}

/// What all listeners have in common.
pub struct Shared<A> {
    /// Serves the requests of a connection.
    pub proxy: Arc<A>,
    /// How many connections there are, of all listeners together.
    pub gate: Gate,
    /// May be swapped; they count for connections opened afterwards.
    pub limits: Arc<ArcSwap<Limits>>,
    /// How a connection is told why it is refused.
    pub refusals: Refusals,
    /// HTTP/2 connections, of all listeners together.
    pub multiplexed: Multiplexed,
}

impl<A> Clone for Shared<A> {
    fn clone(&self) -> Self {
        Self {
            proxy: Arc::clone(&self.proxy),
            gate: self.gate.clone(),
            limits: Arc::clone(&self.limits),
            refusals: self.refusals,
            multiplexed: self.multiplexed.clone(),
        }
    }
}

impl<A> Guarded<A> {
    /// One listener.
    pub fn new(shared: Shared<A>, entrance: Entrance) -> Self {
        Self { shared, entrance }
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Guarded<A> {
    async fn serve(
        &self,
        (mut stream, h2c): (GuardedStream, bool),
        connection: Arc<Connection>,
        shutdown: &ShutdownWatch,
    ) {
        let version = match stream.selected_alpn_proto() {
            Some(ALPN::H2) => Some(Version::Http2),
            None if h2c => stream.first_word().await,
            Some(_) | None => Some(Version::Http1),
        };
        let Shared {
            proxy, multiplexed, ..
        } = &self.shared;
        match version {
            Some(Version::Http1) => http1::serve(proxy, Box::new(stream), shutdown).await,
            Some(Version::Http2) => {
                let open = multiplexed.enter();
                http2::serve(proxy, stream, connection, shutdown).await;
                drop(open);
            }
            // Its client left, or took too long: in which language to say so is not known.
            None => {}
        }
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Guarded<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let Shared {
            gate,
            limits,
            refusals,
            ..
        } = &self.shared;
        let limits = Limits::clone(&limits.load());
        let deadline = Instant::now() + limits.header_timeout;
        let door = Door {
            gate,
            limits: &limits,
            refusals: *refusals,
        };
        // On the heap: connections last longer than their beginning.
        let arriving = Box::pin(self.entrance.admit(stream, &door));
        let Arrived {
            stream,
            client,
            place,
            secured,
            h2c,
        } = timeout_at(deadline, arriving).await.ok()??;
        let connection = Connection::new(client, limits, place).over(secured);
        let connection = Arc::new(connection);
        let guarded = GuardedStream::new(stream, Arc::clone(&connection), *refusals);
        let served = self.serve((guarded, h2c), Arc::clone(&connection), shutdown);
        CURRENT.scope(connection, served).await;
        None
    }

    async fn cleanup(&self) {
        self.shared.proxy.http_cleanup().await;
    }
}
