//! Public addresses: all addresses that the special-purpose registries (RFC 6890) do not contain.

use gateway_routes::Network;
use std::net::IpAddr;

/// Global unicast addresses of IPv6 (RFC 4291 §2.4).
const GLOBAL_UNICAST: Network = Network::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Special-purpose networks, each with its RFC.
const SPECIAL: &[Network] = &[
    Network::v4([0, 0, 0, 0], 8),                   // this network, RFC 1122 §3.2.1.3
    Network::v4([10, 0, 0, 0], 8),                  // private, RFC 1918
    Network::v4([100, 64, 0, 0], 10),               // carriers' NAT, RFC 6598
    Network::v4([127, 0, 0, 0], 8),                 // loopback, RFC 1122 §3.2.1.3
    Network::v4([168, 63, 129, 16], 32),            // Azure's platform, which only machines there reach
    Network::v4([169, 254, 0, 0], 16),              // link-local, where clouds keep their metadata, RFC 3927
    Network::v4([172, 16, 0, 0], 12),               // private, RFC 1918
    Network::v4([192, 0, 0, 0], 24),                // protocol assignments, RFC 6890 §2.1
    Network::v4([192, 0, 2, 0], 24),                // documentation, RFC 5737
    Network::v4([192, 31, 196, 0], 24),             // AS112, RFC 7535
    Network::v4([192, 52, 193, 0], 24),             // AMT, RFC 7450
    Network::v4([192, 88, 99, 0], 24),              // 6to4 relays, RFC 7526
    Network::v4([192, 168, 0, 0], 16),              // private, RFC 1918
    Network::v4([192, 175, 48, 0], 24),             // AS112, RFC 7534
    Network::v4([198, 18, 0, 0], 15),               // benchmarks, RFC 2544
    Network::v4([198, 51, 100, 0], 24),             // documentation, RFC 5737
    Network::v4([203, 0, 113, 0], 24),              // documentation, RFC 5737
    Network::v4([224, 0, 0, 0], 4),                 // multicast, RFC 5771
    Network::v4([240, 0, 0, 0], 4),                 // reserved, broadcast among it, RFC 1112 §4
    Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, Teredo among them, RFC 2928
    Network::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation, RFC 3849
    Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which carries an IPv4 address, RFC 3056
    Network::v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112, RFC 7534
    Network::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation, RFC 9637
];

/// Returns `true` for an address on the public internet. An IPv4-mapped IPv6 address is never public: DNS does not use
/// them.
pub fn is_public(address: IpAddr) -> bool {
    let global = match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_none() && GLOBAL_UNICAST.contains(address.into()),
    };
    global && !SPECIAL.iter().any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL_V4: &str = "
        0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 168.63.129.16
        169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1
        198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
        255.255.255.255";
    const SPECIAL_V6: &str = "
        :: ::1 ::ffff:1.1.1.1 64:ff9b::1.1.1.1 64:ff9b:1::1 100::1 2001::1 2001:10::1 2001:db8::1
        2002:7f00:1:: 2002:101:101::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
        4000::1";

    fn public(address: &str) -> bool {
        is_public(address.parse().expect("an address"))
    }

    #[test]
    fn global_addresses_are_public() {
        for address in
            ["1.1.1.1", "100.63.255.255", "172.32.0.1", "8.8.8.8", "2606:4700::1111", "2a00::1", "3ffe::1"]
        {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn special_purpose_addresses_are_not_public_in_any_notation() {
        for address in SPECIAL_V4.split_whitespace() {
            assert!(!public(address), "{address}");
            assert!(!public(&format!("::ffff:{address}")), "mapped {address}");
            assert!(!public(&format!("::{address}")), "compatible {address}");
            assert!(!public(&format!("64:ff9b::{address}")), "NAT64 {address}");
        }
        for address in SPECIAL_V6.split_whitespace() {
            assert!(!public(address), "{address}");
        }
    }
}
