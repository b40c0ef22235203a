//! Loopback hosts: the one decision for build time and run time.

use std::net::IpAddr;

/// Returns `true` for a host that is this computer: `localhost` and names below it (RFC 6761 §6.3), 127.0.0.0/8 (RFC 1122
/// §3.2.1.3) and `::1` (RFC 4291 §2.5.3), also as an IPv4-mapped address.
///
/// The host may be written in any case, with a trailing dot, and, when it is an IPv6 address, in brackets.
pub fn is_loopback_host(host: &str) -> bool {
    match address(host) {
        Some(address) => address.is_loopback(),
        None => is_localhost(host.strip_suffix('.').unwrap_or(host)),
    }
}

/// Returns `true` for a loopback host, followed by a port or not, as in the authority of a URL or of an origin.
pub fn is_loopback_authority(authority: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match authority.rsplit_once(':') {
        // An address without brackets has no port.
        Some((host, port)) if is_port(port) && (host.ends_with(']') || !host.contains(':')) => {
            is_loopback_host(host)
        }
        _ => is_loopback_host(authority),
    }
}

/// Returns `true` for a host whose connections end at this computer: a loopback host, or the unspecified address, which
/// most systems connect to loopback.
pub fn leads_to_own_computer(host: &str) -> bool {
    is_loopback_host(host) || address(host).is_some_and(|address| address.is_unspecified())
}

/// Returns `true` for the loopback hosts of native apps (RFC 8252 §7.3, §8.3): exactly `localhost`, `127.0.0.1` and
/// `[::1]`. Their redirect URIs match on any port, so that each further name would be one more to claim.
pub fn is_native_app_host(host: &str) -> bool {
    is_loopback_host(host) && ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// Parses an address, in brackets or not; an IPv4-mapped one is the IPv4 address.
fn address(host: &str) -> Option<IpAddr> {
    let address: IpAddr = match host.strip_prefix('[') {
        Some(rest) => IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?),
        None => host.parse().ok()?,
    };
    Some(address.to_canonical())
}

fn is_localhost(name: &str) -> bool {
    const LOCALHOST: &str = "localhost";
    let Some((below, last)) =
        name.len().checked_sub(LOCALHOST.len()).and_then(|at| name.split_at_checked(at))
    else {
        return false;
    };
    last.eq_ignore_ascii_case(LOCALHOST)
        && (below.is_empty() || below.len() > 1 && below.ends_with('.') && !below.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &[&str] = &[
        "localhost",
        "LocalHost",
        "localhost.",
        "app.localhost",
        "a.b.LOCALHOST.",
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.255",
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "[::ffff:127.0.0.1]",
        "::ffff:7f00:2",
    ];
    const UNSPECIFIED: &[&str] = &["0.0.0.0", "::", "[::]", "[::ffff:0.0.0.0]"];
    const OTHER: &[&str] = &[
        "",
        ".",
        "[]",
        "localhos",
        "localhost..",
        ".localhost",
        "..localhost",
        "notlocalhost",
        "localhost.example.com",
        "localhost.localdomain",
        "\u{e9}localhost",
        "localhos\u{e9}",
        "[localhost]",
        "[127.0.0.1]",
        "127.0.0.1.",
        "127.0.0.1.example.com",
        "127.1",
        "128.0.0.1",
        "126.255.255.255",
        "10.0.0.1",
        "::2",
        "[::1",
        "::1]",
        "[::1]:80",
        "localhost:80",
        "::127.0.0.1",
        "[::ffff:128.0.0.1]",
        "fe80::1",
    ];

    #[test]
    fn loopback_is_decided_by_name_and_address() {
        for host in LOOPBACK {
            assert!(is_loopback_host(host) && leads_to_own_computer(host), "{host}");
        }
        for host in UNSPECIFIED {
            assert!(!is_loopback_host(host) && leads_to_own_computer(host), "{host}");
        }
        for host in OTHER {
            assert!(!is_loopback_host(host) && !leads_to_own_computer(host), "{host:?}");
        }
    }

    #[test]
    fn an_authority_may_have_a_port() {
        for host in LOOPBACK {
            assert!(is_loopback_authority(host), "{host}");
            let with_port = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]:3000")
            } else {
                format!("{host}:3000")
            };
            assert!(is_loopback_authority(&with_port), "{with_port}");
        }
        for authority in [
            "localhost:",
            "localhost:3000/",
            "localhost:x@example.com",
            "localhost:1:2",
            "user@localhost:80",
            "[::1]80",
            "example.com:80",
            "localhost.example.com:80",
        ] {
            assert!(!is_loopback_authority(authority), "{authority}");
        }
    }

    #[test]
    fn native_apps_have_exactly_three_loopback_hosts() {
        let all = LOOPBACK.iter().chain(UNSPECIFIED).chain(OTHER);
        let hosts: Vec<_> = all.filter(|host| is_native_app_host(host)).collect();
        assert_eq!(hosts, [&"localhost", &"127.0.0.1", &"[::1]"]);
    }
}
