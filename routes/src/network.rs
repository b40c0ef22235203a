//! IP networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP network in CIDR notation (RFC 4632, RFC 4291 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// IPv4 network.
    V4 {
        /// Network address.
        first: u32,
        /// Network mask.
        mask: u32,
    },
    /// IPv6 network.
    V6 {
        /// Network address.
        first: u128,
        /// Network mask.
        mask: u128,
    },
}

impl Network {
    /// Creates the IPv4 network `first/prefix`.
    ///
    /// # Panics
    /// `prefix` is longer than an address, or `first` has bits outside the mask.
    pub const fn v4(first: [u8; 4], prefix: u32) -> Self {
        assert!(prefix <= 32, "an IPv4 address has 32 bits");
        let first = u32::from_be_bytes(first);
        let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
        assert!(first & !mask == 0, "the address has bits behind its prefix");
        Self::V4 { first, mask }
    }

    /// Creates the IPv6 network `first/prefix` from eight groups.
    ///
    /// # Panics
    /// `prefix` is longer than an address, or `first` has bits outside the mask.
    pub const fn v6(first: [u16; 8], prefix: u32) -> Self {
        assert!(prefix <= 128, "an IPv6 address has 128 bits");
        let first = Ipv6Addr::from_segments(first).to_bits();
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
        assert!(first & !mask == 0, "the address has bits behind its prefix");
        Self::V6 { first, mask }
    }

    /// Returns true when the network contains an address; an IPv4-mapped IPv6 address is compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4 { first, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *first,
            (Self::V6 { first, mask }, IpAddr::V6(address)) => address.to_bits() & mask == *first,
            _ => false,
        }
    }

    /// Network address and prefix length.
    pub const fn parts(&self) -> (IpAddr, u32) {
        match self {
            Self::V4 { first, mask } => (IpAddr::V4(Ipv4Addr::from_bits(*first)), mask.count_ones()),
            Self::V6 { first, mask } => (IpAddr::V6(Ipv6Addr::from_bits(*first)), mask.count_ones()),
        }
    }
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
    }
}
