//! Whose word counts.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Networks of proxies that say who their clients are. None is trusted by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether a proxy may have this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<Network> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().map(|network| network.0).collect())
    }
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Text that is neither network nor address.
#[derive(Debug, thiserror::Error)]
#[error("it is neither a network nor an address")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network = text.parse::<IpNet>().ok();
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        network.or_else(address).map(Self).ok_or(NotANetwork)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_trusted() {
        let networks = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"];
        let trusted: TrustedProxies = networks
            .into_iter()
            .map(|text| text.parse::<Network>().expect(text))
            .collect();
        let contains = |address: &str| trusted.contains(address.parse().expect(address));
        for address in ["10.255.0.1", "192.0.2.1", "2001:db8::5", "::1"] {
            assert!(contains(address), "{address}");
        }
        for address in ["11.0.0.1", "192.0.2.2", "2001:db9::", "::2"] {
            assert!(!contains(address), "{address}");
        }
        for text in ["", "10.0.0.0/33", "a.test", "10.0.0"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
