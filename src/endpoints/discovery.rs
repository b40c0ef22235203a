//! Metadata documents below `/.well-known`.

use crate::app::reply;
use crate::app::state::Gateway;
use crate::oauth::metadata;
use crate::proxy;
use bytes::Bytes;
use http::Response;

/// `/.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`. URLs with a path suffix are 404,
/// since the issuer has no path (RFC 8414 §3.3); clients then fall back to the root.
pub fn authorization_server(gateway: &Gateway) -> Response<Bytes> {
    reply::document(&metadata::authorization_server(gateway.base_url.as_str(), gateway.site))
}

/// `/.well-known/jwks.json`.
pub fn jwks(gateway: &Gateway) -> Response<Bytes> {
    reply::document(&gateway.credentials.jwks())
}

/// `/.well-known/oauth-protected-resource<path>` (RFC 9728 §3.1) for every normalized path below a route; `None` for other
/// paths. Without a path, it is the document of the only route; of several routes, none has the origin as its resource, and
/// clients that compare `resource` stop at another one.
pub fn protected_resource(gateway: &Gateway, path: &str) -> Option<Response<Bytes>> {
    let table = &gateway.site.table;
    let (route, path) = match (path, table.routes()) {
        ("", [only]) => (only, only.path()),
        _ => (table.find(path)?.route, path),
    };
    proxy::is_normal(path)
        .then(|| reply::document(&metadata::protected_resource(gateway.base_url.as_str(), route, path)))
}
