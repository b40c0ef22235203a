//! `GET /auth/callback`: the redirect URI of the login at Okta (step 3 of `login`).

use crate::app::failure::{self, Failure};
use crate::app::rate_limit;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::credential;
use crate::endpoints::authorization::login;
use crate::grants::Login;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Maximum length of Okta's `error_description` in the error sent to the client.
const MAX_DESCRIPTION_CHARS: usize = 120;

/// Takes the pending login with this `state`, at most once, and completes it.
pub async fn get(gateway: Arc<Gateway>, head: RequestHead) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    if let Err(too_many) = request.rate_limit(rate_limit::Kind::Login, None).await {
        return failure::too_many(&head, too_many);
    }
    let parameters = request.query();
    let Some(Callback { state, code }) = Callback::parse(request, &parameters) else {
        return login::restart_page(request, StatusCode::BAD_REQUEST, "Okta's answer lacks its state.");
    };
    let cookie = login::login_cookie(&gateway, &state);
    let login: Login = match gateway.grants.take_login(credential::digest(&state)).await {
        Ok(Some(login)) => login,
        Ok(None) => {
            let expired = "This login has expired, or was finished before.";
            let page = login::restart_page(request, StatusCode::BAD_REQUEST, expired);
            return reply::with_cookie(page, &cookie.clear());
        }
        Err(unavailable) => {
            tracing::warn!(error = %unavailable, request_id = request.id(), "pending login could not be read");
            return login::restart_page(
                request,
                StatusCode::SERVICE_UNAVAILABLE,
                "The gateway cannot read its logins now.",
            );
        }
    };
    let digest = cookie.read(request.headers()).map(credential::digest);
    if !digest.is_some_and(|digest| digest.ct_eq(&login.browser).into()) {
        return login::restart_page(
            request,
            StatusCode::FORBIDDEN,
            "This login was begun in another browser.",
        );
    }
    let return_address = login.request.return_address();
    let response = complete(request, login, code).await.unwrap_or_else(|failure| {
        if let Failure::OAuth(error) = &failure {
            request.refused("login", &error.description).record();
        }
        login::error_redirect(request, &return_address, failure)
    });
    reply::with_cookie(response, &cookie.clear())
}

/// Parameters of Okta's authorization response (RFC 6749 §4.1.2).
struct Callback {
    state: String,
    code: Result<String, OAuthError>,
}

impl Callback {
    /// Parses the response; `None` without a valid `state`.
    fn parse(request: Request<'_>, parameters: &Parameters) -> Option<Self> {
        parameters.check().ok()?;
        let state = parameters.get("state")?.to_owned();
        let code = match parameters.get("error") {
            None => parameters.require("code").map(str::to_owned),
            Some(error) => {
                let description = parameters.get("error_description").unwrap_or(error);
                Err(okta_error(request, error, description))
            }
        };
        Some(Self { state, code })
    }
}

/// Translates Okta's error into one that tells the user whom to contact: many clients display only this description.
fn okta_error(request: Request<'_>, error: &str, description: &str) -> OAuthError {
    let description: String = description.trim_end_matches('.').chars().take(MAX_DESCRIPTION_CHARS).collect();
    let id = request.id();
    match error {
        "server_error" | "temporarily_unavailable" => OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            format!("Okta could not sign you in: {description}. Try again later; request id {id}"),
        ),
        "access_denied" => OAuthError::new(
            ErrorCode::AccessDenied,
            format!(
                "Okta refused: {description}. Ask your Okta administrator for access to the app {}; request id {id}",
                request.gateway.okta.client_id()
            ),
        ),
        _ => OAuthError::new(
            ErrorCode::AccessDenied,
            format!("Okta refused: {description}. Tell the administrator of this gateway; request id {id}"),
        ),
    }
}

/// Redeems Okta's code and completes the login.
async fn complete(
    request: Request<'_>,
    login: Login,
    code: Result<String, OAuthError>,
) -> Result<Response<Bytes>, Failure> {
    let signed_in = request.gateway.okta.complete(&code?, &login.pending).await?;
    login::complete(request, login.request, signed_in).await
}
