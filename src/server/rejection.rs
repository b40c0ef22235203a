//! Error responses of requests that no endpoint has handled: refused before the filters or by them, without a readable
//! body, or without a response of their handler. On a route such a request is a call; at an OAuth endpoint it leaves the
//! event of that endpoint.

use crate::app::audit_subject::AuditSubject;
use crate::app::call::{self, Call};
use crate::app::cors::{self, Origin};
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::request_error::RequestError;
use crate::app::state::Gateway;
use crate::endpoints::authorization::{authorize, consent};
use bytes::Bytes;
use http::header::ALLOW;
use http::{Method, Response, StatusCode};
use std::sync::Arc;

/// Ends a request of any path with an error.
pub(super) fn reject(gateway: &Arc<Gateway>, head: &RequestHead, error: RequestError) -> Response<Bytes> {
    let path = head.parts.uri.path();
    if let Some(found) = gateway.site.table.find(path) {
        return Call::new(head, found.route, Origin::Unchecked).reject(gateway, error);
    }
    if let Some(kind) = oauth_endpoint(gateway, path, &head.parts.method) {
        return fail(Request { gateway, head }, kind, error);
    }
    let response = call::error_response(gateway, head.request_id.as_str(), &error);
    match error {
        // Scripts probe for metadata documents and must be able to read the status.
        RequestError::NotFound | RequestError::UndefinedContent => cors::any_origin(response),
        _ => response,
    }
}

/// Ends a request to an OAuth endpoint with an error: JSON for clients, a page for users.
pub(super) fn fail(request: Request<'_>, kind: Kind, error: impl Into<Failure>) -> Response<Bytes> {
    let subject = match kind {
        Kind::Authorization => authorize::subject(request.gateway, &request.query()),
        _ => AuditSubject::default(),
    };
    let reported = error.into().report(request, kind, &subject);
    let mut response = match kind {
        Kind::Authorization | Kind::Login => reported.page_for_unhandled(),
        Kind::Consent => consent::delete_page_cookie(request, reported.page_for_unhandled()),
        Kind::Registration | Kind::Token | Kind::Revocation | Kind::Metadata => {
            cors::any_origin(reported.json())
        }
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        reply::set(&mut response, ALLOW, methods(kind));
    }
    response
}

/// Returns `true` if scripts of any origin may read the responses of an endpoint. A consent form is posted only by the
/// gateway's own page.
pub(super) const fn is_public(kind: Kind) -> bool {
    matches!(kind, Kind::Registration | Kind::Token | Kind::Revocation)
}

/// Returns the OAuth endpoint of a path, as in `filters`.
fn oauth_endpoint(gateway: &Gateway, path: &str, method: &Method) -> Option<Kind> {
    match path.strip_suffix('/').unwrap_or(path) {
        "/auth/register" if gateway.site.registration.enabled => Some(Kind::Registration),
        "/auth/token" | "/token" => Some(Kind::Token),
        "/auth/revoke" => Some(Kind::Revocation),
        "/auth/authorize" if method == Method::POST => Some(Kind::Consent),
        "/auth/authorize" => Some(Kind::Authorization),
        "/auth/callback" => Some(Kind::Login),
        _ => None,
    }
}

const fn methods(kind: Kind) -> &'static str {
    match kind {
        Kind::Authorization | Kind::Consent => "GET, POST",
        Kind::Login => "GET",
        Kind::Registration | Kind::Token | Kind::Revocation | Kind::Metadata => "POST, OPTIONS",
    }
}
