//! Geo header: the upstream is told where a client comes from.

use std::net::IpAddr;

use aegis_guest::{Error, config, entry, request};

entry!(geo_header);

/// Needs `config = { networks = "203.0.113.0/24=NZ 2001:db8::/32=DE" }`: the first that fits. A
/// table too large for the configuration fits in the cache, one entry per network.
fn geo_header() -> Result<(), Error> {
    let networks = config::value("networks")?.unwrap_or_default();
    let address = request::client_address()?;
    let country = networks
        .split_whitespace()
        .filter_map(|entry| entry.split_once('='))
        .find(|(network, _)| contains(network, address).unwrap_or(false));
    match country {
        Some((_, country)) => request::set_header("x-country", country),
        // No client may say so itself.
        None => request::remove_header("x-country"),
    }
}

/// `None` for what is no network.
fn contains(network: &str, address: IpAddr) -> Option<bool> {
    let (base, length) = network.split_once('/')?;
    let (base, address, bits) = match (base.parse().ok()?, address) {
        (IpAddr::V4(base), IpAddr::V4(it)) => (base.to_bits().into(), it.to_bits().into(), 32),
        (IpAddr::V6(base), IpAddr::V6(it)) => (base.to_bits(), it.to_bits(), 128),
        _ => return Some(false),
    };
    let free = u32::checked_sub(bits, length.parse().ok()?)?;
    let prefix = |address: u128| address.checked_shr(free).unwrap_or(0);
    Some(prefix(base) == prefix(address))
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::Host;

    use super::{contains, geo_header};

    #[test]
    fn the_country_is_that_of_the_first_network_that_fits() {
        let networks = "nonsense 203.0.113.0/24=NZ 203.0.0.0/8=AU 2001:db8::/32=DE";
        for (address, country) in [
            ("203.0.113.9", Some("NZ")),
            ("203.7.7.7", Some("AU")),
            ("2001:db8:1::1", Some("DE")),
            ("192.0.2.1", None),
            ("::1", None),
        ] {
            let host = Host::new().config("networks", networks);
            let mut host = host.header("X-Country", "forged").client_address(address);
            let outcome = host.run(geo_header);
            outcome.assert_ok();
            assert_eq!(outcome.request_header("x-country"), country, "{address}");
        }
    }

    #[test]
    fn the_edges_of_a_network_are_exact() {
        let fits = |network, address: &str| contains(network, address.parse().ok()?);
        assert_eq!(fits("10.0.0.0/31", "10.0.0.1"), Some(true));
        assert_eq!(fits("10.0.0.0/31", "10.0.0.2"), Some(false));
        assert_eq!(fits("0.0.0.0/0", "255.255.255.255"), Some(true));
        assert_eq!(fits("::/0", "ffff::"), Some(true));
        assert_eq!(fits("::1/128", "::1"), Some(true));
        assert_eq!(fits("10.0.0.0/33", "10.0.0.0"), None);
        assert_eq!(fits("10.0.0.0", "10.0.0.0"), None);
    }
}
