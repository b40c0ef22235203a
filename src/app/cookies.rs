//! The gateway's cookies: one for each pending authorization request, so that parallel logins in one browser do not
//! interfere. Their number per browser is bounded, because reverse proxies limit the length of the `Cookie` header.

use crate::base::clock::Timestamp;
use crate::base::encoding;
use http::HeaderMap;
use http::header::COOKIE;
use std::time::Duration;

/// Maximum number of cookies of one kind per browser. Each takes about 80 bytes of the `Cookie` header.
pub const MAX_COOKIES_PER_KIND: usize = 8;
/// Maximum number of cookies that one response removes: reverse proxies limit the length of response headers, too.
const MAX_REMOVED_COOKIES: usize = 8;
/// Length of a cookie id: a timestamp in milliseconds, then random bytes. Its text has [`ID_CHARS`] characters.
pub const ID_BYTES: usize = 12;
const TIMESTAMP_BYTES: usize = 6;
const ID_CHARS: usize = 16;
const MAX_TIMESTAMP: u64 = (1 << (8 * TIMESTAMP_BYTES)) - 1;
/// Purpose of cookies that earlier releases set and this one ignores.
const OBSOLETE_PURPOSE: &str = "remembered";

/// The purpose of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Binds a consent page to the browser that displays it.
    Consent,
    /// Binds a login at Okta to the browser of the user who consented.
    Login,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Login => "login",
        }
    }
}

/// A cookie's name and attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// Returns the cookie of this kind for `id`, of which only letters, digits, `-` and `_` are used. On https the
    /// name has the `__Host-` prefix: neither another host nor plain http can set it.
    pub fn new(kind: Kind, id: &str, secure: bool) -> Self {
        Self::named(kind.as_str(), id, secure)
    }

    fn named(purpose: &str, id: &str, secure: bool) -> Self {
        let id: String =
            id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(ID_CHARS).collect();
        Self { name: format!("{}{id}", prefix(purpose, secure)), secure }
    }

    /// Returns the `Set-Cookie` value: `HttpOnly`, `SameSite=Lax`, for the whole host.
    pub fn set(&self, value: &str, max_age: Duration) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.name,
            max_age.as_secs()
        )
    }

    /// Returns the `Set-Cookie` value that deletes the cookie.
    pub fn clear(&self) -> String {
        self.set("", Duration::ZERO)
    }

    /// Returns the cookie's value in a request.
    pub fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        pairs(headers).find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }
}

/// Returns the distinct cookies of this kind in a request, oldest first.
pub fn in_request(kind: Kind, headers: &HeaderMap, secure: bool) -> Vec<Cookie> {
    let mut cookies = with_purpose(kind.as_str(), headers, secure);
    cookies.sort_by_cached_key(|cookie| encoding::decode(id_of(&cookie.name)));
    cookies
}

/// Returns `true` if a request has any of the gateway's cookies.
pub fn are_sent(headers: &HeaderMap, secure: bool) -> bool {
    [Kind::Consent, Kind::Login].iter().any(|kind| !with_purpose(kind.as_str(), headers, secure).is_empty())
}

/// Returns the `Set-Cookie` values that delete excess cookies when `new` is set: the oldest ones of its kind, and
/// those of earlier releases. Their number is bounded; the next response deletes more.
pub fn delete_excess(kind: Kind, new: &Cookie, headers: &HeaderMap) -> Vec<String> {
    let mut others = in_request(kind, headers, new.secure);
    others.retain(|other| other != new);
    let excess = others.len().saturating_sub(MAX_COOKIES_PER_KIND - 1);
    let obsolete = with_purpose(OBSOLETE_PURPOSE, headers, new.secure);
    let removed = others.into_iter().take(excess).chain(obsolete);
    removed.take(MAX_REMOVED_COOKIES).map(|cookie| cookie.clear()).collect()
}

/// Returns the id of a new cookie. It sorts after the ids of all cookies in the request, even if another replica whose
/// clock is ahead set those.
pub fn new_id(headers: &HeaderMap, secure: bool, now: Timestamp, random: [u8; 6]) -> [u8; ID_BYTES] {
    let existing =
        [Kind::Consent, Kind::Login].into_iter().flat_map(|kind| in_request(kind, headers, secure));
    let newest = existing.filter_map(|cookie| timestamp_of(id_of(&cookie.name))).max();
    let time = newest.map_or(0, |newest| newest + 1).max(now.millis()).min(MAX_TIMESTAMP);
    let mut id = [0; ID_BYTES];
    id[..TIMESTAMP_BYTES].copy_from_slice(&time.to_be_bytes()[8 - TIMESTAMP_BYTES..]);
    id[TIMESTAMP_BYTES..].copy_from_slice(&random);
    id
}

fn with_purpose(purpose: &str, headers: &HeaderMap, secure: bool) -> Vec<Cookie> {
    let prefix = prefix(purpose, secure);
    let mut cookies: Vec<Cookie> = pairs(headers)
        .filter_map(|(name, _)| {
            let id = name.strip_prefix(&*prefix)?;
            Some(Cookie::named(purpose, id, secure)).filter(|cookie| cookie.name == name)
        })
        .collect();
    cookies.sort_unstable();
    cookies.dedup();
    cookies
}

/// Returns the timestamp in milliseconds at the beginning of an id.
fn timestamp_of(id: &str) -> Option<u64> {
    let id = encoding::decode(id).filter(|id| id.len() == ID_BYTES)?;
    Some(id[..TIMESTAMP_BYTES].iter().fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

/// Returns the id in a cookie's name; an id may itself contain dashes.
fn id_of(name: &str) -> &str {
    name.split_once("mcp-").and_then(|(_, rest)| rest.split_once('-')).map_or("", |(_, id)| id)
}

fn prefix(purpose: &str, secure: bool) -> String {
    format!("{}mcp-{purpose}-", if secure { "__Host-" } else { "" })
}

/// Returns names and values. The values are the gateway's own, so that nothing of RFC 6265 but the separators is needed.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn request(cookies: &[String]) -> HeaderMap {
        let value = cookies.iter().map(|name| format!("{name}=v")).collect::<Vec<_>>().join("; ");
        [(COOKIE, HeaderValue::from_str(&value).unwrap())].into_iter().collect()
    }

    fn id(millis: u64, headers: &HeaderMap) -> String {
        encoding::encode(new_id(headers, true, Timestamp::from_millis(millis), [0xfe; 6]))
    }

    fn name(kind: Kind, id: &str) -> String {
        Cookie::new(kind, id, true).name
    }

    #[test]
    fn a_cookie_on_https_is_bound_to_the_host() {
        let cookie = Cookie::new(Kind::Login, "abc", true);
        assert_eq!(
            cookie.set("v", Duration::from_mins(10)),
            "__Host-mcp-login-abc=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn parallel_requests_have_separate_cookies() {
        let headers: HeaderMap =
            [(COOKIE, HeaderValue::from_static("mcp-login-a=1; mcp-login-b=2"))].into_iter().collect();
        assert_eq!(Cookie::new(Kind::Login, "a", false).read(&headers), Some("1"));
        assert_eq!(Cookie::new(Kind::Login, "b", false).read(&headers), Some("2"));
        assert_eq!(Cookie::new(Kind::Login, "a", true).read(&headers), None);
    }

    #[test]
    fn excess_cookies_of_a_kind_are_deleted_oldest_first() {
        let none = HeaderMap::new();
        // 130 consent cookies, not in the order of their names, and a login cookie, which is kept.
        let mut names: Vec<String> =
            (0..130).rev().map(|n| name(Kind::Consent, &id(1_784_000_000_000 + n * 977, &none))).collect();
        names.push(name(Kind::Login, &id(1, &none)));
        let headers = request(&names);
        let new = Cookie::new(Kind::Consent, &id(1, &headers), true);
        let removed = delete_excess(Kind::Consent, &new, &headers);
        assert_eq!(removed.len(), MAX_REMOVED_COOKIES);
        for (removed, oldest) in removed.iter().zip(names[..130].iter().rev()) {
            assert!(removed.starts_with(&format!("{oldest}=; Path=/; Max-Age=0;")), "{removed}");
        }
        let few = request(&names[..MAX_COOKIES_PER_KIND - 1]);
        assert!(delete_excess(Kind::Consent, &new, &few).is_empty());
        assert_eq!(delete_excess(Kind::Consent, &new, &request(&names[..MAX_COOKIES_PER_KIND])).len(), 1);
    }

    #[test]
    fn a_cookie_that_is_set_again_evicts_no_other() {
        let none = HeaderMap::new();
        let ids: Vec<String> = (0..8).map(|n| id(n, &none)).collect();
        let names: Vec<String> = ids.iter().map(|id| name(Kind::Login, id)).collect();
        let again = Cookie::new(Kind::Login, &ids[3], true);
        assert!(delete_excess(Kind::Login, &again, &request(&names)).is_empty());
    }

    #[test]
    fn a_new_id_is_newer_than_all_ids_in_the_request_despite_clock_skew() {
        let ahead = id(1_784_000_120_000, &HeaderMap::new());
        let headers = request(&[name(Kind::Login, &ahead)]);
        assert_eq!(timestamp_of(&id(1_784_000_000_000, &headers)), Some(1_784_000_120_001));
        let endless = request(&[name(Kind::Consent, &encoding::encode([0xff; ID_BYTES]))]);
        assert_eq!(timestamp_of(&id(1, &endless)), Some(MAX_TIMESTAMP));
    }

    #[test]
    fn cookies_of_earlier_releases_are_deleted_and_foreign_ones_are_kept() {
        let others =
            ["__Host-mcp-consent-way-too-long-for-an-id-of-ours", "session", "mcp-consent-a", "mcp-"];
        let mut names: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        let new = Cookie::new(Kind::Consent, "new", true);
        assert!(delete_excess(Kind::Consent, &new, &request(&names)).is_empty());
        names.push("__Host-mcp-remembered-AbC".to_owned());
        let removed = delete_excess(Kind::Consent, &new, &request(&names));
        assert_eq!(removed.len(), 1);
        assert!(removed[0].starts_with("__Host-mcp-remembered-AbC=; Path=/; Max-Age=0;"), "{removed:?}");
    }
}
