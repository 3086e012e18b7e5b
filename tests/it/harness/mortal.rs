//! An origin that can be killed: its listener and all its connections end at once.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex};

use nix::sys::socket;

use super::answer::Answer;
use super::origin::{Origin, Received};

pub(crate) struct Mortal {
    pub(crate) origin: Origin,
    listener: TcpListener,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Mortal {
    pub(crate) fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script)
    }

    /// As `start`, on an address chosen before.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let seen = Arc::clone(&streams);
        let see = move |stream: &TcpStream| {
            seen.lock().unwrap().push(stream.try_clone().unwrap());
        };
        Self {
            origin: Origin::start_on(listener.try_clone().unwrap(), script, see),
            listener,
            streams,
        }
    }

    /// From now on connections to it are refused, and those that were there have ended. Its
    /// address, for another one to begin there.
    pub(crate) fn kill(self) -> SocketAddr {
        let address = self.origin.address;
        // What waits in `accept` wakes up, and closes its copy.
        socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both).unwrap();
        drop(self.listener);
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
        while TcpStream::connect(address).is_ok() {}
        address
    }
}
