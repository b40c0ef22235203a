//! `GET /auth/callback`: Okta sends the browser back (step 3 of `login`).

use crate::app::rate_limit;
use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
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

/// As much of Okta's words as is passed on.
const MAX_DESCRIPTION_CHARS: usize = 120;

/// Takes the login of this state, once, and ends it.
pub async fn get(gateway: Arc<Gateway>, head: RequestHead) -> Response<Bytes> {
    if let Err(too_many) = gateway.admit(rate_limit::Kind::Login, &head, None).await {
        return reply::too_many(&head, too_many);
    }
    let parameters = Parameters::parse(head.parts.uri.query().unwrap_or_default());
    let Some((state, code)) = answer(&gateway, &head, &parameters) else {
        return login::start_again(&head, StatusCode::BAD_REQUEST, "Okta's answer lacks its state.");
    };
    let cookie = login::login_cookie(&gateway, &state);
    let login: Login = match gateway.grants.take_login(credential::digest(&state)).await {
        Ok(Some(login)) => login,
        Ok(None) => {
            let over = "This login has expired, or was finished before.";
            let page = login::start_again(&head, StatusCode::BAD_REQUEST, over);
            return reply::with_cookie(page, &cookie.clear());
        }
        Err(unavailable) => {
            tracing::warn!(%unavailable, "a login could not be read");
            return login::start_again(
                &head,
                StatusCode::SERVICE_UNAVAILABLE,
                "The gateway cannot read its logins now.",
            );
        }
    };
    let digest = cookie.read(&head.parts.headers).map(credential::digest);
    if !digest.is_some_and(|digest| digest.ct_eq(&login.browser).into()) {
        return login::start_again(&head, StatusCode::FORBIDDEN, "This login was begun in another browser.");
    }
    let return_address = login.request.return_address();
    let response = end(&gateway, &head, login, code).await.unwrap_or_else(|failure| {
        refusal(&head, &failure);
        login::send_back(&gateway, &head, (&return_address, failure))
    });
    reply::with_cookie(response, &cookie.clear())
}

/// Okta's answer: the state, and a code or why there is none (RFC 6749 §4.1.2).
fn answer(
    gateway: &Gateway,
    head: &RequestHead,
    parameters: &Parameters,
) -> Option<(String, Result<String, OAuthError>)> {
    parameters.check().ok()?;
    let state = parameters.get("state")?.to_owned();
    let code = match parameters.get("error") {
        None => parameters.require("code").map(str::to_owned),
        Some(error) => {
            let words = parameters.get("error_description").unwrap_or(error);
            Err(oktas_refusal(gateway, head, (error, words)))
        }
    };
    Some((state, code))
}

/// Okta's refusal, with whom to ask and what to tell them: many clients show these words and nothing else.
fn oktas_refusal(gateway: &Gateway, head: &RequestHead, (error, words): (&str, &str)) -> OAuthError {
    let words: String = words.trim_end_matches('.').chars().take(MAX_DESCRIPTION_CHARS).collect();
    let id = head.request_id.as_str();
    match error {
        "server_error" | "temporarily_unavailable" => OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            format!("Okta could not sign you in: {words}. Try again later; request id {id}"),
        ),
        "access_denied" => OAuthError::new(
            ErrorCode::AccessDenied,
            format!(
                "Okta refused: {words}. Ask your Okta administrator for access to the app {}; request id {id}",
                gateway.okta.client_id()
            ),
        ),
        _ => OAuthError::new(
            ErrorCode::AccessDenied,
            format!("Okta refused: {words}. Tell the administrator of this gateway; request id {id}"),
        ),
    }
}

async fn end(
    gateway: &Gateway,
    head: &RequestHead,
    login: Login,
    code: Result<String, OAuthError>,
) -> Result<Response<Bytes>, Failure> {
    let signed_in = gateway.okta.complete(&code?, &login.pending).await?;
    login::finish(gateway, head, login.request, signed_in).await
}

fn refusal(head: &RequestHead, failure: &Failure) {
    if let Failure::OAuth(refused) = failure {
        let reason = &refused.description;
        head.refused("login", reason).record();
    }
}
