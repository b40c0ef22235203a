//! Scopes: the ones a route knows, narrowed from what a client asked.

use gateway_routes::{Route, Table};
use std::collections::BTreeSet;

/// The scopes of `asked` that the route knows, in the route's order; all of the route's when none is left
/// (clients ask for things like `openid email profile` out of habit, and must not fail for it).
pub fn narrow(asked: Option<&str>, route: &Route) -> Vec<&'static str> {
    let asked: Vec<&str> = asked.unwrap_or_default().split(' ').collect();
    let narrowed: Vec<&str> = route.scopes.iter().copied().filter(|scope| asked.contains(scope)).collect();
    if narrowed.is_empty() { route.scopes.to_vec() } else { narrowed }
}

/// The scopes of `asked` that `route` knows, or any route of the table where none is picked; `None` when none is left.
/// [`narrow`] makes the same of them as of all that was asked.
pub fn known(asked: Option<&str>, route: Option<&Route>, table: &Table) -> Option<String> {
    let asked: BTreeSet<&str> = asked?.split(' ').collect();
    let routes = route.map_or(table.routes(), std::slice::from_ref);
    let known: BTreeSet<&str> = routes.iter().flat_map(|route| route.scopes.iter().copied()).collect();
    let kept: Vec<&str> = asked.intersection(&known).copied().collect();
    (!kept.is_empty()).then(|| kept.join(" "))
}

/// At refresh: what is asked of what was granted (RFC 6749 §6); everything when nothing is asked.
/// `None` when a scope the route knows is asked for that was not granted: scopes never grow.
pub fn shrink(asked: Option<&str>, granted: &[String], route: &Route) -> Option<Vec<String>> {
    let Some(asked) = asked else { return Some(granted.to_vec()) };
    let asked: Vec<&str> = asked.split(' ').collect();
    let grows = |scope: &&&str| route.scopes.contains(scope) && !granted.iter().any(|had| had == **scope);
    if asked.iter().any(|scope| grows(&scope)) {
        return None;
    }
    let kept: Vec<String> = granted.iter().filter(|scope| asked.contains(&scope.as_str())).cloned().collect();
    Some(if kept.is_empty() { granted.to_vec() } else { kept })
}

/// The scopes of the route that `granted` lacks.
pub fn missing<'a>(granted: &[String], route: &'a Route) -> Vec<&'a str> {
    route.scopes.iter().copied().filter(|needed| !granted.iter().any(|had| had == needed)).collect()
}
