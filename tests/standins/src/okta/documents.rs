//! Documents of the org: metadata, keys, userinfo.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;

use super::claims;
use super::org::Org;
use super::server::AuthServer;

const CACHEABLE: [(header::HeaderName, &str); 1] =
    [(header::CACHE_CONTROL, "max-age=86400, must-revalidate")];

pub(super) async fn org_metadata(State(org): State<Arc<Org>>) -> Response {
    (CACHEABLE, Json(AuthServer::Org.metadata(&org.origin, &org.options))).into_response()
}

pub(super) async fn custom_metadata(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    (CACHEABLE, Json(AuthServer::Custom(id).metadata(&org.origin, &org.options))).into_response()
}

pub(super) async fn keys(State(org): State<Arc<Org>>) -> Response {
    (CACHEABLE, Json(org.memory().keys.jwks())).into_response()
}

/// Returns the claims for the access token's scopes.
pub(super) async fn userinfo(State(org): State<Arc<Org>>, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let memory = org.memory();
    let access = memory.access_tokens.get(token).filter(|access| access.expires_at > org.now());
    let Some((access, user)) = access.and_then(|access| Some((access, memory.active(&access.username)?)))
    else {
        let challenge = "Bearer authorization_uri=\"/oauth2/v1/authorize\", realm=\"/oauth2/v1/userinfo\", \
            scope=\"openid\", error=\"invalid_token\", error_description=\"The access token is invalid.\"";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    let mut response = json!({ "sub": user.sub });
    claims::base(&mut response, user, &access.scopes);
    claims::profile(&mut response, user, &access.scopes, &org.options.userinfo_email_verified);
    claims::groups(&mut response, user, &org.options, &access.server, &access.scopes);
    Json(response).into_response()
}

/// Okta's response for an unknown authorization server or path.
pub(super) async fn not_found() -> Response {
    let body = json!({
        "errorCode": "E0000007", "errorSummary": "Not found: Resource not found.",
        "errorLink": "E0000007", "errorId": "oaestandin", "errorCauses": [],
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
