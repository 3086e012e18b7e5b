//! A server that is asked for names, as the resolver wants it.

use std::net::SocketAddr;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};

/// Asked over UDP, and over TCP where an answer does not fit.
pub(crate) fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .into_iter()
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .collect();
    NameServerConfig::new(address.ip(), true, connections)
}
