//! `POST /auth/authorize`: the person's answer to the consent page (step 2 of `login`). Each response removes the page's
//! cookie.

use crate::app::audit::Audit;
use crate::app::cookies::{self, Cookie, Kind};
use crate::app::rate_limit::{self, TooMany};
use crate::app::reply;
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::ids::Key;
use crate::credential;
use crate::endpoints::authorization::login::{self, Asking};
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

/// The longest form that is read, in bytes: it holds the sealed request.
pub const MAX_FORM_BYTES: usize = 16 * 1024;
/// The response to a form that was answered before.
const ANSWERED_BEFORE: &str = "This page was answered before.";

/// Approves or denies.
pub async fn post(gateway: Arc<Gateway>, head: RequestHead, body: Bytes) -> Response<Bytes> {
    if let Err(refused) = gateway.admit(rate_limit::Kind::Consent, &head, None).await {
        return too_many(&gateway, &head, refused);
    }
    let form = Parameters::parse(&String::from_utf8_lossy(&body));
    let asking: Option<Asking> =
        form.get("request").and_then(|sealed| gateway.credentials.open_request(sealed));
    let Some(asking) = asking else {
        let what_happened = "The page was open for too long, or is not ours.";
        let page = login::start_again(&head, StatusCode::BAD_REQUEST, what_happened);
        return without_page_cookie(&gateway, &head, page);
    };
    let cookie = asking.page_cookie(&gateway);
    let response = answer(&gateway, &head, asking, &form).await;
    reply::with_cookie(response, &cookie.clear())
}

/// The response to an address that has answered too many pages; it may come before the body is read.
pub fn too_many(gateway: &Gateway, head: &RequestHead, too_many: TooMany) -> Response<Bytes> {
    without_page_cookie(gateway, head, reply::too_many_with(head, too_many, Guidance::StartAgain))
}

/// Removes the cookie of the page, by the id in the form's `action`. A form without one is not from our page: then all
/// cookies of pages go.
fn without_page_cookie(gateway: &Gateway, head: &RequestHead, response: Response<Bytes>) -> Response<Bytes> {
    let secure = gateway.base_url.is_https();
    let query = Parameters::parse(head.parts.uri.query().unwrap_or_default());
    let cookies = match query.get("form") {
        Some(id) => vec![Cookie::new(Kind::Consent, id, secure)],
        None => cookies::held(Kind::Consent, &head.parts.headers, secure),
    };
    let removed = cookies.iter().take(cookies::MAX_COOKIES_PER_KIND);
    removed.fold(response, |response, cookie| reply::with_cookie(response, &cookie.clear()))
}

async fn answer(gateway: &Gateway, head: &RequestHead, asking: Asking, form: &Parameters) -> Response<Bytes> {
    if !is_same_browser(gateway, head, &asking) {
        return login::start_again(
            head,
            StatusCode::FORBIDDEN,
            "The answer did not come from the page that asked, or the page was answered before.",
        );
    }
    match form.get("decision") {
        Some("approve") => approve(gateway, head, asking, form.get("route")).await,
        _ => deny(gateway, head, &asking).await,
    }
}

/// Whether the cookie of this very page is there (another site cannot set or send it), and the browser does not say
/// that another site posted the form. The cookie of the page's login will do: at a double click the response to the
/// first one may have put it in the place of the other.
fn is_same_browser(gateway: &Gateway, head: &RequestHead, asking: &Asking) -> bool {
    let headers = &head.parts.headers;
    if headers.get(ORIGIN).is_some_and(|origin| origin != gateway.base_url.as_str()) {
        return false;
    }
    let has = |cookie: Cookie, expected: &Key| {
        let digest = cookie.read(headers).map(credential::digest);
        digest.is_some_and(|digest| digest.ct_eq(expected).into())
    };
    has(asking.page_cookie(gateway), &asking.browser)
        || has(asking.login_cookie(gateway), &credential::digest(&asking.login_cookie))
}

async fn approve(
    gateway: &Gateway,
    head: &RequestHead,
    mut asking: Asking,
    picked: Option<&str>,
) -> Response<Bytes> {
    let table = &gateway.site.table;
    if asking.request.route.is_none() {
        let picked = table.routes().iter().find(|route| Some(route.pattern) == picked);
        asking.request.route = picked.map(|route| route.pattern.to_owned());
    }
    if asking.request.route(table).is_none() {
        return login::ask(gateway, head, asking.request, Some("Choose the server to connect to."));
    }
    let request = asking.request.clone();
    match login::start(gateway, asking).await {
        Ok(Some(begun)) => {
            // A repeated click decides nothing.
            if begun.first {
                audit(&request, head.allowed("consent"));
            }
            let okta = url::Url::parse(&begun.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let page = login::leave(&begun.url, okta.as_deref().unwrap_or("Okta"), Outcome::ToSignIn);
            begun.bind(page, head)
        }
        Ok(None) => login::start_again(head, StatusCode::BAD_REQUEST, ANSWERED_BEFORE),
        Err(failure) => {
            audit(&request, head.allowed("consent"));
            login::send_back_by_page(gateway, head, (&request.return_address(), failure))
        }
    }
}

/// The client is told also when the store does not answer: a "no" needs nobody else.
async fn deny(gateway: &Gateway, head: &RequestHead, asking: &Asking) -> Response<Bytes> {
    let reason = "the person denied the request";
    let denied = || audit(&asking.request, head.refused("consent", reason));
    match gateway.grants.deny(credential::digest(&asking.login.state)).await {
        Ok(FormState::Ended) => {
            return login::start_again(head, StatusCode::BAD_REQUEST, ANSWERED_BEFORE);
        }
        Ok(FormState::Denied) => {}
        Ok(FormState::Fresh | FormState::Allowed { .. }) => denied(),
        Err(error) => {
            let request_id = head.request_id.as_str();
            tracing::warn!(%error, request_id, "that a request was denied could not be stored");
            denied();
        }
    }
    let refused = OAuthError::new(ErrorCode::AccessDenied, reason);
    let to = asking.request.return_address();
    let page = login::leave_refused(gateway, &to, &refused, Outcome::Denied);
    reply::with_cookie(page, &asking.login_cookie(gateway).clear())
}

fn audit(request: &AuthorizationRequest, event: Audit<'_>) {
    let route = request.route.as_deref().unwrap_or_default();
    Audit { client: &request.client_name, client_id: &request.client_id, route, ..event }.record();
}
