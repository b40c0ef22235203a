//! A redirect of the server's: into the target it becomes one into the route, any other is no answer.

use gateway_routes::Route;
use http::HeaderValue;
use std::sync::Arc;
use url::Url;

/// What was asked of a server: where its answer points to is read from there.
pub(super) struct RedirectContext {
    pub(super) route: &'static Route,
    /// Path and query.
    pub(super) path: String,
    pub(super) base_url: Arc<str>,
}

impl RedirectContext {
    /// Where the client finds what the server points to; `None` when that is out of the target.
    pub(super) fn rewritten(&self, location: &HeaderValue) -> Option<HeaderValue> {
        rewritten(location, &self.path, self.route, &self.base_url)
    }
}

/// The `Location` for the client; `None` when it leads out of the target.
pub fn rewritten(location: &HeaderValue, asked: &str, route: &Route, base_url: &str) -> Option<HeaderValue> {
    let scheme = if route.target.tls { "https" } else { "http" };
    let target = Url::parse(&format!("{scheme}://{}", route.target.authority)).ok()?;
    let asked = target.join(asked).ok()?;
    let location = asked.join(location.to_str().ok()?).ok()?;
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
