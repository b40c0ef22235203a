//! Cookie jar (RFC 6265bis, as far as logins need it). Cookies do not depend on ports.

use std::time::UNIX_EPOCH;

use reqwest::header::{self, HeaderMap};
use url::{Host, Origin, Url};

use crate::Time;

const MAX_COOKIES: usize = 300;
const MAX_COOKIE_BYTES: usize = 4096;

/// Cookies of one browser profile.
#[derive(Debug)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
    time: Time,
}

/// Kind of navigation, which selects cookies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Navigation {
    /// Caused by a page of the same site, or by the user alone.
    pub(super) same_site: bool,
    /// GET request.
    pub(super) safe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    path: String,
    secure: bool,
    same_site: SameSite,
    expires_at: Option<u64>,
}

impl Jar {
    pub(super) fn new(time: Time) -> Self {
        Self { cookies: Vec::new(), time }
    }

    pub(super) fn clear(&mut self) {
        self.cookies.clear();
    }

    /// Stores the cookies of a response from `url`; invalid ones are ignored, as in a browser.
    pub(super) fn store(&mut self, url: &Url, headers: &HeaderMap) {
        let now = self.time.now();
        for value in headers.get_all(header::SET_COOKIE) {
            let Some(cookie) = value.to_str().ok().and_then(|text| parse(text, url, now)) else { continue };
            self.cookies.retain(|old| !old.replaced_by(&cookie));
            if cookie.is_live(now) && self.cookies.len() < MAX_COOKIES {
                self.cookies.push(cookie);
            }
        }
    }

    /// Names and values for a request to `url`, the longest path first.
    pub(super) fn matching(&self, url: &Url, navigation: Navigation) -> Vec<(String, String)> {
        let now = self.time.now();
        let fits = |cookie: &&Cookie| cookie.is_live(now) && cookie.fits(url, navigation);
        let mut found: Vec<&Cookie> = self.cookies.iter().filter(fits).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found.into_iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }
}

impl Cookie {
    fn replaced_by(&self, new: &Self) -> bool {
        self.name == new.name && self.host == new.host && self.path == new.path
    }

    fn is_live(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|expiry| expiry > now)
    }

    fn fits(&self, url: &Url, navigation: Navigation) -> bool {
        let allowed = match self.same_site {
            SameSite::None => true,
            SameSite::Lax => navigation.same_site || navigation.safe,
            SameSite::Strict => navigation.same_site,
        };
        allowed
            && url.host_str() == Some(&self.host)
            && path_matches(&self.path, url.path())
            && (!self.secure || trustworthy(url))
    }
}

/// Compares scheme and host, which is exact for the hosts of tests (no public suffix list).
pub(super) fn same_site(one: &Origin, other: &Origin) -> bool {
    match (one, other) {
        (Origin::Tuple(scheme, host, _), Origin::Tuple(other_scheme, other_host, _)) => {
            scheme == other_scheme && host == other_host
        }
        _ => false,
    }
}

fn parse(text: &str, url: &Url, now: u64) -> Option<Cookie> {
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        host: url.host_str()?.to_owned(),
        path: default_path(url.path()),
        secure: false,
        same_site: SameSite::Lax,
        expires_at: None,
    };
    let mut expires = None;
    let mut has_domain = false;
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match attribute.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "samesite" => cookie.same_site = same_site_named(value),
            "max-age" => cookie.expires_at = Some(after(now, value)?),
            "expires" => expires = http_date(value),
            "domain" if value.trim_start_matches('.') != cookie.host => return None,
            "domain" => has_domain = true,
            _ => {}
        }
    }
    cookie.expires_at = cookie.expires_at.or(expires);
    let short = cookie.name.len() + cookie.value.len() <= MAX_COOKIE_BYTES;
    (short && allowed(&cookie, url, has_domain)).then_some(cookie)
}

/// Rules of name prefixes, `Secure` and `SameSite=None`.
fn allowed(cookie: &Cookie, url: &Url, has_domain: bool) -> bool {
    let secure = cookie.secure && trustworthy(url);
    if cookie.name.starts_with("__Host-") {
        return secure && cookie.path == "/" && !has_domain;
    }
    let needs_secure = cookie.name.starts_with("__Secure-") || cookie.same_site == SameSite::None;
    secure || !(needs_secure || cookie.secure)
}

fn same_site_named(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Lax,
    }
}

fn after(now: u64, seconds: &str) -> Option<u64> {
    let seconds: i64 = seconds.parse().ok()?;
    Some(u64::try_from(seconds).map_or(0, |seconds| now.saturating_add(seconds)))
}

fn http_date(value: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path[..end].to_owned(),
    }
}

fn path_matches(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Returns `true` if browsers accept `Secure`: for https, and for http on loopback.
fn trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::{Jar, Navigation};
    use crate::Time;
    use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
    use url::Url;

    const SAME: Navigation = Navigation { same_site: true, safe: true };

    fn jar(url: &str, set: &[&'static str]) -> Jar {
        let mut jar = Jar::new(Time::from_source(|| 1000));
        add(&mut jar, url, set);
        jar
    }

    fn add(jar: &mut Jar, url: &str, set: &[&'static str]) {
        let headers: HeaderMap =
            set.iter().map(|&text| (SET_COOKIE, HeaderValue::from_static(text))).collect();
        jar.store(&Url::parse(url).unwrap(), &headers);
    }

    fn sent(jar: &Jar, url: &str, navigation: Navigation) -> Vec<String> {
        let pairs = jar.matching(&Url::parse(url).unwrap(), navigation);
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_cookie_is_sent_to_its_host_and_path_on_any_port() {
        let jar = jar("http://localhost:1/auth/x", &["a=1", "b=2; Path=/", "c=3; Path=/auth/x/y"]);
        assert_eq!(sent(&jar, "http://localhost:2/auth/callback", SAME), ["a=1", "b=2"]);
        assert_eq!(sent(&jar, "http://localhost:2/authority", SAME), ["b=2"]);
        assert!(sent(&jar, "http://127.0.0.1:1/auth/x", SAME).is_empty());
    }

    #[test]
    fn max_age_precedes_expires_and_a_cookie_can_be_replaced() {
        let past = "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        assert!(sent(&jar("http://localhost/", &[past]), "http://localhost/", SAME).is_empty());
        let mut kept = jar("http://localhost/", &["a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(sent(&kept, "http://localhost/", SAME), ["a=1"]);
        add(&mut kept, "http://localhost/", &["a=; Max-Age=0"]);
        assert!(sent(&kept, "http://localhost/", SAME).is_empty());
    }

    #[test]
    fn cookie_prefixes_and_secure_are_enforced() {
        let set = [
            "__Host-a=1; Secure; Path=/",
            "__Host-b=1; Path=/",
            "__Host-c=1; Secure; Path=/x",
            "d=1; Secure",
        ];
        assert_eq!(sent(&jar("http://localhost/", &set), "http://localhost/", SAME), ["__Host-a=1", "d=1"]);
        assert!(sent(&jar("http://example.com/", &set), "https://example.com/", SAME).is_empty());
    }

    #[test]
    fn same_site_is_enforced() {
        let jar = jar(
            "http://localhost/",
            &["s=1; SameSite=Strict", "l=1; SameSite=Lax", "n=1; SameSite=None; Secure"],
        );
        let cross = |safe| Navigation { same_site: false, safe };
        assert_eq!(sent(&jar, "http://localhost/", cross(true)), ["l=1", "n=1"]);
        assert_eq!(sent(&jar, "http://localhost/", cross(false)), ["n=1"]);
    }
}
