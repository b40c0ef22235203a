//! Which route an authorization is for: the resource indicator of RFC 8707.

use super::error::{ErrorCode, OAuthError};
use gateway_routes::{Route, Table};
use url::Url;

/// What the `resource` parameters of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    /// This route.
    Route(&'static Route),
    /// Nothing, or only the origin: an older client.
    Any,
}

/// The identifier of a route's resource: `base_url` + pattern without the trailing slash (RFC 8707 §2).
pub fn identifier(base_url: &str, route: &Route) -> String {
    format!("{base_url}{}", route.path())
}

/// Whether that is the identifier of a route's resource.
pub fn identifies(resource: &str, base_url: &str, route: &Route) -> bool {
    resource.strip_prefix(base_url) == Some(route.path())
}

/// The route that the `resource` parameters name: the resource itself, any path below it, with or without a
/// trailing slash, the host in any case.
///
/// # Errors
/// `invalid_target` for anything that is not ours, and for several routes: a grant has exactly one.
pub fn pick<'a>(
    resources: impl Iterator<Item = &'a str>,
    base_url: &str,
    table: &Table,
) -> Result<Picked, OAuthError> {
    let mut picked = Picked::Any;
    for resource in resources {
        let Picked::Route(route) = pick_one(resource, base_url, table)? else { continue };
        match picked {
            Picked::Route(other) if !std::ptr::eq(other, route) => {
                return Err(refuse("a grant is for one resource: ask for each in its own authorization"));
            }
            _ => picked = Picked::Route(route),
        }
    }
    Ok(picked)
}

fn pick_one(resource: &str, base_url: &str, table: &Table) -> Result<Picked, OAuthError> {
    let url = Url::parse(resource).map_err(|_| refuse("resource is not an absolute URI"))?;
    let ours = Url::parse(base_url).is_ok_and(|base| base.origin() == url.origin());
    if !ours || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("resource is not one of this gateway's: use the URL of the MCP server here"));
    }
    if url.path() == "/" {
        return Ok(Picked::Any);
    }
    let found = table.find(url.path());
    found
        .map(|found| Picked::Route(found.route))
        .ok_or_else(|| refuse("no MCP server has this resource here"))
}

/// Without a resource: the sole route, else the one route that owns every asked scope; else `None`, and the
/// person picks.
pub fn guess(scope: Option<&str>, table: &Table) -> Option<&'static Route> {
    if let [sole] = table.routes() {
        return Some(sole);
    }
    let asked: Vec<&str> = scope?.split(' ').filter(|scope| !scope.is_empty()).collect();
    let owns_all = |route: &&Route| asked.iter().all(|scope| route.scopes.contains(scope));
    let mut owners = table.routes().iter().filter(owns_all);
    owners.next().filter(|_| !asked.is_empty() && owners.next().is_none())
}

fn refuse(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}
