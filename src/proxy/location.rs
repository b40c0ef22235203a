//! Rewriting of upstream URLs: a redirect into the target becomes one into the route, any other is rejected.

use gateway_routes::Route;
use http::HeaderValue;
use std::sync::Arc;
use url::Url;

/// Context in which the URL references of a response are resolved (RFC 3986 §5).
pub(super) struct RedirectContext {
    pub(super) route: &'static Route,
    /// Path and query of the upstream request.
    pub(super) path: String,
    pub(super) base_url: Arc<str>,
}

impl RedirectContext {
    /// Rewrites a reference of the server to the gateway's URL; `None` if it leads outside the target.
    pub(super) fn rewrite(&self, location: &HeaderValue) -> Option<HeaderValue> {
        rewritten(location, &self.path, self.route, &self.base_url)
    }
}

/// Rewrites `Location` for the client; `None` if it leads outside the target. `requested` is the path and query of the
/// upstream request.
pub fn rewritten(
    location: &HeaderValue,
    requested: &str,
    route: &Route,
    base_url: &str,
) -> Option<HeaderValue> {
    let scheme = if route.target.tls { "https" } else { "http" };
    let target = Url::parse(&format!("{scheme}://{}", route.target.authority)).ok()?;
    let requested = target.join(requested).ok()?;
    let location = requested.join(location.to_str().ok()?).ok()?;
    if location.origin() != target.origin()
        || !location.username().is_empty()
        || location.password().is_some()
    {
        return None;
    }
    let below = location.path().strip_prefix(route.target.path)?;
    let below = match below.strip_prefix('/') {
        Some(below) => below,
        None if below.is_empty() => below,
        None => return None,
    };
    let query = location.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{base_url}{}{below}{query}", route.pattern)).ok()
}
