//! Where the node itself listens: a function that calls its own node could go in circles,
//! and would come as a client that the node takes for a neighbour.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};

/// The node's listening addresses, once they are known. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Arc<OnceLock<Vec<SocketAddr>>>);

// === impl OwnAddresses ===

impl OwnAddresses {
    /// Says which they are, with the ports that the system chose. The first call counts.
    pub fn announce(&self, listeners: Vec<SocketAddr>) {
        self.0.set(listeners).ok();
    }

    /// Whether a connection to this address would end at a listener of the node.
    pub(super) fn include(&self, address: SocketAddr) -> bool {
        let listeners = self.0.get().map_or(&[][..], Vec::as_slice);
        listeners
            .iter()
            .any(|listener| reaches(*listener, address, is_local))
    }
}

fn reaches(listener: SocketAddr, address: SocketAddr, is_local: fn(IpAddr) -> bool) -> bool {
    if listener.port() != address.port() {
        return false;
    }
    let (own, called) = (listener.ip().to_canonical(), address.ip().to_canonical());
    match own {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => called.is_ipv4() && is_local(called),
        // Such a socket takes connections of both families.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => is_local(called),
        _ => own == called,
    }
}

/// Whether the address is one of this machine's. The system is asked which of its own
/// addresses it would send from: to an address of its own that is the address itself.
/// Nothing is sent. A list of the interfaces would need a netlink socket, which the
/// sandbox does not leave.
fn is_local(address: IpAddr) -> bool {
    // Connecting to it means connecting to the machine itself.
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, DISCARD))?;
        socket.local_addr()
    });
    match source {
        Ok(source) => source.ip() == address,
        // There is no way to it, so it is not here.
        Err(error) => !matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable
        ),
    }
}

/// Any port will do: nothing is sent to it.
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_listener_on_an_address_is_reached_there_and_nowhere_else() {
        let never = |_| false;
        let cases = [
            ("192.0.2.1:443", "192.0.2.1:443", true),
            ("192.0.2.1:443", "192.0.2.1:444", false),
            ("192.0.2.1:443", "192.0.2.2:443", false),
            ("[2001:db8::1]:443", "[2001:db8::1]:443", true),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1:443", true),
            ("192.0.2.1:443", "[::ffff:192.0.2.1]:443", true),
        ];
        for (listener, address, reached) in cases {
            let found = reaches(at(listener), at(address), never);
            assert_eq!(found, reached, "{listener} {address}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_at_those_of_the_machine() {
        let ours = |address: IpAddr| {
            let ours: [IpAddr; 2] = [[192, 0, 2, 1].into(), at("[2001:db8::1]:1").ip()];
            ours.contains(&address)
        };
        let cases = [
            ("0.0.0.0:443", "192.0.2.1:443", true),
            ("0.0.0.0:443", "192.0.2.1:80", false),
            ("0.0.0.0:443", "192.0.2.2:443", false),
            ("0.0.0.0:443", "[2001:db8::1]:443", false),
            ("[::]:443", "[2001:db8::1]:443", true),
            ("[::]:443", "192.0.2.1:443", true),
            ("[::]:443", "192.0.2.2:443", false),
        ];
        for (listener, address, reached) in cases {
            let found = reaches(at(listener), at(address), ours);
            assert_eq!(found, reached, "{listener} {address}");
        }
    }

    #[test]
    fn the_machines_own_addresses_are_told_from_others() {
        for local in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0"] {
            assert!(is_local(local.parse().expect(local)), "{local}");
        }
        // Documentation addresses are nobody's.
        for foreign in ["192.0.2.7", "2001:db8::7"] {
            assert!(!is_local(foreign.parse().expect(foreign)), "{foreign}");
        }
    }

    #[test]
    fn before_anything_listens_nothing_is_own() {
        let own = OwnAddresses::default();
        assert!(!own.include(at("127.0.0.1:443")));
        own.announce(vec![at("127.0.0.1:443")]);
        assert!(own.include(at("127.0.0.1:443")));
        own.announce(Vec::new());
        assert!(own.include(at("127.0.0.1:443")), "the first call counts");
    }
}
