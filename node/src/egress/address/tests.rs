//! The address policy against the registries: first and last address of every
//! block, their neighbours outside, and well-known addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::{AddressPolicy, is_public};

const REFUSED: [&str; 114] = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.0",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.31.196.0",
    "192.31.196.255",
    "192.52.193.0",
    "192.52.193.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "192.175.48.0",
    "192.175.48.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "168.63.129.16",
    "2001::",
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::",
    "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2620:4f:8000::",
    "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
    "3fff::",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "0.0.0.1",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "172.17.0.1",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.0.192",
    "192.168.1.1",
    "198.19.0.1",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.254",
    "::",
    "::1",
    "::2",
    "::ffff:7f00:1",
    "::ffff:808:808",
    "::ffff:a9fe:a9fe",
    "::ffff:0:7f00:1",
    "::7f00:1",
    "::808:808",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "100:0:0:1::1",
    "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "4000::",
    "5f00::1",
    "8000::1",
    "c000::1",
    "e000::1",
    "f000::1",
    "fc00::",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:808:808::1",
    "2002:a9fe:a9fe::1",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff::1",
];

const PUBLIC: [&str; 77] = [
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.31.195.255",
    "192.31.197.0",
    "192.52.192.255",
    "192.52.194.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.47.255",
    "192.175.49.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2003::",
    "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
    "2620:4f:8001::",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
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
    text.parse().unwrap()
}

#[test]
fn special_addresses_are_not_public() {
    for text in REFUSED {
        assert!(!is_public(address(text)), "{text}");
    }
}

#[test]
fn neighbours_of_special_blocks_and_known_hosts_are_public() {
    for text in PUBLIC {
        assert!(is_public(address(text)), "{text}");
    }
}

#[test]
fn an_exemption_covers_its_network_and_no_more() {
    let net: IpNet = "10.1.0.0/16".parse().unwrap();
    let policy = AddressPolicy::new(&[net]);
    assert!(policy.permits(address("10.1.2.3")));
    assert!(policy.permits(address("8.8.8.8")));
    assert!(!policy.permits(address("10.2.0.1")));
    assert!(!policy.permits(address("::ffff:10.1.2.3")));
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
