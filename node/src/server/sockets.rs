//! Listening addresses, tried before anything serves: the library would retry a taken
//! port for half a minute and then go on without it.

use std::net::{SocketAddr, TcpListener};

use super::RunError;
use crate::config::Listener;

/// Makes sure every address can be listened on. A port of 0 becomes a free one.
pub(super) fn claim(listeners: &[Listener]) -> Result<Vec<SocketAddr>, RunError> {
    let mut held = Vec::new();
    let mut addresses = Vec::new();
    for listener in listeners {
        let address = listener.address;
        let failed = |source| RunError::Listen { address, source };
        let socket = TcpListener::bind(address).map_err(failed)?;
        addresses.push(socket.local_addr().map_err(failed)?);
        held.push(socket);
    }
    Ok(addresses)
}
