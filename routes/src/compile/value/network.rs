//! Networks: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;
use crate::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Parses a network in CIDR notation.
pub(crate) fn network(text: &str) -> ParseResult<Network> {
    let invalid = || {
        let remedy = "write an address and the length of its prefix, such as 10.0.0.0/8 or 2001:db8::/32, or an \
                      address alone";
        ValueError::new(format!("{} is not a block of addresses", quoted(text)), remedy)
    };
    let (address, prefix) = text.split_once('/').unzip();
    let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| invalid())?;
    if address != address.to_canonical() {
        let remedy = format!("write it as IPv4, such as {}", address.to_canonical());
        return Err(ValueError::new(format!("{} is an IPv4-mapped IPv6 address", quoted(text)), remedy));
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| invalid())?
        }
        Some(_) => return Err(invalid()),
    };
    match prefix {
        0 => Err(ValueError::new(
            format!("{} matches every address", quoted(text)),
            "name the proxies' own addresses",
        )),
        prefix if prefix > bits => Err(invalid()),
        prefix => block(address, prefix, text),
    }
}

fn block(address: IpAddr, prefix: u32, text: &str) -> ParseResult<Network> {
    let first: IpAddr = match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - prefix))).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - prefix))).into(),
    };
    if first != address {
        let message = format!("{} has bits behind its prefix", quoted(text));
        return Err(ValueError::new(message, format!("write {first}/{prefix}, or a longer prefix")));
    }
    Ok(match first {
        IpAddr::V4(first) => Network::v4(first.octets(), prefix),
        IpAddr::V6(first) => Network::v6(first.segments(), prefix),
    })
}
