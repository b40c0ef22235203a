//! `GET /auth/callback`: the redirect URI of the login at Okta (step 3 of `login`).

use crate::app::audit_subject::AuditSubject;
use crate::app::cookies::{self, Cookie};
use crate::app::failure::{Failure, Outage, RestartReason};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::credential;
use crate::endpoints::authorization::login;
use crate::grants::Login;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use crate::okta::OktaError;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Maximum length of Okta's `error_description` in the error sent to the client.
const MAX_DESCRIPTION_CHARS: usize = 120;

/// Takes the pending login with this `state`, at most once, and completes it.
pub async fn get(gateway: Arc<Gateway>, head: Arc<RequestHead>) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let mut subject = AuditSubject::default();
    if let Err(too_many) = request.rate_limit(Kind::Login, None).await {
        return Failure::from(too_many).report(request, Kind::Login, &subject).too_many();
    }
    let parameters = request.query();
    let Some(Callback { state, code }) = Callback::parse(request, &parameters) else {
        let failure = Failure::from(RestartReason::MissingState);
        return failure.report(request, Kind::Login, &subject).restart_page();
    };
    let cookie = login::login_cookie(&gateway, &state);
    let login = match take_login(request, &state, &cookie, &mut subject).await {
        Ok(login) => login,
        Err(failure) => {
            // The cookie of a login that has ended is of no use; any other login may still be completed.
            let has_ended = matches!(failure, Failure::Restart(RestartReason::UnknownLogin));
            let page = failure.report(request, Kind::Login, &subject).restart_page();
            return if has_ended { reply::with_cookie(page, &cookie.clear()) } else { page };
        }
    };
    let return_address = login.request.return_address();
    let response = complete(request, login, code, &mut subject)
        .await
        .unwrap_or_else(|failure| failure.report(request, Kind::Login, &subject).redirect(&return_address));
    reply::with_cookie(response, &cookie.clear())
}

/// Takes the pending login with this `state`, which must be bound to this browser.
async fn take_login(
    request: Request<'_>,
    state: &str,
    cookie: &Cookie,
    subject: &mut AuditSubject,
) -> Result<Login, Failure> {
    let taken = request.gateway.grants.take_login(credential::digest(state)).await?;
    let login = taken.ok_or(RestartReason::UnknownLogin)?;
    subject.set_authorization(&login.request);
    let digest = cookie.read(request.headers()).map(credential::digest);
    if digest.is_some_and(|digest| digest.ct_eq(&login.browser).into()) {
        return Ok(login);
    }
    let has_cookies = cookies::are_sent(request.headers(), request.gateway.base_url.is_https());
    Err(if has_cookies { RestartReason::OtherBrowser } else { RestartReason::NoCookies }.into())
}

/// Parameters of Okta's authorization response (RFC 6749 §4.1.2).
struct Callback {
    state: String,
    code: Result<String, Failure>,
}

impl Callback {
    /// Parses the response; `None` without a valid `state`.
    fn parse(request: Request<'_>, parameters: &Parameters) -> Option<Self> {
        parameters.check().ok()?;
        let state = parameters.get("state")?.to_owned();
        let Some(error) = parameters.get("error") else {
            let code = parameters.require("code").map(str::to_owned).map_err(Failure::from);
            return Some(Self { state, code });
        };
        let description = parameters.get("error_description").unwrap_or(error);
        Some(Self { state, code: Err(okta_failure(request, error, description)) })
    }
}

/// Returns Okta's refusal of the user, or its outage, or the fault of the app's settings: the user is not refused then.
fn okta_failure(request: Request<'_>, error: &str, description: &str) -> Failure {
    let told = okta_error(request, error, description);
    match OktaError::of_code(error, description) {
        OktaError::Refused { .. } => told.into(),
        error => Outage::SignIn { error, told }.into(),
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
    code: Result<String, Failure>,
    subject: &mut AuditSubject,
) -> Result<Response<Bytes>, Failure> {
    let signed_in = request.gateway.okta.complete(&code?, &login.pending).await?;
    login::complete(request, login.request, signed_in, subject).await
}
