//! One connection to a backend with a request on it, whatever version of HTTP it speaks. Both
//! directions are used at once: an answer that begins early is read while the request is still
//! being written.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use pingora::Result;
use pingora::connectors::{ConnectorOptions, TransportConnector, http::v2};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::{ALPN, HttpPeer};

use super::http1::Http1;
use super::http2::Http2;
use super::sink::{Framing, Sink};
use crate::proxy::backend::ConnectionAge;

/// Connects to backends, and keeps connections for the next request.
pub struct Connector {
    http1: TransportConnector,
    http2: Arc<v2::Connector>,
}

/// A connection with one request on it.
pub(super) struct Connection {
    wire: Wire,
    pub(super) age: ConnectionAge,
}

enum Wire {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

impl Connector {
    /// Keeps at most `idle` connections of each version.
    pub fn new(idle: usize) -> Self {
        let options = || Some(ConnectorOptions::new(idle));
        Self {
            http1: TransportConnector::new(options()),
            http2: Arc::new(v2::Connector::new(options())),
        }
    }
}

impl Connection {
    /// Takes a kept connection or makes one.
    pub(super) async fn open(connector: &Connector, peer: Box<HttpPeer>) -> Result<Self> {
        let (wire, reused) = match peer.options.alpn == ALPN::H2 {
            true => {
                let (wire, reused) = Http2::open(&connector.http2, peer).await?;
                (Wire::Http2(Box::new(wire)), reused)
            }
            false => {
                let (wire, reused) = Http1::open(&connector.http1, peer).await?;
                (Wire::Http1(Box::new(wire)), reused)
            }
        };
        Ok(Self {
            wire,
            age: ConnectionAge::of(reused),
        })
    }

    /// Sends the header of a request whose body is framed like this; where the body goes.
    pub(super) async fn send_header(
        &mut self,
        header: RequestHeader,
        framing: Framing,
    ) -> Result<Sink> {
        match &mut self.wire {
            Wire::Http1(wire) => wire.send_header(header, framing).await,
            Wire::Http2(wire) => wire.send_header(header, framing),
        }
    }

    /// From now on it is the backend's turn, and only so long is it waited for. Until then the
    /// client may be slow to send, within its own limits.
    pub(super) fn time_answer(&mut self) {
        match &mut self.wire {
            Wire::Http1(wire) => wire.time_answer(),
            Wire::Http2(wire) => wire.time_answer(),
        }
    }

    /// The next header, be it of an interim answer. May be cancelled, and called again.
    pub(super) async fn read_header(&mut self) -> Result<Box<ResponseHeader>> {
        match &mut self.wire {
            Wire::Http1(wire) => wire.read_header().await,
            Wire::Http2(wire) => wire.read_header().await,
        }
    }

    /// Whether the header that was read is all of the answer, as far as that is known.
    pub(super) fn ended_with_header(&self) -> bool {
        match &self.wire {
            Wire::Http1(_) => false,
            Wire::Http2(wire) => wire.ended_with_header(),
        }
    }

    /// The next piece of the answer's body, perhaps an empty one; `None` at its end. May be
    /// cancelled, and called again.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match &mut self.wire {
            Wire::Http1(wire) => wire.read_body().await,
            Wire::Http2(wire) => wire.read_body().await,
        }
    }

    /// What follows the body. May be cancelled, and called again.
    pub(super) async fn read_trailers(&mut self) -> Result<Option<HeaderMap>> {
        match &mut self.wire {
            // The library reads past them.
            Wire::Http1(_) => Ok(None),
            Wire::Http2(wire) => wire.read_trailers().await,
        }
    }

    /// Keeps the connection for another request if the answer was read to its end and both
    /// sides want to go on; else closes it.
    pub(super) async fn keep(self, connector: &Connector) {
        match self.wire {
            Wire::Http1(wire) => wire.keep(&connector.http1).await,
            // It carries others meanwhile, and is given back when this is dropped.
            Wire::Http2(_) => {}
        }
    }
}
