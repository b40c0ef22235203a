//! Hosts that are connected to directly: `egress_proxy.no_proxy`, `NO_PROXY`.

use gateway_routes::is_loopback_host;
use ipnet::IpNet;
use std::net::IpAddr;
use url::{Host, Url};

/// Set of hosts. Loopback is always in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DirectHosts(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    All,
    Network(IpNet),
    /// Name in lower case, which stands for the names below it too, with an optional port.
    Name(String, Option<u16>),
}

impl DirectHosts {
    /// Parses entries: `*`, a name, an address or a network. Programs agree to skip what they do not know.
    pub(super) fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        Self(entries.into_iter().filter_map(|entry| Entry::parse(entry.trim())).collect())
    }

    /// Returns `true` for a URL whose host is connected to directly.
    pub(super) fn contains(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        match url.host() {
            None => true,
            Some(_) if url.host_str().is_some_and(is_loopback_host) => true,
            Some(Host::Domain(name)) => self.0.iter().any(|entry| entry.has_name(name, port)),
            Some(Host::Ipv4(address)) => self.has_address(address.into()),
            Some(Host::Ipv6(address)) => self.has_address(address.to_canonical()),
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.0.iter().any(|entry| match entry {
            Entry::All => true,
            Entry::Network(network) => network.contains(&address),
            Entry::Name(..) => false,
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(network) = bare.parse::<IpNet>() {
            return Some(Self::Network(network));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Network(address.into()));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name, port))
    }

    fn has_name(&self, name: &str, port: Option<u16>) -> bool {
        match self {
            Self::All => true,
            Self::Network(_) => false,
            Self::Name(entry, entry_port) => {
                let name = name.trim_end_matches('.');
                let is_below = || name.strip_suffix(&**entry).is_some_and(|below| below.ends_with('.'));
                (entry_port.is_none() || *entry_port == port) && (name == entry || is_below())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(entries: &str, url: &str) -> bool {
        DirectHosts::parse(entries.split(',')).contains(&Url::parse(url).unwrap())
    }

    #[test]
    fn names_stand_for_those_below_them_and_networks_for_addresses() {
        let entries =
            "Example.com, .corp.net,*.wild.org,host.io:8443,10.0.0.0/8,192.0.2.7,2001:db8::/32,?,:,";
        for (url, expected) in [
            ("https://example.com", true),
            ("https://acme.EXAMPLE.com./path", true),
            ("https://notexample.com", false),
            ("https://example.com.evil.net", false),
            ("https://corp.net", true),
            ("https://a.corp.net", true),
            ("https://a.wild.org", true),
            ("https://host.io", false),
            ("https://host.io:8443", true),
            ("https://10.9.8.7", true),
            ("https://11.9.8.7", false),
            ("https://192.0.2.7:8443", true),
            ("https://[2001:db8::1]", true),
            ("https://[::ffff:10.1.1.1]", true),
            ("https://[2001:db9::1]", false),
        ] {
            assert_eq!(contains(entries, url), expected, "{url}");
        }
    }

    #[test]
    fn loopback_is_direct_and_a_star_stands_for_all() {
        for url in ["http://localhost:7000", "https://a.localhost", "http://127.0.0.1:1", "http://[::1]"] {
            assert!(contains("", url), "{url}");
        }
        assert!(!contains("", "https://acme.okta.com"));
        assert!(contains("a, *", "https://acme.okta.com") && contains("*", "https://192.0.2.1"));
    }
}
