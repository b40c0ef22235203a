//! Error responses of the org with Okta's messages.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use serde_json::json;
use url::Url;

use super::org::AuthorizeRequest;

/// OAuth error code with Okta's description.
#[derive(Debug, Clone, Copy)]
pub(super) struct OAuthError(pub(super) StatusCode, pub(super) &'static str, pub(super) &'static str);

impl OAuthError {
    pub(super) const fn bad_request(code: &'static str, description: &'static str) -> Self {
        Self(StatusCode::BAD_REQUEST, code, description)
    }
}

pub(super) const NOT_ASSIGNED: OAuthError =
    OAuthError::bad_request("access_denied", "User is not assigned to the client application.");
pub(super) const TOO_MANY_GROUPS: OAuthError = OAuthError::bad_request(
    "invalid_request",
    "The groups claim matched too many groups and must be configured to match fewer groups.",
);
pub(super) const INVALID_CODE: OAuthError =
    OAuthError::bad_request("invalid_grant", "The authorization code is invalid or has expired.");
pub(super) const INVALID_REFRESH_TOKEN: OAuthError =
    OAuthError::bad_request("invalid_grant", "The refresh token is invalid or expired.");
pub(super) const INVALID_CLIENT: OAuthError = OAuthError(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    "The client secret supplied for a confidential client is invalid.",
);

pub(super) const TWO_CREDENTIALS: OAuthError =
    OAuthError(StatusCode::UNAUTHORIZED, "invalid_request", "Cannot supply multiple client credentials.");
pub(super) const INVALID_ASSERTION: OAuthError = OAuthError(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    "The client_assertion is invalid, expired or was used before.",
);

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let Self(status, code, description) = self;
        let body = Json(json!({ "error": code, "error_description": description }));
        (status, [(header::CACHE_CONTROL, "no-cache, no-store")], body).into_response()
    }
}

/// Redirects to the client with an error.
pub(super) fn redirect_error(request: &AuthorizeRequest, error: OAuthError) -> Response {
    let OAuthError(_, code, description) = error;
    redirect(request, &[("error", code), ("error_description", description)])
}

/// Redirects to the client with these parameters and the state.
pub(super) fn redirect(request: &AuthorizeRequest, pairs: &[(&str, &str)]) -> Response {
    let Ok(mut target) = Url::parse(&request.redirect_uri) else {
        return page(StatusCode::BAD_REQUEST, "The redirect URI is not a URL.");
    };
    let mut query = target.query_pairs_mut();
    query.extend_pairs(pairs);
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    drop(query);
    (StatusCode::FOUND, [(header::LOCATION, target.to_string())]).into_response()
}

const PAGE_STYLE: &str = ":root { color-scheme: light dark } \
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 10vh auto; padding: 0 1rem }";

/// Error page that the user sees at the org, such as Okta's "400 Bad Request" page.
pub(super) fn page(status: StatusCode, words: &str) -> Response {
    let html = format!(
        r#"<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Stand-in Okta</title><style>{PAGE_STYLE}</style>
<h1>{status}</h1><p>{words}</p>
"#
    );
    (status, Html(html)).into_response()
}
