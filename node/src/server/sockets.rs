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
use crate::listener::{Entrance, Guarded, Shared};

/// Open sockets and their addresses.
pub(super) struct Sockets {
    open: Vec<Socket>,
}

struct Socket {
    address: SocketAddr,
    listener: TcpListener,
}

/// Opens every listener. A port of 0 becomes a free one.
pub(super) fn bind(listeners: &[Listener]) -> Result<Sockets, RunError> {
    let open = listeners.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Sockets { open })
}

fn open(listener: &Listener) -> Result<Socket, RunError> {
    let address = listener.address;
    let failed = |source| RunError::Listen { address, source };
    let socket = TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Socket {
        address: socket.local_addr().map_err(failed)?,
        listener: socket,
    })
}

impl Sockets {
    /// Their addresses, with the ports that the system chose.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|socket| socket.address).collect()
    }

    /// A service for each, which its entrance leads to.
    pub(super) fn services<A>(
        &self,
        shared: &Shared<A>,
        entrances: &[Entrance],
    ) -> Vec<Service<Guarded<A>>> {
        let service = |(socket, entrance): (&Socket, &Entrance)| {
            let address = socket.address.to_string();
            let guarded = Guarded::new(shared.clone(), entrance.clone());
            let mut service = Service::new(address.clone(), guarded);
            service.add_tcp(&address);
            info!(%address, "listening");
            service
        };
        self.open.iter().zip(entrances).map(service).collect()
    }

    /// Hands the sockets over to the library, which finds them by their address.
    pub(super) fn into_fds(self) -> ListenFds {
        let mut fds = Fds::new();
        for socket in self.open {
            fds.add(socket.address.to_string(), socket.listener.into_raw_fd());
        }
        Arc::new(Mutex::new(fds))
    }
}
