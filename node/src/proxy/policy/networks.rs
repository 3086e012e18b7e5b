//! Which addresses a route is open to.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Some networks. Looking an address up takes the same few steps however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Box<[IpNet]>);

/// One network, or an address of its own, as a configuration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Why a text is not a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor an address with a prefix length.
    #[error("not an address or a network")]
    Form,
    /// It has bits behind its prefix.
    #[error("the network of that is {0}")]
    HostBits(IpNet),
    /// Clients that come with such an address are known by the IPv4 address in it.
    #[error("an ipv4 address in ipv6, which is taken for the ipv4 address: write that")]
    Mapped,
}

/// Whom a route is open to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// Refused.
    pub deny: Networks,
    /// All others are refused, unless it is empty.
    pub allow: Networks,
}

// === impl AddressRules ===

impl AddressRules {
    /// Whether a request from this address may go on; a client without one is in no network.
    pub fn admit(&self, client: Option<IpAddr>) -> bool {
        let is_in = |networks: &Networks| client.is_some_and(|client| networks.contain(client));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }

    /// Whether every request may go on.
    pub fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.allow.is_empty()
    }
}

// === impl Networks ===

impl Networks {
    /// Whether the address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let side = |network: &IpNet| match network.contains(&address) {
            true => Ordering::Equal,
            false => network.network().cmp(&address),
        };
        self.0.binary_search_by(side).is_ok()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Self {
        let networks: Vec<_> = networks.into_iter().map(|network| network.0).collect();
        // No two of them overlap then, so that each has one place in the order.
        let mut apart = IpNet::aggregate(&networks);
        apart.sort_by_key(IpNet::network);
        Self(apart.into())
    }
}

// === impl Network ===

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| NetworkError::Form)?,
        };
        if network.trunc() != network {
            return Err(NetworkError::HostBits(network.trunc()));
        }
        match network.network() {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => Err(NetworkError::Mapped),
            _ => Ok(Self(network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        let parsed = texts.iter().map(|text| text.parse::<Network>());
        parsed.collect::<Result<_, _>>().expect("networks")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_found_among_many_networks() {
        let many: Vec<String> = (0..200).map(|i| format!("10.{i}.0.0/17")).collect();
        let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
        all.extend(["192.0.2.7", "2001:db8::/32", "10.7.3.0/24", "::1"]);
        let networks = networks(&all);
        for inside in [
            "10.0.0.1",
            "10.199.127.255",
            "10.7.3.9",
            "192.0.2.7",
            "2001:db8::1",
            "::1",
        ] {
            assert!(networks.contain(address(inside)), "{inside}");
        }
        for outside in [
            "10.200.0.1",
            "10.7.128.0",
            "192.0.2.8",
            "2001:db9::",
            "::",
            "9.9.9.9",
        ] {
            assert!(!networks.contain(address(outside)), "{outside}");
        }
    }

    #[test]
    fn what_is_denied_is_denied_also_where_it_is_allowed() {
        let rules = AddressRules {
            deny: networks(&["10.1.0.0/16"]),
            allow: networks(&["10.0.0.0/8"]),
        };
        let admits = |text| rules.admit(Some(address(text)));
        assert!(admits("10.2.0.1"));
        assert!(!admits("10.1.0.1"));
        assert!(!admits("11.0.0.1"));
        assert!(!rules.admit(None), "nobody knows who it is");
        let deny = AddressRules {
            allow: Networks::default(),
            ..rules
        };
        assert!(deny.admit(Some(address("11.0.0.1"))));
        assert!(!deny.admit(Some(address("10.1.2.3"))));
    }

    #[test]
    fn networks_have_one_way_of_writing() {
        let error = |text: &str| text.parse::<Network>().err();
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0", "10.0.0.0/8 "] {
            assert_eq!(error(text), Some(NetworkError::Form), "{text}");
        }
        let network = "10.0.0.0/8".parse().expect("a network");
        assert_eq!(error("10.0.0.1/8"), Some(NetworkError::HostBits(network)));
        assert_eq!(error("::ffff:10.0.0.1"), Some(NetworkError::Mapped));
        assert!("::/0".parse::<Network>().is_ok());
    }
}
