//! The login flow. Each step is an endpoint: authorize, consent, callback.
//!
//! 1. **authorize** validates the authorization request and shows the consent page. Nothing is stored: the form of the
//!    page contains the sealed request and the secrets of the login that may follow.
//! 2. **consent** receives the user's decision with the page's cookie, once. A repeated approval, such as a double
//!    click, leads to the same login. Only an approval starts a login at Okta: its state is stored for ten minutes and
//!    bound to the browser by a second cookie.
//! 3. **callback** receives Okta's authorization response. The pending login is taken, at most once; a code is issued
//!    and the browser redirected to the client.
//!
//! A code is always redirected automatically. An error is redirected automatically only to loopback and to hosts that
//! the site trusts (RFC 9700 §4.11.2); for other hosts a page names the host and the user continues manually.

use crate::app::audit_subject::AuditSubject;
use crate::app::cookies::{self, Cookie, Kind};
use crate::app::failure::{Failure, InternalError, ProblemText, RestartReason};
use crate::app::rate_limit;
use crate::app::reply;
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::base::encoding;
use crate::base::ids::{GrantId, Key};
use crate::credential;
use crate::grants::{Code, Consented, FORM_TTL, FormState, LOGIN_TTL, Login, Subject, User};
use crate::oauth::authorization::AuthorizationRequest;
use crate::oauth::client::DocumentUrl;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::Destination;
use crate::oauth::{resource, scope};
use crate::okta::{PendingLogin, Profile, SignedIn};
use crate::pages::{ClientOrigin, Consent, Guidance, Outcome, Page, RedirectPage, ServerChoice};
use bytes::Bytes;
use gateway_routes::Route;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The state of a consent page, sealed into its form.
#[derive(Serialize, Deserialize)]
pub(super) struct PendingConsent {
    /// The id in the name of the page's cookie.
    pub id: String,
    /// The digest of the cookie's value.
    pub browser: Key,
    /// The authorization request.
    pub request: AuthorizationRequest,
    /// The login that an approval starts; repeated posts of the form start the same one. Its state begins with the id.
    pub login: PendingLogin,
    /// The value of the cookie that binds this login to the browser.
    pub login_cookie: String,
}

impl PendingConsent {
    /// Returns the cookie of the consent page.
    pub(super) fn page_cookie(&self, gateway: &Gateway) -> Cookie {
        Cookie::new(Kind::Consent, &self.id, gateway.base_url.is_https())
    }

    /// Returns the cookie of the login.
    pub(super) fn login_cookie(&self, gateway: &Gateway) -> Cookie {
        login_cookie(gateway, &self.login.state)
    }
}

/// Returns the cookie of the login with this state.
pub(super) fn login_cookie(gateway: &Gateway, state: &str) -> Cookie {
    Cookie::new(Kind::Login, state, gateway.base_url.is_https())
}

const INTERNAL: ProblemText = ProblemText {
    title: "The gateway failed",
    what_happened: "It could not show the page that asks for your approval.",
    what_to_do: Guidance::Text("Tell your administrator the number below."),
};

/// Shows the consent page (step 1).
pub(super) fn show_consent_page(
    request: Request<'_>,
    authorization: AuthorizationRequest,
    problem: Option<&str>,
) -> Response<Bytes> {
    let gateway = request.gateway;
    let random = gateway.credentials.random();
    let id = cookies::new_id(request.headers(), gateway.base_url.is_https(), gateway.clock.now(), random);
    let nonce = gateway.credentials.mint();
    let pending = PendingConsent {
        id: encoding::encode(id),
        browser: credential::digest(nonce.expose()),
        request: authorization,
        login: gateway.okta.new_login(&id),
        login_cookie: gateway.credentials.mint().expose().to_owned(),
    };
    let sealed = match gateway.credentials.seal_request(&pending, FORM_TTL) {
        Ok(sealed) => sealed,
        Err(error) => {
            let subject = AuditSubject::from(&pending.request);
            let failure = Failure::from(InternalError::ConsentForm(error));
            return failure
                .report(request, rate_limit::Kind::Authorization, &subject)
                .page_or_json(&INTERNAL);
        }
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = consent_page(gateway, &pending, &sealed, problem);
    let cookie = NewCookie { kind: Kind::Consent, cookie: pending.page_cookie(gateway), max_age: FORM_TTL };
    cookie.set(reply::html(status, page), nonce.expose(), request)
}

/// A cookie that a response sets.
struct NewCookie {
    kind: Kind,
    cookie: Cookie,
    max_age: Duration,
}

impl NewCookie {
    /// Sets the cookie, and deletes the oldest ones of its kind over the limit.
    fn set(&self, response: Response<Bytes>, value: &str, request: Request<'_>) -> Response<Bytes> {
        let response = reply::with_cookie(response, &self.cookie.set(value, self.max_age));
        let deleted = cookies::delete_excess(self.kind, &self.cookie, request.headers());
        deleted.iter().fold(response, |response, cookie| reply::with_cookie(response, cookie))
    }
}

fn consent_page(gateway: &Gateway, pending: &PendingConsent, sealed: &str, problem: Option<&str>) -> Page {
    let request = &pending.request;
    let table = &gateway.site.table;
    let routes: Vec<&Route> =
        request.route(table).map_or_else(|| table.routes().iter().collect(), |r| vec![r]);
    let described: Vec<(&Route, String)> = routes
        .into_iter()
        .map(|route| (route, resource::identifier(gateway.base_url.as_str(), route)))
        .collect();
    let servers: Vec<ServerChoice<'_>> = described
        .iter()
        .map(|(route, resource)| ServerChoice {
            value: route.pattern,
            name: route.name,
            description: route.description,
            resource,
            scopes: scope::granted(route),
        })
        .collect();
    let destination = request.redirect_uri.destination();
    // Such a client's metadata was fetched from this host.
    let published = DocumentUrl::parse(&request.client_id).ok();
    let page = Consent {
        client_name: &request.client_name,
        client_origin: published
            .as_ref()
            .map_or(ClientOrigin::SelfRegistered, |url| ClientOrigin::VerifiedHost(url.host())),
        redirect_host: destination.label(),
        loopback: !matches!(destination, Destination::Web(_)),
        untrusted: published.is_none() && !gateway.may_redirect_errors_to(&destination),
        servers: &servers,
        action: &format!("/auth/authorize?form={}", pending.id),
        request: sealed,
        problem,
    };
    page.page()
}

/// A login that an approval has started, now or by an earlier post of the form.
pub(super) struct StartedLogin {
    /// The authorization URL at Okta.
    pub url: String,
    /// `true` if this is the first approval of the form.
    pub first: bool,
    value: String,
    cookie: NewCookie,
}

impl StartedLogin {
    /// Binds the login to the browser that receives this response.
    pub(super) fn bind(&self, response: Response<Bytes>, request: Request<'_>) -> Response<Bytes> {
        self.cookie.set(response, &self.value, request)
    }
}

/// Starts the login of this form at Okta (step 2).
///
/// # Errors
/// [`RestartReason::AlreadyDecided`] when the form was decided differently before, or its login has ended; an outage.
pub(super) async fn start(gateway: &Gateway, pending: PendingConsent) -> Result<StartedLogin, Failure> {
    let url = gateway.okta.begin(&pending.login, pending.request.login_hint.as_deref()).await?;
    let cookie = NewCookie { kind: Kind::Login, cookie: pending.login_cookie(gateway), max_age: LOGIN_TTL };
    let key = credential::digest(&pending.login.state);
    let login = Login {
        request: pending.request,
        pending: pending.login,
        browser: credential::digest(&pending.login_cookie),
        consented: Consented::Now,
    };
    let first = match gateway.grants.allow(key, &login).await? {
        FormState::Fresh => true,
        FormState::Allowed { route } if route == login.request.route => false,
        FormState::Allowed { .. } => {
            // Two approvals for different servers: the user's choice is ambiguous.
            gateway.grants.take_login(key).await?;
            return Err(RestartReason::AlreadyDecided.into());
        }
        FormState::Denied | FormState::Ended => return Err(RestartReason::AlreadyDecided.into()),
    };
    Ok(StartedLogin { url: url.into(), first, value: pending.login_cookie, cookie })
}

/// Issues the code and redirects the browser to the client (end of step 3).
pub(super) async fn complete(
    request: Request<'_>,
    authorization: AuthorizationRequest,
    signed_in: SignedIn,
    subject: &mut AuditSubject,
) -> Result<Response<Bytes>, Failure> {
    let gateway = request.gateway;
    subject.user.clone_from(&signed_in.sub);
    let route = authorization
        .route(&gateway.site.table)
        .ok_or_else(|| OAuthError::invalid_request("this gateway does not have that MCP server any more"))?;
    let scopes: Vec<String> = scope::granted(route).iter().map(|scope| (*scope).to_owned()).collect();
    let minted = gateway.credentials.mint_code();
    let to = authorization.return_address();
    let Profile { email, groups } = signed_in.profile;
    let user = User { sub: signed_in.sub, email, groups };
    let (grant, signed_in_at) = (GrantId(gateway.credentials.random()), gateway.store.clock().now());
    // A login is a check of the user at Okta: it counts for the user's other grants.
    gateway.grants.update_user_check(&user.sub, |check| check.confirm(&user, grant, signed_in_at)).await?;
    let code = Code {
        request: authorization,
        scopes,
        subject: Subject::User(user),
        signed_in_at,
        okta_refresh_token: signed_in.refresh_token.map(|token| token.expose().to_owned()),
        grant,
    };
    gateway.grants.put_code(credential::digest(minted.expose()), &code, gateway.site.tokens.code_ttl).await?;
    subject.record(request.allowed("login"));
    let url = to.code_url(minted.expose(), gateway.iss());
    let destination = to.redirect_uri.destination();
    // A private scheme opens a program and leaves the browser open: a page tells the user.
    Ok(match destination {
        Destination::PrivateScheme(_) => redirect_page(&url, destination.label(), Outcome::Approved),
        Destination::Web(_) | Destination::Loopback(_) => reply::redirect(&url),
    })
}

/// Returns a same-origin page that redirects automatically. The response to a form must not be a redirect, because
/// Chromium applies the page's `form-action` to the whole redirect chain.
pub(super) fn redirect_page(url: &str, destination: &str, outcome: Outcome<'_>) -> Response<Bytes> {
    reply::html(StatusCode::OK, RedirectPage { to: url, destination, outcome, is_automatic: true }.page())
}
