//! Names of headers that are not forwarded.

use gateway_routes::trusted_headers::{IDENTITY, IDENTITY_PREFIXES, ORIGIN, ORIGIN_PREFIXES, OVERRIDES};
use std::borrow::Cow;

/// Hop-by-hop headers (RFC 9110 §7.6.1), and `Expect`: the gateway itself sends "100 Continue" and reads the body.
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
/// Headers that the gateway sets itself, and credentials for the gateway alone.
const GATEWAY: &[&str] = &["authorization", "content-length", "cookie", "host"];
/// Headers by which servers reject scripts of other origins: checked here, by the site's rules.
const ORIGIN_CHECKS: &[&str] = &["origin", "sec-fetch-site"];
/// Response headers that would affect the gateway's whole origin, or its clients' credentials.
const SENSITIVE: &[&str] =
    &["set-cookie", "clear-site-data", "www-authenticate", "strict-transport-security", "alt-svc"];

/// Headers that are removed from requests.
pub(super) const REMOVED_FROM_REQUESTS: Names = Names::new(
    &[HOP_BY_HOP, GATEWAY, ORIGIN_CHECKS, IDENTITY, ORIGIN, OVERRIDES],
    &[IDENTITY_PREFIXES, ORIGIN_PREFIXES],
);
/// Headers that are removed from responses.
pub(super) const REMOVED_FROM_RESPONSES: Names =
    Names::new(&[HOP_BY_HOP, SENSITIVE], &[&["access-control-"]]);

/// Set of header names and of name prefixes.
pub(super) struct Names {
    lists: Lists,
    prefixes: Lists,
    /// Pre-filters that rule out most headers: for names, and for prefixes.
    prefilters: [Prefilter; 2],
}

type Lists = &'static [&'static [&'static str]];

/// Bit sets of the possible second letters and lengths of names, by first letter. For names that begin with `x-` the
/// letters behind that are used, in rows of their own.
struct Prefilter {
    second_letters: [u32; ROWS],
    lengths: [u32; ROWS],
}

const ROWS: usize = 2 * 26;

impl Names {
    const fn new(lists: Lists, prefixes: Lists) -> Self {
        let prefilters = [Prefilter::of(lists), Prefilter::of(prefixes).of_any_length()];
        Self { lists, prefixes, prefilters }
    }

    /// Returns `true` if the set contains this lower-case name. Every special character counts as `-`: CGI-like servers
    /// convert all of them to `_` and cannot tell them apart.
    pub(super) fn contains(&self, name: &str) -> bool {
        if !self.prefilters.iter().any(|prefilter| prefilter.may_match(name.as_bytes())) {
            return false;
        }
        let name = dashed(name);
        let has_prefix = |prefix: &&str| name.starts_with(prefix);
        self.lists.iter().any(|names| names.contains(&&*name))
            || self.prefixes.iter().any(|prefixes| prefixes.iter().any(has_prefix))
    }
}

impl Prefilter {
    const fn of(lists: Lists) -> Self {
        let mut prefilter = Self { second_letters: [0; ROWS], lengths: [0; ROWS] };
        let mut list = 0;
        while list < lists.len() {
            let names = lists[list];
            let mut at = 0;
            while at < names.len() {
                let Some((row, second)) = row(names[at].as_bytes()) else { panic!("a name has two letters") };
                prefilter.second_letters[row] |= second;
                prefilter.lengths[row] |= length_bit(names[at].len());
                at += 1;
            }
            list += 1;
        }
        prefilter
    }

    const fn of_any_length(mut self) -> Self {
        self.lengths = [u32::MAX; ROWS];
        self
    }

    fn may_match(&self, name: &[u8]) -> bool {
        row(name).is_some_and(|(row, second)| {
            self.second_letters[row] & second != 0 && self.lengths[row] & length_bit(name.len()) != 0
        })
    }
}

/// Returns the row of a name and the bit of its second letter.
const fn row(name: &[u8]) -> Option<(usize, u32)> {
    let (rows, name) = match name {
        [b'x', separator, rest @ ..] if !separator.is_ascii_alphanumeric() => (26, rest),
        _ => (0, name),
    };
    let [first, second, ..] = name else { return None };
    if first.is_ascii_lowercase() {
        Some((rows + (*first - b'a') as usize, letter_bit(*second)))
    } else {
        None
    }
}

/// Returns the bit of a letter; all other characters share one.
const fn letter_bit(letter: u8) -> u32 {
    if letter.is_ascii_lowercase() { 1 << (letter - b'a') } else { 1 << 26 }
}

/// Returns the bit of a length; all lengths from 31 share one.
const fn length_bit(length: usize) -> u32 {
    1 << if length < 31 { length } else { 31 }
}

/// Replaces every special character of the name with `-`.
pub(super) fn dashed(name: &str) -> Cow<'_, str> {
    // `count` instead of `any`: the compiler vectorizes it.
    let is_special = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'-';
    if name.bytes().filter(is_special).count() > 0 {
        name.replace(|character: char| !character.is_ascii_alphanumeric(), "-").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_identity_header_is_removed() {
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
            assert!(REMOVED_FROM_REQUESTS.contains(name), "{name}");
        }
    }

    #[test]
    fn upstream_headers_cannot_set_what_is_removed_from_requests() {
        let lists = REMOVED_FROM_REQUESTS.lists.concat().into_iter();
        for name in lists.chain(REMOVED_FROM_REQUESTS.prefixes.concat()) {
            // A client's credentials are for the gateway, and its origin was checked; a server may have its own.
            let is_settable = ["authorization", "cookie", "origin", "sec-fetch-site"].contains(&name);
            for name in [name.to_owned(), name.to_ascii_uppercase().replace('-', "_")] {
                assert_eq!(gateway_routes::reserved_header(&name).is_none(), is_settable, "{name}");
            }
        }
    }

    #[test]
    fn ordinary_client_headers_are_forwarded() {
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
            assert!(!REMOVED_FROM_REQUESTS.contains(name), "{name}");
        }
    }

    #[test]
    fn the_prefilter_rules_out_no_listed_name() {
        for names in [REMOVED_FROM_REQUESTS, REMOVED_FROM_RESPONSES] {
            for name in names.lists.concat().into_iter().chain(names.prefixes.concat()) {
                assert!(names.contains(name), "{name}");
                assert!(names.contains(&name.replace('-', "_")), "{name}");
            }
        }
    }
}
