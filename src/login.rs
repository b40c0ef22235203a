//! One login, told once. Its steps stand in `endpoints`: authorize, consent, callback.
//!
//! 1. **authorize** checks the request. Nothing is stored: the request travels sealed in the consent page.
//! 2. **consent** comes back with the person's answer and the page's cookie. Only then is a login at Okta begun:
//!    its state is stored for ten minutes and bound to the browser by a cookie of its own.
//! 3. **callback** brings Okta's answer. The login is taken, once; who signed in must be who consented; a code is
//!    made and the browser sent back to the client.
//!
//! Where consent is remembered, step 1 goes to Okta at once; if another person then signs in, the consent page
//! comes after Okta instead ([`Asking::waiting`]), and no code is made before its answer.

use crate::cookies::{Cookie, Kind};
use crate::credential::{self, RememberedConsent};
use crate::decision::Head;
use crate::encoding;
use crate::events::Audit;
use crate::gateway::Gateway;
use crate::grants::{Code, Consented, LOGIN_TTL, Login, Waiting};
use crate::oauth::authorization::{AuthorizationRequest, ReturnAddress};
use crate::oauth::client_metadata::DocumentUrl;
use crate::oauth::error::Refused;
use crate::oauth::redirect::Destination;
use crate::oauth::{resource, scope};
use crate::pages::{ClientOrigin, Consent, Guidance, Leaving, Outcome, Page, Problem, ServerChoice};
use crate::reply::{self, Failure};
use bytes::Bytes;
use gateway_routes::Route;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a consent is remembered.
const REMEMBERED: Duration = Duration::from_hours(2160);

/// A consent page under way, sealed into its form.
#[derive(Serialize, Deserialize)]
pub struct Asking {
    /// Names the page's cookie.
    pub id: String,
    /// The digest of the cookie's value.
    pub browser: [u8; 32],
    /// What the client asked for.
    pub request: AuthorizationRequest,
    /// Where a person waits who has signed in already.
    pub waiting: Option<[u8; 32]>,
}

/// Step 1, or step 3 for another user than the one who consented: the page that asks.
pub fn ask(
    gateway: &Gateway,
    request: AuthorizationRequest,
    waiting: Option<[u8; 32]>,
    problem: Option<&str>,
) -> Response<Bytes> {
    let id = encoding::encode(gateway.credentials.random::<12>());
    let nonce = gateway.credentials.mint();
    let asking = Asking { id, browser: credential::digest(nonce.expose()), request, waiting };
    let Some(sealed) = gateway.credentials.seal_request(&asking, LOGIN_TTL) else {
        return reply::refused(Failure::Broken("a request could not be sealed".into()));
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = consent_page(gateway, &asking.request, &sealed, problem);
    let cookie = Cookie::new(Kind::Consent, &asking.id, gateway.base_url.is_https());
    reply::with_cookie(reply::html(status, page), &cookie.set(nonce.expose(), LOGIN_TTL))
}

fn consent_page(
    gateway: &Gateway,
    request: &AuthorizationRequest,
    sealed: &str,
    problem: Option<&str>,
) -> Page {
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
        servers: &servers,
        action: "/auth/authorize",
        request: sealed,
        problem,
    };
    page.page()
}

/// Step 2: begins a login at Okta. Returns Okta's URL and the cookie that binds the login to this browser.
pub async fn start(
    gateway: &Gateway,
    request: AuthorizationRequest,
    consented: Consented,
) -> Result<(String, String), Failure> {
    let begun = gateway.okta.begin(request.login_hint.as_deref()).await?;
    let state = begun.login.state.clone();
    let nonce = gateway.credentials.mint();
    let browser = credential::digest(nonce.expose());
    let login = Login { request, pending: begun.login, browser, consented };
    gateway.grants.put_login(credential::digest(&state), &login).await?;
    let cookie = Cookie::new(Kind::Login, &state, gateway.base_url.is_https());
    Ok((begun.url.into(), cookie.set(nonce.expose(), LOGIN_TTL)))
}

/// The end of step 3: the code is made. How the browser goes on depends on how it came.
pub struct Finished {
    to: ReturnAddress,
    url: String,
    remembered: Option<String>,
}

/// Makes the code.
pub async fn finish(
    gateway: &Gateway,
    head: &Head,
    request: AuthorizationRequest,
    signed_in: Waiting,
) -> Result<Finished, Failure> {
    let route = request
        .route(&gateway.site.table)
        .ok_or_else(|| Refused::invalid_request("this gateway does not have that MCP server any more"))?;
    let scopes: Vec<String> =
        scope::narrow(request.scope.as_deref(), route).into_iter().map(str::to_owned).collect();
    let minted = gateway.credentials.mint();
    let to = request.return_address();
    let remembered = remember(gateway, &request, &signed_in, &scopes);
    Audit {
        user: &signed_in.subject.user().sub,
        client: &request.client_name,
        client_id: &request.client_id,
        route: route.pattern,
        ..head.allowed("login")
    }
    .record();
    let code = Code {
        request,
        scopes,
        subject: signed_in.subject,
        signed_in_at: signed_in.signed_in_at,
        okta_refresh_token: signed_in.okta_refresh_token,
        grant: gateway.credentials.random(),
    };
    gateway.grants.put_code(credential::digest(minted.expose()), &code, gateway.site.tokens.code_ttl).await?;
    let url = to.approval(minted.expose(), gateway.iss());
    Ok(Finished { to, url, remembered })
}

impl Finished {
    /// Sends a browser back that came by a link or a redirect.
    pub fn by_redirect(self) -> Response<Bytes> {
        let response = send(&self.to, &self.url, Outcome::Approved);
        self.remembering(response)
    }

    /// Sends a browser back that came by our form.
    pub fn by_page(self) -> Response<Bytes> {
        let response = leave(&self.url, self.to.redirect_uri.destination().label(), Outcome::Approved);
        self.remembering(response)
    }

    fn remembering(&self, response: Response<Bytes>) -> Response<Bytes> {
        self.remembered.iter().fold(response, |response, cookie| reply::with_cookie(response, cookie))
    }
}

/// Sends the browser to the client's redirect URI: at once, or by a page where a person stays behind, because a
/// private scheme opens a program and leaves the browser where it was.
fn send(to: &ReturnAddress, url: &str, outcome: Outcome<'_>) -> Response<Bytes> {
    let destination = to.redirect_uri.destination();
    if matches!(destination, Destination::PrivateScheme(_)) {
        return leave(url, destination.label(), outcome);
    }
    reply::redirect(url)
}

/// A same-origin page that navigates on: Chromium holds the whole redirect chain of a form against the page's
/// `form-action`, so a form is never answered with a redirect.
pub fn leave(url: &str, destination: &str, outcome: Outcome<'_>) -> Response<Bytes> {
    reply::html(StatusCode::OK, Leaving { to: url, destination, outcome }.page())
}

/// Sends a failure back to the client, to a browser that came by a link or a redirect.
pub fn send_back(
    gateway: &Gateway,
    head: &Head,
    (to, failure): (&ReturnAddress, Failure),
) -> Response<Bytes> {
    let refused = failure.public();
    send(to, &to.refusal(&refused, gateway.iss()), failed(head, &refused))
}

/// Sends a failure back to the client, to a browser that came by our form.
pub fn send_back_by_page(
    gateway: &Gateway,
    head: &Head,
    (to, failure): (&ReturnAddress, Failure),
) -> Response<Bytes> {
    let refused = failure.public();
    let url = to.refusal(&refused, gateway.iss());
    leave(&url, to.redirect_uri.destination().label(), failed(head, &refused))
}

fn failed<'a>(head: &'a Head, refused: &'a Refused) -> Outcome<'a> {
    Outcome::Failed { why: &refused.description, request_id: head.request_id.as_str() }
}

/// A dead end that ends well: what happened, and that connecting once more helps.
pub fn start_again(head: &Head, status: StatusCode, what_happened: &str) -> Response<Bytes> {
    head.refused("login", what_happened).record();
    let page = Problem {
        title: "Please start again",
        what_happened,
        what_to_do: Guidance::StartAgain,
        detail: "",
        request_id: head.request_id.as_str(),
    };
    reply::html(status, page.page())
}

/// What a remembered consent is bound to.
pub fn consent_key<'a>(request: &'a AuthorizationRequest, stable: &'a str, route: &'a Route) -> [&'a str; 3] {
    [&request.client_id, stable, route.pattern]
}

/// The cookie of a remembered consent.
pub fn remembered_cookie(gateway: &Gateway, key: &[&str; 3]) -> Cookie {
    let id = encoding::encode(credential::digest(&key.join("\n")));
    Cookie::new(Kind::Remembered, &id, gateway.base_url.is_https())
}

/// Only for clients at an https host: anyone can listen on loopback or claim a private scheme, so those are asked
/// every time.
fn remember(
    gateway: &Gateway,
    request: &AuthorizationRequest,
    signed_in: &Waiting,
    scopes: &[String],
) -> Option<String> {
    let route = request.route(&gateway.site.table)?;
    let Destination::Web(_) = request.redirect_uri.destination() else { return None };
    let stable = request.redirect_uri.stable();
    let key = consent_key(request, &stable, route);
    let now = gateway.clock.now();
    let consent = RememberedConsent {
        subject: signed_in.subject.user().sub.clone(),
        scopes: scopes.to_vec(),
        given_at: now,
        expires_at: now.after(REMEMBERED),
    };
    let value = gateway.credentials.remember_consent(&consent, &key)?;
    Some(remembered_cookie(gateway, &key).set(&value, REMEMBERED))
}
