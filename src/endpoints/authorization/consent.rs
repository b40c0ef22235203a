//! `POST /auth/authorize`: the user's decision on the consent page (step 2 of `login`). Each response deletes the
//! page's cookie.

use crate::app::audit_subject::AuditSubject;
use crate::app::cookies::{self, Cookie};
use crate::app::failure::{Failure, Outage, RestartReason};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::ids::Key;
use crate::credential;
use crate::endpoints::authorization::login::{self, PendingConsent};
use crate::grants::FormState;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use crate::pages::Outcome;
use bytes::Bytes;
use http::Response;
use http::header::ORIGIN;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Maximum length of the form, which contains the sealed authorization request.
pub const MAX_FORM_BYTES: usize = 16 * 1024;

/// Approves or denies an authorization request.
pub async fn post(gateway: Arc<Gateway>, head: Arc<RequestHead>, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    if let Err(exceeded) = request.rate_limit(Kind::Consent, None).await {
        let reported = Failure::from(exceeded).report(request, Kind::Consent, &AuditSubject::default());
        return delete_page_cookie(request, reported.too_many());
    }
    let form = Parameters::parse(&String::from_utf8_lossy(&body));
    let pending: Option<PendingConsent> =
        form.get("request").and_then(|sealed| gateway.credentials.open_request(sealed));
    let Some(pending) = pending else {
        return delete_page_cookie(
            request,
            restart(request, RestartReason::InvalidForm, &AuditSubject::default()),
        );
    };
    let cookie = pending.page_cookie(&gateway);
    let response = decide(request, pending, &form).await;
    reply::with_cookie(response, &cookie.clear())
}

/// Deletes the cookie of the page, by the id in the form's `action`. Without an id the form is not from a consent
/// page, and all consent cookies are deleted.
pub fn delete_page_cookie(request: Request<'_>, response: Response<Bytes>) -> Response<Bytes> {
    let secure = request.gateway.base_url.is_https();
    let cookies = match request.query().get("form") {
        Some(id) => vec![Cookie::new(cookies::Kind::Consent, id, secure)],
        None => cookies::in_request(cookies::Kind::Consent, request.headers(), secure),
    };
    let deleted = cookies.iter().take(cookies::MAX_COOKIES_PER_KIND);
    deleted.fold(response, |response, cookie| reply::with_cookie(response, &cookie.clear()))
}

async fn decide(request: Request<'_>, pending: PendingConsent, form: &Parameters) -> Response<Bytes> {
    if !is_same_browser(request, &pending) {
        let has_cookies = cookies::are_sent(request.headers(), request.gateway.base_url.is_https());
        let is_blocked = !has_cookies && !has_foreign_origin(request);
        let reason = if is_blocked { RestartReason::NoCookies } else { RestartReason::ForeignForm };
        return restart(request, reason, &AuditSubject::from(&pending.request));
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
    if has_foreign_origin(request) {
        return false;
    }
    let has = |cookie: Cookie, expected: &Key| {
        let digest = cookie.read(headers).map(credential::digest);
        digest.is_some_and(|digest| digest.ct_eq(expected).into())
    };
    has(pending.page_cookie(gateway), &pending.browser)
        || has(pending.login_cookie(gateway), &credential::digest(&pending.login_cookie))
}

fn has_foreign_origin(request: Request<'_>) -> bool {
    request.headers().get(ORIGIN).is_some_and(|origin| origin != request.gateway.base_url.as_str())
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
    let subject = AuditSubject::from(&pending.request);
    if pending.request.route(table).is_none() {
        let reason = "no server was chosen";
        subject.record(request.refused(Kind::Consent.as_str(), reason));
        return login::show_consent_page(request, pending.request, Some("Choose the server to connect to."));
    }
    let return_address = pending.request.return_address();
    match login::start(request.gateway, pending).await {
        Ok(started) => {
            // A repeated approval is not a new decision.
            if started.first {
                subject.record(request.allowed(Kind::Consent.as_str()));
            }
            let okta = url::Url::parse(&started.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let page =
                login::redirect_page(&started.url, okta.as_deref().unwrap_or("Okta"), Outcome::ToSignIn);
            started.bind(page, request)
        }
        Err(Failure::Restart(reason)) => restart(request, reason, &subject),
        Err(failure) => failure.report(request, Kind::Consent, &subject).page_after_form(&return_address),
    }
}

/// Denies the request. The client receives `access_denied` even when the store is unavailable.
async fn deny(request: Request<'_>, pending: &PendingConsent) -> Response<Bytes> {
    let subject = AuditSubject::from(&pending.request);
    match request.gateway.grants.deny(credential::digest(&pending.login.state)).await {
        Ok(FormState::Ended) => return restart(request, RestartReason::AlreadyDecided, &subject),
        Ok(FormState::Denied | FormState::Fresh | FormState::Allowed { .. }) => {}
        Err(error) => Failure::from(Outage::Denial(error)).note(request, Kind::Consent),
    }
    let denied = OAuthError::new(ErrorCode::AccessDenied, "the person denied the request");
    let page = Failure::from(denied)
        .report(request, Kind::Consent, &subject)
        .denial_page(&pending.request.return_address());
    reply::with_cookie(page, &pending.login_cookie(request.gateway).clear())
}

/// Asks the user to start the login again.
fn restart(request: Request<'_>, reason: RestartReason, subject: &AuditSubject) -> Response<Bytes> {
    Failure::from(reason).report(request, Kind::Consent, subject).restart_page()
}
