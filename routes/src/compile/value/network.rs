//! `10.0.0.0/8`, `2001:db8::/32`, or one address.

use super::super::problem::{Wrong, quoted};
use super::Parsed;
use crate::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses, written by its first one.
pub(crate) fn network(text: &str) -> Parsed<Network> {
    let wrong = || {
        let remedy = "write an address and the length of its prefix, such as 10.0.0.0/8 or 2001:db8::/32, or an \
                      address alone";
        Wrong::new(format!("{} is not a block of addresses", quoted(text)), remedy)
    };
    let (address, prefix) = text.split_once('/').unzip();
    let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| wrong())?;
    if address != address.to_canonical() {
        let remedy = format!("write it as IPv4, such as {}", address.to_canonical());
        return Err(Wrong::new(format!("{} is IPv4 in the dress of IPv6", quoted(text)), remedy));
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| wrong())?,
        Some(_) => return Err(wrong()),
    };
    match prefix {
        0 => Err(Wrong::new(format!("{} is everybody", quoted(text)), "name the proxies' own addresses")),
        prefix if prefix > bits => Err(wrong()),
        prefix => block(address, prefix, text),
    }
}

fn block(address: IpAddr, prefix: u32, text: &str) -> Parsed<Network> {
    let first: IpAddr = match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - prefix))).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - prefix))).into(),
    };
    if first != address {
        let wrong = format!("{} has bits behind its prefix", quoted(text));
        return Err(Wrong::new(wrong, format!("write {first}/{prefix}, or a longer prefix")));
    }
    Ok(match first {
        IpAddr::V4(first) => Network::v4(first.octets(), prefix),
        IpAddr::V6(first) => Network::v6(first.segments(), prefix),
    })
}
