//! What a client may send, hold open and take its time over (`[server.limits]`).

use std::time::Duration;

/// Limits of the downstream side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line and header section, in bytes: 431 past it.
    pub header_size: usize,
    /// Request target, in bytes: 414 past it.
    pub uri_length: usize,
    /// Request body, in bytes: 413 past it; a route may set its own.
    pub body_size: u64,
    /// The whole header, from its first byte: 408. Before it, all that comes before HTTP: the
    /// connection is closed.
    pub header_timeout: Duration,
    /// Connections of all clients.
    pub connections: usize,
    /// Connections of one client address.
    pub connections_per_client: usize,
    /// A kept-alive connection without a request.
    pub idle_timeout: Duration,
    /// Longest wait for the next piece of a request body.
    pub body_timeout: Duration,
    /// Bytes a second of a request body, averaged after the first 10 s: 408.
    pub body_rate: u64,
    /// Longest wait for the client to take the next piece of an answer.
    pub write_timeout: Duration,
    /// Longest silence of both ends once they have gone on in another protocol.
    pub upgrade_idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_size: 32 << 10,
            uri_length: 8192,
            body_size: 100 << 20,
            header_timeout: Duration::from_secs(10),
            connections: 10_000,
            connections_per_client: 256,
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            body_rate: 1024,
            write_timeout: Duration::from_secs(30),
            // Beyond the pings of all common libraries, and an end to clients that vanished.
            upgrade_idle_timeout: Duration::from_secs(600),
        }
    }
}
