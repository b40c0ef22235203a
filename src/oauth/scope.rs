//! Scopes: selection of granted scopes.

use gateway_routes::Route;

/// Scopes that an authorization for the route grants: all of its `scopes`, because every call needs them all. A token with
/// the subset that a client requests, or with none of them, as for `openid email profile`, would be refused at every call.
/// The consent page shows them, and the token response names them (RFC 6749 §3.3).
pub const fn granted(route: &Route) -> &'static [&'static str] {
    route.scopes
}

/// Scopes of an access token of a grant with these scopes (RFC 6749 §6), whatever subset is requested; `None` when the route
/// needs more by now, so that no call would be allowed.
pub fn of_token(granted: &[String], route: &Route) -> Option<Vec<String>> {
    missing(granted, route).is_empty().then(|| route.scopes.iter().map(|scope| (*scope).to_owned()).collect())
}

/// Scopes of the route that are not granted.
pub fn missing<'a>(granted: &[String], route: &'a Route) -> Vec<&'a str> {
    route.scopes.iter().copied().filter(|needed| !granted.iter().any(|granted| granted == needed)).collect()
}
