//! Stands between the listening socket and the proxy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;

use super::connection::{CURRENT, Connection};
use super::gate::Gate;
use super::limits::Limits;
use super::stream::GuardedStream;

/// What a connection is refused for before the proxy has a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The header did not come within `header_timeout`.
    HeaderTimeout,
    /// The header is larger than `header_size`.
    HeaderTooLarge,
    /// `connections` or `connections_per_client` is reached.
    TooManyConnections,
}

/// Makes the whole answer, status line to body, that a refusal is told with.
pub type Refusals = fn(Refusal) -> Vec<u8>;

/// Wraps the proxy: admits connections and times their clients.
pub struct Guarded<A> {
    proxy: Arc<A>,
    gate: Gate,
    limits: Arc<ArcSwap<Limits>>,
    refusals: Refusals,
}

impl<A> Guarded<A> {
    /// The limits may be swapped; they count for connections opened afterwards.
    pub fn new(proxy: A, limits: Arc<ArcSwap<Limits>>, refusals: Refusals) -> Self {
        Self {
            proxy: Arc::new(proxy),
            gate: Gate::default(),
            limits,
            refusals,
        }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Guarded<A> {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let limits = Limits::clone(&self.limits.load());
        let client = client(&stream);
        // A stream without an address counts as one client more.
        let counted = client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let Some(place) = self.gate.enter(counted, &limits) else {
            let answer = (self.refusals)(Refusal::TooManyConnections);
            stream.write_all(&answer).await.ok();
            AsyncWriteExt::shutdown(&mut stream).await.ok();
            return None;
        };
        let connection = Arc::new(Connection::new(client, limits, place));
        let guarded = GuardedStream::new(stream, Arc::clone(&connection), self.refusals);
        let served = self.proxy.process_new(Box::new(guarded), shutdown);
        CURRENT.scope(connection, served).await
    }

    async fn cleanup(&self) {
        self.proxy.cleanup().await;
    }
}

fn client(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    let peer = digest.peer_addr()?;
    Some(peer.as_inet()?.ip())
}
