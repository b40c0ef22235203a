//! Networks: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;
use crate::Network;
use ipnet::IpNet;
use std::net::IpAddr;

/// Parses a network in CIDR notation.
pub(crate) fn network(text: &str) -> ParseResult<Network> {
    let invalid = || {
        let remedy = "write an address and the length of its prefix, such as 10.0.0.0/8 or 2001:db8::/32, or an \
                      address alone";
        ValueError::new(format!("{} is not a block of addresses", quoted(text)), remedy)
    };
    let network: IpNet = if text.contains('/') {
        text.parse().map_err(|_| invalid())?
    } else {
        text.parse::<IpAddr>().map_err(|_| invalid())?.into()
    };
    let canonical = network.addr().to_canonical();
    if network.addr() != canonical {
        let message = format!("{} is an IPv4-mapped IPv6 address", quoted(text));
        return Err(ValueError::new(message, format!("write it as IPv4, such as {canonical}")));
    }
    if network.prefix_len() == 0 {
        let message = format!("{} matches every address", quoted(text));
        return Err(ValueError::new(message, "name the proxies' own addresses"));
    }
    if network.addr() != network.network() {
        let message = format!("{} has bits behind its prefix", quoted(text));
        return Err(ValueError::new(message, format!("write {}, or a longer prefix", network.trunc())));
    }
    Ok(match network {
        IpNet::V4(network) => Network::v4(network.addr().octets(), network.prefix_len()),
        IpNet::V6(network) => Network::v6(network.addr().segments(), network.prefix_len()),
    })
}
