//! Scopes: selection of granted scopes from requested ones.

use gateway_routes::{Route, Table};
use std::collections::BTreeSet;

/// Selects the requested scopes that the route defines, in the route's order. When none remains, all scopes of the
/// route are selected, because clients request scopes such as `openid email profile` by default and must not fail.
pub fn narrow(requested: Option<&str>, route: &Route) -> Vec<&'static str> {
    let requested: Vec<&str> = requested.unwrap_or_default().split(' ').collect();
    let narrowed: Vec<&str> =
        route.scopes.iter().copied().filter(|scope| requested.contains(scope)).collect();
    if narrowed.is_empty() { route.scopes.to_vec() } else { narrowed }
}

/// Removes requested scopes that neither `route` nor, without one, any route of the table defines; `None` when none
/// remains. [`narrow`] gives the same result before and after.
pub fn retain_known(requested: Option<&str>, route: Option<&Route>, table: &Table) -> Option<String> {
    let requested: BTreeSet<&str> = requested?.split(' ').collect();
    let routes = route.map_or(table.routes(), std::slice::from_ref);
    let known: BTreeSet<&str> = routes.iter().flat_map(|route| route.scopes.iter().copied()).collect();
    let kept: Vec<&str> = requested.intersection(&known).copied().collect();
    (!kept.is_empty()).then(|| kept.join(" "))
}

/// Selects the requested scopes of a refresh from the granted ones (RFC 6749 §6); all of them when none is requested.
/// `None` when a scope of the route is requested that was not granted.
pub fn narrow_granted(requested: Option<&str>, granted: &[String], route: &Route) -> Option<Vec<String>> {
    let Some(requested) = requested else { return Some(granted.to_vec()) };
    let requested: Vec<&str> = requested.split(' ').collect();
    let exceeds_grant =
        |scope: &&&str| route.scopes.contains(scope) && !granted.iter().any(|granted| granted == **scope);
    if requested.iter().any(|scope| exceeds_grant(&scope)) {
        return None;
    }
    let kept: Vec<String> =
        granted.iter().filter(|scope| requested.contains(&scope.as_str())).cloned().collect();
    Some(if kept.is_empty() { granted.to_vec() } else { kept })
}

/// Scopes of the route that are not granted.
pub fn missing<'a>(granted: &[String], route: &'a Route) -> Vec<&'a str> {
    route.scopes.iter().copied().filter(|needed| !granted.iter().any(|granted| granted == needed)).collect()
}
