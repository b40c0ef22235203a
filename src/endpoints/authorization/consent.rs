//! `POST /auth/authorize`: the user's decision on the consent page (step 2 of `login`). Each response deletes the
//! page's cookie.

use crate::app::audit::Audit;
use crate::app::cookies::{self, Cookie, Kind};
use crate::app::failure;
use crate::app::rate_limit::{self, TooMany};
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::ids::Key;
use crate::credential;
use crate::endpoints::authorization::login::{self, PendingConsent};
use crate::grants::FormState;
use crate::oauth::authorization::AuthorizationRequest;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use crate::pages::{Guidance, Outcome};
use bytes::Bytes;
use http::header::ORIGIN;
use http::{Response, StatusCode};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Maximum length of the form, which contains the sealed authorization request.
pub const MAX_FORM_BYTES: usize = 16 * 1024;
/// Page text for a form that was decided before.
const ALREADY_DECIDED: &str = "This page was answered before.";

/// Approves or denies an authorization request.
pub async fn post(gateway: Arc<Gateway>, head: RequestHead, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    if let Err(exceeded) = request.rate_limit(rate_limit::Kind::Consent, None).await {
        return too_many(request, exceeded);
    }
    let form = Parameters::parse(&String::from_utf8_lossy(&body));
    let pending: Option<PendingConsent> =
        form.get("request").and_then(|sealed| gateway.credentials.open_request(sealed));
    let Some(pending) = pending else {
        let what_happened = "The page was open for too long, or is not ours.";
        let page = login::restart_page(request, StatusCode::BAD_REQUEST, what_happened);
        return delete_page_cookie(request, page);
    };
    let cookie = pending.page_cookie(&gateway);
    let response = decide(request, pending, &form).await;
    reply::with_cookie(response, &cookie.clear())
}

/// Returns 429 for an address over the rate limit, possibly before the body is read.
pub fn too_many(request: Request<'_>, too_many: TooMany) -> Response<Bytes> {
    delete_page_cookie(request, failure::too_many_with(request.head, too_many, Guidance::StartAgain))
}

/// Deletes the cookie of the page, by the id in the form's `action`. Without an id the form is not from a consent
/// page, and all consent cookies are deleted.
fn delete_page_cookie(request: Request<'_>, response: Response<Bytes>) -> Response<Bytes> {
    let secure = request.gateway.base_url.is_https();
    let cookies = match request.query().get("form") {
        Some(id) => vec![Cookie::new(Kind::Consent, id, secure)],
        None => cookies::in_request(Kind::Consent, request.headers(), secure),
    };
    let deleted = cookies.iter().take(cookies::MAX_COOKIES_PER_KIND);
    deleted.fold(response, |response, cookie| reply::with_cookie(response, &cookie.clear()))
}

async fn decide(request: Request<'_>, pending: PendingConsent, form: &Parameters) -> Response<Bytes> {
    if !is_same_browser(request, &pending) {
        return login::restart_page(
            request,
            StatusCode::FORBIDDEN,
            "The answer did not come from the page that asked, or the page was answered before.",
        );
    }
    match form.get("decision") {
        Some("approve") => approve(request, pending, form.get("route")).await,
        _ => deny(request, &pending).await,
    }
}

/// Returns `true` if the form comes from the browser that displays the page: it sends the page's cookie, which another
/// site can neither set nor send, and no foreign `Origin`. The cookie of the login is accepted as well: after a double
/// click, the first response may already have replaced the page's cookie with it.
fn is_same_browser(request: Request<'_>, pending: &PendingConsent) -> bool {
    let (gateway, headers) = (request.gateway, request.headers());
    if headers.get(ORIGIN).is_some_and(|origin| origin != gateway.base_url.as_str()) {
        return false;
    }
    let has = |cookie: Cookie, expected: &Key| {
        let digest = cookie.read(headers).map(credential::digest);
        digest.is_some_and(|digest| digest.ct_eq(expected).into())
    };
    has(pending.page_cookie(gateway), &pending.browser)
        || has(pending.login_cookie(gateway), &credential::digest(&pending.login_cookie))
}

async fn approve(
    request: Request<'_>,
    mut pending: PendingConsent,
    chosen_route: Option<&str>,
) -> Response<Bytes> {
    let table = &request.gateway.site.table;
    if pending.request.route.is_none() {
        let chosen = table.routes().iter().find(|route| Some(route.pattern) == chosen_route);
        pending.request.route = chosen.map(|route| route.pattern.to_owned());
    }
    if pending.request.route(table).is_none() {
        return login::show_consent_page(request, pending.request, Some("Choose the server to connect to."));
    }
    let authorization = pending.request.clone();
    match login::start(request.gateway, pending).await {
        Ok(Some(started)) => {
            // A repeated approval is not a new decision.
            if started.first {
                audit(&authorization, request.allowed("consent"));
            }
            let okta = url::Url::parse(&started.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let page =
                login::redirect_page(&started.url, okta.as_deref().unwrap_or("Okta"), Outcome::ToSignIn);
            started.bind(page, request)
        }
        Ok(None) => login::restart_page(request, StatusCode::BAD_REQUEST, ALREADY_DECIDED),
        Err(failure) => {
            audit(&authorization, request.allowed("consent"));
            login::error_page_after_form(request, &authorization.return_address(), failure)
        }
    }
}

/// Denies the request. The client receives `access_denied` even when the store is unavailable.
async fn deny(request: Request<'_>, pending: &PendingConsent) -> Response<Bytes> {
    let reason = "the person denied the request";
    let audit_denied = || audit(&pending.request, request.refused("consent", reason));
    match request.gateway.grants.deny(credential::digest(&pending.login.state)).await {
        Ok(FormState::Ended) => {
            return login::restart_page(request, StatusCode::BAD_REQUEST, ALREADY_DECIDED);
        }
        Ok(FormState::Denied) => {}
        Ok(FormState::Fresh | FormState::Allowed { .. }) => audit_denied(),
        Err(error) => {
            tracing::warn!(%error, request_id = request.id(), "denial of an authorization request could not be stored");
            audit_denied();
        }
    }
    let error = OAuthError::new(ErrorCode::AccessDenied, reason);
    let to = pending.request.return_address();
    let page = login::error_page(request.gateway, &to, &error, Outcome::Denied);
    reply::with_cookie(page, &pending.login_cookie(request.gateway).clear())
}

fn audit(authorization: &AuthorizationRequest, event: Audit<'_>) {
    let route = authorization.route.as_deref().unwrap_or_default();
    Audit { client: &authorization.client_name, client_id: &authorization.client_id, route, ..event }
        .record();
}
