//! The address policy against the registries: first and last address of every
//! block, their neighbours outside, well-known addresses, and disguises.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

use Beside::{Nothing, Public, Special};

/// What lies next to a block.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Public,
    /// Another block, or one around it.
    Special,
    /// It is the first or the last of its family.
    Nothing,
}

/// Every entry of the IANA special-purpose address registries for IPv4 and IPv6, those
/// inside others too, with multicast and what else is not handed out, and what is before
/// and behind it.
const BLOCKS: [(&str, Beside, Beside); 60] = [
    ("0.0.0.0/8", Nothing, Public),
    ("0.0.0.0/32", Nothing, Special),
    ("10.0.0.0/8", Public, Public),
    ("100.64.0.0/10", Public, Public),
    ("127.0.0.0/8", Public, Public),
    ("169.254.0.0/16", Public, Public),
    ("172.16.0.0/12", Public, Public),
    ("192.0.0.0/24", Public, Public),
    ("192.0.0.0/29", Public, Special),
    ("192.0.0.8/32", Special, Special),
    ("192.0.0.9/32", Special, Special),
    ("192.0.0.10/32", Special, Special),
    ("192.0.0.170/32", Special, Special),
    ("192.0.0.171/32", Special, Special),
    ("192.0.2.0/24", Public, Public),
    ("192.31.196.0/24", Public, Public),
    ("192.52.193.0/24", Public, Public),
    ("192.88.99.0/24", Public, Public),
    ("192.88.99.2/32", Special, Special),
    ("192.168.0.0/16", Public, Public),
    ("192.175.48.0/24", Public, Public),
    ("198.18.0.0/15", Public, Public),
    ("198.51.100.0/24", Public, Public),
    ("203.0.113.0/24", Public, Public),
    ("224.0.0.0/4", Public, Special),
    ("240.0.0.0/4", Special, Nothing),
    ("255.255.255.255/32", Special, Nothing),
    ("168.63.129.16/32", Public, Public),
    ("::/128", Nothing, Special),
    ("::1/128", Special, Special),
    ("::/96", Nothing, Special),
    ("::ffff:0:0/96", Special, Special),
    ("::ffff:0:0:0/96", Special, Special),
    ("64:ff9b::/96", Special, Special),
    ("64:ff9b:1::/48", Special, Special),
    ("100::/64", Special, Special),
    ("100:0:0:1::/64", Special, Special),
    ("::/3", Nothing, Public),
    ("2001::/23", Public, Public),
    ("2001::/32", Public, Special),
    ("2001:1::1/128", Special, Special),
    ("2001:1::2/128", Special, Special),
    ("2001:1::3/128", Special, Special),
    ("2001:2::/48", Special, Special),
    ("2001:3::/32", Special, Special),
    ("2001:4:112::/48", Special, Special),
    ("2001:10::/28", Special, Special),
    ("2001:20::/28", Special, Special),
    ("2001:30::/28", Special, Special),
    ("2001:db8::/32", Public, Public),
    ("2002::/16", Public, Public),
    ("2620:4f:8000::/48", Public, Public),
    ("3fff::/20", Public, Public),
    ("4000::/2", Public, Special),
    ("5f00::/16", Special, Special),
    ("8000::/1", Special, Nothing),
    ("fc00::/7", Special, Special),
    ("fe80::/10", Special, Special),
    ("fec0::/10", Special, Special),
    ("ff00::/8", Special, Nothing),
];

/// Inside the blocks: metadata services, and public and private addresses in disguise.
const REFUSED: [&str; 57] = [
    "0.0.0.1",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.169.123",
    "172.17.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.19.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.254",
    "::2",
    "::7f00:1",
    "::808:808",
    "::a9fe:a9fe",
    "::ffff:7f00:1",
    "::ffff:808:808",
    "::ffff:a9fe:a9fe",
    "::ffff:a00:1",
    "::ffff:0:7f00:1",
    "::ffff:0:808:808",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:ffff::808:808",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:0:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:5::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:808:808::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1",
    "4000::1",
    "8000::1",
    "c000::1",
    "e000::1",
    "f000::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fec0::1",
    "ff02::1",
];

const PUBLIC: [&str; 33] = [
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "11.22.33.44",
    "52.1.2.3",
    "93.184.215.14",
    "100.0.0.1",
    "100.128.1.1",
    "104.16.0.1",
    "151.101.1.69",
    "172.15.1.1",
    "172.32.1.1",
    "185.199.108.153",
    "192.0.1.1",
    "192.1.1.1",
    "198.17.1.1",
    "198.20.1.1",
    "223.255.255.254",
    "2000::",
    "2000::1",
    "2001:470::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2400:cb00::1",
    "2600::1",
    "2606:4700:4700::1111",
    "2620:fe::fe",
    "2620:4f:7fff::1",
    "2a00:1450::1",
    "2c0f:ffff::1",
    "3ffe::1",
    "3fff:1000::1",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// The addresses before and behind a block.
fn neighbours(block: IpNet) -> (Option<IpAddr>, Option<IpAddr>) {
    match block {
        IpNet::V4(block) => {
            let (first, last) = (block.network().to_bits(), block.broadcast().to_bits());
            let at = |bits: u32| IpAddr::V4(bits.into());
            (first.checked_sub(1).map(at), last.checked_add(1).map(at))
        }
        IpNet::V6(block) => {
            let (first, last) = (block.network().to_bits(), block.broadcast().to_bits());
            let at = |bits: u128| IpAddr::V6(bits.into());
            (first.checked_sub(1).map(at), last.checked_add(1).map(at))
        }
    }
}

/// Every address of the tables, and whether it is public.
fn cases() -> Vec<(IpAddr, bool)> {
    let mut cases = Vec::new();
    for (block, before, behind) in BLOCKS {
        let net: IpNet = block.parse().expect(block);
        cases.extend([(net.network(), false), (net.broadcast(), false)]);
        let beside = neighbours(net);
        for (address, beside) in [(beside.0, before), (beside.1, behind)] {
            assert_eq!(address.is_none(), beside == Nothing, "beside {block}");
            cases.extend(address.map(|address| (address, beside == Public)));
        }
    }
    cases.extend(REFUSED.map(|text| (address(text), false)));
    cases.extend(PUBLIC.map(|text| (address(text), true)));
    cases
}

#[test]
fn every_block_is_refused_to_its_edges_and_no_further() {
    for (address, public) in cases() {
        assert_eq!(is_public(address), public, "{address}");
    }
}

#[test]
fn the_tables_are_as_large_as_they_look() {
    let mut addresses: Vec<_> = cases().into_iter().map(|(address, _)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(addresses.len() >= 200, "{}", addresses.len());
}

#[test]
fn an_exemption_covers_its_network_and_no_more() {
    let net: IpNet = "10.1.0.0/16".parse().unwrap();
    let policy = AddressPolicy::new(&[net], OwnAddresses::default());
    let checked = |text: &str| policy.check(SocketAddr::new(address(text), 443));
    assert_eq!(checked("10.1.2.3"), Ok(()));
    assert_eq!(checked("8.8.8.8"), Ok(()));
    assert_eq!(checked("10.2.0.1"), Err(Refusal::NotPublic));
    assert_eq!(checked("::ffff:10.1.2.3"), Err(Refusal::NotPublic));
}

#[test]
fn no_exemption_covers_the_node_itself() {
    let own = OwnAddresses::default();
    let listeners = ["127.0.0.1:443", "8.8.8.8:443"];
    own.announce(listeners.map(|text| text.parse().unwrap()).to_vec());
    let policy = AddressPolicy::new(&["127.0.0.0/8".parse().unwrap()], own);
    let checked = |text: &str| policy.check(text.parse().unwrap());
    assert_eq!(checked("127.0.0.1:443"), Err(Refusal::Own));
    assert_eq!(checked("8.8.8.8:443"), Err(Refusal::Own));
    for other in ["127.0.0.1:444", "127.0.0.2:443", "8.8.4.4:443"] {
        assert_eq!(checked(other), Ok(()), "{other}");
    }
}

proptest! {
    #[test]
    fn no_ipv6_address_outside_global_unicast_is_public(bits: u128) {
        let top = bits >> 125;
        let public = is_public(IpAddr::V6(bits.into()));
        prop_assert!(!public || top == 1);
    }

    #[test]
    fn wrapping_an_ipv4_address_never_makes_it_public(bits: u32) {
        let low = u128::from(bits);
        let wrapped = [
            low,
            0xffff << 32 | low,
            0x0064_ff9b << 96 | low,
            0x2002 << 112 | low << 80,
            0x2001 << 112 | low,
        ];
        for address in wrapped {
            prop_assert!(!is_public(IpAddr::V6(address.into())));
        }
    }
}
