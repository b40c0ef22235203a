//! The client's IP address behind trusted reverse proxies.

use gateway_routes::Network;
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the peer's address, or, when the peer is a trusted proxy, the right-most address in `X-Forwarded-For` that
/// is not a trusted proxy. Each proxy appends to the header, so the client controls everything further to the left.
///
/// An entry that is not an IP address ends the search. `Forwarded` (RFC 7239) is ignored: a proxy that sets one of the
/// two headers may pass the other one through unchecked.
pub fn address_of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    let mut client = peer.to_canonical();
    if !is_proxy(&client) {
        return client;
    }
    let lists = headers.get_all(X_FORWARDED_FOR).iter().map(|list| list.to_str().unwrap_or("not text"));
    let entries: Vec<&str> = lists.flat_map(|list| list.split(',')).collect();
    for entry in entries.into_iter().rev() {
        let Some(address) = parse_entry(entry.trim()) else { break };
        client = address;
        if !is_proxy(&client) {
            break;
        }
    }
    client
}

/// Parses one entry: some proxies append the port or write IPv6 addresses in brackets.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TRUSTED: &[Network] =
        &[Network::v4([10, 0, 0, 0], 8), Network::v6([0xfd00, 0, 0, 0, 0, 0, 0, 0], 8)];

    fn address(peer: &str, lists: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(list));
        }
        address_of(peer.parse().unwrap(), &headers, TRUSTED).to_string()
    }

    #[test]
    fn x_forwarded_for_counts_only_from_a_trusted_proxy() {
        assert_eq!(address("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(address("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            address("::ffff:10.0.0.1", &["203.0.113.9"]),
            "203.0.113.9",
            "mapped on a dual-stack socket"
        );
    }

    #[test]
    fn the_right_most_address_that_is_not_a_proxy_is_the_client() {
        assert_eq!(address("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["1.1.1.1", "203.0.113.9", "fd00::2"]), "203.0.113.9");
        assert_eq!(
            address("10.0.0.1", &["10.0.0.3,10.0.0.2"]),
            "10.0.0.3",
            "a proxy may itself be the client"
        );
    }

    #[test]
    fn an_entry_that_is_not_an_address_ends_the_list() {
        for list in ["", "unknown", "203.0.113.9, unknown", "203.0.113.9,,", "203.0.113.9; 10.0.0.2"] {
            assert_eq!(address("10.0.0.1", &[list]), "10.0.0.1", "{list}");
        }
        assert_eq!(address("10.0.0.1", &["203.0.113.9, x, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn ports_and_brackets_are_parsed() {
        for (list, expected) in [
            ("203.0.113.9:51000", "203.0.113.9"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(address("10.0.0.1", &[list]), expected);
        }
    }
}
