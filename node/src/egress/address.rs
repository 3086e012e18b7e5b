//! Which addresses egress may connect to: public ones, and the operator's
//! exceptions. Pure, and decided on the address itself, never on its text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::own::OwnAddresses;

/// IPv4 blocks that are not the public internet: the IANA IPv4
/// special-purpose address registry (RFC 6890), multicast, and the one cloud
/// metadata address that hides in public space.
const SPECIAL_V4: [Ipv4Net; 20] = [
    v4([0, 0, 0, 0], 8),          // "this network", RFC 791
    v4([10, 0, 0, 0], 8),         // private use, RFC 1918
    v4([100, 64, 0, 0], 10),      // carrier-grade NAT, RFC 6598
    v4([127, 0, 0, 0], 8),        // loopback, RFC 1122
    v4([169, 254, 0, 0], 16),     // link-local and cloud metadata, RFC 3927
    v4([172, 16, 0, 0], 12),      // private use, RFC 1918
    v4([192, 0, 0, 0], 24),       // IETF protocol assignments, RFC 6890
    v4([192, 0, 2, 0], 24),       // documentation, RFC 5737
    v4([192, 31, 196, 0], 24),    // AS112, RFC 7535
    v4([192, 52, 193, 0], 24),    // multicast tunnelling, RFC 7450
    v4([192, 88, 99, 0], 24),     // 6to4 relays, RFC 7526
    v4([192, 168, 0, 0], 16),     // private use, RFC 1918
    v4([192, 175, 48, 0], 24),    // AS112, RFC 7534
    v4([198, 18, 0, 0], 15),      // benchmarking, RFC 2544
    v4([198, 51, 100, 0], 24),    // documentation, RFC 5737
    v4([203, 0, 113, 0], 24),     // documentation, RFC 5737
    v4([224, 0, 0, 0], 4),        // multicast, RFC 5771
    v4([240, 0, 0, 0], 4),        // reserved, RFC 1112
    v4([255, 255, 255, 255], 32), // limited broadcast, RFC 919
    v4([168, 63, 129, 16], 32),   // Azure's platform address ("wire server")
];

/// The only IPv6 space handed out for the public internet (RFC 4291).
/// Everything a private IPv4 address could hide in lies outside:
/// IPv4-mapped `::ffff:0:0/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`;
/// so do unique-local, link-local and multicast addresses.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Blocks inside [`GLOBAL_V6`] that are not the public internet: the IANA
/// IPv6 special-purpose address registry (RFC 6890).
const SPECIAL_V6: [Ipv6Net; 5] = [
    v6([0x2001, 0, 0], 23), // protocol assignments with Teredo, RFC 2928, RFC 4380
    v6([0x2001, 0x0db8, 0], 32), // documentation, RFC 3849
    v6([0x2002, 0, 0], 16), // 6to4, RFC 3056
    v6([0x2620, 0x004f, 0x8000], 48), // AS112, RFC 7534
    v6([0x3fff, 0, 0], 20), // documentation, RFC 9637
];

/// The node's rule for addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressPolicy {
    exempt: Vec<IpNet>,
    own: OwnAddresses,
}

/// Why an address is none to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Neither public nor exempt.
    NotPublic,
    /// The node listens there; no exemption covers that.
    Own,
}

/// Whether the address belongs to the public internet.
///
/// Loopback, private, link-local, multicast, reserved, documentation,
/// benchmarking, carrier-NAT and metadata addresses do not, nor do IPv6
/// addresses that wrap an IPv4 one, whatever it is.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|block| block.contains(&v4)),
        IpAddr::V6(v6) => {
            GLOBAL_V6.contains(&v6) && !SPECIAL_V6.iter().any(|block| block.contains(&v6))
        }
    }
}

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 3], length: u8) -> Ipv6Net {
    let [a, b, c] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

// === impl AddressPolicy ===

impl AddressPolicy {
    pub(super) fn new(exempt: &[IpNet], own: OwnAddresses) -> Self {
        Self {
            exempt: exempt.to_vec(),
            own,
        }
    }

    /// Whether the node may connect to this address.
    pub(super) fn check(&self, address: SocketAddr) -> Result<(), Refusal> {
        let ip = address.ip();
        if !is_public(ip) && !self.exempt.iter().any(|net| net.contains(&ip)) {
            return Err(Refusal::NotPublic);
        }
        match self.own.include(address) {
            true => Err(Refusal::Own),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
