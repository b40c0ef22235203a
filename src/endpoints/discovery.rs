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

/// `/.well-known/oauth-protected-resource` without a path: the document of the only route, or of the origin if there
/// are several.
pub fn origin_resource(gateway: &Gateway) -> Response<Bytes> {
    let base_url = gateway.base_url.as_str();
    let document = match gateway.site.table.routes() {
        [only] => metadata::protected_resource(base_url, only, only.path()),
        _ => metadata::origin_resource(base_url, &gateway.site.table),
    };
    reply::document(&document)
}

/// `/.well-known/oauth-protected-resource/<path>` (RFC 9728 §3.1) for every normalized path below a route; `None` for
/// other paths.
pub fn protected_resource(gateway: &Gateway, path: &str) -> Option<Response<Bytes>> {
    let found = gateway.site.table.find(path)?;
    proxy::is_normal(path)
        .then(|| reply::document(&metadata::protected_resource(gateway.base_url.as_str(), found.route, path)))
}
