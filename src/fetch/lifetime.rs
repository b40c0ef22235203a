//! Cache lifetime of a document from its response headers (RFC 9111 §4.2), within bounds.

use crate::base::clock::Timestamp;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES};
use http::{HeaderMap, HeaderName};
use std::time::{Duration, UNIX_EPOCH};

/// Shortest lifetime, which limits the requests to a server.
const MIN_LIFETIME: Duration = Duration::from_mins(1);
/// Longest lifetime, so that a changed document takes effect within a day.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// Lifetime without caching headers.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(10);

/// Lifetime of a response that was received at `now`.
pub(super) fn of(headers: &HeaderMap, now: Timestamp) -> Duration {
    from_headers(headers, now).unwrap_or(DEFAULT_LIFETIME).clamp(MIN_LIFETIME, MAX_LIFETIME)
}

fn from_headers(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let directives = || {
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase())
    };
    if directives().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(Duration::ZERO);
    }
    let max_age = directives().find_map(|directive| directive.strip_prefix("max-age=").map(seconds));
    let lifetime = max_age.or_else(|| {
        // An invalid Expires is treated as expired (RFC 9111 §5.3).
        let expires = text(headers, &EXPIRES)?;
        Some(date(expires).map_or(Duration::ZERO, |expires| {
            expires.since(text(headers, &DATE).and_then(date).unwrap_or(now))
        }))
    })?;
    let age = text(headers, &AGE).map(seconds).unwrap_or_default();
    Some(lifetime.saturating_sub(age))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Parses whole seconds, optionally in quotes; an invalid number is zero.
fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim().trim_matches('"').parse().unwrap_or_default())
}

fn date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(since_epoch.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(headers: &[(HeaderName, &'static str)]) -> u64 {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        // Sun, 06 Nov 1994 08:49:37 GMT, as in RFC 9110 §5.6.7.
        of(&headers, Timestamp::from_seconds(784_111_777)).as_secs()
    }

    #[test]
    fn the_lifetime_follows_the_headers_within_bounds() {
        const EARLIER: &str = "Sun, 06 Nov 1994 08:39:37 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 09:49:37 GMT";
        for (headers, seconds) in [
            (&[][..], 600),
            (&[(CACHE_CONTROL, "max-age=300")], 300),
            (&[(CACHE_CONTROL, "public, Max-Age=\"300\"")], 300),
            (&[(CACHE_CONTROL, "max-age=300"), (AGE, "100")], 200),
            (&[(CACHE_CONTROL, "max-age=300"), (EXPIRES, LATER)], 300),
            (&[(CACHE_CONTROL, "max-age=0")], 60),
            (&[(CACHE_CONTROL, "max-age=5")], 60),
            (&[(CACHE_CONTROL, "max-age=31536000")], 86_400),
            (&[(CACHE_CONTROL, "max-age=99999999999999999999")], 60),
            (&[(CACHE_CONTROL, "max-age=nonsense")], 60),
            (&[(CACHE_CONTROL, "no-store, max-age=300")], 60),
            (&[(CACHE_CONTROL, "No-Cache")], 60),
            (&[(EXPIRES, LATER)], 3_600),
            (&[(EXPIRES, LATER), (DATE, EARLIER)], 4_200),
            (&[(EXPIRES, EARLIER)], 60),
            (&[(EXPIRES, "0")], 60),
        ] {
            assert_eq!(lifetime(headers), seconds, "{headers:?}");
        }
    }
}
