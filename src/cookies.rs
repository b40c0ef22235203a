//! The gateway's cookies: one for each request under way, so that two logins in one browser do not disturb each
//! other, and one for each remembered consent.

use http::HeaderMap;
use http::header::COOKIE;
use std::time::Duration;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Binds a consent page to the browser that it was shown in.
    Consent,
    /// Binds a login at Okta to the browser that consented.
    Login,
    /// Remembers a consent.
    Remembered,
}

/// One cookie's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// The cookie of this kind for `id`, of which only letters, digits, `-` and `_` count. On https it gets the
    /// `__Host-` prefix: no other host and no plain http can set it.
    pub fn new(kind: Kind, id: &str, secure: bool) -> Self {
        let prefix = if secure { "__Host-" } else { "" };
        let kind = match kind {
            Kind::Consent => "consent",
            Kind::Login => "login",
            Kind::Remembered => "remembered",
        };
        let id: String =
            id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(16).collect();
        Self { name: format!("{prefix}mcp-{kind}-{id}"), secure }
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
        let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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
}
