//! One login, told once. Its steps stand in `endpoints`: authorize, consent, callback.
//!
//! 1. **authorize** checks the request. Nothing is stored: the request travels sealed in the consent page, with the
//!    secrets of the login that it may lead to.
//! 2. **consent** comes back with the person's answer and the page's cookie, once. A repeated "allow", such as a double
//!    click, leads to the same login. Only then is a login at Okta begun: its state is stored for ten minutes and
//!    bound to the browser by a cookie of its own.
//! 3. **callback** brings Okta's answer. The login is taken, once; a code is made and the browser sent back to the
//!    client.
//!
//! A code goes to the client by itself. An error goes by itself only to hosts that the site trusts and to loopback
//! (RFC 9700 §4.11.2): elsewhere a page names the host, and the person goes on by hand.

mod responses;

pub(super) use responses::{is_trusted, leave, leave_refused, send_back, send_back_by_page, start_again};

use crate::app::audit::Audit;
use crate::app::cookies::{self, Cookie, Kind};
use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::encoding;
use crate::base::ids::{GrantId, Key};
use crate::credential;
use crate::grants::{Code, Consented, FORM_TTL, FormState, LOGIN_TTL, Login, Subject, User};
use crate::oauth::authorization::AuthorizationRequest;
use crate::oauth::client_metadata::DocumentUrl;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::Destination;
use crate::oauth::{resource, scope};
use crate::okta::{PendingLogin, Profile, SignedIn};
use crate::pages::{ClientOrigin, Consent, Outcome, Page, ServerChoice};
use bytes::Bytes;
use gateway_routes::Route;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A consent page under way, sealed into its form.
#[derive(Serialize, Deserialize)]
pub(super) struct Asking {
    /// Names the page's cookie.
    pub id: String,
    /// The digest of the cookie's value.
    pub browser: Key,
    /// What the client asked for.
    pub request: AuthorizationRequest,
    /// The login that "allow" begins: the same one, however often the form is posted. Its state begins with the id.
    pub login: PendingLogin,
    /// The value of the cookie that binds this login to the browser.
    pub login_cookie: String,
}

impl Asking {
    /// The cookie of its page.
    pub(super) fn page_cookie(&self, gateway: &Gateway) -> Cookie {
        Cookie::new(Kind::Consent, &self.id, gateway.base_url.is_https())
    }

    /// The cookie of its login.
    pub(super) fn login_cookie(&self, gateway: &Gateway) -> Cookie {
        login_cookie(gateway, &self.login.state)
    }
}

/// The cookie of the login with this state.
pub(super) fn login_cookie(gateway: &Gateway, state: &str) -> Cookie {
    Cookie::new(Kind::Login, state, gateway.base_url.is_https())
}

/// Step 1: the page that asks.
pub(super) fn ask(
    gateway: &Gateway,
    head: &RequestHead,
    request: AuthorizationRequest,
    problem: Option<&str>,
) -> Response<Bytes> {
    let headers = &head.parts.headers;
    let random = gateway.credentials.random();
    let id = cookies::new_id(headers, gateway.base_url.is_https(), (gateway.clock.now(), random));
    let nonce = gateway.credentials.mint();
    let asking = Asking {
        id: encoding::encode(id),
        browser: credential::digest(nonce.expose()),
        request,
        login: gateway.okta.new_login(&id),
        login_cookie: gateway.credentials.mint().expose().to_owned(),
    };
    let Some(sealed) = gateway.credentials.seal_request(&asking, FORM_TTL) else {
        return reply::refused(Failure::Internal("a request could not be sealed".into()));
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = consent_page(gateway, &asking, &sealed, problem);
    let cookie = NewCookie { kind: Kind::Consent, cookie: asking.page_cookie(gateway), lives: FORM_TTL };
    cookie.set(reply::html(status, page), nonce.expose(), head)
}

/// A cookie that a response sets.
struct NewCookie {
    kind: Kind,
    cookie: Cookie,
    lives: Duration,
}

impl NewCookie {
    /// Sets it, and removes the oldest of its kind where the browser would hold too many.
    fn set(&self, response: Response<Bytes>, value: &str, head: &RequestHead) -> Response<Bytes> {
        let response = reply::with_cookie(response, &self.cookie.set(value, self.lives));
        let surplus = cookies::surplus(self.kind, &self.cookie, &head.parts.headers);
        surplus.iter().fold(response, |response, cookie| reply::with_cookie(response, cookie))
    }
}

fn consent_page(gateway: &Gateway, asking: &Asking, sealed: &str, problem: Option<&str>) -> Page {
    let request = &asking.request;
    let table = &gateway.site.table;
    let routes: Vec<&Route> =
        request.route(table).map_or_else(|| table.routes().iter().collect(), |r| vec![r]);
    let described: Vec<(&Route, String, Vec<&str>)> = routes
        .into_iter()
        .map(|route| {
            let resource = resource::identifier(gateway.base_url.as_str(), route);
            (route, resource, scope::narrow(request.scope.as_deref(), route))
        })
        .collect();
    let servers: Vec<ServerChoice<'_>> = described
        .iter()
        .map(|(route, resource, scopes)| ServerChoice {
            value: route.pattern,
            name: route.name,
            description: route.description,
            resource,
            scopes,
        })
        .collect();
    let destination = request.redirect_uri.destination();
    // What was asked for came from there: the request is made of what its document says.
    let published = DocumentUrl::parse(&request.client_id).ok();
    let page = Consent {
        client_name: &request.client_name,
        client_origin: published
            .as_ref()
            .map_or(ClientOrigin::SelfRegistered, |url| ClientOrigin::VerifiedHost(url.host())),
        redirect_host: destination.label(),
        loopback: !matches!(destination, Destination::Web(_)),
        untrusted: published.is_none() && !is_trusted(gateway, &destination),
        servers: &servers,
        action: &format!("/auth/authorize?form={}", asking.id),
        request: sealed,
        problem,
    };
    page.page()
}

/// A login that "allow" began, now or at an earlier click.
pub(super) struct Begun {
    /// Where it goes on at Okta.
    pub url: String,
    /// The form was not answered before.
    pub first: bool,
    value: String,
    cookie: NewCookie,
}

impl Begun {
    /// Binds the login to the browser that gets this response.
    pub(super) fn bind(&self, response: Response<Bytes>, head: &RequestHead) -> Response<Bytes> {
        self.cookie.set(response, &self.value, head)
    }
}

/// Step 2: begins the login of this form at Okta; `None` when the form was answered before in another way, or its login
/// has ended.
pub(super) async fn start(gateway: &Gateway, asking: Asking) -> Result<Option<Begun>, Failure> {
    let url = gateway.okta.begin(&asking.login, asking.request.login_hint.as_deref()).await?;
    let cookie = NewCookie { kind: Kind::Login, cookie: asking.login_cookie(gateway), lives: LOGIN_TTL };
    let key = credential::digest(&asking.login.state);
    let login = Login {
        request: asking.request,
        pending: asking.login,
        browser: credential::digest(&asking.login_cookie),
        consented: Consented::Now,
    };
    let first = match gateway.grants.allow(key, &login).await? {
        FormState::Fresh => true,
        FormState::Allowed { route } if route == login.request.route => false,
        FormState::Allowed { .. } => {
            // Another server than at the first click: it is not clear which one is meant.
            gateway.grants.take_login(key).await?;
            return Ok(None);
        }
        FormState::Denied | FormState::Ended => return Ok(None),
    };
    Ok(Some(Begun { url: url.into(), first, value: asking.login_cookie, cookie }))
}

/// The end of step 3: makes the code and sends the browser back to the client with it.
pub(super) async fn finish(
    gateway: &Gateway,
    head: &RequestHead,
    request: AuthorizationRequest,
    signed_in: SignedIn,
) -> Result<Response<Bytes>, Failure> {
    let route = request
        .route(&gateway.site.table)
        .ok_or_else(|| OAuthError::invalid_request("this gateway does not have that MCP server any more"))?;
    let scopes: Vec<String> =
        scope::narrow(request.scope.as_deref(), route).into_iter().map(str::to_owned).collect();
    let minted = gateway.credentials.mint();
    let to = request.return_address();
    let Profile { email, groups } = signed_in.profile;
    let user = User { sub: signed_in.sub, email, groups };
    Audit {
        user: &user.sub,
        client: &request.client_name,
        client_id: &request.client_id,
        route: route.pattern,
        ..head.allowed("login")
    }
    .record();
    let code = Code {
        request,
        scopes,
        subject: Subject::User(user),
        signed_in_at: gateway.store.clock().now(),
        okta_refresh_token: signed_in.refresh_token.map(|token| token.expose().to_owned()),
        grant: GrantId(gateway.credentials.random()),
    };
    gateway.grants.put_code(credential::digest(minted.expose()), &code, gateway.site.tokens.code_ttl).await?;
    let url = to.approval(minted.expose(), gateway.iss());
    let destination = to.redirect_uri.destination();
    // A private scheme opens a program and leaves the browser where it was: a page says so.
    Ok(match destination {
        Destination::PrivateScheme(_) => leave(&url, destination.label(), Outcome::Approved),
        Destination::Web(_) | Destination::Loopback(_) => reply::redirect(&url),
    })
}
