//! Subnets for rate limits, so that the owner of many addresses counts as one client.

use ipnet::Ipv6Net;
use std::net::IpAddr;
use std::ops::Deref;

/// IPv6 prefix lengths that have limits, narrowest first, each with its multiple of one subscriber's limit. A subscriber
/// has at least a /64 (RFC 6177); many subscribers and rented servers have a /56 or a /48.
const IPV6_PREFIXES: [(u8, u32); 3] = [(64, 1), (56, 4), (48, 16)];

/// Prefix length of a subnet, then the bits of its prefix; an IPv4 address has the length 32 and is stored in the last
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubnetId([u8; 9]);

impl Deref for SubnetId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Subnet with its share of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Multiple of one subscriber's limit that it may use.
    pub multiple: u32,
}

/// Subnets of one address, narrowest first: an IPv4 address alone, or the /64, the /56 and the /48 of an IPv6
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnets {
    subnets: [Subnet; IPV6_PREFIXES.len()],
    count: usize,
}

impl Subnets {
    /// Computes the subnets of an address. An IPv4-mapped IPv6 address is the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let subnet = subnet(32, 1, &address.octets());
                Self { subnets: [subnet; IPV6_PREFIXES.len()], count: 1 }
            }
            IpAddr::V6(address) => {
                let subnets = IPV6_PREFIXES.map(|(length, multiple)| {
                    let network = Ipv6Net::new_assert(address, length).network();
                    subnet(length, multiple, &network.octets()[..8])
                });
                Self { subnets, count: subnets.len() }
            }
        }
    }

    /// Returns the subnets, narrowest first; there is at least one.
    pub fn as_slice(&self) -> &[Subnet] {
        &self.subnets[..self.count]
    }

    /// Returns the widest subnet.
    pub const fn widest(&self) -> &Subnet {
        &self.subnets[self.count - 1]
    }
}

fn subnet(length: u8, multiple: u32, prefix: &[u8]) -> Subnet {
    let mut id = [0; 9];
    id[0] = length;
    id[9 - prefix.len()..].copy_from_slice(prefix);
    Subnet { id: SubnetId(id), multiple }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of subnets that two addresses share.
    fn shared(one: &str, other: &str) -> usize {
        let of = |address: &str| Subnets::of(address.parse().unwrap());
        let (one, other) = (of(one), of(other));
        one.as_slice().iter().filter(|subnet| other.as_slice().contains(subnet)).count()
    }

    #[test]
    fn an_ipv6_address_is_counted_in_three_subnets() {
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:200:ffff::9"), 3, "one /64");
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:2ff::1"), 2, "one /56");
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:300::1"), 1, "one /48");
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:2:200::1"), 0);
    }

    #[test]
    fn an_ipv4_address_is_counted_by_itself_in_every_notation() {
        assert_eq!(shared("192.0.2.1", "::ffff:192.0.2.1"), 1);
        assert_eq!(shared("192.0.2.1", "192.0.2.2"), 0);
        assert_eq!(shared("192.0.2.1", "::192.0.2.1"), 0);
        assert_eq!(shared("0.0.0.0", "::"), 0);
    }

    #[test]
    fn a_wider_subnet_may_use_more() {
        let multiples = |address: &str| {
            let subnets = Subnets::of(address.parse().unwrap());
            subnets.as_slice().iter().map(|subnet| subnet.multiple).collect::<Vec<_>>()
        };
        assert_eq!(multiples("2001:db8::1"), [1, 4, 16]);
        assert_eq!(multiples("192.0.2.1"), [1]);
        assert_eq!(Subnets::of("2001:db8::1".parse().unwrap()).widest().multiple, 16);
    }
}
