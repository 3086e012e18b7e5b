//! Listening sockets, opened before anything serves: the library on its own would retry a
//! taken port for half a minute and then go on without it.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use parking_lot::Mutex;
use pingora::server::{Fds, ListenFds};
use pingora::services::listening::Service;
use tracing::info;

use super::RunError;
use crate::config::Listener;

/// Open sockets and their addresses.
pub(super) struct Sockets {
    open: Vec<(SocketAddr, TcpListener)>,
}

/// Opens every listener. A port of 0 becomes a free one.
pub(super) fn bind(listeners: &[Listener]) -> Result<Sockets, RunError> {
    let open = listeners.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Sockets { open })
}

fn open(listener: &Listener) -> Result<(SocketAddr, TcpListener), RunError> {
    let address = listener.address;
    let failed = |source| RunError::Listen { address, source };
    let socket = TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok((socket.local_addr().map_err(failed)?, socket))
}

impl Sockets {
    /// Their addresses, with the ports that the system chose.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|(address, _)| *address).collect()
    }

    /// Makes `service` serve them.
    pub(super) fn listen<A>(&self, service: &mut Service<A>) {
        for (address, _) in &self.open {
            service.add_tcp(&address.to_string());
            info!(%address, "listening");
        }
    }

    /// Hands the sockets over to the library, which finds them by their address.
    pub(super) fn into_fds(self) -> ListenFds {
        let mut fds = Fds::new();
        for (address, socket) in self.open {
            fds.add(address.to_string(), socket.into_raw_fd());
        }
        Arc::new(Mutex::new(fds))
    }
}
