//! Resource indicators (RFC 8707): the route that an authorization is for.

use super::error::{ErrorCode, OAuthError};
use gateway_routes::{Route, Table};
use url::Url;

/// Longest resource. It is a claim of access tokens, and so part of each request.
const MAX_RESOURCE_BYTES: usize = 1024;

/// Resource of the `resource` parameters of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedResource {
    /// A route.
    Route(&'static Route),
    /// No parameter, or only the origin, as older clients send it.
    Unspecified,
}

/// Resource identifier of a route: `base_url` and the pattern without the trailing slash (RFC 8707 §2).
pub fn identifier(base_url: &str, route: &Route) -> String {
    format!("{base_url}{}", route.path())
}

/// Returns `true` when `resource` is the identifier of the route.
pub fn identifies(resource: &str, base_url: &str, route: &Route) -> bool {
    resource.strip_prefix(base_url) == Some(route.path())
}

/// Returns `true` when `resource` is a path below the route, and not below one with a longer pattern.
pub fn is_below(resource: &str, base_url: &str, route: &Route, table: &Table) -> bool {
    let found = resource.strip_prefix(base_url).and_then(|path| table.find(path));
    found.is_some_and(|found| found.route.pattern == route.pattern)
}

/// Path of the first `resource` parameter that names more than the origin. Its resource metadata has the same path
/// (RFC 9728 §3.3).
pub fn requested_path<'a>(resources: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut paths = resources.filter_map(|resource| Some(Url::parse(resource).ok()?.path().to_owned()));
    paths.find(|path| path != "/")
}

/// Finds the route of the `resource` parameters. Each may be the resource identifier or any path below it, with or
/// without a trailing slash; the host is case-insensitive.
///
/// # Errors
/// `invalid_target` for an unknown resource, and for several routes, because a grant is for exactly one.
pub fn requested<'a>(
    resources: impl Iterator<Item = &'a str>,
    base_url: &str,
    table: &Table,
) -> Result<RequestedResource, OAuthError> {
    let mut requested = RequestedResource::Unspecified;
    for resource in resources {
        let RequestedResource::Route(route) = requested_one(resource, base_url, table)? else { continue };
        match requested {
            RequestedResource::Route(other) if !std::ptr::eq(other, route) => {
                return Err(refuse("a grant is for one resource: ask for each in its own authorization"));
            }
            _ => requested = RequestedResource::Route(route),
        }
    }
    Ok(requested)
}

fn requested_one(resource: &str, base_url: &str, table: &Table) -> Result<RequestedResource, OAuthError> {
    if resource.len() > MAX_RESOURCE_BYTES {
        return Err(refuse("resource is longer than 1024 bytes: use the URL of the MCP server"));
    }
    let url = Url::parse(resource).map_err(|_| refuse("resource is not an absolute URI"))?;
    let same_origin = Url::parse(base_url).is_ok_and(|base| base.origin() == url.origin());
    if !same_origin || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("resource is not one of this gateway's: use the URL of the MCP server here"));
    }
    if url.path() == "/" {
        return Ok(RequestedResource::Unspecified);
    }
    let found = table.find(url.path());
    found
        .map(|found| RequestedResource::Route(found.route))
        .ok_or_else(|| refuse("no MCP server has this resource here"))
}

/// Infers the route of a request without a resource: the only route, or the only route that defines every requested
/// scope. `None` lets the user choose.
pub fn infer_route(scope: Option<&str>, table: &Table) -> Option<&'static Route> {
    if let [sole] = table.routes() {
        return Some(sole);
    }
    let requested: Vec<&str> = scope?.split(' ').filter(|scope| !scope.is_empty()).collect();
    let owns_all = |route: &&Route| requested.iter().all(|scope| route.scopes.contains(scope));
    let mut owners = table.routes().iter().filter(owns_all);
    owners.next().filter(|_| !requested.is_empty() && owners.next().is_none())
}

fn refuse(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}
