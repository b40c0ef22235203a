//! IP networks.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP network in CIDR notation (RFC 4632, RFC 4291 §2.3). Unlike [`IpNet`], it has no bits behind its prefix, compares
/// IPv4-mapped IPv6 addresses as IPv4, and has constructors for constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Creates the IPv4 network `first/prefix`.
    ///
    /// # Panics
    /// `prefix` is longer than an address, or `first` has bits behind it.
    pub const fn v4(first: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = first;
        let first = Ipv4Addr::new(a, b, c, d);
        let network = Ipv4Net::new_assert(first, prefix);
        assert!(has_prefix(first.to_bits() as u128, 32 - prefix), "the address has bits behind its prefix");
        Self(IpNet::V4(network))
    }

    /// Creates the IPv6 network `first/prefix` from eight groups.
    ///
    /// # Panics
    /// `prefix` is longer than an address, or `first` has bits behind it.
    pub const fn v6(first: [u16; 8], prefix: u8) -> Self {
        let first = Ipv6Addr::from_segments(first);
        let network = Ipv6Net::new_assert(first, prefix);
        assert!(has_prefix(first.to_bits(), 128 - prefix), "the address has bits behind its prefix");
        Self(IpNet::V6(network))
    }

    /// Returns `true` when the network contains an address; an IPv4-mapped IPv6 address is compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Network address and prefix length.
    pub const fn get(&self) -> IpNet {
        self.0
    }
}

/// Returns `true` when the last bits of an address are zero.
const fn has_prefix(address: u128, last_bits: u8) -> bool {
    address.trailing_zeros() >= last_bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        let private = Network::v4([10, 0, 0, 0], 8);
        let documentation = Network::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32);
        let contains =
            |network: &Network, address: &str| network.contains(address.parse().expect("an address"));
        for address in ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"] {
            assert!(contains(&private, address), "{address}");
        }
        for address in ["11.0.0.0", "9.255.255.255", "2001:db8::1", "::10.1.2.3"] {
            assert!(!contains(&private, address), "{address}");
        }
        assert!(contains(&documentation, "2001:db8:ffff::1"));
        assert!(!contains(&documentation, "2001:db9::"));
        assert!(contains(&Network::v4([192, 0, 2, 7], 32), "192.0.2.7"));
        assert!(!contains(&Network::v4([192, 0, 2, 7], 32), "192.0.2.6"));
        assert!(contains(&Network::v4([0, 0, 0, 0], 0), "255.255.255.255"));
    }

    #[test]
    #[should_panic(expected = "bits behind its prefix")]
    fn an_ipv4_network_has_no_bits_behind_its_prefix() {
        let _ = Network::v4([10, 0, 0, 1], 31);
    }

    #[test]
    #[should_panic(expected = "bits behind its prefix")]
    fn an_ipv6_network_has_no_bits_behind_its_prefix() {
        let _ = Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 127);
    }
}
