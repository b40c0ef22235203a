//! The gateway's cookies: one for each request under way, so that two logins in one browser do not disturb each
//! other. A browser holds a bounded number of them, so that no front refuses its requests for the length of its
//! `Cookie` header.

use crate::base::clock::Timestamp;
use crate::base::encoding;
use http::HeaderMap;
use http::header::COOKIE;
use std::time::Duration;

/// The most cookies of one kind that a browser is left with. One takes about 80 bytes of a `Cookie` header.
pub const MAX_COOKIES_PER_KIND: usize = 8;
/// The most cookies that one response removes: fronts bound the head of a response, too.
const MAX_REMOVALS: usize = 8;
/// The length of an id: milliseconds, then random bytes. Its text has [`ID_CHARS`] characters.
pub const ID_BYTES: usize = 12;
const TIME_BYTES: usize = 6;
const ID_CHARS: usize = 16;
const MAX_TIME: u64 = (1 << (8 * TIME_BYTES)) - 1;
/// Cookies of this purpose were set by earlier releases and have no meaning any more.
const OBSOLETE_PURPOSE: &str = "remembered";

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Binds a consent page to the browser that it was shown in.
    Consent,
    /// Binds a login at Okta to the browser that consented.
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

/// One cookie's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// The cookie of this kind for `id`, of which only letters, digits, `-` and `_` count. On https it gets the
    /// `__Host-` prefix: no other host and no plain http can set it.
    pub fn new(kind: Kind, id: &str, secure: bool) -> Self {
        Self::named(kind.as_str(), id, secure)
    }

    fn named(purpose: &str, id: &str, secure: bool) -> Self {
        let id: String =
            id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(ID_CHARS).collect();
        Self { name: format!("{}{id}", prefix(purpose, secure)), secure }
    }

    /// The `Set-Cookie` value: not for scripts, not sent by other sites' forms, for the whole host.
    pub fn set(&self, value: &str, lives: Duration) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", self.name, lives.as_secs())
    }

    /// The `Set-Cookie` value that removes it.
    pub fn clear(&self) -> String {
        self.set("", Duration::ZERO)
    }

    /// Its value in a request.
    pub fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        pairs(headers).find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }
}

/// The cookies of this kind in a request, each once, the oldest first.
pub fn held(kind: Kind, headers: &HeaderMap, secure: bool) -> Vec<Cookie> {
    let mut held = held_for(kind.as_str(), headers, secure);
    held.sort_by_cached_key(|cookie| encoding::decode(id_in(&cookie.name)));
    held
}

/// The `Set-Cookie` values that remove what is too much when a cookie of this kind is about to be set: the oldest
/// ones of its kind, and those of earlier releases. Bounded; the next response removes more.
pub fn surplus(kind: Kind, new: &Cookie, headers: &HeaderMap) -> Vec<String> {
    let mut others = held(kind, headers, new.secure);
    others.retain(|other| other != new);
    let too_many = others.len().saturating_sub(MAX_COOKIES_PER_KIND - 1);
    let obsolete = held_for(OBSOLETE_PURPOSE, headers, new.secure);
    let removed = others.into_iter().take(too_many).chain(obsolete);
    removed.take(MAX_REMOVALS).map(|cookie| cookie.clear()).collect()
}

/// An id for a new cookie: newer than those of all cookies in the request, also when another replica, whose clock
/// is ahead, made those.
pub fn new_id(headers: &HeaderMap, secure: bool, (now, random): (Timestamp, [u8; 6])) -> [u8; ID_BYTES] {
    let held = [Kind::Consent, Kind::Login].into_iter().flat_map(|kind| held(kind, headers, secure));
    let newest = held.filter_map(|cookie| made_at(id_in(&cookie.name))).max();
    let time = newest.map_or(0, |newest| newest + 1).max(now.millis()).min(MAX_TIME);
    let mut id = [0; ID_BYTES];
    id[..TIME_BYTES].copy_from_slice(&time.to_be_bytes()[8 - TIME_BYTES..]);
    id[TIME_BYTES..].copy_from_slice(&random);
    id
}

fn held_for(purpose: &str, headers: &HeaderMap, secure: bool) -> Vec<Cookie> {
    let prefix = prefix(purpose, secure);
    let mut held: Vec<Cookie> = pairs(headers)
        .filter_map(|(name, _)| {
            let id = name.strip_prefix(&*prefix)?;
            Some(Cookie::named(purpose, id, secure)).filter(|cookie| cookie.name == name)
        })
        .collect();
    held.sort_unstable();
    held.dedup();
    held
}

/// The milliseconds that an id begins with.
fn made_at(id: &str) -> Option<u64> {
    let id = encoding::decode(id).filter(|id| id.len() == ID_BYTES)?;
    Some(id[..TIME_BYTES].iter().fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

/// The id in a cookie's name, which may hold dashes itself.
fn id_in(name: &str) -> &str {
    name.split_once("mcp-").and_then(|(_, rest)| rest.split_once('-')).map_or("", |(_, id)| id)
}

fn prefix(purpose: &str, secure: bool) -> String {
    format!("{}mcp-{purpose}-", if secure { "__Host-" } else { "" })
}

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
        encoding::encode(new_id(headers, true, (Timestamp::from_millis(millis), [0xfe; 6])))
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
    fn two_requests_have_two_cookies() {
        let headers: HeaderMap =
            [(COOKIE, HeaderValue::from_static("mcp-login-a=1; mcp-login-b=2"))].into_iter().collect();
        assert_eq!(Cookie::new(Kind::Login, "a", false).read(&headers), Some("1"));
        assert_eq!(Cookie::new(Kind::Login, "b", false).read(&headers), Some("2"));
        assert_eq!(Cookie::new(Kind::Login, "a", true).read(&headers), None);
    }

    #[test]
    fn the_oldest_cookies_of_a_kind_go_when_there_are_too_many() {
        let none = HeaderMap::new();
        // 130 consent pages, in an order that is not that of their texts; and two logins, which stay.
        let mut names: Vec<String> =
            (0..130).rev().map(|n| name(Kind::Consent, &id(1_784_000_000_000 + n * 977, &none))).collect();
        names.push(name(Kind::Login, &id(1, &none)));
        let headers = request(&names);
        let new = Cookie::new(Kind::Consent, &id(1, &headers), true);
        let removed = surplus(Kind::Consent, &new, &headers);
        assert_eq!(removed.len(), MAX_REMOVALS);
        for (removed, oldest) in removed.iter().zip(names[..130].iter().rev()) {
            assert!(removed.starts_with(&format!("{oldest}=; Path=/; Max-Age=0;")), "{removed}");
        }
        let few = request(&names[..MAX_COOKIES_PER_KIND - 1]);
        assert!(surplus(Kind::Consent, &new, &few).is_empty());
        assert_eq!(surplus(Kind::Consent, &new, &request(&names[..MAX_COOKIES_PER_KIND])).len(), 1);
    }

    #[test]
    fn a_cookie_that_is_set_again_takes_no_others_place() {
        let none = HeaderMap::new();
        let ids: Vec<String> = (0..8).map(|n| id(n, &none)).collect();
        let names: Vec<String> = ids.iter().map(|id| name(Kind::Login, id)).collect();
        let again = Cookie::new(Kind::Login, &ids[3], true);
        assert!(surplus(Kind::Login, &again, &request(&names)).is_empty());
    }

    #[test]
    fn a_new_id_is_newer_than_all_that_the_browser_holds_whatever_the_clock_says() {
        let ahead = id(1_784_000_120_000, &HeaderMap::new());
        let headers = request(&[name(Kind::Login, &ahead)]);
        assert_eq!(made_at(&id(1_784_000_000_000, &headers)), Some(1_784_000_120_001));
        let endless = request(&[name(Kind::Consent, &encoding::encode([0xff; ID_BYTES]))]);
        assert_eq!(made_at(&id(1, &endless)), Some(MAX_TIME));
    }

    #[test]
    fn cookies_of_earlier_releases_are_removed_and_those_of_others_are_not() {
        let others =
            ["__Host-mcp-consent-way-too-long-for-an-id-of-ours", "session", "mcp-consent-a", "mcp-"];
        let mut names: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        let new = Cookie::new(Kind::Consent, "new", true);
        assert!(surplus(Kind::Consent, &new, &request(&names)).is_empty());
        names.push("__Host-mcp-remembered-AbC".to_owned());
        let removed = surplus(Kind::Consent, &new, &request(&names));
        assert_eq!(removed.len(), 1);
        assert!(removed[0].starts_with("__Host-mcp-remembered-AbC=; Path=/; Max-Age=0;"), "{removed:?}");
    }
}
