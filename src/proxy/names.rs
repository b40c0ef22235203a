//! Names of headers that do not go through.

use std::borrow::Cow;

/// Hop-by-hop (RFC 9110 §7.6.1), whatever `Connection` says; and `Expect`, since we read the body whether or not the
/// server would have said "continue".
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What we say ourselves, and what is said to us alone.
const OURS: &[&str] = &["authorization", "content-length", "cookie", "host"];
/// What servers and frameworks believe about who is asking, or from where.
const IDENTITY: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "remote-user",
    "x-user",
    "x-email",
    "x-groups",
    "x-username",
    "x-user-id",
    "x-user-name",
    "x-user-email",
    "x-user-groups",
    "x-user-roles",
    "x-api-user",
    "ssl-client-cert",
    "ssl-client-s-dn",
];
/// The same, as beginnings.
const IDENTITY_PREFIXES: &[&str] = &[
    "x-forwarded",
    "x-gateway-",
    "x-original-",
    "x-auth-request-",
    "x-remote-",
    "x-authenticated-",
    "x-envoy-",
    "x-amzn-oidc-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-webauth-",
    "x-pomerium-",
    "x-ssl-client",
    "x-client-cert",
    "cf-access-",
    "tailscale-",
];
/// What a server may not tell the gateway's clients.
const SENSITIVE: &[&str] =
    &["set-cookie", "clear-site-data", "www-authenticate", "strict-transport-security", "alt-svc"];

/// What a client sends and no server sees.
pub(super) const KEPT_FROM_SERVERS: Names = Names::new(&[HOP_BY_HOP, OURS, IDENTITY], IDENTITY_PREFIXES);
/// What a server sends and no client sees.
pub(super) const KEPT_FROM_CLIENTS: Names = Names::new(&[HOP_BY_HOP, SENSITIVE], &["access-control-"]);

/// A set of names, and of beginnings of names.
pub(super) struct Names {
    lists: &'static [&'static [&'static str]],
    beginnings: &'static [&'static str],
    /// What rules nearly every header out: of names, and of beginnings.
    looks: [Looks; 2],
}

/// By the first letter of some names, what their second one and their length can be.
struct Looks {
    seconds: [u32; 26],
    lengths: [u32; 26],
}

impl Names {
    const fn new(lists: &'static [&'static [&'static str]], beginnings: &'static [&'static str]) -> Self {
        let mut names = Looks::NONE;
        let mut list = 0;
        while list < lists.len() {
            names = names.and(lists[list]);
            list += 1;
        }
        Self { lists, beginnings, looks: [names, Looks::NONE.and(beginnings).of_any_length()] }
    }

    /// Whether a lower-case name is one of them, every sign in it read as `-`: CGI-like servers make `_` of all of
    /// them and cannot tell which it was.
    pub(super) fn have(&self, name: &str) -> bool {
        if !self.looks.iter().any(|looks| looks.fit(name.as_bytes())) {
            return false;
        }
        let name = dashed(name);
        self.lists.iter().any(|names| names.contains(&&*name))
            || self.beginnings.iter().any(|beginning| name.starts_with(beginning))
    }
}

impl Looks {
    const NONE: Self = Self { seconds: [0; 26], lengths: [0; 26] };

    const fn and(mut self, names: &[&str]) -> Self {
        let mut at = 0;
        while at < names.len() {
            let [first, second, ..] = names[at].as_bytes() else { panic!("a name has two letters") };
            let first = (*first - b'a') as usize;
            self.seconds[first] |= letter(*second);
            self.lengths[first] |= length(names[at].len());
            at += 1;
        }
        self
    }

    const fn of_any_length(mut self) -> Self {
        self.lengths = [u32::MAX; 26];
        self
    }

    fn fit(&self, name: &[u8]) -> bool {
        let [first, second, ..] = *name else { return false };
        let first = usize::from(first.wrapping_sub(b'a'));
        first < 26
            && self.seconds[first] & letter(second) != 0
            && self.lengths[first] & length(name.len()) != 0
    }
}

/// A place for each letter, and one for all signs.
const fn letter(letter: u8) -> u32 {
    if letter.is_ascii_lowercase() { 1 << (letter - b'a') } else { 1 << 26 }
}

/// A place for each length, and one for all that are greater.
const fn length(length: usize) -> u32 {
    1 << if length < 31 { length } else { 31 }
}

/// The name with `-` for every sign in it.
pub(super) fn dashed(name: &str) -> Cow<'_, str> {
    // Counted to the end rather than `any`: the compiler then looks at many bytes at once.
    let is_sign = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'-';
    if name.bytes().filter(is_sign).count() > 0 {
        name.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_alike_of_an_identity_header_is_known() {
        for name in [
            "x-forwarded-user",
            "x_forwarded_groups",
            "x.forwarded~user",
            "x-real-ip",
            "x-original-url",
            "remote_user",
            "x-gateway-assertion",
            "tailscale_user",
        ] {
            assert!(KEPT_FROM_SERVERS.have(name), "{name}");
        }
        for name in
            ["mcp-session-id", "x-request-id", "traceparent", "x-custom", "user-agent", "x", "7x", "te-x"]
        {
            assert!(!KEPT_FROM_SERVERS.have(name), "{name}");
        }
    }

    #[test]
    fn no_name_is_ruled_out_by_its_first_letters() {
        for names in [KEPT_FROM_SERVERS, KEPT_FROM_CLIENTS] {
            let all = names.lists.concat().into_iter().chain(names.beginnings.iter().copied());
            for name in all {
                assert!(names.have(name), "{name}");
            }
        }
    }
}
