//! Blocks of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses that share their first bits (CIDR, RFC 4632; RFC 4291 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Of IPv4 addresses.
    V4 {
        /// The first address of the block.
        first: u32,
        /// Which bits are shared.
        mask: u32,
    },
    /// Of IPv6 addresses.
    V6 {
        /// The first address of the block.
        first: u128,
        /// Which bits are shared.
        mask: u128,
    },
}

impl Network {
    /// `first/prefix`.
    ///
    /// # Panics
    /// When `prefix` is longer than an address, or `first` has bits behind it.
    pub const fn v4(first: [u8; 4], prefix: u32) -> Self {
        assert!(prefix <= 32, "an IPv4 address has 32 bits");
        let first = u32::from_be_bytes(first);
        let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
        assert!(first & !mask == 0, "the address has bits behind its prefix");
        Self::V4 { first, mask }
    }

    /// `first/prefix`, by its eight groups.
    ///
    /// # Panics
    /// When `prefix` is longer than an address, or `first` has bits behind it.
    pub const fn v6(first: [u16; 8], prefix: u32) -> Self {
        assert!(prefix <= 128, "an IPv6 address has 128 bits");
        let first = Ipv6Addr::from_segments(first).to_bits();
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
        assert!(first & !mask == 0, "the address has bits behind its prefix");
        Self::V6 { first, mask }
    }

    /// Whether the address lies in the block; an IPv4 address that is mapped into IPv6 counts as itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4 { first, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *first,
            (Self::V6 { first, mask }, IpAddr::V6(address)) => address.to_bits() & mask == *first,
            _ => false,
        }
    }

    /// The first address and the length of the prefix.
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
    fn a_block_holds_the_addresses_that_share_its_prefix() {
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
