//! The well-known documents.

use crate::app::reply;
use crate::app::state::Gateway;
use crate::oauth::metadata;
use crate::proxy;
use bytes::Bytes;
use http::Response;

/// `/.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`. With a path suffix there is
/// nothing (RFC 8414 §3.3: our issuer has no path), and clients fall back to the root.
pub fn authorization_server(gateway: &Gateway) -> Response<Bytes> {
    reply::document(&metadata::authorization_server(gateway.base_url.as_str(), gateway.site))
}

/// `/.well-known/jwks.json`.
pub fn jwks(gateway: &Gateway) -> Response<Bytes> {
    reply::document(&gateway.credentials.jwks())
}

/// `/.well-known/oauth-protected-resource` of the origin: the sole route's, else the origin's own.
pub fn origin_resource(gateway: &Gateway) -> Response<Bytes> {
    let base_url = gateway.base_url.as_str();
    let document = match gateway.site.table.routes() {
        [sole] => metadata::protected_resource(base_url, sole, sole.path()),
        _ => metadata::origin_resource(base_url, &gateway.site.table),
    };
    reply::document(&document)
}

/// `/.well-known/oauth-protected-resource/<path>` for every path below a route that normalisation leaves
/// unchanged (RFC 9728 §3.1); `None` for all others.
pub fn protected_resource(gateway: &Gateway, path: &str) -> Option<Response<Bytes>> {
    let found = gateway.site.table.find(path)?;
    proxy::is_normal(path)
        .then(|| reply::document(&metadata::protected_resource(gateway.base_url.as_str(), found.route, path)))
}
