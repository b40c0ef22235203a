//! Rewriting of upstream URLs: one in the target becomes one in the route, one in the route stays, any other is refused.

use gateway_routes::Route;
use http::HeaderValue;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// Maximum length of a refused URL in an error, in bytes.
const MAX_LOGGED_BYTES: usize = 300;

/// Context in which the URL references of a response are resolved (RFC 3986 §5).
pub(super) struct RedirectContext {
    pub(super) route: &'static Route,
    /// Path and query of the upstream request.
    pub(super) path: String,
    pub(super) base_url: Arc<str>,
}

/// Error of a URL reference of the server that leads outside the target. The URL is for the log: without query,
/// fragment and credentials, which may be secrets.
#[derive(Debug, Error)]
#[error(
    "{url:?} is neither below the target {target} nor below the route; target_url must contain both URLs"
)]
pub struct OutsideTarget {
    url: String,
    target: String,
}

impl RedirectContext {
    /// Rewrites a reference of the server to the gateway's URL.
    pub(super) fn rewrite(&self, reference: &[u8]) -> Result<HeaderValue, Box<OutsideTarget>> {
        rewritten(reference, &self.path, self.route, &self.base_url).ok_or_else(|| {
            let target = target_url(self.route);
            let url = self.for_log(reference).chars().take(MAX_LOGGED_BYTES).collect();
            Box::new(OutsideTarget { url, target: format!("{target}{}", self.route.target.path) })
        })
    }

    fn for_log(&self, reference: &[u8]) -> String {
        let text = String::from_utf8_lossy(reference);
        let resolved = Url::parse(&target_url(self.route)).and_then(|url| url.join(&self.path));
        let Ok(mut url) = resolved.and_then(|requested| requested.join(&text)) else {
            let end = text.find(['?', '#', '@']).unwrap_or(text.len());
            return text[..end].to_owned();
        };
        url.set_query(None);
        url.set_fragment(None);
        // An error means that the URL cannot have credentials.
        let _ = (url.set_username(""), url.set_password(None));
        url.to_string()
    }
}

/// Rewrites a reference of the server, in `Location` or in an `endpoint` event, for the client; `None` if it leads
/// outside the target. `requested` is the path and query of the upstream request.
///
/// Servers that believe `X-Forwarded-Proto` build URLs of their own host with the scheme of the gateway; those that
/// believe `X-Forwarded-Prefix` build paths below the route's, and those that believe all of `X-Forwarded-*` build URLs
/// below its public URL.
pub fn rewritten(reference: &[u8], requested: &str, route: &Route, base_url: &str) -> Option<HeaderValue> {
    let target = Url::parse(&target_url(route)).ok()?;
    let public = Url::parse(base_url).ok()?;
    let announced = Url::parse(&format!("{}://{}", public.scheme(), route.target.authority)).ok()?;
    let requested = announced.join(requested).ok()?;
    let url = requested.join(std::str::from_utf8(reference).ok()?).ok()?;
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let below_route = below(url.path(), route.path());
    let below = if [target.origin(), announced.origin()].contains(&url.origin()) {
        // A server whose own paths begin like the route's, as that of the request does, means its own.
        let has_prefix = below(requested.path(), route.path()).is_none();
        below_route.filter(|_| has_prefix).or_else(|| below(url.path(), route.target.path))?
    } else if url.origin() == public.origin() {
        below_route?
    } else {
        return None;
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{base_url}{}{below}{query}", route.pattern)).ok()
}

/// Returns the target's origin as configured.
fn target_url(route: &Route) -> String {
    let scheme = if route.target.tls { "https" } else { "http" };
    format!("{scheme}://{}", route.target.authority)
}

/// Returns the part of the path below a folder, without the slash between them.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    rest.strip_prefix('/').or_else(|| rest.is_empty().then_some(rest))
}

#[cfg(test)]
mod tests;
