//! Names of headers that do not go through.

mod believed;

use believed::{IDENTITY, IDENTITY_PREFIXES, ORIGIN, ORIGIN_PREFIXES, OVERRIDES};
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
/// What a server may not tell the gateway's clients.
const SENSITIVE: &[&str] =
    &["set-cookie", "clear-site-data", "www-authenticate", "strict-transport-security", "alt-svc"];

/// What a client sends and no server sees.
pub(super) const KEPT_FROM_SERVERS: Names =
    Names::new(&[HOP_BY_HOP, OURS, IDENTITY, ORIGIN, OVERRIDES], &[IDENTITY_PREFIXES, ORIGIN_PREFIXES]);
/// What a server sends and no client sees.
pub(super) const KEPT_FROM_CLIENTS: Names = Names::new(&[HOP_BY_HOP, SENSITIVE], &[&["access-control-"]]);

/// A set of names, and of beginnings of names.
pub(super) struct Names {
    lists: Lists,
    beginnings: Lists,
    /// What rules nearly every header out: of names, and of beginnings.
    looks: [Looks; 2],
}

type Lists = &'static [&'static [&'static str]];

/// By the first letter of some names, what their second one and their length can be. Of a name that begins with `x-`
/// the letters behind that count, in rows of their own.
struct Looks {
    seconds: [u32; ROWS],
    lengths: [u32; ROWS],
}

const ROWS: usize = 2 * 26;

impl Names {
    const fn new(lists: Lists, beginnings: Lists) -> Self {
        let looks = [Looks::of(lists), Looks::of(beginnings).of_any_length()];
        Self { lists, beginnings, looks }
    }

    /// Whether a lower-case name is one of them, every sign in it read as `-`: CGI-like servers make `_` of all of
    /// them and cannot tell which it was.
    pub(super) fn have(&self, name: &str) -> bool {
        if !self.looks.iter().any(|looks| looks.fit(name.as_bytes())) {
            return false;
        }
        let name = dashed(name);
        let begins = |beginning: &&str| name.starts_with(beginning);
        self.lists.iter().any(|names| names.contains(&&*name))
            || self.beginnings.iter().any(|beginnings| beginnings.iter().any(begins))
    }
}

impl Looks {
    const fn of(lists: Lists) -> Self {
        let mut looks = Self { seconds: [0; ROWS], lengths: [0; ROWS] };
        let mut list = 0;
        while list < lists.len() {
            let names = lists[list];
            let mut at = 0;
            while at < names.len() {
                let Some((row, second)) = place(names[at].as_bytes()) else {
                    panic!("a name has two letters")
                };
                looks.seconds[row] |= second;
                looks.lengths[row] |= length(names[at].len());
                at += 1;
            }
            list += 1;
        }
        looks
    }

    const fn of_any_length(mut self) -> Self {
        self.lengths = [u32::MAX; ROWS];
        self
    }

    fn fit(&self, name: &[u8]) -> bool {
        place(name).is_some_and(|(row, second)| {
            self.seconds[row] & second != 0 && self.lengths[row] & length(name.len()) != 0
        })
    }
}

/// The row of a name, and the place of its second letter.
const fn place(name: &[u8]) -> Option<(usize, u32)> {
    let (rows, name) = match name {
        [b'x', sign, rest @ ..] if !sign.is_ascii_alphanumeric() => (26, rest),
        _ => (0, name),
    };
    let [first, second, ..] = name else { return None };
    if first.is_ascii_lowercase() { Some((rows + (*first - b'a') as usize, letter(*second))) } else { None }
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
            "x_rewrite.url",
            "remote_user",
            "oidc_claim_email",
            "x-gateway-assertion",
            "tailscale_user",
            "proxy",
        ] {
            assert!(KEPT_FROM_SERVERS.have(name), "{name}");
        }
    }

    #[test]
    fn what_clients_send_in_honesty_is_not_among_them() {
        for name in [
            "accept",
            "accept-language",
            "baggage",
            "cdn-loop",
            "cf-ray",
            "content-type",
            "last-event-id",
            "mcp-param-user",
            "mcp-protocol-version",
            "mcp-session-id",
            "priority",
            "referer",
            "sec-fetch-mode",
            "sentry-trace",
            "traceparent",
            "tracestate",
            "user-agent",
            "x-access-token",
            "x-amzn-trace-id",
            "x-api-key",
            "x-auth-token",
            "x-b3-traceid",
            "x-client-version",
            "x-cloud-trace-context",
            "x-correlation-id",
            "x-custom",
            "x-goog-api-key",
            "x-grafana-url",
            "x-mcp-readonly",
            "x-ms-client-request-id",
            "x-request-id",
            "x-requested-with",
            "x-session-id",
            "x-team",
            "x-user-agent",
            "x-vercel-protection-bypass",
            "x",
            "x-",
            "x-a",
            "7x",
            "te-x",
        ] {
            assert!(!KEPT_FROM_SERVERS.have(name), "{name}");
        }
    }

    #[test]
    fn no_name_is_ruled_out_by_its_first_letters() {
        for names in [KEPT_FROM_SERVERS, KEPT_FROM_CLIENTS] {
            for name in names.lists.concat().into_iter().chain(names.beginnings.concat()) {
                assert!(names.have(name), "{name}");
                assert!(names.have(&name.replace('-', "_")), "{name}");
            }
        }
    }
}
